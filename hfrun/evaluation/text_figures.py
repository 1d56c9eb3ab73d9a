"""The figures of classifiers of texts and how sure they are, from one draw of the same texts.

    accuracy             Wilson's interval
    all others           studentized bootstrap over texts; mce, a maximum, its percentiles
    model - baseline     the same texts drawn for both, so that what is hard for both cancels
    McNemar              of the texts where one is right and the other wrong, is it a fair coin?

Texts are drawn one by one (of more than a thousand, in small random groups): their order in a file
means nothing, and in a file that is sorted by label it would pass for dependence.

References: McNemar (1947), Psychometrika 12(2); Naeini, Cooper and Hauskrecht (2015), Obtaining
Well Calibrated Probabilities Using Bayesian Binning, AAAI (maximum calibration error).
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from hfrun.evaluation.text_predictions import TextPredictions
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import (
    ECE_BINS,
    EQUAL_WIDTH_EDGES,
    bin_numbers,
    classification_metrics,
    log_losses,
    maximum_calibration_error,
    negative_log_likelihood,
    said_classes,
    squared_errors,
)
from lob_backtest.resampling.cells import Cells, totals
from lob_backtest.resampling.draw import Draw, Intervals, Path, intervals_of
from lob_backtest.sections.confidence import share_interval

KEYS = ("accuracy", "majority_accuracy", "f1_weighted", "f1_macro", "mcc", "ece", "mce", "brier",
        "nll")  # fmt: skip
MODEL = "model"
_UPPER = {"mce": 1.0, "nll": np.inf}


def text_figures(table: TextPredictions) -> dict[str, float]:
    """Every figure of ``KEYS`` over texts that are all labelled."""
    found = {
        **classification_metrics(table.labels, table.probabilities),
        "mce": maximum_calibration_error(table.labels, table.probabilities),
        "nll": negative_log_likelihood(table.labels, table.probabilities),
    }
    return {key: found[key] for key in KEYS}


def text_intervals(
    tables: Mapping[str, TextPredictions], *, n_resamples: int, rng: np.random.Generator
) -> Intervals:
    """Intervals of every figure of every table, and of the first one's leads over the others.

    Args:
        tables: predictions for the same labelled texts; the first one is the judged model's.
        n_resamples: at least 1.
        rng: randomness.
    """
    first = next(iter(tables.values()))
    cells = Cells.of(np.zeros(first.n, dtype=np.int64))
    order = rng.permutation(first.n)
    sums = [text_sums(table, cells, order) for table in tables.values()]
    n_classes = len(first.label_names)
    draw = Draw(
        names=list(tables),
        keys=list(KEYS),
        cells=cells,
        sums=sums,
        figures=partial(_smooth_figures, n_classes=n_classes),
        overlap=1.0,
        pace=np.zeros(cells.count),  # nothing follows itself: cells are drawn one by one
        paths={"mce": [_mce_path(cells, own, n_classes) for own in sums]},
    )
    return intervals_of(draw, n_resamples=n_resamples, rng=rng)


def with_intervals(
    figures: Mapping[str, float], found: Mapping[str, tuple[float | None, float | None]], *, n: int
) -> dict[str, dict[str, float | None]]:
    """``{key: {value, low, high}}`` as a report has it; the accuracy with Wilson's interval."""
    bounds = dict(found)
    bounds["accuracy"] = share_interval(round(figures["accuracy"] * n), n, overlap=1.0)
    return {
        key: {"value": value, **_within(key, value, *bounds.get(key, (None, None)))}
        for key, value in figures.items()
    }


def paired(intervals: Intervals) -> dict[str, Any]:
    """By baseline and figure: difference (model minus baseline), low, high and p-values."""
    return {
        name: {key: asdict(lead) for key, lead in leads.items()}
        for name, leads in intervals.leads.items()
    }


def mcnemar(model: TextPredictions, other: TextPredictions) -> dict[str, float]:
    """Counts of texts by who is right, and McNemar's exact two-sided p-value.

    ``p = min(1, 2 P[X <= min(b, c)])`` with X of ``b + c`` tosses of a fair coin, b and c the texts
    that only one of the two has right; 1 where there is none.
    """
    from scipy.special import bdtr

    ours, theirs = (said_classes(t.probabilities)[0] == t.labels for t in (model, other))
    only_model, only_other = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    tosses = only_model + only_other
    p_value = 2 * float(bdtr(min(only_model, only_other), tosses, 0.5)) if tosses else 1.0
    return {
        "both": int((ours & theirs).sum()),
        "only_model": only_model,
        "only_baseline": only_other,
        "neither": int((~ours & ~theirs).sum()),
        "p_value": min(1.0, p_value),
    }


def text_sums(table: TextPredictions, cells: Cells, order: IntArray) -> FloatArray:
    """``(cells, 3 C + 2 B + 2)`` sums over each cell's texts, from which every figure comes.

    By class hits, true and said (C each); by confidence bin hits minus confidence, and texts
    (B each); squared error; negative log-likelihood.

    Args:
        table: every label known.
        cells: of consecutive texts.
        order: ``(N,)`` in which the texts are put into the cells.
    """
    labels, probabilities = table.labels[order], table.probabilities[order]
    n_classes = probabilities.shape[1]
    said, confidence = said_classes(probabilities)
    place = bin_numbers(confidence, EQUAL_WIDTH_EDGES)
    right = np.equal(said, labels).astype(np.float64)
    return np.column_stack(
        [
            cells.counts(labels, n_classes, right),
            cells.counts(labels, n_classes),
            cells.counts(said, n_classes),
            cells.counts(place, ECE_BINS, right - confidence),
            cells.counts(place, ECE_BINS),
            cells.sums(squared_errors(labels, probabilities)),
            cells.sums(log_losses(labels, probabilities)),
        ]
    )


def _figures(sums: FloatArray, *, n_classes: int) -> FloatArray:
    """``(r, 9)`` figures in the order of ``KEYS``, of ``(r, 1, K)`` sums; as metrics has them."""
    one = sums[:, 0]
    hits, true, said = (one[:, i * n_classes : (i + 1) * n_classes] for i in range(3))
    n = np.maximum(true.sum(axis=1), 1.0)
    f1 = 2 * hits / np.maximum(true + said, 1.0)
    occurs = np.maximum((true + said > 0).sum(axis=1), 1)
    covariance = hits.sum(axis=1) * n - (true * said).sum(axis=1)
    spread = (n**2 - (true**2).sum(axis=1)) * (n**2 - (said**2).sum(axis=1))
    gaps, counts = _bins(one, n_classes)
    found = {
        "accuracy": hits.sum(axis=1) / n,
        "majority_accuracy": true.max(axis=1) / n,
        "f1_weighted": (f1 * true).sum(axis=1) / n,
        "f1_macro": f1.sum(axis=1) / occurs,
        "mcc": np.where(spread > 0, covariance / np.sqrt(np.maximum(spread, 1.0)), 0.0),
        "ece": np.abs(gaps).sum(axis=1) / n,
        "mce": (np.abs(gaps) / np.maximum(counts, 1.0)).max(axis=1),
        "brier": one[:, -2] / n,
        "nll": one[:, -1] / n,
    }
    return np.column_stack([found[key] for key in KEYS])


def _smooth_figures(sums: FloatArray, *, n_classes: int) -> FloatArray:
    """As ``_figures``, without the maximum: leaving texts out says nothing of how it varies."""
    found = _figures(sums, n_classes=n_classes)
    found[:, KEYS.index("mce")] = np.nan
    return found


def _mce_path(cells: Cells, sums: FloatArray, n_classes: int) -> Path:
    def of_drawn(drawn: IntArray) -> FloatArray:
        figures = _figures(totals(cells, sums, drawn), n_classes=n_classes)
        return np.asarray(figures[:, KEYS.index("mce")])

    return float(of_drawn(np.arange(cells.count)[None])[0]), of_drawn


def _bins(one: FloatArray, n_classes: int) -> tuple[FloatArray, FloatArray]:
    begin = 3 * n_classes
    return one[:, begin : begin + ECE_BINS], one[:, begin + ECE_BINS : begin + 2 * ECE_BINS]


def _within(
    key: str, value: float, low: float | None, high: float | None
) -> dict[str, float | None]:
    """Bounds where the figure can be; the draw knows the range of the books' figures alone."""
    if low is None or high is None:
        return {"low": None, "high": None}
    if key in _UPPER:
        low, high = max(low, 0.0), min(high, _UPPER[key])
    # sums in another order differ by a rounding
    return {"low": min(low, value), "high": max(high, value)}
