"""Probabilistic and deflated Sharpe ratios: the published examples, and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.sharpe_ratio import (
    Moments,
    annualised,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    min_track_record_length,
    null_variance,
    probabilistic_sharpe_ratio,
)

# Bailey and López de Prado (2012): two years of monthly returns of a fund, SR 0.458 a month.
FUND = {"sharpe": 0.458, "skewness": -2.448, "kurtosis": 10.164}


def test_the_published_probabilistic_ratios() -> None:
    # Section 4: 0.982 if returns were normal, 0.913 as they are, 0.953 with a third year.
    normal = Moments(sharpe=0.458, n=24)
    assert probabilistic_sharpe_ratio(normal) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe_ratio(Moments(n=24, **FUND)) == pytest.approx(0.913, abs=5e-4)
    # printed 0.953; the inputs are rounded to three digits
    assert probabilistic_sharpe_ratio(Moments(n=36, **FUND)) == pytest.approx(0.953, abs=1e-3)


@pytest.mark.parametrize(
    ("per_year", "skewness", "kurtosis", "years"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_published_track_records(
    per_year: int, skewness: float, kurtosis: float, years: float
) -> None:
    # Section 5: years until a ratio of 2 a year is above 1 at 95 %, daily, weekly and monthly, and
    # monthly with the skewness and kurtosis of a hedge fund index.
    moments = Moments(
        sharpe=2 / per_year**0.5, n=2, skewness=skewness, kurtosis=kurtosis
    )  # fmt: skip
    found = min_track_record_length(moments, benchmark=1 / per_year**0.5)
    assert found / per_year == pytest.approx(years, abs=5e-3)


@pytest.mark.parametrize(("trials", "expected"), [(100, 0.9004), (46, 0.9505)])
def test_the_published_deflated_ratios(trials: int, expected: float) -> None:
    # Bailey and López de Prado (2014): 2.5 a year, variance 1/2 a year across the trials, 1,250
    # days of 250 a year, skewness -3, kurtosis 10.
    best = Moments(sharpe=2.5 / 250**0.5, n=1250, skewness=-3, kurtosis=10)
    found = deflated_sharpe_ratio(best, trials=trials, variance=0.5 / 250)
    assert found == pytest.approx(expected, abs=5e-5)


def test_the_published_benchmark() -> None:
    # The same paper: 0.1132 a day for 100 trials.
    assert expected_maximum_sharpe(100, variance=0.5 / 250) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize("trials", [2, 10, 1000])
def test_the_expected_maximum_is_that_of_normal_draws(trials: int) -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, trials)).max(axis=1)
    # the formula is asymptotic: within 0.04 of the truth from 10 trials on
    tolerance = 0.06 if trials == 2 else 0.04
    assert expected_maximum_sharpe(trials, variance=1.0) == pytest.approx(
        draws.mean(), abs=tolerance
    )
    assert expected_maximum_sharpe(1, variance=1.0) == 0.0


def test_moments_match_scipy() -> None:
    returns = np.random.default_rng(0).gamma(2.0, size=400) - 1.5
    found = Moments.of(returns, is_dependent=False)
    assert found is not None
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert (found.n, found.dependence) == (400, 1.0)


def test_the_variance_is_that_of_estimates_of_skewed_returns() -> None:
    rng = np.random.default_rng(1)
    returns = rng.gamma(2.0, size=(20_000, 200)) - 1.0
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    # gamma of shape 2, shifted: mean 1, variance 2, skewness sqrt(2), kurtosis 6
    truth = Moments(sharpe=1 / 2**0.5, n=200, skewness=2**0.5, kurtosis=6.0)
    assert ratios.var() * 199 == pytest.approx(truth.variance, rel=0.05)


def test_dependent_returns_are_surer_of_less() -> None:
    noise = np.random.default_rng(2).normal(size=20_001)
    alike, opposed = noise[1:] + noise[:-1], noise[1:] - noise[:-1]
    found = Moments.of(alike)
    assert found is not None
    # moving average of two: long-run variance 4, variance 2
    assert found.dependence == pytest.approx(2.0, rel=0.15)
    swings = Moments.of(opposed)
    assert swings is not None
    assert swings.dependence == 1.0
    independent = Moments(sharpe=0.02, n=10_000)
    dependent = Moments(sharpe=0.02, n=10_000, dependence=2.0)
    assert probabilistic_sharpe_ratio(dependent) < probabilistic_sharpe_ratio(independent)
    assert min_track_record_length(dependent) == pytest.approx(
        2 * min_track_record_length(independent), rel=1e-3
    )
    assert null_variance(dependent) == pytest.approx(2 / 9999)


def test_a_probability_holds_its_promise_without_skill() -> None:
    # Of worthless strategies 5 % reach a PSR of 95 %; the best of 20 reaches a DSR of 95 % rarely.
    rng = np.random.default_rng(3)
    ratios, best = [], []
    for _ in range(300):
        trials = rng.normal(size=(20, 250))
        found = [Moments.of(each, is_dependent=False) for each in trials]
        ratios.append(probabilistic_sharpe_ratio(found[0]))
        winner = max(found, key=lambda each: each.sharpe)
        best.append(
            (probabilistic_sharpe_ratio(winner), deflated_sharpe_ratio(winner, trials=20))
        )  # fmt: skip
    assert np.mean(np.array(ratios) > 0.95) == pytest.approx(0.05, abs=0.04)
    plain, deflated = np.array(best).T
    assert np.mean(plain > 0.95) > 0.5
    assert np.mean(deflated > 0.95) < 0.1


def test_more_trials_deflate_more() -> None:
    moments = Moments(sharpe=0.1, n=500)
    found = [deflated_sharpe_ratio(moments, trials=trials) for trials in (1, 2, 10, 100, 1000)]
    assert found == sorted(found, reverse=True)
    assert found[0] == probabilistic_sharpe_ratio(moments)


def test_a_ratio_at_its_benchmark_needs_for_ever() -> None:
    assert min_track_record_length(Moments(sharpe=0.1, n=50), benchmark=0.1) == math.inf
    assert annualised(0.1, periods_per_year=100) == pytest.approx(1.0)


def test_what_has_no_ratio_is_refused() -> None:
    assert Moments.of(np.zeros(10)) is None
    assert Moments.of(np.array([0.1])) is None
    with pytest.raises(MetricError, match="NaN or infinite"):
        Moments.of(np.array([0.1, np.nan]))
    with pytest.raises(MetricError, match="n=1: a Sharpe ratio needs at least 2"):
        Moments(sharpe=1.0, n=1)
    with pytest.raises(MetricError, match="needs kurtosis >= skewness"):
        Moments(sharpe=2.0, n=10, skewness=3.0, kurtosis=1.0)
    with pytest.raises(MetricError, match=r"dependence=0\.0: needs to be above 0"):
        Moments(sharpe=2.0, n=10, dependence=0.0)
    with pytest.raises(MetricError, match="trials=0"):
        expected_maximum_sharpe(0, variance=1.0)
    with pytest.raises(MetricError, match=r"confidence=0\.3"):
        min_track_record_length(Moments(sharpe=1.0, n=10), confidence=0.3)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.floats(-2, 2))
@settings(deadline=None)
def test_any_series_has_a_probability(listed: list[float], benchmark: float) -> None:
    moments = Moments.of(np.array(listed))
    if moments is not None:
        assert 0 <= probabilistic_sharpe_ratio(moments, benchmark=benchmark) <= 1
        assert min_track_record_length(moments, benchmark=benchmark) >= 1
        assert 0 <= deflated_sharpe_ratio(moments, trials=7) <= 1
