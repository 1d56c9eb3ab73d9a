"""The metrics that the Trainer reports are scikit-learn's on the logits' classes."""

import doctest
import math

import numpy as np
import pytest
from scipy.special import softmax as scipy_softmax
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from transformers import EvalPrediction

from hfrun.evaluation import metrics
from hfrun.evaluation.metrics import compute_metrics, softmax


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_equal_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, classes)).astype(np.float32)
    labels, guesses = rng.integers(0, classes, 200), logits.argmax(axis=1)
    probabilities = scipy_softmax(logits.astype(np.float64), axis=1)
    confidence, is_right = probabilities.max(axis=1), guesses == labels
    # ceil: bins of a fifteenth are open below and closed above
    place = np.ceil(confidence * 15)
    gaps = [abs((is_right - confidence)[place == b].sum()) for b in range(1, 16)]
    assert compute_metrics(EvalPrediction(logits, labels)) == pytest.approx(
        {
            "accuracy": accuracy_score(labels, guesses),
            "f1_weighted": f1_score(labels, guesses, average="weighted"),
            "f1_macro": f1_score(labels, guesses, average="macro"),
            "mcc": matthews_corrcoef(labels, guesses),
            "majority_accuracy": np.bincount(labels).max() / 200,
            "ece": sum(gaps) / 200,
            "brier": ((probabilities - np.eye(classes)[labels]) ** 2).sum(axis=1).mean(),
        }
    )


def test_softmax_equals_scipys_and_survives_large_logits() -> None:
    logits = np.random.default_rng(1).normal(scale=400, size=(50, 3))
    np.testing.assert_allclose(softmax(logits), scipy_softmax(logits, axis=1), atol=1e-15)


def test_logits_stand_first_among_several_outputs() -> None:
    logits, labels = np.eye(3), np.arange(3)
    figures = compute_metrics(EvalPrediction((logits, np.zeros((3, 7))), labels))
    assert figures["accuracy"] == 1.0


def test_a_diverged_model_has_no_figures_instead_of_an_error() -> None:
    logits = np.array([[np.nan, 0.0, 0.0], [1.0, 0.0, 0.0]])
    figures = compute_metrics(EvalPrediction(logits, np.array([0, 0])))
    assert list(figures) == list(metrics.REPORTED)
    assert all(math.isnan(value) for value in figures.values())


def test_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(metrics)
    assert (results.failed, results.attempted > 0) == (0, True)
