"""A recorded training, judged again: which rule would have ended it when, and at what price.

    epochs    1    2    3    4    5    6    7    8
    score    .40  .43  .42  .44  .41  .45  .44  .43
                              |         |
              rules stop here ┘         └ best of the whole record
              chosen: 4 (.44)   epochs saved: 4   score lost: .01

The rules see one epoch after the other, as they do in a live run, and nothing of what comes later.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hfrun.diagnosis import diagnose
from hfrun.errors import HfrunError
from hfrun.fold_trainer import is_greater_better
from hfrun.record import Course, RunRecord
from hfrun.replay.gates import judge_course
from hfrun.replay.rules import ReplayRules
from hfrun.training.stop_rules import Fired, NonFinite, StopRules, stop_rules_from
from lob_backtest.files import plain_json

# Of a record that does not say by what it chose: the first of these that it has.
DEFAULT_SCORES = ("eval_f1_weighted", "eval_accuracy", "eval_loss")

Epoch = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """What the rules make of one training.

    Args:
        run: the run's name.
        course: "" for its one training, else such as "fold 0".
        score: the metric by which epochs are chosen; None where the record has none.
        epochs: how many the record has.
        fired: the rule that ends it first; None where it runs to its end.
        stop_epoch: the epoch after which it ends.
        best_epoch, best_score: of the whole record; of equals the first.
        chosen_epoch, chosen_score: of the epochs up to the stop.
        epochs_saved: from the stop to the last epoch of the record.
        score_lost: what the best is better than the chosen one; never negative.
        rules: of each rule when it would first fire by itself, whatever the others do.
        findings: of the diagnosis, on the whole record.
        gates: those that can be judged from the record, of the chosen epoch.
    """

    run: str
    course: str
    score: str | None
    epochs: int
    fired: Fired | None
    stop_epoch: float | None
    best_epoch: float | None
    best_score: float | None
    chosen_epoch: float | None
    chosen_score: float | None
    epochs_saved: float
    score_lost: float | None
    rules: tuple[Mapping[str, Any], ...]
    findings: tuple[Mapping[str, Any], ...]
    gates: tuple[Mapping[str, Any], ...]

    @property
    def title(self) -> str:
        return f"{self.run}, {self.course}" if self.course else self.run

    @property
    def rule(self) -> str | None:
        """The rule that ends it and what it looks at: two rules may differ in that alone."""
        return None if self.fired is None else f"{self.fired.rule} {self.fired.metric}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no NaN."""
        held = {
            "run": self.run,
            "course": self.course,
            "stop_epoch": self.stop_epoch,
            "rule": self.rule,
            "fired": None if self.fired is None else self.fired.to_dict(),
            "score": self.score,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "chosen_epoch": self.chosen_epoch,
            "chosen_score": self.chosen_score,
            "epochs": self.epochs,
            "epochs_saved": self.epochs_saved,
            "score_lost": self.score_lost,
            "rules": self.rules,
            "findings": self.findings,
            "gates": self.gates,
        }
        plain: dict[str, Any] = plain_json(held)
        return plain


def replay(record: RunRecord, rules: ReplayRules) -> list[Replay]:
    """Judge a record by the rules: an entry for each of its trainings.

    Raises:
        HfrunError: epochs that do not follow each other.
    """
    for course in record.courses:
        _check_order(record, course.epochs)
    findings = [finding.as_dict() for finding in diagnose(record)]
    return [
        _replay(record, course, rules, findings=_findings_of(course, findings))
        for course in record.courses
    ]


def score_of(record: RunRecord, course: Course, *, wanted: str | None = None) -> str | None:
    """The metric by which this training's epochs are chosen: wanted, its config's, or usual."""
    named = wanted or record.setting("metric")
    usual = DEFAULT_SCORES if record.kind == "recorded" else ("eval_loss",)
    names = usual if named is None else (named, f"eval_{named}")
    return next((name for name in names if course.series(name)), None)


@dataclass(frozen=True, kw_only=True)
class _Stop:
    """Where rules end a training: in which epoch, and after how many evaluations."""

    epoch: float
    evaluations: int
    fired: Fired


def _replay(
    record: RunRecord, course: Course, rules: ReplayRules, *, findings: Sequence[Mapping[str, Any]]
) -> Replay:
    epochs = course.epochs
    stop = _first_stop(record, course, rules.fresh())
    lived = epochs if stop is None else epochs[: stop.evaluations]
    score = score_of(record, course, wanted=rules.score)
    best, chosen = _best(epochs, score), _best(lived, score)
    return Replay(
        run=record.name,
        course=course.label,
        score=score,
        epochs=len(epochs),
        fired=None if stop is None else stop.fired,
        stop_epoch=None if stop is None else stop.epoch,
        best_epoch=_epoch_of(best),
        best_score=_score_in(best, score),
        chosen_epoch=_epoch_of(chosen),
        chosen_score=_score_in(chosen, score),
        epochs_saved=0 if stop is None else _whole(round(epochs[-1]["epoch"] - stop.epoch, 10)),
        score_lost=_lost(best, chosen, score),
        rules=tuple(_alone(record, course, declared) for declared in rules.stop_rules),
        findings=tuple(findings),
        gates=judge_course(record, course, lived=lived, chosen=chosen, limits=rules.gates),
    )


def _first_stop(record: RunRecord, course: Course, rules: StopRules) -> _Stop | None:
    """Feed the rules the evaluations, and between them the steps that were not finite."""
    broken = [i + 1 for i, norm in enumerate(course.grad_norms) if not math.isfinite(norm)]
    before = 0.0
    for index, epoch in enumerate(course.epochs):
        number, step = _number(record, epoch), epoch.get("step", 0.0)
        if any(before < at <= step for at in broken):
            fired = rules.check_step(number, {"grad_norm": math.nan})
            if fired is not None:
                return _Stop(epoch=_whole(epoch["epoch"]), evaluations=index, fired=fired)
        fired = rules.update(number, epoch)
        if fired is not None:
            return _Stop(epoch=_whole(epoch["epoch"]), evaluations=index + 1, fired=fired)
        before = step
    return None


def _alone(record: RunRecord, course: Course, declared: Mapping[str, Any]) -> dict[str, Any]:
    """When a rule would fire if it were the only one; ``measured`` says whether it could."""
    rules = stop_rules_from([declared])
    (rule,) = rules.rules
    stop = _first_stop(record, course, rules)
    seen = None if stop is None else stop.fired.to_dict()
    return {
        "rule": rule.name,
        "metric": rule.metric,
        "measured": any(_is_measured(rules, epoch) for epoch in course.epochs),
        "epoch": None if stop is None else stop.epoch,
        **{key: seen and seen[key] for key in ("value", "limit", "reason")},
    }


def _is_measured(rules: StopRules, epoch: Epoch) -> bool:
    """Whether the one rule finds what it looks at; ``non_finite`` looks at several figures."""
    (rule,) = rules.rules
    if isinstance(rule, NonFinite):
        return rules.check_step(1, dict.fromkeys(epoch, math.nan)) is not None
    has_gap = {"train_accuracy", "eval_accuracy"} <= epoch.keys()
    return rule.metric in epoch or (rule.metric == "train_eval_gap" and has_gap)


def _number(record: RunRecord, epoch: Epoch) -> int:
    """An epoch as the rules count it: by a record's own number, or as the run itself did."""
    number = math.ceil(epoch["epoch"] - 1e-9)
    return number if record.kind == "recorded" else max(1, number)


def _check_order(record: RunRecord, epochs: Sequence[Epoch]) -> None:
    numbers = [epoch.get("epoch", math.nan) for epoch in epochs]
    for number in numbers:
        if not math.isfinite(number):
            raise HfrunError(f"{record.name}: epoch {number}; needs a number for each epoch")
    for before, after in pairwise(numbers):
        if not after > before:
            raise HfrunError(
                f"{record.name}: epoch {after:g} is recorded after epoch {before:g}; needs each "
                "epoch once, in their order"
            )


def _best(epochs: Sequence[Epoch], score: str | None) -> Epoch | None:
    """The first of the best; a score that is not finite is none."""
    held = [epoch for epoch in epochs if math.isfinite(epoch.get(score or "", math.nan))]
    if score is None or not held:
        return None
    sign = 1.0 if is_greater_better(score) else -1.0
    return max(held, key=lambda epoch: sign * epoch[score])


def _lost(best: Epoch | None, chosen: Epoch | None, score: str | None) -> float | None:
    if best is None or chosen is None or score is None:
        return None
    return round(abs(best[score] - chosen[score]), 10)  # 0.41 - 0.401 is 0.009, and no 0.00899...


def _score_in(epoch: Epoch | None, score: str | None) -> float | None:
    return None if epoch is None or score is None else epoch[score]


def _epoch_of(epoch: Epoch | None) -> float | None:
    return None if epoch is None else _whole(epoch["epoch"])


def _whole(number: float) -> float:
    """A whole number as an int, which JSON shows without a point."""
    return int(number) if float(number).is_integer() else number


def _findings_of(course: Course, findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the whole run, and those that this training shows."""
    return [
        finding
        for finding in findings
        if not finding["courses"] or course.label in finding["courses"]
    ]
