"""The book table: L price levels on each side at every row, in time order.

    row   ask_price_1 ask_size_1 bid_price_1 bid_size_1 ask_price_2 ...      level 1 is best
    t0         101        5.0        100        2.0         102     ...
    t1         101        3.0        100        2.0         102     ...

Prices are integer ticks until the last division. The column order is also the order of the model
input: DeepLOB's (1,2)-stride convolution pairs a price with its size, and a different order
silently destroys the model. So it is checked on reading, not assumed.

A level that does not exist (a thin book) has size 0 and continues the ladder one tick outwards, so
that prices stay sorted and finite. It can only stand behind every level that does exist.
"""

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lob_backtest.errors import BookError, FormatError
from lob_backtest.files import atomic_path

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_META_KEY = b"lob_backtest.book"
_NS_PER_DAY = 86_400_000_000_000


@dataclass(frozen=True, kw_only=True)
class BookMeta:
    """What the rows are of.

    Attributes:
        instrument: name, e.g. ``"GOOG"`` or ``"BTC/USD"``.
        tick_size: currency units a tick, e.g. 0.01.
        currency: ISO code or coin, e.g. ``"USD"``.
        timezone: IANA name in which the session times are meant.
        session_open: local ``"HH:MM"``, or None for a market that never closes.
        session_close: local ``"HH:MM"`` after ``session_open``, or None.
        source: where the rows came from, for provenance.
    """

    instrument: str
    tick_size: float
    currency: str
    timezone: str
    session_open: str | None
    session_close: str | None
    source: str

    def __post_init__(self) -> None:
        if not self.tick_size > 0:
            raise BookError(f"tick_size={self.tick_size}: needs a positive price step")
        if (self.session_open is None) != (self.session_close is None):
            raise BookError(
                f"session_open={self.session_open} and session_close={self.session_close}: "
                "give both, or neither for a market that never closes"
            )
        if self.session_open is not None and self.session_close is not None:
            opening, closing = _clock_ns(self.session_open), _clock_ns(self.session_close)
            if closing <= opening:
                raise BookError(
                    f"session {self.session_open} to {self.session_close}: needs a close after "
                    "the open on the same local day"
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class Book:
    """An order book over time; construction checks the whole table.

    Attributes:
        meta: what the rows are of.
        time_ns: ``(N,)`` int64, nanoseconds since the epoch, UTC, never decreasing. Rows may share
            an instant (several events in one packet): what is known then is the last of them.
        ask_ticks, bid_ticks: ``(N, L)`` int64 prices in ticks, level 1 first.
        ask_size, bid_size: ``(N, L)`` float64 sizes; 0 marks a level that does not exist.

    Raises:
        BookError: no rows, unsorted time or time outside the session, crossed or locked touch,
            levels out of order, or a size that is negative, not finite, or zero at the touch.
    """

    meta: BookMeta
    time_ns: IntArray
    ask_ticks: IntArray
    ask_size: FloatArray
    bid_ticks: IntArray
    bid_size: FloatArray

    def __post_init__(self) -> None:
        _check(self)

    @property
    def n_rows(self) -> int:
        return int(self.time_ns.shape[0])

    @property
    def n_levels(self) -> int:
        return int(self.ask_ticks.shape[1])

    @cached_property
    def mid_ticks(self) -> FloatArray:
        """``(N,)`` mid-price in ticks: the mean of best ask and best bid."""
        return (self.ask_ticks[:, 0] + self.bid_ticks[:, 0]) / 2

    @property
    def spread_ticks(self) -> IntArray:
        """``(N,)`` best ask minus best bid in ticks, at least 1."""
        return self.ask_ticks[:, 0] - self.bid_ticks[:, 0]

    @cached_property
    def session(self) -> IntArray:
        """``(N,)`` session number of each row, 0, 1, ...; a new local day opens a new session.

        One session for a market that never closes. No window, label or position crosses sessions.
        """
        if self.meta.session_open is None:
            return np.zeros(self.n_rows, dtype=np.int64)
        local_day = local_ns(self.time_ns, self.meta.timezone) // _NS_PER_DAY
        return np.cumsum(np.diff(local_day, prepend=local_day[0]) != 0, dtype=np.int64)

    @cached_property
    def session_starts(self) -> IntArray:
        """``(S + 1,)`` first row of each session, then N."""
        starts = np.flatnonzero(np.diff(self.session, prepend=-1))
        return np.append(starts, self.n_rows).astype(np.int64)

    @property
    def is_last_of_instant(self) -> BoolArray:
        """``(N,)`` whether a row is the last one at its ``time_ns``: the only ones to decide on."""
        return np.append(self.time_ns[1:] != self.time_ns[:-1], True)

    def row_known_at(self, instants_ns: IntArray) -> IntArray:
        """Last row with ``time_ns <= instant``, for each instant; -1 before the first row."""
        return np.searchsorted(self.time_ns, instants_ns, side="right").astype(np.int64) - 1

    def features(self, start: int = 0, stop: int | None = None) -> FloatArray:
        """``(stop - start, 4 L)`` rows in contract order, prices in ticks, as float64."""
        rows = slice(start, stop)
        parts = (self.ask_ticks[rows], self.ask_size[rows], self.bid_ticks[rows],
                 self.bid_size[rows])  # fmt: skip
        stacked = np.stack([np.asarray(part, dtype=np.float64) for part in parts], axis=2)
        return stacked.reshape(stacked.shape[0], 4 * self.n_levels)

    def rows(self, start: int, stop: int) -> "Book":
        """The rows ``start <= i < stop`` as a book of their own (a view)."""
        part = slice(start, stop)
        return Book(
            meta=self.meta,
            time_ns=self.time_ns[part],
            ask_ticks=self.ask_ticks[part],
            ask_size=self.ask_size[part],
            bid_ticks=self.bid_ticks[part],
            bid_size=self.bid_size[part],
        )


def book_columns(n_levels: int) -> list[str]:
    """The column names of the book table, in contract order."""
    names = ["time_ns"]
    for level in range(1, n_levels + 1):
        names += [f"{side}_{what}_{level}" for side in ("ask", "bid") for what in ("price", "size")]
    return names


def write_book(book: Book, path: Path | str) -> None:
    """Write the book table as Parquet, whole or not at all."""
    columns: dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]] = {"time_ns": book.time_ns}
    for level in range(book.n_levels):
        columns[f"ask_price_{level + 1}"] = book.ask_ticks[:, level]
        columns[f"ask_size_{level + 1}"] = book.ask_size[:, level]
        columns[f"bid_price_{level + 1}"] = book.bid_ticks[:, level]
        columns[f"bid_size_{level + 1}"] = book.bid_size[:, level]
    meta = {field.name: getattr(book.meta, field.name) for field in fields(BookMeta)}
    table = pa.table(columns).replace_schema_metadata({_META_KEY: json.dumps(meta).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_book(path: Path | str) -> Book:
    """Read a book table that ``write_book`` or an equal writer made.

    Raises:
        FormatError: no such file, no Parquet, columns or metadata missing or in another order.
        BookError: the rows are no order book.
    """
    table = _read_parquet(Path(path))
    names = table.column_names
    n_levels = (len(names) - 1) // 4
    if n_levels < 1 or names != book_columns(n_levels):
        raise FormatError(
            f"{path}: got the columns {_shorten(names)}; a book table has "
            f"{_shorten(book_columns(max(n_levels, 1)))} in this order; "
            "make one with: lob-backtest import FORMAT FILE -o BOOK"
        )
    raw = (table.schema.metadata or {}).get(_META_KEY)
    if raw is None:
        raise FormatError(
            f"{path}: no book metadata (instrument, tick_size, ...) in the Parquet file; "
            "make it with: lob-backtest import FORMAT FILE -o BOOK"
        )
    columns = [_column(table, name, path) for name in names]

    def side(first: int, dtype: type) -> npt.NDArray[np.generic]:
        chosen = [columns[1 + first + 4 * level] for level in range(n_levels)]
        return np.column_stack(chosen).astype(dtype, copy=False)

    return Book(
        meta=_meta_from(json.loads(raw), path),
        time_ns=columns[0].astype(np.int64),
        ask_ticks=side(0, np.int64),  # type: ignore[arg-type]
        ask_size=side(1, np.float64),  # type: ignore[arg-type]
        bid_ticks=side(2, np.int64),  # type: ignore[arg-type]
        bid_size=side(3, np.float64),  # type: ignore[arg-type]
    )


def local_ns(time_ns: IntArray, timezone: str) -> IntArray:
    """Wall-clock nanoseconds in ``timezone`` for UTC instants, daylight saving included."""
    try:
        index = pd.DatetimeIndex(time_ns.astype("datetime64[ns]"), tz="UTC").tz_convert(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise BookError(
            f"timezone={timezone!r} is no known time zone; use an IANA name such as "
            "America/New_York or UTC"
        ) from error
    return np.asarray(index.tz_localize(None).as_unit("ns").asi8, dtype=np.int64)


def _check(book: Book) -> None:
    n_rows, n_levels = book.time_ns.shape[0], book.ask_ticks.shape[1]
    if n_rows == 0 or n_levels == 0:
        raise BookError(f"got {n_rows} rows of {n_levels} levels; needs at least one of each")
    for name in ("ask_ticks", "ask_size", "bid_ticks", "bid_size"):
        shape = getattr(book, name).shape
        if shape != (n_rows, n_levels):
            raise BookError(f"{name} has shape {shape}; needs {(n_rows, n_levels)}")
    _refuse(book, np.diff(book.time_ns, prepend=book.time_ns[0]) < 0, "time_ns goes back in time",
            "sort the rows by time")  # fmt: skip
    _refuse(book, book.ask_ticks[:, 0] <= book.bid_ticks[:, 0],
            "best ask <= best bid (crossed or locked)",
            "drop or clean these rows before building the book")  # fmt: skip
    steps = np.concatenate(
        [np.diff(book.ask_ticks, axis=1), -np.diff(book.bid_ticks, axis=1)], axis=1
    )
    unsorted: BoolArray = np.any(steps <= 0, axis=1)
    _refuse(book, unsorted, "levels out of order", "level 1 is best, and prices do not repeat")
    for side, size in (("ask", book.ask_size), ("bid", book.bid_size)):
        bad: BoolArray = np.any(~np.isfinite(size) | (size < 0), axis=1) | (size[:, 0] <= 0)
        _refuse(book, bad, f"{side} size negative, not finite, or zero at the touch",
                "sizes are positive; 0 only marks a missing deeper level")  # fmt: skip
        holes: BoolArray = np.any((size[:, :-1] == 0) & (size[:, 1:] > 0), axis=1)
        _refuse(book, holes, f"an {side} level behind a missing one",
                "missing levels (size 0) stand last")  # fmt: skip
    _check_hours(book)


def _check_hours(book: Book) -> None:
    meta = book.meta
    if meta.session_open is None or meta.session_close is None:
        return
    clock_ns = local_ns(book.time_ns, meta.timezone) % _NS_PER_DAY
    outside = (clock_ns < _clock_ns(meta.session_open)) | (clock_ns > _clock_ns(meta.session_close))
    hours = f"{meta.session_open} to {meta.session_close} {meta.timezone}"
    _refuse(book, outside, f"time outside the session ({hours})",
            "drop these rows, or give the session's real hours")  # fmt: skip


def _refuse(book: Book, bad: BoolArray, got: str, remedy: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        touch = (
            f"time_ns={book.time_ns[row]}, bid {book.bid_ticks[row, 0]} x {book.bid_size[row, 0]}, "
            f"ask {book.ask_ticks[row, 0]} x {book.ask_size[row, 0]}"
        )
        raise BookError(
            f"{book.meta.instrument}: {got} in {int(bad.sum())} of {bad.size} rows, first in row "
            f"{row} ({touch}); {remedy}"
        )


def _read_parquet(path: Path) -> pa.Table:
    if not path.is_file():
        raise FormatError(f"{path}: no such file; make it with: lob-backtest import or synthetic")
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty; make a book table with: lob-backtest import")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(
            f"{path}: not a Parquet file ({error}); make a book table with: lob-backtest import"
        ) from error


def _column(table: pa.Table, name: str, path: Path | str) -> npt.NDArray[np.generic]:
    column = table.column(name)
    if column.null_count:
        raise FormatError(f"{path}: {column.null_count} empty values in {name}; a book has none")
    wanted = pa.float64() if "size" in name else pa.int64()
    if column.type != wanted:
        raise FormatError(f"{path}: column {name} is {column.type}; needs {wanted}")
    values: npt.NDArray[np.generic] = column.to_numpy()
    return values


def _meta_from(raw: dict[str, object], path: Path | str) -> BookMeta:
    known = {field.name for field in fields(BookMeta)}
    if set(raw) != known:
        raise FormatError(f"{path}: book metadata has {sorted(raw)}; needs {sorted(known)}")
    return BookMeta(**raw)  # type: ignore[arg-type]


def _clock_ns(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    valid = colon and hours.isdigit() and minutes.isdigit()
    if not valid or int(hours) * 60 + int(minutes) > 24 * 60 or int(minutes) > 59:
        raise BookError(f"session time {text!r}: needs HH:MM between 00:00 and 24:00")
    return (int(hours) * 60 + int(minutes)) * 60_000_000_000


def _shorten(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown + (f", ... ({len(names)} in all)" if len(names) > 6 else "")
