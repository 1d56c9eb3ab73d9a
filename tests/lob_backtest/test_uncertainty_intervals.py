"""Studentized intervals: by hand, against a plain loop, and what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.uncertainty import intervals, stationary_bootstrap_indices
from lob_backtest.uncertainty.intervals import Studentized, studentize, unanimous_interval
from lob_backtest.uncertainty.long_run import cosines
from tests.lob_backtest.coverage import CASES, intervals_by_method, studentized_mean


def one_figure(
    value: float, error: float, scores: list[float], *, degrees: float = math.inf
) -> Studentized:
    own = np.array(scores)[:, None]
    return Studentized(
        value=np.array([value]),
        error=np.array([error]),
        degrees=np.array([degrees]),
        resampled=value + own * error if error > 0 else own,
        scores=own,
    )


def test_the_further_of_student_and_the_resamples_counts_on_each_side() -> None:
    # t* from -1 to 4: 97.5 % of it are below 3.875, further out than 1.96; its low end is nearer.
    found = one_figure(10.0, 2.0, np.linspace(-1, 4, 101).tolist())
    low, high = found.interval(0)
    assert low == pytest.approx(10 - 3.875 * 2)
    assert high == pytest.approx(10 + 1.959964 * 2, abs=1e-5)
    # with 2 degrees of freedom Student's 4.303 is further out on both sides
    low, high = one_figure(10.0, 2.0, [-1.0, 4.0], degrees=2).interval(0)
    assert (low, high) == pytest.approx((10 - 4.302653 * 2, 10 + 4.302653 * 2), abs=1e-5)


def test_p_values_by_hand() -> None:
    # 2 error above 0; of 99 scores 9 are at least 2: twice (1 + 9) / (1 + 99)
    scores = [2.5] * 9 + [0.0] * 90
    assert one_figure(4.0, 2.0, scores).p_value(0) == pytest.approx(0.2)
    # below 0 the other tail counts, and Student's where it is larger: 2 * P(t_3 < -2)
    expected = 2 * stats.t.cdf(-2, 3)
    assert one_figure(-4.0, 2.0, scores, degrees=3).p_value(0) == pytest.approx(expected)
    assert one_figure(0.0, 2.0, scores).p_value(0) == 1.0
    assert one_figure(0.0, 0.0, scores).p_value(0) == 1.0
    assert one_figure(0.5, 0.0, scores).p_value(0) == 0.0
    assert one_figure(math.nan, math.nan, scores).p_value(0) == 1.0


def test_a_figure_without_standard_error_has_the_percentiles_widened_to_itself() -> None:
    samples = np.linspace(0.1, 0.2, 101).tolist()
    found = one_figure(0.3, math.nan, samples)
    low, high = found.interval(0)
    assert (low, high) == pytest.approx((0.1025, 0.3))
    assert found.p_value(0) == pytest.approx(2 / 102)
    assert all(math.isnan(limit) for limit in one_figure(math.nan, 1.0, [0.0]).interval(0))


@given(
    st.floats(-5, 5),
    st.floats(0.01, 3),
    st.lists(st.floats(-9, 9), min_size=40, max_size=80),
    st.integers(2, 60),
)
def test_the_interval_holds_the_figure_and_its_p_value_agrees(
    value: float, error: float, scores: list[float], degrees: int
) -> None:
    found = one_figure(value, error, scores, degrees=degrees)
    low, high = found.interval(0)
    assert low <= value <= high
    if found.p_value(0) <= 0.05 - 2 / 41:  # one sample of 40 either way
        assert not low < 0 < high
    if low > 0 or high < 0:
        assert found.p_value(0) <= 0.05 + 2 / 41


def test_studentized_figures_match_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(size=(40, 2))
    terms = np.array([5, 3, 4])

    def means(drawn: IntArray) -> FloatArray:
        return np.asarray(values[drawn].mean(axis=1))

    found = studentize(
        values.mean(axis=0),
        values - values.mean(axis=0),
        means,
        n_terms=terms,
        mean_block=3.0,
        n_resamples=7,
        rng=np.random.default_rng(5),
        differences=np.array([[0, 1]]),
    )
    columns = np.column_stack([values, values[:, 0] - values[:, 1]])

    def error(series: FloatArray, k: int) -> float:
        """Root of the mean of k squared projections, over n."""
        n = series.size
        total = 0.0
        for j in range(1, k + 1):
            wave = [math.sqrt(2) * math.cos(math.pi * j * (t + 0.5) / n) for t in range(n)]
            total += float(np.dot(wave, series - series.mean())) ** 2 / k
        return math.sqrt(total) / n

    errors = [error(columns[:, i], int(terms[i])) for i in range(3)]
    assert found.error == pytest.approx(errors)
    drawn = stationary_bootstrap_indices(
        40, mean_block=3.0, n_resamples=7, rng=np.random.default_rng(5)
    )
    for r, row in enumerate(drawn):
        for i in range(3):
            own = max(error(columns[row, i], int(terms[i])), 0.2 * errors[i])
            moved = columns[row, i].mean() - columns[:, i].mean()
            assert found.scores[r, i] == pytest.approx(moved / own)
            assert found.resampled[r, i] == pytest.approx(columns[row, i].mean())


def test_resamples_are_drawn_in_batches_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    series = np.random.default_rng(0).normal(size=50)
    seen: list[tuple[int, ...]] = []

    def means(drawn: IntArray) -> FloatArray:
        seen.append(drawn.shape)
        return np.asarray(series[drawn].mean(axis=1, keepdims=True))

    monkeypatch.setattr(intervals, "_BATCH", 2 * 50 * 8)  # of at least eight columns
    found = studentize(
        np.array([series.mean()]),
        (series - series.mean())[:, None],
        means,
        n_terms=np.array([5]),
        mean_block=2.0,
        n_resamples=5,
        rng=np.random.default_rng(1),
    )
    assert seen == [(2, 50), (2, 50), (1, 50)]
    assert found.scores.shape == found.resampled.shape == (5, 1)
    assert np.unique(found.scores).size == 5


@given(st.floats(-100, 100), st.floats(0.01, 100), st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_intervals_move_and_stretch_with_the_values(shift: float, scale: float, seed: int) -> None:
    series = np.random.default_rng(seed).normal(size=60)

    def limits(values: FloatArray) -> tuple[float, float]:
        rng = np.random.default_rng(0)
        return studentized_mean(values, overlap=2, n_resamples=60, rng=rng).interval(0)

    low, high = limits(series)
    expected = (shift + scale * low, shift + scale * high)
    assert limits(shift + scale * series) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_what_moves_both_alike_cancels_in_their_difference() -> None:
    rng = np.random.default_rng(3)
    market = rng.normal(size=200)
    two = np.column_stack([market + 0.05, market])
    found = studentize(
        two.mean(axis=0),
        two - two.mean(axis=0),
        lambda drawn: two[drawn].mean(axis=1),
        n_terms=np.full(3, 10),
        mean_block=2.0,
        n_resamples=200,
        rng=rng,
        differences=np.array([[0, 1]]),
    )
    assert found.interval(2) == pytest.approx((0.05, 0.05))
    assert found.error[0] > 0.01
    assert found.error[2] < 1e-15


@pytest.mark.parametrize("trials", [1, 3, 10, 200])
def test_unanimous_trials_match_clopper_and_pearson(trials: int) -> None:
    # Expected: scipy.stats.binomtest(...).proportion_ci(method="exact").
    all_won = stats.binomtest(trials, trials).proportion_ci(method="exact")
    assert unanimous_interval(1.0, trials) == pytest.approx((all_won.low, all_won.high))
    none_won = stats.binomtest(0, trials).proportion_ci(method="exact")
    assert unanimous_interval(0.0, trials) == pytest.approx((none_won.low, none_won.high))
    assert unanimous_interval(0.4, trials) == (0.4, 0.4)


def test_a_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(MetricError, match=r"confidence=1\.5"):
        one_figure(1.0, 1.0, [0.0]).interval(0, confidence=1.5)


def test_studentized_intervals_cover_where_percentiles_do_not() -> None:
    # The slow test and docs/uncertainty.md have the exact shares: 0.87 and 0.94.
    case, rng = CASES["AR(1) 0.6"], np.random.default_rng(1)
    covered = {"percentile": 0, "used": 0}
    for _ in range(150):
        found = studentized_mean(case.draw(300, rng), overlap=1, n_resamples=200, rng=rng)
        limits = intervals_by_method(found)
        for method in covered:
            covered[method] += limits[method][0] <= case.mean <= limits[method][1]
    assert 0.90 <= covered["used"] / 150 <= 0.99
    assert covered["percentile"] < covered["used"]


def test_a_pattern_that_the_cosines_do_not_see_still_has_an_error() -> None:
    # The third cosine itself: the first two are orthogonal to it.
    series = cosines(60, 3)[:, 2]
    found = studentize(
        np.array([0.1]),
        series[:, None],
        lambda drawn: 0.1 + series[drawn].mean(axis=1, keepdims=True),
        n_terms=np.array([2]),
        mean_block=1.0,
        n_resamples=50,
        rng=np.random.default_rng(0),
    )
    assert found.error == pytest.approx([1 / math.sqrt(60)])
    assert found.p_value(0) > 0.05
