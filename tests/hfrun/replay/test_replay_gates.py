"""The gates that a record can show: what decides them, and why the others stay open."""

from pathlib import Path
from typing import Any

import pytest

from hfrun.record import Course, RunRecord, read_recorded
from hfrun.replay.gates import judge_course
from hfrun.replay.replay import replay
from hfrun.replay.rules import read_rules, rules_from
from lob_backtest.config import GatesConfig
from lob_backtest.gates import GATE_NAMES

RECORDED = Path(__file__).resolve().parents[3] / "configs" / "stop_rules" / "recorded.yaml"
NEVER = rules_from([{"rule": "non_finite"}])


def judged(record: RunRecord, limits: GatesConfig | None = None) -> dict[str, dict[str, Any]]:
    """The gates of the one training, its last epoch chosen."""
    (course,) = record.courses
    chosen = course.epochs[-1] if course.epochs else None
    gates = judge_course(record, course, lived=course.epochs, chosen=chosen, limits=limits)
    assert tuple(gate["name"] for gate in gates) == GATE_NAMES
    return {gate["name"]: gate for gate in gates}


def record(*epochs: dict[str, float], **kept: Any) -> RunRecord:
    numbered = tuple({"epoch": float(i), **epoch} for i, epoch in enumerate(epochs, start=1))
    course = Course(epochs=numbered, grad_norms=kept.pop("grad_norms", ()),
                    figures=kept.pop("figures", {}))  # fmt: skip
    return RunRecord(
        **{"name": "r", "kind": "recorded", "config": {}, "courses": (course,), **kept}
    )


@pytest.mark.parametrize(
    ("train", "passed", "value"), [(0.62, True, 0.12), (0.63, False, 0.13), (0.4, True, 0.0)]
)
def test_the_gap_of_the_chosen_epoch_is_held_against_the_gates_limit(
    train: float, passed: bool, value: float
) -> None:
    gate = judged(record({"train_accuracy": train, "eval_accuracy": 0.5}))["train_eval_gap"]
    assert (gate["passed"], gate["value"], gate["limit"]) == (passed, value, 0.12)
    assert gate["reason"].endswith("of epoch 1")


def test_norms_of_epochs_are_said_to_be_means_and_norms_of_steps_are_not() -> None:
    # P95 of five means, by linear interpolation: 3.0 + 0.8 * (8.0 - 3.0) = 7.0
    means = record(*({"grad_norm": value} for value in (1.0, 1.5, 2.0, 3.0, 8.0)))
    gate = judged(means)["grad_norm"]
    assert (gate["passed"], round(gate["value"], 10)) == (False, 7.0)
    assert "over the means of 5 epochs, which vary less than the steps" in gate["reason"]
    steps = record({"step": 3.0, "grad_norm": 9.0}, grad_norms=(1.0, 1.0, 2.0, 99.0))
    gate = judged(steps)["grad_norm"]  # the fourth step came after the last epoch that counts
    assert (gate["passed"], gate["value"]) == (True, 1.9)
    assert "over all 3 steps" in gate["reason"]


def test_what_the_record_cannot_say_is_open_with_the_reason() -> None:
    gates = judged(record({"eval_loss": 1.0}))
    assert {gate["passed"] for gate in gates.values()} == {None}
    assert {gate["value"] for gate in gates.values()} == {None}
    assert "no gradient norms" in gates["grad_norm"]["reason"]
    assert "no train and evaluation accuracy" in gates["train_eval_gap"]["reason"]
    assert "no predictions of a test part" in gates["backtest"]["reason"]


def test_limits_are_the_rules_files_else_the_runs_own() -> None:
    epoch = {"train_accuracy": 0.6, "eval_accuracy": 0.5}
    assert judged(record(epoch), GatesConfig(max_train_eval_gap=0.05))["train_eval_gap"]["passed"] \
        is False  # fmt: skip
    own = record(epoch, kind="train", config={"gates": {"max_train_eval_gap": 0.05}})
    assert judged(own)["train_eval_gap"]["passed"] is False
    off = judged(record(epoch), GatesConfig(off=["train_eval_gap"]))["train_eval_gap"]
    assert (off["passed"], off["reason"]) == (
        None, "not judged: switched off by name in gates.off",
    )  # fmt: skip


REPORTED = {"name": "f1_lift", "passed": True, "value": 0.1, "limit": 0.02, "required": True,
            "reason": "weighted F1 is 0.6 against 0.5"}  # fmt: skip


@pytest.mark.parametrize(("epoch", "passed"), [(2.0, True), (1.0, None)])
def test_a_runs_own_report_counts_where_it_is_of_the_chosen_epoch(
    epoch: float, passed: bool | None
) -> None:
    run = record({"eval_loss": 0.9}, {"eval_loss": 0.8}, kind="train",
                 figures={"epoch": epoch}, report={"gates": [REPORTED]})  # fmt: skip
    (found,) = replay(run, NEVER)
    assert found.chosen_epoch == 2
    assert found.gates[0]["passed"] is passed
    same = rules_from({"stop_rules": [{"rule": "non_finite"}], "gates": {"f1_lift": 0.02}})
    assert replay(run, same)[0].gates[0]["passed"] is passed
    stricter = rules_from({"stop_rules": [{"rule": "non_finite"}], "gates": {"f1_lift": 0.2}})
    assert replay(run, stricter)[0].gates[0]["passed"] is None


# At the chosen epoch: exp1 .5014 - .5138 = -.0124 in 1; exp2 .4743 - .5122 < 0 in 1;
# exp3 .5088 - .5115 < 0 in 2; exp5 .5265 - .5159 = .0106 in 6; try1 .921 - .419 = .502 in 13.
# P95 of the norms up to the stop: exp2 4.48 + .85 (5.94 - 4.48) = 5.721;
# exp3 5.71 + .85 (9.62 - 5.71) = 9.0335; exp5 3.06 + .75 (4.41 - 3.06) = 4.0725.
GATES = {
    "deeplob-exp1": (0.0, None),
    "deeplob-exp2": (0.0, 5.721),
    "deeplob-exp3": (0.0, 9.0335),
    "deeplob-exp5": (0.0106, 4.0725),
    "deeplob-exp6": (None, None),
    "llama-try1": (0.502, None),
}


def test_gates_of_the_recorded_runs_are_those_of_their_tables(lob_data_dir: Path) -> None:
    rules = read_rules(RECORDED)
    records = read_recorded(lob_data_dir / "recorded_runs" / "runs.jsonl")
    found = {}
    for one in (replay(run, rules)[0] for run in records if run.name in GATES):
        values = {gate["name"]: gate["value"] for gate in one.gates}
        found[one.run] = (values["train_eval_gap"], values["grad_norm"])
    assert found == GATES
