"""From probabilities to a target position: a confidence threshold, a holding rule, a limit.

    probability --threshold--> -1, 0, +1 --hold--> -1, 0, +1 --limit, ends--> target in units

Every step looks at the decision itself and at earlier ones only. Positions end with each block:
where a fold or a session ends, the target is 0. That bounds are known beforehand is a matter of
the calendar (the session's close, the plan of the folds), not of the data.
"""

import math
from collections.abc import Sequence

import numpy as np

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.errors import SignalError
from lob_backtest.predictions import DOWN, UP


def block_bounds(fold: IntArray, session: IntArray) -> tuple[BoolArray, BoolArray]:
    """First and last decision of each block: a stretch of one fold in one session.

    Args:
        fold, session: ``(D,)`` of each decision, in the order of the predictions table.

    Returns:
        ``starts, ends``: ``(D,)`` each.
    """
    changes = (np.diff(fold) != 0) | (np.diff(session) != 0)
    return np.append(True, changes), np.append(changes, True)


def raw_signal(probability: FloatArray, *, threshold: float) -> IntArray:
    """Side of the more likely move where its probability reaches the threshold, otherwise 0.

    +1 where ``p_up >= threshold`` and ``p_up > p_down``, -1 the other way round. Flat may be more
    likely than either: a low threshold trades on the direction alone.

    Args:
        probability: ``(D, 3)`` down, flat, up.
        threshold: within 0 and 1.

    Returns:
        ``(D,)`` int64 of -1, 0, 1.
    """
    if not 0 < threshold < 1:
        raise SignalError(f"threshold={threshold}: needs to be a probability within 0 and 1")
    down, up = probability[:, DOWN], probability[:, UP]
    bought = (up >= threshold) & (up > down)
    sold = (down >= threshold) & (down > up)
    return bought.astype(np.int64) - sold.astype(np.int64)


def hold(signal: IntArray, *, hold_decisions: int, restart: BoolArray) -> IntArray:
    """Keep a signal for ``hold_decisions`` decisions, its own included.

    The same sign renews the count, the opposite sign flips at once, and what has run out is 0.
    With 3 decisions: ``+ 0 0 0 - 0 + 0`` becomes ``+ + + 0 - - + +``. The count is in decisions,
    never up to the label's end: with a horizon in events that instant is not known beforehand.

    Args:
        signal: ``(D,)`` of -1, 0, 1.
        hold_decisions: at least 1.
        restart: ``(D,)`` first decision of each block; nothing is kept across it.
    """
    if hold_decisions < 1:
        raise SignalError(f"hold_decisions={hold_decisions}: needs to be at least 1")
    place = np.arange(signal.size)
    last_signal = np.maximum.accumulate(np.where(signal != 0, place, -1))
    block_start = np.maximum.accumulate(np.where(restart, place, 0))
    is_kept = (last_signal >= block_start) & (place - last_signal < hold_decisions)
    return np.where(is_kept, signal[np.maximum(last_signal, 0)], 0).astype(np.int64)


def target_positions(
    probability: FloatArray,
    *,
    threshold: float,
    hold_decisions: int,
    position_limit: float,
    starts: BoolArray,
    ends: BoolArray,
) -> FloatArray:
    """Target position in units after each decision; 0 at the last decision of each block.

    Args:
        probability: ``(D, 3)`` down, flat, up.
        threshold, hold_decisions: see ``raw_signal`` and ``hold``.
        position_limit: units held, long or short, while a signal is kept.
        starts, ends: ``(D,)`` from ``block_bounds``.

    Returns:
        ``(D,)`` float64 of ``-position_limit``, 0, ``position_limit``.
    """
    _check_limit(position_limit)
    signal = raw_signal(probability, threshold=threshold)
    held = hold(signal, hold_decisions=hold_decisions, restart=starts)
    return np.where(ends, 0.0, held * position_limit)


def buy_and_hold_targets(ends: BoolArray, *, position_limit: float) -> FloatArray:
    """``position_limit`` units from the first to the last decision of each block, ``(D,)``."""
    _check_limit(position_limit)
    return np.where(ends, 0.0, position_limit)


def choose_threshold(
    candidates: Sequence[float],
    net_pnl: Sequence[float],
    trades: Sequence[int],
    *,
    min_trades: int,
) -> float:
    """The candidate with the highest net profit on validation, the higher one among equals.

    Only candidates with at least ``min_trades`` trades are eligible: a profit of one or two trades
    is luck. Where none is, the one with the most trades is taken (again the higher among equals):
    that leaves the model tradable, and the choice free of a profit that means nothing.

    Args:
        candidates: ``(K,)`` thresholds.
        net_pnl: ``(K,)`` net profit of each on the validation block.
        trades: ``(K,)`` round trips of each there.
    """
    if not len(candidates) == len(net_pnl) == len(trades) or not candidates:
        raise SignalError(
            f"got {len(candidates)} candidates, {len(net_pnl)} profits and {len(trades)} trade "
            "counts; needs the same number of each, at least one"
        )
    if not all(math.isfinite(profit) for profit in net_pnl):
        raise SignalError(f"net profits {list(net_pnl)}: needs finite figures")
    rows = list(zip(candidates, net_pnl, trades, strict=True))
    eligible = [row for row in rows if row[2] >= min_trades]
    if eligible:
        return max(eligible, key=lambda row: (row[1], row[0]))[0]
    return max(rows, key=lambda row: (row[2], row[0]))[0]


def _check_limit(position_limit: float) -> None:
    if not (math.isfinite(position_limit) and position_limit > 0):
        raise SignalError(f"position_limit={position_limit}: needs a positive number of units")
