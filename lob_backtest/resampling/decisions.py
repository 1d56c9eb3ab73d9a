"""The classification figures of any draw of decisions, from sums over cells.

The same figures as ``metrics`` gives, and over folds as the report does: F1, MCC and the majority's
accuracy are means of the folds', by their decisions.
"""

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.metrics import CLASSIFICATION_KEYS, ECE_BINS, N_CLASSES
from lob_backtest.predictions import Predictions
from lob_backtest.resampling.cells import Cells

_CELLS = N_CLASSES**2
_EDGES = np.linspace(0.0, 1.0, ECE_BINS + 1)[1:-1]


def decision_sums(table: Predictions, cells: Cells) -> FloatArray:
    """``(C, 25)`` confusion (9, rows true), hits minus confidence by bin (15), squared error."""
    known = table.is_labelled
    whole = bool(known.all())
    labels = table.label if whole else table.label[known]
    probability = table.probability if whole else table.probability[known]
    said, confidence = np.argmax(probability, axis=1), probability.max(axis=1)
    place = np.searchsorted(_EDGES, confidence, side="left")
    gap = np.equal(said, labels) - confidence
    # |p - e|^2 = |p|^2 - 2 p_label + 1, without a table of came-trues
    error = np.einsum("nc,nc->n", probability, probability) + 1
    error -= 2 * np.take_along_axis(probability, labels[:, None], axis=1)[:, 0]
    return np.column_stack(
        [
            cells.counts(labels * N_CLASSES + said, _CELLS),
            cells.counts(place, ECE_BINS, gap),
            cells.sums(error),
        ]
    )


def hits(sums: FloatArray) -> FloatArray:
    """``(C,)`` right decisions of ``(C, 25)`` sums."""
    return np.asarray(sums[:, : _CELLS : N_CLASSES + 1].sum(axis=1))


def decision_figures(sums: FloatArray) -> FloatArray:
    """``(r, 7)`` figures, in the order of ``CLASSIFICATION_KEYS``, of ``(r, F, 25)`` sums."""
    counts = sums[..., :_CELLS].reshape(*sums.shape[:2], N_CLASSES, N_CLASSES)
    n = np.maximum(counts.sum(axis=(1, 2, 3)), 1.0)
    hits = np.trace(counts, axis1=2, axis2=3).sum(axis=1)
    majority, weighted, macro, mcc = _sums_over_folds(counts)
    found = {
        "accuracy": hits / n,
        "majority_accuracy": majority / n,
        "f1_weighted": weighted / n,
        "f1_macro": macro / n,
        "mcc": mcc / n,
        "ece": np.abs(sums[..., _CELLS:-1].sum(axis=1)).sum(axis=1) / n,
        "brier": sums[..., -1].sum(axis=1) / n,
    }
    return np.column_stack([found[key] for key in CLASSIFICATION_KEYS])


def _sums_over_folds(counts: FloatArray) -> tuple[FloatArray, ...]:
    """Majority accuracy, F1 weighted and macro and MCC of each fold times its decisions, summed.

    The formulas of ``metrics``, for all resamples and folds at once: ``counts`` is
    ``(r, F, 3, 3)``, the result four of ``(r,)``. A fold that a resample left out adds nothing.
    """
    n = counts.sum(axis=(2, 3))
    true, said = counts.sum(axis=3), counts.sum(axis=2)
    hits = np.diagonal(counts, axis1=2, axis2=3)
    f1 = 2 * hits / np.maximum(true + said, 1)
    occurs = true + said > 0
    covariance = hits.sum(axis=2) * n - (true * said).sum(axis=2)
    spread = (n**2 - (true**2).sum(axis=2)) * (n**2 - (said**2).sum(axis=2))
    mcc = np.where(spread > 0, covariance / np.sqrt(np.maximum(spread, 1)), 0.0)
    return (
        true.max(axis=2).sum(axis=1),
        (f1 * true).sum(axis=(1, 2)),
        (n * f1.sum(axis=2) / np.maximum(occurs.sum(axis=2), 1)).sum(axis=1),
        (n * mcc).sum(axis=1),
    )
