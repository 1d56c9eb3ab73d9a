"""The first value at or above a threshold, from many starts at once, in logarithmic time each.

    level 2            9               a node holds the greatest value below it
    level 1      5           9
    level 0   5     2     3     9      from 1 at or above 4: 2 no, (3, 9) yes, 3 no, 9 yes

A plain scan from each start costs the distance to its touch, which for wide barriers over long
horizons is the whole session every time.
"""

import numpy as np

from lob_backtest.book import FloatArray, IntArray, empty_beside


class FirstTouch:
    """Values to look along; the tree over them is made once.

    Args:
        values: ``(C,)`` finite.

    >>> touch = FirstTouch(np.array([5.0, 2.0, 3.0, 9.0]))
    >>> touch.first_at_or_above(np.array([1, 0, 2]), np.array([4.0, 5.0, 10.0])).tolist()
    [3, 0, 4]
    """

    def __init__(self, values: FloatArray) -> None:
        self.n = values.size
        self._levels = _levels(values)

    def first_at_or_above(self, starts: IntArray, thresholds: FloatArray) -> IntArray:
        """``(D,)`` smallest ``i >= start`` with ``values[i] >= threshold``; C where there is none.

        Args:
            starts: ``(D,)`` indices from 0 to C.
            thresholds: ``(D,)``; NaN is never reached.
        """
        nodes, heights = _climb(self._levels, starts, thresholds)
        for height in range(len(self._levels) - 1, 0, -1):
            above = np.flatnonzero(heights >= height)
            left = 2 * nodes[above]
            is_left = self._levels[height - 1][left] >= thresholds[above]
            nodes[above] = np.where(is_left, left, left + 1)
        return np.where(heights >= 0, nodes, self.n)


def _levels(values: FloatArray) -> list[FloatArray]:
    """The values, padded to a power of two, and the greatest of each 2, 4, 8, ... of them."""
    size = 1 << max(values.size - 1, 0).bit_length()
    leaves = empty_beside(values, size, np.float64)
    leaves[: values.size], leaves[values.size :] = values, -np.inf
    levels = [leaves]
    while (below := levels[-1]).size > 1:
        greater = empty_beside(values, below.size // 2, np.float64)
        levels.append(np.maximum(below[0::2], below[1::2], out=greater))
    return levels


def _climb(
    levels: list[FloatArray], starts: IntArray, thresholds: FloatArray
) -> tuple[IntArray, IntArray]:
    """The first node from each start on that reaches the threshold, and its height; -1 for none."""
    nodes = starts.astype(np.int64)
    heights = np.full(starts.size, -1, dtype=np.int64)
    active = np.arange(starts.size)
    for height, greatest in enumerate(levels):
        active = active[nodes[active] < greatest.size]
        reached = greatest[nodes[active]] >= thresholds[active]
        heights[active[reached]] = height
        active = active[~reached]
        # A left node that fails leaves its sibling, a right one the next pair: both are up there.
        nodes[active] = (nodes[active] + 1) // 2
    return nodes, heights
