"""The stationary bootstrap: its draws, its block length, and whether its intervals cover."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty import (
    block_length,
    bootstrap,
    interval,
    stationary_bootstrap_indices,
)


def autoregressive(noise: FloatArray, coefficient: float) -> FloatArray:
    series, last = np.empty(noise.size), 0.0
    for t in range(noise.size):
        last = coefficient * last + noise[t]
        series[t] = last
    return series


def fixed_series(n: int, coefficient: float) -> FloatArray:
    """The same numbers with every version of every library."""
    noise = [((t * t * 7919 + t * 104729) % 1009) / 1009 - 0.5 for t in range(n)]
    return autoregressive(np.array(noise), coefficient)


@given(st.integers(1, 60), st.floats(1, 30), st.integers(1, 20), st.integers(0, 99))
@settings(max_examples=50)
def test_indices_stay_inside_the_series(
    n: int, mean_block: float, n_resamples: int, seed: int
) -> None:
    draws = stationary_bootstrap_indices(
        n, mean_block=mean_block, n_resamples=n_resamples, rng=np.random.default_rng(seed)
    )
    assert draws.shape == (n_resamples, n)
    assert draws.min() >= 0
    assert draws.max() < n


def test_a_block_is_of_successors_and_wraps_around() -> None:
    draws = stationary_bootstrap_indices(
        7, mean_block=1e12, n_resamples=200, rng=np.random.default_rng(0)
    )
    expected = [[(first + i) % 7 for i in range(7)] for first in draws[:, 0].tolist()]
    assert draws.tolist() == expected
    assert set(draws[:, 0].tolist()) == set(range(7))


def test_block_lengths_are_geometric_with_the_mean_that_was_asked_for() -> None:
    n, mean_block = 1000, 8.0
    draws = stationary_bootstrap_indices(
        n, mean_block=mean_block, n_resamples=200, rng=np.random.default_rng(0)
    )
    follows = np.diff(draws, axis=1) % n == 1
    # A new block begins with probability 1/8; one in n of them follows on by chance.
    expected = 1 - 1 / mean_block + 1 / mean_block / n
    # Four standard errors of a share of 199,800 independent draws.
    assert follows.mean() == pytest.approx(expected, abs=4 * (7 / 64 / 199_800) ** 0.5)
    # Geometric: whether a block goes on does not depend on how long it has lasted.
    after_one = follows[:, 1:][follows[:, :-1]].mean()
    assert after_one == pytest.approx(expected, abs=4 * (7 / 64 / 170_000) ** 0.5)
    # Every place is drawn equally often, the ends included.
    counts = np.bincount(draws.ravel(), minlength=n)
    assert counts[:10].mean() == pytest.approx(200, rel=0.25)
    assert counts[-10:].mean() == pytest.approx(200, rel=0.25)


def test_a_mean_block_of_one_draws_independently() -> None:
    draws = stationary_bootstrap_indices(
        500, mean_block=1, n_resamples=100, rng=np.random.default_rng(1)
    )
    assert (np.diff(draws, axis=1) % 500 == 1).mean() == pytest.approx(1 / 500, abs=1e-3)


@pytest.mark.parametrize(
    ("n", "coefficient", "expected"),
    [
        (500, 0.5, 10.70162867138367),
        (2000, 0.9, 26.952542762020453),
        (1000, -0.3, 9.698828842193569),
        (300, 0.0, 2.5794774401141516),
        (50, 0.99, 7.6237246292886525),
        (5000, 0.7, 213.0),
    ],
)
def test_block_length_matches_arch(n: int, coefficient: float, expected: float) -> None:
    # Expected: arch 8.0.0, arch.bootstrap.optimal_block_length, column "stationary".
    assert block_length(fixed_series(n, coefficient)) == pytest.approx(expected, rel=1e-9)


def test_block_length_of_a_long_series_is_that_of_theory() -> None:
    # Politis and White (2004): AR(1) has G / D^(1/2) = sqrt(2) r / (1 - r^2).
    noise = np.random.default_rng(0).normal(size=200_000)
    found = block_length(autoregressive(noise, 0.5))
    assert found == pytest.approx((2 * 0.5 / (1 - 0.25)) ** (2 / 3) * 200_000 ** (1 / 3), rel=0.1)


@pytest.mark.parametrize("series", [np.zeros(100), np.ones(3), np.arange(9.0), np.empty(0)])
def test_a_series_without_information_has_blocks_of_one(series: FloatArray) -> None:
    assert block_length(series) == 1.0


@given(st.lists(st.floats(-1e6, 1e6), max_size=80))
def test_block_length_is_always_usable(values: list[float]) -> None:
    series = np.array(values)
    found = block_length(series)
    assert 1 <= found <= max(1, np.ceil(min(3 * series.size**0.5, series.size / 3)))


def test_a_missing_value_in_the_series_is_refused() -> None:
    with pytest.raises(MetricError, match="needs finite values"):
        block_length(np.array([1.0, np.nan] * 10))


def coverage(mean_block: float | None, seed: int, n_series: int = 80, n: int = 600) -> float:
    """Share of AR(1) series with mean 0 whose 95 % interval of the mean covers 0."""
    rng = np.random.default_rng(seed)
    covered = 0
    for _ in range(n_series):
        series = autoregressive(rng.normal(size=n), 0.6)

        def means(index: IntArray, series: FloatArray = series) -> FloatArray:
            return np.asarray(series[index].mean(axis=1))

        block = block_length(series) if mean_block is None else mean_block
        low, high = interval(bootstrap(means, n, mean_block=block, n_resamples=200, rng=rng))
        covered += low <= 0 <= high
    return covered / n_series


def test_intervals_of_dependent_series_cover_with_blocks_and_not_without() -> None:
    # Percentiles fall short of 0.95 on a short series, see docs/uncertainty.md.
    assert 0.82 <= coverage(None, seed=1) <= 0.97
    assert coverage(1.0, seed=1) < 0.80


def test_an_interval_is_the_percentiles_of_what_is_known() -> None:
    samples = np.append(np.arange(101.0), [np.nan] * 7)
    assert interval(samples, confidence=0.9) == pytest.approx((5.0, 95.0), abs=1e-9)
    assert np.isnan(interval(np.array([np.nan, np.nan]))).all()


def test_resamples_do_not_depend_on_the_batches_a_statistic_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, ...]] = []

    def two_figures(index: IntArray) -> FloatArray:
        seen.append(index.shape)
        return np.stack([index.min(axis=1), index.max(axis=1)], axis=1).astype(np.float64)

    monkeypatch.setattr(import_module("lob_backtest.uncertainty.bootstrap"), "_BATCH", 250)
    samples = bootstrap(two_figures, 100, mean_block=5, n_resamples=5, rng=np.random.default_rng(0))
    assert seen == [(2, 100), (2, 100), (1, 100)]
    assert samples.shape == (5, 2)
    assert (samples[:, 0] < samples[:, 1]).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).normal(size=80)
    samples = [
        bootstrap(
            lambda index: values[index].mean(axis=1),
            80,
            mean_block=4,
            n_resamples=50,
            rng=np.random.default_rng(3),
        )
        for _ in range(2)
    ]
    assert samples[0].tolist() == samples[1].tolist()
    assert np.unique(samples[0]).size > 40


@pytest.mark.parametrize(
    ("n", "mean_block", "n_resamples", "message"),
    [
        (0, 2.0, 5, "n=0 and n_resamples=5: needs at least 1 of each"),
        (9, 2.0, 0, "n=9 and n_resamples=0: needs at least 1 of each"),
        (9, 0.5, 5, "mean_block=0.5: needs to be at least 1"),
        (9, float("nan"), 5, "mean_block=nan"),
    ],
)
def test_nothing_to_draw_is_refused(
    n: int, mean_block: float, n_resamples: int, message: str
) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(MetricError, match=message):
        stationary_bootstrap_indices(n, mean_block=mean_block, n_resamples=n_resamples, rng=rng)
    with pytest.raises(MetricError, match=r"confidence=1\.0"):
        interval(np.zeros(3), confidence=1.0)
