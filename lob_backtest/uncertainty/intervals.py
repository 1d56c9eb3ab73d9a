"""From a figure and its resamples to an interval and a p-value.

A resampled figure alone says too little of how far the figure could be off: within blocks too much
of the dependence is lost, and of a few wins and losses each resample takes the same ones. So a
figure is measured in standard errors, and each resample in its own:

    t  = (figure - truth) / error            unknown
    t* = (resampled - figure) / error*       known, R of them: how t varies

    low, high = figure - max(q(97.5 % of t*), s) error, figure - min(q(2.5 % of t*), -s) error

with the quantile s of Student's t. Whichever is further out counts: t* knows of skewness, s of how
few values the error comes from. Errors are long-run (``long_run``), of the figure's influence: what
each stretch of the series adds to it, to first order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.bootstrap import stationary_bootstrap_indices
from lob_backtest.uncertainty.long_run import cosines

# Numbers held at once in resampled influences, so that memory does not grow with the resamples.
_BATCH = 4_000_000
# A resample's error counts for at least this share of the sample's: one that drew almost no trade
# has next to no error, and would make the interval endless.
_LEAST_ERROR = 0.2
# Below this share of the error of independent values an error is one of arithmetic.
_BLIND = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Studentized:
    """M figures, their standard errors, and R resamples of both.

    Attributes:
        value: ``(M,)``; NaN where a figure is undefined.
        error: ``(M,)``; 0 where the figure does not vary, NaN where it has no influence function
            (a maximum over time): its interval is the plain percentiles.
        degrees: ``(M,)`` of freedom of the errors.
        resampled: ``(R, M)`` figures.
        scores: ``(R, M)`` t*, NaN where a resample has no figure; 0 where there is no error.
    """

    value: FloatArray
    error: FloatArray
    degrees: FloatArray
    resampled: FloatArray
    scores: FloatArray

    def interval(self, i: int, *, confidence: float = 0.95) -> tuple[float, float]:
        """Low and high of figure ``i``, which is between them; NaN, NaN where it is undefined."""
        _check_confidence(confidence)
        value, error = float(self.value[i]), float(self.error[i])
        if math.isnan(value):
            return math.nan, math.nan
        if math.isnan(error):
            low, high = interval(self.resampled[:, i], confidence=confidence)
            return min(low, value), max(high, value)
        least, most = interval(self.scores[:, i], confidence=confidence)
        student = _student_quantile((1 + confidence) / 2, float(self.degrees[i]))
        # fmax, fmin: a figure that no resample has keeps Student's alone
        return (
            value - float(np.fmax(most, student)) * error,
            value - float(np.fmin(least, -student)) * error,
        )

    def p_value(self, i: int) -> float:
        """Chance of a figure at least this far from 0 if the truth is 0, two-sided.

        At or below 0.05 where the 95 % interval leaves 0 out. 1 for an undefined figure and for one
        that is 0; 0 for any other that does not vary.
        """
        value, error = float(self.value[i]), float(self.error[i])
        if math.isnan(value) or value == 0:
            return 1.0
        if error == 0:
            return 0.0
        if math.isnan(error):
            other_side = self.resampled[:, i] * math.copysign(1.0, value) <= 0
            return min(1.0, 2 * _share(other_side, ~np.isnan(self.resampled[:, i])))
        score = value / error
        further = self.scores[:, i] * math.copysign(1.0, score) >= abs(score)
        drawn = min(1.0, 2 * _share(further, ~np.isnan(self.scores[:, i])))
        return max(drawn, 2 * _student_tail(abs(score), float(self.degrees[i])))


def studentize(
    value: FloatArray,
    influence: FloatArray,
    resample: Callable[[IntArray], FloatArray],
    *,
    n_terms: IntArray,
    mean_block: float,
    n_resamples: int,
    rng: np.random.Generator,
    differences: IntArray | None = None,
) -> Studentized:
    """Figures with their standard errors, and of each resample the same.

    A resample's error comes from the sample's influence values, drawn in the resample's order.

    Args:
        value: ``(M,)`` figures.
        influence: ``(C, M)`` what each of C stretches adds to the figure, times C, mean about 0;
            all NaN for a figure that has no such thing.
        resample: from ``(r, C)`` indices of stretches to ``(r, M)`` figures.
        n_terms: ``(M + D,)`` cosines in each figure's error.
        mean_block: of the stationary bootstrap, in stretches.
        n_resamples: R.
        rng: randomness.
        differences: ``(D, 2)`` pairs of figures: D more figures, the first minus the second, of the
            same resamples.

    Raises:
        MetricError: no resamples.
    """
    if n_resamples < 1:
        raise MetricError(f"n_resamples={n_resamples}: needs at least 1")
    n, m = influence.shape
    pairs = np.empty((0, 2), dtype=np.int64) if differences is None else differences
    basis = cosines(n, int(n_terms.max())) / n
    # Column by column the mean over its own cosines.
    share = (np.arange(basis.shape[1])[:, None] < n_terms) / n_terms
    known = np.nan_to_num(influence)
    smooth = _extended(np.where(np.isnan(influence).any(axis=0), np.nan, 1.0), pairs, np.multiply)
    error = np.sqrt((_extended(basis.T @ known, pairs) ** 2 * share).sum(axis=0))
    # Few cosines are blind to some patterns; what varies is never without an error.
    plain = _extended(known, pairs).std(axis=0) / math.sqrt(n)
    error = np.where(error < _BLIND * plain, plain, error) * smooth
    center = _extended(value, pairs)
    least = np.where(error > 0, _LEAST_ERROR * error, np.inf)
    resampled, scores = [], []
    batch = max(1, _BATCH // (n * max(m, 8)))
    for done in range(0, n_resamples, batch):
        size = min(batch, n_resamples - done)
        drawn = stationary_bootstrap_indices(n, mean_block=mean_block, n_resamples=size, rng=rng)
        found = _extended(resample(drawn), pairs)
        waves = _extended(np.matmul(basis.T, known[drawn]), pairs)
        own = np.sqrt((waves**2 * share).sum(axis=1))
        resampled.append(found)
        scores.append((found - center) / np.maximum(own, least))
    return Studentized(
        value=center,
        error=error,
        degrees=n_terms.astype(np.float64),
        resampled=np.concatenate(resampled),
        scores=np.concatenate(scores),
    )


def interval(samples: FloatArray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrapped figures, ``low, high``.

    NaN figures (a Sharpe ratio of a resample without deviation) are left out; NaN, NaN where none
    is left.

    Args:
        samples: ``(R,)`` from ``bootstrap``.
        confidence: share of the samples inside, within 0 and 1.
    """
    _check_confidence(confidence)
    known = samples[~np.isnan(samples)]
    if known.size == 0:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def unanimous_interval(
    share: float, trials: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share that is 0 or 1: trials that all went one way.

    They show no variation, yet the next one may go the other way: three wins of three say that the
    chance to win is above ``(tail)^(1 / 3)``.

    >>> [round(limit, 3) for limit in unanimous_interval(1.0, 3)]
    [0.292, 1.0]

    Args:
        share: 0 or 1; any other comes back as it is.
        trials: independent ones.
        confidence: within 0 and 1.

    References: Clopper and Pearson (1934), Biometrika 26(4).
    """
    _check_confidence(confidence)
    furthest = ((1 - confidence) / 2) ** (1 / max(trials, 1.0))
    if share == 1:
        return furthest, 1.0
    return (0.0, 1 - furthest) if share == 0 else (share, share)


def _extended(
    columns: FloatArray,
    pairs: IntArray,
    combine: Callable[[FloatArray, FloatArray], FloatArray] = np.subtract,
) -> FloatArray:
    """The last axis, and after it the pairs' differences."""
    more = combine(columns[..., pairs[:, 0]], columns[..., pairs[:, 1]])
    return np.concatenate([columns, more], axis=-1)


def _share(which: "np.typing.NDArray[np.bool_]", known: "np.typing.NDArray[np.bool_]") -> float:
    """Share of the known resamples; the sample itself counts as one, so it is never 0."""
    return (1 + int((which & known).sum())) / (1 + int(known.sum()))


def _student_quantile(probability: float, degrees: float) -> float:
    from scipy.special import stdtrit  # imported where it is used

    return float(stdtrit(degrees, probability))


def _student_tail(score: float, degrees: float) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees, -score))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise MetricError(f"confidence={confidence}: needs to be within 0 and 1")
