"""Label overlap: a published example, by hand, against a plain count, and its bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.errors import LabelError
from lob_backtest.labels import (
    average_uniqueness,
    effective_labels,
    label_concurrency,
    mean_overlap,
)

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=30)


def arrays(spans) -> tuple[np.ndarray, np.ndarray]:
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    return starts, starts + np.array([length for _, length in spans], dtype=np.int64)


def test_uniqueness_equals_the_published_example():
    # Lopez de Prado (2018), ch. 4.5.3: three labels made of the returns r(0,3), r(2,4) and r(4,6);
    # their average uniqueness is 5/6, 3/4 and 1, so the sequential bootstrap's first draw is even.
    decided, ends = np.array([0, 2, 4]), np.array([3, 4, 6])
    assert average_uniqueness(decided, ends).tolist() == pytest.approx([5 / 6, 3 / 4, 1])
    assert effective_labels(decided, ends) == pytest.approx(31 / 12)
    # Open in each of the six steps: 1, 1, 2, 1, 1, 1.
    assert mean_overlap(decided, ends) == pytest.approx(7 / 6)
    assert label_concurrency(decided, ends).tolist() == [1, 2, 1]


def test_labels_that_follow_each_other_are_independent():
    decided = np.arange(0, 1_000, 10)
    assert average_uniqueness(decided, decided + 10).tolist() == [1.0] * 100
    assert effective_labels(decided, decided + 10) == 100
    assert mean_overlap(decided, decided + 7) == 1.0


def test_labels_over_one_span_are_one():
    decided, ends = np.zeros(50, dtype=np.int64), np.full(50, 99)
    assert effective_labels(decided, ends) == pytest.approx(1)
    assert mean_overlap(decided, ends) == 50


def test_horizon_over_step_labels_overlap():
    # A decision a second, a horizon of ten: away from the ends ten are open at any time.
    decided = np.arange(10_000) * 10**9 + 1_578_304_800 * 10**9
    ends = decided + 10 * 10**9
    assert mean_overlap(decided, ends) == pytest.approx(10_000 * 10 / 10_009)
    assert effective_labels(decided, ends) == pytest.approx(10_009 / 10, rel=1e-9)
    assert label_concurrency(decided, ends)[9:].tolist() == [10] * 9_991


@settings(max_examples=100, deadline=None)
@given(SPANS)
def test_overlap_equals_a_count_at_every_step(spans):
    decided, ends = arrays(spans)
    # What is open in each step (s, s + 1] of the whole numbers.
    steps = np.arange(0, 50)
    is_open = (decided[:, None] <= steps) & (steps < ends[:, None])
    concurrency = is_open.sum(axis=0)
    expected = [np.mean(1 / concurrency[row]) for row in is_open]
    np.testing.assert_allclose(average_uniqueness(decided, ends), expected, rtol=1e-12)
    covered = concurrency[concurrency > 0]
    assert mean_overlap(decided, ends) == pytest.approx(covered.mean())
    assert label_concurrency(decided, ends).tolist() == concurrency[decided].tolist()


@settings(max_examples=100, deadline=None)
@given(SPANS, st.randoms(use_true_random=False))
def test_effective_labels_are_bounded_and_know_no_order(spans, random):
    decided, ends = arrays(spans)
    effective = effective_labels(decided, ends)
    assert 1 - 1e-12 <= effective <= len(spans) + 1e-12
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert effective_labels(*arrays(shuffled)) == pytest.approx(effective)
    # One more label adds at most one; it takes away where it overlaps.
    assert effective <= effective_labels(decided[1:], ends[1:]) + 1 + 1e-9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.integers(1, 50))
def test_of_labels_of_one_length_the_overlap_says_it_all(starts, length):
    decided = np.array(starts)
    effective = effective_labels(decided, decided + length)
    assert effective == pytest.approx(len(starts) / mean_overlap(decided, decided + length))


def test_no_label_and_a_label_without_a_life():
    empty = np.empty(0, dtype=np.int64)
    assert (effective_labels(empty, empty), mean_overlap(empty, empty)) == (0.0, 0.0)
    decided, ends = np.array([0, 5]), np.array([10, 5])
    assert average_uniqueness(decided, ends).tolist() == pytest.approx([0.95, 0.5])


def test_labels_that_look_backward_are_refused():
    with pytest.raises(LabelError, match="1 labels end before their decision, first number 1"):
        effective_labels(np.array([0, 5]), np.array([10, 4]))
    with pytest.raises(LabelError, match=r"shapes \(2,\) and \(1,\)"):
        mean_overlap(np.array([0, 5]), np.array([10]))
