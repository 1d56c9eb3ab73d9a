"""The gates against figures worked out by hand."""

import json
from pathlib import Path

import pytest

from lob_backtest.config import GatesConfig
from lob_backtest.errors import GateError
from lob_backtest.gates import GATE_NAMES, Gate, check_rules, judge, verdict
from lob_backtest.training_figures import TrainingFigures, read_training, training_from

TRAINING = TrainingFigures(train_accuracy=(0.61,), grad_norm_p50=1.5, grad_norm_p95=3.0)


def report(
    model: list[int],
    baseline: list[int],
    *,
    ece: float = 0.05,
    brier: tuple[float, float] = (0.5, 0.5),
    own: tuple[float, float, float, float] | None = (0.02, 0.01, 2.0, 12.0),
    hold: tuple[float, float, float, float] = (0.01, 0.02, 1.0, 2.0),
) -> dict:
    """Folds of 100 decisions with these F1 in percent for the model and for one baseline."""

    def trading(figures):
        names = ("net_return", "max_drawdown", "sharpe", "trades")
        values = figures or (None,) * 4
        return {name: {"value": v} for name, v in zip(names, values, strict=True)}

    folds = [
        {
            "fold": i,
            "n": 100,
            "accuracy": a / 100,
            "f1_weighted": a / 100,
            "baselines": {"logistic": {"f1_weighted": b / 100}},
        }
        for i, (a, b) in enumerate(zip(model, baseline, strict=True))
    ]

    def scored(rights, brier_score):
        return {
            "f1_weighted": {"value": sum(rights) / len(rights) / 100},
            "ece": {"value": ece},
            "brier": {"value": brier_score},
        }

    empty = {"f1_weighted": {"value": None}, "ece": {"value": None}, "brier": {"value": None}}
    strategies = {
        "logistic": {**scored(baseline, brier[1]), **trading(own and hold)},
        "buy_and_hold": {**empty, **trading(own and hold)},
        "flat": {**empty, **trading(own and (0.0, 0.0, None, 0.0))},
    }
    aggregate = {**scored(model, brier[0]), **trading(own), "baselines": strategies}
    return {"folds": folds, "aggregate": aggregate}


def judged(figures: dict, training: TrainingFigures | None = TRAINING, **rules) -> dict[str, Gate]:
    gates = judge(**figures, rules=GatesConfig(**rules), training=training)
    assert [gate.name for gate in gates] == list(GATE_NAMES)
    return {gate.name: gate for gate in gates}


def test_a_model_that_meets_every_limit_passes():
    gates = judged(report([60, 60, 60], [50, 50, 50]))
    assert [gate.passed for gate in gates.values()] == [True] * 7
    assert [gate.required for gate in gates.values()] == [True] * 5 + [False, True]
    assert verdict(list(gates.values())) == "pass"


@pytest.mark.parametrize("name", ["f1_lift", "grad_norm", "backtest"])
def test_one_failed_required_gate_fails_the_verdict(name):
    worse = {
        "f1_lift": (report([51, 51, 51], [50, 50, 50]), TRAINING),
        "grad_norm": (
            report([60, 60, 60], [50, 50, 50]),
            TrainingFigures(train_accuracy=(0.6,) * 3, grad_norm_p95=4.0),
        ),
        "backtest": (report([60, 60, 60], [50, 50, 50], own=(-0.1, 0.0, 3.0, 5.0)), TRAINING),
    }
    gates = judged(*worse[name])
    assert not gates[name].passed
    assert verdict(list(gates.values())) == "fail"


def test_a_failed_optional_gate_leaves_the_verdict():
    gates = judged(report([60, 60, 60], [50, 50, 50], ece=0.2))
    assert gates["calibration"].passed is False
    assert verdict(list(gates.values())) == "pass"


def test_lift_is_the_smaller_of_with_and_without_the_best_fold():
    # (0.90 + 0.52 + 0.50) / 3 - 0.50 = 0.14; without fold 0: 1.02 / 2 - 0.50 = 0.01.
    gate = judged(report([90, 52, 50], [50, 50, 50]))["f1_lift"]
    assert gate.passed is False
    assert gate.value == pytest.approx(0.01)
    assert "0.640 against 0.500 of logistic" in gate.reason
    assert "+0.140; +0.010 without the best fold, 0" in gate.reason


def test_folds_count_by_their_decisions():
    figures = report([60, 50], [50, 50])
    figures["folds"][1]["n"] = 300
    figures["folds"].append({**figures["folds"][1], "fold": 2})
    # (100 * 0.10 + 600 * 0) / 700; without fold 0 nothing.
    gate = judged(figures)["f1_lift"]
    assert "+0.014; +0.000 without the best fold, 0" in gate.reason


def test_guesses_with_the_models_own_class_shares_are_to_be_beaten_too():
    # 100 decisions, 40 up, 60 down; said 50 and 50: guesses hit 20 and 30. F1 of up 40 / 90, of
    # down 60 / 110; weighted 0.4 * 0.4444 + 0.6 * 0.5455 = 0.5051.
    figures = report([60, 60, 60], [20, 20, 20])
    for fold in figures["folds"]:
        fold["confusion"] = [[35, 0, 25], [0, 0, 0], [15, 0, 25]]
    gates = judged(figures)
    assert gates["f1_lift"].value == pytest.approx(0.60 - 0.4 * 40 / 90 - 0.6 * 60 / 110)
    assert "0.505 of guesses with the same class shares" in gates["f1_lift"].reason
    # Where the baseline is better than they are, they play no part.
    for fold in figures["folds"]:
        fold["baselines"]["logistic"]["f1_weighted"] = 0.55
    gates = judged(figures)
    assert gates["f1_lift"].value == pytest.approx(0.05)
    assert "guesses" not in gates["f1_lift"].reason


def test_a_constant_guess_has_no_lift_however_weak_the_baseline_and_lucky_the_guess():
    # All is up in one fold, down in the next, and the guess follows: right in 70 of 100.
    figures = report([58, 58, 58], [10, 10, 10])
    for i, fold in enumerate(figures["folds"]):
        confusion = [[70, 0, 0], [0, 0, 0], [30, 0, 0]]
        fold["confusion"] = confusion if i % 2 else [row[::-1] for row in confusion[::-1]]
        fold["f1_weighted"] = 0.7 * 140 / 170
    gates = judged(figures)
    assert gates["f1_lift"].value == pytest.approx(0.0)
    assert (gates["f1_lift"].passed, gates["window_pass_rate"].value) == (False, 0.0)


def test_lift_that_equals_the_limit_passes():
    gate = judged(report([52, 52], [50, 50]))["f1_lift"]
    assert (gate.passed, gate.limit) == (True, 0.02)
    assert gate.value == pytest.approx(0.02)


def test_one_fold_cannot_show_a_lift_or_stability():
    gates = judged(report([60], [50]))
    assert [gates[n].passed for n in ("f1_lift", "window_stability")] == [False, False]
    assert "at least 2" in gates["f1_lift"].reason
    assert gates["f1_lift"].value is None


def test_the_best_baseline_is_the_one_with_the_highest_f1():
    figures = report([60, 60], [50, 50])
    for fold in figures["folds"]:
        fold["baselines"]["boosting"] = {"f1_weighted": 0.7}
    strong = {**figures["aggregate"]["baselines"]["logistic"], "f1_weighted": {"value": 0.7}}
    figures["aggregate"]["baselines"]["boosting"] = strong
    assert judged(figures)["f1_lift"].value == pytest.approx(-0.1)
    assert judged(figures, baseline="logistic")["f1_lift"].value == pytest.approx(0.1)
    with pytest.raises(GateError, match=r"gates\.baseline=lgbm: not among.*logistic, boosting"):
        judged(figures, baseline="lgbm")


def test_without_a_scored_baseline_the_lift_fails():
    figures = report([60, 60], [50, 50])
    del figures["aggregate"]["baselines"]["logistic"]
    gates = judged(figures)
    assert [gates[n].passed for n in ("f1_lift", "window_pass_rate")] == [False, False]
    assert "no baseline was scored" in gates["f1_lift"].reason


@pytest.mark.parametrize(
    ("gap", "passed", "warned"),
    [(0.10, True, False), (0.11, True, True), (0.12, True, True), (0.13, False, False)],
)
def test_gap_is_the_mean_over_folds_and_warns_before_it_fails(gap, passed, warned):
    training = TrainingFigures(
        train_accuracy=(0.6 + gap + 0.05, 0.6 + gap - 0.05), grad_norm_p95=1.0
    )
    gate = judged(report([60, 60], [50, 50]), training)["train_eval_gap"]
    assert gate.value == pytest.approx(gap)
    assert (gate.passed, "warning" in gate.reason) == (passed, warned)
    assert f"(worst {gap + 0.05:+.3f})" in gate.reason


def test_gradient_norm_is_judged_by_p95_and_advises_on_p50():
    def gate(p50, p95):
        training = TrainingFigures(grad_norm_p50=p50, grad_norm_p95=p95)
        return judged(report([60, 60], [50, 50]), training)["grad_norm"]

    assert [gate(1.5, p95).passed for p95 in (3.99, 4.0, 9.0)] == [True, False, False]
    assert "advice" not in gate(2.0, 3.0).reason
    assert gate(2.5, 3.0).passed
    assert "P50 is 2.50, advice: outside 1 to 2 (lower" in gate(2.5, 3.0).reason
    assert "(raise" in gate(0.1, 3.0).reason


def test_missing_training_figures_fail_and_name_the_two_remedies():
    gates = judged(report([60, 60], [50, 50]), None)
    for name in ("train_eval_gap", "grad_norm"):
        assert (gates[name].passed, gates[name].required) == (False, True)
        assert "--training FILE" in gates[name].reason
        assert f"gates.off=[{name}]" in gates[name].reason
    assert verdict(list(gates.values())) == "fail"


def test_gates_that_are_off_are_listed_as_not_judged():
    gates = judged(report([60, 60], [50, 50]), None, off=["train_eval_gap", "grad_norm"])
    for name in ("train_eval_gap", "grad_norm"):
        assert (gates[name].passed, gates[name].required) == (None, False)
        assert "gates.off" in gates[name].reason
    assert verdict(list(gates.values())) == "pass"


def test_a_verdict_without_any_required_gate_is_no_pass():
    gates = judged(report([60, 60], [50, 50]), None, off=list(GATE_NAMES))
    assert verdict(list(gates.values())) == "fail"


def test_a_misspelt_gate_in_off_is_refused_with_the_nearest_name():
    with pytest.raises(GateError, match=r"gates\.off\.grad_nrom: .*did you mean grad_norm\?"):
        judged(report([60, 60], [50, 50]), off=["grad_nrom"])


def test_pass_rate_counts_folds_that_reach_the_lift():
    # Lifts of 0.10, 0.02, 0.01 and 0.05: three of four.
    gate = judged(report([60, 52, 51, 55], [50] * 4))["window_pass_rate"]
    assert (gate.passed, gate.value) == (True, 0.75)
    gate = judged(report([60, 51, 51, 55], [50] * 4))["window_pass_rate"]
    assert (gate.passed, gate.value) == (False, 0.5)


def test_stability_is_the_sample_deviation_over_the_mean():
    # Scores 0.4 and 0.6: mean 0.5, sample deviation 0.1 * sqrt(2).
    gate = judged(report([40, 60], [30, 30]))["window_stability"]
    assert gate.value == pytest.approx(0.2 * 2**0.5)
    assert gate.passed is False
    assert judged(report([56, 60], [30, 30]))["window_stability"].passed is True


@pytest.mark.parametrize(
    ("ece", "brier", "passed"),
    [
        (0.079, (0.6, 0.5), True),
        (0.080, (0.6, 0.5), False),
        (0.2, (0.475, 0.5), True),
        (0.2, (0.48, 0.5), False),
    ],
)
def test_calibration_takes_either_ece_or_brier(ece, brier, passed):
    gate = judged(report([60, 60], [50, 50], ece=ece, brier=brier))["calibration"]
    assert gate.passed is passed
    assert gate.required is False


@pytest.mark.parametrize(
    ("own", "hold", "words"),
    [
        ((0.02, 0.01, 2.0, 9.0), (0.02, 0.01, 2.0, 2.0), "none worse"),
        ((0.01, 0.01, 2.0, 9.0), (0.02, 0.01, 2.0, 2.0), "returns less than buy_and_hold"),
        ((0.02, 0.02, 2.0, 9.0), (0.02, 0.01, 2.0, 2.0), "drawdown is deeper"),
        ((0.02, 0.01, 1.0, 9.0), (0.02, 0.01, 2.0, 2.0), "Sharpe ratio is lower"),
        ((-0.01, 0.01, -1.0, 9.0), (-0.02, 0.02, -2.0, 2.0), "loses money"),
        ((0.0, 0.0, None, 0.0), (-0.02, 0.02, -2.0, 2.0), "never trades"),
    ],
)
def test_backtest_needs_every_figure_at_least_as_good(own, hold, words):
    gate = judged(report([60, 60], [50, 50], own=own, hold=hold))["backtest"]
    assert gate.passed is (words == "none worse")
    assert words in gate.reason
    assert gate.limit == max(hold[0], 0.0)


def test_without_a_backtest_its_gate_is_not_required():
    gates = judged(report([60, 60], [50, 50], own=None))
    assert (gates["backtest"].passed, gates["backtest"].required) == (None, False)
    assert verdict(list(gates.values())) == "pass"


def test_a_fold_that_was_not_learnt_does_not_make_up_for_one_learnt_by_heart():
    # gaps 0.30 and -0.30: 0.15 on average when none counts below 0
    training = TrainingFigures(train_accuracy=(0.9, 0.3), grad_norm_p95=1.0)
    gate = judged(report([60, 60], [50, 50]), training)["train_eval_gap"]
    assert (gate.passed, gate.value) == (False, pytest.approx(0.15))


def test_train_accuracies_of_other_folds_than_the_evaluated_are_refused():
    training = TrainingFigures(train_accuracy=(0.6,) * 3, grad_norm_p95=1.0)
    with pytest.raises(GateError, match="got 3 train accuracies for 2 evaluation folds"):
        judged(report([60, 60], [50, 50]), training)


def test_a_gradient_that_was_not_finite_fails_the_norm_whatever_the_percentiles():
    training = TrainingFigures(train_accuracy=(0.6, 0.6), grad_norm_p95=1.0, grad_norm_non_finite=1)
    gate = judged(report([60, 60], [50, 50]), training)["grad_norm"]
    assert gate.passed is False
    assert "not finite in 1 steps" in gate.reason


def test_the_fold_left_out_is_the_one_that_carries_most():
    # fold 0 is large and lifts by 0.05, fold 2 is small and lifts by 0.20
    figures = report([55, 50, 70], [50, 50, 50])
    for fold, n in zip(figures["folds"], (1000, 100, 10), strict=True):
        fold["n"] = n
    gate = judged(figures)["f1_lift"]
    # without fold 0: (100 * 0 + 10 * 0.20) / 110
    assert gate.value == pytest.approx(2 / 110)
    assert "without the best fold, 0" in gate.reason


def test_an_unknown_strategy_to_compare_with_is_refused():
    with pytest.raises(GateError, match="backtest_baseline=hold: not among the strategies"):
        judged(report([60, 60], [50, 50]), backtest_baseline="hold")


def test_names_that_nothing_bears_are_refused_before_the_long_work():
    rules = GatesConfig(baseline="bosting", backtest_baseline="hold")
    with pytest.raises(GateError) as refused:
        check_rules(rules, baselines=["boosting"])
    assert "did you mean boosting?" in str(refused.value)
    assert "gates.backtest_baseline.hold" in str(refused.value)
    check_rules(GatesConfig(backtest_baseline="flat"), baselines=["boosting"])
    check_rules(rules, baselines=None)


def test_training_figures_are_read_from_json(tmp_path: Path):
    path = tmp_path / "training.json"
    raw = {"train_accuracy": 0.6, "grad_norm_p95": 3, "grad_norm_non_finite": 2}
    path.write_text(json.dumps(raw))
    figures = TrainingFigures(train_accuracy=(0.6,), grad_norm_p95=3, grad_norm_non_finite=2)
    assert read_training(path) == figures
    assert training_from(figures.as_dict()) == figures


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "got list"),
        ('{"train_acuracy": 0.5}', "did you mean train_accuracy"),
        ('{"train_accuracy": 60}', "got 60; needs a share"),
        ('{"eval_accuracy": 0.5}', "eval_accuracy: unknown key"),
        ('{"grad_norm_non_finite": -1}', "got -1; needs a count"),
        ('{"grad_norm_p95": "high"}', "got 'high'; needs a finite number"),
    ],
)
def test_bad_training_figures_are_refused(tmp_path: Path, text, message):
    path = tmp_path / "training.json"
    path.write_text(text)
    with pytest.raises(GateError, match=message):
        read_training(path)


def test_a_missing_training_file_is_refused(tmp_path: Path):
    with pytest.raises(GateError, match="no such file"):
        read_training(tmp_path / "none.json")
