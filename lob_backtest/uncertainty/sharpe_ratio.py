"""How much a Sharpe ratio is worth: after its length, its skewness, its dependence and its rivals.

All ratios here are per period, mean over standard deviation, never annualised; ``annualised`` turns
one into the other. The ratio's standard error for returns with skewness g and kurtosis k (3 for a
normal distribution) is

    sqrt(dependence * (1 - g SR + (k - 1) / 4 SR^2) / (n - 1))

``dependence`` is 1 for returns that are independent of each other. Otherwise it is by how much the
variance grows because they are not (``Moments.of`` measures it).

References: Bailey and López de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk
15(2); Mertens (2002), Comments on variance of the IID estimator in Lo (2002); Lo (2002), The
Statistics of Sharpe Ratios, FAJ 58(4).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.bootstrap import block_length
from lob_backtest.uncertainty.long_run import cosine_variance, n_cosines

_EULER_MASCHERONI = 0.577215664901532861
_NORMAL = NormalDist()
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What the standard error of a Sharpe ratio depends on.

    Attributes:
        sharpe: per period, standard deviation with ddof 1.
        n: periods.
        skewness: 0 for a symmetric distribution.
        kurtosis: 3 for a normal one.
        dependence: long-run variance over variance of what each period adds to the ratio, at
            least 1; 1 for independent periods.
    """

    sharpe: float
    n: int
    skewness: float = 0.0
    kurtosis: float = 3.0
    dependence: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 2:
            raise MetricError(f"n={self.n}: a Sharpe ratio needs at least 2 periods")
        if self.dependence <= 0:
            raise MetricError(f"dependence={self.dependence}: needs to be above 0")
        if self.kurtosis < (self.skewness**2 + 1) * (1 - _ROUNDING):
            raise MetricError(
                f"kurtosis={self.kurtosis} and skewness={self.skewness}: no series has both; "
                "needs kurtosis >= skewness^2 + 1 (3 for a normal distribution)"
            )

    @classmethod
    def of(cls, returns: FloatArray, *, is_dependent: bool = True) -> "Moments | None":
        """Moments of ``(n,)`` returns; None where they are all equal or fewer than two.

        Args:
            returns: one a period, all of one length; NaN is an error.
            is_dependent: measure ``dependence`` (never below 1: returns that swing back would make
                the ratio look surer than independent ones); False assumes independent periods.
        """
        if not np.isfinite(returns).all():
            raise MetricError("returns has values that are NaN or infinite; needs finite values")
        if returns.size < 2 or np.ptp(returns) == 0:
            return None
        scaled = returns / np.abs(returns).max()  # squares of tiny profits would be nothing
        z = (scaled - scaled.mean()) / scaled.std()
        sharpe = float(scaled.mean() / scaled.std(ddof=1))
        # What each period adds: the derivative of mean over deviation.
        influence = z - sharpe / 2 * (z**2 - 1)
        return cls(
            sharpe=sharpe,
            n=returns.size,
            skewness=float((z**3).mean()),
            kurtosis=float((z**4).mean()),
            dependence=_dependence(influence) if is_dependent else 1.0,
        )

    @property
    def variance(self) -> float:
        """Of the ratio as an estimate, times ``n - 1``; never below ``(1 - g SR / 2)^2``."""
        shape = 1 - self.skewness * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2
        return self.dependence * max(shape, 0.0)


def annualised(sharpe: float, *, periods_per_year: float) -> float:
    """``sqrt(periods_per_year) * sharpe``: right for independent periods, else only a unit."""
    return math.sqrt(periods_per_year) * sharpe


def probabilistic_sharpe_ratio(moments: Moments, *, benchmark: float = 0.0) -> float:
    """Probability that the true ratio is above the benchmark, by the ratio's standard error.

    ``Phi((SR - benchmark) sqrt(n - 1) / sqrt(variance))``

    Two years of months with a ratio of 0.458, skewness -2.448 and kurtosis 10.164:

    >>> fund = Moments(sharpe=0.458, n=24, skewness=-2.448, kurtosis=10.164)
    >>> round(probabilistic_sharpe_ratio(fund), 3)
    0.913

    Args:
        moments: of the returns.
        benchmark: per period.
    """
    gap = moments.sharpe - benchmark
    if moments.variance == 0:
        return 0.5 if gap == 0 else float(gap > 0)
    return _NORMAL.cdf(gap * math.sqrt((moments.n - 1) / moments.variance))


def min_track_record_length(
    moments: Moments, *, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Periods from which the ratio is above the benchmark with the confidence; inf if it is not.

    ``1 + variance * (z / (SR - benchmark))^2``; ``moments.n`` plays no part.
    """
    if not 0.5 < confidence < 1:
        raise MetricError(f"confidence={confidence}: needs to be within 0.5 and 1")
    gap = moments.sharpe - benchmark
    if gap <= 0:
        return math.inf
    return 1 + moments.variance * (_NORMAL.inv_cdf(confidence) / gap) ** 2


def expected_maximum_sharpe(trials: int, *, variance: float) -> float:
    """The largest ratio to expect of ``trials`` independent strategies that are worth nothing.

    ``sqrt(variance) ((1 - g) z(1 - 1 / trials) + g z(1 - 1 / (e trials)))`` with Euler's g and the
    normal quantile z; 0 for one trial. Trials that are alike count as more than they are: the
    figure errs on the hard side.

    Args:
        trials: how many were tried before this one was chosen.
        variance: of the ratios across the trials, per period.

    References: Bailey and López de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio
    Management 40(5).
    """
    if trials < 1 or not variance >= 0:
        raise MetricError(f"trials={trials}, variance={variance}: needs at least 1, and 0")
    if trials == 1:
        return 0.0
    gumbel = (1 - _EULER_MASCHERONI) * _NORMAL.inv_cdf(1 - 1 / trials)
    return math.sqrt(variance) * (
        gumbel + _EULER_MASCHERONI * _NORMAL.inv_cdf(1 - 1 / (math.e * trials))
    )


def deflated_sharpe_ratio(moments: Moments, *, trials: int, variance: float | None = None) -> float:
    """Probability that the true ratio is above 0, after the best of ``trials`` was chosen.

    The probabilistic ratio against ``expected_maximum_sharpe``.

    A ratio of 2.5 a year, the best of 100 whose ratios have a variance of 1/2 a year, over 5 years
    of 250 days:

    >>> best = Moments(sharpe=2.5 / 250**0.5, n=1250, skewness=-3, kurtosis=10)
    >>> round(deflated_sharpe_ratio(best, trials=100, variance=0.5 / 250), 4)
    0.9004

    Args:
        moments: of the chosen strategy's returns.
        trials: how many were tried.
        variance: of the ratios across the trials, per period; None takes that of an estimate where
            the truth is 0, ``dependence / (n - 1)``.
    """
    found = null_variance(moments) if variance is None else variance
    benchmark = expected_maximum_sharpe(trials, variance=found)
    return probabilistic_sharpe_ratio(moments, benchmark=benchmark)


def null_variance(moments: Moments) -> float:
    """Variance of the estimated ratio of a strategy whose true one is 0, of this length."""
    return moments.dependence / (moments.n - 1)


def _dependence(influence: FloatArray) -> float:
    n = influence.size
    variance = float(influence.var())
    if variance == 0:
        return 1.0
    terms = n_cosines(n, mean_block=block_length(influence))
    return max(1.0, float(cosine_variance(influence, terms)) / variance)
