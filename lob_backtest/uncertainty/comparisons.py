"""Many comparisons at once: p-values that hold for all of them together.

    holm                  at most 5 % chance of any wrong rejection; needs the p-values alone
    romano_wolf           the same, sharper: uses how the comparisons move together
    benjamini_hochberg    at most 5 % of the rejections are wrong, on average
    superior_ability      one question: is any of them better than the benchmark?

Each gives adjusted p-values: reject at 5 % what is at or below 0.05.
"""

import math

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.bootstrap import (
    autocovariance,
    block_length,
    stationary_bootstrap_indices,
)

_BATCH = 4_000_000  # drawn values held at once


def holm(p_values: FloatArray) -> FloatArray:
    """Adjusted ``max over the smaller ones of (m - rank + 1) p``, at most 1; any dependence.

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])

    References: Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian
    Journal of Statistics 6(2).
    """
    order = _ordered(p_values)
    m = p_values.size
    stepped = np.maximum.accumulate(p_values[order] * (m - np.arange(m)))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """Adjusted ``min over the larger ones of m p / rank``; independent or positively dependent.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.04, 0.04])

    References: Benjamini and Hochberg (1995), Controlling the False Discovery Rate, Journal of the
    Royal Statistical Society B 57(1).
    """
    order = _ordered(p_values)
    m = p_values.size
    scaled = p_values[order] * (m / np.arange(1, m + 1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def romano_wolf(statistics: FloatArray, resampled: FloatArray) -> FloatArray:
    """Stepdown adjusted p-values of the hypotheses that each difference is nothing.

    The largest statistic is held against the resampled maximum over all hypotheses, the next one
    against the maximum over the rest, and so on; a p-value is never below one before it.

    Args:
        statistics: ``(K,)`` studentized, large is far from nothing: ``|t|`` for two sides, ``t``
            for one.
        resampled: ``(R, K)`` the same of each resample, centred on the sample's figures.

    References: Romano and Wolf (2005), Exact and Approximate Stepdown Methods for Multiple
    Hypothesis Testing, JASA 100(469); (2016), Efficient computation of adjusted p-values for
    resampling-based stepdown multiple testing, Statistics & Probability Letters 113.
    """
    if resampled.ndim != 2 or resampled.shape[1] != statistics.size or not resampled.size:
        raise MetricError(
            f"resampled has shape {resampled.shape}; needs a row a resample and "
            f"{statistics.size} columns, one a statistic"
        )
    order = np.argsort(-statistics, kind="stable")
    # Column i: the maximum over hypothesis i and all that come after it.
    largest = np.maximum.accumulate(resampled[:, order][:, ::-1], axis=1)[:, ::-1]
    reached = (largest >= statistics[order]).sum(axis=0)
    adjusted = np.empty(statistics.size)
    adjusted[order] = np.maximum.accumulate((1 + reached) / (1 + resampled.shape[0]))
    return adjusted


def superior_ability(
    differences: FloatArray,
    *,
    n_resamples: int = 1000,
    mean_block: float | None = None,
    rng: np.random.Generator,
) -> float:
    """P-value of: no column is better than the benchmark on average, however many were tried.

    ``max_k sqrt(n) mean_k / deviation_k`` against its bootstrap under the hypothesis; columns far
    below the benchmark (``sqrt(n) mean / deviation < -sqrt(2 log log n)``) do not count, so that
    adding hopeless ones does not hide a good one.

    Args:
        differences: ``(n, K)`` performance above the benchmark, one a period; above 0 is better.
        n_resamples: R.
        mean_block: of the stationary bootstrap; None takes the longest that a column asks for.
        rng: randomness.

    Raises:
        MetricError: fewer than 4 periods, or values that are not finite.

    References: Hansen (2005), A Test for Superior Predictive Ability, Journal of Business &
    Economic Statistics 23(4): SPA, consistent version; White (2000), Econometrica 68(5).
    """
    n, k = differences.shape
    if n < 4 or not np.isfinite(differences).all():
        raise MetricError(f"{n} periods of {k} columns: needs at least 4, all values finite")
    block = mean_block or max(block_length(column) for column in differences.T)
    mean = differences.mean(axis=0)
    variance = np.array([_bootstrap_variance(column, block) for column in differences.T])
    varies = variance > 0
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    score = np.where(varies, math.sqrt(n) * mean / deviation, 0.0)
    counts = varies & (score >= -math.sqrt(2 * math.log(math.log(n))))
    observed = max(0.0, float(score.max(initial=0.0)))
    reached, batch = 0, max(1, _BATCH // (n * k))
    for done in range(0, n_resamples, batch):
        size = min(batch, n_resamples - done)
        drawn = stationary_bootstrap_indices(n, mean_block=block, n_resamples=size, rng=rng)
        moved = math.sqrt(n) * (differences[drawn].mean(axis=1) - mean) / deviation
        largest = np.where(counts, moved, 0.0).max(axis=1, initial=0.0)
        reached += int((largest >= observed).sum())
    return (1 + reached) / (1 + n_resamples)


def _bootstrap_variance(column: FloatArray, mean_block: float) -> float:
    """n times the variance of the stationary bootstrap's mean, without drawing.

    ``R(0) + 2 sum_k ((1 - k / n) (1 - q)^k + k / n (1 - q)^(n - k)) R(k)`` with ``q = 1 / block``:
    Politis and Romano (1994), lemma 1.
    """
    n = column.size
    covariance = autocovariance(column, n - 1)
    k, stays = np.arange(1, n), 1 - 1 / mean_block
    weight = (1 - k / n) * stays**k + k / n * stays ** (n - k)
    return float(covariance[0] + 2 * (weight * covariance[1:]).sum())


def _ordered(p_values: FloatArray) -> "np.typing.NDArray[np.intp]":
    if p_values.ndim != 1 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise MetricError(f"p_values={p_values}: needs a list of shares within 0 and 1")
    return np.argsort(p_values, kind="stable")
