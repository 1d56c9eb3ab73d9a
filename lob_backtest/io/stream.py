"""What a reader gives: raw snapshots chunk by chunk, so that no file has to fit in memory.

    FILE ─► Source.rows() ─► Rows, Rows, ... ─► cleaning ─► Book, or a Parquet file chunk by chunk

A reader is one function, ``open_NAME(path, options) -> Source``. It looks at the file just enough
to know ``meta`` and ``n_levels``; ``rows()`` then reads from the start. A reader refuses what is no
number and what is no line of its format (with the line); what a sound line says about the book
(one side empty, crossed, outside the session) is left to ``cleaning``, the same for every format.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from lob_backtest.book import BookMeta, BoolArray, FloatArray, IntArray
from lob_backtest.errors import FormatError

_SMALLEST_MEMORY_MB = 64
_WRITER_BYTES = 2**25  # a row group: as rows, as a table, packed
_COPIES_IN_FLIGHT = 8  # parsed columns, rows, masks, clean rows, the writer's buffer
_TEXT_BYTES_PER_ROW = 512  # of the parser, and columns that are no part of the book
_MOST_CHUNK_ROWS = 250_000  # more makes nothing faster
_OFF_TICK = 1e-4  # of a tick: a decimal price in float64 is off by far less
_MOST_TICKS = 2**39  # beyond, float64 says no longer whether a decimal price is a whole tick


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Some snapshots of a file in its order, not yet checked; no NaN.

    Attributes:
        time_ns: ``(n,)`` int64, UTC.
        ask_ticks, bid_ticks: ``(n, L)`` int64, level 1 first.
        ask_size, bid_size: ``(n, L)`` float64; 0 marks a missing level, whose price says nothing.
    """

    time_ns: IntArray
    ask_ticks: IntArray
    ask_size: FloatArray
    bid_ticks: IntArray
    bid_size: FloatArray

    @property
    def n(self) -> int:
        return int(self.time_ns.shape[0])

    @property
    def n_levels(self) -> int:
        return int(self.ask_ticks.shape[1])

    def chosen(self, rows: BoolArray | IntArray | slice) -> "Rows":
        """These rows only."""
        return Rows(
            time_ns=self.time_ns[rows],
            ask_ticks=self.ask_ticks[rows],
            ask_size=self.ask_size[rows],
            bid_ticks=self.bid_ticks[rows],
            bid_size=self.bid_size[rows],
        )


@dataclass(kw_only=True)
class Counts:
    """What a reader has seen so far; complete once ``rows()`` has ended.

    Attributes:
        events: lines (or messages, or rows) of the file that were read.
        rows_dropped: rows that the reader left out by rules of its format, by reason.
        events_noted: events worth knowing about, by kind.
        ghost_orders_dropped, marketable_orders_kept_out: of formats of single orders.
        crossed_events, crossed_among: of formats of single orders, events after which the raw feed
            is crossed or locked, and among how many; None where every event is a snapshot, so that
            cleaning counts them.
        size, done: how much there is to read and how far the reader is, in bytes of the file (or
            rows); size 0 where that is not known.
    """

    events: int = 0
    rows_dropped: Counter[str] = field(default_factory=Counter)
    events_noted: Counter[str] = field(default_factory=Counter)
    ghost_orders_dropped: int = 0
    marketable_orders_kept_out: int = 0
    crossed_events: int | None = None
    crossed_among: int = 0
    size: int = 0
    done: int = 0


class Source(Protocol):
    """One file (or one day's files) of a known format, ready to be read.

    ``rows`` is called once. Time may repeat but not go backwards: a format in which lines come late
    mends and counts them in its reader.
    """

    @property
    def source_format(self) -> str:
        """The reader's name, e.g. ``"lobster"``."""

    @property
    def meta(self) -> BookMeta:
        """What the rows are of, the options' overrides included."""

    @property
    def n_levels(self) -> int:
        """Levels a side of every ``Rows``."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files without their folders."""

    @property
    def counts(self) -> Counts:
        """What ``rows`` has seen so far."""

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        """The snapshots in file order, at most about ``chunk_rows`` at a time.

        ``chunk_rows`` is meant for rows of ``n_levels``: where a line of the file holds more than
        is kept of it, a reader takes fewer lines at a time.
        """


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What a user can say about files that they do not say themselves; None is the format's own.

    Attributes:
        levels: how many of the best levels to keep.
        instrument, tick_size, currency, timezone: see ``BookMeta``.
        session: local ``("09:30", "16:00")``; rows outside are dropped and counted.
        mapping: YAML file that says what the columns mean, for ``mapped``.
        memory_mb: MiB of working memory, beside what Python and its libraries take.
    """

    levels: int | None = None
    instrument: str | None = None
    tick_size: float | None = None
    currency: str | None = None
    timezone: str | None = None
    session: tuple[str, str] | None = None
    mapping: Path | None = None
    memory_mb: int = 512

    def __post_init__(self) -> None:
        if self.levels is not None and self.levels < 1:
            raise FormatError(f"levels={self.levels}: needs at least 1")
        if self.tick_size is not None and not (0 < self.tick_size < np.inf):
            raise FormatError(f"tick size {self.tick_size}: needs a positive price step, e.g. 0.01")
        if self.memory_mb < _SMALLEST_MEMORY_MB:
            raise FormatError(f"memory_mb={self.memory_mb}: needs {_SMALLEST_MEMORY_MB} or more")

    def refuse(self, source_format: str, *names: str) -> None:
        """Raise where one of these options was given: the format says that itself."""
        given = [name for name in names if getattr(self, name) is not None]
        if given:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise FormatError(f"{source_format} files leave no choice of {flags}; leave it out")

    def described(self, meta: BookMeta) -> BookMeta:
        """The metadata with instrument, currency, time zone and session as the user gave them."""
        given = {
            name: getattr(self, name)
            for name in ("instrument", "currency", "timezone")
            if getattr(self, name) is not None
        }
        if self.session is not None:
            given |= {"session_open": self.session[0], "session_close": self.session[1]}
        return replace(meta, **given)

    def kept_levels(self, available: int, name: Path | str) -> int:
        """How many of the file's levels to keep: all, or as many as were asked for.

        Raises:
            FormatError: more were asked for than the file has.
        """
        if self.levels is not None and self.levels > available:
            raise FormatError(
                f"{name}: got levels={self.levels}; the file has 1 to {available} levels a side"
            )
        return available if self.levels is None else self.levels

    def chunk_rows(self, n_levels: int) -> int:
        """Rows of a chunk such that everything made of it fits into ``memory_mb``."""
        row_bytes = _COPIES_IN_FLIGHT * 8 * (1 + 4 * n_levels) + _TEXT_BYTES_PER_ROW
        return max(1, min((self.memory_mb * 2**20 - _WRITER_BYTES) // row_bytes, _MOST_CHUNK_ROWS))


def to_ticks(price: FloatArray, tick_size: float) -> tuple[IntArray, BoolArray]:
    """Decimal prices as integer ticks, and which of them are none: between two, or not finite.

    Args:
        price: any shape.
        tick_size: currency units a tick.

    >>> ticks, is_off = to_ticks(np.array([1.15, 1.155, np.inf]), 0.01)
    >>> ticks.tolist(), is_off.tolist()
    ([115, 116, 0], [False, True, True])
    """
    exact = price / tick_size
    is_small = np.abs(exact) < _MOST_TICKS  # not so for NaN and infinity
    exact = np.where(is_small, exact, 0.0)
    ticks = np.rint(exact)
    is_off: BoolArray = ~is_small | (np.abs(exact - ticks) > _OFF_TICK)
    return ticks.astype(np.int64), is_off
