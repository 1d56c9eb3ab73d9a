"""Temperature scaling: one number that makes all confidences lower or higher alike.

    p_T = softmax(z / T)        z = ln p, so p^(1/T) brought back to a sum of 1
    T > 1 lowers confidences    T < 1 raises them    T = 1 leaves them alone

The order of the classes stays, and with it every figure of what is said: accuracy, F1, MCC.

References: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import LEAST_PROBABILITY
from lob_backtest.metrics.checks import check_scorable
from lob_backtest.sections.confidence import Z95

# Beyond these a temperature says that there is something else wrong with the probabilities.
LOWEST, HIGHEST = 0.01, 100.0


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: T, within ``LOWEST`` and ``HIGHEST``.
        low, high: its 95 % interval; None at a bound, or where nothing can be scaled.
        bound: which end of the range it was stopped at: no temperature within fits best.
        n: rows that it was fitted on.
        without_probability: of them, those whose true class had none; they count as if it had had
            ``LEAST_PROBABILITY``, and the temperature depends on that.
    """

    value: float
    low: float | None
    high: float | None
    bound: Literal["lowest", "highest"] | None
    n: int
    without_probability: int


def fit_temperature(
    labels: IntArray, probabilities: FloatArray, *, overlap: float = 1.0
) -> Temperature:
    """The temperature with the least negative log-likelihood.

    The likelihood is convex in ``b = 1 / T``, so the root of its slope is the only minimum:

        slope(b) = mean_i (E_b[z_i] - z_i,true)      E_b over the classes, with p^b

    Where every row is uniform all temperatures are alike, and it is 1. The interval is that of an
    M-estimator, ``V = mean(s^2) / (n mean(Var_b[z])^2)`` on the scale of ln T; it holds although
    the model is wrong, which it is.

    Args:
        labels: ``(N,)`` 0 to C - 1 of data that the model was not trained on.
        probabilities: ``(N, C)``, each row sums to 1.
        overlap: rows that share one label's time, on average: N / overlap independent ones.

    Raises:
        MetricError: no rows, shapes that differ, an unknown label, no probability.

    References: White (1982), Maximum Likelihood Estimation of Misspecified Models, Econometrica
    50(1).
    """
    check_scorable(labels, probabilities)
    n = labels.size
    of_true = probabilities[np.arange(n), labels]
    without = int((of_true < LEAST_PROBABILITY).sum())
    z = _log(probabilities)
    value, bound = _minimum(z, labels)
    low = high = None
    if bound is None:
        spread = Z95 * _log_error(z, labels, 1 / value) * math.sqrt(max(overlap, 1.0))
        if math.isfinite(spread):
            low, high = value * math.exp(-spread), value * math.exp(spread)
    return Temperature(
        value=value, low=low, high=high, bound=bound, n=n, without_probability=without
    )


def scaled(probabilities: FloatArray, temperature: float) -> FloatArray:
    """``(N, C)`` probabilities at a temperature; the given ones at 1.

    >>> scaled(np.array([[0.8, 0.2]]), 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    if temperature == 1:
        return probabilities
    powers = np.exp(_log(probabilities) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def _log(probabilities: FloatArray) -> FloatArray:
    """``(N, C)`` ln p, the largest of each row 0."""
    z = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    return np.asarray(z - z.max(axis=1, keepdims=True), dtype=np.float64)


def _minimum(z: FloatArray, labels: IntArray) -> tuple[float, Literal["lowest", "highest"] | None]:
    from scipy.optimize import brentq  # imported where it is used

    if not z.any():  # every row uniform
        return 1.0, None

    def slope(log_b: float) -> float:
        return float(_scores(z, labels, math.exp(log_b))[0].mean())

    least, most = -math.log(HIGHEST), -math.log(LOWEST)
    if slope(most) <= 0:
        return LOWEST, "lowest"
    if slope(least) >= 0:
        return HIGHEST, "highest"
    return math.exp(-float(brentq(slope, least, most, xtol=1e-12))), None


def _scores(z: FloatArray, labels: IntArray, b: float) -> tuple[FloatArray, FloatArray]:
    """``(N,)`` slope of each row's log loss in b, and ``(N,)`` its curvature."""
    p = np.exp(b * z)
    p /= p.sum(axis=1, keepdims=True)
    mean = np.einsum("nc,nc->n", p, z)
    curvature = np.einsum("nc,nc,nc->n", p, z, z) - mean**2
    return mean - z[np.arange(labels.size), labels], curvature


def _log_error(z: FloatArray, labels: IntArray, b: float) -> float:
    """Standard error of ln T; infinite where the likelihood is flat."""
    slopes, curvatures = _scores(z, labels, b)
    bend = float(curvatures.mean())
    if bend <= 0:
        return math.inf
    return math.sqrt(float((slopes**2).mean()) / labels.size) / (bend * b)
