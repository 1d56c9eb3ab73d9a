"""The test of a lift: by hand, against statsmodels, and its size where labels overlap."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lob_backtest.errors import MetricError
from lob_backtest.metrics import brier_score, classification_metrics, f1_weighted
from lob_backtest.predictions import Predictions
from lob_backtest.uncertainty.lift import (
    f1_contributions,
    f1_slopes,
    independent_labels,
    lift_test,
    mean_test,
    overlap_counts,
    score_differences,
)
from lob_backtest.uncertainty.long_run import cosine_variance
from tests.lob_backtest.coverage import guesses, rejection_rates


def table(labels: list[int], said: list[int], fold: list[int], *, spans: int = 1) -> Predictions:
    n = len(labels)
    decided_ns = 10 * np.arange(n, dtype=np.int64)
    probability = np.full((n, 3), 0.1)
    probability[np.arange(n), said] = 0.8
    return Predictions(
        instrument="TEST",
        fold=np.array(fold),
        decided_ns=decided_ns,
        label_end_ns=decided_ns + 10 * spans,
        train_end_ns=decided_ns - 1,
        label=np.array(labels),
        probability=probability,
    )


def test_differences_by_hand() -> None:
    labels, fold = [0, 1, 2, -1, 2], [0] * 5
    model = table(labels, [0, 1, 1, 0, 2], fold)
    baseline = table(labels, [0, 2, 2, 0, 0], fold)
    assert score_differences(model, baseline, score="accuracy").tolist() == [0, 1, -1, 1]
    # right: 0.2^2 + 2 * 0.1^2 = 0.06; wrong: 0.8^2 + 0.9^2 + 0.1^2 = 1.46
    brier = score_differences(model, baseline, score="brier")
    assert brier == pytest.approx([0, 1.4, -1.4, 1.4])
    with pytest.raises(MetricError, match="needs the same decisions and labels"):
        score_differences(model, table([0] * 5, [0] * 5, fold))


def test_contributions_to_f1_by_hand() -> None:
    # labels 0 0 1, said 0 1 1: F1 of 0 is 2/3 (involved 3), of 1 is 2/3 (involved 3), f = 2/3
    value, slope = f1_slopes(np.array([[[1.0, 1, 0], [0, 1, 0], [0, 0, 0]]]))
    assert value.tolist() == pytest.approx([2 / 3])
    # cell (0, 1): F1_0 - f - true_0 F1_0 / 3 - true_1 F1_1 / 3 = -(4 + 2) / 9
    assert slope[0, 0, 1] == pytest.approx(-6 / 9)
    # cell (0, 0): F1_0 - f - 2 true_0 F1_0 / 3 + 2 true_0 / 3 = -8 / 9 + 12 / 9
    assert slope[0, 0, 0] == pytest.approx(4 / 9)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=60),
    st.integers(1, 3),
)
@settings(max_examples=50, deadline=None)
def test_contributions_to_f1_add_up_to_it(pairs: list[tuple[int, int]], n_folds: int) -> None:
    labels, said = np.array(pairs, dtype=np.int64).T
    fold = np.arange(labels.size) * n_folds // labels.size
    found = f1_contributions(labels, said, fold)
    expected = 0.0
    for each in range(n_folds):
        counts = np.zeros((3, 3), dtype=np.int64)
        np.add.at(counts, (labels[fold == each], said[fold == each]), 1)
        expected += f1_weighted(counts) * (fold == each).sum() / labels.size
    assert found.mean() == pytest.approx(expected, abs=1e-12)


def test_slopes_of_f1_match_differences() -> None:
    counts = np.random.default_rng(0).integers(1, 40, size=(1, 3, 3)).astype(np.float64)
    value, slope = f1_slopes(counts)
    n, step = counts.sum(), 1e-6
    for i in range(3):
        for j in range(3):
            more = counts.copy()
            more[0, i, j] += step
            change = (f1_slopes(more)[0][0] - value[0]) / step
            assert n * change == pytest.approx(slope[0, i, j], abs=1e-5)


def test_the_difference_is_that_of_the_metrics() -> None:
    model, baseline = guesses(
        400, np.random.default_rng(0), horizon=5, n_folds=1, skills=(0.5, 0.1)
    )
    ours = classification_metrics(model.label, model.probability)
    theirs = classification_metrics(baseline.label, baseline.probability)
    for score in ("f1_weighted", "accuracy"):
        found = lift_test(model, baseline, score=score)
        assert found.difference == pytest.approx(ours[score] - theirs[score])
    assert lift_test(model, baseline, score="brier").difference == pytest.approx(
        brier_score(baseline.label, baseline.probability)
        - brier_score(model.label, model.probability)
    )


def test_overlap_is_counted_within_folds() -> None:
    # labels last two decisions; the last one of each fold overlaps nothing that follows
    own = table([0, 1, 2, 0, 1], [0] * 5, [0, 0, 0, 1, 1], spans=2)
    assert overlap_counts(own).tolist() == [2, 2, 1, 2, 1]
    # fold 0: three labels, two of them overlap by half at either join; fold 1: two, by half
    # uniqueness 3/4, 1/2, 3/4 and 3/4, 3/4
    assert independent_labels(own) == pytest.approx(3.5)
    found = lift_test(own, table([0, 1, 2, 0, 1], [1] * 5, [0, 0, 0, 1, 1], spans=2))
    assert (found.lag, found.n) == (1, 5)


def test_newey_west_matches_statsmodels() -> None:
    # Expected: statsmodels OLS on a constant, HAC covariance, normal p-value.
    values = np.convolve(np.random.default_rng(0).normal(0.1, 1, size=206), np.ones(7), "valid")
    fitted = sm.OLS(values, np.ones(200)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 6, "use_correction": False}
    )
    statistic, p_value, degrees = mean_test(values, overlap=np.full(200, 7), method="newey_west")
    assert statistic == pytest.approx(float(fitted.tvalues[0]))
    assert p_value == pytest.approx(float(fitted.pvalues[0]))
    assert degrees == math.inf


def test_diebold_and_mariano_by_hand() -> None:
    # h = 2: mean 1, deviations 1 -1 2 -2 0 0, R(0) = 10/6, R(1) = (-1 - 2 - 4) / 6: V < 0, and so
    # falling weights: V = R(0) + R(1) = 0.5
    values = np.array([2.0, 0.0, 3.0, -1.0, 1.0, 1.0])
    factor = math.sqrt((6 + 1 - 4 + 2 * 1 / 6) / 6)
    statistic, p_value, degrees = mean_test(values, overlap=np.full(6, 2), method="diebold_mariano")
    assert statistic == pytest.approx(factor / math.sqrt(0.5 / 6))
    assert degrees == 5
    assert p_value == pytest.approx(2 * stats.t.sf(statistic, 5))
    one_sided = mean_test(values, overlap=np.full(6, 2), method="diebold_mariano", side="greater")
    assert one_sided[1] == pytest.approx(p_value / 2)


def test_without_overlap_every_cosine_makes_it_students_test() -> None:
    # Nine values, eight cosines: the plain variance, and so scipy's one-sample t-test.
    values = np.random.default_rng(1).normal(size=9)
    expected = stats.ttest_1samp(values, 0.0)
    score = values.mean() / math.sqrt(float(cosine_variance(values, 8)) / 9)
    assert score == pytest.approx(float(expected.statistic))


def test_predictions_that_never_differ_have_no_lift() -> None:
    own = table([0, 1, 2, 1], [0, 1, 1, 1], [0] * 4)
    found = lift_test(own, own)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert math.isnan(found.statistic)
    with pytest.raises(MetricError, match="1 values: a test needs at least 2"):
        mean_test(np.ones(1))
    assert mean_test(np.ones(3))[1] == 2 / 2**3
    assert mean_test(-np.ones(3), side="greater")[1] == 1.0


def test_a_lift_is_found_and_its_opposite_is_not() -> None:
    model, baseline = guesses(
        3000, np.random.default_rng(2), horizon=10, n_folds=4, skills=(0.5, 0.0)
    )
    found = lift_test(model, baseline)
    assert found.p_value < 1e-3
    assert found.lag == 9
    assert found.effective_labels == pytest.approx(300, rel=0.05)
    assert lift_test(baseline, model).p_value > 0.999
    assert lift_test(model, baseline, side="two-sided").p_value == pytest.approx(2 * found.p_value)


def test_the_cosines_keep_the_size_that_plain_variances_lose() -> None:
    # The slow test has it to a tenth of this; a plain t-test rejects a third of such pairs.
    rates = rejection_rates(600, horizon=20, skills=(0.2, 0.2), n_tables=200, seed=0)
    assert rates["cosines"] <= 0.10
    power = rejection_rates(3000, horizon=10, skills=(0.5, 0.1), n_tables=40, seed=1)
    assert power["cosines"] > 0.8


def test_a_pattern_that_the_kernel_does_not_see_still_has_a_variance() -> None:
    # Alternating values with equal weights up to lag 1: V = 1 - 2 * 5/6 < 0, falling ones 1 - 5/6.
    values = np.array([1.5, -0.5] * 3)
    statistic, p_value, _ = mean_test(values, overlap=np.full(6, 2), method="newey_west")
    assert math.isfinite(statistic)
    assert 0 < p_value < 1
    # with lag 5 the falling weights add up to nothing of [1, -1] * 3 but a rounding
    assert math.isfinite(mean_test(values - 0.5, overlap=np.full(6, 6), method="newey_west")[0])


def test_a_lead_that_never_varies_is_as_sure_as_its_independent_decisions_are_many() -> None:
    # The sign test: heads every time, of n tosses.
    assert mean_test(np.full(2, 0.7), side="greater")[1] == 0.25
    assert mean_test(np.full(10, 0.7), side="greater")[1] == 2.0**-10
    assert mean_test(np.full(10, 0.7), overlap=np.full(10, 5), side="greater")[1] == 0.25
    assert mean_test(np.full(10, -0.7), side="greater")[1] == 1.0
    assert mean_test(np.zeros(10))[1] == 1.0
