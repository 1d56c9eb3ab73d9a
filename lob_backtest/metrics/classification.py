"""Measures of which class is said: accuracy, F1, MCC and the confusion matrix, of any classes.

A book's classes are 0 down, 1 flat, 2 up, everywhere in this order. The predicted class is the most
probable one, the lowest class number among equals. Labels are ``(N,)``, probabilities ``(N, C)``,
and ``counts`` a confusion matrix ``(C, C)``, rows the true class.
"""

import math

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics.calibration import ECE_BINS, bins_of, brier_of, mean_gap
from lob_backtest.metrics.checks import check_scorable
from lob_backtest.metrics.confidence import said_classes

# What a report says of a model, in this order.
CLASSIFICATION_KEYS = (
    "accuracy", "majority_accuracy", "f1_weighted", "f1_macro", "mcc", "ece", "brier",
)  # fmt: skip
N_CLASSES = 3  # of a book


def classification_metrics(labels: IntArray, probabilities: FloatArray) -> dict[str, float]:
    """Accuracy, majority accuracy, F1 (weighted and macro), MCC, ECE and Brier score.

    ``majority_accuracy`` is the share of the most frequent of these labels: what a constant guess
    made with hindsight reaches. ``f1_macro`` is over the classes that occur among the labels or
    the predictions, as in scikit-learn.

    Args:
        labels: ``(N,)`` 0 to C - 1; an unknown label (-1) is an error.
        probabilities: ``(N, C)`` finite, each row sums to 1.

    Raises:
        MetricError: no decisions, shapes that differ, an unknown label, no probability.
    """
    check_scorable(labels, probabilities)
    said, confidence = said_classes(probabilities)
    counts = confusion_of(labels, said, n_classes=probabilities.shape[1])
    return {
        "accuracy": float(np.trace(counts) / counts.sum()),
        "majority_accuracy": float(counts.sum(axis=1).max() / counts.sum()),
        "f1_weighted": f1_weighted(counts),
        "f1_macro": f1_macro(counts),
        "mcc": mcc(counts),
        "ece": mean_gap(bins_of(said == labels, confidence, ECE_BINS)),
        "brier": brier_of(labels, probabilities),
    }


def confusion_matrix(labels: IntArray, probabilities: FloatArray) -> IntArray:
    """``(C, C)`` counts, rows the true class, columns the predicted one."""
    check_scorable(labels, probabilities)
    said, _ = said_classes(probabilities)
    return confusion_of(labels, said, n_classes=probabilities.shape[1])


def confusion_of(labels: IntArray, said: IntArray, *, n_classes: int) -> IntArray:
    """``(C, C)`` counts of true and said classes, both known to be 0 to C - 1."""
    flat = np.bincount(n_classes * labels + said, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def f1_weighted(counts: IntArray) -> float:
    """F1 of each class, ``2 TP / (2 TP + FP + FN)``, weighted by its number of true labels."""
    true = counts.sum(axis=1)
    return float((f1_of_classes(counts) * true).sum() / true.sum())


def f1_macro(counts: IntArray) -> float:
    """Plain mean of F1 over the classes that occur among the labels or the predictions."""
    occurs = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return float(f1_of_classes(counts)[occurs].mean())


def f1_of_classes(counts: IntArray) -> FloatArray:
    """``(C,)`` F1 of each class; 0 for one that never occurs."""
    involved = counts.sum(axis=0) + counts.sum(axis=1)  # 2 TP + FP + FN
    # A class that never occurs has no true positives: 0 / 1.
    return np.asarray(2 * np.diag(counts) / np.maximum(involved, 1), dtype=np.float64)


def mcc(counts: IntArray) -> float:
    """Matthews correlation of labels and predictions; 0 where either is constant.

    References: Gorodkin (2004), Comparing two K-category assignments by a K-category
    correlation coefficient, Computational Biology and Chemistry 28(5-6).
    """
    true, predicted, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = float(np.trace(counts) * n - true @ predicted)
    # Python integers: the product of the two would overflow int64 from 55,000 decisions on.
    spread = int(n * n - true @ true) * int(n * n - predicted @ predicted)
    return float(covariance / math.sqrt(spread)) if spread > 0 else 0.0
