"""How far labels share their future: a thousand overlapping labels may be fifty observations.

    label a   |---------|              concurrency    1  1  2  2  1
    label b         |-------|          uniqueness     a: 2/3 (1, 1, 1/2)    b: 2/3 (1/2, 1/2, 1)

A label lives in ``(decided_ns, label_end_ns]``: one that begins where another ends shares nothing
with it. All is over clock time, exact, and takes one sort.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 4.3 and 4.4.
"""

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import LabelError


def label_concurrency(decided_ns: IntArray, label_end_ns: IntArray) -> IntArray:
    """``(D,)`` labels that are open just after each decision, its own among them.

    Args:
        decided_ns, label_end_ns: ``(D,)`` of known labels, in any order.

    >>> label_concurrency(np.array([0, 2, 4]), np.array([3, 6, 5])).tolist()
    [1, 2, 2]
    """
    starts, ends = _spans(decided_ns, label_end_ns)
    begun = np.searchsorted(np.sort(starts), starts, side="right")
    return np.asarray(begun - np.searchsorted(np.sort(ends), starts, side="right"), dtype=np.int64)


def average_uniqueness(decided_ns: IntArray, label_end_ns: IntArray) -> FloatArray:
    """``(D,)`` mean of one over the concurrency, over each label's life; in (0, 1].

        u = 1 / (end - t) * integral of 1 / c(s) over s in (t, end]       c(s) labels open at s

    A label without a life (``label_end_ns == decided_ns``) is taken to live for a nanosecond.

    Args:
        decided_ns, label_end_ns: ``(D,)`` of known labels, in any order.

    Raises:
        LabelError: shapes differ, or a label ends before its decision.

    >>> average_uniqueness(np.array([0, 2, 6]), np.array([3, 4, 9])).round(3).tolist()
    [0.833, 0.75, 1.0]
    """
    starts, ends = _spans(decided_ns, label_end_ns)
    edges, concurrency = _concurrency(starts, ends)
    share = np.divide(1.0, concurrency, out=np.zeros(concurrency.size), where=concurrency > 0)
    area = np.concatenate([[0.0], np.cumsum(np.diff(edges) * share)])
    lived = area[np.searchsorted(edges, ends)] - area[np.searchsorted(edges, starts)]
    return np.asarray(lived / (ends - starts))


def effective_labels(decided_ns: IntArray, label_end_ns: IntArray) -> float:
    """The number of independent labels that these are worth: the sum of their uniqueness.

    From 1 (all share one span) to D (none overlap); 0 for no labels. It counts shared futures only:
    what is left of serial dependence makes it an upper bound.
    """
    return float(average_uniqueness(decided_ns, label_end_ns).sum())


def mean_overlap(decided_ns: IntArray, label_end_ns: IntArray) -> float:
    """Labels open at once, on average over the time in which any is open; 0 for no labels."""
    starts, ends = _spans(decided_ns, label_end_ns)
    edges, concurrency = _concurrency(starts, ends)
    covered = int(np.diff(edges)[concurrency > 0].sum())
    return float((ends - starts).sum() / covered) if covered else 0.0


def _spans(decided_ns: IntArray, label_end_ns: IntArray) -> tuple[IntArray, IntArray]:
    if decided_ns.shape != label_end_ns.shape or decided_ns.ndim != 1:
        raise LabelError(
            f"decided_ns and label_end_ns have shapes {decided_ns.shape} and "
            f"{label_end_ns.shape}; need one (D,)"
        )
    early = label_end_ns < decided_ns
    if early.any():
        raise LabelError(
            f"{int(early.sum())} labels end before their decision, first number "
            f"{int(np.argmax(early))}; labels look forward"
        )
    return decided_ns, np.maximum(label_end_ns, decided_ns + 1)


def _concurrency(starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """The instants at which labels begin or end, and how many are open in between."""
    instants = np.concatenate([starts, ends])
    change = np.repeat([1, -1], starts.size)
    order = np.argsort(instants, kind="stable")  # quick where both halves are in order
    instants = instants[order]
    is_last = np.ones(instants.size, dtype=np.bool_)
    is_last[:-1] = instants[1:] != instants[:-1]
    return instants[is_last], np.cumsum(change[order])[is_last][:-1]
