"""The rows of a book as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lob_backtest.book.checks import check_book
from lob_backtest.book.mapped import Shape, Value, blocks, empty_beside
from lob_backtest.book.meta import (
    NS_PER_DAY,
    BookMeta,
    BoolArray,
    FloatArray,
    IntArray,
    local_ns,
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
        BookError: no rows, other types, unsorted time or time outside the session, crossed or
            locked touch, levels out of order, a size that is negative, not finite, or zero at the
            touch, or times and prices that no market has.
    """

    meta: BookMeta
    time_ns: IntArray
    ask_ticks: IntArray
    ask_size: FloatArray
    bid_ticks: IntArray
    bid_size: FloatArray

    def __post_init__(self) -> None:
        check_book(self)

    @property
    def n_rows(self) -> int:
        return int(self.time_ns.shape[0])

    @property
    def n_levels(self) -> int:
        return int(self.ask_ticks.shape[1])

    def empty(self, shape: Shape, dtype: type[Value]) -> npt.NDArray[Value]:
        """An array of no particular values that lies where the rows do: in memory or in a file."""
        return empty_beside(self.ask_size, shape, dtype)

    @cached_property
    def mid_ticks(self) -> FloatArray:
        """``(N,)`` mid-price in ticks: the mean of best ask and best bid."""
        mid = self.empty(self.n_rows, np.float64)
        for rows in blocks(self.n_rows):
            mid[rows] = (self.ask_ticks[rows, 0] + self.bid_ticks[rows, 0]) / 2
        return mid

    @property
    def spread_ticks(self) -> IntArray:
        """``(N,)`` best ask minus best bid in ticks, at least 1."""
        spread = self.empty(self.n_rows, np.int64)
        np.subtract(self.ask_ticks[:, 0], self.bid_ticks[:, 0], out=spread)
        return spread

    def spread_at(self, rows: IntArray) -> IntArray:
        """Best ask minus best bid of some rows, in ticks."""
        spread: IntArray = self.ask_ticks[rows, 0] - self.bid_ticks[rows, 0]
        return spread

    @cached_property
    def session(self) -> IntArray:
        """``(N,)`` session number of each row, 0, 1, ...; a new local day opens a new session.

        One session for a market that never closes. No window, label or position crosses sessions.
        """
        session = self.empty(self.n_rows, np.int64)
        if self.meta.session_open is None:
            session.fill(0)
            return session
        day, number = int(local_ns(self.time_ns[:1], self.meta.timezone)[0]) // NS_PER_DAY, 0
        for rows in blocks(self.n_rows):
            local_day = local_ns(self.time_ns[rows], self.meta.timezone) // NS_PER_DAY
            session[rows] = number + np.cumsum(np.diff(local_day, prepend=day) != 0, dtype=np.int64)
            day, number = int(local_day[-1]), int(session[rows.stop - 1])
        return session

    @cached_property
    def session_starts(self) -> IntArray:
        """``(S + 1,)`` first row of each session, then N."""
        starts, before = [], -1
        for rows in blocks(self.n_rows):
            session = self.session[rows]
            starts.append(rows.start + np.flatnonzero(np.diff(session, prepend=before)))
            before = int(session[-1])
        return np.concatenate([*starts, [self.n_rows]]).astype(np.int64)

    @property
    def is_last_of_instant(self) -> BoolArray:
        """``(N,)`` whether a row is the last one at its ``time_ns``: the only ones to decide on."""
        is_last = self.empty(self.n_rows, np.bool_)
        np.not_equal(self.time_ns[1:], self.time_ns[:-1], out=is_last[:-1])
        is_last[-1] = True
        return is_last

    def mid_changes(self) -> Iterator[tuple[IntArray, IntArray]]:
        """The rows that settle on another mid than the instant before, some at a time.

        Yields:
            The last rows of instants, in order, and for each the last row of the instant before.
        """
        is_last, before = self.is_last_of_instant, np.empty(0, dtype=np.int64)
        for rows in blocks(self.n_rows):
            settled = np.concatenate([before, rows.start + np.flatnonzero(is_last[rows])])
            moved = np.diff(self.mid_ticks[settled]) != 0
            yield settled[1:][moved], settled[:-1][moved]
            before = settled[-1:]

    def row_known_at(self, instants_ns: IntArray) -> IntArray:
        """Last row with ``time_ns <= instant``, for each instant; -1 before the first row."""
        rows = np.searchsorted(self.time_ns, instants_ns, side="right").astype(np.int64, copy=False)
        rows -= 1
        return rows

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
