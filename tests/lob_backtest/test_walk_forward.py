"""The report of a walk-forward: its keys, its sums, and what it refuses."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from lob_backtest.config import BacktestConfig, GatesConfig, JudgeConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.errors import GateError, PredictionsError
from lob_backtest.gates import GATE_NAMES
from lob_backtest.metrics import classification_metrics
from lob_backtest.training_figures import TrainingFigures
from lob_backtest.walk_forward import baseline_predictions, score
from tests.lob_backtest.judged import BACKTEST, DATA, WALK_FORWARD, Walk, walk

FOLD_KEYS = {
    "fold", "start_ns", "end_ns", "n", "accuracy", "majority_accuracy", "f1_weighted", "f1_macro",
    "mcc", "ece", "brier", "gross_return", "net_return", "max_drawdown", "sharpe", "turnover",
    "trades", "costs_paid", "baselines",
}  # fmt: skip
AGGREGATE_KEYS = FOLD_KEYS - {"fold", "start_ns", "end_ns", "n"}


def scored(made: Walk, **changes) -> dict:
    arguments = {
        "backtest": BACKTEST,
        "gates": GatesConfig(off=["train_eval_gap", "grad_norm"]),
        "prepared": made.prepared,
        "n_resamples": 50,
    }
    return score(made.book, made.model, {"guesses": made.guesses}, **{**arguments, **changes})


@pytest.fixture(scope="module")
def made() -> Walk:
    return walk()


@pytest.fixture(scope="module")
def report(made: Walk) -> dict:
    return scored(made)


def test_the_report_has_every_key_of_the_contract(report):
    assert {"folds", "aggregate", "gates", "verdict"} <= set(report)
    for fold in report["folds"]:
        assert set(fold) >= FOLD_KEYS
        assert list(fold["baselines"]) == ["guesses", "buy_and_hold", "flat"]
        for figures in fold["baselines"].values():
            assert set(figures) >= AGGREGATE_KEYS - {"baselines"}
    aggregate = report["aggregate"]
    assert set(aggregate) >= AGGREGATE_KEYS
    for own in (aggregate, *aggregate["baselines"].values()):
        for key in AGGREGATE_KEYS - {"baselines"}:
            assert set(own[key]) == {"value", "low", "high"}
    assert [gate["name"] for gate in report["gates"]] == list(GATE_NAMES)
    for gate in report["gates"]:
        assert list(gate) == ["name", "passed", "value", "limit", "required", "reason"]


def test_the_report_is_strict_json_and_survives_it(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_same_input_gives_the_same_report(made, report):
    assert scored(made) == report


def test_another_seed_moves_the_intervals_and_nothing_else(made, report):
    other = scored(made, seed=1)
    assert other["aggregate"]["accuracy"]["low"] != report["aggregate"]["accuracy"]["low"]
    assert other["folds"] == report["folds"]
    assert other["gates"] == report["gates"]


@pytest.mark.parametrize("name", ["model", "guesses", "buy_and_hold", "flat"])
@pytest.mark.parametrize("key", ["gross_return", "net_return", "turnover", "trades", "costs_paid"])
def test_the_folds_money_adds_up_to_the_aggregate(report, name, key):
    def of(figures):
        return figures if name == "model" else figures["baselines"][name]

    total = sum(of(fold)[key] for fold in report["folds"])
    assert total == pytest.approx(of(report["aggregate"])[key]["value"], abs=1e-9)


def test_the_folds_means_are_the_aggregate(report):
    n = [fold["n"] for fold in report["folds"]]
    for key in ("accuracy", "majority_accuracy", "f1_weighted", "f1_macro", "mcc", "brier"):
        mean = np.average([fold[key] for fold in report["folds"]], weights=n)
        assert report["aggregate"][key]["value"] == pytest.approx(mean, abs=1e-12)


def test_the_folds_confusion_adds_up_to_the_whole(report):
    total = np.sum([fold["confusion"] for fold in report["folds"]], axis=0)
    assert total.tolist() == report["confusion"]
    assert total.sum() == sum(fold["n"] for fold in report["folds"])
    assert sum(item["n"] for item in report["reliability"]) == total.sum()


def test_unlabelled_decisions_are_traded_but_not_scored(made, report):
    table = made.model.test
    unlabelled = [fold["n_unlabelled"] for fold in report["folds"]]
    assert sum(unlabelled) == int((~table.is_labelled).sum()) > 0
    known = table.is_labelled
    expected = classification_metrics(table.label[known], table.probability[known])
    for key in ("accuracy", "ece", "brier"):
        assert report["aggregate"][key]["value"] == pytest.approx(expected[key])


def test_intervals_hold_the_value_of_sums_and_means(report):
    for own in (report["aggregate"], *report["aggregate"]["baselines"].values()):
        for key in ("accuracy", "brier", "gross_return", "net_return", "turnover"):
            figures = own[key]
            if figures["value"] is not None:
                assert figures["low"] <= figures["value"] <= figures["high"]


def test_equity_ends_at_the_net_return_and_drawdown_reaches_the_maximum(report):
    series = report["equity"]
    aggregate = report["aggregate"]
    for name, values in series["equity"].items():
        own = aggregate if name == "model" else aggregate["baselines"][name]
        end = (values[-1] - series["capital"]) / series["capital"]
        assert end == pytest.approx(own["net_return"]["value"], abs=1e-12)
        assert values[0] == series["capital"]
    deepest = max(series["drawdown"]["model"])
    assert deepest == pytest.approx(aggregate["max_drawdown"]["value"], abs=1e-12)
    assert series["time_ns"] == sorted(series["time_ns"])


def test_long_series_are_thinned_to_a_thousand_points_that_keep_the_deepest():
    made = walk(n_rows=3000, n_sessions=1)
    fine = scored(made, backtest=replace(BACKTEST, bar_seconds=0.5))
    series = fine["equity"]
    assert series["bars"] > 1000
    assert 990 <= len(series["time_ns"]) <= 1000
    for values in (*series["equity"].values(), *series["drawdown"].values()):
        assert len(values) == len(series["time_ns"])
    deepest = fine["aggregate"]["max_drawdown"]["value"]
    assert max(series["drawdown"]["model"]) == pytest.approx(deepest, abs=1e-12)


def test_at_the_configured_cost_the_sensitivity_is_the_net_return(report):
    costs = report["cost_sensitivity"]
    at_one = costs["multiples"].index(1.0)
    at_none = costs["multiples"].index(0.0)
    for name, figures in costs["strategies"].items():
        own = report["aggregate"]
        own = own if name == "model" else own["baselines"][name]
        net, gross = (figures["net_return"][i] for i in (at_one, at_none))
        assert net == pytest.approx(own["net_return"]["value"], abs=1e-12)
        assert gross == pytest.approx(own["gross_return"]["value"], abs=1e-12)
    assert next(iter(costs["strategies"])) == "model"


def test_folds_tell_where_their_parts_lie(made, report):
    for plan, fold in zip(made.prepared.folds, report["folds"], strict=True):
        assert fold["train_start_ns"] < fold["validation_start_ns"] < fold["train_end_ns"]
        assert fold["train_end_ns"] < fold["start_ns"] <= fold["end_ns"]
        assert fold["label_threshold_ticks"] == made.prepared.threshold(plan)
        assert fold["confidence_threshold"] in BACKTEST.signal.candidates


def test_without_a_backtest_there_is_no_money_in_the_report(made):
    plain = scored(made, backtest=None)
    for key in ("backtest", "equity", "cost_sensitivity", "annualisation"):
        assert plain[key] is None
    assert plain["aggregate"]["net_return"] == {"value": None, "low": None, "high": None}
    assert list(plain["aggregate"]["baselines"]) == ["guesses"]
    gate = plain["gates"][-1]
    assert (gate["name"], gate["passed"], gate["required"]) == ("backtest", None, False)


def test_a_model_that_knows_passes_and_one_that_guesses_fails():
    free = BacktestConfig(
        costs="none", latency_ns=0, bar_seconds=20.0, signal=replace(BACKTEST.signal, threshold=0.4)
    )
    made = walk(skill=0.9)
    gates = GatesConfig(off=["train_eval_gap", "grad_norm"])
    good = scored(made, backtest=free, gates=gates)
    assert [gate["passed"] for gate in good["gates"] if gate["required"]] == [True] * 4
    assert good["verdict"] == "pass"
    swapped = replace(made, model=made.guesses, guesses=made.model)
    bad = scored(swapped, backtest=free, gates=gates)
    assert bad["verdict"] == "fail"
    assert bad["baseline"] == "guesses"


def test_training_figures_reach_their_gates(made):
    training = TrainingFigures(train_accuracy=(0.5,), grad_norm_p50=1.2, grad_norm_p95=2.0)
    report = scored(made, training=training, gates=GatesConfig())
    gates = {gate["name"]: gate for gate in report["gates"]}
    accuracies = [fold["accuracy"] for fold in report["folds"]]
    gap = np.mean([max(0.5 - accuracy, 0) for accuracy in accuracies])
    assert gates["train_eval_gap"]["value"] == pytest.approx(gap)
    assert gates["grad_norm"]["passed"] is True
    assert report["training"]["grad_norm_p95"] == 2.0


def test_a_figure_that_is_undefined_is_null(report):
    assert report["aggregate"]["baselines"]["flat"]["sharpe"]["value"] is None
    assert report["aggregate"]["baselines"]["buy_and_hold"]["f1_weighted"]["value"] is None


def test_provenance_is_taken_over(made):
    assert scored(made, provenance={"seed": 3})["provenance"] == {"seed": 3}


def test_the_model_alone_can_be_scored(made):
    report = score(
        made.book,
        made.model,
        {},
        backtest=replace(BACKTEST, signal=replace(BACKTEST.signal, threshold=0.4)),
        gates=GatesConfig(),
        n_resamples=10,
    )
    assert report["baseline"] is None
    assert report["verdict"] == "fail"
    assert report["label"] is None


def test_predictions_of_another_book_are_refused(made):
    other = replace(made.model.test, instrument="OTHER")
    with pytest.raises(PredictionsError, match=r"are of OTHER .* the book is of TEST"):
        score(made.book, ModelPredictions(test=other), {}, backtest=None, gates=GatesConfig())


def test_decisions_outside_the_book_are_refused(made):
    part = made.book.rows(0, 800)
    with pytest.raises(PredictionsError, match=r"with \d+ of \d+ decisions outside the book"):
        score(part, made.model, {}, backtest=None, gates=GatesConfig())


def test_a_fold_without_any_known_label_is_refused(made):
    table = made.model.test
    labels = np.where(table.fold == 1, -1, table.label)
    blank = ModelPredictions(test=replace(table, label=labels))
    with pytest.raises(PredictionsError, match="no decision of fold 1 has a known label"):
        score(made.book, blank, {}, backtest=None, gates=GatesConfig())


def test_a_misspelt_gate_is_refused_before_the_work(made):
    with pytest.raises(GateError, match="did you mean grad_norm"):
        score(made.book, made.model, {}, backtest=None, gates=GatesConfig(off=["gradnorm"]))
    with pytest.raises(GateError, match=r"gates\.baseline\.boosting: unknown"):
        score(made.book, made.model, {}, backtest=None, gates=GatesConfig(baseline="boosting"))


def test_baselines_come_from_the_config_alone(made):
    config = JudgeConfig(data=DATA, walk_forward=WALK_FORWARD, backtest=BACKTEST)
    baselines = baseline_predictions(made.book, config)
    assert list(baselines) == ["majority", "last_move", "imbalance", "logistic", "boosting"]
    report = score(
        made.book,
        made.model,
        baselines,
        backtest=BACKTEST,
        gates=GatesConfig(),
        n_resamples=20,
    )
    majority = report["aggregate"]["baselines"]["majority"]
    assert majority["mcc"]["value"] == 0
    assert math.isclose(
        majority["accuracy"]["value"],
        np.average(
            [fold["baselines"]["majority"]["accuracy"] for fold in report["folds"]],
            weights=[fold["n"] for fold in report["folds"]],
        ),
    )


def test_orders_larger_than_what_stands_at_the_touch_are_counted(made):
    small = scored(made, backtest=replace(BACKTEST, position_limit=1e-6))["backtest"]
    large = scored(made, backtest=replace(BACKTEST, position_limit=200.0))["backtest"]
    assert small["orders_above_touch"] == 0 < small["orders"]
    assert large["orders_above_touch"] == large["orders"]
