"""Corrections for many comparisons: by hand, and against statsmodels and arch."""

import numpy as np
import pytest
from arch.bootstrap import SPA
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.comparisons import (
    benjamini_hochberg,
    holm,
    romano_wolf,
    superior_ability,
)


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_adjusted_p_values_match_statsmodels(n: int) -> None:
    # Rounded, so that some are equal. (statsmodels collects garbage in each call: few calls.)
    p_values = np.random.default_rng(n).random(n).round(1) ** 3
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)
    expected = multipletests(p_values, method="fdr_bh")[1]
    assert benjamini_hochberg(p_values) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_larger_and_in_the_same_order(listed: list[float]) -> None:
    p_values = np.array(listed)
    order = np.argsort(p_values)
    strict, loose = holm(p_values), benjamini_hochberg(p_values)
    assert (p_values <= loose).all()
    assert (loose <= strict + 1e-12).all()
    assert (np.diff(strict[order]) >= 0).all()
    assert (np.diff(loose[order]) >= 0).all()


def test_benjamini_and_hochbergs_own_example() -> None:
    # Their paper's section 4.1: 15 p-values of which 4 are rejected at 5 %; Holm's rejects 3.
    p_values = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
         0.5719, 0.6528, 0.7590, 1.0000]
    )  # fmt: skip
    assert (benjamini_hochberg(p_values) <= 0.05).sum() == 4
    assert (holm(p_values) <= 0.05).sum() == 3


def test_romano_wolf_by_hand() -> None:
    resampled = np.array([[3.0, 0.0], [0.0, 1.5], [1.0, 1.0], [0.5, 0.2]])
    # the larger statistic, 2, against the maxima 3, 1.5, 1, 0.5: one reaches it, (1 + 1) / 5
    # the other, 1, against its own column alone: 1.5 and 1 reach it, (1 + 2) / 5
    found = romano_wolf(np.array([2.0, 1.0]), resampled)
    assert found.tolist() == pytest.approx([0.4, 0.6])
    # in the other order the same hypotheses get the same values
    assert romano_wolf(np.array([1.0, 2.0]), resampled[:, ::-1]).tolist() == pytest.approx(
        [0.6, 0.4]
    )
    # a smaller statistic never has a smaller p-value: 0.4 where its own column says 0.2
    resampled[:, 1] = 0.0
    assert romano_wolf(np.array([2.0, 1.0]), resampled).tolist() == pytest.approx([0.4, 0.4])


def test_romano_wolf_of_independent_statistics_is_near_holm() -> None:
    rng = np.random.default_rng(0)
    statistics = np.array([3.5, 2.6, 2.0, 0.5])
    found = romano_wolf(statistics, np.abs(rng.normal(size=(200_000, 4))))
    assert found == pytest.approx(holm(2 * stats.norm.sf(statistics)), abs=0.05)
    assert found[:2] == pytest.approx(holm(2 * stats.norm.sf(statistics))[:2], abs=0.003)
    # the same hypothesis four times over is one hypothesis
    once = np.abs(rng.normal(size=(200_000, 1)))
    repeated = romano_wolf(np.full(4, 2.0), np.repeat(once, 4, axis=1))
    assert repeated == pytest.approx(2 * stats.norm.sf(2.0), abs=0.003)


def test_romano_wolf_rejects_one_family_in_twenty() -> None:
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(400):
        shared = rng.normal()
        statistics = np.abs(0.7 * shared + 0.714 * rng.normal(size=5))
        draws = 0.7 * rng.normal(size=(200, 1)) + 0.714 * rng.normal(size=(200, 5))
        rejected += (romano_wolf(statistics, np.abs(draws)) <= 0.05).any()
    assert 0.02 <= rejected / 400 <= 0.08


@pytest.mark.parametrize(("lead", "seed"), [(0.0, 0), (0.1, 1), (0.2, 2)])
def test_superior_ability_matches_arch(lead: float, seed: int) -> None:
    # Expected: arch 8, arch.bootstrap.SPA, consistent p-value, the same mean block.
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(250, 6))
    noise[1:] += 0.3 * noise[:-1]
    gains = noise + np.array([lead, 0.0, 0.0, -0.1, -0.5, -1.0])
    reference = SPA(np.zeros(250), -gains, block_size=8, reps=2000, seed=1)
    reference.compute()
    expected = float(reference.pvalues["consistent"])
    found = superior_ability(gains, n_resamples=2000, mean_block=8.0, rng=rng)
    # Four standard errors of the difference of two shares of 2,000 draws.
    assert found == pytest.approx(expected, abs=4 * (2 * 0.25 / 2000) ** 0.5)


def test_hopeless_rivals_do_not_hide_a_good_one() -> None:
    rng = np.random.default_rng(4)
    good = rng.normal(0.25, 1, size=(300, 1))
    hopeless = rng.normal(-3.0, 4.0, size=(300, 50))
    alone = superior_ability(good, rng=np.random.default_rng(0))
    among = superior_ability(np.hstack([good, hopeless]), rng=np.random.default_rng(0))
    assert alone < 0.01
    assert among < 0.01
    assert superior_ability(hopeless, rng=rng) > 0.9
    assert superior_ability(np.zeros((30, 2)), rng=rng) == 1.0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(MetricError, match="shares within 0 and 1"):
        holm(np.array([0.5, 1.5]))
    with pytest.raises(MetricError, match="shares within 0 and 1"):
        benjamini_hochberg(np.array([np.nan]))
    with pytest.raises(MetricError, match=r"resampled has shape \(4, 3\).*2 columns"):
        romano_wolf(np.zeros(2), np.zeros((4, 3)))
    with pytest.raises(MetricError, match="3 periods of 2 columns"):
        superior_ability(np.zeros((3, 2)), rng=np.random.default_rng(0))
