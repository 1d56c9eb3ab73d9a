"""What a temperature changed in the calibration figures, and whether that is more than chance.

Rows are drawn once for both sets of probabilities, so what moves both alike cancels in the
difference. Decisions of a book follow one another and are drawn in blocks; texts are independent,
and are put in a random order first, since a file may be sorted by its labels.

A binned error is never below 0 and so too large by chance, the more the better calibrated a model
is. Where chance alone could show as much, the interval of an ECE therefore begins at 0.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hfrun.evaluation.calibration_bins import chance_ece
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import (
    ECE_BINS,
    EQUAL_WIDTH_EDGES,
    bin_numbers,
    calibration_metrics,
    equal_mass_edges,
    log_losses,
    said_classes,
    squared_errors,
)
from lob_backtest.resampling.cells import Cells
from lob_backtest.resampling.draw import Draw, Interval, Intervals, Lead, intervals_of

# The largest gap of a bin is left out: it is mostly that of the smallest bin.
COMPARED_KEYS = ("nll", "brier", "ece", "adaptive_ece")
N_RESAMPLES = 1000
_GAPS = slice(1, 1 + ECE_BINS)
_MASS_GAPS = slice(1 + ECE_BINS, 1 + 2 * ECE_BINS)
_COLUMNS = 3 + 2 * ECE_BINS

Verdict = Literal["better", "worse", "no difference"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One figure on the test rows, of which less is better; intervals are of 95 %.

    Attributes:
        before, after: without and with the temperature.
        before_low, before_high, after_low, after_high: None for too few rows, as the rest.
        difference: after minus before, below 0 where the temperature helped.
        low, high: its interval.
        p_value: two-sided, of no difference.
        verdict: "better" and "worse" only where the interval leaves 0 out.
    """

    before: float
    before_low: float | None
    before_high: float | None
    after: float
    after_low: float | None
    after_high: float | None
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    verdict: Verdict


def compare(
    labels: IntArray,
    before: FloatArray,
    after: FloatArray,
    *,
    folds: IntArray,
    overlap: float | None,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Compared]:
    """``COMPARED_KEYS`` before and after, with intervals of both and of the difference.

    Args:
        labels: ``(N,)`` 0 to C - 1.
        before, after: ``(N, C)`` probabilities of the same rows.
        folds: ``(N,)`` never decreasing; no block crosses from one to the next.
        overlap: rows that share one label's time, on average; None for rows that are independent.
        rng: randomness.
        n_resamples: of the bootstrap.
    """
    order = np.arange(labels.size)
    if overlap is None:
        order, folds = rng.permutation(labels.size), np.zeros_like(folds)
    cells = Cells.of(folds)
    sums = [cells.sums(_row_sums(labels[order], each[order])) for each in (after, before)]
    draw = Draw(
        names=("after", "before"),
        keys=COMPARED_KEYS,
        cells=cells,
        sums=sums,
        figures=_figures,
        overlap=1.0 if overlap is None else overlap,
        pace=sums[0][:, _GAPS].sum(axis=1) / cells.length,
    )
    found = intervals_of(draw, n_resamples=n_resamples, rng=rng)
    sides = [_side(labels, each, overlap=draw.overlap, rng=rng) for each in (before, after)]
    return {key: _compared(key, found, *(side[key] for side in sides)) for key in COMPARED_KEYS}


def _side(
    labels: IntArray, probabilities: FloatArray, *, overlap: float, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Each figure, and what chance alone could show of it, in 95 of 100 tests; 0 for a score."""
    figures = calibration_metrics(labels, probabilities)
    _, confidence = said_classes(probabilities)
    chance = {"nll": 0.0, "brier": 0.0} | {
        key: chance_ece(confidence, edges, overlap=overlap, rng=rng)[1]
        for key, edges in (
            ("ece", EQUAL_WIDTH_EDGES),
            ("adaptive_ece", equal_mass_edges(confidence)),
        )
    }
    return {key: (figures[key], chance[key]) for key in COMPARED_KEYS}


def _row_sums(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """``(N, 33)``: one, hits minus confidence by bin of equal width and of equal mass, losses."""
    said, confidence = said_classes(probabilities)
    n, gap = labels.size, np.equal(said, labels) - confidence
    rows, sums = np.arange(n), np.zeros((n, _COLUMNS))
    sums[:, 0] = 1
    sums[rows, _GAPS.start + bin_numbers(confidence, EQUAL_WIDTH_EDGES)] = gap
    sums[rows, _MASS_GAPS.start + bin_numbers(confidence, equal_mass_edges(confidence))] = gap
    sums[:, -2] = log_losses(labels, probabilities)
    sums[:, -1] = squared_errors(labels, probabilities)
    return sums


def _figures(sums: FloatArray) -> FloatArray:
    """``(r, 4)`` ``COMPARED_KEYS`` of ``(r, F, 33)`` sums."""
    whole = sums.sum(axis=1)
    n = np.maximum(whole[:, 0], 1.0)
    found = {
        "nll": whole[:, -2],
        "brier": whole[:, -1],
        "ece": np.abs(whole[:, _GAPS]).sum(axis=1),
        "adaptive_ece": np.abs(whole[:, _MASS_GAPS]).sum(axis=1),
    }
    return np.column_stack([found[key] / n for key in COMPARED_KEYS])


def _compared(
    key: str, found: Intervals, before: tuple[float, float], after: tuple[float, float]
) -> Compared:
    lead = found.leads.get("before", {}).get(key, Lead())
    verdict: Verdict = "no difference"
    if lead.low is not None and lead.high is not None:
        verdict = "better" if lead.high < 0 else "worse" if lead.low > 0 else verdict
    before_low, before_high = _within(found.of["before"][key], *before)
    after_low, after_high = _within(found.of["after"][key], *after)
    return Compared(
        before=before[0],
        before_low=before_low,
        before_high=before_high,
        after=after[0],
        after_low=after_low,
        after_high=after_high,
        difference=after[0] - before[0],
        low=lead.low,
        high=lead.high,
        p_value=lead.p_value,
        verdict=verdict,
    )


def _within(limits: Interval, value: float, chance: float) -> Interval:
    """No figure here is below 0, and one that chance could show may be 0 in truth."""
    low, high = limits
    if low is None:
        return limits
    return (0.0 if value <= chance else max(low, 0.0)), high
