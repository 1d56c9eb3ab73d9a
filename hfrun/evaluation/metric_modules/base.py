"""What the metric modules share: what they take, and how it is checked.

``evaluate`` takes the first metric class that it finds among a module's names, so the modules
import this one whole, never a class out of it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets
import evaluate  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from hfrun.evaluation.metrics import softmax
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.metrics import confusion_matrix, confusion_of
from lob_backtest.metrics.checks import is_probability

_INPUTS = """
Args:
    predictions: a list of C numbers for each sample: probabilities that sum to 1, or with
        ``logits=True`` logits.{classes}
    references: the true class of each sample, 0 to C - 1.
    logits: whether ``predictions`` are logits.
"""
_OR_CLASSES = " Or the class that is said, an integer for each sample."


class ProbabilityMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A figure of probabilities; its result has the module's name.

    Attributes:
        takes_classes: whether predicted classes are taken in the place of probabilities.
    """

    takes_classes: ClassVar[bool] = False

    @staticmethod
    def figure(labels: IntArray, probabilities: FloatArray, /) -> float:
        """Of labels ``(N,)`` and probabilities ``(N, C)``; each module has its own."""
        raise NotImplementedError

    def _info(self) -> evaluate.MetricInfo:
        of_probabilities = {
            "predictions": datasets.Sequence(datasets.Value("float64")),
            "references": datasets.Value("int64"),
        }
        features = [datasets.Features(of_probabilities)]
        if self.takes_classes:
            of_classes = {**of_probabilities, "predictions": datasets.Value("int64")}
            features.append(datasets.Features(of_classes))
        return evaluate.MetricInfo(
            description=self.__doc__ or "",
            citation="",
            inputs_description=_INPUTS.format(classes=_OR_CLASSES if self.takes_classes else ""),
            features=features,
        )

    def _compute(
        self, *, predictions: Any, references: Any, logits: bool = False
    ) -> dict[str, float]:
        labels = np.asarray(references, dtype=np.int64)
        return self.figures(labels, probabilities_of(predictions, logits=logits))

    def figures(self, labels: IntArray, probabilities: FloatArray) -> dict[str, float]:
        """The result: one figure under the module's name."""
        return {self.name: self.figure(labels, probabilities)}


class ClassMetric(ProbabilityMetric):
    """A figure of what is said; takes probabilities, logits, or the classes themselves."""

    takes_classes = True

    @staticmethod
    def of_counts(counts: IntArray, /) -> float:
        """Of a confusion matrix ``(C, C)``, rows true; each module has its own."""
        raise NotImplementedError

    def _compute(
        self, *, predictions: Any, references: Any, logits: bool = False
    ) -> dict[str, float]:
        labels = np.asarray(references, dtype=np.int64)
        if len(predictions) and np.ndim(predictions[0]) == 0:
            counts = _counts(labels, np.asarray(predictions, dtype=np.int64))
        else:
            counts = confusion_matrix(labels, probabilities_of(predictions, logits=logits))
        return {self.name: float(self.of_counts(counts))}


def probabilities_of(predictions: npt.ArrayLike | Sequence[Any], *, logits: bool) -> FloatArray:
    """``(N, C)`` probabilities of the predictions as ``evaluate`` hands them over.

    Raises:
        MetricError: rows of different lengths, or that are neither probabilities nor said to be
            logits.
    """
    try:
        values = np.asarray(predictions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"predictions have rows of different lengths ({error})") from error
    if values.ndim != 2:
        raise MetricError(
            f"predictions have shape {values.shape}; needs (N, C), a number for each class"
        )
    if logits:
        return softmax(values)
    bad = ~is_probability(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise MetricError(
            f"{int(bad.sum())} of {len(values)} rows of predictions are no probabilities, first "
            f"row {row} {values[row].tolist()}; needs a sum of 1, or logits=True for logits"
        )
    return values


def _counts(labels: IntArray, said: IntArray) -> IntArray:
    if not labels.size:
        raise MetricError("no decisions to score; needs at least one with a known label")
    lowest = min(int(labels.min()), int(said.min()))
    if lowest < 0:
        raise MetricError(f"got a class {lowest}; needs classes from 0 on, without unknown labels")
    n_classes = max(int(labels.max()), int(said.max())) + 1
    return confusion_of(labels, said, n_classes=n_classes)
