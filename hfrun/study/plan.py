"""The trials of a study, listed once; what a later phase tries follows from the earlier results.

    explore   0 ... n-1     a quasi-random design, every value known beforehand
    exploit   n ...         the best guess of a Gaussian process, when all of exploration has ended
    finalist  ...           the best so far, trained for longer, with every seed

Workers only pull from this list, so it has as many trials as the budget says however many workers
there are and whenever one is killed.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hfrun.study.design import design
from hfrun.study.exploit import SpaceExhaustedError, propose
from hfrun.study.space import Space, canonical
from hfrun.study.study_data import Phase, StudyTrial
from hfrun.study_config import StudyConfig

PHASES: tuple[Phase, ...] = ("explore", "exploit", "finalist")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A trial before it is run.

    Args:
        phase: which.
        index: its place within the phase, from 0.
        seed: of its run.
        values: those that are known already: of exploration all, of exploitation the scientific.
    """

    phase: Phase
    index: int
    seed: int
    values: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan_of(study: StudyConfig, space: Space) -> list[Planned]:
    """Every trial of the budget, in the order in which they are to be run."""
    budget, cells = study.budget, space.cells()
    points = design(space, trials=budget.trials, kind=study.design, seed=study.design_seed)
    explored = [(values, study.seeds[0]) for values in points]
    exploited = [(cells[i % len(cells)], study.seeds[0]) for i in range(budget.exploit)]
    finalists = [({}, seed) for _ in range(budget.finalists) for seed in study.seeds]
    phases: list[list[tuple[dict[str, Any], int]]] = [explored, exploited, finalists]
    return [
        Planned(phase=phase, index=index, seed=seed, values=values)
        for phase, entries in zip(PHASES, phases, strict=True)
        for index, (values, seed) in enumerate(entries)
    ]


def may_begin(planned: Planned, trials: Sequence[StudyTrial]) -> bool:
    """Whether every trial of the phases before has ended."""
    before = PHASES[: PHASES.index(planned.phase)]
    return all(trial.has_ended for trial in trials if trial.phase in before)


def values_for(
    planned: Planned,
    space: Space,
    trials: Sequence[StudyTrial],
    *,
    seeds: int,
    higher_is_better: bool,
    seed: int,
) -> dict[str, Any] | None:
    """The values of a trial that is about to begin.

    Args:
        planned: which.
        space: of the study.
        trials: all of the study, as they are now.
        seeds: of a finalist.
        higher_is_better: whether more of the score is better.
        seed: of the study's design.

    Returns:
        None where there is nothing for it: fewer feasible trials than finalists, or a space whose
        every point has been tried.
    """
    if planned.phase == "explore":
        return dict(planned.values)
    if planned.phase == "exploit":
        results = [
            {
                "values": dict(trial.values),
                "score": trial.score,
                "status": trial.status,
                "constraints": [each["violation"] for each in trial.constraints],
            }
            for trial in trials
            if trial.phase != "finalist" and trial.status != "waiting"
        ]
        try:
            return propose(
                space,
                planned.values,
                results,
                higher_is_better=higher_is_better,
                seed=seed + 1 + planned.index,
            )
        except SpaceExhaustedError:
            return None
    return _of_finalist(planned.index, trials, seeds=seeds, higher_is_better=higher_is_better)


def _of_finalist(
    index: int, trials: Sequence[StudyTrial], *, seeds: int, higher_is_better: bool
) -> dict[str, Any] | None:
    """Those of the same finalist with another seed, or else the best that no finalist has.

    A larger budget may have found a better trial since the first finalists began.
    """
    own = index // seeds
    finalists = sorted(
        (trial for trial in trials if trial.phase == "finalist"), key=lambda trial: trial.number
    )
    groups = [finalists[first : first + seeds] for first in range(0, len(finalists), seeds)]
    held = [next((trial.values for trial in group if trial.values), None) for group in groups]
    if own < len(held) and held[own] is not None:
        return dict(held[own] or {})
    taken = {canonical(values) for values in held if values is not None}
    ranked = [
        trial
        for trial in best_first(trials, higher_is_better=higher_is_better)
        if canonical(trial.values) not in taken
    ]
    rank = own - sum(
        values is not None or all(trial.has_ended for trial in group)
        for group, values in zip(groups[:own], held, strict=False)
    )
    return dict(ranked[rank].values) if rank < len(ranked) else None


def best_first(trials: Sequence[StudyTrial], *, higher_is_better: bool) -> list[StudyTrial]:
    """The feasible short trials by their score; of equal ones the earlier first."""
    sign = -1.0 if higher_is_better else 1.0
    feasible = [trial for trial in trials if trial.phase != "finalist" and trial.is_feasible]
    return sorted(feasible, key=lambda trial: (sign * (trial.score or 0.0), trial.number))


def stretched(raw: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A config with its training that many times as long: the peak rate kept, the schedule drawn
    out, warm-up and steps of the schedule with it.
    """
    config = copy.deepcopy(dict(raw))
    training = config.setdefault("training", {})
    training["num_train_epochs"] = _times(training.get("num_train_epochs", 3.0), factor)
    steps = training.get("max_steps")
    if steps is not None and steps > 0:
        training["max_steps"] = round(steps * factor)
    warmup = training.get("warmup_steps")
    if warmup is not None and warmup >= 1:  # below 1 it is a share already
        training["warmup_steps"] = round(warmup * factor)
    schedule = training.get("schedule")
    if isinstance(schedule, dict) and (schedule.get("step_every") or 0) >= 1:
        schedule["step_every"] = round(schedule["step_every"] * factor)
    for name in ("dropout_schedule", "weight_decay_schedule"):
        _stretch_points((config.get("callbacks") or {}).get(name), factor)
    return config


def _times(value: Any, factor: float) -> int | float:
    """Whole where it can be: epochs are counted."""
    product = float(value) * factor
    return int(product) if product == int(product) else product


def _stretch_points(schedule: Any, factor: float) -> None:
    if isinstance(schedule, dict) and isinstance(schedule.get("points"), dict):
        schedule["points"] = {
            _times(place, factor): value for place, value in schedule["points"].items()
        }
