"""Sums over short stretches of decisions or bars, and figures of every choice among them.

    rows    d d d d d d d d d | d d d d d d ...     | a fold ends
    cells   [ 0 ] [ 1 ] [ 2 ] | [ 3 ] [ 4 ]         at most some 1000: drawing costs the same
                                                    for a thousand decisions and for a million

Every figure (but a drawdown) is a function of sums over its rows, so cells are drawn, not rows. A
cell is much shorter than the data and long enough that its neighbours hardly know of each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lob_backtest.book import FloatArray, IntArray

MOST_CELLS = 1000
_BATCH = 4_000_000  # numbers held at once

# From (r, P, K) sums over the rows of each of P parts to (r, M) figures.
Figures = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Consecutive rows, none across two parts.

    Attributes:
        start: ``(C,)`` first row of each cell.
        part: ``(C,)`` its part (fold), numbered from 0, never decreasing.
        n: rows.
    """

    start: IntArray
    part: IntArray
    n: int

    @classmethod
    def of(cls, part: IntArray, *, most: int = MOST_CELLS) -> "Cells":
        """At most ``most`` cells (but one a part) of about equal length.

        Args:
            part: ``(n,)`` of each row, never decreasing.
            most: 1 row a cell where there are no more rows than that.
        """
        first = np.flatnonzero(np.diff(part, prepend=part[0] - 1))
        length = np.diff(first, append=part.size)
        share = np.maximum(1, length * min(1.0, most / part.size)).astype(np.int64)
        starts = [
            begin + np.arange(n_cells) * rows // n_cells
            for begin, rows, n_cells in zip(first, length, share, strict=True)
        ]
        return cls(
            start=np.concatenate(starts), part=np.repeat(np.arange(first.size), share), n=part.size
        )

    @property
    def count(self) -> int:
        return int(self.start.size)

    @property
    def n_parts(self) -> int:
        return int(self.part[-1]) + 1

    @property
    def length(self) -> FloatArray:
        """``(C,)`` rows in each cell."""
        return np.diff(self.start, append=self.n).astype(np.float64)

    def sums(self, values: FloatArray) -> FloatArray:
        """``(C,)`` or ``(C, K)`` sums of ``(n,)`` or ``(n, K)`` values."""
        return np.asarray(np.add.reduceat(values, self.start, axis=0), dtype=np.float64)

    def counts(self, codes: IntArray, n_codes: int, amount: FloatArray | None = None) -> FloatArray:
        """``(C, n_codes)`` rows of each code, or the sums of their amounts."""
        place = np.repeat(np.arange(self.count) * n_codes, self.length.astype(np.int64))
        place += codes
        summed = np.bincount(place, amount, minlength=self.count * n_codes)
        return summed.reshape(self.count, n_codes).astype(np.float64)


def totals(cells: Cells, sums: FloatArray, drawn: IntArray) -> FloatArray:
    """``(r, P, K)`` sums over each part of the drawn cells ``(r, C)``."""
    n = cells.count
    place = drawn + n * np.arange(drawn.shape[0])[:, None]
    weight = np.bincount(place.ravel(), minlength=drawn.shape[0] * n).reshape(-1, n)
    edges = np.searchsorted(cells.part, np.arange(cells.n_parts + 1))
    each = [weight[:, a:b] @ sums[a:b] for a, b in pairwise(edges)]
    return np.stack(each, axis=1)


def influence(cells: Cells, sums: FloatArray, figures: Figures) -> tuple[FloatArray, FloatArray]:
    """The figures ``(M,)`` of all cells, and ``(C, M)`` what each cell adds, times C.

    ``(C - 1) (figure - figure without the cell)``: the jackknife's; its mean is about 0.
    """
    whole = totals(cells, sums, np.arange(cells.count)[None, :])
    value = figures(whole)[0]
    batch = max(1, _BATCH // whole.size)
    parts = []
    for begin in range(0, cells.count, batch):
        end = min(begin + batch, cells.count)
        left = np.repeat(whole, end - begin, axis=0)
        left[np.arange(end - begin), cells.part[begin:end]] -= sums[begin:end]
        parts.append(value - figures(left))
    return value, (cells.count - 1) * np.concatenate(parts)
