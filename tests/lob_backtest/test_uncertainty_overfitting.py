"""Probability of backtest overfitting: by hand, against a plain loop, and a published example."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.overfitting import backtest_overfitting


def test_four_blocks_by_hand() -> None:
    # Three strategies, two periods a block; means a block:   1     2     3     4
    #   a                                                     4     4     0     0
    #   b                                                     1     1     1     1
    #   c                                                     0     0     2     2
    blocks = np.array([[4, 1, 0], [4, 1, 0], [0, 1, 2], [0, 1, 2]], dtype=np.float64)
    returns = np.repeat(blocks, 2, axis=0)
    found = backtest_overfitting(returns, n_splits=4, performance=lambda own: own.mean(axis=0))
    # splits 12, 13, 14, 23, 24, 34: a is chosen (4, 2, 2, 2, 2), then c (2)
    assert found.chosen.tolist() == [0, 0, 0, 0, 0, 2]
    assert found.inside.tolist() == [4, 2, 2, 2, 2, 2]
    # outside: a has 0 (last of 3), then 2 four times (first); c has 0 (last)
    assert found.outside.tolist() == [0, 2, 2, 2, 2, 0]
    last, first = math.log(1 / 3), math.log(3)
    assert found.logits == pytest.approx([last, first, first, first, first, last])
    assert found.pbo == pytest.approx(2 / 6)
    # the line through (4, 0), (2, 2) four times, (2, 0): at 2 the mean is 1.6, at 4 it is 0
    assert found.slope == pytest.approx(-0.8)
    assert found.intercept == pytest.approx(3.2)
    assert found.probability_of_loss == 0.0


def sharpe_ratios(returns: FloatArray) -> FloatArray:
    return np.asarray(returns.mean(axis=0) / returns.std(axis=0, ddof=1))


def test_sums_over_blocks_match_a_plain_loop() -> None:
    returns = 100.0 + np.random.default_rng(0).normal(size=(103, 7)) * np.arange(1, 8)
    found = backtest_overfitting(returns, n_splits=6)
    block = np.arange(103) * 6 // 103
    for i, half in enumerate(combinations(range(6), 3)):
        inside = np.isin(block, half)
        ours, theirs = sharpe_ratios(returns[inside]), sharpe_ratios(returns[~inside])
        chosen = int(np.argmax(ours))
        assert found.chosen[i] == chosen
        assert found.inside[i] == pytest.approx(ours[chosen], rel=1e-9)
        assert found.outside[i] == pytest.approx(theirs[chosen], rel=1e-9)
        share = stats.rankdata(theirs)[chosen] / 8
        assert found.logits[i] == pytest.approx(math.log(share / (1 - share)))
    line = stats.linregress(found.inside, found.outside)
    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept))
    by_function = backtest_overfitting(returns, n_splits=6, performance=sharpe_ratios)
    assert by_function.logits.tolist() == found.logits.tolist()


def test_noise_is_a_coin_toss_and_skill_is_found() -> None:
    rng = np.random.default_rng(1)
    noise = [backtest_overfitting(rng.normal(size=(400, 20)), n_splits=8).pbo for _ in range(60)]
    # Its mean over draws; a single one is anywhere from 0 to 1.
    assert np.mean(noise) == pytest.approx(0.5, abs=0.1)
    skilled = rng.normal(size=(800, 20))
    skilled[:, 7] += 0.3
    found = backtest_overfitting(skilled)
    assert found.logits.size == math.comb(16, 8)
    assert found.pbo < 0.001
    assert (found.chosen == 7).mean() > 0.99
    assert found.probability_of_loss < 0.001


def normals_of_r(seed: int, n: int) -> FloatArray:
    """What ``set.seed(seed); rnorm(n)`` gives in R: Mersenne Twister, then inversion of 53 bits."""
    state, key = seed, []
    for i in range(50 + 625):
        state = (69069 * state + 1) % 2**32
        if i > 50:
            key.append(state)
    generator = np.random.MT19937()
    generator.state = {
        "bit_generator": "MT19937",
        "state": {"key": np.array(key, dtype=np.uint32), "pos": 624},
    }
    uniform = generator.random_raw(2 * n) * 2.3283064365386963e-10
    high, low = uniform[0::2], uniform[1::2]
    return np.asarray(ndtri((np.floor(2**27 * high) + low) / 2**27))


def test_the_published_example_of_the_r_package() -> None:
    # CRAN package pbo, vignette: set.seed(765), 100 columns of 2,400 normal draws, each scaled to a
    # deviation of 252^-0.5 and a mean of 0; Sharpe ratio over 0.03 / 252; 8 blocks. It prints
    # p_bo 1, slope -0.0030456, ar^2 0.97, p_loss 1, where its "slope" is the constant of the line
    # through inside by outside.
    assert normals_of_r(42, 2) == pytest.approx([1.37095845, -0.56469817], abs=5e-9)
    draws = normals_of_r(765, 240_000).reshape(100, 2400).T
    scaled = draws / draws.std(axis=0, ddof=1) / 252**0.5
    returns = scaled - scaled.mean(axis=0) - 0.03 / 252
    found = backtest_overfitting(returns, n_splits=8)
    assert found.pbo == 1.0
    assert found.probability_of_loss == 1.0
    line = stats.linregress(found.outside, found.inside)
    assert line.intercept == pytest.approx(-0.0030456, abs=5e-8)
    adjusted = 1 - (1 - line.rvalue**2) * 69 / 68
    assert adjusted == pytest.approx(0.97, abs=0.005)


def test_a_strategy_that_never_trades_has_a_ratio_of_nothing() -> None:
    rng = np.random.default_rng(2)
    losing = rng.normal(-0.5, 1, size=(80, 1))
    found = backtest_overfitting(np.hstack([losing, np.zeros((80, 1))]), n_splits=4)
    assert (found.chosen == 1).all()
    assert (found.inside == 0).all()
    assert found.pbo == 0.0
    assert math.isnan(found.slope)


@pytest.mark.parametrize(
    ("shape", "n_splits", "message"),
    [
        ((40, 1), 4, r"shape \(40, 1\).*at least 2 strategies"),
        ((40, 3), 5, "n_splits=5: needs an even number from 2 to 18"),
        ((40, 3), 20, "n_splits=20"),
        ((7, 3), 4, "7 periods in 4 blocks; needs at least 8"),
    ],
)
def test_what_cannot_be_split_is_refused(
    shape: tuple[int, int], n_splits: int, message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        backtest_overfitting(np.random.default_rng(0).normal(size=shape), n_splits=n_splits)


def test_a_performance_that_is_no_number_is_refused() -> None:
    returns = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(MetricError, match="3 finite figures"):
        backtest_overfitting(
            returns, n_splits=4, performance=lambda own: np.full(own.shape[1], np.nan)
        )
