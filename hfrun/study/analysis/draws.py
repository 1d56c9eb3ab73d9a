"""The explored trials as draws: a table of nuisance points by scientific values.

              dropout 0   dropout 0.3   dropout 0.6
    point 1     0.61         0.63          0.62        the same rate and weight decay for all three
    point 2     0.55          -inf         0.57        diverged, or may not be chosen: wins nothing
    point 3     0.60                                   not in the budget any more, or failed

What was drawn at random are the points. The trials of one point are alike, so whatever is said of
luck is said by drawing points again, never single trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfrun.study.space import canonical
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.book import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """What trials won, of which more is better.

    Args:
        wins: ``(P, C)`` score of P nuisance points by C cells, negated where less is better; minus
            infinity for a trial that ended without a score or may not be chosen; NaN where there
            is none, or it failed: that is an error, and no draw.
    """

    wins: FloatArray

    def of(self, cell: int) -> FloatArray:
        """``(N,)`` the draws of a cell."""
        column = self.wins[:, cell]
        found: FloatArray = column[~np.isnan(column)]
        return found

    def shared(self, cell: int, other: int) -> FloatArray:
        """``(N, 2)`` those of two cells at the points that both have."""
        both = self.wins[:, [cell, other]]
        found: FloatArray = both[~np.isnan(both).any(axis=1)]
        return found

    def either(self, cell: int, other: int) -> FloatArray:
        """``(N, 2)`` those of two cells at the points that at least one has; NaN for the other."""
        both = self.wins[:, [cell, other]]
        found: FloatArray = both[~np.isnan(both).all(axis=1)]
        return found


def draws_of(
    data: StudyData, trials: Sequence[StudyTrial], cells: Sequence[Mapping[str, Any]]
) -> Draws:
    """The draws of some trials; one that is in none of the cells is left out."""
    held = [
        (place, trial)
        for trial in trials
        if (place := _cell_of(trial, cells)) is not None and trial.status != "failed"
    ]
    keys = _point_keys(data, held, cells[0])
    rows = {key: row for row, key in enumerate(dict.fromkeys(keys))}
    wins = np.full((len(rows), len(cells)), np.nan)
    sign = 1.0 if data.higher_is_better else -1.0
    for key, (place, trial) in zip(keys, held, strict=True):
        wins[rows[key], place] = sign * float(trial.score or 0.0) if trial.is_feasible else -np.inf
    return Draws(wins=wins)


def nuisance_points(data: StudyData, trials: Sequence[StudyTrial]) -> list[str]:
    """What tells each trial's nuisance point, the same for all scientific values at it.

    Of hyperparameters that are set at every point if there are any; the trial's own number where
    nothing is tuned.
    """
    always = [key for key, found in data.nuisance.items() if not found.get("when")]
    names = always or list(data.nuisance)
    if not names:
        return [str(trial.number) for trial in trials]
    return [_key(trial, names, with_seed=False) for trial in trials]


def _point_keys(
    data: StudyData, held: Sequence[tuple[int, StudyTrial]], cell: Mapping[str, Any]
) -> list[str]:
    """What tells each trial's point, so that no cell has one twice.

    By the hyperparameters that are set at every point if they suffice: which of the conditional
    ones are set may depend on the cell.
    """
    others = [key for key in data.scientific if key not in cell]
    always = others + [key for key, found in data.nuisance.items() if not found.get("when")]
    every = [*others, *data.nuisance]
    for names, with_seed in ((always, False), (every, False), (every, True)):
        keys = [_key(trial, names, with_seed=with_seed) for _, trial in held]
        in_cells = [(place, key) for (place, _), key in zip(held, keys, strict=True)]
        if len(set(in_cells)) == len(in_cells):
            return keys
    return [str(trial.number) for _, trial in held]


def _key(trial: StudyTrial, names: Sequence[str], *, with_seed: bool) -> str:
    chosen = {key: trial.values[key] for key in names if key in trial.values}
    return canonical([chosen, trial.seed if with_seed else None])


def _cell_of(trial: StudyTrial, cells: Sequence[Mapping[str, Any]]) -> int | None:
    for place, cell in enumerate(cells):
        if is_in(trial, cell):
            return place
    return None


def is_in(trial: StudyTrial, cell: Mapping[str, Any]) -> bool:
    """Whether a trial has a cell's scientific values."""
    return all(
        key in trial.values and canonical(trial.values[key]) == canonical(value)
        for key, value in cell.items()
    )
