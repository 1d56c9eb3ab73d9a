"""A study as workers, its command and its report see it: the config, the space, and the trials."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from hfrun.config import AnyRunConfig, HfrunConfig, config_from
from hfrun.study.grid import cell_label, trial_config
from hfrun.study.plan import PHASES, plan_of
from hfrun.study.score import Score, score_of
from hfrun.study.space import Space
from hfrun.study.storage import Store, open_store
from hfrun.study.study_data import Status, StudyData, StudyTrial
from hfrun.study.trials import trial_identity
from hfrun.study_config import StudyConfig
from lob_backtest.errors import ConfigError

_STATUSES: dict[TrialState, Status] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedStudy:
    """A study and its store.

    Args:
        raw: the config as read, with the study's fixed values put in.
        config: the same, checked.
        space: what is varied.
        score: by what trials are compared.
        store: of the trials.
    """

    raw: Mapping[str, Any]
    config: AnyRunConfig
    space: Space
    score: Score
    store: Store

    @property
    def study(self) -> StudyConfig:
        assert self.config.study is not None
        return self.config.study

    @property
    def folder(self) -> Path:
        return Path(self.config.run.output_dir)

    def trial_folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:03d}"

    def label(self, values: Mapping[str, Any]) -> str:
        """Values in words."""
        return cell_label(values) or "the config as it is"

    def is_over(self) -> bool:
        """Whether nothing is left to do: all have ended, or time is over and nobody works."""
        states = [trial.state for trial in self.store.trials()]
        if self.is_out_of_time():
            return TrialState.RUNNING not in states
        return all(state.is_finished() for state in states)

    def is_out_of_time(self) -> bool:
        """Whether the study's hours have passed since it was made."""
        hours = self.study.budget.hours
        return hours is not None and time.time() > self.store.created_at + 3600 * hours

    @staticmethod
    def order(trial: FrozenTrial) -> tuple[int, int]:
        """In which waiting trials begin: phase by phase, also those that a larger budget added."""
        plan = trial.user_attrs["plan"]
        return PHASES.index(plan["phase"]), plan["index"]

    def trials_of(self, trials: Sequence[FrozenTrial]) -> list[StudyTrial]:
        """The trials as data."""
        return [self._trial(trial) for trial in trials]

    def data(self) -> StudyData:
        """The study as it is now."""
        study = self.study
        return StudyData(
            name=self.config.run.name,
            question=study.question,
            metric=self.score.metric,
            higher_is_better=self.score.higher_is_better,
            scientific=study.scientific,
            nuisance={key: asdict(each) for key, each in study.parameters.items()},
            fixed=study.fixed,
            budget={**asdict(study.budget), "seeds": study.seeds, "design": study.design},
            trials=tuple(self.trials_of(self.store.trials())),
        )

    def _trial(self, trial: FrozenTrial) -> StudyTrial:
        plan, held = trial.user_attrs["plan"], trial.user_attrs.get("result") or {}
        status = _STATUSES[trial.state]
        if trial.state.is_finished() and held:
            status = held["status"]
        folds = [self.score.value(fold) for fold in held.get("folds", [])]
        return StudyTrial(
            number=trial.number,
            phase=plan["phase"],
            status=status,
            values=trial.user_attrs.get("values") or plan["values"],
            seed=plan["seed"],
            score=self.score.value(held.get("validation", {})),
            constraints=tuple(trial.user_attrs.get("judged", ())),
            folder=os.path.relpath(self.trial_folder(trial.number), self.folder),
            curve=tuple(held.get("curve", ())),
            seconds=held.get("seconds"),
            validation=held.get("validation", {}),
            test=held.get("test", {}),
            folds=tuple(each for each in folds if each is not None),
            stopped_by=held.get("stopped_by"),
            error=trial.user_attrs.get("error") or held.get("error"),
        )


def open_study(raw: Mapping[str, Any], *, source: str) -> OpenedStudy:
    """Open a config's study, and make it with all its trials if it is not there yet.

    Args:
        raw: the config as read.
        source: named in messages.

    Raises:
        ConfigError: no study in the config, or values that no run would accept.
        HfrunError: the folder or database holds another study.
    """
    config = config_from(dict(raw), source=source)
    study = _checked(config, source)
    space = Space.of(study)
    fixed = {**trial_config(raw, space.fixed, seed=0, name="", folder=""), "study": raw["study"]}
    fixed["run"] = dict(raw.get("run") or {})
    config = config_from(fixed, source=source)
    plan = plan_of(study, space)
    for number, planned in enumerate(each for each in plan if each.phase == "explore"):
        told = f"{source}, trial {number} ({cell_label(planned.values)})"
        config_from(
            trial_config(fixed, planned.values, seed=0, name="trial", folder="trial"), source=told
        )
    score = score_of(config)
    store = open_store(
        study.storage,
        Path(config.run.output_dir) / "study",
        name=config.run.name,
        identity=_identity(fixed, study),
        higher_is_better=score.higher_is_better,
        plan=plan,
    )
    return OpenedStudy(raw=fixed, config=config, space=space, score=score, store=store)


def _checked(config: AnyRunConfig, source: str) -> StudyConfig:
    study = config.study
    if study is None or not (study.scientific or study.nuisance):
        raise ConfigError(
            f"{source}: no study.scientific and no study.nuisance; a study needs what it is to "
            "find out, e.g. study: {question: does dropout pay?, scientific: "
            "{model.config.dropout: [0.0, 0.3]}, nuisance: {training.learning_rate: "
            "{low: 1.0e-5, high: 1.0e-2, log: true}}}"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("a study's workers are processes of its own: start it without torchrun")
    if study.folds and not (isinstance(config, HfrunConfig) and config.walk_forward is not None):
        raise ConfigError(
            f"{source}: study.folds: true needs a walk_forward section, of a run over a book"
        )
    seeds = study.seeds
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"study.seeds={seeds}: a seed is there twice; it would count twice")
    return study


def _identity(raw: Mapping[str, Any], study: StudyConfig) -> dict[str, Any]:
    """What the trials depend on; the budget may grow, and workers and storage do not matter."""
    asked = asdict(study)
    for name in ("budget", "workers", "storage", "adoption", "question", "grid"):
        del asked[name]
    run = {**(raw.get("run") or {}), "seed": 0}
    stretch = study.budget.stretch if study.budget.finalists else None
    return {"config": trial_identity({**raw, "run": run}), "study": asked, "stretch": stretch}
