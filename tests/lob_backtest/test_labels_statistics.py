"""What labels are like: shares, overlap, and whether being right about them could ever pay."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lob_backtest.book import silence_warning
from lob_backtest.config import BacktestConfig, CostsConfig, LabelConfig, LatencyConfig
from lob_backtest.costs import Costs
from lob_backtest.decisions import decide_every_events
from lob_backtest.errors import ConfigError
from lob_backtest.labels import (
    below_round_trip_share,
    class_shares,
    classify,
    executable_moves,
    label_statistics,
    mid_moves,
    round_trip_ticks,
    triple_barrier_moves,
)
from lob_backtest.questions import moves_of, statistics_of
from tests.lob_backtest.books import META, SECOND, book_from_mids, random_book

SPREAD = Costs.proportional(0.0)
NO_COSTS = BacktestConfig(costs="none", latency_ns=0)


def backtest(**costs: float) -> BacktestConfig:
    return BacktestConfig(costs=CostsConfig(**costs), latency_ns=0, position_limit=5.0)


def test_a_round_trip_is_the_spread_and_the_fees_of_both_sides():
    # Spreads of 2, 1 and 2 ticks; 1 bps of about 100 ticks is 0.01 ticks a side.
    book = book_from_mids([100, 100.5, 101])
    decisions = decide_every_events(book, step_events=1, window=1)
    trip = round_trip_ticks(book, decisions, costs=SPREAD, units=1.0)
    assert trip.tolist() == [2, 1, 2]
    fees = round_trip_ticks(book, decisions, costs=Costs.proportional(1.0), units=3.0)
    assert (fees - trip).tolist() == pytest.approx([0.02, 0.0201, 0.0202])
    taxed = Costs(taker_bps=0.0, maker_bps=0.0, sell_tax_bps=1.0)
    assert (round_trip_ticks(book, decisions, costs=taxed, units=1.0) - trip).tolist() == (
        pytest.approx([0.0099, 0.01, 0.01])
    )
    assert round_trip_ticks(book, decisions, costs=Costs.none(), units=1.0).tolist() == [0, 0, 0]


def test_a_round_trip_in_ticks_is_that_of_the_costs_in_money():
    book = random_book(np.random.default_rng(0), 200, 1)
    decisions = decide_every_events(book, step_events=3, window=1)
    costs = Costs(
        taker_bps=0.4, maker_bps=-0.1, taker_per_unit=0.002, minimum_fee=0.03, sell_tax_bps=0.3
    ).scaled(0.7)
    tick, rows = book.meta.tick_size, decisions.rows
    in_money = costs.round_trip(
        size=np.full(rows.size, 3.0),
        bid=book.bid_ticks[rows, 0] * tick,
        ask=book.ask_ticks[rows, 0] * tick,
    )
    in_ticks = round_trip_ticks(book, decisions, costs=costs, units=3.0)
    np.testing.assert_allclose(in_ticks * 3.0 * tick, in_money, rtol=1e-9)


def test_the_share_below_the_round_trip_counts_up_and_down_labels_only():
    labels = np.array([2, 2, 0, 0, 1, -1])
    moves = np.array([1.0, 2.0, -1.5, -9.0, 0.0, np.nan])
    # 2 ticks away is not below 2 ticks: it pays for itself to the last cent.
    assert below_round_trip_share(labels, moves, np.full(6, 2.0)) == 0.5
    assert below_round_trip_share(labels[4:], moves[4:], np.full(2, 2.0)) is None


def test_label_statistics_by_hand():
    # One row a second, a horizon of two: the second and third of three known labels overlap.
    book = book_from_mids([100, 100, 101, 103, 101, 101])
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = mid_moves(book, decisions, horizon_ns=2 * SECOND)
    assert moves.move_ticks[:4].tolist() == [1, 3, 0, -2]
    labels = classify(moves.move_ticks, threshold_ticks=0.5)
    told = label_statistics(
        book, decisions, labels, moves.label_end_ns,
        mid_move_ticks=moves.move_ticks, costs=SPREAD,
    )  # fmt: skip
    # (0, 2], (1, 3], (2, 4] and (3, 5]: open 1, 2, 2, 2, 1. Uniqueness 3/4, 1/2, 1/2, 3/4.
    assert told == {
        "n": 4,
        "unknown": 2,
        "shares": {"down": 0.25, "flat": 0.25, "up": 0.5},
        "effective_labels": pytest.approx(2.5),
        "mean_overlap": pytest.approx(1.6),
        "round_trip_ticks": 2.0,
        "below_round_trip_share": pytest.approx(1 / 3),  # the 1; the 3 and the -2 are not below 2
        "warnings": [],
    }


def test_labels_that_cannot_pay_are_warned_about_from_a_stated_share_on():
    book = book_from_mids([100, 101] * 40)
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = mid_moves(book, decisions, horizon_events=1)
    labels = classify(moves.move_ticks, threshold_ticks=0.0)
    arguments = (book, decisions, labels, moves.label_end_ns)
    told = label_statistics(*arguments, mid_move_ticks=moves.move_ticks, costs=SPREAD)
    assert told["below_round_trip_share"] == 1.0
    (warning,) = told["warnings"]
    assert warning.startswith(
        "100.0% of the up and down labels moved by less than the cheapest round trip (median 2 "
        "ticks)"
    )
    lenient = label_statistics(
        *arguments, mid_move_ticks=moves.move_ticks, costs=SPREAD, most_below=1.0
    )
    assert lenient["warnings"] == []
    unasked = label_statistics(*arguments, mid_move_ticks=moves.move_ticks, costs=None)
    assert (unasked["below_round_trip_share"], unasked["round_trip_ticks"]) == (None, None)


def test_one_class_is_warned_about():
    book = book_from_mids([100.0] * 50)
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = mid_moves(book, decisions, horizon_events=1)
    labels = classify(moves.move_ticks, threshold_ticks=0.0)
    told = label_statistics(
        book, decisions, labels, moves.label_end_ns,
        mid_move_ticks=moves.move_ticks, costs=SPREAD,
    )  # fmt: skip
    (warning,) = told["warnings"]
    assert warning.startswith("100.0% of the labels are flat: a constant guess will look accurate")
    assert told["below_round_trip_share"] is None
    json.dumps(told, allow_nan=False)


def test_no_known_label_gives_figures_all_the_same():
    book = book_from_mids([100, 101, 102])
    decisions = decide_every_events(book, step_events=1, window=1)
    unknown, ends = np.full(3, -1), np.full(3, book.time_ns[-1])
    told = label_statistics(
        book, decisions, unknown, ends, mid_move_ticks=np.full(3, np.nan), costs=SPREAD
    )
    assert (told["n"], told["unknown"], told["effective_labels"]) == (0, 3, 0.0)
    assert told["shares"] == class_shares(unknown) == {"down": 0.0, "flat": 0.0, "up": 0.0}
    json.dumps(told, allow_nan=False)


def test_a_config_of_each_new_kind_gives_its_moves():
    book = random_book(np.random.default_rng(1), 600, 1)
    decisions = decide_every_events(book, step_events=3, window=1)
    barrier = LabelConfig(
        kind="triple_barrier", horizon_ms=8000, barrier_volatilities=0.7, volatility_decisions=30
    )
    direct = triple_barrier_moves(
        book, decisions, horizon_ns=8 * SECOND, barrier_volatilities=0.7, volatility_decisions=30
    )
    asked = moves_of(book, decisions, barrier)
    np.testing.assert_array_equal(asked.move_ticks, direct.move_ticks)
    assert asked.label_end_ns.tolist() == direct.label_end_ns.tolist()

    executable = LabelConfig(kind="executable", horizon_events=12)
    trading = BacktestConfig(
        costs=CostsConfig(fee_per_unit=0.003, minimum_fee=0.02),
        latency_ns=LatencyConfig(median_ns=700_000_000, p99_ns=2_000_000_000),
        position_limit=5.0,
    )
    direct = executable_moves(
        book, decisions, horizon_events=12, units=5.0, latency_ns=700_000_000,
        costs=Costs(
            taker_bps=0.0, maker_bps=0.0, taker_per_unit=0.003, maker_per_unit=0.003,
            minimum_fee=0.02,
        ),
    )  # fmt: skip
    asked = moves_of(book, decisions, executable, trading)
    np.testing.assert_array_equal(asked.move_ticks, direct.move_ticks)
    assert asked.label_end_ns.tolist() == direct.label_end_ns.tolist()


def test_executable_labels_without_costs_are_refused():
    book = book_from_mids([100, 101, 102])
    decisions = decide_every_events(book, step_events=1, window=1)
    with pytest.raises(ConfigError, match=r"executable is after the costs of trading, got no"):
        moves_of(book, decisions, LabelConfig(kind="executable", horizon_events=1))


def test_statistics_hold_the_mids_own_move_against_the_costs():
    book = random_book(np.random.default_rng(2), 800, 1)
    decisions = decide_every_events(book, step_events=2, window=1)
    costs = backtest(fee_bps=0.2)
    smoothed = LabelConfig(kind="smoothed_forward", horizon_events=20)
    plain = LabelConfig(horizon_events=20)
    told = {}
    for config in (smoothed, plain):
        moves = moves_of(book, decisions, config)
        labels = classify(moves_of(book, decisions, plain).move_ticks, threshold_ticks=1.0)
        told[config.kind] = statistics_of(
            book, decisions, labels, moves.label_end_ns, config, costs
        )
    # The same labels: what is held against the costs is the mid's move, not the mean's.
    assert told["smoothed_forward"] == told["mid_move"]
    assert 0 < told["mid_move"]["below_round_trip_share"] < 1
    free = statistics_of(book, decisions, labels, moves.label_end_ns, plain, NO_COSTS)
    assert free["below_round_trip_share"] == 0.0


def test_statistics_of_a_barrier_take_the_move_to_its_touch():
    book = random_book(np.random.default_rng(4), 1_500, 1)
    decisions = decide_every_events(book, step_events=2, window=1)
    config = LabelConfig(
        kind="triple_barrier", horizon_events=40, barrier_volatilities=0.5, volatility_decisions=20
    )
    moves = moves_of(book, decisions, config)
    labels = classify(moves.move_ticks, threshold_ticks=0.0)
    told = statistics_of(book, decisions, labels, moves.label_end_ns, config, backtest(fee_bps=0.5))
    trip = round_trip_ticks(book, decisions, costs=Costs.proportional(0.5), units=5.0)
    expected = below_round_trip_share(labels, moves.move_ticks, trip)
    assert told["below_round_trip_share"] == expected
    assert expected is not None
    assert 0 < expected < 1


def test_long_silences_inside_a_session_are_told_and_nights_are_not():
    meta = replace(META, session_open=None, session_close=None)
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 10 + 7200, 10 + 7200 + 540_000], meta=meta)
    warning = silence_warning(book)
    assert warning is not None
    assert warning.startswith(
        "2 silences of more than an hour inside a session, the longest of 150"
    )
    assert "from 2020-01-06 12:00 UTC" in warning
    assert silence_warning(book_from_mids([100] * 3, at_seconds=[0, 3600, 7200])) is None
    assert silence_warning(book_from_mids([100] * 3, at_seconds=[0, 10, 86_400])) is None
    assert silence_warning(book_from_mids([100])) is None
