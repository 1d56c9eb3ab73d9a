"""Which trial of a study is to take the incumbent's place, and with which config.

    finalists, if there are any:  the values with the best mean score over the seeds
    else:                         the feasible trial with the best score

A trial's config is the one that its run was made with, so that what is adopted is what was tried.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import fmean
from typing import Any

from hfrun.config import AnyRunConfig, config_from, effective_sections
from hfrun.errors import HfrunError
from hfrun.study.grid import trial_config
from hfrun.study.plan import stretched
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.errors import ConfigError
from lob_backtest.files import read_json
from lob_backtest.strict_yaml import load_yaml, shown

# What a model does not depend on: of these a candidate keeps the incumbent's.
_BESIDE = ("run", "hub", "gates", "backtest", "study")


def read_study(folder: Path) -> StudyData:
    """The study in a folder, from study/study.json.

    Raises:
        ConfigError: there is none.
    """
    path = folder / "study" / "study.json"
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no study/study.json in it, so there is no candidate; run the study first: "
            "hfrun study run CONFIG"
        )
    try:
        held = read_json(path, error=HfrunError)
        known = {item.name for item in fields(StudyData)}  # its provenance stands beside them
        return StudyData.from_dict({name: held[name] for name in held if name in known})
    except (TypeError, KeyError, AttributeError) as error:
        raise HfrunError(f"{path}: no study: {error}; run hfrun study run CONFIG again") from error


def choose(data: StudyData, number: int | None) -> tuple[StudyTrial, ...]:
    """The candidate's trials: those with its values, of one phase; the first gives its number.

    Args:
        data: the study.
        number: of the trial that was asked for; None takes the best one.

    Raises:
        ConfigError: no such trial, or none that may be chosen.
    """
    groups = _groups(data)
    if number is None:
        best = _best(groups, data)
        if best is None:
            raise ConfigError(
                f"{data.name}: none of its {len(data.trials)} trials ended within all constraints; "
                "there is no candidate"
            )
        return best
    trial = next((each for each in data.trials if each.number == number), None)
    if trial is None:
        raise ConfigError(f"trial {number}: the study has none of this number; its trials are 0 to "
                          f"{max((each.number for each in data.trials), default=-1)}")  # fmt: skip
    if not trial.is_feasible:
        raise ConfigError(f"trial {number}: {_why_not(trial)}; choose another")
    return next(group for group in groups if trial in group)


def score_in(group: Sequence[StudyTrial]) -> float:
    """Mean score of a candidate's trials in the study: too good, as it was chosen by it."""
    return fmean(trial.score for trial in group if trial.score is not None)


def stretch_of(trial: StudyTrial, data: StudyData) -> float:
    """How many times as long as the config says a trial was trained."""
    return float(data.budget.get("stretch", 1.0)) if trial.phase == "finalist" else 1.0


def candidate_config(
    raw: Mapping[str, Any], data: StudyData, trial: StudyTrial, folder: Path
) -> dict[str, Any]:
    """The config that a trial was run with; name, folder, seed and hub are the caller's to set.

    Args:
        raw: the study's config, for what a model does not depend on, and for the whole of a trial
            whose folder is on another machine.
        data: the study.
        trial: which.
        folder: of the study.
    """
    path = folder / trial.folder / "config.yaml"
    if trial.folder and path.is_file():
        made = load_yaml(path)
    else:
        values = {**data.fixed, **trial.values}
        made = trial_config(raw, values, seed=0, name="", folder="")
        made = stretched(made, stretch_of(trial, data))
    kept = {name: part for name, part in made.items() if name not in _BESIDE}
    return {**kept, **{name: raw[name] for name in _BESIDE if name in raw}}


def plain_config(raw: Mapping[str, Any], *, source: str) -> AnyRunConfig:
    """The config of one run, without its study."""
    return config_from(trial_config(raw, {}, seed=0, name="run", folder="run"), source=source)


def changes(old: AnyRunConfig, new: AnyRunConfig) -> dict[str, dict[str, Any]]:
    """What makes another model: ``{section.key: {"from": ..., "to": ...}}``, defaults filled in."""
    before, after = _flat(old), _flat(new)
    return {
        key: {"from": before.get(key), "to": after.get(key)}
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def check_same_data(changed: Mapping[str, Any], data: StudyData, *, incumbent: str) -> None:
    """Refuse an incumbent that was trained or judged on other data than the study's trials.

    Raises:
        ConfigError: names the keys.
    """
    asked = {*data.scientific, *data.nuisance, *data.fixed}
    other = [key for key in changed
             if key.startswith(("data.", "walk_forward.")) and key not in asked]  # fmt: skip
    if other:
        told = "; ".join(f"{key}: {shown(changed[key]['from'])} and {shown(changed[key]['to'])}"
                         for key in other[:3])  # fmt: skip
        raise ConfigError(
            f"{incumbent}: its data or folds are not the study's ({told}); scores of other data do "
            "not pair; name an incumbent of the same data"
        )


def begun(data: StudyData) -> int:
    """How many trials were ever begun, of every phase and however they ended."""
    return sum(trial.status != "waiting" for trial in data.trials)


def _groups(data: StudyData) -> list[tuple[StudyTrial, ...]]:
    """Every short trial by itself, and the finalists with the same values, one a seed."""
    found: dict[str, list[StudyTrial]] = {}
    for trial in sorted(data.trials, key=lambda each: each.number):
        values = json.dumps(trial.values, sort_keys=True, default=str)
        told = values if trial.phase == "finalist" else str(trial.number)
        if trial.status != "waiting":
            found.setdefault(told, []).append(trial)
    return [tuple(group) for group in found.values()]


def _best(
    groups: Sequence[tuple[StudyTrial, ...]], data: StudyData
) -> tuple[StudyTrial, ...] | None:
    sign = 1.0 if data.higher_is_better else -1.0
    feasible = [group for group in groups if all(trial.is_feasible for trial in group)]
    finalists = [group for group in feasible if group[0].phase == "finalist"]
    return max(finalists or feasible, key=lambda group: sign * score_in(group), default=None)


def _why_not(trial: StudyTrial) -> str:
    if not trial.has_score:
        return f"is {trial.status}" + ("" if trial.error is None else f" ({trial.error})")
    unmet = [each for each in trial.constraints if not each.get("met")]
    told = [f"{each.get('name')} is {each.get('value')}, its limit {each.get('limit')}"
            for each in unmet]  # fmt: skip
    return f"does not meet its constraints ({'; '.join(told)})"


def _flat(config: AnyRunConfig) -> dict[str, Any]:
    return {
        key: value
        for name, section in effective_sections(config).items()
        if name not in _BESIDE
        for key, value in _leaves(section, name)
    }


def _leaves(value: Any, name: str) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [leaf for key, item in value.items() for leaf in _leaves(item, f"{name}.{key}")]
