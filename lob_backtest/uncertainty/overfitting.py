"""Whether choosing the best of many in one half of the data says anything about the other half.

Time is cut into S blocks. For each way to take half of them (S = 4):

    blocks      1 2 3 4
    split 0     i i o o      the best strategy in i: how does it rank in o?
    split 1     i o i o
    ...                      6 ways, each with its mirror image

The probability of backtest overfitting is the share of splits in which the best of the one half is
at or below the middle of the other.

References: Bailey, Borwein, López de Prado and Zhu (2017), The Probability of Backtest Overfitting,
Journal of Computational Finance 20(4).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.errors import MetricError

# From (T, N) returns to (N,) figures, larger is better.
Performance = Callable[[FloatArray], FloatArray]
_MOST_SPLITS = 50_000  # 18 blocks


@dataclass(frozen=True, kw_only=True, eq=False)
class Overfitting:
    """What choosing among the strategies is worth.

    Attributes:
        pbo: probability of backtest overfitting: share of logits at or below 0.
        logits: ``(splits,)`` ``ln(w / (1 - w))``, w the chosen one's rank outside over N + 1.
        chosen: ``(splits,)`` column that was best inside.
        inside, outside: ``(splits,)`` the chosen one's performance in either half.
        slope, intercept: of the line through outside by inside: a slope below 0 says that the
            better it looked, the worse it did. NaN where all insides are equal.
        probability_of_loss: share of splits in which the chosen one's outside is below 0.
    """

    pbo: float
    logits: FloatArray
    chosen: IntArray
    inside: FloatArray
    outside: FloatArray
    slope: float
    intercept: float
    probability_of_loss: float


def backtest_overfitting(
    returns: FloatArray, *, n_splits: int = 16, performance: Performance | None = None
) -> Overfitting:
    """Combinatorially symmetric cross-validation of a matrix of returns.

    Blocks are as equal in length as can be. Equal performances share their ranks; among equal
    bests inside, the first column is chosen.

    Args:
        returns: ``(T, N)`` of N strategies in the same T periods, in time order; finite.
        n_splits: S, even; all ``S! / (S/2)!^2`` halves are looked at.
        performance: of ``(t, N)`` returns, ``(N,)`` finite, larger is better. None is the Sharpe
            ratio (ddof 1), computed from sums over blocks; returns without deviation have none, and
            count as 0, or as 1 or -1 where they are a constant gain or loss.

    Raises:
        MetricError: fewer than two strategies, an odd S, blocks of fewer than two periods.
    """
    _check(returns, n_splits)
    halves = _halves(n_splits)
    block = np.arange(returns.shape[0]) * n_splits // returns.shape[0]
    if performance is None:
        inside, outside = _sharpe_ratios(returns, block, halves)
    else:
        inside, outside = _performances(returns, block, halves, performance)
    chosen = np.argmax(inside, axis=1)
    rows = np.arange(chosen.size)
    own = outside[rows, chosen]
    below = (outside < own[:, None]).sum(axis=1)
    equal = (outside == own[:, None]).sum(axis=1)
    rank = below + (equal + 1) / 2
    logits = np.log(rank / (returns.shape[1] + 1 - rank))
    slope, intercept = _line(inside[rows, chosen], own)
    return Overfitting(
        pbo=float((logits <= 0).mean()),
        logits=logits,
        chosen=chosen,
        inside=inside[rows, chosen],
        outside=own,
        slope=slope,
        intercept=intercept,
        probability_of_loss=float((own < 0).mean()),
    )


def _halves(n_splits: int) -> BoolArray:
    """``(splits, S)`` which blocks are inside."""
    chosen = np.array(list(combinations(range(n_splits), n_splits // 2)), dtype=np.int64)
    halves = np.zeros((chosen.shape[0], n_splits), dtype=np.bool_)
    np.put_along_axis(halves, chosen, True, axis=1)
    return halves


def _sharpe_ratios(
    returns: FloatArray, block: IntArray, halves: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """``(splits, N)`` Sharpe ratios inside and outside, from each block's sums alone."""
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    # Around the mean of all, so that the squares do not swallow the digits of the variance.
    shift = returns.mean(axis=0)
    centred = returns - shift
    n = np.diff(starts, append=block.size).astype(np.float64)
    total = np.add.reduceat(centred, starts, axis=0)
    square = np.add.reduceat(centred**2, starts, axis=0)
    span = float(np.ptp(returns)) or 1.0

    def ratios(which: BoolArray) -> FloatArray:
        weight = which.astype(np.float64)
        length = (weight @ n)[:, None]
        mean = weight @ total / length
        variance = np.maximum(weight @ square - length * mean**2, 0.0) / (length - 1)
        deviation = np.sqrt(variance)
        varies = deviation > 1e-12 * span  # what is left of a constant after rounding
        own: FloatArray = np.where(
            varies, (mean + shift) / np.where(varies, deviation, 1.0), np.sign(mean + shift)
        )
        return own

    return ratios(halves), ratios(~halves)


def _performances(
    returns: FloatArray, block: IntArray, halves: BoolArray, performance: Performance
) -> tuple[FloatArray, FloatArray]:
    inside = np.array([performance(returns[half[block]]) for half in halves], dtype=np.float64)
    outside = np.array([performance(returns[~half[block]]) for half in halves], dtype=np.float64)
    for found in (inside, outside):
        if found.shape != (halves.shape[0], returns.shape[1]) or not np.isfinite(found).all():
            raise MetricError(
                f"performance gave shape {found.shape[1:]} or a value that is not finite; needs "
                f"{returns.shape[1]} finite figures, one a strategy"
            )
    return inside, outside


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    centred = x - x.mean()
    spread = float(centred @ centred)
    if spread == 0:
        return math.nan, math.nan
    slope = float(centred @ y) / spread
    return slope, float(y.mean() - slope * x.mean())


def _check(returns: FloatArray, n_splits: int) -> None:
    if returns.ndim != 2 or returns.shape[1] < 2 or not np.isfinite(returns).all():
        raise MetricError(
            f"returns has shape {returns.shape}; needs (periods, strategies), at least 2 "
            "strategies, all values finite"
        )
    if n_splits < 2 or n_splits % 2 or math.comb(n_splits, n_splits // 2) > _MOST_SPLITS:
        raise MetricError(f"n_splits={n_splits}: needs an even number from 2 to 18")
    if returns.shape[0] < 2 * n_splits:
        raise MetricError(
            f"{returns.shape[0]} periods in {n_splits} blocks; needs at least {2 * n_splits}"
        )
