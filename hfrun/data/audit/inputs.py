"""Findings about what a model of the book sees: columns that never change, and other markets later.

Inputs are looked at through a few figures a decision, each known at it:

    spread            a_1 - b_1                                    ticks
    touch_size        log(1 + q^a_1 + q^b_1)                       log size
    depth             log(1 + sum over levels of q^a_l + q^b_l)    log size
    imbalance         (q^b_1 - q^a_1) / (q^b_1 + q^a_1)            from -1 to 1
    window_move       m_i - m_(i-T+1)                              ticks
    window_range      max - min of m over nine rows of the window  ticks
    window_seconds    log(1 + t_i - t_(i-T+1))                     log seconds
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hfrun.data.audit.distributions import (
    chance_stability_index,
    largest_gap,
    stability_index,
)
from hfrun.data.audit.findings import Finding
from lob_backtest.book import Book, FloatArray, IntArray, book_columns
from lob_backtest.config import NormalizeConfig
from lob_backtest.splits import Fold

_MOST_EXAMPLES = 10
_MOST_DECISIONS = 20_000  # of a part, evenly spaced: quantiles need no more
_LARGE_INDEX, _NOTABLE_INDEX = 0.25, 0.10  # Siddiqi (2006)
_PLACES = 9
_MOST_REPEATED = 0.5


@dataclass(frozen=True, kw_only=True)
class _Shift:
    """One figure of one part of a fold, against train."""

    fold: int
    part: str
    figure: str
    index: float
    gap: float
    medians: tuple[float, float]

    def words(self) -> str:
        before, here = self.medians
        return (
            f"fold {self.fold}, {self.part}: {self.figure} PSI {self.index:.2f}, "
            f"KS {self.gap:.2f}, median {before:.4g} -> {here:.4g}"
        )


def thinned(rows: IntArray) -> IntArray:
    """Evenly spaced decisions of a part, at most 20,000."""
    if rows.size <= _MOST_DECISIONS:
        return rows
    return rows[np.linspace(0, rows.size - 1, _MOST_DECISIONS).astype(np.int64)]


def column_findings(
    book: Book, normalize: NormalizeConfig, train: Mapping[int, IntArray]
) -> list[Finding]:
    """Columns that never change in the train part of some fold, and rows that repeat.

    Args:
        book: the book.
        normalize: prices relative to the mid are looked at as such.
        train: by fold, the last row of each decision's window.
    """
    folds_with: dict[str, list[int]] = {}
    for fold, rows in train.items():
        for name in _constant_columns(book, normalize, thinned(rows)):
            folds_with.setdefault(name, []).append(fold)
    every = np.unique(np.concatenate([thinned(rows) for rows in train.values()]))
    findings = _repeated_rows(book, every)
    if folds_with:
        n = len(folds_with)
        findings.append(
            Finding(
                name="constant_columns",
                severity="warning",
                count=n,
                message=f"{n:,} of {4 * book.n_levels:,} columns never change in a train part: "
                "they say nothing, and what they do later was never seen",
                examples=tuple(
                    f"{name} (fold{'s' * (len(folds) != 1)} {', '.join(map(str, folds[:5]))}"
                    f"{', ...' * (len(folds) > 5)})"
                    for name, folds in list(folds_with.items())[:_MOST_EXAMPLES]
                ),
                parts=("train",),
            )
        )
    return findings


def input_shift_findings(
    book: Book, decision_rows: IntArray, folds: tuple[Fold, ...], *, window: int
) -> list[Finding]:
    """Figures whose distribution in validation or test is another one than in train.

    Args:
        book: the book.
        decision_rows: ``(D,)`` last row of each decision's window.
        folds: of the run.
        window: T, rows of a window.
    """
    shifts = []
    for fold in folds:
        train = thinned(fold.train)
        before = _figures(book, decision_rows[train], window)
        for part, rows in fold.parts.items():
            if part == "train":
                continue
            kept = thinned(rows)
            here = _figures(book, decision_rows[kept], window)
            sizes = tuple(_windows(decision_rows[r], window) for r in (fold.train, rows))
            shifts += _shifts(before, here, sizes, fold=fold.fold, part=part)
    return [finding for part in ("train_dev", "validation", "test")
            for finding in _part_finding([s for s in shifts if s.part == part], part)]  # fmt: skip


def _part_finding(shifts: list[_Shift], part: str) -> list[Finding]:
    if not shifts:
        return []
    worst = sorted(shifts, key=lambda shift: -shift.index)
    n_folds = len({shift.fold for shift in shifts})
    figures = ", ".join(dict.fromkeys(shift.figure for shift in worst))
    return [
        Finding(
            name="input_shift",
            severity="warning" if worst[0].index >= _LARGE_INDEX else "info",
            count=len(shifts),
            message=f"{part} of {n_folds:,} fold{'s' * (n_folds != 1)} is another market than "
            f"train was, in {figures} (PSI of {_NOTABLE_INDEX:g} or more, and beyond chance; "
            f"{_LARGE_INDEX:g} is large)",
            examples=tuple(shift.words() for shift in worst[:_MOST_EXAMPLES]),
            parts=("train", part),
        )
    ]


def _shifts(
    before: Mapping[str, FloatArray],
    here: Mapping[str, FloatArray],
    sizes: tuple[float, ...],
    *,
    fold: int,
    part: str,
) -> list[_Shift]:
    found = []
    for figure, train in before.items():
        index, bins = stability_index(train, here[figure])
        if index >= max(_NOTABLE_INDEX, chance_stability_index(bins, *sizes)):
            medians = (float(np.median(train)), float(np.median(here[figure])))
            gap = largest_gap(train, here[figure])
            found.append(_Shift(fold=fold, part=part, figure=figure, index=index, gap=gap,
                                medians=medians))  # fmt: skip
    return found


def _windows(rows: IntArray, window: int) -> float:
    """Windows without a row in common: about how many independent looks these decisions are."""
    apart = np.minimum(np.diff(rows), window).sum() / window if rows.size > 1 else 0.0
    return 1.0 + float(apart)


def _figures(book: Book, rows: IntArray, window: int) -> dict[str, FloatArray]:
    """``(n,)`` of each figure, for windows that end at these rows."""
    first = rows - window + 1
    bid, ask = book.bid_size[rows], book.ask_size[rows]
    steps = np.linspace(0, window - 1, min(_PLACES, window)).astype(np.int64)
    mids = book.mid_ticks[rows[:, None] - steps]
    touch = bid[:, 0] + ask[:, 0]
    seconds = (book.time_ns[rows] - book.time_ns[first]) / 1e9
    depth = {"depth": np.log1p(bid.sum(axis=1) + ask.sum(axis=1))} if book.n_levels > 1 else {}
    return {
        "spread": book.spread_at(rows).astype(np.float64),
        "touch_size": np.log1p(touch),
        **depth,
        "imbalance": (bid[:, 0] - ask[:, 0]) / touch,
        "window_move": mids[:, 0] - mids[:, -1],
        "window_range": np.ptp(mids, axis=1),
        "window_seconds": np.log1p(seconds),
    }


def _constant_columns(book: Book, normalize: NormalizeConfig, rows: IntArray) -> list[str]:
    """Names of the columns with one value in all of these rows."""
    values = _columns(book, normalize, rows)
    is_constant = np.ptp(values, axis=0) == 0 if rows.size > 1 else np.zeros(0, dtype=np.bool_)
    names = book_columns(book.n_levels)[1:]
    return [names[column] for column in np.flatnonzero(is_constant).tolist()]


def _columns(book: Book, normalize: NormalizeConfig, rows: IntArray) -> FloatArray:
    """``(n, 4 L)`` in the book's order, prices as the model is shown them."""
    is_apart = normalize.inputs == "levels" and normalize.prices == "mid"
    mid = book.mid_ticks[rows][:, None] if is_apart else 0.0
    parts = (book.ask_ticks[rows] - mid, book.ask_size[rows], book.bid_ticks[rows] - mid,
             book.bid_size[rows])  # fmt: skip
    return np.stack(parts, axis=2).reshape(rows.size, 4 * book.n_levels)


def _repeated_rows(book: Book, rows: IntArray) -> list[Finding]:
    rows = thinned(rows[rows > 0])
    sides = (book.ask_ticks, book.ask_size, book.bid_ticks, book.bid_size)
    repeats = np.all([np.all(side[rows] == side[rows - 1], axis=1) for side in sides], axis=0)
    if not rows.size or repeats.mean() <= _MOST_REPEATED:
        return []
    return [
        Finding(
            name="repeated_rows",
            severity="warning",
            count=int(np.count_nonzero(repeats)),
            message=f"{repeats.mean():.1%} of the rows at which train decides repeat the row "
            "before: windows and horizons in rows are shorter than they look",
            parts=("train",),
        )
    ]
