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

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BookMeta, BoolArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import explained, read_columns, refuse_lines, require_file
from lob_backtest.io.report import ImportReport

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
_PRICE_UNITS_PER_TICK = 100  # LOBSTER prices are dollars * 10_000, a tick is a cent
_NO_LEVEL = 9_999_999_999
_HALT = 7
_SECONDS = re.compile(r"\d{1,5}(\.\d{1,15})?")


@dataclass(frozen=True, kw_only=True)
class _Day:
    """Where one day's two tables are."""

    instrument: str
    date: str
    session: tuple[str, str]
    levels: int
    orderbook_name: str
    message_name: str
    open_orderbook: Callable[[], IO[bytes]]
    open_message: Callable[[], IO[bytes]]


def read_lobster(
    path: Path | str, *, message: Path | str | None = None, levels: int | None = None
) -> tuple[Book, ImportReport]:
    """Read one day.

    Every row of the file becomes a row of the book, so row numbers agree. Rows that are crossed or
    locked, or that have an empty side (as before an opening), are no book; they are dropped and
    counted.

    Args:
        path: the zip, or the orderbook csv.
        message: the message csv; by default found beside an orderbook csv by its name.
        levels: how many of the file's levels to keep; by default all.

    Raises:
        FormatError: missing, empty, cut off, another format, a price between ticks, another number
            of rows in the two tables.
    """
    path = require_file(path, _WANTED)
    day = _zip_day(path) if path.suffix == ".zip" else _csv_day(path, message)
    kept_levels = day.levels if levels is None else levels
    if not 1 <= kept_levels <= day.levels:
        raise FormatError(f"{path}: got levels={levels}; the file has 1 to {day.levels}")
    time_ns, message_type = _read_messages(day)
    table = _read_orderbook(day)
    if table.shape[0] != time_ns.shape[0]:
        raise FormatError(
            f"{path}: {table.shape[0]} rows in {day.orderbook_name} and {time_ns.shape[0]} in "
            f"{day.message_name}; row i of one belongs to row i of the other: fetch both again"
        )
    book, dropped = _to_book(day, time_ns, table[:, : 4 * kept_levels])
    return book, ImportReport(
        source_format="lobster",
        files=(day.orderbook_name, day.message_name),
        events=time_ns.shape[0],
        rows=book.n_rows,
        levels=kept_levels,
        rows_dropped=dropped,
        events_noted={"trading halts (type 7)": int((message_type == _HALT).sum())},
        crossed_share_before=dropped["crossed or locked"] / time_ns.shape[0],
    )


def _to_book(day: _Day, time_ns: IntArray, table: IntArray) -> tuple[Book, dict[str, int]]:
    n_levels = table.shape[1] // 4
    ask_price, ask_size, bid_price, bid_size = (table[:, column::4].copy() for column in range(4))
    no_ask, no_bid = ask_price == _NO_LEVEL, bid_price == -_NO_LEVEL

    def refuse(bad: BoolArray, got: str) -> None:
        lines: BoolArray = np.any(bad, axis=1)
        refuse_lines(lines, day.orderbook_name, got, has_header=False, wanted=_WANTED)

    refuse(~no_ask & (ask_price % _PRICE_UNITS_PER_TICK != 0), "an ask price between two cents")
    refuse(~no_bid & (bid_price % _PRICE_UNITS_PER_TICK != 0), "a bid price between two cents")
    refuse((ask_size < 0) | (bid_size < 0), "a negative size")
    refuse(no_ask & (ask_size > 0) | no_bid & (bid_size > 0), "a size at a missing level")
    ask_ticks, bid_ticks = ask_price // _PRICE_UNITS_PER_TICK, bid_price // _PRICE_UNITS_PER_TICK
    for level in range(1, n_levels):  # a missing level continues the ladder one tick outwards
        ask_ticks[:, level] = np.where(
            no_ask[:, level], ask_ticks[:, level - 1] + 1, ask_ticks[:, level]
        )
        bid_ticks[:, level] = np.where(
            no_bid[:, level], bid_ticks[:, level - 1] - 1, bid_ticks[:, level]
        )
    one_sided = no_ask[:, 0] | no_bid[:, 0]
    crossed = ~one_sided & (ask_ticks[:, 0] <= bid_ticks[:, 0])
    kept = ~one_sided & ~crossed
    book = Book(
        meta=BookMeta(
            instrument=day.instrument,
            tick_size=0.01,
            currency="USD",
            timezone=_TIMEZONE,
            session_open=day.session[0],
            session_close=day.session[1],
            source=f"LOBSTER, {day.orderbook_name}",
        ),
        time_ns=time_ns[kept],
        ask_ticks=ask_ticks[kept],
        ask_size=ask_size[kept].astype(np.float64),
        bid_ticks=bid_ticks[kept],
        bid_size=bid_size[kept].astype(np.float64),
    )
    return book, {"crossed or locked": int(crossed.sum()), "one side empty": int(one_sided.sum())}


def _read_orderbook(day: _Day) -> IntArray:
    columns = {f"column {i + 1}": int for i in range(4 * day.levels)}
    frame = read_columns(day.open_orderbook, day.orderbook_name, dtypes=columns, has_header=False,
                         wanted=_WANTED)  # fmt: skip
    return frame.to_numpy(dtype=np.int64)


def _read_messages(day: _Day) -> tuple[IntArray, IntArray]:
    dtypes = {"seconds": str, "type": int, "order id": int, "size": int, "price": int, "side": int}
    frame = read_columns(day.open_message, day.message_name, dtypes=dtypes, has_header=False,
                         wanted=_WANTED)  # fmt: skip
    seconds = frame["seconds"].astype(str)
    refuse_lines(~seconds.str.fullmatch(_SECONDS).to_numpy(dtype=bool), day.message_name,
                 "the first field is no time in seconds after midnight", has_header=False,
                 wanted=_WANTED)  # fmt: skip
    return (
        _utc_ns(day.date, nanoseconds_of(seconds), day.message_name),
        frame["type"].to_numpy(dtype=np.int64),
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


def _utc_ns(date: str, after_midnight_ns: IntArray, name: str) -> IntArray:
    try:
        midnight = pd.Timestamp(date, tz=_TIMEZONE)
    except ValueError as error:
        raise FormatError(f"{name}: {date} is no date; needs {_WANTED}") from error
    # Clocks change at 02:00 on Sundays, never within a session: midnight's offset holds all day.
    return np.asarray(midnight.as_unit("ns").value + after_midnight_ns, dtype=np.int64)


def _session(start_ms: int, end_ms: int) -> tuple[str, str]:
    """NASDAQ's session, or longer where the file's name says that it begins or ends outside it."""
    opening = min(start_ms // _MS_PER_MINUTE, _SESSION_MINUTES[0])
    closing = max(-(-end_ms // _MS_PER_MINUTE), _SESSION_MINUTES[1])
    return f"{opening // 60:02}:{opening % 60:02}", f"{closing // 60:02}:{closing % 60:02}"


def _zip_day(path: Path) -> _Day:
    with explained(path, _WANTED), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    books = [name for name in names if _NAME.search(name)]
    if len(books) != 1:
        raise FormatError(f"{path}: got {names} in the zip; needs {_WANTED}, one day in a zip")
    message = books[0].replace("_orderbook_", "_message_")
    if message not in names:
        raise FormatError(f"{path}: {message} is missing in the zip; needs {_WANTED}")
    return _day(books[0], message, lambda: _unzip(path, books[0]), lambda: _unzip(path, message))


def _csv_day(path: Path, message: Path | str | None) -> _Day:
    if not _NAME.search(path.name):
        raise FormatError(f"{path}: the name says neither date nor levels; needs {_WANTED}")
    beside = path.with_name(path.name.replace("_orderbook_", "_message_"))
    message = require_file(beside if message is None else message, _WANTED)
    opened = message
    return _day(path.name, message.name, lambda: path.open("rb"), lambda: opened.open("rb"))


def _day(
    orderbook_name: str,
    message_name: str,
    open_orderbook: Callable[[], IO[bytes]],
    open_message: Callable[[], IO[bytes]],
) -> _Day:
    match = _NAME.search(orderbook_name)
    assert match is not None
    return _Day(
        instrument=match["instrument"],
        date=match["date"],
        session=_session(int(match["start"]), int(match["end"])),
        levels=int(match["levels"]),
        orderbook_name=Path(orderbook_name).name,
        message_name=Path(message_name).name,
        open_orderbook=open_orderbook,
        open_message=open_message,
    )


def _unzip(path: Path, member: str) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read(member))
