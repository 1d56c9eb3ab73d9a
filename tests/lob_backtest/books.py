"""Small order books for the tests: by hand, at random, and as a hypothesis strategy."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from lob_backtest.book import Book, BookMeta, FloatArray, IntArray

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
# Monday 2020-01-06 10:00 UTC, inside the session of META.
START = 1_578_304_800 * SECOND

META = BookMeta(
    instrument="TEST",
    tick_size=0.01,
    currency="USD",
    timezone="UTC",
    session_open="09:30",
    session_close="16:00",
    source="tests",
)
META_ALWAYS_OPEN = replace(META, session_open=None, session_close=None)


def seconds(values: Sequence[float]) -> IntArray:
    """Instants that many seconds after START; a day later is a new session (``+ 86400``)."""
    return START + np.round(np.asarray(values, dtype=np.float64) * SECOND).astype(np.int64)


def book_from_mids(
    mids: Sequence[float],
    *,
    at_seconds: Sequence[float] | None = None,
    n_levels: int = 1,
    ask_size: Sequence[float] | None = None,
    bid_size: Sequence[float] | None = None,
    meta: BookMeta = META,
) -> Book:
    """A book with these mids in (half) ticks, one row a second unless ``at_seconds`` says else.

    A whole mid has a spread of two ticks, a half one of one tick. Levels are one tick apart; the
    sizes at the touch default to 10, and level ``l`` has ``l`` times that.
    """
    mid = np.asarray(mids, dtype=np.float64)
    times = seconds(range(mid.size) if at_seconds is None else at_seconds)
    bid = np.ceil(mid).astype(np.int64) - 1
    ask = np.floor(mid).astype(np.int64) + 1
    depth = np.arange(n_levels, dtype=np.int64)

    def sizes(values: Sequence[float] | None) -> FloatArray:
        touch = np.full(mid.size, 10.0) if values is None else np.asarray(values, dtype=np.float64)
        return np.multiply.outer(touch, depth + 1.0)

    return Book(
        meta=meta,
        time_ns=times,
        ask_ticks=ask[:, None] + depth,
        ask_size=sizes(ask_size),
        bid_ticks=bid[:, None] - depth,
        bid_size=sizes(bid_size),
    )


def random_book(
    rng: np.random.Generator,
    n_rows: int = 300,
    n_levels: int = 2,
    n_sessions: int = 1,
    *,
    mean_gap_s: float = 1.0,
    meta: BookMeta = META,
) -> Book:
    """A random-walk book: shared instants, uneven gaps, spreads of 1 to 3 ticks, missing levels.

    Sessions are ``n_sessions`` consecutive days of nearly equal row counts.
    """
    day = np.sort(np.arange(n_rows) % n_sessions)
    # A third of the rows share their instant with the row before, as events of one packet do.
    gap = rng.exponential(mean_gap_s, n_rows) * (rng.random(n_rows) > 1 / 3)
    first = np.flatnonzero(np.diff(day, prepend=-1))
    elapsed = np.cumsum(gap)
    elapsed -= elapsed[first][day]
    spread = rng.integers(1, 4, n_rows)
    bid = 10_000 + np.cumsum(rng.integers(-1, 2, n_rows))
    gaps = rng.integers(1, 3, (2, n_rows, n_levels))
    gaps[:, :, 0] = 0
    size = rng.integers(1, 100, (2, n_rows, n_levels)).astype(np.float64)
    missing = np.arange(n_levels) >= rng.integers(1, 3 * n_levels, (2, n_rows, 1))
    size[missing] = 0.0
    gaps[missing] = 1
    ladder = np.cumsum(gaps, axis=2)
    return Book(
        meta=meta,
        time_ns=START + day * DAY + np.round(elapsed * SECOND).astype(np.int64),
        ask_ticks=(bid + spread)[:, None] + ladder[0],
        ask_size=size[0],
        bid_ticks=bid[:, None] - ladder[1],
        bid_size=size[1],
    )


def spliced(book: Book, other: Book, first_changed: int) -> Book:
    """``book`` up to row ``first_changed``, from there on the prices and sizes of ``other``.

    The times stay ``book``'s: what a property test does to the future.
    """
    is_past = np.arange(book.n_rows)[:, None] < first_changed
    return Book(
        meta=book.meta,
        time_ns=book.time_ns,
        ask_ticks=np.where(is_past, book.ask_ticks, other.ask_ticks),
        ask_size=np.where(is_past, book.ask_size, other.ask_size),
        bid_ticks=np.where(is_past, book.bid_ticks, other.bid_ticks),
        bid_size=np.where(is_past, book.bid_size, other.bid_size),
    )


def with_other_future(book: Book, other: Book, first_changed: int, *, after_ns: int) -> Book:
    """``book`` before row ``first_changed``, then all of ``other``, times, length and all.

    ``other`` begins ``after_ns`` after the last row that stays.
    """
    shift = book.time_ns[first_changed - 1] + after_ns - other.time_ns[0]

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(book, name)[:first_changed], getattr(other, name)])

    return Book(
        meta=book.meta,
        time_ns=np.concatenate([book.time_ns[:first_changed], other.time_ns + shift]),
        ask_ticks=joined("ask_ticks"),
        ask_size=joined("ask_size"),
        bid_ticks=joined("bid_ticks"),
        bid_size=joined("bid_size"),
    )


@st.composite
def books(
    draw: st.DrawFn,
    *,
    min_rows: int = 40,
    max_rows: int = 200,
    max_levels: int = 4,
    max_sessions: int = 4,
) -> Book:
    """Random books of a few sessions; shrinks towards few rows, one level and one session."""
    n_rows = draw(st.integers(min_rows, max_rows))
    n_levels = draw(st.integers(1, max_levels))
    n_sessions = draw(st.integers(1, max_sessions))
    seed = draw(st.integers(0, 2**32 - 1))
    return random_book(np.random.default_rng(seed), n_rows, n_levels, n_sessions)
