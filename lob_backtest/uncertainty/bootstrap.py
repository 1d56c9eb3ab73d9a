"""The stationary bootstrap: series drawn anew in blocks, and how long these should be.

Decisions and bars follow one another and are not independent, so whole stretches are drawn:

    series     a b c d e f g h
    resample   d e f | a b | g h a        blocks of random length, mean_block on average

    samples = bootstrap(statistic, n, mean_block=block_length(series), n_resamples=1000, rng=rng)

A statistic gets ``(R, n)`` indices at once. To compare two models, let it use the same indices for
both and return the difference: what moved both alike then cancels.
"""

import math
from collections.abc import Callable

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError

Statistic = Callable[[IntArray], FloatArray]
# Indices formed at once, so that memory does not grow with the number of resamples.
_BATCH = 4_000_000


def stationary_bootstrap_indices(
    n: int, *, mean_block: float, n_resamples: int, rng: np.random.Generator
) -> IntArray:
    """``(n_resamples, n)`` int64 indices into a series of ``n``, in blocks of random length.

    Each index is followed by its successor (the last one by the first), or with probability
    ``1 / mean_block`` by one drawn anew: block lengths are geometric. 1 draws independently.

    Raises:
        MetricError: nothing to draw from, no resamples, or a mean block below 1.

    References: Politis and Romano (1994), The Stationary Bootstrap, JASA 89(428).
    """
    if n < 1 or n_resamples < 1:
        raise MetricError(f"n={n} and n_resamples={n_resamples}: needs at least 1 of each")
    if not mean_block >= 1:
        raise MetricError(f"mean_block={mean_block}: needs to be at least 1")
    shape = (n_resamples, n)
    begins = rng.random(shape) < 1 / mean_block
    begins[:, 0] = True
    # All resamples in one line: a block goes on from its first index until the next one begins.
    first = np.flatnonzero(begins)
    length = np.diff(first, append=begins.size)
    offset = rng.integers(0, n, first.size) - first
    drawn = np.repeat(offset, length) + np.arange(begins.size)
    return (drawn % n).reshape(shape)


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    mean_block: float,
    n_resamples: int = 1000,
    rng: np.random.Generator,
) -> FloatArray:
    """The statistic of each resample, ``(R,)`` or ``(R, K)`` as it gives them.

    Args:
        statistic: from ``(r, n)`` indices to ``(r,)`` or ``(r, K)`` figures.
        n: length of the series that the indices are into.
        mean_block: see ``block_length``.
        n_resamples: R.
        rng: the draws depend on it and on nothing else.
    """
    batch = max(1, _BATCH // n)
    sizes = [min(batch, n_resamples - done) for done in range(0, n_resamples, batch)]
    parts = [
        statistic(stationary_bootstrap_indices(n, mean_block=mean_block, n_resamples=size, rng=rng))
        for size in sizes
    ]
    return np.concatenate(parts).astype(np.float64)


def block_length(series: FloatArray) -> float:
    """Mean block that makes the stationary bootstrap of a mean most accurate, at least 1.

    ``(2 G^2 / D)^(1/3) n^(1/3)`` with ``G = sum_k w(k/M) |k| R(k)`` and
    ``D = 2 (sum_k w(k/M) R(k))^2`` over ``|k| <= M``, the autocovariance R, and the flat-top
    window w: 1 up to 1/2, then falling to 0 at 1. M is twice the first lag from which
    ``K = max(5, log10 n)`` autocorrelations in a row are below ``2 sqrt(log10 n / n)``. At most
    ``min(3 sqrt n, n / 3)``; 1 for a constant series.

    Args:
        series: ``(n,)`` finite, the contributions of which the statistic is about the mean.

    References: Politis and White (2004), Automatic Block-Length Selection for the Dependent
    Bootstrap, Econometric Reviews 23(1); Patton, Politis and White (2009), Correction, 28(4).
    """
    n = series.size
    if not np.isfinite(series).all():
        raise MetricError("the series has values that are NaN or infinite; needs finite values")
    if n < 10 or np.ptp(series) == 0:
        return 1.0
    run = max(5, int(math.log10(n)))
    longest = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariance = autocovariance(series, longest)
    lag = np.arange(1, _last_lag(covariance, n, run) + 1)
    weight = np.minimum(1.0, 2 * (1 - lag / lag[-1]))
    spread = 2 * float((weight * lag * covariance[lag]).sum())
    long_run = float(covariance[0] + 2 * (weight * covariance[lag]).sum())
    if long_run == 0:
        return 1.0
    best = (spread**2 / long_run**2 * n) ** (1 / 3)
    return float(np.clip(best, 1.0, math.ceil(min(3 * math.sqrt(n), n / 3))))


def _last_lag(covariance: FloatArray, n: int, run: int) -> int:
    """M: twice the first lag from which ``run`` correlations are small, within those at hand."""
    longest = covariance.size - 1
    is_small = np.abs(covariance[1:-1]) < 2 * math.sqrt(math.log10(n) / n) * covariance[0]
    if is_small.size < run:
        return longest
    all_small = np.lib.stride_tricks.sliding_window_view(is_small, run).all(axis=1)
    first_lag = int(np.argmax(all_small)) + 1
    return min(2 * first_lag, longest) if all_small.any() else longest


def autocovariance(series: FloatArray, longest: int) -> FloatArray:
    """``R(k) = sum_t (x_t - mean)(x_(t+k) - mean) / n`` for k = 0 .. longest, by FFT."""
    n = series.size
    centred = series - series.mean()
    # Padded with zeros to at least n + longest, so that nothing wraps around.
    size = 1 << (n + longest).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    covariance: FloatArray = np.fft.irfft(spectrum, size)[: longest + 1] / n
    return covariance
