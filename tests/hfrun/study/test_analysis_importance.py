"""Importance: what the score depended on, held against what chance gives."""

from typing import Any

import numpy as np
import pytest

from hfrun.study.analysis.axis import axes_of
from hfrun.study.analysis.importance import importance
from hfrun.study.study_data import StudyData
from tests.hfrun.study.analysis_case import (
    DECAY,
    DROPOUT,
    RATE,
    RATES,
    by_cell,
    drawn,
    study,
    trial,
)

KIND = "model.kind"


def of(data: StudyData) -> dict[str, Any]:
    return importance(data, axes_of(data), seed=0)


def test_the_rate_that_the_score_depends_on_is_clear_and_the_weight_decay_is_not() -> None:
    found = of(drawn(points=24))
    shares = {item["key"]: item["share"] for item in found["items"]}
    clear = [item["key"] for item in found["items"] if item["is_clear"]]
    assert (found["items"][0]["key"], clear) == (RATE, [RATE])
    assert shares[RATE] > 0.4
    assert abs(shares[DECAY]) < 0.05
    assert found["explained"] > 0.5


def test_a_score_of_noise_has_no_important_hyperparameter() -> None:
    rng = np.random.default_rng(1)
    data = by_cell({0.0: list(rng.normal(size=24)), 0.3: list(rng.normal(size=24))})
    found = of(data)
    assert [item["is_clear"] for item in found["items"]] == [False, False]
    assert "which of them matters cannot be told" in found["reason"]


def test_shares_are_sobols_total_effects_where_the_score_is_known() -> None:
    # y = 2 a + b, both even over [0, 1]: variances 4/12 and 1/12, so 0.8 and 0.2
    rng = np.random.default_rng(2)
    a, b = rng.random(400), rng.random(400)
    trials = [trial(n, float(2 * a[n] + b[n]), values={"x.a": float(a[n]), "x.b": float(b[n])})
              for n in range(400)]  # fmt: skip
    unit = {"low": 0.0, "high": 1.0}
    found = of(study(trials, nuisance={"x.a": unit, "x.b": unit}))
    assert {item["name"]: item["share"] for item in found["items"]} == {
        "a": pytest.approx(0.8, abs=0.1), "b": pytest.approx(0.2, abs=0.06)}  # fmt: skip


def test_a_choice_without_order_and_a_value_that_is_not_always_set_count() -> None:
    rng = np.random.default_rng(3)
    trials = []
    for n in range(60):
        kind = ("mlp", "rnn", "cnn")[n % 3]
        values: dict[str, Any] = {KIND: kind, RATE: float(10 ** rng.uniform(-5, -2))}
        score = {"mlp": 0.5, "rnn": 0.7, "cnn": 0.5}[kind] + 0.01 * rng.normal()
        if kind == "rnn":
            values[DROPOUT] = float(rng.uniform(0, 0.6))
        trials.append(trial(n, float(score), values=values))
    dropouts = {"low": 0.0, "high": 0.6, "when": {KIND: ["rnn"]}}
    kinds = {"values": ["mlp", "rnn", "cnn"]}
    found = of(study(trials, nuisance={KIND: kinds, RATE: RATES, DROPOUT: dropouts}))
    shares = {item["key"]: item["share"] for item in found["items"]}
    # that dropout is set tells of the kind too: the two share what it does
    assert shares[KIND] + shares[DROPOUT] > 0.5
    assert abs(shares[RATE]) < 0.05


def test_a_trial_that_diverged_counts_as_the_worst() -> None:
    # the score is the same wherever it is done: what the rate does is to diverge
    scores: list[float | None] = [0.5 + 0.001 * (n % 3) for n in range(12)] + [None] * 12
    found = of(by_cell({0.0: [0.1, *scores]}))
    assert found["items"][0]["key"] == RATE
    assert found["items"][0]["is_clear"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (by_cell({0.0: [0.5, 0.6, 0.7], 0.3: [0.5, 0.6, 0.7]}), "3 nuisance points: 6 are needed"),
        (by_cell({0.0: [0.5] * 8}), "all scores are the same"),
        (by_cell({0.0: [None] * 8}), "all scores are the same"),
        (study([]), "0 nuisance points: 6 are needed"),
    ],
)
def test_too_little_to_learn_from_is_said(data: StudyData, reason: str) -> None:
    found = of(data)
    assert found["items"] == []
    assert reason in found["reason"]
