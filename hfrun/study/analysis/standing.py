"""Where a study stands: how its trials ended, what they cost, the best, the table, what is left."""

from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Any

from hfrun.study.analysis.axis import Axis, by_score, outcome_of, ranks, trial_label
from hfrun.study.grid import value_label
from hfrun.study.space import canonical
from hfrun.study.study_data import STATUSES, StudyData, StudyTrial


def counts(data: StudyData) -> dict[str, Any]:
    """Trials by how they ended, of all phases; and those that may be chosen among the done."""
    statuses = [trial.status for trial in data.trials]
    return {
        "total": len(statuses),
        **{name: statuses.count(name) for name in STATUSES},
        "feasible": sum(trial.is_feasible for trial in data.trials),
        "infeasible": sum(outcome_of(trial) == "infeasible" for trial in data.trials),
        "phases": {
            phase: sum(trial.phase == phase for trial in data.trials)
            for phase in ("explore", "exploit", "finalist")
        },
    }


def cost(data: StudyData) -> dict[str, Any]:
    """Seconds of training, of the trials whose time is known."""
    timed = [(trial, float(trial.seconds)) for trial in data.trials if trial.seconds is not None]
    seconds = [value for _, value in timed]
    lost = [value for trial, value in timed if not trial.is_feasible and trial.has_ended]
    return {
        "trials": len(timed),
        "seconds": sum(seconds),
        "median_seconds": median(seconds) if seconds else None,
        "seconds_without_result": sum(lost),
    }


def best_of(data: StudyData, axes: Sequence[Axis]) -> dict[str, Any] | None:
    """What the study would choose: its best finalist by the mean over seeds, else its best trial.

    ``score`` of a best among many is flattered by having been chosen.
    """
    finals = [each for each in finalists(data, axes) if each["mean"] is not None]
    explored = by_score([trial for trial in data.explored if trial.is_feasible], data)
    if not finals and not explored:
        return None
    number = finals[0]["trials"][0] if finals else explored[0].number
    trial = next(each for each in data.trials if each.number == number)
    return {
        "trial": number,
        "phase": trial.phase,
        "label": trial_label(trial, axes),
        "values": dict(trial.values),
        "score": finals[0]["mean"] if finals else trial.score,
        "sd": finals[0]["sd"] if finals else None,
        "seeds": len(finals[0]["scores"]) if finals else 1,
        "chosen_of": len(finals) if finals else len(explored),
        "folder": trial.folder,
        "test": dict(trial.test),
    }


def finalists(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """The values that were trained again, with mean and spread over seeds; the best first.

    Those for which every seed may be chosen come before those that lack one.
    """
    groups: dict[str, list[StudyTrial]] = {}
    for trial in data.finalists:
        groups.setdefault(canonical(dict(trial.values)), []).append(trial)
    held = []
    for trials in groups.values():
        scores = [float(trial.score or 0.0) for trial in trials if trial.is_feasible]
        lacking = len(trials) - len(scores)
        mean = fmean(scores) if scores else None
        sign = -1.0 if data.higher_is_better else 1.0
        told = {
            "label": trial_label(trials[0], axes),
            "values": dict(trials[0].values),
            "trials": [trial.number for trial in trials],
            "seeds": [trial.seed for trial in trials],
            "scores": scores,
            "lacking": lacking,
            "mean": mean,
            "sd": stdev(scores) if len(scores) > 1 else None,
        }
        held.append(((mean is None, lacking > 0, sign * (mean or 0.0), trials[0].number), told))
    return [told for _, told in sorted(held, key=lambda each: each[0])]


def table(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """A row for each trial: the finalists, then the best first, then those without a score."""
    ranked = ranks(data)
    sign = -1.0 if data.higher_is_better else 1.0

    def order(trial: StudyTrial) -> tuple[Any, ...]:
        score = sign * float(trial.score or 0.0) if trial.has_score else 0.0
        return (trial.phase != "finalist", not trial.is_feasible, not trial.has_score, score,
                (*STATUSES,).index(trial.status), trial.number)  # fmt: skip

    return [_row(trial, axes, ranked) for trial in sorted(data.trials, key=order)]


def _row(trial: StudyTrial, axes: Sequence[Axis], ranked: dict[int, int]) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "phase": trial.phase,
        "status": outcome_of(trial),
        "rank": ranked.get(trial.number),
        "score": trial.score if trial.has_score else None,
        "label": trial_label(trial, axes),
        "values": dict(trial.values),
        "shown": {axis.key: value_label(trial.values[axis.key]) if axis.key in trial.values
                  else None for axis in axes},
        "constraints": [dict(constraint) for constraint in trial.constraints],
        "seed": trial.seed,
        "epoch": trial.validation.get("epoch"),
        "epochs": trial.validation.get("epochs_trained"),
        "seconds": trial.seconds,
        "folds": list(trial.folds),
        "test": dict(trial.test),
        "folder": trial.folder,
        "stopped_by": trial.stopped_by,
        "error": trial.error,
    }  # fmt: skip


def not_run(data: StudyData) -> dict[str, Any]:
    """What of the budget is still to come, or never came: counts and a sentence for each."""
    phases: list[str] = [trial.phase for trial in data.trials]
    planned = {"explore": data.budget.get("trials"), "exploit": data.budget.get("exploit")}
    missing = {
        phase: max(int(number) - phases.count(phase), 0)
        for phase, number in planned.items()
        if number is not None and phase in ("explore", "exploit")
    }
    waiting = [trial.number for trial in data.trials if trial.status == "waiting"]
    running = [trial.number for trial in data.trials if trial.status == "running"]
    wanted = int(data.budget.get("finalists") or 0)
    finals = len({canonical(dict(trial.values)) for trial in data.trials
                  if trial.phase == "finalist"})  # fmt: skip
    missing["finalist"] = max(wanted - finals, 0)
    return {
        "waiting": sorted(waiting),
        "running": sorted(running),
        "missing": missing,
        "is_complete": not waiting and not running and not any(missing.values()),
    }
