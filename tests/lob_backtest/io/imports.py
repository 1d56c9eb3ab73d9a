"""Importing in tests: to a book that was written and read again, in chunks of any size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lob_backtest.book import Book, read_book
from lob_backtest.errors import LobBacktestError
from lob_backtest.io import ImportReport, import_book, open_source
from lob_backtest.io.importing import write_sources
from lob_backtest.io.joining import in_time_order
from tests.lob_backtest.io.sources import Chunked


def imported(
    name: str, paths: Sequence[Path] | Path, folder: Path, *, n_rows: int = 10**6, **options: Any
) -> tuple[Book, ImportReport]:
    """The book that files become, and the report, with chunks of ``n_rows`` rows."""
    given = [paths] if isinstance(paths, Path) else list(paths)
    asked = Chunked(n_rows=n_rows, **options)
    out = folder / "imported.book.parquet"
    report = write_sources(in_time_order(open_source(name), given, asked), out, asked, show=False)
    return read_book(out), report


def refused(
    name: str, paths: Sequence[Path] | Path, folder: Path, match: str, **options: Any
) -> str:
    """The import is refused with one message that matches, and leaves nothing behind."""
    given = [paths] if isinstance(paths, Path) else list(paths)
    out = folder / "refused.book.parquet"
    with pytest.raises(LobBacktestError, match=match) as caught:
        import_book(name, given, out, options=Chunked(n_rows=1000, **options), progress=False)
    assert not list(folder.glob("*refused*"))
    return str(caught.value)


def same_books(a: Book, b: Book) -> None:
    assert a.meta == b.meta
    np.testing.assert_array_equal(a.time_ns, b.time_ns)
    np.testing.assert_array_equal(a.features(), b.features())


def touches(book: Book) -> list[list[float]]:
    """Ask ticks, ask size, bid ticks and bid size of the best level, row by row."""
    return book.features()[:, :4].tolist()
