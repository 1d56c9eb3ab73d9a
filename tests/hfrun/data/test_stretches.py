"""Layouts of windows that share rows: every window is there, and nothing else decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.data import stretches as layouts
from hfrun.data.stretches import (
    IntArray,
    StretchSampler,
    batches_of_rows,
    joined,
    starts_of_stretches,
    stretches,
)

GAPS = st.lists(st.integers(1, 60), min_size=1, max_size=40)
WINDOWS = st.integers(1, 30)


def rows_of(gaps: list[int], window: int) -> IntArray:
    return np.cumsum([window - 1, *gaps[1:]]).astype(np.int64)


def windows_at(rows: IntArray, ends: IntArray, window: int) -> IntArray:
    """``(W, T)`` the book rows of each window of a layout."""
    return rows.reshape(-1)[ends[:, None] + np.arange(1 - window, 1)]


def own_windows(rows: IntArray, window: int) -> IntArray:
    return rows[:, None] + np.arange(1 - window, 1)


@given(GAPS, WINDOWS, st.integers(1, 6))
def test_every_window_is_whole_within_its_stretch(
    gaps: list[int], window: int, stretch: int
) -> None:
    rows = rows_of(gaps, window)
    layout = stretches(rows, window=window, stretch=stretch)
    assert np.array_equal(windows_at(layout.rows, layout.ends, window), own_windows(rows, window))
    length = layout.rows.shape[1]
    first = layout.ends - window + 1
    assert np.array_equal(first // length, layout.ends // length)  # no window crosses a stretch
    assert layout.rows.min() >= 0
    assert layout.rows.max() == rows.max()  # none after the last decision
    step = np.diff(layout.rows, axis=1)  # neighbours in the book, after repeats of its first row
    assert ((step == 1) | ((step == 0) & (layout.rows[:, 1:] == 0))).all()


@given(GAPS, WINDOWS)
def test_joined_rows_hold_every_window_and_no_other_row(gaps: list[int], window: int) -> None:
    rows = rows_of(gaps, window)
    layout = joined(rows, window=window)
    assert np.array_equal(windows_at(layout.rows, layout.ends, window), own_windows(rows, window))
    assert np.array_equal(np.unique(layout.rows[0]), np.unique(own_windows(rows, window)))
    assert (np.diff(layout.rows[0]) >= 0).all()
    assert layout.rows.size % 128 == 0


def test_there_are_few_lengths_of_stretches() -> None:
    rng = np.random.default_rng(0)
    lengths = set()
    for _ in range(200):
        rows = np.cumsum(rng.integers(3, 13, 64)) + 100
        lengths.add(stretches(rows, window=40, stretch=4).rows.shape[1])
    assert lengths <= {40 + 16, 40 + 32, 40 + 48}


def test_joined_takes_decisions_in_any_order() -> None:
    rows = np.array([30, 12, 30, 13])
    layout = joined(rows, window=5)
    assert np.array_equal(windows_at(layout.rows, layout.ends, 5), own_windows(rows, 5))


@given(GAPS, WINDOWS, st.integers(1, 6))
def test_a_stretch_is_neighbouring_decisions(gaps: list[int], window: int, stretch: int) -> None:
    rows = rows_of(gaps, window)
    starts = starts_of_stretches(rows, window=window, stretch=stretch)
    for part in np.split(rows, starts[1:]):
        assert 1 <= len(part) <= stretch
        assert (2 * np.diff(part) < window).all()


def test_stretches_are_cut_by_hand() -> None:
    rows = np.array([10, 12, 14, 16, 40, 41, 39, 40])
    # after three; at a gap of half a window; where rows go back
    assert starts_of_stretches(rows, window=20, stretch=3).tolist() == [0, 3, 4, 6]


def test_the_first_stretch_of_a_book_repeats_its_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "_LENGTH_STEP", 1)
    layout = stretches(np.array([4, 20, 22]), window=5, stretch=2)
    assert layout.rows.tolist() == [[0, 0, 0, 1, 2, 3, 4], [16, 17, 18, 19, 20, 21, 22]]
    assert layout.ends.tolist() == [6, 11, 13]


@given(GAPS, WINDOWS, st.integers(1, 200))
def test_batches_hold_each_decision_once_and_few_rows(
    gaps: list[int], window: int, most_rows: int
) -> None:
    rows = rows_of(gaps, window)
    batches = batches_of_rows(rows, window=window, most_rows=most_rows)
    assert np.array_equal(np.concatenate([rows[batch] for batch in batches]), rows)
    for batch in batches:
        held = np.unique(joined(rows[batch], window=window).rows).size
        # one window more than asked for, and those that only a larger limit could avoid
        assert held <= max(most_rows, window) + 2 * window


@given(GAPS, WINDOWS, st.integers(1, 6), st.integers(0, 3))
def test_an_epoch_draws_every_decision_once(
    gaps: list[int], window: int, stretch: int, epoch: int
) -> None:
    rows = rows_of(gaps, window)
    sampler = StretchSampler(rows, window=window, stretch=stretch, seed=1)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert sorted(drawn) == list(range(len(rows)))
    assert drawn == list(sampler)  # by the seed and the epoch alone


def test_epochs_differ_in_order_and_in_where_stretches_are_cut() -> None:
    rows = np.arange(100, 300, 2)
    sampler = StretchSampler(rows, window=50, stretch=4, seed=0)
    heads = set()
    for epoch in range(8):
        sampler.set_epoch(epoch)
        drawn = np.array(list(sampler))
        breaks = np.flatnonzero(np.diff(drawn, prepend=-9) != 1)
        heads |= {int(index) % 4 for index in drawn[breaks]}
    assert heads == {0, 1, 2, 3}


@pytest.mark.parametrize("gap", [10, 500], ids=["of half a window", "of a session"])
def test_stretches_after_a_gap_are_cut_anew_too(gap: int) -> None:
    first = np.arange(100, 160, 2)
    rows = np.concatenate([first, first + first[-1] - first[0] + gap])
    sampler = StretchSampler(rows, window=20, stretch=4, seed=0)
    heads = set()
    for epoch in range(8):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        breaks = np.flatnonzero(np.diff(drawn, prepend=-9) != 1)
        heads |= {int(drawn[at] - first.size) % 4 for at in breaks if drawn[at] >= first.size}
    assert heads == {0, 1, 2, 3}


def test_stretches_keep_neighbours_together() -> None:
    sampler = StretchSampler(np.arange(100, 300, 2), window=50, stretch=4, seed=0)
    steps = np.diff(list(sampler))
    assert (steps == 1).sum() >= 70  # of 99; in a random order about one
