"""Where a classifier of texts is right and where wrong: classes, confidence, lengths, texts."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from hfrun.evaluation.text_baselines import NO_BLANKS
from hfrun.evaluation.text_predictions import TextPredictions
from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.metrics import reliability_bins, said_classes
from lob_backtest.sections.confidence import share_interval

MOST_ERRORS = 200
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_LENGTH_SLICES = 5
_WORD = re.compile(rf"[{NO_BLANKS}]|[^\W{NO_BLANKS}]+")


def per_class_section(confusion: IntArray, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Of every class: texts, how often it is said, precision, recall and F1.

    Precision and recall are shares of texts, with Wilson's 95 % interval; None where the class is
    never said or never true.
    """
    rows = []
    for i, name in enumerate(label_names):
        hits, true, said = (
            int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
        )  # fmt: skip
        rows.append(
            {
                "label": name,
                "n": true,
                "said": said,
                **_share("precision", hits, said),
                **_share("recall", hits, true),
                "f1": 2 * hits / (true + said) if true + said else None,
            }
        )
    return rows


def reliability_section(table: TextPredictions) -> list[dict[str, Any]]:
    """Confidence and accuracy in 15 bins of one width, with Wilson's interval of the accuracy."""
    bins = reliability_bins(table.labels, table.probabilities)
    return [
        {**each, **_share("accuracy", round(each["accuracy"] * each["n"]), each["n"], empty=0.0)}
        for each in bins
    ]


def confidence_section(table: TextPredictions) -> list[dict[str, Any]]:
    """How many texts reach each confidence, and how many of them are right."""
    right, confidence = _right(table)
    least = 1 / len(table.label_names)  # which every text reaches, but for the last bit
    rows = []
    for threshold in (least, *(each for each in _THRESHOLDS if each > least)):
        chosen = confidence >= threshold - 1e-9
        n = int(chosen.sum())
        if n == 0:
            break
        low, high = share_interval(int(right[chosen].sum()), n, overlap=1.0)
        accuracy = float(right[chosen].mean())
        rows.append({"threshold": threshold, "n": n, "share": n / table.n,
                     "accuracy": accuracy, "low": low, "high": high})  # fmt: skip
    return rows


def lengths_section(table: TextPredictions) -> list[dict[str, Any]]:
    """Accuracy of the texts by their number of words, in five slices of about one size."""
    words = np.array([len(_WORD.findall(text)) for text in table.texts])
    right, confidence = _right(table)
    cuts = np.unique(np.quantile(words, np.linspace(0, 1, _LENGTH_SLICES + 1)[1:-1]).round())
    place = np.searchsorted(cuts, words, side="left")
    rows = []
    for i in np.unique(place):
        chosen = place == i
        low, high = int(words[chosen].min()), int(words[chosen].max())
        rows.append(
            {
                "name": f"{low} to {high} words" if low < high else f"{low} words",
                "n": int(chosen.sum()),
                "confidence": float(confidence[chosen].mean()),
                **_share("accuracy", int(right[chosen].sum()), int(chosen.sum())),
            }
        )
    return rows


def errors_section(table: TextPredictions, *, most: int = MOST_ERRORS) -> list[dict[str, Any]]:
    """The wrong texts of which the model was surest, surest first.

    ``row`` counts the labelled test texts from 0; ``of_label`` is the probability that the true
    class had.
    """
    said, confidence = said_classes(table.probabilities)
    wrong = np.flatnonzero(said != table.labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        {
            "row": int(i),
            "text": table.texts[i],
            "label": table.label_names[table.labels[i]],
            "said": table.label_names[said[i]],
            "confidence": float(confidence[i]),
            "of_label": float(table.probabilities[i, table.labels[i]]),
        }
        for i in surest
    ]


def _right(table: TextPredictions) -> tuple[BoolArray, FloatArray]:
    """``(N,)`` whether the said class is the true one, and how sure of it the model was."""
    said, confidence = said_classes(table.probabilities)
    return np.equal(said, table.labels), confidence


def _share(name: str, hits: int, n: int, *, empty: float | None = None) -> dict[str, float | None]:
    """A share with its interval under its name, ``name_low`` and ``name_high``."""
    if n == 0:
        return {name: empty, f"{name}_low": None, f"{name}_high": None}
    low, high = share_interval(hits, n, overlap=1.0)
    return {name: hits / n, f"{name}_low": low, f"{name}_high": high}


def shares_of(labels: IntArray, n_classes: int) -> FloatArray:
    """``(C,)`` share of each class among known labels; zeros where there are none."""
    counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(np.float64)
    return np.asarray(counts / max(counts.sum(), 1.0))
