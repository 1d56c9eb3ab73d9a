"""Which hyperparameters the score depended on, in the space that was explored.

A random forest learns the score from the values; each hyperparameter is then shuffled in turn
among the trials that a tree has not seen, and the share of the score's variance that this costs is
its importance. One that makes no difference comes out at about 0. How much the forest explains of
trials it has not seen says whether any of it means something.

References: Breiman (2001), Random Forests, Machine Learning 45(1).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfrun.study.analysis.axis import Axis
from hfrun.study.study_data import StudyData
from lob_backtest.book import FloatArray

TREES = 300
_LEAST = 8  # trials, fewer of which train no forest
_EXPLAINED = 0.1  # share of the variance, below which the forest knows nothing


def importance(data: StudyData, axes: Sequence[Axis], *, seed: int) -> dict[str, Any]:
    """An entry for each hyperparameter, the most important first; ``reason`` where there is none.

    Trials that diverged count as the worst score seen: that a rate is too high is part of what it
    does. Constraints play no part: they are not the score.
    """
    sign = 1.0 if data.higher_is_better else -1.0
    scored = [trial for trial in data.explored if trial.has_score]
    worst = min((sign * float(trial.score or 0.0) for trial in scored), default=0.0)
    used = [trial for trial in data.explored if trial.has_score or trial.status == "diverged"]
    target = np.array([sign * float(t.score or 0.0) if t.has_score else worst for t in used])
    varied = [axis for axis in axes if len({axis.place(t.values) for t in used}) > 1]
    none: dict[str, Any] = {"method": "random forest, permutation of unseen trials", "items": [],
                            "explained": None, "trials": len(used)}  # fmt: skip
    least = max(_LEAST, 2 * len(varied) + 2)
    if len(used) < least:
        return {**none, "reason": f"{len(used)} trials with a score: {least} are needed"}
    if np.ptp(target) <= 0 or not varied:
        return {**none, "reason": "all scores are the same, or nothing was varied"}
    columns, owners = _matrix(varied, [trial.values for trial in used])
    shares, spread, explained = _forest(columns, owners, target, len(varied), seed)
    items = [
        {"key": axis.key, "name": axis.name, "role": axis.role,
         "share": float(shares[index]), "sd": float(spread[index])}
        for index, axis in enumerate(varied)
    ]  # fmt: skip
    items.sort(key=lambda item: (-item["share"], item["key"]))
    reason = None
    if explained < _EXPLAINED:
        reason = (
            f"the values explain {max(explained, 0):.0%} of the score's variance on trials not "
            "seen: which of them matters cannot be told"
        )
    return {**none, "items": items, "explained": explained, "reason": reason}


def _matrix(axes: Sequence[Axis], values: Sequence[Any]) -> tuple[FloatArray, list[int]]:
    """``(N, M)`` columns and whose each is: ordered ones by place, others one a value.

    Where a conditional one is not set its column is -1, which a tree can split off.
    """
    columns: list[list[float]] = []
    owners: list[int] = []
    for index, axis in enumerate(axes):
        places = [axis.place(each) for each in values]
        if axis.is_ordered:
            columns.append([-1.0 if place is None else place for place in places])
            owners.append(index)
            continue
        found = [axis.coordinate(each) for each in values]
        for level in range(len(axis.values)):
            columns.append([float(at == level) for at in found])
            owners.append(index)
    return np.array(columns, dtype=float).T, owners


def _forest(
    columns: FloatArray, owners: Sequence[int], target: FloatArray, n_axes: int, seed: int
) -> tuple[FloatArray, FloatArray, float]:
    """Share of variance lost by shuffling each, its spread over the trees, and that explained."""
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(seed)
    count = len(target)
    variance = float(target.var())
    told, votes = np.zeros(count), np.zeros(count)
    losses: list[FloatArray] = []
    for tree_seed in range(TREES):
        rows = rng.integers(0, count, size=count)
        unseen = np.setdiff1d(np.arange(count), rows)
        if unseen.size < 2:
            continue
        tree = DecisionTreeRegressor(max_features=0.7, min_samples_leaf=1, random_state=tree_seed)
        tree.fit(columns[rows], target[rows])
        predicted = tree.predict(columns[unseen])
        told[unseen] += predicted
        votes[unseen] += 1
        losses.append(
            _losses(tree, columns[unseen], target[unseen], predicted, owners, n_axes, rng)
        )
    held = np.array(losses) / variance
    seen = votes > 0
    missed = np.mean((told[seen] / votes[seen] - target[seen]) ** 2)
    error = held.std(axis=0, ddof=1) / np.sqrt(len(held)) if len(held) > 1 else held[0] * 0
    return held.mean(axis=0), error, float(1 - missed / variance)


def _losses(
    tree: Any, columns: FloatArray, target: FloatArray, predicted: FloatArray,
    owners: Sequence[int], n_axes: int, rng: np.random.Generator,
) -> FloatArray:  # fmt: skip
    """What a tree's error grows by where one hyperparameter's values are shuffled."""
    base = np.mean((predicted - target) ** 2)
    found = np.zeros(n_axes)
    for index in range(n_axes):
        mixed = columns.copy()
        mine = [place for place, owner in enumerate(owners) if owner == index]
        mixed[:, mine] = columns[rng.permutation(len(columns))][:, mine]
        found[index] = np.mean((tree.predict(mixed) - target) ** 2) - base
    return found
