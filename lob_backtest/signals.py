"""From probabilities to a target position: a confidence threshold, a holding rule, a size.

    probability --threshold--> -1, 0, +1 --hold--> -1, 0, +1 --sizing, limits--> target in units

Every step looks at the decision itself and at earlier ones only, and none knows which decision is
its block's last: what is held then is closed by ``orders``.
"""

import math
from collections.abc import Sequence
from typing import Literal

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


def confidence_sizes(probability: FloatArray, signal: IntArray, *, size_steps: int) -> FloatArray:
    """Share of the limit that each signal is worth, ``(D,)`` from 0 to 1 in ``size_steps`` steps.

        z = (p - 1/C) / sqrt(p (1 - p))     m = 2 Phi(z) - 1     rounded to the nearest step

    with p the probability of the traded side and C = 3 classes: nothing for a guess, everything for
    certainty. A signal below the first half step is worth nothing.

    Args:
        probability: ``(D, 3)`` down, flat, up.
        signal: ``(D,)`` of -1, 0, 1; 0 has size 0.
        size_steps: at least 1.

    References: Lopez de Prado (2018), Advances in Financial Machine Learning, sections 10.3, 10.5.
    """
    from scipy.special import ndtr  # takes a moment: imported where it is used

    if size_steps < 1:
        raise SignalError(f"size_steps={size_steps}: needs to be at least 1")
    p = np.where(signal > 0, probability[:, UP], probability[:, DOWN])
    p = np.clip(p, 0.0, 1.0)  # a table's rows sum to 1 within 1e-4, so certainty may exceed 1
    with np.errstate(divide="ignore"):  # certainty: z is infinite and m is 1
        z = (p - 1 / probability.shape[1]) / np.sqrt(p * (1 - p))
    bet = np.maximum(2 * ndtr(z) - 1, 0.0)
    return np.where(signal == 0, 0.0, np.floor(bet * size_steps + 0.5) / size_steps)


def target_positions(
    probability: FloatArray,
    *,
    threshold: float,
    hold_decisions: int,
    position_limit: float,
    starts: BoolArray,
    sizing: Literal["full", "confidence"] = "full",
    size_steps: int = 1,
    unit_limit: FloatArray | None = None,
) -> FloatArray:
    """Target position in units after each decision, ``(D,)``, never beyond ``position_limit``.

    A kept signal keeps the size that it had. ``unit_limit`` counts where a side is taken, and holds
    until it is left: a limit that moves with the mid would otherwise trade at every decision.

    Args:
        probability: ``(D, 3)`` down, flat, up.
        threshold, hold_decisions: see ``raw_signal`` and ``hold``.
        position_limit: units held at most, long or short.
        starts: ``(D,)`` first decision of each block, from ``block_bounds``.
        sizing: the whole limit for every signal, or ``confidence_sizes`` of it.
        size_steps: of ``confidence``.
        unit_limit: ``(D,)`` units that a notional limit allows at the mid known then.
    """
    signal = raw_signal(probability, threshold=threshold)
    held = hold(signal, hold_decisions=hold_decisions, restart=starts)
    limit = _limits(held, starts, position_limit=position_limit, unit_limit=unit_limit)
    if sizing == "full":
        return held * limit
    share = confidence_sizes(probability, signal, size_steps=size_steps)
    last_signal = np.maximum.accumulate(np.where(signal != 0, np.arange(signal.size), 0))
    return held * limit * share[last_signal]


def buy_and_hold_targets(
    starts: BoolArray, *, position_limit: float, unit_limit: FloatArray | None = None
) -> FloatArray:
    """``(D,)`` the whole limit, from the first decision of each block on."""
    held = np.ones(starts.size, dtype=np.int64)
    return _limits(held, starts, position_limit=position_limit, unit_limit=unit_limit)


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


def _limits(
    held: IntArray, starts: BoolArray, *, position_limit: float, unit_limit: FloatArray | None
) -> FloatArray:
    """``(D,)`` units allowed: the notional limit as it was where the side was taken."""
    if not (math.isfinite(position_limit) and position_limit > 0):
        raise SignalError(f"position_limit={position_limit}: needs a positive number of units")
    if unit_limit is None:
        return np.full(held.size, position_limit, dtype=np.float64)
    if not (np.isfinite(unit_limit).all() and (unit_limit > 0).all()):
        raise SignalError("unit_limit: needs a positive number of units at every decision")
    taken = starts | (np.diff(held, prepend=0) != 0)
    since = np.maximum.accumulate(np.where(taken, np.arange(held.size), 0))
    return np.minimum(unit_limit[since], position_limit)
