"""The best of n trials: by hand, against all choices, and whether the budget was enough."""

import math
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.study.analysis.axis import axes_of
from hfrun.study.analysis.best_of_n import best_of_n, expected_best, expected_bests
from hfrun.study.analysis.isolation import cells_of
from hfrun.study.study_data import StudyData
from tests.hfrun.study.analysis_case import RATE, RATES, by_cell, drawn, study, trial


def budget_of(data: StudyData) -> dict[str, Any]:
    return best_of_n(data, cells_of(axes_of(data)), np.random.default_rng(0))


def test_the_best_of_two_of_three_is_the_mean_over_the_three_pairs() -> None:
    assert expected_bests(np.array([1.0, 4.0, 2.0])) == pytest.approx([7 / 3, 10 / 3, 4.0])


@given(
    st.lists(
        st.one_of(st.floats(-10, 10), st.just(-math.inf)), min_size=1, max_size=7
    ).filter(lambda draws: max(draws) > -math.inf)
)  # fmt: skip
def test_the_curve_is_the_mean_over_all_choices_that_hold_a_score(draws: list[float]) -> None:
    by_hand = [
        fmean(best for chosen in combinations(draws, n) if (best := max(chosen)) > -math.inf)
        for n in range(1, len(draws) + 1)
    ]
    assert expected_bests(np.array(draws)) == pytest.approx(by_hand, abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=60))
def test_the_curve_never_falls_and_ends_at_the_best(draws: list[float]) -> None:
    found = expected_bests(np.array(draws))
    assert (np.diff(found) >= -1e-12).all()
    assert found[0] == pytest.approx(fmean(draws))
    assert found[-1] == pytest.approx(max(draws))


def test_a_number_that_was_not_drawn_and_no_score_at_all_have_no_best() -> None:
    assert expected_best(np.array([1.0, 2.0]), 3) == -math.inf
    assert (expected_bests(np.full(3, -math.inf)) == -math.inf).all()


def test_the_curve_of_many_draws_is_that_of_the_normal_distributions_order_statistics() -> None:
    from scipy import stats

    draws = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    # the expected largest of 2, 5 and 10 standard normals: Harter (1961), Biometrika 48
    found = expected_bests(draws)[[1, 4, 9]]
    assert found == pytest.approx([0.56419, 1.16296, 1.53875], abs=0.005)


def test_points_count_with_all_their_scientific_values() -> None:
    found = budget_of(by_cell({0.0: [0.1, 0.5, 0.2], 0.3: [0.3, 0.4, None]}))
    assert (found["n"], found["points"], found["trials"]) == ([2, 4, 6], 3, 6)
    # the points' bests are 0.3, 0.5 and 0.2
    assert found["expected"] == pytest.approx([1 / 3, (0.3 + 0.5 + 0.5) / 3, 0.5])


def test_what_diverged_is_drawn_and_what_failed_is_not() -> None:
    trials = [trial(0, 0.5, values={RATE: 1e-3}), trial(1, status="diverged", values={RATE: 1e-2}),
              trial(2, status="failed", values={RATE: 1e-4})]  # fmt: skip
    found = budget_of(study(trials, nuisance={RATE: RATES}))
    assert found["n"] == [1, 2]
    assert found["chance"] == pytest.approx([0.5, 1.0])
    assert found["expected"] == pytest.approx([0.5, 0.5])


def test_one_trial_copied_over_all_scientific_values_does_not_flatten_the_curve() -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    alone, thrice = by_cell({0.0: scores}), by_cell(dict.fromkeys((0.0, 0.3, 0.6), scores))
    assert budget_of(thrice)["expected"] == pytest.approx(budget_of(alone)["expected"])
    assert budget_of(thrice)["n"] == [3, 6, 9, 12, 15, 18, 21, 24]


@pytest.mark.parametrize(
    ("scores", "is_enough", "reason"),
    [
        ([0.5 - 0.4 * 0.7**n for n in range(24)], True, "brought"),
        ([0.1 * n for n in range(8)], False, "brought"),
        ([0.5] * 8, None, "all scores are the same"),
        ([0.1, 0.2, 0.3], None, "3 nuisance points may be chosen: 6 are needed"),
        ([None, None], None, "no trial may be chosen"),
    ],
)
def test_a_flat_curve_was_enough_and_one_that_climbs_was_not(
    scores: list[float | None], is_enough: bool | None, reason: str
) -> None:
    found = budget_of(by_cell({0.0: scores}))
    assert found["is_enough"] is is_enough
    assert reason in found["reason"]


def test_the_band_holds_the_curve_and_stands_on_its_other_side_where_less_is_better() -> None:
    more, less = (budget_of(drawn(points=12, sign=sign)) for sign in (1.0, -1.0))
    held = zip(more["low"], more["expected"], more["high"], strict=True)
    assert all(low <= expected <= high + 1e-12 for low, expected, high in held)
    assert less["expected"] == pytest.approx([-value for value in more["expected"]])
    assert less["low"] == pytest.approx([-value for value in more["high"]])
    assert (less["is_enough"], less["last_quarter"]) == (more["is_enough"], more["last_quarter"])
