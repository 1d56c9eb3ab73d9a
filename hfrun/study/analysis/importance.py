"""Which hyperparameters the score depended on, in the space that was explored.

Random forests learn the score from the values; then each hyperparameter is shuffled in turn among
the trials that a tree has not seen. Half of what this adds to the squared error, as a share of the
score's variance, is its importance: for a forest that knew the score, Sobol's total effect. Other
forests learn scores that were shuffled among the trials: what hyperparameters reach there is what
chance gives, and an importance below it means nothing.

A tree sees all trials of a nuisance point or none. Seeing one of them it would know the others,
and any hyperparameter that tells the points apart would look important.

References: Breiman (2001), Random Forests, Machine Learning 45(1). Jansen (1999), Analysis of
variance designs for model output, Computer Physics Communications 117. Altmann et al. (2010),
Permutation importance: a corrected feature importance measure, Bioinformatics 26(10).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfrun.study.analysis.axis import Axis
from hfrun.study.analysis.draws import nuisance_points
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.book import FloatArray, IntArray

FORESTS, TREES = 8, 16
_LEAST = 6  # nuisance points, fewer of which train no forest
_EXPLAINED = 0.1  # share of the variance, below which the forests know nothing


def importance(data: StudyData, axes: Sequence[Axis], *, seed: int) -> dict[str, Any]:
    """An item for each hyperparameter that varied, the most important first.

    Trials that diverged count as the worst score seen: that a rate is too high is part of what it
    does. Constraints play no part, they are not the score.

    Returns:
        ``items`` with ``share``, ``sd`` over the forests, ``is_clear`` (above ``chance``);
        ``explained`` of the variance of unseen trials; ``reason`` where nothing can be told.
    """
    sign = 1.0 if data.higher_is_better else -1.0
    used = [trial for trial in data.explored if trial.has_score or trial.status == "diverged"]
    scores = [sign * float(trial.score or 0.0) for trial in used if trial.has_score]
    target = np.array([
        sign * float(trial.score or 0.0) if trial.has_score else min(scores, default=0.0)
        for trial in used
    ])  # fmt: skip
    varied = [axis for axis in axes if len({axis.place(trial.values) for trial in used}) > 1]
    names = nuisance_points(data, used)
    points = np.array([names.index(name) for name in names], dtype=np.int64)
    number = len(set(points.tolist()))
    none: dict[str, Any] = {"method": "random forests, half the growth of the squared error",
                            "items": [], "explained": None, "chance": None, "trials": len(used),
                            "points": number, "reason": None}  # fmt: skip
    least = max(_LEAST, len(varied) + 2)
    if number < least:
        return {**none, "reason": f"{number} nuisance points: {least} are needed"}
    if not varied or np.ptp(target) <= 1e-12 * np.abs(target).max():
        return {**none, "reason": "all scores are the same, or nothing was varied"}
    columns, owners = _matrix(varied, used)
    shares, explained, chance = _forests(columns, owners, target, points, seed)
    items = [
        {"key": axis.key, "name": axis.name, "role": axis.role,
         "share": float(shares[:, place].mean()), "sd": float(shares[:, place].std(ddof=1)),
         "is_clear": bool(explained >= _EXPLAINED and shares[:, place].mean() > chance)}
        for place, axis in sorted(enumerate(varied), key=lambda each: -shares[:, each[0]].mean())
    ]  # fmt: skip
    reason = None
    if explained < _EXPLAINED:
        reason = (
            f"the values explain {max(explained, 0):.0%} of the score's variance in trials not "
            "seen: which of them matters cannot be told"
        )
    return {**none, "items": items, "explained": explained, "chance": chance, "reason": reason}


def _matrix(axes: Sequence[Axis], trials: Sequence[StudyTrial]) -> tuple[FloatArray, IntArray]:
    """``(N, M)`` columns and whose each is: ordered ones by place, of others one for each value.

    Where a conditional one is not set its column is -1, which a tree can split off.
    """
    columns: list[list[float]] = []
    owners: list[int] = []
    for index, axis in enumerate(axes):
        if axis.is_ordered:
            places = [axis.place(trial.values) for trial in trials]
            columns.append([-1.0 if place is None else place for place in places])
            owners.append(index)
            continue
        found = [axis.coordinate(trial.values) for trial in trials]
        for level in range(len(axis.values)):
            columns.append([float(at == level) for at in found])
            owners.append(index)
    return np.array(columns, dtype=float).T, np.array(owners)


def _forests(
    columns: FloatArray, owners: IntArray, target: FloatArray, points: IntArray, seed: int
) -> tuple[FloatArray, float, float]:
    """``(FORESTS, M)`` shares, the share of the variance that is explained, and what is chance."""
    from sklearn import config_context

    rng = np.random.default_rng(seed)
    # checking what each tree is given would take half of the time
    with config_context(assume_finite=True, skip_parameter_validation=True):
        found = [_forest(columns, owners, target, points, rng) for _ in range(FORESTS)]
        by_luck = [
            _forest(columns, owners, rng.permutation(target), points, rng)[0]
            for _ in range(FORESTS)
        ]
    shares = np.array([growth for growth, _, _ in found]) / (2 * target.var())
    chance = float(np.quantile(by_luck, 0.95)) / (2 * float(target.var()))
    told = np.sum([told for _, told, _ in found], axis=0)
    votes = np.sum([votes for _, _, votes in found], axis=0)
    seen = votes > 0
    missed = np.mean((told[seen] / votes[seen] - target[seen]) ** 2)
    return shares, float(1 - missed / target[seen].var()), chance


def _forest(
    columns: FloatArray,
    owners: IntArray,
    target: FloatArray,
    points: IntArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``(M,)`` mean growth of the squared error, and ``(N,)`` sums of predictions and how many."""
    from sklearn.tree import DecisionTreeRegressor

    number = int(points.max()) + 1
    told, votes = np.zeros(len(target)), np.zeros(len(target))
    growth: list[FloatArray] = []
    while len(growth) < TREES:
        times = np.bincount(rng.integers(0, number, size=number), minlength=number)[points]
        unseen = np.flatnonzero(times == 0)
        if unseen.size < 2:
            continue
        tree = DecisionTreeRegressor(random_state=int(rng.integers(2**31)))
        tree.fit(columns, target, sample_weight=times)
        held = _growth(tree, columns[unseen], target[unseen], owners, rng)
        growth.append(held[0])
        told[unseen] += held[1]
        votes[unseen] += 1
    mean: FloatArray = np.mean(growth, axis=0)
    return mean, told, votes


def _growth(
    tree: Any, columns: FloatArray, target: FloatArray, owners: IntArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """What a tree's squared error grows by where each is shuffled, and its predictions."""
    number = int(owners.max()) + 1
    tables = np.tile(columns, (number + 1, 1, 1))
    for index in range(number):
        mine = owners == index
        tables[index][:, mine] = columns[rng.permutation(len(columns))][:, mine]
    predicted = tree.predict(tables.reshape(-1, columns.shape[1])).reshape(number + 1, -1)
    errors = ((predicted - target) ** 2).mean(axis=1)
    return errors[:-1] - errors[-1], predicted[-1]
