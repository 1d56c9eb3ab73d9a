"""What can be scored: known labels, finite probabilities, one row a label."""

import numpy as np

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.errors import MetricError

SUM_TOLERANCE = 1e-4  # of a row's sum from 1


def check_scorable(labels: IntArray, probabilities: FloatArray) -> None:
    """Refuse what no measure is defined for.

    Args:
        labels: ``(N,)`` 0 to C - 1, N at least 1; an unknown label (-1) is an error.
        probabilities: ``(N, C)`` finite, C at least 2.

    Raises:
        MetricError: no decisions, shapes that differ, an unknown label, no probability.
    """
    n = labels.shape[0]
    if n == 0:
        raise MetricError("no decisions to score; needs at least one with a known label")
    shape = probabilities.shape
    if len(shape) != 2 or shape[0] != n or shape[1] < 2:
        needed = (n, shape[1]) if len(shape) == 2 and shape[1] > 1 else f"({n}, C) with C >= 2"
        raise MetricError(
            f"probabilities have shape {shape}; needs {needed}, one row a label and one column a "
            "class"
        )
    known = (labels >= 0) & (labels < shape[1])
    if not known.all():
        raise MetricError(
            f"{int((~known).sum())} of {n} labels are not {_classes(shape[1])} (first "
            f"{labels[~known][0]}); leave unknown labels out before scoring"
        )
    check_finite("probabilities", probabilities)


def is_probability(values: FloatArray) -> BoolArray:
    """``(N,)`` whether a row of ``(N, C)`` values has none below 0 and sums to 1 within 1e-4."""
    # NaN is no probability either
    near_one = np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE
    return np.asarray((values >= 0).all(axis=1) & near_one)


def check_finite(name: str, values: FloatArray) -> None:
    """Refuse values that are NaN or infinite."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise MetricError(f"{bad} of {values.size} {name} are NaN or infinite; needs finite values")


def _classes(n_classes: int) -> str:
    """The labels that there are, in words: ``0, 1 or 2``, ``0 to 4``."""
    if n_classes > 3:
        return f"0 to {n_classes - 1}"
    return f"{', '.join(str(c) for c in range(n_classes - 1))} or {n_classes - 1}"
