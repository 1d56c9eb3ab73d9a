"""The measures of shift, against scipy and by hand."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from hfrun.data.audit.distributions import (
    chance_stability_index,
    homogeneity_p,
    largest_gap,
    stability_index,
    total_variation,
)

TABLES = st.integers(2, 6).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 500), min_size=n, max_size=n)] * 2)
)


@settings(max_examples=50, deadline=None)
@given(table=TABLES)
def test_the_chance_of_two_counts_is_that_of_scipys_contingency_table(
    table: tuple[list[int], list[int]],
) -> None:
    a, b = map(np.array, table)
    assume((a + b).all() and a.sum() and b.sum())
    expected = stats.chi2_contingency(np.stack([a, b]), correction=False)
    assume(expected.expected_freq.min() >= 5)
    assert homogeneity_p(a, b) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize(
    ("a", "b"), [([5, 3], [2, 9]), ([10, 1], [3, 7]), ([40, 2], [12, 4]), ([3, 3], [3, 3])]
)
def test_the_chance_of_rare_classes_is_close_to_scipys_exact_one(
    a: list[int], b: list[int]
) -> None:
    # Fisher's test orders tables by their probability, ours by chi-square: the same here.
    expected = stats.fisher_exact([a, b]).pvalue
    assert homogeneity_p(np.array(a), np.array(b)) == pytest.approx(expected, abs=0.015)


def test_no_chance_is_smaller_than_the_permutations_can_tell() -> None:
    assert 1e-4 <= homogeneity_p(np.array([12, 0]), np.array([0, 7])) < 1e-3


def test_overlapping_labels_count_for_as_many_as_they_are_worth() -> None:
    a, b = np.array([600, 400]), np.array([520, 480])
    full = homogeneity_p(a, b)
    tenth = homogeneity_p(a, b, weight=0.1)
    assert full < 0.001 < 0.05 < tenth
    assert tenth == pytest.approx(homogeneity_p(a // 10, b // 10), rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [([5, 0], [9, 0]), ([0, 0], [3, 4]), ([3, 4], [0, 0])])
def test_counts_that_cannot_differ_are_sure_to_be_alike(a: list[int], b: list[int]) -> None:
    assert homogeneity_p(np.array(a), np.array(b)) == 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(4, 60), m=st.integers(4, 60))
def test_the_largest_gap_is_scipys_kolmogorov_smirnov_distance(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 12, n) / 3, rng.integers(0, 12, m) / 3
    assert largest_gap(a, b) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)


def test_total_variation_by_hand() -> None:
    # |0.2 - 0.5| + |0.3 - 0.5| + |0.5 - 0| = 1.0, halved
    assert total_variation(np.array([2, 3, 5]), np.array([4, 4, 0])) == pytest.approx(0.5)
    assert total_variation(np.array([1, 0]), np.array([0, 7])) == 1.0


def test_the_stability_index_by_hand() -> None:
    train, other = np.array([0.0, 1.0]), np.array([1.0, 1.0])
    # The tenths of 0 and 1 lie between them: nine edges, 0 in the first bin, 1 in the last; half a
    # count in each of ten bins: p = (1.5, 0.5 * 8, 1.5) / 7, q = (0.5, 0.5 * 8, 2.5) / 7
    p, q = np.array([1.5, 1.5]) / 7, np.array([0.5, 2.5]) / 7
    index, bins = stability_index(train, other)
    assert bins == 10
    assert index == pytest.approx(((q - p) * np.log(q / p)).sum())


def test_the_stability_index_of_a_column_with_one_value_is_next_to_nothing() -> None:
    index, bins = stability_index(np.ones(50), np.ones(30))
    assert bins == 2
    assert index < 0.005 < chance_stability_index(bins, 50, 30)


def test_independent_samples_are_beyond_chance_one_time_in_a_hundred() -> None:
    rng = np.random.default_rng(0)
    limit = chance_stability_index(10, 800, 300)
    beyond = sum(
        stability_index(rng.normal(size=800), rng.normal(size=300))[0] > limit for _ in range(1000)
    )
    assert beyond in range(1, 25)


def test_a_moved_sample_is_far_beyond_chance_and_a_large_shift() -> None:
    rng = np.random.default_rng(0)
    index, bins = stability_index(rng.normal(size=2000), 1 + rng.normal(size=2000))
    assert index > 0.25 > chance_stability_index(bins, 2000, 2000)
