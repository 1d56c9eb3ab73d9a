"""The variance of a mean of values that follow one another and are not independent.

    variance of a mean = long-run variance / n,   long-run variance = sum of R(k) over all lags k

Two estimates of the long-run variance of ``x``, with the autocovariance R:

    cosines      average of (sum_t c_j(t) x_t)^2 over the cosines j = 1 .. K, slow ones only;
                 with Student's t of K degrees of freedom its tests keep their size
    Newey-West   R(0) + 2 sum_k (1 - k / (lag + 1)) R(k) over k = 1 .. lag; or all weights 1
"""

import math

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.bootstrap import autocovariance

# Below, Student's t is so wide that an interval says nothing.
_FEWEST_COSINES = 2


def n_cosines(n: int, *, mean_block: float, overlap: float = 1.0) -> int:
    """How many cosines estimate the long-run variance of a series of ``n``.

    ``0.4 n^(2/3)``, and no more than ``n / mean_block`` and ``n / (2 overlap)``: a cosine that is
    as fast as the dependence lasts sees less than its whole variance. At least 2, below ``n``.

    Args:
        n: length, at least 2.
        mean_block: see ``block_length``; long for a series that forgets slowly.
        overlap: how many neighbours share a part of the same label.

    References: Lazarus, Lewis, Stock and Watson (2018), HAR Inference: Recommendations for
    Practice, Journal of Business & Economic Statistics 36(4): the first of the three limits.
    """
    if n < 2:
        raise MetricError(f"n={n}: a variance needs at least 2 values")
    wanted = min(0.4 * n ** (2 / 3), n / mean_block, n / (2 * overlap))
    return min(max(_FEWEST_COSINES, int(wanted)), n - 1)


def cosines(n: int, n_terms: int) -> FloatArray:
    """``(n, K)`` the slowest cosines ``sqrt(2) cos(pi j (t - 1/2) / n)``, each of mean 0, square 1.

    >>> cosines(4, 2).T @ cosines(4, 2) / 4 @ [1.0, 1.0]
    array([1., 1.])
    """
    phase = math.pi * (np.arange(n) + 0.5) / n
    wave: FloatArray = math.sqrt(2) * np.cos(np.outer(phase, np.arange(1, n_terms + 1)))
    return wave


def cosine_variance(series: FloatArray, n_terms: int) -> FloatArray:
    """Long-run variance by ``n_terms`` cosines of ``(n,)`` or of each column of ``(n, K)``.

    References: Müller (2007), A theory of robust long-run variance estimation, Journal of
    Econometrics 141(2); Lazarus et al. (2018), see ``n_cosines``.
    """
    from scipy.fft import dct  # the same sums as with ``cosines``, for a million values too

    n = series.shape[0]
    waves = dct(series, type=2, axis=0)[1 : n_terms + 1] / math.sqrt(2)
    return np.asarray((waves**2).mean(axis=0) / n)


def lag_variance(series: FloatArray, lag: int, *, kernel: str = "bartlett") -> float:
    """Long-run variance of ``(n,)`` from the autocovariances up to ``lag``.

    Args:
        series: values; their mean is taken off.
        lag: the last lag that counts, at least 0.
        kernel: ``bartlett`` weighs lag k by ``1 - k / (lag + 1)`` (Newey-West), never negative;
            ``flat`` by 1 (Hansen-Hodrick), right for an overlap of ``lag``, and may be negative.

    References: Newey and West (1987), Econometrica 55(3); Hansen and Hodrick (1980), Journal of
    Political Economy 88(5).
    """
    n = series.size
    if not 0 <= lag < n:
        raise MetricError(f"lag={lag}: needs to be at least 0 and below the {n} values")
    covariance = autocovariance(series, lag)
    k = np.arange(1, lag + 1)
    weight = 1 - k / (lag + 1) if kernel == "bartlett" else np.ones(lag)
    return float(covariance[0] + 2 * (weight * covariance[1:]).sum())
