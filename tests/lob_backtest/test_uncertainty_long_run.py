"""Long-run variance: by hand, and against statsmodels."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty.long_run import cosine_variance, cosines, lag_variance, n_cosines


def series_of(n: int, seed: int = 0) -> FloatArray:
    noise = np.random.default_rng(seed).normal(size=n + 3)
    return np.asarray(noise[3:] + 0.5 * noise[2:-1] + 0.25 * noise[:-3])


@given(st.integers(2, 60), st.integers(1, 59))
@settings(max_examples=30, deadline=None)  # the first matrix product wakes the linear algebra
def test_cosines_are_orthogonal_with_mean_zero(n: int, n_terms: int) -> None:
    wave = cosines(n, min(n_terms, n - 1))
    assert wave.T @ wave / n == pytest.approx(np.eye(wave.shape[1]), abs=1e-9)
    assert wave.sum(axis=0) == pytest.approx(0, abs=1e-9)


def test_cosine_variance_by_hand() -> None:
    # n = 2, one cosine: sqrt(2) cos(pi / 4) = 1 and -1, so ((3 - 1)^2) / 2
    assert cosine_variance(np.array([3.0, 1.0]), 1) == pytest.approx(2.0)


def test_cosine_variance_is_the_mean_of_squared_projections() -> None:
    series = series_of(50)
    expected = ((cosines(50, 7).T @ series) ** 2).mean() / 50
    assert cosine_variance(series, 7) == pytest.approx(expected)
    both = np.column_stack([series, 2 * series])
    assert cosine_variance(both, 7) == pytest.approx([expected, 4 * expected])


def test_all_cosines_together_give_the_plain_variance() -> None:
    series = series_of(40)
    assert cosine_variance(series, 39) == pytest.approx(series.var(ddof=1))


def test_cosine_variance_of_a_long_series_is_that_of_theory() -> None:
    # moving average 1, 0.5, 0.25 of unit noise: long-run variance 1.75^2
    found = cosine_variance(series_of(200_000), 1000)
    assert found == pytest.approx(1.75**2, rel=4 * math.sqrt(2 / 1000))


@pytest.mark.parametrize("lag", [0, 1, 5, 20])
def test_newey_west_matches_statsmodels(lag: int) -> None:
    # Expected: statsmodels OLS on a constant with cov_type HAC, Bartlett kernel, no correction.
    series = series_of(120)
    fitted = sm.OLS(series, np.ones(120)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": False}
    )
    assert lag_variance(series, lag) / 120 == pytest.approx(float(fitted.bse[0]) ** 2)


def test_flat_weights_by_hand() -> None:
    # deviations -1, 1, -1, 1: R(0) = 1, R(1) = -3/4
    series = np.array([1.0, 3.0, 1.0, 3.0])
    assert lag_variance(series, 1, kernel="flat") == pytest.approx(1 - 2 * 3 / 4)
    assert lag_variance(series, 1) == pytest.approx(1 - 3 / 4)


def test_fewer_cosines_for_what_forgets_slowly() -> None:
    assert n_cosines(1000, mean_block=1.0) == 39  # 0.4 * 100, a rounding below
    assert n_cosines(1000, mean_block=100.0) == 10
    assert n_cosines(1000, mean_block=1.0, overlap=50) == 10
    assert n_cosines(1000, mean_block=1.0, overlap=900) == 2
    assert n_cosines(2, mean_block=1.0) == 1


def test_too_little_is_refused() -> None:
    with pytest.raises(MetricError, match="n=1: a variance needs at least 2"):
        n_cosines(1, mean_block=1.0)
    with pytest.raises(MetricError, match="lag=9"):
        lag_variance(np.arange(9.0), 9)
