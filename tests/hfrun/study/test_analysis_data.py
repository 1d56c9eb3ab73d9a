"""A study as data, its axes, and where it stands."""

import json
import math
from typing import Any

import pytest

from hfrun.study.analysis import analyse
from hfrun.study.analysis.axis import axes_of, axis_plots, parallel, ranks
from hfrun.study.analysis.standing import best_of, cost, counts, finalists, not_run, table
from hfrun.study.study_data import StudyData
from tests.hfrun.study.analysis_case import DROPOUT, RATE, RATES, by_cell, drawn, study, trial

MISSED = ({"name": "latency_ms", "value": 12.0, "limit": 10.0, "direction": "at_most",
           "met": False},)  # fmt: skip
MET = ({**MISSED[0], "value": 8.0, "met": True},)


def test_a_study_is_read_back_from_json_as_it_was_written() -> None:
    data = drawn(points=2)
    saved = json.loads(json.dumps(data.as_dict(), allow_nan=False))
    assert StudyData.from_dict({**saved, "provenance": {}}).as_dict() == data.as_dict()
    assert len(saved["trials"]) == 6


@pytest.mark.parametrize(
    ("held", "is_feasible"),
    [
        ({"score": 0.5}, True),
        ({"score": 0.5, "constraints": MET}, True),
        ({"score": 0.5, "constraints": MET + MISSED}, False),
        ({"score": math.nan}, False),
        ({"score": None, "status": "done"}, False),
        ({"score": 0.5, "status": "pruned"}, False),
        ({"score": 0.5, "status": "running"}, False),
    ],
)
def test_only_a_finished_trial_with_a_score_that_meets_all_may_be_chosen(
    held: dict[str, Any], is_feasible: bool
) -> None:
    assert trial(0, **held).is_feasible is is_feasible


def test_explored_trials_are_the_short_ones_that_have_ended_in_their_order() -> None:
    data = study([
        trial(3, 0.5),
        trial(0, 0.6, phase="finalist"),
        trial(2, status="running"),
        trial(1, status="diverged", phase="exploit"),
    ])  # fmt: skip
    assert [each.number for each in data.explored] == [1, 3]
    assert [each.number for each in data.finalists] == [0]


def test_places_are_from_0_to_1_on_each_axis_own_scale() -> None:
    data = study(
        [],
        scientific={"model.kind": ["mlp", "rnn", "cnn"], "training.epochs": [9, 3]},
        nuisance={
            RATE: RATES,
            "training.momentum": {"low": 0.5, "high": 0.9},
            "text.width": {"values": [256, 64, 128]},
        },
    )
    kind, epochs, rate, momentum, width = axes_of(data)
    assert [kind.place({"model.kind": value}) for value in ("mlp", "rnn", "cnn")] == [0, 0.5, 1]
    assert rate.place({RATE: 1e-3}) == pytest.approx(2 / 3)
    assert momentum.place({"training.momentum": 0.6}) == pytest.approx(0.25)
    assert width.labels == ["64", "128", "256"]
    assert width.place({"text.width": 128.0}) == 0.5
    assert [axis.is_ordered for axis in (kind, epochs, rate, momentum, width)] == [
        False, True, True, True, True]  # fmt: skip
    assert epochs.bounds == (3.0, 9.0)
    assert rate.place({}) is None
    assert rate.place({RATE: "auto"}) is None
    assert kind.place({"model.kind": "gru"}) is None


def test_two_keys_with_the_same_last_word_are_named_in_full() -> None:
    data = study([], nuisance={"model.config.dropout": RATES, "head.dropout": RATES, RATE: RATES})
    assert [axis.name for axis in axes_of(data)] == [
        "model.config.dropout", "head.dropout", "learning_rate"]  # fmt: skip


def test_axis_plots_and_parallel_coordinates_hold_every_explored_trial() -> None:
    data = study(
        [
            trial(0, 0.6, values={DROPOUT: 0.3, RATE: 1e-3}, constraints=MISSED),
            trial(1, status="diverged", values={DROPOUT: 0.0, RATE: 1e-2}),
            trial(2, 0.5, values={DROPOUT: 0.0}),
        ],
        scientific={DROPOUT: [0.0, 0.3]},
        nuisance={RATE: {**RATES, "when": {DROPOUT: [0.3]}}},
    )
    dropout, rate = axis_plots(data, axes_of(data))
    assert [(point["trial"], point["x"], point["score"], point["status"])
            for point in dropout["points"]] == [
        (0, 1.0, 0.6, "infeasible"), (1, 0.0, None, "diverged"), (2, 0.0, 0.5, "done")]  # fmt: skip
    assert [point["trial"] for point in rate["points"]] == [0, 1]
    assert (rate["not_set"], rate["conditions"]) == (1, {DROPOUT: [0.3]})
    lines = parallel(data, axes_of(data))["lines"]
    assert [line["places"] for line in lines] == [
        [1.0, pytest.approx(2 / 3)], [0.0, 1.0], [0.0, None]]  # fmt: skip
    assert [line["rank"] for line in lines] == [None, None, 1]


def test_ranks_count_from_the_best_and_give_equal_ones_to_the_lower_number() -> None:
    trials = [trial(0, 0.4), trial(1, 0.6), trial(2, 0.6), trial(3, 0.9, constraints=MISSED)]
    assert ranks(study(trials)) == {1: 1, 2: 2, 0: 3}
    assert ranks(study(trials, higher_is_better=False)) == {0: 1, 1: 2, 2: 3}


def test_every_trial_is_counted_once_by_how_it_ended() -> None:
    ends = ("done", "diverged", "pruned", "failed", "running", "waiting")
    trials = [trial(n, 0.5 if end == "done" else None, status=end) for n, end in enumerate(ends)]
    trials.append(trial(6, 0.7, constraints=MISSED))
    found = counts(study(trials))
    assert {end: found[end] for end in ends} == {
        "done": 2, "diverged": 1, "pruned": 1, "failed": 1, "running": 1, "waiting": 1}  # fmt: skip
    assert (found["total"], found["feasible"], found["infeasible"]) == (7, 1, 1)


def test_cost_counts_the_seconds_that_are_known_and_those_that_came_to_nothing() -> None:
    trials = [trial(0, 0.5, seconds=10.0), trial(1, status="diverged", seconds=4.0),
              trial(2, 0.5), trial(3, status="running", seconds=1.0)]  # fmt: skip
    assert cost(study(trials)) == {
        "trials": 3, "seconds": 15.0, "median_seconds": 4.0, "seconds_without_result": 4.0,
    }  # fmt: skip


def test_finalists_are_means_over_seeds_and_one_that_lacks_a_seed_stands_back() -> None:
    ours, theirs = {RATE: 1e-3}, {RATE: 1e-4}
    trials = [
        trial(0, 0.9, values=theirs),
        trial(1, 0.60, values=ours, phase="finalist", seed=0),
        trial(2, 0.62, values=ours, phase="finalist", seed=1),
        trial(3, 0.70, values=theirs, phase="finalist", seed=0),
        trial(4, status="diverged", values=theirs, phase="finalist", seed=1),
    ]
    data = study(trials, nuisance={RATE: RATES})
    held = finalists(data, axes_of(data))
    assert [(each["mean"], each["lacking"], each["seeds"]) for each in held] == [
        (pytest.approx(0.61), 0, [0, 1]), (pytest.approx(0.7), 1, [0, 1])]  # fmt: skip
    best = best_of(data, axes_of(data))
    assert best is not None
    assert (best["trial"], best["score"], best["seeds"], best["phase"]) == (
        1, pytest.approx(0.61), 2, "finalist")  # fmt: skip


def test_a_mean_over_the_seeds_that_are_left_is_called_flattered() -> None:
    values = {RATE: 1e-3}
    trials = [trial(0, 0.70, values=values, phase="finalist", seed=0),
              trial(1, status="diverged", values=values, phase="finalist", seed=1)]  # fmt: skip
    told = analyse(study(trials, nuisance={RATE: RATES}))["findings"]
    (found,) = [line for line in told if "may not be chosen" in line]
    assert found == (
        "1 of 2 seeds of the best finalist have no score or may not be chosen: its figure is of "
        "the others alone, flattered by that, and adoption passes it over"
    )


def test_the_table_shows_finalists_then_the_best_then_what_has_no_score() -> None:
    trials = [trial(0), trial(1, 0.5), trial(2, 0.7, constraints=MISSED), trial(3, 0.6),
              trial(4, 0.4, phase="finalist"), trial(5, status="diverged")]  # fmt: skip
    rows = table(study(trials), [])
    assert [(row["trial"], row["rank"], row["status"]) for row in rows] == [
        (4, None, "done"), (3, 1, "done"), (1, 2, "done"), (2, None, "infeasible"),
        (5, None, "diverged"), (0, None, "failed")]  # fmt: skip


def test_what_is_left_of_the_budget_is_told() -> None:
    data = by_cell({0.0: [0.5, 0.6]}, budget={"trials": 4, "exploit": 1, "finalists": 2})
    left = not_run(data)
    assert left["missing"] == {"explore": 2, "exploit": 1, "finalist": 2}
    assert left["is_complete"] is False
    assert not_run(by_cell({0.0: [0.5]}, budget={"trials": 1}))["is_complete"] is True
