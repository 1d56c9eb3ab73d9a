"""The list of a study's trials: how many of what, in which order, and what a later phase tries."""

from typing import Any

import pytest

from hfrun.study.plan import Planned, best_first, may_begin, plan_of, stretched, values_for
from hfrun.study.space import Space
from hfrun.study.study_data import StudyTrial
from hfrun.study_config import BudgetConfig, StudyConfig

DROPOUT, RATE = "model.config.dropout", "training.learning_rate"


def study_of(**budget: Any) -> StudyConfig:
    return StudyConfig(
        scientific={DROPOUT: [0.0, 0.3, 0.6]},
        nuisance={RATE: {"low": 1e-5, "high": 1e-2, "log": True}},
        seeds=[4, 7],
        budget=BudgetConfig(**budget),
    )


def trial(number: int, score: float | None, **changes: Any) -> StudyTrial:
    values = {DROPOUT: 0.3, RATE: 10.0 ** -(number + 2)}
    status = "done" if score is not None else "diverged"
    return StudyTrial(**{"number": number, "status": status, "values": values, "score": score,
                         **changes})  # fmt: skip


def test_the_plan_has_the_budget_of_every_phase_with_each_scientific_value_as_often() -> None:
    study = study_of(trials=6, exploit=3, finalists=2)
    plan = plan_of(study, Space.of(study))
    assert [(each.phase, each.index) for each in plan] == [
        *(("explore", i) for i in range(6)),
        *(("exploit", i) for i in range(3)),
        *(("finalist", i) for i in range(4)),
    ]
    explored = [each.values[DROPOUT] for each in plan[:6]]
    assert sorted(explored) == [0.0, 0.0, 0.3, 0.3, 0.6, 0.6]
    assert [each.values for each in plan[6:9]] == [{DROPOUT: 0.0}, {DROPOUT: 0.3}, {DROPOUT: 0.6}]
    assert [each.seed for each in plan] == [4] * 9 + [4, 7, 4, 7]  # each finalist with every seed


def test_a_larger_budget_begins_with_the_smaller_ones_trials() -> None:
    plans = []
    for trials in (9, 15):
        study = study_of(trials=trials)
        plans.append(plan_of(study, Space.of(study)))
    assert plans[1][:9] == plans[0]


def test_a_phase_waits_for_all_trials_of_the_phases_before_it() -> None:
    exploit = Planned(phase="exploit", index=0, seed=0, values={})
    explored = [trial(0, 0.5), trial(1, None)]
    assert may_begin(exploit, [*explored, trial(2, None, phase="exploit", status="waiting")])
    assert not may_begin(exploit, [*explored, trial(2, None, status="running")])
    assert not may_begin(exploit, [*explored, trial(2, None, status="waiting")])
    final = Planned(phase="finalist", index=0, seed=0, values={})
    assert not may_begin(final, [*explored, trial(2, None, phase="exploit", status="running")])


def test_finalists_are_the_best_feasible_trials_each_for_as_many_trials_as_there_are_seeds() -> (
    None
):
    unmet = ({"name": "parameters", "met": False, "violation": 0.5},)
    trials = [
        trial(0, 0.5), trial(1, 0.7), trial(2, 0.9, constraints=unmet), trial(3, None),
        trial(4, 0.7), trial(5, 0.99, phase="finalist"),
    ]  # fmt: skip
    assert [each.number for each in best_first(trials, higher_is_better=True)] == [1, 4, 0]
    assert [each.number for each in best_first(trials, higher_is_better=False)] == [0, 1, 4]
    study = study_of(trials=6, finalists=4)
    found = [
        values_for(planned, Space.of(study), trials[:5], seeds=2, higher_is_better=True, seed=0)
        for planned in plan_of(study, Space.of(study))[6:]
    ]
    assert found == [*[trials[n].values for n in (1, 1, 4, 4, 0, 0)], None, None]


def test_exploitation_sees_its_own_scientific_value_and_stays_within_it() -> None:
    study = study_of(trials=6, exploit=1)
    planned = plan_of(study, Space.of(study))[6]
    trials = [trial(n, 0.1 * n) for n in range(4)]
    found = values_for(planned, Space.of(study), trials[:5], seeds=2, higher_is_better=True, seed=0)
    assert found is not None
    assert found[DROPOUT] == 0.0
    assert 1e-5 <= found[RATE] <= 1e-2


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"num_train_epochs": 4, "learning_rate": 1e-3}, {"num_train_epochs": 10}),
        ({}, {"num_train_epochs": 7.5}),  # transformers' default is 3
        ({"max_steps": 100, "warmup_steps": 20}, {"max_steps": 250, "warmup_steps": 50}),
        ({"warmup_steps": 0.1}, {"warmup_steps": 0.1}),  # a share stays one
        ({"max_steps": -1}, {"max_steps": -1}),
        (
            {"schedule": {"name": "step", "step_every": 40}},
            {"schedule": {"name": "step", "step_every": 100}},
        ),
    ],
)
def test_a_longer_training_keeps_its_rate_and_draws_out_its_schedule(
    training: dict[str, Any], expected: dict[str, Any]
) -> None:
    raw = {"training": training, "callbacks": {"dropout_schedule": {"points": {0: 0.1, 2: 0.3}}}}
    longer = stretched(raw, 2.5)
    assert {**longer["training"], **expected} == longer["training"]
    assert longer["training"].get("learning_rate") == training.get("learning_rate")
    assert longer["callbacks"]["dropout_schedule"]["points"] == {0: 0.1, 5: 0.3}
    assert raw["callbacks"]["dropout_schedule"]["points"] == {0: 0.1, 2: 0.3}
