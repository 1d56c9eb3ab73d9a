"""Signals: by hand, and that no decision depends on a later one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.book import FloatArray
from lob_backtest.errors import SignalError
from lob_backtest.signals import (
    block_bounds,
    buy_and_hold_targets,
    choose_threshold,
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
)
def test_changing_later_probabilities_changes_no_earlier_target(
    seed: int, cut: int, hold_decisions: int, threshold: float
) -> None:
    before = probabilities(seed, 30)
    after = before.copy()
    after[cut:] = probabilities(seed + 1, 30)[cut:]
    starts, _ = block_bounds(np.arange(30) // 10, np.arange(30) // 15)
    targets = [
        target_positions(
            probability,
            threshold=threshold,
            hold_decisions=hold_decisions,
            position_limit=2.0,
            starts=starts,
        )
        for probability in (before, after)
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
