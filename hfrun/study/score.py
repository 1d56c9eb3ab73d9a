"""The score of a trial: one validation metric, under constraints that only have to be met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.config import AnyRunConfig
from hfrun.errors import HfrunError
from hfrun.fold_trainer import is_greater_better
from hfrun.study.costs import costs_of
from hfrun.study.trials import TrialResult
from hfrun.study_config import COSTS, ConstraintConfig
from lob_backtest.files import read_json


@dataclass(frozen=True, kw_only=True)
class Score:
    """By what trials are compared.

    Args:
        metric: of the validation part, by its name in the log.
        higher_is_better: whether more of it is better.
        constraints: what else a trial has to meet to be chosen.
    """

    metric: str
    higher_is_better: bool
    constraints: tuple[ConstraintConfig, ...] = ()

    def value(self, figures: Mapping[str, float]) -> float | None:
        """The metric of a trial's (or a fold's) chosen checkpoint."""
        return figures.get(self.metric)

    def judged(self, result: TrialResult) -> list[dict[str, Any]]:
        """Whether a trial that was trained to its end meets each constraint, and by how much.

        Returns:
            For each ``{name, value, limit, direction, met, violation}``; ``violation`` is above 0
            where it is not met, in parts of the limit. A figure that was not measured is not met.

        Raises:
            HfrunError: a metric, the score's or a constraint's, that no evaluation carries.
        """
        if result.status != "done":
            return []
        self._check_names(result)
        names = [each.metric for each in self.constraints if each.metric in COSTS]
        costs = costs_of(result, [name for name in names if name is not None])
        return [_judged(each, {**result.validation, **costs}, result) for each in self.constraints]

    def _check_names(self, result: TrialResult) -> None:
        """A figure that is not finite is missing in one trial; one misspelt is in none."""
        known = {*result.validation, *(name for point in result.curve for name in point)}
        asked = {"score.metric": [self.metric]}
        asked["score.constraints"] = [
            each.metric for each in self.constraints if each.metric and each.metric not in COSTS
        ]
        for part, names in asked.items():
            for name in names:
                if name not in known:
                    also = COSTS if part == "score.constraints" else ()
                    raise HfrunError(
                        f"study.{part}: no evaluation carries {name!r}; known: "
                        f"{', '.join(sorted({*known, *also}))}"
                    )


def score_of(config: AnyRunConfig) -> Score:
    """By what a config's study compares its trials.

    The metric is that of ``study.score``, and without one that by which each run chooses its
    checkpoint: ``training.metric_for_best_model``, or else the evaluation loss.
    """
    asked = config.study.score if config.study is not None else None
    name = (asked.metric if asked is not None else None) or config.training.arguments.get(
        "metric_for_best_model"
    )
    name = name or "eval_loss"
    metric = name if name.startswith("eval_") or name == "train_eval_gap" else f"eval_{name}"
    mode = asked.mode if asked is not None else None
    higher = is_greater_better(metric) if mode is None else mode == "max"
    constraints = () if asked is None else tuple(asked.constraints)
    return Score(metric=metric, higher_is_better=higher, constraints=constraints)


def _judged(
    constraint: ConstraintConfig, figures: Mapping[str, float | None], result: TrialResult
) -> dict[str, Any]:
    if constraint.gate is not None:
        return _gate(constraint.gate, Path(result.folder))
    assert constraint.metric is not None
    value, is_upper = figures.get(constraint.metric), constraint.at_most is not None
    limit = constraint.at_most if is_upper else constraint.at_least
    assert limit is not None
    if value is None:
        over = 1.0
    else:
        over = (value - limit if is_upper else limit - value) / (abs(limit) or 1.0)
    return {
        "name": constraint.metric,
        "value": value,
        "limit": limit,
        "direction": "at_most" if is_upper else "at_least",
        "met": over <= 0,
        "violation": over,
    }


def _gate(name: str, folder: Path) -> dict[str, Any]:
    """A gate of the run's own report, of those that do not look at the test part."""
    report = read_json(folder / "report" / "report.json", error=HfrunError)
    gates: Sequence[Mapping[str, Any]] = report["gates"]
    gate = next(each for each in gates if each["name"] == name)
    met = gate["passed"] is True
    return {
        "name": name,
        "value": gate["value"],
        "limit": gate["limit"],
        "direction": "gate",
        "met": met,
        "violation": 0.0 if met else 1.0,
    }
