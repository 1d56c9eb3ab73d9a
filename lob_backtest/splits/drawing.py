"""Folds drawn with characters for a terminal, and as blocks in time for the report."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from lob_backtest.book import IntArray
from lob_backtest.splits.combinatorial import CombinatorialFold

# In this order they are drawn over each other: the rarest last.
_MARKS = {"train": "*", "train_dev": "d", "validation": "v", "test": "x"}
_TITLES = {"train_dev": "train-dev"}
_PURGED = "."
_WHY_PURGED = "label_end >= first decision of the next block"
_WHY_PURGED_BOTH_SIDES = "label overlaps a test label, or follows one within the embargo"


class Parted(Protocol):
    """A fold of any splitter."""

    @property
    def fold(self) -> int: ...

    @property
    def n_unknown(self) -> int: ...

    @property
    def parts(self) -> Mapping[str, IntArray]: ...


def draw_folds(folds: Sequence[Parted], decided_ns: IntArray, *, width: int = 72) -> str:
    """A drawing of the folds over all decisions, one line a fold, and the legend.

    A character stands for ``D / width`` decisions. Where several kinds meet in one, the rarest is
    shown: purged before test, validation, train-dev and train; a blank takes no part in the fold.
    """
    n = int(decided_ns.shape[0])
    cell = np.arange(n) * min(width, n) // n
    lines = []
    for fold in folds:
        parts = fold.parts
        drawn = np.full(min(width, n), " ")
        for part in parts:
            drawn[cell[parts[part]]] = _MARKS[part]
        drawn[cell[_left_out(fold, n)]] = _PURGED
        lines.append(f"{fold.fold:>3} |{''.join(drawn)}|")
    return "\n".join([*lines, _legend(folds)])


def fold_blocks(fold: Parted, decided_ns: IntArray) -> list[dict[str, str | int]]:
    """The fold's blocks in time order, JSON-able: what a drawing needs.

    A block is a run of decisions of one part; what was purged between them ends no block of its
    own part. A walk has one block a part; combinatorial splits alternate train and test.

    Args:
        fold: of any splitter.
        decided_ns: ``(D,)`` the decisions that it was made of.

    Returns:
        ``{"part", "start_ns", "end_ns", "n"}`` a block: ``part`` is ``train``, ``train_dev``,
        ``validation`` or ``test``; first and last ``decided_ns``; how many decisions.
    """
    names = list(fold.parts)
    rows = np.concatenate(list(fold.parts.values()))
    part = np.repeat(np.arange(len(names)), [chosen.size for chosen in fold.parts.values()])
    order = np.argsort(rows, kind="stable")
    rows, part = rows[order], part[order]
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    stops = np.append(starts[1:], rows.size)
    return [
        {
            "part": names[part[start]],
            "start_ns": int(decided_ns[rows[start]]),
            "end_ns": int(decided_ns[rows[stop - 1]]),
            "n": int(stop - start),
        }
        for start, stop in zip(starts, stops, strict=True)
    ]


def _left_out(fold: Parted, n: int) -> IntArray:
    """Decisions in the fold's span that are in none of its parts."""
    is_free = np.ones(n, dtype=np.bool_)
    rows = np.concatenate(list(fold.parts.values()))
    is_free[rows] = False
    if not isinstance(fold, CombinatorialFold):  # which spans all decisions
        is_free[: rows.min()] = False
        is_free[rows.max() :] = False
    return np.flatnonzero(is_free)


def _legend(folds: Sequence[Parted]) -> str:
    shown = {part for fold in folds for part in fold.parts}
    marks = [f"{mark} {_TITLES.get(part, part)}" for part, mark in _MARKS.items() if part in shown]
    both_sides = any(isinstance(fold, CombinatorialFold) for fold in folds)
    why = _WHY_PURGED_BOTH_SIDES if both_sides else _WHY_PURGED
    unknown = "; or label unknown" if any(fold.n_unknown for fold in folds) else ""
    return f"     {'   '.join(marks)}   {_PURGED} purged: {why}{unknown}"
