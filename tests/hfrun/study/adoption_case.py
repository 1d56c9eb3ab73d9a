"""A study that has been run and its adoption, with scores by formula in place of trainings."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfrun.study.study_data import StudyData, StudyTrial
from hfrun.study.trials import Trial, TrialResult
from tests.hfrun.study.fake_runs import raw_in

DROPOUTS = [0.0, 0.3, 0.6]
NOISE = 0.01
# Of the mean difference of five pairs, which is the first look's.
STANDARD_ERROR = NOISE * math.sqrt(2 / 5)


def study_raw(folder: Path, **adoption: Any) -> dict[str, Any]:
    """The config of a study of dropout, whose own dropout is the default, 0.0."""
    raw = raw_in(
        folder,
        grid={},
        scientific={"model.config.classifier_dropout": DROPOUTS},
        nuisance={"training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}},
        adoption=adoption,
    )
    raw["study"]["seeds"] = [0]
    return raw


def trial_of(number: int, score: float | None, dropout: float, **more: Any) -> StudyTrial:
    """One that is done, if nothing else is said."""
    values = {"model.config.classifier_dropout": dropout, "training.learning_rate": 1e-3}
    return StudyTrial(
        **{"number": number, "status": "done", "values": values, "score": score, **more}
    )


def write_study(folder: Path, trials: Sequence[StudyTrial], *, higher: bool = True) -> StudyData:
    """Put a study of these trials into its folder, as one that was run leaves it."""
    data = StudyData(
        name="fake", question="Does it help?", metric="eval_accuracy" if higher else "eval_loss",
        higher_is_better=higher, trials=tuple(trials),
        scientific={"model.config.classifier_dropout": DROPOUTS},
        nuisance={"training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}},
        budget={"trials": len(trials), "exploit": 0, "finalists": 0, "stretch": 3.0},
    )  # fmt: skip
    (folder / "study").mkdir(parents=True, exist_ok=True)
    (folder / "study" / "study.json").write_text(json.dumps(data.as_dict()))
    return data


class Scores:
    """A training in no time: its score is one of a formula, by config, seed and arm.

    ``diverges`` and ``fails`` say of which (arm's folder name, seed) nothing comes.
    """

    def __init__(self, formula: Callable[[Mapping[str, Any], int, str], float]) -> None:
        self.formula = formula
        self.asked: list[tuple[str, int]] = []
        self.kinds: list[str] = []
        self.folds = 0
        self.diverges: Callable[[str, int], bool] = lambda arm, seed: False
        self.fails: Callable[[str, int], bool] = lambda arm, seed: False

    def __call__(self, raw: Mapping[str, Any], trial: Trial) -> TrialResult:
        arm = trial.folder.parent.name
        self.asked.append((arm, trial.seed))
        self.kinds.append(trial.kind)
        found: dict[str, Any] = {"number": trial.number, "values": trial.values,
                                 "seed": trial.seed, "folder": str(trial.folder)}  # fmt: skip
        if self.fails(arm, trial.seed):
            return TrialResult(**found, status="failed", error="the accelerator is on fire")
        if self.diverges(arm, trial.seed):
            return TrialResult(**found, status="diverged", error="the loss is nan")
        score = self.formula(raw, trial.seed, arm)
        figures = {"eval_accuracy": score, "eval_loss": 1 - score}
        folds = tuple(
            {"eval_accuracy": score + 0.01 * fold, "eval_loss": 1 - score}
            for fold in range(self.folds)
        )
        return TrialResult(**found, status="done", validation=figures, folds=folds)


def dropout_of(raw: Mapping[str, Any]) -> float:
    """What a config's dropout is."""
    return float((raw["model"].get("config") or {}).get("classifier_dropout") or 0.0)


def noisy(repetition: int, *, gain: float, seed_effect: float = 0.01) -> Callable[..., float]:
    """0.5, better by ``gain`` at a dropout of 0.3, and noise: of the seed, and of each training."""

    def score(raw: Mapping[str, Any], seed: int, arm: str) -> float:
        of_seed = np.random.default_rng([repetition, seed]).standard_normal()
        is_incumbent = arm.startswith("incumbent")
        of_run = np.random.default_rng([repetition, seed, is_incumbent]).standard_normal()
        better = gain if dropout_of(raw) == 0.3 else 0.0
        return float(0.5 + better + seed_effect * of_seed + NOISE * of_run)

    return score


def best_of_24(repetition: int, *, gain: float) -> list[StudyTrial]:
    """A study's trials with one seed: noise, and a gain for each with a dropout of 0.3."""
    luck = np.random.default_rng([repetition, 24]).standard_normal(24)
    trials = []
    for number in range(24):
        dropout = DROPOUTS[number % 3]
        score = 0.5 + (gain if dropout == 0.3 else 0.0) + NOISE * float(luck[number])
        rate = 10.0 ** (-5 + 3 * number / 24)
        values = {"model.config.classifier_dropout": dropout, "training.learning_rate": rate}
        trials.append(trial_of(number, score, dropout, values=values))
    return trials
