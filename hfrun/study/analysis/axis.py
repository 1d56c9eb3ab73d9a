"""The hyperparameters of a study as axes, and where on them each trial lies.

    log range    1e-5 |----x---------| 1e-2    place = log(x / low) / log(high / low)
    range           0 |------x-------| 0.6     place = (x - low) / (high - low)
    values          a |      b       | c       place = index / (number - 1)

Listed numbers stand from low to high, anything else as it is listed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hfrun.study.grid import cell_label, key_label, value_label
from hfrun.study.space import as_meant, canonical
from hfrun.study.study_data import StudyData, StudyTrial


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One hyperparameter.

    Args:
        key: ``section.key`` of the config.
        name: its last word, or the whole key where two have the same.
        role: what part it plays.
        low, high: bounds of a range; None for listed values.
        log: whether the range is even in its logarithm.
        integer: whether only whole numbers are drawn.
        values: the listed ones, in order; empty for a range.
        conditions: in which trials it is set, as ``when`` of the study.
    """

    key: str
    name: str
    role: Literal["scientific", "nuisance"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    integer: bool = False
    values: tuple[Any, ...] = ()
    conditions: Mapping[str, Any]

    @property
    def is_range(self) -> bool:
        return not self.values

    @property
    def is_ordered(self) -> bool:
        """Whether more and less mean something on it."""
        return self.is_range or all(_is_number(value) for value in self.values)

    @property
    def labels(self) -> list[str]:
        return [value_label(value) for value in self.values]

    @property
    def bounds(self) -> tuple[float, float]:
        """Of a range, or the least and the greatest of ordered values."""
        low, high = (self.low, self.high)
        if not self.is_range:
            low, high = min(self.values), max(self.values)
        assert low is not None, self.key
        assert high is not None, self.key
        return float(low), float(high)

    def coordinate(self, values: Mapping[str, Any]) -> float | None:
        """Where a plot's axis has a trial: the number of a range, the index of a listed value."""
        if self.key not in values:
            return None
        value = values[self.key]
        if self.is_range:
            is_there = _is_number(value) and math.isfinite(value) and (value > 0 or not self.log)
            return float(value) if is_there else None
        told = [canonical(each) for each in self.values]
        return float(told.index(canonical(value))) if canonical(value) in told else None

    def place(self, values: Mapping[str, Any]) -> float | None:
        """From 0 to 1 on its own scale; None where it is not set."""
        at = self.coordinate(values)
        if at is None:
            return None
        if not self.is_range:
            return at / max(len(self.values) - 1, 1)
        low, high = self.bounds
        if self.log:
            return math.log(at / low) / math.log(high / low)
        return (at - low) / (high - low)


def axes_of(data: StudyData) -> list[Axis]:
    """The scientific hyperparameters, then the nuisance ones, each in the study's order."""
    keys = [*data.scientific, *data.nuisance]
    short = [key_label(key) for key in keys]
    names = {key: name if short.count(name) == 1 else key
             for key, name in zip(keys, short, strict=True)}  # fmt: skip
    found = [
        Axis(key=key, name=names[key], role="scientific", values=_meant(values), conditions={})
        for key, values in data.scientific.items()
    ]
    return found + [_nuisance(key, names[key], held) for key, held in data.nuisance.items()]


def _nuisance(key: str, name: str, held: Mapping[str, Any]) -> Axis:
    return Axis(
        key=key,
        name=name,
        role="nuisance",
        low=held.get("low"),
        high=held.get("high"),
        log=bool(held.get("log")),
        integer=bool(held.get("integer")),
        values=_in_order(_meant(held.get("values") or ())),
        conditions=held.get("when") or {},
    )


def axis_plots(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """For each hyperparameter the explored trials as points; one that is not set is left out."""
    return [
        {
            "key": axis.key,
            "name": axis.name,
            "role": axis.role,
            "kind": "range" if axis.is_range else "choice",
            "is_ordered": axis.is_ordered,
            "log": axis.log,
            "low": axis.low,
            "high": axis.high,
            "labels": axis.labels,
            "conditions": dict(axis.conditions),
            "not_set": sum(axis.coordinate(trial.values) is None for trial in data.explored),
            "points": [
                _point(trial, at)
                for trial in data.explored
                if (at := axis.coordinate(trial.values)) is not None
            ],
        }
        for axis in axes
    ]


def parallel(data: StudyData, axes: Sequence[Axis]) -> dict[str, Any]:
    """Parallel coordinates: every explored trial as a line through its places on all axes."""
    ranked = ranks(data)
    return {
        "axes": [
            {"key": axis.key, "name": axis.name, "log": axis.log, "labels": axis.labels,
             "low": axis.low, "high": axis.high} for axis in axes
        ],
        "lines": [
            {"trial": trial.number, "status": outcome_of(trial),
             "score": trial.score if trial.has_score else None,
             "rank": ranked.get(trial.number),
             "places": [_inside(axis.place(trial.values)) for axis in axes]}
            for trial in data.explored
        ],
    }  # fmt: skip


def ranks(data: StudyData) -> dict[int, int]:
    """The place of each feasible explored trial, 1 for the best; of equal ones the lower number."""
    order = by_score([trial for trial in data.explored if trial.is_feasible], data)
    return {trial.number: place for place, trial in enumerate(order, start=1)}


def by_score(trials: Sequence[StudyTrial], data: StudyData) -> list[StudyTrial]:
    """The best first; all of them have a score."""
    sign = -1.0 if data.higher_is_better else 1.0
    return sorted(trials, key=lambda trial: (sign * float(trial.score or 0.0), trial.number))


def outcome_of(trial: StudyTrial) -> str:
    """The status, or "infeasible" for one that is done and may not be chosen."""
    return "infeasible" if trial.status == "done" and not trial.is_feasible else trial.status


def trial_label(trial: StudyTrial, axes: Sequence[Axis]) -> str:
    """What a trial set, in words, the axes in their order."""
    told = {axis.key: trial.values[axis.key] for axis in axes if axis.key in trial.values}
    return cell_label(told) or "the config as it is"


def _inside(place: float | None) -> float | None:
    """A value from before a range was narrowed stands at its bound."""
    return None if place is None else min(max(place, 0.0), 1.0)


def _point(trial: StudyTrial, at: float) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "x": at,
        "score": trial.score if trial.has_score else None,
        "status": outcome_of(trial),
        "phase": trial.phase,
    }


def _meant(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(as_meant(value) for value in values)


def _in_order(values: Sequence[Any]) -> tuple[Any, ...]:
    """Numbers from low to high, anything else as it was listed."""
    return tuple(sorted(values) if all(_is_number(value) for value in values) else values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
