"""The comparison over seeds: against scipy, against least squares, by hand, and as properties."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hfrun.study.seed_spread import seed_spread


def levels_of(*sizes: int) -> dict[str, list[int]]:
    places = list(itertools.product(*map(range, sizes)))
    return {f"factor{at}": [place[at] for place in places] for at in range(len(sizes))}


def test_two_cells_are_compared_by_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 6)) + np.linspace(0, 3, 6)  # the seeds differ more than the cells
    found = seed_spread(scores, levels=levels_of(2))
    paired = stats.ttest_rel(scores[0], scores[1])
    (effect,) = found.effects
    assert (effect.df, effect.df_rest) == (1, 5)
    assert effect.f_value == pytest.approx(paired.statistic**2)
    assert effect.p_value == pytest.approx(paired.pvalue)
    (difference,) = found.differences
    assert difference.p_value == pytest.approx(paired.pvalue, rel=1e-6)
    low, high = paired.confidence_interval(0.95)
    best = int(scores.mean(axis=1).argmax())
    expected = (low, high) if best == 1 else (-high, -low)
    assert (difference.low, difference.high) == pytest.approx(expected, rel=1e-6)


def test_every_effect_of_a_grid_is_that_of_least_squares() -> None:
    """F from sums of squares that regressions with and without the factor leave over."""
    rng = np.random.default_rng(1)
    levels = levels_of(3, 2)
    scores = rng.normal(size=(6, 4)) + np.array([0, 0, 1, 1, 0, 2])[:, None]
    found = {effect.name: effect for effect in seed_spread(scores, levels=levels).effects}

    def left(*columns: np.ndarray) -> tuple[float, int]:
        design = np.concatenate(columns, axis=1)
        fitted = design @ np.linalg.lstsq(design, scores.ravel(), rcond=None)[0]
        return float(((scores.ravel() - fitted) ** 2).sum()), int(np.linalg.matrix_rank(design))

    def one_hot(of_cell: list[int]) -> np.ndarray:
        return np.repeat(np.eye(max(of_cell) + 1)[of_cell], 4, axis=0)

    seeds = np.tile(np.eye(4), (6, 1))
    cells = one_hot(list(range(6)))
    first, second = one_hot(levels["factor0"]), one_hot(levels["factor1"])
    full, full_rank = left(seeds, cells)
    df_rest = 24 - full_rank
    reduced = {
        "cells": (seeds,),
        "factor0": (seeds, second),
        "factor1": (seeds, first),
        "interaction": (seeds, first, second),
    }
    above = {"cells": (full, full_rank), "interaction": (full, full_rank)}
    additive = left(seeds, first, second)
    for name, columns in reduced.items():
        more, more_rank = above.get(name, additive)
        less, less_rank = left(*columns)
        df = more_rank - less_rank
        f_value = (less - more) / df / (full / df_rest)
        effect = found[name]
        assert (effect.df, effect.df_rest) == (df, df_rest)
        assert effect.f_value == pytest.approx(f_value)
        assert effect.p_value == pytest.approx(stats.f.sf(f_value, df, df_rest))


def test_tukeys_intervals_are_those_of_scipy_where_the_seeds_do_not_differ() -> None:
    # With seeds that average alike the block takes nothing out but its degrees of freedom.
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(3, 5))
    scores -= scores.mean(axis=0)
    found = seed_spread(scores, levels=levels_of(3))
    means = scores.mean(axis=1)
    best = int(means.argmax())
    rest_ms = ((scores - means[:, None]) ** 2).sum() / 8
    for difference in found.differences:
        q = abs(means[difference.cell] - means[best]) / math.sqrt(rest_ms / 5)
        assert difference.p_value == pytest.approx(stats.studentized_range.sf(q, 3, 8), rel=1e-6)
    theirs = stats.tukey_hsd(*scores)  # 12 degrees of freedom in place of 8
    for difference in found.differences:
        assert difference.difference == pytest.approx(theirs.statistic[difference.cell, best])
        assert difference.p_value >= theirs.pvalue[difference.cell, best] * 0.5


def test_pooled_standard_deviation_by_hand() -> None:
    scores = np.array([[1.0, 3.0, math.nan], [0.0, 0.0, 3.0], [5.0, math.nan, math.nan]])
    # 2 with one degree of freedom, 6 with two, nothing from a single score
    assert seed_spread(scores, levels=levels_of(3)).seed_sd == pytest.approx(math.sqrt(8 / 3))


def test_a_seed_that_is_better_everywhere_takes_nothing_from_the_test() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4, 3))
    lifted = scores + np.array([0.0, 100.0, -7.0])
    first, second = (seed_spread(each, levels=levels_of(2, 2)) for each in (scores, lifted))
    assert [e.p_value for e in first.effects] == pytest.approx([e.p_value for e in second.effects])
    assert [d.p_value for d in first.differences] == pytest.approx(
        [d.p_value for d in second.differences], rel=1e-6
    )


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([[0.1], [0.2]], "one seed: no spread"),
        ([[0.1, 0.2], [0.3, math.nan]], "fewer than two cells have a score for every seed"),
        ([[0.1, 0.2], [0.3, 0.4]], "the seeds change every cell alike"),
        ([[0.5, 0.5], [0.5, 0.5]], "the seeds change every cell alike"),
    ],
)
def test_without_a_spread_nothing_is_claimed(scores, reason: str) -> None:
    found = seed_spread(np.array(scores), levels=levels_of(2))
    assert reason in str(found.reason)
    assert (found.effects, found.differences) == ((), ())


def test_cells_that_lack_a_seed_are_left_out_and_factors_are_not_judged() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(4, 3))
    scores[2, 1] = math.nan
    found = seed_spread(scores, levels=levels_of(2, 2))
    assert found.cells == (0, 1, 3)
    assert [effect.name for effect in found.effects] == ["cells"]
    assert {difference.cell for difference in found.differences} < {0, 1, 3}


def test_less_is_better_of_a_loss() -> None:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(3, 3)) + np.array([[0.0], [5.0], [9.0]])
    lowest = seed_spread(scores, levels=levels_of(3), higher_is_better=False)
    assert [d.cell for d in lowest.differences] == [1, 2]
    assert all(difference.difference > 0 for difference in lowest.differences)


@settings(max_examples=8, deadline=None)  # scipy integrates the studentized range
@given(seed=st.integers(0, 10_000))
def test_an_interval_leaves_out_zero_where_its_p_value_says_so(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(3, 4))
    found = seed_spread(scores, levels=levels_of(3))
    for difference in found.differences:
        assert 0.0 <= difference.p_value <= 1.0
        assert difference.low < difference.difference < difference.high
        told_apart = difference.low > 0 or difference.high < 0
        assert told_apart == (difference.p_value < 0.05)


def test_the_rate_of_false_alarms_is_the_level() -> None:
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(2000):
        scores = rng.normal(size=(6, 3)) + 3 * rng.normal(size=3)
        squares = 3 * ((scores.mean(axis=1) - scores.mean()) ** 2).sum() / 5
        rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
        f_value = squares / ((rest**2).sum() / 10)
        alarms += bool(stats.f.sf(f_value, 5, 10) < 0.05)
    assert 0.035 < alarms / 2000 < 0.065
    effect = seed_spread(scores, levels=levels_of(3, 2)).effects[0]  # the last one drawn
    assert effect.f_value == pytest.approx(f_value)
