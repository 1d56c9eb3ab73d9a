"""Measures of how far probabilities can be believed, of any number of classes.

    confidence   0.31   0.45 ... 0.52   0.58 ... 0.97        of the class that is said
    bins        (low ..... high] (low ........... high] ...
    gap          accuracy - mean confidence of each bin      0 everywhere: calibrated

Everywhere labels are ``(N,)`` 0 to C - 1 and known, probabilities ``(N, C)`` finite, and a
confidence ``(N,)`` the largest of a row; what is not so raises ``MetricError``.

Binned errors depend on the bins and are never below 0: even a calibrated model shows some on a
finite sample. The Brier score and the negative log-likelihood have neither weakness, but they are
also better for a model that merely knows more.
"""

from typing import TypedDict

import numpy as np

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.metrics.checks import check_scorable
from lob_backtest.metrics.confidence import said_classes

# What a calibration is judged by, in this order; less is better in each.
CALIBRATION_KEYS = ("nll", "brier", "ece", "adaptive_ece", "mce")
ECE_BINS = 15  # Guo et al. (2017)
EQUAL_WIDTH_EDGES = np.linspace(0.0, 1.0, ECE_BINS + 1)
# A true class that was given no probability at all counts as having had this much (float64's
# epsilon, as in scikit-learn): one such label would make any mean infinite.
LEAST_PROBABILITY = float(np.finfo(np.float64).eps)


class Bin(TypedDict):
    """One confidence bin ``low < confidence <= high``; its means are 0 where ``n`` is 0."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def calibration_metrics(labels: IntArray, probabilities: FloatArray) -> dict[str, float]:
    """Negative log-likelihood, Brier score, ECE, adaptive ECE and MCE: ``CALIBRATION_KEYS``.

    Args:
        labels: ``(N,)`` 0 to C - 1; an unknown label (-1) is an error.
        probabilities: ``(N, C)`` finite, each row sums to 1.

    Raises:
        MetricError: no decisions, shapes that differ, an unknown label, no probability.
    """
    check_scorable(labels, probabilities)
    said, confidence = said_classes(probabilities)
    is_right = np.equal(said, labels)
    bins = bins_of(is_right, confidence, ECE_BINS)
    return {
        "nll": float(log_losses(labels, probabilities).mean()),
        "brier": brier_of(labels, probabilities),
        "ece": mean_gap(bins),
        "adaptive_ece": mean_gap(bins_of(is_right, confidence, equal_mass_edges(confidence))),
        "mce": largest_gap(bins),
    }


def expected_calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """Gap between confidence and accuracy of the predicted class, averaged over the decisions.

    ``sum_b n_b / N * |accuracy_b - confidence_b|`` over 15 equal-width bins of the confidence.

    References: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML.
    """
    return mean_gap(reliability_bins(labels, probabilities))


def adaptive_calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """As the expected one, over 15 bins that hold equally many decisions each.

    Confidences of equal-width bins crowd into few of them; here every bin says as much as another.

    References: Nguyen and O'Connor (2015), Posterior calibration and exploratory analysis for
    natural language processing models, EMNLP.
    """
    check_scorable(labels, probabilities)
    said, confidence = said_classes(probabilities)
    return mean_gap(bins_of(said == labels, confidence, equal_mass_edges(confidence)))


def maximum_calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """Largest gap between confidence and accuracy over the equal-width bins that are not empty.

    A bin of a few decisions can be far off by chance alone: look at the bins before believing it.

    References: Naeini, Cooper and Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using
    Bayesian Binning, AAAI.
    """
    return largest_gap(reliability_bins(labels, probabilities))


def negative_log_likelihood(labels: IntArray, probabilities: FloatArray) -> float:
    """Mean of ``-ln p`` of the true class, in nats; ln C for a model that knows nothing.

    References: Good (1952), Rational Decisions, Journal of the Royal Statistical Society B 14(1).
    """
    check_scorable(labels, probabilities)
    return float(log_losses(labels, probabilities).mean())


def brier_score(labels: IntArray, probabilities: FloatArray) -> float:
    """Squared distance of the probabilities from what came true, 0 (best) to 2.

    Mean over decisions of the sum over the classes.

    References: Brier (1950), Verification of forecasts expressed in terms of probability,
    Monthly Weather Review 78(1).
    """
    check_scorable(labels, probabilities)
    return brier_of(labels, probabilities)


def reliability_bins(
    labels: IntArray, probabilities: FloatArray, *, n_bins: int = ECE_BINS
) -> list[Bin]:
    """Confidence and accuracy of the predicted class in equal-width bins ``(low, high]``."""
    check_scorable(labels, probabilities)
    said, confidence = said_classes(probabilities)
    return bins_of(said == labels, confidence, n_bins)


def equal_mass_edges(confidence: FloatArray, *, n_bins: int = ECE_BINS) -> FloatArray:
    """Edges of bins ``(low, high]`` that hold equally many confidences, as far as ties allow.

    Equal confidences share a bin, so there may be fewer than ``n_bins``; the outer edges are 0 and
    the largest confidence.

    >>> equal_mass_edges(np.array([0.4, 0.9, 0.5, 0.6]), n_bins=2).tolist()
    [0.0, 0.5, 0.9]
    """
    ranks = -(-confidence.size * np.arange(1, n_bins + 1) // n_bins) - 1
    uppers = np.unique(np.partition(confidence, ranks)[ranks])
    return np.concatenate([[0.0], uppers])


def bin_numbers(confidence: FloatArray, edges: FloatArray) -> IntArray:
    """``(N,)`` bin ``(edge, next edge]`` of each confidence; the outer ones take what is beyond."""
    return np.searchsorted(edges[1:-1], confidence, side="left").astype(np.int64)


def bins_of(is_right: BoolArray, confidence: FloatArray, bins: int | FloatArray) -> list[Bin]:
    """Confidence and accuracy in equal-width bins (their number) or in those between edges."""
    edges = np.linspace(0.0, 1.0, bins + 1) if isinstance(bins, int) else bins
    n_bins = edges.size - 1
    place = bin_numbers(confidence, edges)
    n = np.bincount(place, minlength=n_bins)
    at_least_one = np.maximum(n, 1)
    mean_confidence = np.bincount(place, confidence, minlength=n_bins) / at_least_one
    accuracy = np.bincount(place, is_right, minlength=n_bins) / at_least_one
    return [
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            n=int(n[i]),
            confidence=float(mean_confidence[i]),
            accuracy=float(accuracy[i]),
        )
        for i in range(n_bins)
    ]


def mean_gap(bins: list[Bin]) -> float:
    """``sum_b n_b / N * |accuracy_b - confidence_b|``."""
    gaps = sum(item["n"] * abs(item["accuracy"] - item["confidence"]) for item in bins)
    return float(gaps / sum(item["n"] for item in bins))


def largest_gap(bins: list[Bin]) -> float:
    """``max_b |accuracy_b - confidence_b|`` over the bins that are not empty."""
    return max(abs(item["accuracy"] - item["confidence"]) for item in bins if item["n"])


def log_losses(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """``(N,)`` ``-ln p`` of the true class, at most ``-ln LEAST_PROBABILITY`` = 36.04."""
    of_true = probabilities[np.arange(labels.size), labels]
    return -np.log(np.maximum(of_true, LEAST_PROBABILITY))


def squared_errors(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """``(N,)`` ``sum_c (p_c - [c is true])^2 = sum_c p_c^2 - 2 p_true + 1`` of each row."""
    of_true = probabilities[np.arange(labels.size), labels]
    return np.asarray(np.einsum("nc,nc->n", probabilities, probabilities) - 2 * of_true + 1)


def brier_of(labels: IntArray, probabilities: FloatArray) -> float:
    """The mean of ``squared_errors``, without an array of them."""
    n = labels.size
    of_true = probabilities[np.arange(n), labels]
    return float((np.einsum("ij,ij->", probabilities, probabilities) - 2 * of_true.sum()) / n + 1)
