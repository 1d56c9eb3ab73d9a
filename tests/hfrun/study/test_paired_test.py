"""Whether a candidate is better than its seeds are apart: hfrun.study.paired_test."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hfrun.errors import HfrunError
from hfrun.study.paired_test import Decision, adoption_rates, decide, look_levels, looks_of

ROOT = Path(__file__).parents[3]
PLAN: dict[str, Any] = {"level": 0.025, "seeds": 5, "most_seeds": 15}
ONE_LOOK: dict[str, Any] = {"level": 0.05, "seeds": 3, "most_seeds": 3}


def decided(old: Any, new: Any, **more: Any) -> Decision:
    return decide(old, new, **{"higher_is_better": True, **PLAN, **more})


def shifted(gain: float, *, pairs: int = 15, noise: float = 1.0, seed: int = 0) -> Any:
    """Scores of both, with noise of each training and more of each seed."""
    rng = np.random.default_rng(seed)
    of_seed, old, new = rng.standard_normal((3, pairs))
    return of_seed + noise * old, of_seed + noise * new + gain


def test_three_pairs_by_hand() -> None:
    # differences 1, 2, 3: mean 2, standard deviation 1, error 1 / sqrt(3), t = 3.464 with 2 df
    found = decided([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], **ONE_LOOK)
    assert found.verdict == "adopt"
    assert found.gain == pytest.approx(2.0)
    assert found.standard_error == pytest.approx(0.57735, abs=1e-5)
    assert found.p == pytest.approx(0.03709, abs=1e-5)
    assert found.interval == pytest.approx((2 - 2.91999 * 0.57735, 2 + 2.91999 * 0.57735), abs=1e-4)
    assert found.spread == pytest.approx(np.sqrt(1 + 4))
    assert found.reason == (
        "the gain is +2 with a standard error of 0.58 over 3 seeds (paired t over seeds, one-sided "
        "p 0.037 against 0.05 at look 1 of 1): it exceeds the spread over seeds"
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_figures_match_scipys_paired_t_test(seed: int, pairs: int) -> None:
    old, new = np.random.default_rng(seed).normal(size=(2, pairs))
    found = decided(old, new, level=0.05, seeds=pairs, most_seeds=pairs)
    reference = stats.ttest_rel(new, old, alternative="greater")
    two_sided = stats.ttest_rel(new, old).confidence_interval(0.9)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert found.interval == pytest.approx((two_sided.low, two_sided.high), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1, 4))
def test_what_a_seed_does_to_both_and_the_way_of_the_metric_change_nothing(
    seed: int, gain: float
) -> None:
    old, new = shifted(gain, seed=seed)
    found, of_seed = decided(old, new), np.random.default_rng(seed).normal(size=len(old))
    moved = decided(old + of_seed, new + of_seed)
    mirrored = decided(-old, -new, higher_is_better=False)
    assert moved.verdict == mirrored.verdict == found.verdict
    assert moved.gain == pytest.approx(found.gain)
    assert mirrored.gain == pytest.approx(found.gain)
    assert mirrored.p == pytest.approx(found.p)


def test_looks_share_out_the_whole_level() -> None:
    assert [looks_of(*plan) for plan in ((5, 15), (5, 10), (5, 12), (5, 7), (4, 4), (2, 7))] == [
        (5, 10, 15), (5, 10), (5, 12), (5, 7), (4,), (2, 4, 7)
    ]  # fmt: skip
    levels = look_levels((5, 10, 15), 0.025)
    assert levels == pytest.approx([0.025 / 14, 0.1 / 14, 0.225 / 14])
    assert sum(levels) == pytest.approx(0.025)


def test_on_noise_it_adopts_no_more_often_than_its_level() -> None:
    rates = adoption_rates(0.0, **PLAN, repetitions=4000)
    assert 0 < rates.adopted <= 0.025
    assert 5 < rates.pairs < 10  # half of them end at the first look


def test_a_gain_of_three_standard_errors_is_nearly_always_adopted() -> None:
    assert adoption_rates(3.0, **PLAN, repetitions=500).adopted > 0.97
    assert adoption_rates(3.0, **{**PLAN, "most_seeds": 10}, repetitions=500).adopted > 0.9


def test_noise_with_heavy_tails_is_not_adopted_more_often() -> None:
    rng = np.random.default_rng(3)
    adopted = sum(decided(*rng.standard_t(2, size=(2, 15))).verdict == "adopt" for _ in range(500))
    assert adopted <= 0.025 * 500


def test_a_decision_stands_whatever_later_seeds_say() -> None:
    old, new = shifted(6.0)
    first = decided(old[:5], new[:5])
    assert (first.verdict, first.look) == ("adopt", 1)
    assert decided(old, np.concatenate([new[:5], new[5:] - 100])) == first


def test_no_gain_is_refused_at_the_first_look() -> None:
    old, new = shifted(-1.0)
    found = decided(old, new)
    assert (found.verdict, found.pairs, found.next_look) == ("refuse", 5, None)
    assert found.reason.endswith("there is none")


def test_seeds_are_added_while_it_is_open_and_no_longer() -> None:
    old = np.zeros(15)
    new = np.resize([0.3, -0.1, 0.2, -0.2], 15)  # a gain that is never clear
    looks = [decided(old[:n], new[:n]) for n in (5, 9, 10, 15)]
    assert [look.verdict for look in looks] == ["more_seeds"] * 3 + ["refuse"]
    assert [look.pairs for look in looks] == [5, 5, 10, 15]
    assert [look.next_look for look in looks] == [10, 10, 15, None]
    assert looks[0].reason.endswith("open until 10 seeds")
    assert looks[3].reason.endswith("a tie (-0.0619 to +0.195, where two trainings differ by "
                                    "0.21), and the candidate is no simpler")  # fmt: skip


def test_folds_count_by_their_mean_as_one_seed() -> None:
    old, new = (np.random.default_rng(seed).normal(size=(5, 4)) for seed in (1, 2))
    assert decided(old, new) == decided(old.mean(axis=1), new.mean(axis=1))
    assert decided(old, new).pairs == 5


def test_a_tie_goes_to_the_one_with_fewer_parameters() -> None:
    old, new = shifted(0.0, noise=0.2, seed=4)
    smaller = decided(old, new, incumbent_cost=200, candidate_cost=100)
    assert (smaller.verdict, smaller.is_tie, smaller.simpler) == ("adopt", True, "candidate")
    assert smaller.p > smaller.level  # it is no better
    assert "and the candidate has fewer parameters" in smaller.reason
    for costs in ({}, {"incumbent_cost": 100, "candidate_cost": 100},
                  {"incumbent_cost": 100, "candidate_cost": 200}):  # fmt: skip
        assert decided(old, new, **costs).verdict == "refuse"


def test_scores_that_are_merely_not_told_apart_are_no_tie() -> None:
    old, new = [0.1, 0.5, 0.9, 0.2, 0.6], [0.7, 0.3, 0.2, 0.8, 0.4]  # five pairs tell little
    found = decided(old, new, most_seeds=5, incumbent_cost=200, candidate_cost=100)
    low, high = found.interval
    assert low < -found.spread < 0 < found.spread < high
    assert (found.verdict, found.is_tie) == ("refuse", False)
    assert "does not exceed the spread over seeds" in found.reason


def test_fewer_parameters_do_not_excuse_a_worse_score() -> None:
    old, new = shifted(-1.0, noise=0.1)
    found = decided(old, new, incumbent_cost=200, candidate_cost=100)
    assert found.verdict == "refuse"
    assert "fewer parameters, and is worse" in found.reason


def test_one_worse_by_the_spread_is_rarely_taken_for_a_tie() -> None:
    rng = np.random.default_rng(5)
    adopted = 0
    for _ in range(500):
        old, new = rng.standard_normal((2, 15))
        found = decided(old, new - np.sqrt(2), incumbent_cost=2, candidate_cost=1)
        adopted += found.verdict == "adopt"
    assert adopted <= 0.025 * 500


def test_more_parameters_are_taken_for_a_gain_and_told() -> None:
    old, new = shifted(6.0)
    found = decided(old, new, incumbent_cost=100, candidate_cost=200)
    assert found.verdict == "adopt"
    assert found.reason.endswith("exceeds the spread over seeds, with more parameters")


def test_differences_without_spread_are_judged_by_their_number() -> None:
    old = np.linspace(0.4, 0.5, 10)
    early = decided(old[:5], old[:5] + 0.01, most_seeds=10)
    assert (early.verdict, early.standard_error) == ("more_seeds", 0.0)
    assert early.p == 0.5**5
    late = decided(old, old + 0.01, most_seeds=10)
    assert (late.verdict, late.test, late.p) == ("adopt", "sign test over seeds", 0.5**10)
    same = decided(old, old, most_seeds=10)
    assert (same.verdict, same.gain, same.is_tie) == ("refuse", 0.0, True)
    assert decided(old, old, incumbent_cost=2, candidate_cost=1).verdict == "adopt"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ([1.0, 2.0], [1.0, 2.0], "2 scores of the incumbent and 2 .* at least 5"),
        ([1.0] * 6, [1.0] * 5, "6 scores of the incumbent and 5"),
        ([1.0] * 5, [1.0] * 4 + [float("nan")], "candidate: not every score is finite"),
        (np.ones((5, 2, 2)), np.ones((5, 2, 2)), r"shape \(5, 2, 2\)"),
    ],
)
def test_scores_that_do_not_pair_are_refused(old: Any, new: Any, said: str) -> None:
    with pytest.raises(HfrunError, match=said):
        decided(old, new)


@pytest.mark.slow
@pytest.mark.parametrize("most_seeds", [15, 10])
def test_the_documented_rates_are_those_of_the_plan(most_seeds: int) -> None:
    text = (ROOT / "docs" / "adoption.md").read_text(encoding="utf-8")
    table = text.split(f"study.adoption.most_seeds={most_seeds}`")[1].split("|---:|---:|---:|\n")[1]
    for gain, line in enumerate(table.split("\n\n")[0].splitlines()):
        rates = adoption_rates(float(gain), **{**PLAN, "most_seeds": most_seeds})
        assert line == f"| {gain} | {rates.adopted:.3f} | {rates.pairs:.1f} |"
