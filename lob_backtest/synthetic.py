"""Seeded order books over several days; their predictability is known and can be switched off.

A hidden state z in {-1, 0, 1} lasts for some tens of rows, is drawn anew, and does two things:

    now             the sizes behind the touch show it in their texture over time:
                        z = +1   bid sizes flicker from row to row, ask sizes are smooth
                        z = -1   ask sizes flicker, bid sizes are smooth
                        z =  0   sizes are random from row to row
    delay rows on   the mid-price drifts in its direction

    state    + + + + + + 0 0 0 - - - - -
    drift                . . . . + + + + + + 0 0 0 - - - - -       ``delay_events`` later

In a single row the sizes have one and the same distribution in every state: flickering is a smooth
path whose sign alternates, and the path is symmetric about its typical size. So no feature of one
row sees the state; a convolution over a few rows does. By the time the price drifts the state has
been drawn anew, so past moves say next to nothing either. A small second drift follows the queues
at the touch, which everyone sees: simple baselines beat the majority class, and stay below a model
that reads texture.

The best forecast of the move over the next ``h <= delay_events`` rows is therefore known at every
row, see ``Planted.expected_move_ticks``. With ``signal=0`` each step of the mid is up or down with
equal chance, whatever happened before: the mid is a martingale, and nobody can earn its spread.

This is stylised: sizes belong to a level, not to a price, and no order arrives that is large.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BookMeta, FloatArray, IntArray
from lob_backtest.errors import BookError

_FIRST_DAY = "2024-01-02"
_TIMEZONE = "America/New_York"
_OPEN, _CLOSE = "09:30", "16:00"
_SESSION_NS = 23_400_000_000_000
_TICK = 0.01
_FIRST_BID_TICKS = 10_000
_LOWEST_BID_TICKS = 1_000

_MOVE_CHANCE = 0.25  # of a step of one tick at a row
_PLANTED_BIAS = 0.9  # of a step's direction in a state, at signal=1
_VISIBLE_BIAS = 0.3  # of a step's direction by the queues at the touch, at signal=1
_SAME_STATE_CHANCE = 0.15  # below 1/3, so that past moves do not give the next state away
_TEXTURED_LEVELS = slice(1, 3)  # levels 2 and 3

_TYPICAL_SIZE = 200.0
_SIZE_SPREAD = 0.6  # standard deviation of log sizes
_TEXTURE_PERSISTENCE = 0.8
_SIZE_PERSISTENCE = 0.97
_PACE_PERSISTENCE = 0.98
_SAME_INSTANT_CHANCE = 0.02
_WIDEN_CHANCE, _NARROW_CHANCE = 0.01, 0.1
_WIDEST_SPREAD = 4
_GAP_PERSISTENCE = 0.999


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """What is known about a synthetic book beyond its rows.

    Attributes:
        state: ``(N,)`` hidden state of each row, -1, 0 or 1; visible in the texture of sizes.
        step_ticks: ``(N,)`` expected change of the mid from the row before, given all states and
            queues; 0 in a session's first row.
        session: ``(N,)`` session number.
        delay_events: rows from a state to the drift it causes.
    """

    state: IntArray
    step_ticks: FloatArray
    session: IntArray
    delay_events: int

    def expected_move_ticks(self, horizon_events: int) -> FloatArray:
        """``(N,)`` expected change of the mid over the next rows; NaN beyond the session's end.

        Up to ``delay_events`` rows ahead it follows from states that have been seen, apart from the
        small part that follows the queues.
        """
        n_rows = self.state.shape[0]
        moves = np.full(n_rows, np.nan)
        if horizon_events >= n_rows:
            return moves
        total = np.cumsum(self.step_ticks)
        moves[:-horizon_events] = total[horizon_events:] - total[:-horizon_events]
        same = self.session[horizon_events:] == self.session[:-horizon_events]
        moves[:-horizon_events][~same] = np.nan
        return moves


def synthetic_book(
    *,
    days: int,
    rows_per_day: int,
    levels: int = 10,
    signal: float,
    seed: int,
    delay_events: int = 40,
    instrument: str = "SYNTHETIC",
) -> Book:
    """A book of ``days`` sessions; see ``synthetic_book_with_planted``."""
    book, _ = synthetic_book_with_planted(
        days=days,
        rows_per_day=rows_per_day,
        levels=levels,
        signal=signal,
        seed=seed,
        delay_events=delay_events,
        instrument=instrument,
    )
    return book


def synthetic_book_with_planted(
    *,
    days: int,
    rows_per_day: int,
    levels: int = 10,
    signal: float,
    seed: int,
    delay_events: int = 40,
    instrument: str = "SYNTHETIC",
) -> tuple[Book, Planted]:
    """A book and what was planted in it.

    Sessions are 09:30 to 16:00 in New York on business days from 2 January 2024. Prices are cents
    near 100 dollars, the spread mostly one tick; rows come in clusters and some share an instant.

    Args:
        days: sessions.
        rows_per_day: rows in each session.
        levels: price levels on each side; at least 2 where there is a signal, since the touch does
            not show the state.
        signal: 0 for a martingale, 1 for the full drift.
        seed: the same arguments and seed give the same book.
        delay_events: rows from a state to its drift; also about how long a state lasts, and the
            horizon at which the book is best predictable.

    Raises:
        BookError: an argument out of its range.
    """
    _check(days, rows_per_day, levels, signal, delay_events)
    if seed < 0:
        raise BookError(f"seed={seed}: needs 0 or more")
    rng = np.random.default_rng(seed)
    n_rows = days * rows_per_day
    session = np.repeat(np.arange(days), rows_per_day)
    opens = np.arange(0, n_rows, rows_per_day)
    state = np.concatenate([_states(rows_per_day, delay_events, rng) for _ in range(days)])
    ask_size, bid_size = _sizes(state, levels, rng)
    bias = signal * (
        _PLANTED_BIAS * _delayed(state, delay_events, rows_per_day)
        + _VISIBLE_BIAS * _delayed(_imbalance(ask_size, bid_size), 1, rows_per_day)
    )
    bid, ask, step_ticks = _touch(bias, opens, rng)
    book = Book(
        meta=BookMeta(
            instrument=instrument,
            tick_size=_TICK,
            currency="USD",
            timezone=_TIMEZONE,
            session_open=_OPEN,
            session_close=_CLOSE,
            source=f"synthetic, signal={signal:g}, seed={seed}",
        ),
        time_ns=_times(days, rows_per_day, rng),
        ask_ticks=ask[:, np.newaxis] + _offsets(n_rows, levels, rng),
        ask_size=ask_size,
        bid_ticks=bid[:, np.newaxis] - _offsets(n_rows, levels, rng),
        bid_size=bid_size,
    )
    planted = Planted(
        state=state, step_ticks=step_ticks, session=session, delay_events=delay_events
    )
    return book, planted


def _check(days: int, rows_per_day: int, levels: int, signal: float, delay_events: int) -> None:
    if days < 1 or delay_events < 2 or rows_per_day < 4 * delay_events:
        raise BookError(
            f"days={days}, rows_per_day={rows_per_day} and delay_events={delay_events}: needs at "
            "least 1 day, a delay of 2 rows, and days of 4 delays"
        )
    if not 0 <= signal <= 1:
        raise BookError(f"signal={signal}: needs 0 (off) to 1 (full)")
    if levels < 1 or (signal > 0 and levels < 2):
        raise BookError(
            f"levels={levels}: needs at least 2 with a signal, which the touch does not show, "
            "and 1 without"
        )


def _states(n_rows: int, delay_events: int, rng: np.random.Generator) -> IntArray:
    """``(n_rows,)`` states in segments of half to one and a half delays."""
    shortest = max(delay_events // 2, 1)
    n_segments = n_rows // shortest + 1
    lengths = rng.integers(shortest, 3 * delay_events // 2 + 1, n_segments)
    # Modulo 3 a change of 0 keeps the state and 1 or 2 lead to either of the other two.
    others = (1 - _SAME_STATE_CHANCE) / 2
    changes = rng.choice(3, size=n_segments, p=[_SAME_STATE_CHANCE, others, others])
    return np.repeat((np.cumsum(changes) + rng.integers(3)) % 3 - 1, lengths)[:n_rows]


def _sizes(state: IntArray, levels: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """``(N, L)`` sizes of asks and of bids: whole, persistent, larger behind the touch."""
    n_rows = state.shape[0]
    alternating = np.where(np.arange(n_rows) % 2 == 0, 1.0, -1.0)
    profile = np.log(_TYPICAL_SIZE) + np.log1p(0.4 * np.arange(levels))
    sides = []
    for flickers_in in (-1, 1):  # asks, bids
        log_size = _persistent((n_rows, levels), _SIZE_PERSISTENCE, rng)
        textured = log_size[:, _TEXTURED_LEVELS]
        texture = _persistent(textured.shape, _TEXTURE_PERSISTENCE, rng)
        sign = np.where(state == flickers_in, alternating, 1.0)
        random_signs = rng.choice([-1.0, 1.0], size=textured.shape)
        signs = np.where((state == 0)[:, np.newaxis], random_signs, sign[:, np.newaxis])
        log_size[:, _TEXTURED_LEVELS] = texture * signs
        sides.append(np.maximum(np.rint(np.exp(profile + _SIZE_SPREAD * log_size)), 1.0))
    return sides[0], sides[1]


def _imbalance(ask_size: FloatArray, bid_size: FloatArray) -> FloatArray:
    ask, bid = ask_size[:, 0], bid_size[:, 0]
    imbalance: FloatArray = (bid - ask) / (bid + ask)
    return imbalance


def _delayed(values: FloatArray | IntArray, rows: int, rows_per_day: int) -> FloatArray:
    """Values of ``rows`` rows ago in the same session, 0 before its start."""
    days = values.reshape(-1, rows_per_day).astype(np.float64)
    delayed = np.zeros_like(days)
    delayed[:, rows:] = days[:, :-rows]
    return delayed.reshape(-1)


def _touch(
    bias: FloatArray, opens: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray, FloatArray]:
    """Best bid and ask in ticks, and the expected change of the mid at each row.

    Both sides step together by one tick, up with chance ``(1 + bias) / 2``. The spread widens and
    narrows on a side drawn with equal chance, so that it moves the mid but not on average.
    """
    n_rows = bias.shape[0]
    moves = rng.random(n_rows) < _MOVE_CHANCE
    up = rng.random(n_rows) < (1 + bias) / 2
    steps = np.where(moves, np.where(up, 1, -1), 0)
    expected = _MOVE_CHANCE * bias
    steps[opens] = rng.integers(-30, 31, opens.shape[0])  # overnight
    steps[0] = 0
    expected[opens] = 0.0
    spread = _spreads(n_rows, rng)
    widening = np.diff(spread, prepend=spread[0])
    on_the_bid = rng.random(n_rows) < 0.5
    bid = _FIRST_BID_TICKS + np.cumsum(steps - np.where(on_the_bid, widening, 0))
    if bid.min() < _LOWEST_BID_TICKS:
        raise BookError(
            f"the price wandered down to {bid.min()} ticks, needs {_LOWEST_BID_TICKS}; "
            "take fewer rows or another seed"
        )
    return bid, bid + spread, expected


def _spreads(n_rows: int, rng: np.random.Generator) -> IntArray:
    """``(n_rows,)`` spread in ticks: seldom widens, soon narrows."""
    draws = rng.random(n_rows).tolist()
    spreads, spread = [], 1
    for draw in draws:
        if draw < _WIDEN_CHANCE and spread < _WIDEST_SPREAD:
            spread += 1
        elif draw > 1 - _NARROW_CHANCE and spread > 1:
            spread -= 1
        spreads.append(spread)
    return np.array(spreads, dtype=np.int64)


def _offsets(n_rows: int, levels: int, rng: np.random.Generator) -> IntArray:
    """``(n_rows, levels)`` ticks behind the touch; now and then a price has no orders."""
    wide = _persistent((n_rows, levels), _GAP_PERSISTENCE, rng) > 1.5
    gaps = 1 + wide.astype(np.int64)
    gaps[:, 0] = 0
    return np.cumsum(gaps, axis=1)


def _times(days: int, rows_per_day: int, rng: np.random.Generator) -> IntArray:
    """``(N,)`` instants within the sessions, clustered, some of them shared by several rows."""
    dates = np.busday_offset(_FIRST_DAY, np.arange(days), roll="forward")
    local = pd.DatetimeIndex(dates.astype("datetime64[ns]")) + pd.Timedelta(f"{_OPEN}:00")
    opens_ns = local.tz_localize(_TIMEZONE).tz_convert("UTC").as_unit("ns").asi8
    pace = np.exp(_persistent((days * rows_per_day, 1), _PACE_PERSISTENCE, rng)[:, 0])
    waits = rng.exponential(size=days * rows_per_day) * pace
    waits[rng.random(days * rows_per_day) < _SAME_INSTANT_CHANCE] = 0.0
    elapsed = np.cumsum(waits.reshape(days, rows_per_day), axis=1)
    share = elapsed / (elapsed[:, -1:] + waits.mean())  # the last row comes before the close
    times = opens_ns[:, np.newaxis] + np.floor(share * _SESSION_NS).astype(np.int64)
    return np.asarray(times.reshape(-1), dtype=np.int64)


def _persistent(shape: tuple[int, ...], persistence: float, rng: np.random.Generator) -> FloatArray:
    """Standard normal columns with autocorrelation ``persistence ** lag``: AR(1) in time.

    An exponential mean is the same recursion, x_t = p x_{t-1} + (1 - p) u_t; u is scaled so that
    the variance stays 1 from the first row on.
    """
    noise = rng.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - persistence**2) / (1 - persistence)
    smooth = pd.DataFrame(noise).ewm(alpha=1 - persistence, adjust=False).mean()
    return np.array(smooth, dtype=np.float64)
