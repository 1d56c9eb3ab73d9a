"""The best over nuisance for each scientific value, and when a lead is more than luck."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hfrun.study.analysis.axis import axes_of
from hfrun.study.analysis.draws import Draws, draws_of, nuisance_points
from hfrun.study.analysis.isolation import isolation_plots
from hfrun.study.analysis.leads import (
    better_half,
    hold_level,
    lead_over,
    paired_p,
    redrawn_best,
    shuffled_p,
)
from hfrun.study.study_data import StudyData
from tests.hfrun.study.analysis_case import DROPOUT, RATE, RATES, by_cell, drawn, study, trial

KIND = "model.kind"
NO = -np.inf


def plots_of(data: StudyData) -> list[dict[str, Any]]:
    return isolation_plots(data, axes_of(data), np.random.default_rng(0))


def test_each_value_has_its_best_over_everything_else() -> None:
    (plot,) = plots_of(by_cell({0.0: [0.5, 0.7, None, 0.6], 0.3: [0.4, 0.8, 0.2, 0.1]}))
    first, second = plot["values"]
    assert (first["best"], first["best_trial"], first["n"], first["feasible"]) == (0.7, 1, 4, 3)
    assert (first["diverged"], first["scores"]) == (1, [0.7, 0.6, 0.5])
    assert (first["top_mean"], first["top_n"]) == (pytest.approx(0.6), 3)
    assert second["best"] == 0.8
    assert plot["comparison"]["best"] == 1
    assert plot["comparison"]["lead"] == pytest.approx(0.1)


def test_a_value_with_more_trials_does_not_lead_by_their_number_alone() -> None:
    few = [0.6, 0.61, 0.62, 0.63]
    many = [*few, *(0.55 + 0.001 * n for n in range(20)), 0.635]
    trials = [trial(n, score, values={DROPOUT: 0.0, RATE: 1e-5 * 1.3**n})
              for n, score in enumerate(few)]  # fmt: skip
    trials += [trial(100 + n, score, values={DROPOUT: 0.3, RATE: 2e-5 * 1.3**n})
               for n, score in enumerate(many)]  # fmt: skip
    data = study(trials, scientific={DROPOUT: [0.0, 0.3]}, nuisance={RATE: RATES})
    (plot,) = plots_of(data)
    assert plot["compared_at"] == 4
    assert plot["values"][1]["best"] > plot["values"][0]["best"]
    assert plot["comparison"]["best"] == 0


def test_several_scientific_keys_have_a_plot_each_and_one_of_their_combinations() -> None:
    trials = [
        trial(2 * (2 * a + b) + n, 0.5 + 0.1 * a + 0.03 * b - 0.01 * n,
              values={DROPOUT: 0.3 * a, KIND: "mr"[b] + "nn", RATE: 10.0 ** -(n + 2)})
        for a in (0, 1) for b in (0, 1) for n in (0, 1)
    ]  # fmt: skip
    data = study(trials, scientific={DROPOUT: [0.0, 0.3], KIND: ["mnn", "rnn"]},
                 nuisance={RATE: RATES})  # fmt: skip
    dropout, kind, both = plots_of(data)
    assert [value["best"] for value in dropout["values"]] == pytest.approx([0.53, 0.63])
    assert [value["best"] for value in kind["values"]] == pytest.approx([0.6, 0.63])
    assert both["key"] is None
    assert [value["label"] for value in both["values"]] == [
        "dropout 0, model kind mnn", "dropout 0, model kind rnn", "dropout 0.3, model kind mnn",
        "dropout 0.3, model kind rnn"]  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "best", "reason"),
    [
        ({0.0: [None, None], 0.3: [0.5, 0.4]}, 1, "only 0.3 has a trial that may be chosen"),
        ({0.0: [None, None], 0.3: [None, None]}, None, "there is no trial that may be chosen"),
        ({0.0: [0.5, 0.4], 0.3: []}, 0, "only 0 has a trial that may be chosen"),
    ],
)
def test_a_value_that_was_never_done_leaves_nothing_to_compare(
    scores: dict[float, list[float | None]], best: int | None, reason: str
) -> None:
    (plot,) = plots_of(by_cell(scores))
    assert plot["comparison"]["decided"] is None
    assert plot["comparison"]["best"] == best
    assert reason in plot["comparison"]["reason"]


def test_without_a_scientific_hyperparameter_there_is_no_plot() -> None:
    assert plots_of(study([trial(0, 0.5, values={RATE: 1e-3})], nuisance={RATE: RATES})) == []


def test_points_are_told_apart_by_what_is_set_at_all_of_them() -> None:
    momentum = "training.momentum"
    trials = [
        trial(0, 0.5, values={KIND: "sgd", RATE: 1e-3, momentum: 0.9}),
        trial(1, 0.6, values={KIND: "adam", RATE: 1e-3}),
        trial(2, status="diverged", values={KIND: "sgd", RATE: 1e-4, momentum: 0.5}),
        trial(3, status="failed", values={KIND: "adam", RATE: 1e-4}),
    ]
    nuisance = {RATE: RATES, momentum: {"low": 0.1, "high": 1.0, "when": {KIND: ["sgd"]}}}
    data = study(trials, scientific={KIND: ["sgd", "adam"]}, nuisance=nuisance)
    wins = draws_of(data, data.explored, [{KIND: "sgd"}, {KIND: "adam"}]).wins
    np.testing.assert_array_equal(wins, [[0.5, 0.6], [NO, np.nan]])
    points = nuisance_points(data, trials)
    assert points[0] == points[1] != points[2] == points[3]


def test_the_better_half_are_the_points_where_either_value_is_best_and_both_have_a_score() -> None:
    shared = np.array([[0.1, 0.9], [0.8, 0.2], [NO, 0.95], [0.3, 0.3], [0.7, 0.1], [0.6, 0.5],
                       [0.2, 0.1]])  # fmt: skip
    half = better_half(shared)
    assert half[:, 0].tolist() == [0.1, 0.8, 0.7, 0.6, 0.3]


def test_the_paired_p_is_scipys_and_of_equal_differences_that_of_their_signs() -> None:
    from scipy import stats

    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 1, 7), rng.normal(0, 1, 7)
    assert paired_p(first - second) == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert paired_p(np.full(5, 0.25)) == 2 / 32
    assert paired_p(np.zeros(5)) == 1.0


def test_shuffling_agrees_with_all_exchanges_counted_by_hand() -> None:
    # of the 20 ways to deal six trials, the best three fall together in 2: the bests are then
    # as far apart as they were, or further
    p = shuffled_p(np.array([6.0, 5.9, 5.8]), np.array([1.0, 0.9, 0.8]), np.random.default_rng(0))
    assert p == pytest.approx(0.1, abs=0.02)
    no_score = np.full(3, NO)
    assert shuffled_p(no_score, no_score, np.random.default_rng(0)) == 1.0


def test_redrawn_bests_are_the_best_as_often_as_it_is_drawn_at_all() -> None:
    best = redrawn_best(np.array([1.0, 2.0, 3.0, 4.0]), np.random.default_rng(0))
    assert (best == 4.0).mean() == pytest.approx(1 - 0.75**4, abs=0.03)


def test_holms_levels_grow_from_the_smallest_p_and_stop_at_the_first_that_is_too_large() -> None:
    def marked(*p_values: float) -> list[bool]:
        others = [{"p": p, "is_enough": True, "is_ahead": True} for p in p_values]
        hold_level(others)
        return [bool(other["decided"]) for other in others]

    assert marked(0.04, 0.02) == [True, True]
    assert marked(0.04, 0.03) == [False, False]
    assert marked(0.06, 0.02) == [False, True]


def test_a_planted_effect_is_found_and_named_in_the_metrics_own_direction() -> None:
    for sign in (1.0, -1.0):
        (plot,) = plots_of(drawn(points=16, effect=0.02, sign=sign))
        comparison = plot["comparison"]
        assert comparison["decided"] is True
        assert plot["values"][comparison["best"]]["label"] == "0.6"
        assert sign * comparison["lead"] > 0.01
        assert sign * comparison["gain"] == pytest.approx(0.02, abs=0.006)
        assert comparison["low"] < comparison["lead"] < comparison["high"]


def test_a_bad_value_is_no_reason_to_call_the_best_two_told_apart() -> None:
    rng = np.random.default_rng(3)
    alike = 0.6 + 0.01 * rng.normal(size=(2, 8))
    scores = {0.0: list(alike[0]), 0.3: list(alike[1]), 0.9: [0.2 + 0.01 * n for n in range(8)]}
    (plot,) = plots_of(by_cell(scores))
    assert plot["comparison"]["decided"] is False
    over_the_bad = [each for each in plot["comparison"]["others"] if each["value"] == 2]
    assert over_the_bad[0]["decided"] is True


@pytest.mark.parametrize("kind", ["noise", "other optimum", "diverging"])
def test_equal_values_are_told_apart_in_about_one_study_of_twenty(kind: str) -> None:
    rng = np.random.default_rng(11)
    decided = ahead = 0
    for _ in range(60):
        rate = rng.uniform(-1.5, 1.5, size=8)
        second = rate - 0.7 if kind == "other optimum" else rate
        clean = np.stack([-0.04 * rate**2, -0.04 * second**2], axis=1)
        if kind == "diverging":
            clean[rate > 0.8] = NO
        wins = clean + 0.005 * rng.normal(size=(8, 2))
        best = int(np.argmax(wins.max(axis=0)))
        others = [lead_over(Draws(wins=wins), best, 1 - best, 1.0, rng)]
        hold_level(others)
        decided += others[0]["decided"]
        ahead += others[0]["is_ahead"]
    # at a true rate of 5 % more than 8 of 60 have a chance of 0.4 %
    assert decided <= 8
    assert ahead > decided  # the bootstrap of the bests alone would claim more


def test_a_lead_over_few_trials_is_never_decided() -> None:
    (plot,) = plots_of(by_cell({0.0: [0.9, 0.8], 0.3: [0.1, 0.2]}))
    assert plot["comparison"]["decided"] is False
    assert "only 2 trials" in plot["comparison"]["reason"]


def test_a_trial_that_failed_costs_its_point_and_not_the_pairing() -> None:
    data = drawn(points=16, effect=0.02)
    found = [each for each in data.trials if each.status == "done"]
    failed = replace(found[0], status="failed", score=None)
    trials = tuple(failed if each is found[0] else each for each in data.trials)
    (plot,) = plots_of(replace(data, trials=trials))
    assert plot["values"][0]["failed"] == 1
    assert plot["comparison"]["decided"] is True
    assert plot["comparison"]["low"] < plot["comparison"]["lead"] < plot["comparison"]["high"]


def test_points_of_the_exploitation_that_each_value_has_for_itself_count_in_the_bests() -> None:
    data = by_cell({0.0: [0.5, 0.6, 0.7, 0.6, 0.5], 0.3: [0.6, 0.7, 0.8, 0.7, 0.6]})
    more = [trial(10 + n, 0.75 + 0.1 * n, phase="exploit", values={DROPOUT: 0.3 * n,
                                                                   RATE: 1e-4 * (n + 3)})
            for n in (0, 1)]  # fmt: skip
    (plot,) = plots_of(replace(data, trials=(*data.trials, *more)))
    assert [value["best"] for value in plot["values"]] == [0.75, 0.85]
    assert plot["comparison"]["others"][0]["pairs"] == 5
