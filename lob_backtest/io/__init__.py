"""Files to books: one reader a format, one cleaning for all, and a report of what was left out.

FILE ... ─► open_NAME ─► Source ─► clean ─► book file        import_book: of any size
                                      └──► Book in memory    read_NAME
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from lob_backtest.errors import FormatError
from lob_backtest.io.bitstamp import read_bitstamp
from lob_backtest.io.importing import read_source, write_sources
from lob_backtest.io.joining import OpenSource, in_time_order
from lob_backtest.io.lobster import read_lobster
from lob_backtest.io.parquet import read_parquet
from lob_backtest.io.report import ImportReport
from lob_backtest.io.sample import read_sample, sample_path
from lob_backtest.io.stream import Counts, ImportOptions, Rows, Source
from lob_backtest.io.summary import inspect_book

__all__ = [
    "FORMATS",
    "Counts",
    "ImportOptions",
    "ImportReport",
    "Rows",
    "Source",
    "import_book",
    "inspect_book",
    "open_source",
    "read_bitstamp",
    "read_lobster",
    "read_parquet",
    "read_sample",
    "read_source",
    "sample_path",
]

# Readers are imported when one is used: some need packages of their own.
FORMATS: MappingProxyType[str, str] = MappingProxyType(
    {
        "bitstamp": "lob_backtest.io.bitstamp:open_bitstamp",
        "lobster": "lob_backtest.io.lobster:open_lobster",
        "parquet": "lob_backtest.io.parquet:open_parquet",
        "sample": "lob_backtest.io.sample:open_sample",
        "fi2010": "lob_backtest.io.fi2010:open_fi2010",
        "bitmex": "lob_backtest.io.bitmex:open_bitmex",
        "databento": "lob_backtest.io.databento:open_databento",
        "lean": "lob_backtest.io.lean:open_lean",
        "snapshots": "lob_backtest.io.snapshots:open_snapshots",
        "mapped": "lob_backtest.io.mapping:open_mapped",
    }
)


def open_source(source_format: str) -> OpenSource:
    """The function that opens a file of a format.

    Raises:
        FormatError: an unknown format; names the nearest.
    """
    place = FORMATS.get(source_format)
    if place is None:
        near = get_close_matches(source_format, FORMATS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise FormatError(
            f"unknown format {source_format!r}{hint}; needs one of {', '.join(FORMATS)}"
        )
    module, _, name = place.partition(":")
    function: OpenSource = getattr(import_module(module), name)
    return function


def import_book(
    source_format: str,
    paths: Sequence[Path | str],
    output: Path | str,
    *,
    options: ImportOptions | None = None,
    progress: bool = True,
) -> ImportReport:
    """Read files of one format into one book file, whatever their size.

    Args:
        source_format: a key of ``FORMATS``.
        paths: the files, in any order; several (days, say) must be of one instrument and must not
            overlap in time. None for ``"sample"``.
        output: the book table (Parquet); written whole or not at all.
        options: what the files do not say themselves, and how much memory to use.
        progress: whether to show on standard error how far the work is.

    Raises:
        FormatError: an unknown format, too many or too few files, or a file that is not as told.
        BookError: rows that are no order book.
    """
    options = ImportOptions() if options is None else options
    opener = open_source(source_format)
    sources = in_time_order(opener, _days(source_format, paths), options)
    return write_sources(sources, output, options, show=progress)


def _days(source_format: str, paths: Sequence[Path | str]) -> list[Path]:
    """The files to open, one a source."""
    if source_format == "sample":
        if paths:
            raise FormatError(
                f"sample: got {len(paths)} files; it needs none. Your own orders: "
                "import bitstamp FILE"
            )
        return [sample_path()]
    if not paths:
        raise FormatError(
            f"{source_format}: got no file; usage: lob-backtest import {source_format} FILE -o BOOK"
        )
    if source_format == "bitstamp" and len(paths) > 1:
        raise FormatError(
            f"bitstamp: got {len(paths)} files; needs one, since the book at the start of a second "
            "is not known: import them into books of their own"
        )
    days = [Path(path) for path in paths]
    if source_format == "lobster":
        # A shell's *.csv names both tables of a day; the message table is found by the book's name.
        days = [path for path in days if "_message_" not in path.name]
        if not days:
            raise FormatError("lobster: got message tables only; name the zip or the orderbook csv")
    return days
