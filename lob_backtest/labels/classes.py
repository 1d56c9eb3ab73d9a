"""From moves to classes: the threshold is fitted on training moves, then cuts all of them."""

import numpy as np

from lob_backtest.book import FloatArray, IntArray, blocks, empty_beside
from lob_backtest.errors import LabelError
from lob_backtest.predictions import DOWN, FLAT, UNKNOWN, UP


def fit_threshold(move_ticks_train: FloatArray, *, flat_share: float = 1 / 3) -> float:
    """Threshold under which a move counts as flat: the ``flat_share`` quantile of ``|move|``.

    Moves come in half ticks, so many tie. Of 0 and the sizes that occur, the one is taken for which
    the share of ``|move| <= threshold`` comes nearest to ``flat_share`` (the smaller of two equally
    near). Without ties that is the plain quantile; with moves of one size only it is 0, where the
    plain quantile would call all of them flat.

    Args:
        move_ticks_train: ``(N,)`` moves of the *training* decisions; NaN (unknown) is left out.
        flat_share: wanted share of flat labels, from 0 to below 1.

    Raises:
        LabelError: ``flat_share`` out of range, or no known move.

    >>> fit_threshold(np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 2.0]), flat_share=0.5)
    0.5
    """
    if not 0 <= flat_share < 1:
        raise LabelError(f"flat_share={flat_share}: needs a share from 0 to below 1, e.g. 0.33")
    size = move_ticks_train[np.isfinite(move_ticks_train)]
    if size.size == 0:
        raise LabelError(
            f"got {move_ticks_train.size} training moves, none of them known; needs at least one; "
            "shorten the horizon or load more rows"
        )
    np.abs(size, out=size)
    size.sort()
    # The last of each run of equal sizes; its place tells how many are not greater.
    last = np.append(np.flatnonzero(size[1:] != size[:-1]), size.size - 1)
    candidates, share = size[last], (last + 1) / size.size
    if candidates[0] > 0:
        candidates, share = np.append(0.0, candidates), np.append(0.0, share)
    return float(candidates[np.argmin(np.abs(share - flat_share))])


def classify(move_ticks: FloatArray, *, threshold_ticks: float) -> IntArray:
    """Class of each move: up if ``> threshold``, down if ``< -threshold``, flat else, -1 for NaN.

    Args:
        move_ticks: ``(D,)`` moves in ticks; NaN is unknown.
        threshold_ticks: half-width of flat in ticks, at least 0, fitted on training moves only.

    Raises:
        LabelError: a threshold that is negative or not finite.

    >>> classify(np.array([-2.0, 1.0, 1.5, np.nan]), threshold_ticks=1.0).tolist()
    [0, 1, 2, -1]
    """
    if not (np.isfinite(threshold_ticks) and threshold_ticks >= 0):
        raise LabelError(f"threshold_ticks={threshold_ticks}: needs a finite number of ticks >= 0")
    label = empty_beside(move_ticks, move_ticks.shape, np.int64)
    for part in blocks(len(move_ticks)):
        move, of_move = move_ticks[part], label[part]
        of_move.fill(FLAT)
        of_move[move > threshold_ticks] = UP
        of_move[move < -threshold_ticks] = DOWN
        of_move[np.isnan(move)] = UNKNOWN
    return label
