"""How windows that share rows are laid out, so that a model computes what they share once.

    decisions     rows 104 114 124 134 | 907 917          gap of the second group: far away
    stretches     [... 104 114 124 134]                   B = 2 stretches of S rows, for training:
                      [...     907 917]                   the shorter one begins earlier
    joined        [... 104 114 124 134 ... 907 917]       one stretch, for prediction: rows that no
                                                          window holds are left out

In training a stretch is one sample of a batch: a batch norm looks at every row of it, so its rows
are consecutive rows of the book. In prediction nothing looks across rows but the windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Sampler

IntArray = npt.NDArray[np.int64]

# Kernels are made for a length when it is first seen, and kept: hundreds of lengths would take
# gigabytes. So there are few.
_LENGTH_STEP, _JOINED_STEP = 16, 128


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Which book rows a model is given, and where in them its windows end.

    Attributes:
        rows: ``(B, S)`` int64 rows of the book.
        ends: ``(W,)`` int64 last row of each window, counted through all B S rows.
    """

    rows: IntArray
    ends: IntArray


def starts_of_stretches(rows: IntArray, *, window: int, stretch: int, cut: int = 0) -> IntArray:
    """Where a new stretch begins among decisions: at 0, after ``stretch`` of them, at a gap.

    Decisions half a window apart or more share too little to be worth one stretch.

    Args:
        rows: ``(W,)`` last row of each window; a stretch also ends where they do not increase.
        window: T.
        stretch: most decisions a stretch.
        cut: decisions of the first stretch after each gap, if fewer; 0 for a whole one.
    """
    gap = np.diff(rows)
    is_break = np.append(True, (gap <= 0) | (2 * gap >= window))
    breaks = np.flatnonzero(is_break)
    since = np.arange(rows.size) - np.repeat(breaks, np.diff(np.append(breaks, rows.size)))
    return np.flatnonzero((since == 0) | ((since - cut) % stretch == 0)).astype(np.int64)


def stretches(rows: IntArray, *, window: int, stretch: int) -> Layout:
    """Stretches of equal length: a shorter one begins earlier, with rows that no window holds.

    At the beginning of the book, where there is nothing earlier, its first row is repeated: a batch
    holds no row after its last decision. Lengths are a window and a multiple of 16 rows: kernels
    are made and kept for every length there is.
    """
    starts = starts_of_stretches(rows, window=window, stretch=stretch)
    last = rows[np.append(starts[1:], rows.size) - 1]
    length = _rounded_up(int((last - rows[starts]).max()), _LENGTH_STEP) + window
    first = last - length + 1
    of_window = np.searchsorted(starts, np.arange(rows.size), side="right") - 1
    return Layout(
        rows=np.maximum(first[:, None] + np.arange(length), 0),
        ends=(of_window * length + rows - first[of_window]).astype(np.int64),
    )


def joined(rows: IntArray, *, window: int) -> Layout:
    """One stretch of the rows that the windows hold, each once, in the order of the book.

    Where the windows leave rows out, rows that are not neighbours meet; no window holds both. The
    last row is repeated until there is a multiple of 128 (see ``stretches``).
    """
    ordered = np.unique(rows)
    held = _rows_new_with_each(ordered, window)
    last_place = np.cumsum(held) - 1
    length = int(last_place[-1]) + 1
    given = np.arange(length) + np.repeat(ordered - last_place, held)
    more = _rounded_up(length, _JOINED_STEP) - length
    return Layout(
        rows=np.pad(given, (0, more), mode="edge")[None],
        ends=last_place[np.searchsorted(ordered, rows)].astype(np.int64),
    )


def _rows_new_with_each(rows: IntArray, window: int) -> IntArray:
    """``(W,)`` rows of each window that no window before it has; ``rows`` do not decrease."""
    return np.minimum(np.diff(rows, prepend=rows[0] - window), window)


def _rounded_up(length: int, step: int) -> int:
    return -(-length // step) * step


def batches_of_rows(rows: IntArray, *, window: int, most_rows: int) -> list[slice]:
    """Cut decisions into batches whose ``joined`` rows are about ``most_rows`` at most.

    Args:
        rows: ``(W,)`` last row of each window, increasing.
    """
    held = _rows_new_with_each(rows, window)
    batch = (np.cumsum(held) - 1) // max(most_rows - window, 1)
    starts = np.flatnonzero(np.diff(batch, prepend=-1))
    return [
        slice(int(start), int(stop))
        for start, stop in zip(starts, np.append(starts[1:], rows.size), strict=True)
    ]


class StretchSampler(Sampler[int]):
    """Every decision once an epoch: stretches in random order, the decisions of each in a row.

    Where the stretches are cut is drawn anew each epoch. Draws depend on the seed and the epoch
    alone, so that a resumed run and every process of a parallel one see the same order. The
    Trainer calls ``set_epoch``.

    Args:
        rows: ``(D,)`` last row of each training decision, in time order.
        window: T.
        stretch: most decisions a stretch; 1 draws single decisions.
        seed: of the whole run.
    """

    def __init__(self, rows: IntArray, *, window: int, stretch: int, seed: int) -> None:
        self.rows = rows
        self.window = window
        self.stretch = stretch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0]
        rng = np.random.default_rng(int(seed))
        cut = int(rng.integers(self.stretch))
        starts = starts_of_stretches(self.rows, window=self.window, stretch=self.stretch, cut=cut)
        stops = np.append(starts[1:], len(self.rows))
        for chosen in rng.permutation(len(starts)):
            yield from range(int(starts[chosen]), int(stops[chosen]))


def as_tensors(layout: Layout, rows: npt.NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
    """``(B, S, 4 L)`` features and ``(W,)`` ends of a layout, from all rows ``(N, 4 L)``."""
    return torch.from_numpy(rows[layout.rows]), torch.from_numpy(layout.ends)
