"""The book that a config names: a file, or a synthetic one made from its seed."""

import os
from pathlib import Path
from typing import Any

from lob_backtest.book import Book, read_book
from lob_backtest.config import SyntheticConfig
from lob_backtest.errors import ConfigError
from lob_backtest.files import sha256_of
from lob_backtest.strict_yaml import as_dict
from lob_backtest.synthetic import synthetic_book


def open_book(source: str | SyntheticConfig, *, mapped: bool = False) -> Book:
    """Read the book table at a path, or make the synthetic book that is described.

    Args:
        source: what the config names.
        mapped: read a table through files, as :func:`read_book` does; a synthetic book is made in
            memory.
    """
    if isinstance(source, SyntheticConfig):
        return synthetic_book(
            days=source.days,
            rows_per_day=source.rows_per_day,
            levels=source.levels,
            signal=source.signal,
            seed=source.seed,
        )
    return read_book(book_path(source), mapped=mapped)


def book_fingerprint(source: str | SyntheticConfig, book: Book) -> dict[str, Any]:
    """What provenance records of a book: its file's SHA-256, or the recipe of a synthetic one."""
    known = {"instrument": book.meta.instrument, "rows": book.n_rows, "source": book.meta.source}
    if isinstance(source, SyntheticConfig):
        return {"path": None, "synthetic": as_dict(source), **known}
    return {"path": source, "sha256": sha256_of(book_path(source)), **known}


def book_path(text: str) -> Path:
    """The path with ``~`` and environment variables filled in; an unset one is an error."""
    filled = os.path.expandvars(text)
    if "$" in filled:
        raise ConfigError(f"data.book: {text}: the environment variable in it is not set")
    return Path(filled).expanduser()
