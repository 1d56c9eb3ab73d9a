"""Whether a model's predictions are better than a baseline's, although labels overlap.

Each decision gives one difference ``d`` of scores, model minus baseline, above 0 where the model is
better. Neighbouring labels share their future, so the differences are alike and there are fewer of
them than there seem:

    statistic = mean(d) / sqrt(V / n)          V  long-run variance of d, not its plain variance

    cosines            V from K slow cosines, Student's t of K degrees of freedom
    newey_west         V from lags up to the overlap, falling weights, normal
    diebold_mariano    V from lags up to the overlap, equal weights, Student's t of n - 1 degrees
                       of freedom, statistic times sqrt((n + 1 - 2h + h (h - 1) / n) / n), h the
                       overlap

Only the cosines keep the size of the test where few labels are independent.

References: Diebold and Mariano (1995), Comparing Predictive Accuracy, Journal of Business &
Economic Statistics 13(3); Harvey, Leybourne and Newbold (1997), Testing the equality of prediction
mean squared errors, International Journal of Forecasting 13(2); Lazarus, Lewis, Stock and Watson
(2018), HAR Inference, Journal of Business & Economic Statistics 36(4).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.labels.overlap import effective_labels
from lob_backtest.metrics import N_CLASSES
from lob_backtest.predictions import Predictions
from lob_backtest.uncertainty.bootstrap import block_length
from lob_backtest.uncertainty.long_run import cosine_variance, lag_variance, n_cosines

Score = Literal["f1_weighted", "accuracy", "brier"]
Method = Literal["cosines", "newey_west", "diebold_mariano"]
Side = Literal["greater", "two-sided"]


@dataclass(frozen=True, kw_only=True)
class LiftTest:
    """How sure it is that the model's score is above the baseline's.

    Attributes:
        difference: mean of the differences: model minus baseline.
        statistic: difference over its standard error; NaN where the two never differ.
        p_value: chance of a statistic at least this large where the truth is no difference; 1 where
            the two never differ.
        lag: decisions after a decision that share a part of its label, at most.
        degrees: of freedom of Student's t; inf for the normal distribution.
        n: decisions.
        effective_labels: independent labels that these are worth.
        method: how the variance was estimated.
    """

    difference: float
    statistic: float
    p_value: float
    lag: int
    degrees: float
    n: int
    effective_labels: float
    method: str


def lift_test(
    model: Predictions,
    baseline: Predictions,
    *,
    score: Score = "f1_weighted",
    method: Method = "cosines",
    side: Side = "greater",
) -> LiftTest:
    """Test of the lift over all labelled decisions of two tables of the same decisions.

    Args:
        model, baseline: the same decisions and labels, see ``contenders.aligned``.
        score: what is compared, see ``score_differences``.
        method: of the variance.
        side: ``greater`` asks whether the model is better, ``two-sided`` whether they differ.
    """
    differences = score_differences(model, baseline, score=score)
    counts = overlap_counts(model)
    statistic, p_value, degrees = mean_test(differences, overlap=counts, method=method, side=side)
    return LiftTest(
        difference=float(differences.mean()),
        statistic=statistic,
        p_value=p_value,
        lag=int(counts.max()) - 1,
        degrees=degrees,
        n=differences.size,
        effective_labels=independent_labels(model),
        method=method,
    )


def score_differences(
    model: Predictions, baseline: Predictions, *, score: Score = "f1_weighted"
) -> FloatArray:
    """``(n,)`` what each labelled decision adds to the model's lead; the mean is the lead.

    Args:
        model, baseline: the same decisions and labels.
        score: ``accuracy``: hits, 1 or 0; ``brier``: squared distance, with the sign turned, so
            that above 0 is better; ``f1_weighted``: the folds' mean by their decisions, each
            decision with its share to first order (``f1_contributions``).

    Raises:
        MetricError: other decisions or labels, or no labelled one.
    """
    known = model.is_labelled
    labels = model.label[known]
    if not np.array_equal(model.label, baseline.label) or not labels.size:
        raise MetricError(
            f"{model.n} and {baseline.n} decisions with {labels.size} known labels: needs the same "
            "decisions and labels, at least one known; align the baseline with the model first"
        )
    ours, theirs = model.probability[known], baseline.probability[known]
    if score == "brier":
        came_true = np.eye(N_CLASSES)[labels]
        errors = [((each - came_true) ** 2).sum(axis=1) for each in (theirs, ours)]
        return np.asarray(errors[0] - errors[1])
    said = [np.argmax(each, axis=1) for each in (ours, theirs)]
    if score == "accuracy":
        return np.asarray((said[0] == labels) * 1.0 - (said[1] == labels))
    fold = np.unique(model.fold[known], return_inverse=True)[1]
    shares = [f1_contributions(labels, each, fold) for each in said]
    return np.asarray(shares[0] - shares[1])


def f1_contributions(labels: IntArray, said: IntArray, fold: IntArray) -> FloatArray:
    """``(n,)`` whose mean is the mean of the folds' weighted F1, and which vary as it does.

    A decision in cell (i, j) of its fold's confusion matrix N adds ``f + n df/dN_ij`` with the
    fold's weighted F1 f and its n decisions: the figure, and to first order what it owes to this
    decision.

    Args:
        labels, said: ``(n,)`` classes, true and predicted.
        fold: ``(n,)`` numbers from 0.
    """
    cell = (fold * N_CLASSES + labels) * N_CLASSES + said
    counts = np.bincount(cell, minlength=(int(fold.max()) + 1) * N_CLASSES**2)
    values, slopes = f1_slopes(counts.reshape(-1, N_CLASSES, N_CLASSES).astype(np.float64))
    return np.asarray(values[fold] + slopes.ravel()[cell])


def f1_slopes(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted F1 ``(F,)`` of ``(F, 3, 3)`` counts, and ``(F, 3, 3)`` n times its derivatives.

    With ``F1_c = 2 TP_c / D_c`` and ``D_c = true_c + said_c``, ``n f = sum_c true_c F1_c``, and so
    ``n df/dN_ij = F1_i - f - true_i F1_i / D_i - true_j F1_j / D_j + [i = j] 2 true_i / D_i``.
    """
    true, said = counts.sum(axis=2), counts.sum(axis=1)
    involved = np.maximum(true + said, 1.0)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    f1 = 2 * hits / involved
    value = (f1 * true).sum(axis=1) / np.maximum(true.sum(axis=1), 1.0)
    lost = true * f1 / involved
    slope = (f1 - lost)[:, :, None] - lost[:, None, :] - value[:, None, None]
    slope += np.eye(counts.shape[1]) * (2 * true / involved)[:, :, None]
    return value, slope


def mean_test(
    values: FloatArray,
    *,
    overlap: IntArray | None = None,
    method: Method = "cosines",
    side: Side = "two-sided",
) -> tuple[float, float, float]:
    """Whether the mean of a dependent series is 0: statistic, p-value, degrees of freedom.

    Args:
        values: ``(n,)`` in time order, at least 2.
        overlap: ``(n,)`` see ``overlap_counts``; None where nothing overlaps.
        method: of the long-run variance, see the module.
        side: ``greater`` for means above 0.
    """
    n = values.size
    if n < 2:
        raise MetricError(f"{n} values: a test needs at least 2")
    if np.ptp(values) == 0:
        p_value = unanimous_p_value(float(values[0]), n if overlap is None else n / overlap.mean())
        if side == "greater":
            p_value = p_value / 2 if values[0] > 0 else 1.0
        return math.nan, p_value, math.inf
    variance, degrees, factor = _variance(values, overlap, method)
    if variance <= 0:  # a pattern that the kernel is blind to: better the plain variance than none
        variance = float(values.var())
    statistic = float(values.mean() / math.sqrt(variance / n)) * factor
    return statistic, _p_value(statistic, degrees, side), degrees


def unanimous_p_value(value: float, trials: float) -> float:
    """Two-sided p-value of trials that all gave the same: that of the sign test, ``2 / 2^trials``.

    They show no variation to measure it by. Two of two say little, however large they are.

    >>> unanimous_p_value(0.7, 2), unanimous_p_value(-0.7, 5), unanimous_p_value(0.0, 5)
    (0.5, 0.0625, 1.0)
    """
    return 1.0 if value == 0 else 2 * 0.5 ** max(trials, 1.0)


def overlap_counts(table: Predictions) -> IntArray:
    """``(n,)`` of each labelled decision: decisions before its label is known, itself included."""
    counts = []
    for fold in table.folds:
        known = (table.fold == fold) & table.is_labelled
        decided_ns = table.decided_ns[known]
        end = np.searchsorted(decided_ns, table.label_end_ns[known], side="left")
        place = np.arange(decided_ns.size)
        counts.append(np.maximum(end - place, 1))
    return np.concatenate(counts).astype(np.int64)


def independent_labels(table: Predictions) -> float:
    """Labels that do not overlap would be worth as much as these; folds count one by one."""
    total = 0.0
    for fold in table.folds:
        known = (table.fold == fold) & table.is_labelled
        total += effective_labels(table.decided_ns[known], table.label_end_ns[known])
    return total


def _variance(
    values: FloatArray, overlap: IntArray | None, method: Method
) -> tuple[float, float, float]:
    """Long-run variance, degrees of freedom, and what the statistic is multiplied by."""
    n = values.size
    longest = 1 if overlap is None else int(overlap.max())
    lag = min(longest - 1, n - 1)
    if method == "cosines":
        mean = 1.0 if overlap is None else float(overlap.mean())
        block = max(block_length(values), 1.0)
        terms = n_cosines(n, mean_block=block, overlap=mean)
        return float(cosine_variance(values, terms)), float(terms), 1.0
    if method == "newey_west":
        return lag_variance(values, lag), math.inf, 1.0
    variance = lag_variance(values, lag, kernel="flat")
    if variance <= 0:  # equal weights may do that; Diebold and Mariano then advise falling ones
        variance = lag_variance(values, lag)
    h = lag + 1
    factor = math.sqrt(max((n + 1 - 2 * h + h * (h - 1) / n) / n, 0.0))
    return variance, n - 1.0, factor


def _p_value(statistic: float, degrees: float, side: Side) -> float:
    from scipy.special import ndtr, stdtr  # imported where it is used

    x = -statistic if side == "greater" else -abs(statistic)
    above = float(ndtr(x) if math.isinf(degrees) else stdtr(degrees, x))
    return above if side == "greater" else 2 * above
