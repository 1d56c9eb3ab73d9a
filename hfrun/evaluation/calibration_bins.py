"""One set of probabilities on one set of rows: figures, confidence bins, and the part of chance."""

import math
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import (
    CALIBRATION_KEYS,
    EQUAL_WIDTH_EDGES,
    bin_numbers,
    calibration_metrics,
    reliability_bins,
    said_classes,
)
from lob_backtest.sections.confidence import share_interval

_CHANCE_DRAWS = 2000

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Rows whose confidence is in ``(low, high]``; None where there are none.

    ``accuracy_low`` and ``accuracy_high`` are Wilson's 95 % interval.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One set of probabilities on the test rows.

    Attributes:
        figures: accuracy and ``CALIBRATION_KEYS``.
        bins: 15 of equal width.
        chance_ece, chance_ece_high: what a perfectly calibrated model of the same confidences
            would show by chance, in the mean and in 95 of 100 tests.
    """

    figures: Figures
    bins: tuple[ReliabilityBin, ...]
    chance_ece: float
    chance_ece_high: float


def figures_of(labels: IntArray, probabilities: FloatArray) -> Figures:
    """Accuracy and ``CALIBRATION_KEYS``."""
    said, _ = said_classes(probabilities)
    figures = calibration_metrics(labels, probabilities)
    return {"accuracy": float((said == labels).mean())} | {
        key: figures[key] for key in CALIBRATION_KEYS
    }


def judged(
    labels: IntArray, probabilities: FloatArray, *, overlap: float, rng: np.random.Generator
) -> Judged:
    """The figures, the bins, and what chance alone would show."""
    _, confidence = said_classes(probabilities)
    mean, high = chance_ece(confidence, EQUAL_WIDTH_EDGES, overlap=overlap, rng=rng)
    return Judged(
        figures=figures_of(labels, probabilities),
        bins=_bins(labels, probabilities, overlap=overlap),
        chance_ece=mean,
        chance_ece_high=high,
    )


def _bins(
    labels: IntArray, probabilities: FloatArray, *, overlap: float
) -> tuple[ReliabilityBin, ...]:
    found = []
    for each in reliability_bins(labels, probabilities):
        n, is_empty = each["n"], each["n"] == 0
        hits = round(each["accuracy"] * n)
        low, high = (None, None) if is_empty else share_interval(hits, n, overlap=overlap)
        found.append(
            ReliabilityBin(
                low=each["low"],
                high=each["high"],
                n=n,
                confidence=None if is_empty else each["confidence"],
                accuracy=None if is_empty else each["accuracy"],
                accuracy_low=low,
                accuracy_high=high,
            )
        )
    return tuple(found)


def chance_ece(
    confidence: FloatArray, edges: FloatArray, *, overlap: float, rng: np.random.Generator
) -> tuple[float, float]:
    """ECE of a perfectly calibrated model by chance: its mean, and what 95 of 100 tests stay below.

    Such a model is right with the probability that it says, so the hits of a bin vary about the sum
    of its confidences with variance ``overlap * sum c (1 - c)``, normally enough.

    Args:
        confidence: ``(N,)`` of the class that is said.
        edges: of the bins, as ``bin_numbers`` takes them.
        overlap: rows that share one label's time, on average.
        rng: randomness.

    References: Bröcker and Smith (2007), Increasing the Reliability of Reliability Diagrams,
    Weather and Forecasting 22(3).
    """
    variance = np.bincount(bin_numbers(confidence, edges), confidence * (1 - confidence))
    spread = np.sqrt(np.maximum(variance, 0.0) * overlap)
    draws = np.abs(rng.standard_normal((_CHANCE_DRAWS, spread.size)) * spread).sum(axis=1)
    mean = math.sqrt(2 / math.pi) * float(spread.sum())
    return mean / confidence.size, float(np.quantile(draws, 0.95)) / confidence.size
