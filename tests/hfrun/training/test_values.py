"""Schedules of values, progress lines, and the examples in the docstrings."""

import doctest
import importlib

import pytest
import torch
from torch import nn
from torch.optim import SGD

from hfrun.errors import TrainingError
from hfrun.training.callbacks import progress_line
from hfrun.training.values import DropoutSchedule, ValueSchedule, WeightDecaySchedule, constant


@pytest.mark.parametrize(
    ("between", "expected"),
    [("hold", [0.1, 0.1, 0.1, 0.3, 0.3, 0.2]), ("linear", [0.1, 0.2, 0.25, 0.3, 0.2, 0.2])],
)
def test_value_between_and_after_points_by_hand(between, expected) -> None:
    schedule = ValueSchedule(points={0: 0.1, 2: 0.3, 4: 0.1, 5: 0.2}, between=between)
    got = [schedule.at(position) for position in (0, 1, 1.5, 2, 3, 9)]
    assert got == pytest.approx(expected)


def test_points_out_of_order_are_sorted() -> None:
    assert ValueSchedule(points={3: 0.3, 0: 0.1}).at(1) == 0.1


@pytest.mark.parametrize("points", [{}, {1: 0.3}, {-1: 0.1, 2: 0.3}])
def test_a_schedule_without_a_value_at_the_beginning_is_refused(points) -> None:
    with pytest.raises(TrainingError, match="needs a value at 0"):
        ValueSchedule(points=points)


@pytest.mark.parametrize("points", [{0: "x"}, {0: None}, {"0": 0.1}, {0: float("nan")}])
def test_points_that_are_no_numbers_are_refused(points) -> None:
    with pytest.raises(TrainingError, match="needs a number for each position"):
        ValueSchedule(points=points)


def test_values_that_are_no_probability_or_decay_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"dropout of \[1.0\]"):
        DropoutSchedule(constant(1.0))
    with pytest.raises(TrainingError, match=r"weight decay of \[-0.1\]"):
        WeightDecaySchedule(constant(-0.1))


def test_dropout_is_set_in_all_layers_or_in_those_named() -> None:
    no_optimizer = SGD([nn.Parameter(torch.zeros(1))])
    model = nn.ModuleDict({"body": nn.Dropout(0.1), "head": nn.Sequential(nn.Dropout2d(0.2))})
    DropoutSchedule(constant(0.5)).set_value(0.5, model=model, optimizer=no_optimizer)
    assert [model["body"].p, model["head"][0].p] == [0.5, 0.5]
    DropoutSchedule(constant(0.0), only="head").set_value(0.0, model=model, optimizer=no_optimizer)
    assert [model["body"].p, model["head"][0].p] == [0.5, 0.0]


def test_weight_decay_is_set_where_weights_decay_and_nowhere_else() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    weight, bias, *norm = model.parameters()
    groups = [{"params": [weight]}, {"params": [bias, *norm], "weight_decay": 0.0}]
    optimizer = SGD(groups, lr=0.1, weight_decay=0.5)
    WeightDecaySchedule(constant(0.2)).set_value(0.2, model=model, optimizer=optimizer)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]


def test_a_weight_decay_schedule_that_would_change_nothing_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = SGD([model[0].bias], lr=0.1)
    with pytest.raises(TrainingError, match="no weights that are trained decay"):
        WeightDecaySchedule(constant(0.2)).set_value(0.2, model=model, optimizer=optimizer)


def test_progress_line_shows_what_a_person_wants_and_nothing_else() -> None:
    evaluated = {"eval_loss": 1.05, "eval_runtime": 3.0, "train_eval_gap": 0.125, "epoch": 2.0}
    line = progress_line(evaluated, step=10, steps=20)
    assert line == "step 10/20, epoch 2.00: eval loss 1.05, gap 0.125"
    assert progress_line({"train_runtime": 3.0}, step=10, steps=20) == ""
    stop = {"stop_rule": "above", "stop_reason": "eval_loss 2 is above 1", "epoch": 1.0}
    stopped = progress_line(stop, step=3, steps=9)
    assert stopped == "step 3/9, epoch 1.00: stopped by above: eval_loss 2 is above 1"


@pytest.mark.parametrize(
    "module",
    ["callbacks", "json_lines", "schedule_factors", "step_records", "stop_rules", "weighting"],
)
def test_examples_in_the_docstrings_hold(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"hfrun.training.{module}"))
    assert (results.failed, results.attempted > 0) == (0, True)
