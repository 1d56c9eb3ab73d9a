"""LOBSTER: NASDAQ books reconstructed by limitorderbook reconstruction system LOBSTER.

A day is two csv files without header, row i of one belonging to row i of the other, which come
together in a zip:

    NAME_DATE_START_END_orderbook_L.csv  ask price 1, ask size 1, bid price 1, bid size 1, ask 2 ...
    NAME_DATE_START_END_message_L.csv    seconds after midnight, type, order id, size, price, side

Prices are dollars * 10,000; a missing level has the price 9999999999 (ask) or -9999999999 (bid).
Seconds are New York time with nine decimals, read digit by digit: seconds * 1e9 in float64 falls a
nanosecond short of many of them.
(A few lines carry the noise of a float printer, as in 43002.632812672004: rounded to nanoseconds.)
The row is the book after its message. Halts are messages of type 7: counted, not cut out.

Reference: Huang and Polak (2011), LOBSTER: Limit Order Book Reconstruction System.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BookMeta, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import DelimitedFile, Lines, explained, require_file
from lob_backtest.io.importing import read_source
from lob_backtest.io.report import ImportReport
from lob_backtest.io.stream import Counts, ImportOptions, Rows

_WANTED = (
    "a LOBSTER zip with ..._orderbook_L.csv and ..._message_L.csv, or the two csv files "
    "(NAME_DATE_START_END_orderbook_L.csv, DATE as 2012-06-21)"
)
_NAME = re.compile(
    r"(?P<instrument>[^_/]+)_(?P<date>\d{4}-\d{2}-\d{2})_(?P<start>\d+)_(?P<end>\d+)"
    r"_orderbook_(?P<levels>\d+)\.csv$"
)
_TIMEZONE = "America/New_York"
_SESSION_MINUTES = (9 * 60 + 30, 16 * 60)
_MS_PER_MINUTE = 60_000
_UNITS_PER_DOLLAR = 10_000
_NO_LEVEL = 9_999_999_999
_HALT = 7
_HALTS = f"trading halts (type {_HALT})"
_MESSAGE_COLUMNS = {
    "seconds": str, "type": int, "order id": int, "size": int, "price": int, "side": int,
}  # fmt: skip
_SECONDS = re.compile(r"\d{1,5}(\.\d{1,15})?")


@dataclass(frozen=True, kw_only=True)
class _Table:
    """Where one of a day's two tables is."""

    name: str
    size: int  # bytes, unpacked
    open_file: Callable[[], IO[bytes]]

    def of_columns(self, dtypes: dict[str, type]) -> DelimitedFile:
        return DelimitedFile(
            open_file=self.open_file,
            name=self.name,
            dtypes=dtypes,
            has_header=False,
            wanted=_WANTED,
        )


def open_lobster(path: Path, options: ImportOptions) -> "LobsterDay":
    """One day: the zip, or the orderbook csv beside its message csv.

    Every row of the file is a row of the source, so row numbers agree. The tick is a cent unless
    the options say otherwise.

    Raises:
        FormatError: missing, empty, cut off, or another format.
    """
    return _open(path, options, message=None)


def read_lobster(
    path: Path | str, *, message: Path | str | None = None, levels: int | None = None
) -> tuple[Book, ImportReport]:
    """Read one day into memory.

    Args:
        path: the zip, or the orderbook csv.
        message: the message csv; by default found beside an orderbook csv by its name.
        levels: how many of the file's levels to keep; by default all.

    Raises:
        FormatError: missing, empty, cut off, another format, a price between ticks, another number
            of rows in the two tables.
    """
    return read_source(_open(Path(path), ImportOptions(levels=levels), message=message))


def _open(path: Path, options: ImportOptions, *, message: Path | str | None) -> "LobsterDay":
    options.refuse("lobster", "timezone", "mapping")
    path = require_file(path, _WANTED)
    tables = _zip_tables(path) if path.suffix == ".zip" else _csv_tables(path, message)
    return LobsterDay(path, *tables, options)


class LobsterDay:
    """The two tables of a day, read in step."""

    source_format = "lobster"

    def __init__(
        self, path: Path, orderbook: _Table, message: _Table, options: ImportOptions
    ) -> None:
        match = _NAME.search(orderbook.name)
        assert match is not None
        self._path, self._orderbook, self._message = path, orderbook, message
        self._midnight_ns = _midnight_ns(match["date"], orderbook.name)
        self._file_levels = int(match["levels"])
        self.n_levels = options.kept_levels(self._file_levels, path)
        tick_size = 0.01 if options.tick_size is None else options.tick_size
        self._units_per_tick = _units_per_tick(tick_size)
        session_open, session_close = _session(int(match["start"]), int(match["end"]))
        self.meta = options.described(
            BookMeta(
                instrument=match["instrument"],
                tick_size=tick_size,
                currency="USD",
                timezone=_TIMEZONE,
                session_open=session_open,
                session_close=session_close,
                source=f"LOBSTER, {orderbook.name}",
            )
        )
        self.files = (orderbook.name, message.name)
        self.counts = Counts(size=orderbook.size + message.size)
        self.counts.events_noted[_HALTS] = 0

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        """Both tables, ``chunk_rows`` lines at a time (fewer where levels are left out)."""
        lines = max(1, chunk_rows * self.n_levels // self._file_levels)
        columns: dict[str, type] = {f"column {i + 1}": int for i in range(4 * self._file_levels)}
        books = self._orderbook.of_columns(columns).chunks(lines)
        messages = self._message.of_columns(_MESSAGE_COLUMNS).chunks(lines)
        for book, message in zip_longest(books, messages):
            self._refuse_unequal(book, message, books, messages)
            self.counts.events += len(book.frame)
            self.counts.done = book.position + message.position
            self.counts.events_noted[_HALTS] += int((message.frame["type"] == _HALT).sum())
            yield self._rows(book, self._time_ns(message))

    def _refuse_unequal(
        self,
        book: Lines | None,
        message: Lines | None,
        books: Iterator[Lines],
        messages: Iterator[Lines],
    ) -> None:
        n_book, n_message = (0 if part is None else len(part.frame) for part in (book, message))
        if n_book == n_message:
            return
        n_book += self.counts.events + sum(len(lines.frame) for lines in books)
        n_message += self.counts.events + sum(len(lines.frame) for lines in messages)
        raise FormatError(
            f"{self._path}: {n_book} rows in {self._orderbook.name} and {n_message} in "
            f"{self._message.name}; row i of one belongs to row i of the other: fetch both again"
        )

    def _time_ns(self, message: Lines) -> IntArray:
        seconds = message.frame["seconds"].astype(str)
        is_time = seconds.str.fullmatch(_SECONDS).to_numpy(dtype=bool)
        message.refuse(~is_time, "the first field is no time in seconds after midnight")
        # Clocks change at 02:00 on Sundays, never within a session: midnight's offset holds.
        return self._midnight_ns + nanoseconds_of(seconds)

    def _rows(self, lines: Lines, time_ns: IntArray) -> Rows:
        table = lines.frame.to_numpy(dtype=np.int64)[:, : 4 * self.n_levels]
        ask, ask_size, bid, bid_size = (table[:, column::4] for column in range(4))
        no_ask, no_bid, units = ask == _NO_LEVEL, bid == -_NO_LEVEL, self._units_per_tick
        ticks = f"ticks of {self.meta.tick_size:g}"
        for bad, got in (
            (~no_ask & (ask % units != 0), f"an ask price between two {ticks}"),
            (~no_bid & (bid % units != 0), f"a bid price between two {ticks}"),
            ((ask_size < 0) | (bid_size < 0), "a negative size"),
            (no_ask & (ask_size > 0) | no_bid & (bid_size > 0), "a size at a missing level"),
        ):
            lines.refuse(np.any(bad, axis=1), got)
        return Rows(
            time_ns=time_ns,
            ask_ticks=ask // units,
            ask_size=ask_size.astype(np.float64),
            bid_ticks=bid // units,
            bid_size=bid_size.astype(np.float64),
        )


def nanoseconds_of(seconds: "pd.Series[str]") -> IntArray:
    """Decimal seconds as whole nanoseconds, exactly; decimals beyond nine are rounded.

    >>> nanoseconds_of(pd.Series(["34200.015105074", "1.5", "2", "0.0000000019"])).tolist()
    [34200015105074, 1500000000, 2000000000, 2]
    """
    parts = seconds.str.partition(".")
    decimals = parts[2].str.pad(10, side="right", fillchar="0")
    whole = parts[0].to_numpy(dtype=np.int64)
    fraction = decimals.str.slice(0, 9).to_numpy(dtype=np.int64)
    rounding_up = decimals.str.slice(9, 10).to_numpy(dtype=np.int64) >= 5
    nanoseconds: IntArray = whole * 1_000_000_000 + fraction + rounding_up
    return nanoseconds


def _midnight_ns(date: str, name: str) -> int:
    try:
        return int(pd.Timestamp(date, tz=_TIMEZONE).as_unit("ns").value)
    except ValueError as error:
        raise FormatError(f"{name}: {date} is no date; needs {_WANTED}") from error


def _units_per_tick(tick_size: float) -> int:
    units = tick_size * _UNITS_PER_DOLLAR
    if units < 0.5 or abs(units - round(units)) > 1e-6:
        raise FormatError(
            f"tick size {tick_size:g}: LOBSTER prices are dollars in steps of 0.0001; needs a "
            "multiple of that, as 0.01"
        )
    return round(units)


def _session(start_ms: int, end_ms: int) -> tuple[str, str]:
    """NASDAQ's session, or longer where the file's name says that it begins or ends outside it."""
    opening = min(start_ms // _MS_PER_MINUTE, _SESSION_MINUTES[0])
    closing = max(-(-end_ms // _MS_PER_MINUTE), _SESSION_MINUTES[1])
    return f"{opening // 60:02}:{opening % 60:02}", f"{closing // 60:02}:{closing % 60:02}"


def _zip_tables(path: Path) -> tuple[_Table, _Table]:
    with explained(path, _WANTED), zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    books = [name for name in sizes if _NAME.search(name)]
    if len(books) != 1:
        raise FormatError(f"{path}: got {[*sizes]} in the zip; needs {_WANTED}, one day in a zip")
    message = books[0].replace("_orderbook_", "_message_")
    if message not in sizes:
        raise FormatError(f"{path}: {message} is missing in the zip; needs {_WANTED}")

    def table(member: str) -> _Table:
        return _Table(
            name=Path(member).name, size=sizes[member], open_file=lambda: _unzip(path, member)
        )

    return table(books[0]), table(message)


def _csv_tables(path: Path, message: Path | str | None) -> tuple[_Table, _Table]:
    if not _NAME.search(path.name):
        raise FormatError(f"{path}: the name says neither date nor levels; needs {_WANTED}")
    beside = path.with_name(path.name.replace("_orderbook_", "_message_"))

    def table(place: Path) -> _Table:
        return _Table(
            name=place.name, size=place.stat().st_size, open_file=lambda: place.open("rb")
        )

    return table(path), table(require_file(beside if message is None else message, _WANTED))


def _unzip(path: Path, member: str) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        return archive.open(member)  # the archive stays open until its member is closed
