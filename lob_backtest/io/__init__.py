"""Files to books: one reader a format, and a report of what each import left out.

Every reader gives ``(Book, ImportReport)``; the book has passed the checks of ``Book``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

from lob_backtest.book import Book, read_book
from lob_backtest.errors import FormatError
from lob_backtest.io.bitstamp import read_bitstamp
from lob_backtest.io.joining import join_books, join_reports
from lob_backtest.io.lobster import read_lobster
from lob_backtest.io.report import ImportReport
from lob_backtest.io.sample import read_sample, sample_path
from lob_backtest.io.summary import inspect_book

__all__ = [
    "FORMATS",
    "ImportReport",
    "import_book",
    "inspect_book",
    "join_books",
    "read_bitstamp",
    "read_lobster",
    "read_parquet",
    "read_sample",
    "sample_path",
]

Reader = Callable[[Sequence[Path], int | None], tuple[Book, ImportReport]]


def read_parquet(path: Path | str, *, levels: int | None = None) -> tuple[Book, ImportReport]:
    """A book table of our own, checked again; ``levels`` keeps the best ones only."""
    book = read_book(path)
    kept = book.n_levels if levels is None else levels
    if not 1 <= kept <= book.n_levels:
        raise FormatError(f"{path}: got levels={levels}; the book has 1 to {book.n_levels}")
    if kept < book.n_levels:
        book = replace(
            book,
            ask_ticks=book.ask_ticks[:, :kept],
            ask_size=book.ask_size[:, :kept],
            bid_ticks=book.bid_ticks[:, :kept],
            bid_size=book.bid_size[:, :kept],
        )
    report = ImportReport(
        source_format="parquet",
        files=(Path(path).name,),
        events=book.n_rows,
        rows=book.n_rows,
        levels=kept,
    )
    return book, report


def import_book(
    source_format: str, paths: Sequence[Path | str], *, levels: int | None = None
) -> tuple[Book, ImportReport]:
    """Read files of one format into one book.

    Args:
        source_format: a key of ``FORMATS``.
        paths: the files; several days of one instrument are joined where the format allows it,
            none for ``"sample"``.
        levels: price levels on each side; by default what the file has (Bitstamp orders: 10).

    Raises:
        FormatError: an unknown format, too many or too few files, or a file that is not as told.
    """
    reader = FORMATS.get(source_format)
    if reader is None:
        near = get_close_matches(source_format, FORMATS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise FormatError(
            f"unknown format {source_format!r}{hint}; needs one of {', '.join(FORMATS)}"
        )
    return reader([Path(path) for path in paths], levels)


def _bitstamp(paths: Sequence[Path], levels: int | None) -> tuple[Book, ImportReport]:
    if len(paths) != 1:
        raise FormatError(
            f"bitstamp: got {len(paths)} files; needs one, since the book at the start of a second "
            "is not known: import them into books of their own"
        )
    return read_bitstamp(paths[0], levels=10 if levels is None else levels)


def _lobster(paths: Sequence[Path], levels: int | None) -> tuple[Book, ImportReport]:
    _at_least_one("lobster", paths)
    # A shell's *.csv names both tables of a day; the message table is found by the book's name.
    days = [path for path in paths if "_message_" not in path.name]
    imported = [read_lobster(path, levels=levels) for path in days]
    return _joined("lobster", imported)


def _parquet(paths: Sequence[Path], levels: int | None) -> tuple[Book, ImportReport]:
    _at_least_one("parquet", paths)
    return _joined("parquet", [read_parquet(path, levels=levels) for path in paths])


def _sample(paths: Sequence[Path], levels: int | None) -> tuple[Book, ImportReport]:
    if paths:
        raise FormatError(
            f"sample: got {len(paths)} files; it needs none. Your own orders: import bitstamp FILE"
        )
    return read_sample(levels=10 if levels is None else levels)


def _joined(name: str, imported: list[tuple[Book, ImportReport]]) -> tuple[Book, ImportReport]:
    if not imported:
        raise FormatError(f"{name}: got message tables only; name the zip or the orderbook csv")
    books, reports = zip(*imported, strict=True)
    return join_books(books), join_reports(reports)


def _at_least_one(name: str, paths: Sequence[Path]) -> None:
    if not paths:
        raise FormatError(f"{name}: got no file; usage: lob-backtest import {name} FILE -o BOOK")


FORMATS: MappingProxyType[str, Reader] = MappingProxyType(
    {"bitstamp": _bitstamp, "lobster": _lobster, "parquet": _parquet, "sample": _sample}
)
