"""The gates that a record of epochs can show, judged of the epoch that the rules would leave.

``train_eval_gap`` needs the chosen epoch's two accuracies, ``grad_norm`` the norm of every step,
or, said to be such, the epochs' means. The others are of a test part, its baselines and its
trades: they are taken from a run's own report where that judged the same epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hfrun.record import Course, RunRecord
from lob_backtest.config import GatesConfig
from lob_backtest.gates import GATE_NAMES, Gate, judge
from lob_backtest.strict_yaml import build
from lob_backtest.training_figures import TrainingFigures

_OVER_ALL_STEPS = "over all steps"

Epoch = Mapping[str, float]


def judge_course(
    record: RunRecord,
    course: Course,
    *,
    lived: Sequence[Epoch],
    chosen: Epoch | None,
    limits: GatesConfig | None,
) -> tuple[dict[str, Any], ...]:
    """Every gate in their usual order; ``passed`` is None where the record cannot say, with why.

    Args:
        lived: the epochs up to the stop.
        chosen: the best of them; None where no score was recorded.
        limits: of the gates; None for the config's of the record, or the usual ones.
    """
    rules = limits or _limits_of(record)
    told = _from_epochs(course, lived, chosen, rules)
    if rules == _limits_of(record) and len(lived) == len(course.epochs):
        told |= _reported(record, course, chosen)
    told |= {name: _none(name, "switched off by name in gates.off") for name in rules.off}
    gates = [told.get(name) or _untold(name, record, course) for name in GATE_NAMES]
    return tuple(gate.as_dict() for gate in gates)


def _from_epochs(
    course: Course, lived: Sequence[Epoch], chosen: Epoch | None, rules: GatesConfig
) -> dict[str, Gate]:
    """The two gates that training figures decide, by the figures of the record."""
    accuracies, (norms, where) = _accuracies(chosen), _norms(course, lived)
    known = {"train_eval_gap": bool(accuracies), "grad_norm": bool(norms)}
    judged = judge(
        folds=[{"fold": 0, "accuracy": accuracies[1] if accuracies else None}],
        aggregate={},
        rules=replace(rules, off=[name for name in GATE_NAMES if not known.get(name)]),
        training=_figures(accuracies, norms),
    )
    told = {gate.name: _rounded(gate) for gate in judged if known.get(gate.name)}
    if "grad_norm" in told:
        reason = told["grad_norm"].reason.replace(_OVER_ALL_STEPS, where)
        told["grad_norm"] = replace(told["grad_norm"], reason=reason)
    if "train_eval_gap" in told and chosen is not None:
        reason = f"{told['train_eval_gap'].reason}; of epoch {chosen['epoch']:g}"
        told["train_eval_gap"] = replace(told["train_eval_gap"], reason=reason)
    return told


def _rounded(gate: Gate) -> Gate:
    """0.43 - 0.42 is 0.01 and no 0.010000000000000009."""
    return gate if gate.value is None else replace(gate, value=round(gate.value, 10))


def _limits_of(record: RunRecord) -> GatesConfig:
    """Those of the config; what cannot be read of an older one is as usual."""
    errors: list[str] = []
    held = record.config.get("gates") if record.kind != "recorded" else None
    return build(GatesConfig, held or {}, "gates", errors) or GatesConfig()


def _accuracies(chosen: Epoch | None) -> tuple[float, float] | None:
    """Of train and of the evaluation, in the chosen epoch."""
    if chosen is None or not {"train_accuracy", "eval_accuracy"} <= chosen.keys():
        return None
    found = chosen["train_accuracy"], chosen["eval_accuracy"]
    return found if all(0 <= value <= 1 for value in found) else None


def _norms(course: Course, lived: Sequence[Epoch]) -> tuple[list[float], str]:
    """Gradient norms before clipping up to the stop, and of what they are."""
    if course.grad_norms and lived:
        steps = int(lived[-1].get("step", len(course.grad_norms)))
        return list(course.grad_norms[:steps]), f"over all {steps} steps"
    means = [epoch["grad_norm"] for epoch in lived if "grad_norm" in epoch]
    return means, f"over the means of {len(means)} epochs, which vary less than the steps"


def _figures(accuracies: tuple[float, float] | None, norms: Sequence[float]) -> TrainingFigures:
    held = np.asarray(norms, dtype=np.float64)
    finite = held[np.isfinite(held)]
    p50, p95 = np.percentile(finite, [50, 95]).tolist() if finite.size else (None, None)
    return TrainingFigures(
        train_accuracy=() if accuracies is None else accuracies[:1],
        grad_norm_p50=p50,
        grad_norm_p95=p95,
        grad_norm_non_finite=int(held.size - finite.size),
    )


def _reported(record: RunRecord, course: Course, chosen: Epoch | None) -> dict[str, Gate]:
    """What the run's own report says, where it is of the epoch that is chosen here too."""
    if course.label or chosen is None or chosen["epoch"] != course.figures.get("epoch"):
        return {}
    return {gate["name"]: Gate(**gate) for gate in record.gates if gate["name"] in GATE_NAMES}


def _untold(name: str, record: RunRecord, course: Course) -> Gate:
    if name == "train_eval_gap":
        return _none(name, "the record has no train and evaluation accuracy of the chosen epoch")
    if name == "grad_norm":
        return _none(name, "the record has no gradient norms")
    if not record.gates:
        return _none(name, "the record has no predictions of a test part")
    if course.label:
        return _none(name, "it is of all folds together; see the run's report")
    return _none(name, "the run's report is of another epoch, or by other limits")


def _none(name: str, reason: str) -> Gate:
    return Gate(
        name=name,
        passed=None,
        value=None,
        limit=None,
        required=False,
        reason=f"not judged: {reason}",
    )
