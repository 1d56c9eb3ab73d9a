"""A study as data: what was asked, what was varied, and how each trial ended.

    study folder  ─►  StudyData  ─►  analyse  ─►  report.html

The analysis and the page read this and nothing else, so a study of this machine, of many over
one database, and a saved one are judged alike. What a trial does not tell is None, never guessed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Phase = Literal["explore", "exploit", "finalist"]
Status = Literal["done", "failed", "diverged", "pruned", "running", "waiting"]

STATUSES: tuple[Status, ...] = ("done", "diverged", "pruned", "failed", "running", "waiting")
_ENDED = ("done", "failed", "diverged", "pruned")


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyTrial:
    """One training of a study.

    Args:
        number: its place among the study's trials, from 0.
        phase: which part of the budget it was of.
        status: how it ended, or that it has not.
        values: what the study set, by ``section.key``; a conditional one only where it was set.
        seed: of the run.
        score: the study's metric of the chosen checkpoint on the validation part; of a pruned
            trial that of the folds it came to, which is not comparable.
        constraints: for each ``{name, value, limit, direction, met}``.
        folder: of the run, relative to the study's.
        curve: an entry for each evaluation, from metrics.jsonl.
        seconds: of the training itself.
        validation: figures of the chosen checkpoint by their names in the log.
        test: ``{name: {value, low, high}}`` of the report, to be shown and never chosen by.
        folds: the score of each fold of a walk-forward.
        stopped_by: the stop rule that ended it.
        error: of a trial that did not get to its end.
    """

    number: int
    phase: Phase = "explore"
    status: Status
    values: Mapping[str, Any]
    seed: int = 0
    score: float | None = None
    constraints: tuple[Mapping[str, Any], ...] = ()
    folder: str = ""
    curve: tuple[Mapping[str, float | None], ...] = ()
    seconds: float | None = None
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[float, ...] = ()
    stopped_by: str | None = None
    error: str | None = None

    @property
    def has_score(self) -> bool:
        """Whether it was trained to its end and got a finite score."""
        return self.status == "done" and self.score is not None and math.isfinite(self.score)

    @property
    def is_feasible(self) -> bool:
        """Whether it may be chosen: done, with a score, and every constraint met."""
        return self.has_score and all(constraint.get("met") for constraint in self.constraints)

    @property
    def has_ended(self) -> bool:
        return self.status in _ENDED

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN: what is not finite becomes None."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "StudyTrial":
        """What ``as_dict`` gave; what a file holds beside it is left out."""
        held = {each.name: saved[each.name] for each in fields(cls) if each.name in saved}
        for name in ("constraints", "curve", "folds"):
            held[name] = tuple(held.get(name) or ())
        return cls(**held)


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyData:
    """A study with all its trials.

    Args:
        name: of the study.
        question: the one that it asks.
        metric: the validation figure by which trials are compared, by its name in the log.
        higher_is_better: whether more of it is better.
        scientific: the values of each hyperparameter that is the question.
        nuisance: how each that is tuned anew for every scientific value may vary: ``{low, high,
            log, integer, values, when}``.
        fixed: what was set for all trials.
        budget: ``{trials, exploit, finalists, stretch, hours}``.
        trials: those there are, also those that wait; in any order.
    """

    name: str
    question: str = ""
    metric: str
    higher_is_better: bool
    scientific: Mapping[str, list[Any]] = field(default_factory=dict)
    nuisance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[StudyTrial, ...] = ()

    @property
    def explored(self) -> tuple[StudyTrial, ...]:
        """The short trials that have ended, by number: the finalists are trained for longer."""
        found = [each for each in self.trials if each.phase != "finalist" and each.has_ended]
        return tuple(sorted(found, key=lambda trial: trial.number))

    @property
    def finalists(self) -> tuple[StudyTrial, ...]:
        """The long trials that have ended, by number."""
        found = [each for each in self.trials if each.phase == "finalist" and each.has_ended]
        return tuple(sorted(found, key=lambda trial: trial.number))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``from_dict`` reads it again."""
        held = {each.name: plain(getattr(self, each.name)) for each in fields(self)}
        return {**held, "trials": [trial.as_dict() for trial in self.trials]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "StudyData":
        """What ``as_dict`` gave; what a file holds beside it is left out."""
        trials = tuple(StudyTrial.from_dict(trial) for trial in saved.get("trials") or ())
        known = {each.name: saved[each.name] for each in fields(cls) if each.name in saved}
        return cls(**{**known, "trials": trials})


def plain(value: Any) -> Any:
    """As JSON can hold it: lists for tuples, Python's numbers, None for what is not finite."""
    if isinstance(value, StudyTrial):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
