"""What is left of a result when its timing is destroyed: shuffling within blocks.

    decisions   | a b c d e f | g h i j k l |        blocks: much longer than a label
    labels      | d a f c b e | k g j l i h |        the same ones in each block, at random

A model that tells moves apart loses everything by it. What survives never came from timing: class
shares that drift, a side that was simply held while the market rose, rows that do not belong
together. A result that passes its gates and survives fails the report; one that passes none has
nothing to lose.
"""

import math
from collections.abc import Sequence

import numpy as np

from lob_backtest.alarms.alarm import Alarm, Evidence
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import N_CLASSES, f1_weighted

_LABELS_PER_BLOCK = 50  # independent ones: long against a label, short against a fold
_MOST_CELLS = 20_000_000  # decisions times shuffles
MOST_SURVIVING = 0.5


def shuffled_labels(
    model: Evidence,
    baseline: Evidence | None,
    *,
    limit: float,
    passes: bool,
    rng: np.random.Generator,
) -> Alarm:
    """Raised where a result passes though the lift that shuffling destroys is below the limit.

    Args:
        model, baseline: on the same decisions; without a baseline it is not tried.
        limit: of the ``f1_lift`` gate.
        passes: whether the result passes its gates.
        rng: randomness.
    """
    if baseline is None:
        return Alarm(name="shuffled_labels", raised=None, value=None, limit=limit,
                     reason="not tried: no baseline was scored")  # fmt: skip
    own = _lift(model, baseline, model.label)
    shuffles = [
        _lift(model, baseline, model.label[order])
        for order in _orders(model, rng=rng, n=_n_shuffles(model.n))
    ]
    typical = float(np.median(shuffles))
    chance = float((1 + np.sum(np.asarray(shuffles) >= own)) / (1 + len(shuffles)))
    return Alarm(
        name="shuffled_labels",
        raised=passes and own - typical < limit,
        value=own - typical,
        limit=limit,
        reason=f"lift of weighted F1 {own:+.4f}, with the labels shuffled within blocks "
        f"{typical:+.4f} ({len(shuffles)} shuffles, {chance:.1%} of them as good)",
    )


def shuffled_sides(model: Evidence, *, passes: bool, rng: np.random.Generator) -> Alarm:
    """Raised where a result passes though half of what its sides caught is caught without timing.

    Args:
        model: the judged one.
        passes: whether the result passes its gates.
        rng: randomness.
    """
    name = "shuffled_sides"
    own = float((model.side * model.move_ticks).sum())
    if own <= 0:
        return Alarm(name=name, raised=None, value=None, limit=MOST_SURVIVING,
                     reason="not tried: the model's sides caught nothing")  # fmt: skip
    caught = [
        float((model.side[order] * model.move_ticks).sum())
        for order in _orders(model, rng=rng, n=_n_shuffles(model.n))
    ]
    surviving = float(np.mean(caught)) / own
    return Alarm(
        name=name,
        raised=passes and surviving >= MOST_SURVIVING,
        value=surviving,
        limit=MOST_SURVIVING,
        reason=f"of what the model's sides caught, {surviving:.0%} is caught as well by sides "
        "shuffled within blocks",
    )


def _lift(model: Evidence, baseline: Evidence, label: IntArray) -> float:
    """Mean lift of weighted F1 over the folds, by their decisions."""
    return _f1(label, model.said, model.fold) - _f1(label, baseline.said, model.fold)


def _f1(label: IntArray, said: IntArray, fold: IntArray) -> float:
    folds, which = np.unique(fold, return_inverse=True)
    cells = (which * N_CLASSES + label) * N_CLASSES + said
    counts = np.bincount(cells, minlength=folds.size * N_CLASSES**2)
    of_folds = counts.reshape(folds.size, N_CLASSES, N_CLASSES)
    scores: FloatArray = np.array([f1_weighted(fold_counts) for fold_counts in of_folds])
    return float(np.average(scores, weights=of_folds.sum(axis=(1, 2))))


def _orders(seen: Evidence, *, rng: np.random.Generator, n: int) -> Sequence[IntArray]:
    """``n`` permutations of the decisions that stay within the blocks."""
    starts = np.flatnonzero((np.diff(seen.fold, prepend=-1) != 0)
                            | (np.diff(seen.session, prepend=-1) != 0))  # fmt: skip
    lengths = np.diff(np.append(starts, seen.n))
    within = np.arange(seen.n) - np.repeat(starts, lengths)
    block = max(2, math.ceil(_LABELS_PER_BLOCK * seen.overlap))
    key = np.repeat(np.arange(starts.size), lengths) * (seen.n + 1) + within // block
    return [np.lexsort((rng.random(seen.n), key)).astype(np.int64) for _ in range(n)]


def _n_shuffles(n: int) -> int:
    return int(np.clip(_MOST_CELLS // max(n, 1), 20, 200))
