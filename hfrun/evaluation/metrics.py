"""Metrics of an evaluation, the same as the judge's: on the softmax of the logits."""

import numpy as np
import numpy.typing as npt
from transformers import EvalPrediction

from lob_backtest.metrics import classification_metrics

REPORTED = ("accuracy", "f1_weighted", "f1_macro", "mcc", "majority_accuracy", "ece", "brier")


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """For ``Trainer(compute_metrics=...)``, which puts ``eval_`` before each name.

    Published scores mix averages of F1, so both stand here, beside the accuracy of always
    saying the most frequent class. ECE and the Brier score tell of the probabilities, which can
    become worse while the classes become better.

    Args:
        prediction: logits ``(N, C)`` and labels ``(N,)``. Where a logit is not finite, as after
            a run diverged, every figure is NaN: there is no class to compare.
    """
    logits = prediction.predictions
    if isinstance(logits, tuple):  # a model that returns more than logits puts them first
        logits = logits[0]
    if not np.isfinite(logits).all():
        return dict.fromkeys(REPORTED, float("nan"))
    figures = classification_metrics(np.asarray(prediction.label_ids), softmax(logits))
    return {name: figures[name] for name in REPORTED}


def softmax(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probabilities ``(N, C)`` of finite logits ``(N, C)``, in float64.

    >>> softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    values = np.asarray(logits, dtype=np.float64)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
