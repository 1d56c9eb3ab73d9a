"""What a book is like, in a few figures: sessions, spread, depth, tick, rates, repeats and gaps.

Everything is counted in a few passes over the columns, level by level, so that time grows with the
number of rows and memory beyond the book is a few columns.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.errors import BookError

GAP_SECONDS = 60.0
_SPREAD_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_WAIT_QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
_N_LONGEST = 5
_LEAST_PRICES = 10  # fewer may share a divisor by chance
_NS_PER_SECOND = 1_000_000_000


def inspect_book(book: Book, *, gap_seconds: float = GAP_SECONDS) -> dict[str, Any]:
    """Figures about a book, JSON-able.

    ``mid_moves_share`` is the share of rows whose mid differs from the row before in the same
    session: it says how many events a horizon needs so that not nearly every label is flat.
    ``events_per_second`` is rows over the time that the sessions' rows span. A book is never
    crossed or locked: such rows are dropped and counted when it is imported.

    Args:
        book: the book.
        gap_seconds: a silence inside a session longer than this is counted as a gap.

    Raises:
        BookError: ``gap_seconds`` is no length of time.
    """
    if not (math.isfinite(gap_seconds) and gap_seconds > 0):
        raise BookError(f"gap_seconds={gap_seconds}: needs a number of seconds above 0, e.g. 60")
    starts = book.session_starts
    first, last = starts[:-1], starts[1:] - 1
    seconds = (book.time_ns[last] - book.time_ns[first]) / _NS_PER_SECOND
    moved = np.diff(book.mid_ticks) != 0
    moved[first[1:] - 1] = False  # from one session to the next
    figures = {
        "instrument": book.meta.instrument,
        "source": book.meta.source,
        "currency": book.meta.currency,
        "tick_size": book.meta.tick_size,
        "common_step_ticks": common_step_ticks(book),
        "rows": book.n_rows,
        "levels": book.n_levels,
        "sessions": _sessions(book, seconds),
        "mid_price": {
            "first": float(book.mid_ticks[0]) * book.meta.tick_size,
            "last": float(book.mid_ticks[-1]) * book.meta.tick_size,
        },
        "spread_ticks": {"mean": float(book.spread_ticks.mean()),
                         **_quantiles(book.spread_ticks, _SPREAD_QUANTILES)},
        "mid_moves_share": float(moved.sum()) / max(book.n_rows - first.size, 1),
        "events_per_second": _rate(book.n_rows, float(seconds.sum())),
        "busiest_second": _busiest_second(book),
        "repeated_rows": _repeated_rows(book),
        "repeated_instants": book.n_rows - int(book.is_last_of_instant.sum()),
        "repeated_instants_share": 1.0 - float(book.is_last_of_instant.mean()),
        **_silences(book, gap_seconds, float(seconds.sum())),
        **_depth(book),
    }  # fmt: skip
    return {**figures, "warnings": _warnings(book, figures)}


def waits_ns(book: Book) -> tuple[IntArray, IntArray]:
    """Nanoseconds from each row to the next of its session, and the rows from which they count."""
    wait = np.diff(book.time_ns)
    rows = np.flatnonzero(np.diff(book.session) == 0).astype(np.int64)
    return wait[rows], rows


def common_step_ticks(book: Book) -> int | None:
    """Greatest common divisor of all price differences, in ticks; None with one price only.

    Above 1 the tick size is probably too small: no price ever used it. One that is too large cannot
    be seen here, as prices are whole ticks.
    """
    step, reference = 0, book.ask_ticks[0, 0]
    for ticks, size in ((book.ask_ticks, book.ask_size), (book.bid_ticks, book.bid_size)):
        for level in range(book.n_levels):
            # A missing level's price is made up: the ladder goes on one tick outwards.
            apart = ticks[:, level][size[:, level] > 0] - reference
            if step == 0 or np.any(apart % step):
                step = math.gcd(step, int(np.gcd.reduce(apart, initial=0)))
            if step == 1:
                return 1
    return step or None


def _sessions(book: Book, seconds: FloatArray) -> list[dict[str, Any]]:
    starts = book.session_starts
    return [
        {
            "session": i,
            "start": utc(book.time_ns[a]),
            "end": utc(book.time_ns[b - 1]),
            "rows": int(b - a),
            "events_per_second": _rate(int(b - a), float(seconds[i])),
        }
        for i, (a, b) in enumerate(pairwise(starts))
    ]


def _rate(rows: int, seconds: float) -> float | None:
    return rows / seconds if seconds > 0 else None


def _busiest_second(book: Book) -> dict[str, Any]:
    """The second of the clock with the most rows; of equals the first."""
    second = book.time_ns // _NS_PER_SECOND
    starts = np.flatnonzero(np.diff(second, prepend=second[0] - 1))
    rows = np.diff(starts, append=book.n_rows)
    most = int(np.argmax(rows))
    return {
        "start": utc(second[starts[most]] * _NS_PER_SECOND),
        "rows": int(rows[most]),
    }


def _repeated_rows(book: Book) -> int:
    """Rows with the prices and sizes of the row before in their session, at whatever time."""
    is_same = np.diff(book.session) == 0
    for columns in (book.ask_ticks, book.ask_size, book.bid_ticks, book.bid_size):
        for level in range(book.n_levels):
            is_same &= columns[1:, level] == columns[:-1, level]
    return int(is_same.sum())


def _silences(book: Book, gap_seconds: float, session_seconds: float) -> dict[str, Any]:
    """Times between the rows of a session, and the longest of them."""
    wait, rows = waits_ns(book)
    is_gap = wait > gap_seconds * _NS_PER_SECOND
    gap_ns = int(wait[is_gap].sum())
    most = min(_N_LONGEST, wait.size)
    longest = np.argpartition(-wait, most - 1)[:most] if most else rows
    longest = longest[np.lexsort((longest, -wait[longest]))]
    return {
        "seconds_between_rows": None
        if wait.size == 0
        else _quantiles(wait / _NS_PER_SECOND, _WAIT_QUANTILES),
        "gaps": {
            "longer_than_seconds": gap_seconds,
            "n": int(is_gap.sum()),
            "seconds": gap_ns / _NS_PER_SECOND,
            "share_of_time": gap_ns / _NS_PER_SECOND / session_seconds if session_seconds else 0.0,
        },
        "longest_silences": [
            {
                "seconds": float(wait[i]) / _NS_PER_SECOND,
                "start": utc(book.time_ns[rows[i]]),
                "end": utc(book.time_ns[rows[i] + 1]),
                "session": int(book.session[rows[i]]),
            }
            for i in longest
        ],
    }


def _depth(book: Book) -> dict[str, Any]:
    """Mean sizes, a missing level counting as 0, and mean distance from the mid where it exists."""
    levels = []
    for level in range(book.n_levels):
        own: dict[str, Any] = {"level": level + 1}
        for side, ticks, size in (
            ("ask", book.ask_ticks, book.ask_size), ("bid", book.bid_ticks, book.bid_size),
        ):  # fmt: skip
            exists = size[:, level] > 0
            apart = np.abs(ticks[:, level] - book.mid_ticks)[exists]
            own[f"{side}_size"] = float(size[:, level].mean())
            own[f"{side}_distance_ticks"] = float(apart.mean()) if apart.size else None
            own[f"{side}_missing_share"] = 1.0 - float(exists.mean())
        levels.append(own)
    return {
        "mean_depth": {
            "ask_touch": levels[0]["ask_size"],
            "bid_touch": levels[0]["bid_size"],
            "ask_all_levels": sum(own["ask_size"] for own in levels),
            "bid_all_levels": sum(own["bid_size"] for own in levels),
        },
        "depth": levels,
        "missing_levels_share": float(
            np.mean([own[f"{side}_missing_share"] for own in levels for side in ("ask", "bid")])
        ),
    }


def _warnings(book: Book, figures: dict[str, Any]) -> list[str]:
    """What a user probably did not mean, or should know before trusting a result."""
    found = []
    step, tick = figures["common_step_ticks"], book.meta.tick_size
    if step is not None and step > 1 and _n_touch_prices(book) >= _LEAST_PRICES:
        found.append(
            f"all prices are multiples of {step} ticks of {tick:g} apart: the tick is probably "
            f"{step * tick:g}, and every figure in ticks {step} times too large"
        )
    gaps = figures["gaps"]
    if gaps["n"]:
        found.append(
            f"{gaps['n']:,} silences longer than {gaps['longer_than_seconds']:g} s inside sessions "
            f"({gaps['share_of_time']:.1%} of the time): windows and labels reach across them"
        )
    if figures["repeated_rows"] > book.n_rows / 2:
        found.append(
            f"{figures['repeated_rows']:,} of {book.n_rows:,} rows repeat the row before: horizons "
            "and windows in rows are shorter than they look"
        )
    return found


def _n_touch_prices(book: Book) -> int:
    return int(np.union1d(book.ask_ticks[:, 0], book.bid_ticks[:, 0]).size)


def _quantiles(
    values: IntArray | FloatArray, shares: tuple[float, ...]
) -> dict[str, float]:  # fmt: skip
    found = np.quantile(values, shares)
    return {f"p{share * 100:g}": float(value) for share, value in zip(shares, found, strict=True)}


def utc(time_ns: np.int64 | int) -> str:
    """ISO 8601 in UTC, to the nanosecond where there are any."""
    return pd.Timestamp(int(time_ns), unit="ns", tz="UTC").isoformat()
