"""QuantConnect Lean: best bids and offers of US equities, one zip a day.

    20131007_bac_Quote_Tick.csv, in a zip; no header:
    ms after midnight (New York), bid price, bid size, ask price, ask size, exchange, condition,
    suspicious

    34200012,141800,700,0,0,P,1,0       a bid alone: prices are dollars * 10,000, 0 is "not said"
    34200015,0,0,141900,500,Q,1,0       an ask alone

A row says one side (or both), of the one venue that it names. The best bid is the last bid row and
the best ask the last ask row, whatever the venue: the feed is of the national best bid and offer.
So there is a row of the book for every row of the file, of one level, from the first moment at
which both sides are known. Quotes before the opening are known at the opening, too. Suspicious rows
say nothing about the book.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lob_backtest.book import BookMeta, BoolArray, FloatArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.ladders import FileSource, integers, texts
from lob_backtest.io.opening import opened
from lob_backtest.io.stream import Counts, ImportOptions, Rows
from lob_backtest.io.tables import Place, TextTable

_WANTED = (
    "a Lean day of quotes of a US equity (a zip with DATE_TICKER_Quote_Tick.csv: ms, bid price, "
    "bid size, ask price, ask size, exchange, condition, suspicious)"
)
_NAME = re.compile(r"(?P<date>\d{8})_(?P<ticker>[^_]+)_(?P<kind>[a-z]+)_tick\.csv", re.IGNORECASE)
_NUMBERS = ("ms", "bid_price", "bid_size", "ask_price", "ask_size")
_COLUMNS = (*_NUMBERS, "exchange", "condition", "suspicious")
_TIMEZONE = "America/New_York"
_MS_PER_DAY = 86_400_000
_PRICE_UNITS = 10_000  # Lean's prices of equities are dollars * 10_000
_MOST = 2**40
_REGULAR = "1"


def open_lean(path: Path, options: ImportOptions) -> FileSource:
    """One day of quotes.

    Args:
        path: the zip, or the csv that was in it under its own name (which says date and ticker).
        options: ``tick_size`` is a cent unless given, the session New York's 09:30 to 16:00.

    Raises:
        FormatError: another file, a name without date; while reading, a line that is not as told.
    """
    options.refuse("lean", "mapping")
    with opened(path, _WANTED) as file:
        name = file.name
    match = _NAME.search(name)
    if match is None or match["kind"].lower() != "quote":
        raise FormatError(f"{path}: got {name}; needs {_WANTED}")
    tick_size = 0.01 if options.tick_size is None else options.tick_size
    units = round(tick_size * _PRICE_UNITS)
    if units < 1 or abs(units / _PRICE_UNITS - tick_size) > 1e-12:
        raise FormatError(
            f"{path}: got --tick-size {tick_size}; Lean's prices have four decimals: "
            "give a multiple of 0.0001"
        )
    meta = BookMeta(
        instrument=match["ticker"].upper(),
        tick_size=tick_size,
        currency="USD",
        timezone=_TIMEZONE,
        session_open="09:30",
        session_close="16:00",
        source=f"Lean quotes, {name}",
    )
    counts, midnight_ns = Counts(size=path.stat().st_size), _midnight_ns(match["date"], path)
    options.kept_levels(1, path)
    return FileSource(
        source_format="lean",
        meta=options.described(meta),
        n_levels=1,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: _rows(path, midnight_ns, units, counts, chunk_rows),
    )


@dataclass(kw_only=True)
class _Side:
    """The last price and size of one side, carried from chunk to chunk; 0 before the first."""

    name: str
    price: int = 0
    size: float = 0.0

    def after(self, price: IntArray, size: IntArray) -> tuple[IntArray, FloatArray]:
        """``(n,)`` the side after each row; rows with price 0 leave it as it was."""
        says = np.flatnonzero(price > 0)
        last = np.searchsorted(says, np.arange(price.size), side="right") - 1
        known_price = np.append(price[says], self.price)[last]  # -1: the one carried over
        known_size = np.append(size[says].astype(np.float64), self.size)[last]
        if price.size:
            self.price, self.size = int(known_price[-1]), float(known_size[-1])
        return known_price, known_size


@dataclass(kw_only=True)
class _Quotes:
    bid: _Side = field(default_factory=lambda: _Side(name="bid"))
    ask: _Side = field(default_factory=lambda: _Side(name="ask"))


def _rows(
    path: Path, midnight_ns: int, units: int, counts: Counts, chunk_rows: int
) -> Iterator[Rows]:
    types = {name: pa.int64() for name in (*_NUMBERS, "suspicious")}
    types["condition"] = pa.string()
    table = TextTable(names=_COLUMNS, types=types, wanted=_WANTED)
    quotes = _Quotes()
    for place, batch in table.batches(path, counts, chunk_rows=chunk_rows):
        _check(place, batch, units)
        counts.events += batch.num_rows
        conditions = texts(batch, "condition")
        is_regular = np.array([name == _REGULAR for name in conditions.dictionary.to_pylist()])
        counts.events_noted["not regular by their condition"] += int(
            (~is_regular[conditions.indices.to_numpy()]).sum()
        )
        kept = _says_something(place, batch, counts)
        if kept.any():
            said = batch.filter(pa.array(kept))
            yield _quoted(place.chosen(kept), said, quotes, midnight_ns, units)


def _says_something(place: Place, batch: pa.RecordBatch, counts: Counts) -> BoolArray:
    is_suspicious = integers(place, batch, "suspicious") == 1
    is_empty = (integers(place, batch, "bid_price") == 0) & (
        integers(place, batch, "ask_price") == 0
    )
    counts.rows_dropped["suspicious"] += int(is_suspicious.sum())
    counts.rows_dropped["neither side said"] += int((is_empty & ~is_suspicious).sum())
    kept: BoolArray = ~is_suspicious & ~is_empty
    return kept


def _quoted(
    place: Place, batch: pa.RecordBatch, quotes: _Quotes, midnight_ns: int, units: int
) -> Rows:
    bid_price, bid_size = quotes.bid.after(
        integers(place, batch, "bid_price"), integers(place, batch, "bid_size")
    )
    ask_price, ask_size = quotes.ask.after(
        integers(place, batch, "ask_price"), integers(place, batch, "ask_size")
    )
    return Rows(
        time_ns=midnight_ns + integers(place, batch, "ms") * 1_000_000,
        ask_ticks=(ask_price // units)[:, None],
        ask_size=ask_size[:, None],
        bid_ticks=(bid_price // units)[:, None],
        bid_size=bid_size[:, None],
    )


def _check(place: Place, batch: pa.RecordBatch, units: int) -> None:
    ms, suspicious = integers(place, batch, "ms"), integers(place, batch, "suspicious")
    place.refuse((ms < 0) | (ms >= _MS_PER_DAY), "a time that is not within a day of milliseconds")
    place.refuse((suspicious != 0) & (suspicious != 1), "a suspicious flag that is not 0 or 1")
    for side in ("bid", "ask"):
        price, size = (
            integers(place, batch, f"{side}_price"),
            integers(place, batch, f"{side}_size"),
        )
        place.refuse((price < 0) | (price > _MOST), f"{side} price that is negative or too large")
        place.refuse((size < 0) | (size > _MOST), f"{side} size that is negative or too large")
        place.refuse((price == 0) & (size > 0), f"{side} size without a price")
        got = f"{side} price between two ticks of {units / _PRICE_UNITS}"
        remedy = "give the price step of this stock: --tick-size 0.0001"
        place.refuse((price % units != 0) & (suspicious == 0), got, remedy)


def _midnight_ns(date: str, path: Path) -> int:
    try:
        midnight = pd.to_datetime(date, format="%Y%m%d").tz_localize(_TIMEZONE)
    except ValueError as error:
        raise FormatError(f"{path}: {date} is no date; needs {_WANTED}") from error
    # Clocks change at 02:00 on Sundays, when this market is closed: the offset holds all day.
    return int(midnight.as_unit("ns").value)
