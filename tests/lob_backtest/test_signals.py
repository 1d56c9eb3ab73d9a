"""Signals: by hand, and that no decision depends on a later one."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lob_backtest.book import FloatArray
from lob_backtest.errors import SignalError
from lob_backtest.signals import (
    block_bounds,
    buy_and_hold_targets,
    choose_threshold,
    confidence_sizes,
    hold,
    raw_signal,
    target_positions,
)


def probabilities(seed: int, n: int) -> FloatArray:
    return np.random.default_rng(seed).dirichlet([1.0, 1.0, 1.0], n)


def test_a_block_is_a_stretch_of_one_fold_in_one_session() -> None:
    fold = np.array([0, 0, 0, 1, 1, 2])
    session = np.array([0, 0, 1, 1, 1, 1])
    starts, ends = block_bounds(fold, session)
    assert starts.tolist() == [True, False, True, True, False, True]
    assert ends.tolist() == [False, True, True, False, True, True]


def test_the_more_likely_side_signals_where_it_reaches_the_threshold() -> None:
    probability = np.array(
        [
            [0.1, 0.3, 0.6],  # up, exactly at the threshold
            [0.7, 0.2, 0.1],  # down
            [0.1, 0.31, 0.59],  # up, not enough
            [0.2, 0.6, 0.2],  # flat
        ]
    )
    assert raw_signal(probability, threshold=0.6).tolist() == [1, -1, 0, 0]


def test_equal_sides_give_no_signal_and_direction_alone_may_trade_below_flat() -> None:
    probability = np.array([[0.45, 0.1, 0.45], [0.1, 0.5, 0.4]])
    assert raw_signal(probability, threshold=0.4).tolist() == [0, 1]


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(SignalError, match=f"threshold={threshold}"):
        raw_signal(probabilities(0, 3), threshold=threshold)


@pytest.mark.parametrize(
    ("hold_decisions", "expected"),
    [
        (1, [0, 1, 0, 0, 0, -1, 0, 1, 0, 0]),
        (2, [0, 1, 1, 0, 0, -1, -1, 1, 1, 0]),
        (3, [0, 1, 1, 1, 0, -1, -1, 1, 1, 1]),
        (9, [0, 1, 1, 1, 1, -1, -1, 1, 1, 1]),
    ],
)
def test_a_signal_is_kept_for_that_many_decisions(hold_decisions: int, expected: list[int]) -> None:
    signal = np.array([0, 1, 0, 0, 0, -1, 0, 1, 0, 0])
    restart = np.arange(10) == 0
    assert hold(signal, hold_decisions=hold_decisions, restart=restart).tolist() == expected


def test_the_same_sign_renews_the_count() -> None:
    signal = np.array([1, 0, 1, 0, 0, 0])
    held = hold(signal, hold_decisions=3, restart=np.arange(6) == 0)
    assert held.tolist() == [1, 1, 1, 1, 1, 0]


def test_nothing_is_held_into_the_next_block() -> None:
    signal = np.array([0, 1, 0, 0, 0, 0])
    restart = np.array([True, False, False, True, False, False])
    assert hold(signal, hold_decisions=9, restart=restart).tolist() == [0, 1, 1, 0, 0, 0]


@given(
    st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 6),
)
def test_holding_equals_counting_down_one_decision_at_a_time(
    steps: list[tuple[int, bool]], hold_decisions: int
) -> None:
    expected, side, left = [], 0, 0
    for signal, restarts in steps:
        if restarts:
            side, left = 0, 0
        if signal != 0:
            side, left = signal, hold_decisions
        expected.append(side if left > 0 else 0)
        left -= 1
    held = hold(
        np.array([signal for signal, _ in steps]),
        hold_decisions=hold_decisions,
        restart=np.array([restarts for _, restarts in steps]),
    )
    assert held.tolist() == expected


@given(
    seed=st.integers(0, 1000),
    cut=st.integers(0, 30),
    hold_decisions=st.integers(1, 5),
    threshold=st.floats(0.2, 0.8),
    sizing=st.sampled_from(["full", "confidence"]),
)
def test_changing_later_probabilities_and_prices_changes_no_earlier_target(
    seed: int, cut: int, hold_decisions: int, threshold: float, sizing: str
) -> None:
    before = probabilities(seed, 30)
    after = before.copy()
    after[cut:] = probabilities(seed + 1, 30)[cut:]
    limits = np.random.default_rng(seed).uniform(0.5, 4, (2, 30))
    limits[1, :cut] = limits[0, :cut]
    starts, _ = block_bounds(np.arange(30) // 10, np.arange(30) // 15)
    targets = [
        target_positions(
            probability,
            threshold=threshold,
            hold_decisions=hold_decisions,
            position_limit=2.0,
            starts=starts,
            sizing=sizing,
            size_steps=4,
            unit_limit=unit_limit,
        )
        for probability, unit_limit in ((before, limits[0]), (after, limits[1]))
    ]
    assert targets[0][:cut].tolist() == targets[1][:cut].tolist()


@given(seed=st.integers(0, 1000), limit=st.floats(0.01, 100))
def test_targets_stay_within_the_limit(seed: int, limit: float) -> None:
    starts, _ = block_bounds(np.arange(30) // 7, np.arange(30) // 15)
    targets = target_positions(
        probabilities(seed, 30),
        threshold=0.34,
        hold_decisions=3,
        position_limit=limit,
        starts=starts,
    )
    assert set(np.abs(targets)) <= {0.0, limit}
    bought = buy_and_hold_targets(starts, position_limit=limit)
    assert bought.tolist() == [limit] * 30


# ----------------------------------------------------------------------------- sizes


def certain_of(up: Sequence[float]) -> FloatArray:
    """Rows whose probability of up is given; the rest is flat."""
    p = np.array(up)
    return np.column_stack([np.zeros(p.size), 1 - p, p])


@pytest.mark.parametrize(
    ("p", "bet", "share"),
    [
        (1 / 3, 0.0, 0.0),
        (0.35, 0.0279, 0.0),  # z = 0.0167 / 0.4770 = 0.0349
        (0.5, 0.2611, 0.25),  # z = 0.1667 / 0.5 = 0.3333
        (0.8, 0.7566, 0.75),  # z = 0.4667 / 0.4 = 1.1667
        (0.9, 0.9411, 1.0),  # z = 0.5667 / 0.3 = 1.8889
        (1.0, 1.0, 1.0),
        (1.00005, 1.0, 1.0),  # what a table's rounding allows
    ],
)
def test_confidence_is_sized_by_hand(p: float, bet: float, share: float) -> None:
    probability, up = certain_of([p]), np.array([1])
    assert confidence_sizes(probability, up, size_steps=4).tolist() == [share]
    fine = confidence_sizes(probability, up, size_steps=100_000)
    assert fine == pytest.approx([bet], abs=6e-5)


@given(seed=st.integers(0, 1000), size_steps=st.integers(1, 20))
def test_sizes_equal_scipys_normal_distribution_rounded_to_steps(
    seed: int, size_steps: int
) -> None:
    probability = probabilities(seed, 40)
    signal = np.where(probability[:, 2] > probability[:, 0], 1, -1)
    p = np.where(signal > 0, probability[:, 2], probability[:, 0])
    bet = 2 * stats.norm.cdf((p - 1 / 3) / np.sqrt(p * (1 - p))) - 1
    expected = [max(np.floor(m * size_steps + 0.5), 0) / size_steps for m in bet]
    assert confidence_sizes(probability, signal, size_steps=size_steps).tolist() == expected
    assert confidence_sizes(probability, 0 * signal, size_steps=size_steps).tolist() == [0.0] * 40


def test_a_kept_signal_keeps_its_size_and_a_renewed_one_takes_its_own() -> None:
    targets = target_positions(
        certain_of([0.5, 0.1, 0.9, 0.1, 0.1, 0.1]),
        threshold=0.4,
        hold_decisions=2,
        position_limit=8.0,
        starts=np.arange(6) == 0,
        sizing="confidence",
        size_steps=4,
    )
    assert targets.tolist() == [2.0, 2.0, 8.0, 8.0, 0.0, 0.0]


def test_a_notional_limit_counts_where_a_side_is_taken_and_holds_until_it_is_left() -> None:
    down_at_end = certain_of([0.9, 0.9, 0.9, 0.1, 0.9, 0.9])
    down_at_end[5] = [0.9, 0.1, 0.0]
    unit_limit = np.array([3.0, 2.0, 9.0, 9.0, 5.0, 4.0])
    asked = {
        "threshold": 0.5,
        "hold_decisions": 1,
        "starts": np.array([True, False, False, False, False, False]),
        "unit_limit": unit_limit,
    }
    free = target_positions(down_at_end, position_limit=100.0, **asked)
    assert free.tolist() == [3.0, 3.0, 3.0, 0.0, 5.0, -4.0]
    bound = target_positions(down_at_end, position_limit=4.5, **asked)
    assert bound.tolist() == [3.0, 3.0, 3.0, 0.0, 4.5, -4.0]
    held = buy_and_hold_targets(np.arange(6) % 4 == 0, position_limit=100.0, unit_limit=unit_limit)
    assert held.tolist() == [3.0, 3.0, 3.0, 3.0, 5.0, 5.0]


@given(
    seed=st.integers(0, 1000),
    limit=st.floats(0.01, 100),
    hold_decisions=st.integers(1, 5),
    size_steps=st.integers(1, 10),
    sizing=st.sampled_from(["full", "confidence"]),
    is_bound=st.booleans(),
)
def test_no_sizing_goes_beyond_the_limits(
    seed: int, limit: float, hold_decisions: int, size_steps: int, sizing: str, is_bound: bool
) -> None:
    rng = np.random.default_rng(seed)
    probability = probabilities(seed, 50)
    starts = np.arange(50) % 17 == 0
    unit_limit = rng.uniform(0.01, 50, 50) if is_bound else None
    asked = {
        "threshold": 0.36,
        "hold_decisions": hold_decisions,
        "position_limit": limit,
        "starts": starts,
    }
    full = target_positions(probability, **asked)
    targets = target_positions(
        probability, sizing=sizing, size_steps=size_steps, unit_limit=unit_limit, **asked
    )
    assert (np.abs(targets) <= limit).all()
    assert (np.sign(targets) * np.sign(full) >= 0).all()
    if unit_limit is not None:
        taken = np.flatnonzero(starts | (np.diff(np.sign(full), prepend=0) != 0))
        since = taken[np.searchsorted(taken, np.arange(50), side="right") - 1]
        assert (np.abs(targets) <= unit_limit[since] + 1e-12).all()


def test_a_size_or_limit_that_is_none_is_refused() -> None:
    with pytest.raises(SignalError, match="size_steps=0: needs to be at least 1"):
        confidence_sizes(probabilities(0, 3), np.ones(3, dtype=np.int64), size_steps=0)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(SignalError, match="unit_limit: needs a positive number of units"):
            buy_and_hold_targets(np.array([True]), position_limit=1.0, unit_limit=np.array([bad]))


def test_a_flat_prediction_never_takes_a_position() -> None:
    flat = np.tile([0.0, 1.0, 0.0], (20, 1))
    starts, _ = block_bounds(np.zeros(20, dtype=np.int64), np.zeros(20, dtype=np.int64))
    targets = target_positions(
        flat, threshold=0.34, hold_decisions=5, position_limit=1.0, starts=starts
    )
    assert targets.tolist() == [0.0] * 20


@pytest.mark.parametrize(
    ("net_pnl", "trades", "chosen"),
    [
        ([1.0, 3.0, 2.0], [50, 40, 30], 0.5),  # the highest profit
        ([1.0, 3.0, 9.0], [50, 40, 9], 0.5),  # 9 trades are too few
        ([2.0, 1.0, 2.0], [50, 40, 30], 0.6),  # the higher one among equals
        ([-3.0, -2.0, -9.0], [50, 40, 30], 0.5),  # the least loss
        ([0.0, 0.0, 0.0], [3, 2, 0], 0.4),  # none is eligible: the most trades
        ([9.0, 0.0, 0.0], [3, 3, 0], 0.5),  # a profit of 3 trades does not decide
    ],
)
def test_the_threshold_is_the_best_of_those_that_trade_enough(
    net_pnl: list[float], trades: list[int], chosen: float
) -> None:
    assert choose_threshold([0.4, 0.5, 0.6], net_pnl, trades, min_trades=10) == chosen


def test_thresholds_and_figures_of_different_number_are_refused() -> None:
    with pytest.raises(SignalError, match="got 2 candidates, 1 profits and 2 trade counts"):
        choose_threshold([0.4, 0.5], [1.0], [3, 3], min_trades=1)
    with pytest.raises(SignalError, match="needs finite figures"):
        choose_threshold([0.4], [float("nan")], [3], min_trades=1)


def test_a_holding_rule_or_limit_below_its_least_is_refused() -> None:
    with pytest.raises(SignalError, match="hold_decisions=0: needs to be at least 1"):
        hold(np.array([1]), hold_decisions=0, restart=np.array([True]))
    with pytest.raises(SignalError, match="position_limit=0"):
        buy_and_hold_targets(np.array([True]), position_limit=0)
