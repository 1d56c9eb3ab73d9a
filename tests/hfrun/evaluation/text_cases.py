"""Made-up predictions of texts, for the tests of the judge, its page and the card."""

from typing import Any

import numpy as np

from hfrun.evaluation.text_judge import judge_texts
from hfrun.evaluation.text_predictions import TextPredictions
from lob_backtest.config import GatesConfig
from lob_backtest.training_figures import TrainingFigures

NAMES = ("bad", "fair", "good")
TRAINING = TrainingFigures(train_accuracy=(0.7,), grad_norm_p50=1.5, grad_norm_p95=2.0)


def table(labels: Any, probabilities: Any, **changes: Any) -> TextPredictions:
    """Predictions of numbered texts."""
    labels = np.asarray(labels, dtype=np.int64)
    found = {
        "texts": tuple(f"text number {i} of it" for i in range(len(labels))),
        "labels": labels,
        "probabilities": np.asarray(probabilities, dtype=np.float64),
        "label_names": NAMES,
        **changes,
    }
    return TextPredictions(**found)


def skilled(labels: Any, *, skill: float, seed: int = 0, n_classes: int = 3) -> Any:
    """``(N, C)`` probabilities that lean to the label: 0 is noise."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), n_classes))
    known = np.flatnonzero(np.asarray(labels) >= 0)
    logits[known, np.asarray(labels)[known]] += skill
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def some_labels(n: int = 600, *, seed: int = 1, n_classes: int = 3) -> Any:
    return np.random.default_rng(seed).integers(0, n_classes, n)


def judged(*, skill: float = 1.5, baseline: float = 0.3, n: int = 600, **given: Any) -> Any:
    """A report on a model of some skill against a baseline of some skill."""
    labels = given.pop("labels", some_labels(n))
    test = table(labels, skilled(labels, skill=skill))
    arguments: dict[str, Any] = {
        "validation": table(labels, skilled(labels, skill=skill, seed=5)),
        "baselines": {
            "majority": table(labels, np.tile([0.3, 0.3, 0.4], (len(labels), 1))),
            "tfidf_logistic": table(labels, skilled(labels, skill=baseline, seed=3)),
        },
        "gates": GatesConfig(),
        "training": TRAINING,
        "provenance": {"name": "tiny", "command": "hfrun train a.yaml", "seed": 0},
        "seed": 0,
        "n_resamples": 300,
        **given,
    }
    return judge_texts(test, **arguments)
