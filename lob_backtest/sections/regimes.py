"""In which regime each decision was made: time of day, spread, volatility and session.

A decision's spread and volatility come from book rows with ``time_ns <= decided_ns`` alone:

    rows       | . . . . . . . .|. . .
    volatility   [--- window --]d            squared mid moves of the window before d
    spread                      ^            at the last row known at d

Where one regime ends and the next begins (terciles) is taken from all of the test decisions
afterwards. It describes the test and is no rule that could have been traded.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray, local_ns
from lob_backtest.predictions import Predictions

_NS_PER_DAY = 86_400_000_000_000
_NS_PER_MINUTE = 60_000_000_000
_CLOCK_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240)
_MOST_CLOCK_SLICES = 8
_MOST_SESSIONS = 24
_HORIZONS_BACK = 10
_BPS = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Regime:
    """A name for each decision.

    Attributes:
        names: of the slices, in the order they are shown in.
        code: ``(D,)`` int64 place in ``names``, -1 where a decision is in none of them.
    """

    names: tuple[str, ...]
    code: IntArray


def clock_regime(book: Book, tests: list[Predictions]) -> list[Regime]:
    """Local time of day in at most eight slices of equal length, for each table of decisions.

    The slices are counted from the open, or from midnight where the market never closes.
    """
    zone = book.meta.timezone
    opened = 0 if book.meta.session_open is None else _since_midnight(book.meta.session_open)
    clocks = [local_ns(test.decided_ns, zone) % _NS_PER_DAY - opened for test in tests]
    first = min(int(clock.min()) for clock in clocks)
    last = max(int(clock.max()) for clock in clocks)
    width = _clock_width(first, last)
    begins = np.arange(first // width, last // width + 1) * width + opened
    names = tuple(f"{_clock(begin)} to {_clock(begin + width)}" for begin in begins.tolist())
    return [Regime(names=names, code=clock // width - first // width) for clock in clocks]


def session_regime(book: Book, tests: list[Predictions]) -> list[Regime]:
    """Local day of the decision; where there are many, so many neighbours together."""
    zone = book.meta.timezone
    days = [local_ns(test.decided_ns, zone) // _NS_PER_DAY for test in tests]
    every = np.unique(np.concatenate(days))
    together = -(-every.size // _MOST_SESSIONS)
    groups = [every[i : i + together] for i in range(0, every.size, together)]
    names = tuple(
        _date(group[0]) if group.size == 1 else f"{_date(group[0])} to {_date(group[-1])}"
        for group in groups
    )
    return [Regime(names=names, code=np.searchsorted(every, day) // together) for day in days]


def spread_regime(book: Book, test: Predictions, *, with_limits: bool) -> Regime:
    """Spread at the last row known at the decision: narrow, middle or wide."""
    spread = book.spread_ticks[book.row_known_at(test.decided_ns)].astype(np.float64)
    return _terciles(spread, ("narrow", "middle", "wide"), "tick", with_limits=with_limits)


def volatility_regime(book: Book, test: Predictions, *, with_limits: bool) -> Regime:
    """Volatility known at the decision: calm, middle or lively; see ``past_volatility``."""
    values = past_volatility(book, test)
    return _terciles(values, ("calm", "middle", "lively"), "bps", with_limits=with_limits)


def past_volatility(book: Book, test: Predictions) -> FloatArray:
    """``(D,)`` volatility of the mid before each decision, in bps per label horizon.

    ``sqrt(H / s * sum (mid_i / mid_(i-1) - 1)^2)`` over the moves of the last ``s`` before the
    decision: ten horizons, or since its session's first row; H is the median time from a decision
    to its label's end. NaN where less than one horizon of the session has passed.
    """
    horizon = max(int(np.median(test.label_end_ns - test.decided_ns)), 1)
    row = book.row_known_at(test.decided_ns)
    opened = book.session_starts[book.session[row]]
    looked_back = test.decided_ns - _HORIZONS_BACK * horizon
    begins = np.maximum(book.row_known_at(looked_back), opened)
    moves = np.diff(book.mid_ticks) / book.mid_ticks[:-1]
    moves[book.session_starts[1:-1] - 1] = 0.0  # from one session to the next
    summed = np.append(0.0, np.cumsum(moves**2))
    covered = test.decided_ns - np.maximum(looked_back, book.time_ns[opened])
    rate = np.maximum(summed[row] - summed[begins], 0.0) / np.maximum(covered, 1)
    return np.where(covered >= horizon, _BPS * np.sqrt(horizon * rate), np.nan)


def decision_of(test: Predictions, fold: IntArray, at_ns: IntArray) -> IntArray:
    """Place of the last decision of the fold at or before each instant; -1 where there is none."""
    place = np.full(at_ns.size, -1, dtype=np.int64)
    for number in np.unique(fold):
        own = np.flatnonzero(test.fold == number)
        here = fold == number
        last = np.searchsorted(test.decided_ns[own], at_ns[here], side="right") - 1
        place[here] = np.where(last >= 0, own[np.maximum(last, 0)], -1) if own.size else -1
    return place


def _terciles(
    values: FloatArray, words: tuple[str, str, str], unit: str, *, with_limits: bool
) -> Regime:
    """Three classes with limits at the terciles; ties stay together, so one may be empty."""
    known: BoolArray = np.isfinite(values)
    if not known.any():
        return Regime(names=words, code=np.full(values.size, -1, dtype=np.int64))
    # a limit that is one of the values, so that whole ticks stay whole
    low, high = np.quantile(values[known], [1 / 3, 2 / 3], method="inverted_cdf")
    code = np.where(known, (values > low).astype(np.int64) + (values > high), -1)
    if not with_limits:
        return Regime(names=words, code=code)
    limits = (f"up to {_amount(low, unit)}", f"up to {_amount(high, unit)}",
              f"above {_amount(high, unit)}")  # fmt: skip
    names = tuple(f"{word}, {limit}" for word, limit in zip(words, limits, strict=True))
    return Regime(names=names, code=code)


def _amount(value: float, unit: str) -> str:
    if unit == "tick":
        return f"{value:g} tick{'s' if value != 1 else ''}"
    return f"{value:.3g} {unit}"


def _clock_width(first: int, last: int) -> int:
    for minutes in _CLOCK_MINUTES:
        width = minutes * _NS_PER_MINUTE
        if last // width - first // width < _MOST_CLOCK_SLICES:
            return width
    return _CLOCK_MINUTES[-1] * _NS_PER_MINUTE


def _since_midnight(clock: str) -> int:
    return int(pd.Timedelta(f"{clock}:00").value)


def _clock(since_midnight: int) -> str:
    minutes = since_midnight // _NS_PER_MINUTE
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _date(day: int) -> str:
    return pd.Timestamp(int(day) * _NS_PER_DAY, unit="ns").strftime("%Y-%m-%d")
