"""FI-2010: ten days of five stocks of NASDAQ Helsinki in June 2010, the field's benchmark, as text.

    149 lines of N numbers; a column is the book after every tenth event
      lines 1-40     ask price 1, ask size 1, bid price 1, bid size 1, ask price 2, ... (10 levels)
      lines 41-144   features that its authors made of them (not read)
      lines 145-149  labels for horizons 10, 20, 30, 50, 100: 1 up, 2 stationary, 3 down

    Train_Dst_NoAuction_DecPre_CF_7.txt   days 1 to 7 of each stock    (CF_k: days 1 to k)
    Test_Dst_NoAuction_DecPre_CF_7.txt    day 8                        (CF_k: day k + 1)

The three normalizations hold the same days. Only "decimal precision" (DecPre) can be undone: it
divides prices by 100 and sizes by 100,000 (euros and shares before). Z-scores and min-max values
are no prices, and are refused.

What the files do not say, and what is done about it:

* Stocks follow each other without a mark, each with all its days. A mid-price that moves more than
  15 % from one column to the next is a change of stock; there must be five stretches, ``stock_1``
  to ``stock_5`` in the file's order. A book has one of them.
* There is no time. Row i of a stretch is dated i tenths of a second after midnight UTC of the
  file's (last) day. So a row is an event, seconds and latencies mean nothing, and event horizons
  are the ones to use.
* Nights within a training file of several days are not marked, and cannot be told from any other
  move. It is one session, and windows and labels reach across its nights. The ten one-day files
  (Train CF_1, Test CF_1 to CF_9) hold the same rows as ten sessions.

Reference: Ntakaris, Magris, Kanniainen, Gabbouj, Iosifidis (2018), Benchmark dataset for mid-price
forecasting of limit order book data with machine learning methods, J. Forecasting 37(8).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lob_backtest.book import BookMeta, FloatArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.ladders import FileSource, Side, needed, to_rows
from lob_backtest.io.stream import Counts, ImportOptions, Rows
from lob_backtest.io.tables import Place
from lob_backtest.io.wide_text import WideText

FI2010_HORIZONS = (10, 20, 30, 50, 100)
FI2010_STOCKS = ("stock_1", "stock_2", "stock_3", "stock_4", "stock_5")
_LEVELS = 10
_LINES = 149
_FIRST_LABEL_LINE = 144
_PRICE_UNITS = 100.0  # DecPre prices are euros / 100
_SIZE_UNITS = 100_000.0  # DecPre sizes are shares / 100,000
_CHANGE_OF_STOCK = 0.15
_NS_PER_ROW = 100_000_000
_ROWS_PER_DAY = 864_000
_MOST_COLUMNS = 20_000  # at a time: forty lines are read side by side
# The trading days of 1 to 14 June 2010.
_DAYS = ("01", "02", "03", "04", "07", "08", "09", "10", "11", "14")
_WANTED = (
    "an FI-2010 text of decimal precision (149 lines), e.g. Train_Dst_NoAuction_DecPre_CF_7.txt"
)
_NAME = re.compile(
    r"(?P<part>Train|Test)_Dst_(?P<auction>NoAuction|Auction)_(?P<scale>DecPre|ZScore|MinMax)"
    r"_CF_(?P<fold>[1-9])\.txt$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fi2010Labels:
    """The benchmark's own labels of one stock.

    Attributes:
        time_ns: ``(n,)`` as in the imported book, so that dropped rows do not shift them.
        labels: ``(n, 5)`` 0 down, 1 stationary, 2 up, for ``FI2010_HORIZONS``.
    """

    time_ns: IntArray
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class _File:
    """A file and what its name says.

    Attributes:
        text: its lines.
        midnight_ns: of the last of its days, UTC.
        nights: within it.
    """

    path: Path
    text: WideText
    midnight_ns: int
    nights: int

    def time_ns(self, first: int, n: int) -> IntArray:
        """``(n,)`` of the rows from ``first`` of a stretch."""
        return self.midnight_ns + np.arange(first, first + n, dtype=np.int64) * _NS_PER_ROW

    @cached_property
    def stretches(self) -> list[tuple[int, int]]:
        """First and last column (exclusive) of each stock."""
        breaks, before, first = [0], np.nan, 0
        for touch in self.text.columns((0, 2), 0, None, at_a_time=_MOST_COLUMNS):
            place = self.place(first, touch.shape[0])
            place.refuse(~np.isfinite(touch), "a best price that is no number")
            place.refuse(touch < 0, "a negative best price, which decimal precision does not have")
            is_known = (touch > 0).all(axis=1)
            mid = np.where(is_known, touch.mean(axis=1), np.nan)
            known = pd.Series(np.append(before, mid)).ffill().to_numpy()
            moves = np.abs(np.diff(np.log(known)))
            breaks += (first + np.flatnonzero(moves > np.log1p(_CHANGE_OF_STOCK))).tolist()
            before, first = float(known[-1]), first + touch.shape[0]
        stretches = list(zip(breaks, [*breaks[1:], first], strict=True))
        if len(stretches) != len(FI2010_STOCKS):
            starts = ", ".join(str(start + 1) for start, _ in stretches[:10])
            raise FormatError(
                f"{self.path}: {len(stretches)} stretches of prices without a jump of more than "
                f"{_CHANGE_OF_STOCK:.0%} (from the columns {starts}); needs five, one a stock: "
                f"{_WANTED}"
            )
        return stretches

    def stretch(self, stock: str) -> tuple[int, int]:
        """First and last column (exclusive) of a stock."""
        start, stop = self.stretches[FI2010_STOCKS.index(stock)]
        if stop - start > _ROWS_PER_DAY:
            raise FormatError(
                f"{self.path}: {stop - start:,} columns of {stock}; needs at most "
                f"{_ROWS_PER_DAY:,}, a day of tenths of a second: import the one-day files"
            )
        return start, stop

    def place(self, first: int, n: int) -> Place:
        """Where columns stand."""
        numbers = np.arange(first + 1, first + 1 + n, dtype=np.int64)
        return Place(name=self.path.name, numbers=numbers, unit="column", wanted=_WANTED)


def open_fi2010(path: Path, options: ImportOptions) -> FileSource:
    """One stock of a file.

    Args:
        path: the text under its own name, unpacked.
        options: ``instrument`` is needed, ``stock_1`` to ``stock_5``; ``tick_size`` is a cent
            unless given (the exchange's step then for prices of 10 to 50 euros).

    Raises:
        FormatError: options that are missing, another file, other than five stretches of prices;
            while reading, a column that is not as told.
    """
    options.refuse("fi2010", "mapping", "timezone", "session")
    file = _open(path)
    stock = _stock(file, options.instrument)
    tick_size = 0.01 if options.tick_size is None else options.tick_size
    meta = BookMeta(
        instrument=stock,
        tick_size=tick_size,
        currency="EUR",
        timezone="UTC",
        session_open="00:00",
        session_close="24:00",
        source=f"FI-2010, {path.name}, times are made up",
    )
    counts, n_levels = Counts(size=path.stat().st_size), options.kept_levels(_LEVELS, path)
    return FileSource(
        source_format="fi2010",
        meta=options.described(meta),
        n_levels=n_levels,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: _rows(file, stock, tick_size, n_levels, counts, chunk_rows),
    )


def read_fi2010_labels(path: Path | str, *, instrument: str) -> Fi2010Labels:
    """The labels that the benchmark itself gives to the rows of one stock.

    Args:
        path: a DecPre text, as for ``open_fi2010``.
        instrument: ``stock_1`` to ``stock_5``.

    Raises:
        FormatError: as ``open_fi2010``; a label that is not 1, 2 or 3.
    """
    file = _open(Path(path))
    start, stop = file.stretch(_stock(file, instrument))
    lines = range(_FIRST_LABEL_LINE, _LINES)
    parts = list(file.text.columns(lines, start, stop, at_a_time=_MOST_COLUMNS))
    values = np.concatenate(parts)
    place = file.place(start, values.shape[0])
    place.refuse(~np.isin(values, (1, 2, 3)), "a label that is not 1, 2 or 3")
    labels = 3 - values.astype(np.int64)  # 1 up, 2 stationary, 3 down there; 2, 1, 0 here
    return Fi2010Labels(time_ns=file.time_ns(0, stop - start), labels=labels)


def _open(path: Path) -> _File:
    match = _NAME.search(path.name)
    if match is None:
        raise FormatError(
            f"{path}: the name says neither part nor fold nor normalization; needs {_WANTED}"
        )
    if match["scale"].lower() != "decpre":
        other = re.sub("ZScore|MinMax", "DecPre", path.name, flags=re.IGNORECASE)
        raise FormatError(
            f"{path}: {match['scale']} values are no prices, and cannot be made into a book; "
            f"take the same days in decimal precision: {other}"
        )
    fold, is_train = int(match["fold"]), match["part"].lower() == "train"
    day = _DAYS[fold - 1 if is_train else fold]
    return _File(
        path=path,
        text=WideText.opened(path, n_lines=_LINES, wanted=_WANTED),
        midnight_ns=int(pd.Timestamp(f"2010-06-{day}", tz="UTC").as_unit("ns").value),
        nights=fold - 1 if is_train else 0,
    )


def _stock(file: _File, instrument: str | None) -> str:
    if instrument is None:
        lengths = ", ".join(
            f"{stock}: {stop - start:,} columns"
            for stock, (start, stop) in zip(FI2010_STOCKS, file.stretches, strict=True)
        )
        needed("fi2010", file.path, [("--instrument", f"one of the file's stocks; {lengths}")])
    assert instrument is not None
    if instrument not in FI2010_STOCKS:
        raise FormatError(
            f"{file.path}: no stock {instrument!r}; the file does not name them: "
            f"needs {', '.join(FI2010_STOCKS)}, in the file's order"
        )
    return instrument


def _rows(
    file: _File, stock: str, tick_size: float, n_levels: int, counts: Counts, chunk_rows: int
) -> Iterator[Rows]:
    start, stop = file.stretch(stock)
    n_columns = file.stretches[-1][1]
    counts.events = n_columns
    counts.rows_dropped["of another instrument"] = n_columns - (stop - start)
    counts.events_noted["nights inside, not marked by the file"] = file.nights
    lines = range(4 * n_levels)
    columns = file.text.columns(lines, start, stop, at_a_time=min(chunk_rows, _MOST_COLUMNS))
    n_read = 0
    for values in columns:
        place = file.place(start + n_read, values.shape[0])
        time_ns = file.time_ns(n_read, values.shape[0])
        n_read += values.shape[0]
        counts.done = counts.size * (start + n_read) // n_columns
        ask = _side("ask", values[:, 0::4], values[:, 1::4])
        bid = _side("bid", values[:, 2::4], values[:, 3::4])
        yield to_rows(place, time_ns, ask, bid, tick_size=tick_size)


def _side(name: str, price: FloatArray, size: FloatArray) -> Side:
    return Side(name=name, price=price * _PRICE_UNITS, size=np.round(size * _SIZE_UNITS, 3))
