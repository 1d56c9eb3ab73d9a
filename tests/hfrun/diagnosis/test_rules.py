"""Every rule has a run that shows it and one that does not."""

import math
from collections.abc import Sequence

import pytest

from hfrun.diagnosis import RULES, Finding, diagnose
from hfrun.record import Course, RunRecord
from tests.hfrun.diagnosis.made_up import epochs, losing, recorded, run, warming

Shown = tuple[RunRecord, RunRecord | None]

WARMUP = {"training.num_train_epochs": 10, "training.warmup_steps": 0.1,
          "training.learning_rate": 1e-3}  # fmt: skip
PLATEAU = [0.30, 0.36, 0.40, 0.41, 0.40, 0.42, 0.40, 0.41, 0.40, 0.41, 0.42, 0.40]
STEADY = [1.0 + 0.01 * (i % 7) for i in range(100)]
BASELINE = {"boosting": {"accuracy": 0.60}}


def sized(n: int, **figures: Sequence[float]) -> Course:
    """A training whose sets have n examples."""
    return Course(epochs=epochs(**figures), figures={"validation_texts": n, "train_texts": 10 * n})


def reported(accuracy: float, baselines: object = None, n: int = 1000) -> dict[str, object]:
    return {"folds": [{"fold": 0, "n": n, "accuracy": accuracy, "baselines": baselines or {}}]}


def calibrated(low: float, value: float, high: float) -> dict[str, object]:
    return {"calibration": {"folds": [{"fold": 0, "low": low, "value": value, "high": high}]}}


ACCURACY = {"training.metric_for_best_model": "eval_accuracy"}
OVERFIT = {"eval_loss": [0.9, 0.8, 0.85, 0.95], "train_accuracy": [0.4, 0.5, 0.6, 0.7]}
GAP = {"eval_accuracy": [0.5, 0.5, 0.5]}
PARENT = recorded(config={"lr": 1e-5, "batch_size": 32, "weight_decay": 0.0}, name="before")

# rule: (a record that shows it, with its parent), (one that does not)
CASES: dict[str, tuple[Shown, Shown]] = {
    "not_finite": (
        (run(Course(grad_norms=(1.0, math.nan, 1.0))), None),
        (run(Course(grad_norms=(1.0, 2.0, 1.0))), None),
    ),
    "step_too_large": (
        (run(losing([2.0] * 10 + [1.0] * 10 + [1.5] * 10)), None),
        (run(losing([2.0] * 10 + [1.5] * 10 + [1.52, 1.48] * 5)), None),
    ),
    "bias": (
        (recorded(train_accuracy=[0.3, 0.31], eval_accuracy=[0.29, 0.30]), None),
        (recorded(train_accuracy=[0.3, 0.60], eval_accuracy=[0.29, 0.30]), None),
    ),
    "variance": (
        (recorded(train_accuracy=[0.6, 0.8], eval_accuracy=[0.5, 0.6]), None),
        (recorded(train_accuracy=[0.6, 0.64], eval_accuracy=[0.5, 0.6]), None),
    ),
    "data_mismatch": (
        (recorded(eval_accuracy=[0.5, 0.6], train_dev_accuracy=[0.6, 0.7]), None),
        (recorded(eval_accuracy=[0.5, 0.6], train_dev_accuracy=[0.6, 0.62]), None),
    ),
    "train_below_evaluation": (
        (recorded(train_accuracy=[0.4, 0.45], eval_accuracy=[0.45, 0.5]), None),
        (recorded(train_accuracy=[0.4, 0.49], eval_accuracy=[0.45, 0.5]), None),
    ),
    "overfitting_onset": (
        (recorded(**OVERFIT), None),
        (recorded(**{**OVERFIT, "eval_loss": [0.9, 0.8, 0.75, 0.7]}), None),
    ),
    "loss_up_accuracy_up": (
        (recorded(eval_loss=[0.9, 0.8, 0.9], eval_accuracy=[0.5, 0.55, 0.58]), None),
        (recorded(eval_loss=[0.9, 0.8, 0.9], eval_accuracy=[0.5, 0.55, 0.54]), None),
    ),
    "best_in_first_tenth": (
        (recorded(config={"epochs": 50}, eval_accuracy=[0.3, 0.4, 0.5, 0.4, 0.4, 0.4]), None),
        (recorded(config={"epochs": 20}, eval_accuracy=[0.3, 0.4, 0.5, 0.4, 0.4, 0.4]), None),
    ),
    "best_at_first_evaluation": (
        (recorded(eval_accuracy=[0.51, 0.50, 0.49]), None),
        (recorded(eval_accuracy=[0.50, 0.51, 0.49]), None),
    ),
    "best_at_the_end": (
        (recorded(eval_accuracy=[0.3, 0.4, 0.5]), None),
        (recorded(eval_accuracy=[0.3, 0.5, 0.501]), None),
    ),
    "best_of_many_epochs": (
        (recorded(eval_accuracy=PLATEAU), None),
        (recorded(eval_accuracy=[0.03 * i for i in range(12)]), None),
    ),
    "best_inside_warmup": (
        (recorded(config={"lr": 2e-5, "epochs": 100, "warmup_ratio": 0.2},
                  eval_accuracy=[0.4, 0.45, 0.47, 0.50] + [0.48] * 20), None),
        (recorded(config={"lr": 2e-5, "epochs": 20, "warmup_ratio": 0.1},
                  eval_accuracy=[0.4, 0.45, 0.47, 0.50] + [0.48] * 16), None),
    ),
    "peak_never_reached": (
        (recorded(config={"lr": 2e-5, "epochs": 100, "warmup_ratio": 0.2},
                  eval_accuracy=[0.4] * 10), None),
        (recorded(config={"lr": 2e-5, "epochs": 100, "warmup_ratio": 0.2},
                  eval_accuracy=[0.4] * 20), None),
    ),
    "warmup_frozen": (
        (run(warming([1e-5] * 9 + [1e-3, 9e-4]), config=WARMUP), None),
        (run(warming([i * 1e-4 for i in range(1, 11)] + [9e-4]), config=WARMUP), None),
    ),
    "rate_jumps": (
        (run(warming([1e-5] * 9 + [1e-3, 9e-4]), config=WARMUP), None),
        (run(warming([i * 1e-4 for i in range(1, 11)] + [9e-4]), config=WARMUP), None),
    ),
    "rate_rises_again": (
        (run(warming([1e-3, 5e-4, 1e-4, 5e-4, 1e-3]), config=WARMUP), None),
        (run(warming([1e-4, 1e-3, 8e-4, 5e-4, 1e-4]), config=WARMUP), None),
    ),
    "warmup_start": (
        (run(config={**WARMUP, "training.schedule.start_factor": 0.0}), None),
        (run(config={**WARMUP, "training.schedule.start_factor": 0.01}), None),
    ),
    "warmup_long": (
        (recorded(config={"warmup_ratio": 0.4, "lr": 4e-6}), None),
        (recorded(config={"warmup_ratio": 0.1, "lr": 4e-6}), None),
    ),
    "schedule_hardly_falls": (
        (recorded(config={"lr": 4e-6, "lr_min": 3e-6}), None),
        (recorded(config={"lr": 4e-6, "lr_min": 4e-7}), None),
    ),
    "clipped_on_most_steps": (
        (run(Course(grad_norms=tuple(STEADY)), config={"training.max_grad_norm": 1.0}), None),
        (run(Course(grad_norms=tuple(STEADY)), config={"training.max_grad_norm": 1.05}), None),
    ),
    "suggested_clip": (
        (run(Course(grad_norms=(*STEADY, 5.0)), config={"training.max_grad_norm": 0.0}), None),
        (run(Course(grad_norms=(*STEADY, 1.1)), config={"training.max_grad_norm": 0.0}), None),
    ),
    "gradient_outliers": (
        (run(Course(grad_norms=(*STEADY, 20.0))), None),
        (run(Course(grad_norms=(*STEADY, 5.0))), None),
    ),
    "norm_growth": (
        (recorded(grad_norm=[1.0, 2.0, 4.0], train_accuracy=[0.4, 0.6, 0.8], **GAP), None),
        (recorded(grad_norm=[1.0, 1.2, 1.4], train_accuracy=[0.4, 0.6, 0.8], **GAP), None),
    ),
    "weightings_combined": (
        (run(config={"training.loss.balanced_sampler": True,
                     "training.loss.class_weights": "balanced"}), None),
        (run(config={"training.loss.balanced_sampler": True,
                     "training.loss.class_weights": "none"}), None),
    ),
    "batch_changed": (
        (recorded(config={"lr": 1e-5, "batch_size": 128, "weight_decay": 0.0}), PARENT),
        (recorded(config={"lr": 2e-5, "batch_size": 128, "weight_decay": 0.0}), PARENT),
    ),
    "many_changes": (
        (recorded(config={"lr": 2e-5, "batch_size": 128, "weight_decay": 0.1}), PARENT),
        (recorded(config={"lr": 2e-5, "batch_size": 128, "weight_decay": 0.0}), PARENT),
    ),
    "other_data": (
        (recorded(config={"dataset": "A", "lr": 1e-5}), recorded(config={"dataset": "B"})),
        (recorded(config={"dataset": "A", "lr": 1e-5}), recorded(config={"dataset": "A"})),
    ),
    "one_answer": (
        (run(Course(epochs=epochs(eval_loss=[1.0], eval_accuracy=[0.5], eval_mcc=[0.0],
                                  eval_majority_accuracy=[0.5]))), None),
        (run(Course(epochs=epochs(eval_loss=[1.0], eval_accuracy=[0.5], eval_mcc=[0.1],
                                  eval_majority_accuracy=[0.5]))), None),
    ),
    "worse_than_majority": (
        (run(test={"accuracy": {"value": 0.35, "high": 0.44},
                   "majority_accuracy": {"value": 0.58}}), None),
        (run(test={"accuracy": {"value": 0.55, "high": 0.60},
                   "majority_accuracy": {"value": 0.58}}), None),
    ),
    "no_better_than_uniform": (
        (run(Course(epochs=epochs(eval_loss=[1.2, 1.11])), config={"data.book": "b"}), None),
        (run(Course(epochs=epochs(eval_loss=[1.2, 1.09])), config={"data.book": "b"}), None),
    ),
    "calibration": (
        (run(report=calibrated(1.20, 1.29, 1.38)), None),
        (run(report=calibrated(0.95, 1.29, 1.38), test={"ece": {"value": 0.07}}), None),
    ),
    "evaluation_too_small": (
        (run(sized(100, eval_accuracy=[0.55], eval_majority_accuracy=[0.5]), config=ACCURACY),
         None),
        (run(sized(10_000, eval_accuracy=[0.55], eval_majority_accuracy=[0.5]), config=ACCURACY),
         None),
    ),
    "epochs_too_close": (
        (run(sized(100, eval_accuracy=[0.55, 0.56]), config=ACCURACY), None),
        (run(sized(100, eval_accuracy=[0.40, 0.56]), config=ACCURACY), None),
    ),
    "gain_too_small": (
        (run(sized(100, eval_accuracy=[0.56]), config=ACCURACY),
         run(sized(100, eval_accuracy=[0.55]), config=ACCURACY)),
        (run(sized(100, eval_accuracy=[0.80]), config=ACCURACY),
         run(sized(100, eval_accuracy=[0.55]), config=ACCURACY)),
    ),
    "one_seed": (
        (run(report={"gates": [{"name": "f1_lift", "passed": True, "value": 0.03}]}), None),
        (run(report={"gates": [{"name": "f1_lift", "passed": False, "value": 0.01}]}), None),
    ),
    "test_below_evaluation": (
        (run(sized(1000, eval_accuracy=[0.60]), config=ACCURACY, report=reported(0.50)), None),
        (run(sized(1000, eval_accuracy=[0.60]), config=ACCURACY, report=reported(0.59)), None),
    ),
}  # fmt: skip


def found(rule: str, shown: Shown) -> Finding | None:
    return next((one for one in diagnose(*shown) if one.rule == rule), None)


def told(rule: str, record: RunRecord, parent: RunRecord | None = None) -> Finding:
    """The rule's finding, which has to be there."""
    finding = found(rule, (record, parent))
    assert finding is not None
    return finding


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_told_of_the_run_that_shows_it(rule: str) -> None:
    finding = told(rule, *CASES[rule][0])
    numbers = [value for value in finding.evidence.values() if not isinstance(value, str)]
    assert numbers
    assert all(math.isfinite(value) for value in numbers)
    assert any(character.isdigit() for character in finding.message)
    assert finding.next_experiment
    assert finding.source


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_silent_on_the_run_that_does_not_show_it(rule: str) -> None:
    assert found(rule, CASES[rule][1]) is None


def test_every_rule_of_the_registry_has_both_runs() -> None:
    assert sorted(CASES) == sorted(rule.name for rule in RULES)


def test_a_record_with_nothing_in_it_has_no_findings() -> None:
    assert diagnose(recorded()) == []
