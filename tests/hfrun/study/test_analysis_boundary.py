"""Crowded bounds: which are named, and what to set instead."""

from typing import Any

import numpy as np
import pytest
import yaml

from hfrun.study.analysis.axis import axes_of
from hfrun.study.analysis.boundary import boundaries
from hfrun.study.analysis.isolation import isolation_plots
from hfrun.study.study_data import StudyData
from hfrun.study_config import StudyConfig
from tests.hfrun.study.analysis_case import DROPOUT, RATE, RATES, drawn, study, trial

LINEAR = {"low": 0.0, "high": 1.0}


def found_in(data: StudyData) -> list[dict[str, Any]]:
    axes = axes_of(data)
    return boundaries(data, axes, isolation_plots(data, axes, np.random.default_rng(0)))


def of_values(values: list[Any], held: dict[str, Any], key: str = RATE) -> StudyData:
    """A point for each value; the first is the best."""
    trials = [trial(n, 1.0 - 0.01 * n, values={key: value}) for n, value in enumerate(values)]
    return study(trials, nuisance={key: held})


def test_three_best_points_within_a_tenth_of_a_log_bound_ask_for_a_decade_more() -> None:
    (found,) = found_in(of_values([9e-3, 8e-3, 7e-3, 1e-3, 1e-4, 1e-5], RATES))
    assert (found["side"], found["bound"], found["near"], found["k"]) == (
        "high",
        1e-2,
        [0, 1, 2],
        3,
    )
    assert found["suggested"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(0.001)
    assert found["yaml"] == "training.learning_rate: {low: 1.0e-05, high: 0.1, log: true}"
    assert "3 of the best 3 points lie within a tenth of the upper bound" in found["text"]


@pytest.mark.parametrize(
    ("values", "n_found"),
    [
        ([0.95, 0.92, 0.5, 0.4, 0.3, 0.2], 1),  # 2 of 3: by luck in 2.8 %
        ([0.95, 0.5, 0.92, 0.4, 0.3, 0.2], 1),  # in which order does not matter
        ([0.95, 0.5, 0.4, 0.92, 0.3, 0.2], 0),
        ([0.95, 0.02, 0.5, 0.4, 0.3, 0.2], 0),  # one at either end is no crowd
        ([0.95, 0.92, 0.91, 0.4, 0.3], 0),  # too few to call three of them the best
        ([0.90, 0.91, 0.5, 0.4, 0.3, 0.2], 1),  # a tenth itself is within
        ([0.89, 0.89, 0.5, 0.4, 0.3, 0.2], 0),
    ],
)
def test_a_crowd_is_more_than_luck_among_enough_points(values: list[float], n_found: int) -> None:
    assert len(found_in(of_values(values, LINEAR))) == n_found


def test_a_point_counts_once_however_many_scientific_values_it_was_run_at() -> None:
    rates = [9e-3, 1e-3, 1e-4, 5e-4, 2e-4, 1e-5]
    trials = [
        trial(3 * n + step, 1.0 - 0.1 * n, values={DROPOUT: dropout, RATE: rate})
        for n, rate in enumerate(rates)
        for step, dropout in enumerate((0.0, 0.3, 0.6))
    ]
    data = study(trials, scientific={DROPOUT: [0.0, 0.3, 0.6]}, nuisance={RATE: RATES})
    assert found_in(data) == []


def test_equal_scores_and_trials_that_may_not_be_chosen_crowd_nothing() -> None:
    values = [9e-3, 8e-3, 7e-3, 1e-3, 1e-4, 1e-5]
    alike = [trial(n, 0.5, values={RATE: value}) for n, value in enumerate(values)]
    assert found_in(study(alike, nuisance={RATE: RATES})) == []
    missed = ({"name": "seconds", "met": False},)
    trials = [trial(n, 0.9 - 0.1 * n, values={RATE: value}, constraints=missed if n < 3 else ())
              for n, value in enumerate([*values, 3e-4, 3e-5, 5e-4])]  # fmt: skip
    assert found_in(study(trials, nuisance={RATE: RATES})) == []


@pytest.mark.parametrize(
    ("key", "held", "side", "suggested"),
    [
        ("training.learning_rate", RATES, "low", 1e-6),
        ("training.learning_rate", RATES, "high", 0.1),
        ("training.max_grad_norm", {"low": 1.0, "high": 3.0}, "high", 5.0),
        ("training.max_grad_norm", {"low": 2.5, "high": 3.0}, "low", 2.0),
        ("training.max_grad_norm", {"low": 1.0, "high": 3.0}, "low", 0.5),  # never below 0
        ("training.weight_decay", {"low": 0.0, "high": 0.1}, "low", None),
        ("model.config.dropout", {"low": 0.0, "high": 0.8}, "high", 0.9),  # a share ends at 1
        ("training.adam_beta2", {"low": 0.9, "high": 0.99}, "high", 0.995),
        ("model.config.layers", {"low": 1, "high": 30, "integer": True}, "low", None),
        ("model.config.layers", {"low": 8, "high": 64, "integer": True, "log": True}, "low", 1),
        ("model.config.width", {"values": [16, 32, 64, 128, 256]}, "high", 512),
        ("training.weight_decay", {"values": [0.1, 0.2, 0.3, 0.4]}, "high", 0.5),
    ],
)
def test_the_suggested_bound_is_one_that_a_study_accepts(
    key: str, held: dict[str, Any], side: str, suggested: float | None
) -> None:
    listed = held.get("values")
    ends = (listed or [held["low"], held["high"]])[:: 1 if side == "low" else -1]
    near, far = ends[0], ends[-1]
    points = [{key: near, "training.seed_of_data": n} for n in range(4)]
    points += [{key: far, "training.seed_of_data": n} for n in range(16)]
    trials = [trial(n, 1.0 - 0.01 * n, values=values) for n, values in enumerate(points)]
    other = {"training.seed_of_data": {"values": list(range(16))}}
    data = study(trials, nuisance={key: held, **other})
    (found,) = [each for each in found_in(data) if each["key"] == key]
    assert found["side"] == side
    assert found["suggested"] == (suggested if suggested is None else pytest.approx(suggested))
    if suggested is None:
        assert found["yaml"] is None
        assert "cannot go further" in found["text"]
        return
    widened = StudyConfig(nuisance=yaml.safe_load(found["yaml"])).parameters[key]
    bounds = widened.values or [widened.low, widened.high]
    assert bounds[0 if side == "low" else -1] == pytest.approx(suggested)


@pytest.mark.parametrize(
    ("held", "bounds"),
    [({"low": 1e-4, "high": 1e-2, "log": True}, (1e-4, 0.1)),
     ({"values": [1e-4, 2e-4, 5e-4, 1e-3, 1e-2]}, (1e-4, 0.1))],
)  # fmt: skip
def test_the_line_to_paste_keeps_the_condition_of_a_hyperparameter(
    held: dict[str, Any], bounds: tuple[float, float]
) -> None:
    when = {"training.optim": ["adamw_torch"]}
    values = [1e-2, 1e-2, 1e-2, *[1e-4] * 17]
    points = [{RATE: value, "training.seed_of_data": n} for n, value in enumerate(values)]
    trials = [trial(n, 1.0 - 0.01 * n, values=point) for n, point in enumerate(points)]
    other = {"training.seed_of_data": {"values": list(range(20))}}
    data = study(trials, nuisance={RATE: {**held, "when": when}, **other})
    (found,) = [each for each in found_in(data) if each["key"] == RATE]
    widened = StudyConfig(nuisance=yaml.safe_load(found["yaml"])).parameters[RATE]
    assert widened.when == when
    ends = widened.values or [widened.low, widened.high]
    assert (ends[0], ends[-1]) == pytest.approx(bounds)


def test_whole_numbers_and_listed_values_need_a_larger_crowd_as_luck_fills_them_too() -> None:
    few = {"low": 1, "high": 3, "integer": True}
    points = [(3, 0.1), (3, 0.2), (1, 0.3), (2, 0.4), (2, 0.5), (1, 0.6)]
    trials = [trial(n, 1.0 - 0.1 * n, values={"model.layers": layers, DROPOUT: dropout})
              for n, (layers, dropout) in enumerate(points)]  # fmt: skip
    data = study(trials, nuisance={"model.layers": few, DROPOUT: {"low": 0.0, "high": 0.9}})
    # 2 of 3 at the highest of three whole numbers: by luck in 26 %
    assert [each["key"] for each in found_in(data)] == []


def test_a_scientific_value_at_the_end_of_its_list_is_named_only_where_it_leads_for_certain() -> (
    None
):
    (found,) = found_in(drawn(points=16, effect=0.02))
    assert (found["role"], found["bound"], found["suggested"]) == ("scientific", 0.6, 0.9)
    assert found["text"] == "the best dropout, 0.6, is the highest of 3: try 0.9 too"
    assert found_in(drawn(points=16, effect=0.0)) == []
