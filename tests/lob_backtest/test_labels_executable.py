"""Executable labels: by hand, against a plain loop, and what costs and the future may change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.costs import Costs
from lob_backtest.decisions import Decisions, decide_every_events, decide_every_ns
from lob_backtest.errors import CostError, LabelError
from lob_backtest.execution import Execution
from lob_backtest.labels import Moves, classify, executable_moves, mid_moves
from lob_backtest.latency import FixedLatency
from lob_backtest.orders import orders_from_targets
from tests.lob_backtest.books import (
    SECOND,
    book_from_mids,
    books,
    random_book,
    seconds,
    with_other_future,
)

NAN = np.nan
SPREAD = Costs.proportional(0.0)  # the touch, and nothing on top
FEES = Costs(
    taker_bps=0.4, maker_bps=-0.1, taker_per_unit=0.002, minimum_fee=0.03, sell_tax_bps=0.3
)


def hand_moves(*, costs: Costs = SPREAD, latency_s: float = 0, units: float = 1.0) -> Moves:
    """A decision a second over a horizon of two; the spread is two ticks in every row.

    bid  99 100 103 103  98
    ask 101 102 105 105 100     at 0, 1, 2, 3 and 4 s
    """
    book = book_from_mids([100, 101, 104, 104, 99])
    decisions = decide_every_events(book, step_events=1, window=1)
    return executable_moves(
        book, decisions, horizon_ns=2 * SECOND, costs=costs, units=units,
        latency_ns=round(latency_s * SECOND),
    )  # fmt: skip


def test_a_label_is_the_profit_of_the_direction_that_pays():
    moves = hand_moves()
    # Long 103 - 101. Long 103 - 102. Short 103 - 100. The last two horizons leave the session.
    np.testing.assert_array_equal(moves.move_ticks, [2, 1, -3, NAN, NAN])
    assert moves.label_end_ns.tolist() == seconds([2, 3, 4, 4, 4]).tolist()
    assert classify(moves.move_ticks, threshold_ticks=0.0).tolist() == [2, 2, 0, -1, -1]


def test_orders_arrive_late_at_both_ends():
    # A second late: long 103 - 102; bought at 105, sold at 98 or the reverse (103 - 100) from 1 s.
    moves = hand_moves(latency_s=1)
    np.testing.assert_array_equal(moves.move_ticks, [1, -3, NAN, NAN, NAN])
    assert moves.label_end_ns.tolist() == seconds([3, 4, 4, 4, 4]).tolist()
    # Between two rows an order waits for the next one, and so does the label's end.
    moves = hand_moves(latency_s=0.5)
    np.testing.assert_array_equal(moves.move_ticks, [1, -3, NAN, NAN, NAN])
    assert moves.label_end_ns.tolist() == seconds([3, 4, 4, 4, 4]).tolist()


def test_where_neither_direction_pays_the_label_is_flat():
    # A tick of 0.01 a side, on a unit: long 2 - 2, long 1 - 2, short 3 - 2.
    per_unit = Costs(taker_bps=0.0, maker_bps=0.0, taker_per_unit=0.01)
    np.testing.assert_array_equal(hand_moves(costs=per_unit).move_ticks[:3], [0, 0, -1])


def test_the_minimum_fee_weighs_less_on_a_larger_trade():
    minimum = Costs(taker_bps=0.0, maker_bps=0.0, taker_per_unit=1e-9, minimum_fee=0.01)
    np.testing.assert_allclose(hand_moves(costs=minimum).move_ticks[:3], [0, 0, -1], atol=1e-12)
    larger = hand_moves(costs=minimum, units=10.0).move_ticks[:3]
    np.testing.assert_allclose(larger, [2 - 0.2, 1 - 0.2, -(3 - 0.2)])


def test_a_tax_on_sales_falls_on_the_row_where_the_trade_sells():
    tax = Costs(taker_bps=0.0, maker_bps=0.0, sell_tax_bps=10.0)
    expected = [2 - 0.103, 1 - 0.103, -(3 - 0.103)]  # 10 bps of the bid of 103, in ticks
    np.testing.assert_allclose(hand_moves(costs=tax).move_ticks[:3], expected)


def test_free_trading_at_the_mid_leaves_the_mid_move():
    # What costs: none means in the backtest: gross profit.
    book = book_from_mids(10_000 + np.cumsum(np.random.default_rng(0).integers(-2, 3, 300)) / 2)
    decisions = decide_every_events(book, step_events=3, window=1)
    free = executable_moves(
        book, decisions, horizon_events=5, costs=Costs.none(), latency_ns=0, units=1.0
    )
    plain = mid_moves(book, decisions, horizon_events=5)
    np.testing.assert_array_equal(free.move_ticks, plain.move_ticks)
    assert free.label_end_ns.tolist() == plain.label_end_ns.tolist()


def plain_executable(book: Book, decisions: Decisions, costs: Costs, latency, units, *, h, k):
    """The definition in money, one decision at a time."""
    tick = book.meta.tick_size
    moves, ends = [], []
    for row, now, session in zip(
        decisions.rows, decisions.decided_ns, decisions.session, strict=True
    ):
        last = int(book.session_starts[session + 1] - 1)
        leaves = None
        if k is not None and row + k <= last:
            leaves = int(book.time_ns[row + k])
        if k is None:
            leaves = int(now + h)
        if leaves is None or leaves + latency > book.time_ns[last]:
            moves.append(NAN)
            ends.append(int(book.time_ns[last]))
            continue

        def trades_at(sent: int, latency=latency, last=last) -> int:
            known = max(i for i in range(last + 1) if book.time_ns[i] <= sent)
            late = [i for i in range(known, last + 1) if book.time_ns[i] >= sent + latency]
            return late[0]

        enters, exits = trades_at(int(now)), trades_at(leaves)

        def cash(row: int, size: float) -> float:
            half = costs.multiple * book.spread_ticks[row] / 2
            price = (book.mid_ticks[row] + np.sign(size) * half) * tick
            touch = (book.ask_ticks if size > 0 else book.bid_ticks)[row, 0] * tick
            notional = abs(size) * touch
            fee = notional * costs.taker_bps / 1e4 + abs(size) * costs.taker_per_unit
            if fee > 0:
                fee = max(fee, costs.minimum_fee)
            if size < 0:
                fee += notional * costs.sell_tax_bps / 1e4 + abs(size) * costs.sell_per_unit
            return -size * price - costs.multiple * fee

        long = (cash(enters, units) + cash(exits, -units)) / units / tick
        short = (cash(enters, -units) + cash(exits, units)) / units / tick
        moves.append(long if long > 1e-9 else -short if short > 1e-9 else 0.0)
        ends.append(int(book.time_ns[exits]))
    return moves, ends


@settings(max_examples=80, deadline=None)
@given(
    book=books(max_rows=80, max_levels=1),
    horizon=st.integers(1, 12),
    latency_ms=st.sampled_from([0, 1, 400, 3_000]),
    costs=st.sampled_from([SPREAD, FEES, Costs.none(), FEES.scaled(0.5)]),
    units=st.sampled_from([1.0, 30.0]),
    is_clock=st.booleans(),
    on_clock=st.booleans(),
)
def test_executable_moves_equal_a_plain_loop_over_the_definition(
    book: Book, horizon, latency_ms, costs, units, is_clock, on_clock
):
    if on_clock and np.ptp(book.time_ns) >= 2 * SECOND:
        decisions = decide_every_ns(book, step_ns=SECOND, window=1)
    else:
        decisions = decide_every_events(book, step_events=3, window=1)
    wanted = {"horizon_ns": horizon * SECOND} if is_clock else {"horizon_events": horizon}
    latency = latency_ms * 1_000_000
    moves = executable_moves(
        book, decisions, **wanted, costs=costs, latency_ns=latency, units=units
    )
    h, k = (horizon * SECOND, None) if is_clock else (None, horizon)
    expected, ends = plain_executable(book, decisions, costs, latency, units, h=h, k=k)
    np.testing.assert_allclose(moves.move_ticks, expected, atol=1e-6)
    assert moves.label_end_ns.tolist() == ends


@pytest.mark.parametrize("costs", [SPREAD, FEES, FEES.scaled(0.5), Costs.none()])
def test_a_label_is_worth_what_the_backtest_would_earn(costs: Costs):
    book = random_book(np.random.default_rng(5), 500, 1, 2)
    tick, latency_ns, units = book.meta.tick_size, SECOND // 3, 4.0
    decisions = decide_every_ns(book, step_ns=2 * SECOND, window=1)
    moves = executable_moves(
        book, decisions, horizon_ns=9 * SECOND, costs=costs, latency_ns=latency_ns, units=units
    )
    execution = Execution(kind="touch", latency=FixedLatency(ns=latency_ns))

    def earned(decided_ns: int, size: float) -> float:
        orders = orders_from_targets(
            book, np.array([decided_ns, decided_ns + 9 * SECOND]), np.zeros(2, dtype=np.int64),
            np.array([size, 0.0]), execution=execution,
        )  # fmt: skip
        paid = costs.slippage(size=orders.size, price=orders.price, mid=orders.mid)
        paid += costs.fees(size=orders.size, price=orders.price, is_maker=orders.is_maker)
        return float(-(orders.size * orders.mid).sum() - paid.sum()) / units / tick

    seen = {-1.0: 0, 0.0: 0, 1.0: 0}
    known = np.isfinite(moves.move_ticks)
    for now, move in zip(decisions.decided_ns[known], moves.move_ticks[known], strict=True):
        long, short = earned(int(now), units), earned(int(now), -units)
        assert max(long, short, 0.0) == pytest.approx(abs(move), abs=1e-8)
        assert move == 0 or (move > 0) == (long > short)
        seen[float(np.sign(move))] += 1
    assert min(seen[-1.0], seen[1.0]) > 5


@settings(max_examples=60, deadline=None)
@given(
    book=books(min_rows=60, max_levels=1, max_sessions=2),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.2, 0.95),
    latency_ms=st.sampled_from([0, 1, 700]),
    horizon=st.sampled_from([{"horizon_ns": 3 * SECOND}, {"horizon_events": 9}]),
)
def test_what_comes_after_label_end_changes_no_executable_move(
    book: Book, seed, share, latency_ms, horizon
):
    cut = int(np.flatnonzero(book.is_last_of_instant)[int(share * book.is_last_of_instant.sum())])
    other = random_book(np.random.default_rng(seed), 80, 1)
    changed = with_other_future(book, other, cut + 1, after_ns=1)
    kept, again = (
        executable_moves(
            each, decide_every_events(each, step_events=1, window=1), **horizon, costs=FEES,
            latency_ns=latency_ms * 1_000_000, units=1.0,
        )
        for each in (book, changed)
    )  # fmt: skip
    known = np.flatnonzero(np.isfinite(kept.move_ticks) & (kept.label_end_ns <= book.time_ns[cut]))
    assert kept.move_ticks[known].tolist() == again.move_ticks[known].tolist()
    assert kept.label_end_ns[known].tolist() == again.label_end_ns[known].tolist()


@settings(max_examples=40, deadline=None)
@given(book=books(min_rows=60, max_levels=1), horizon=st.integers(1, 80))
def test_no_executable_move_crosses_a_session(book: Book, horizon):
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = executable_moves(
        book, decisions, horizon_events=horizon, costs=SPREAD, latency_ns=SECOND // 3, units=1.0
    )
    last_ns = book.time_ns[book.session_starts[1:] - 1]
    assert (moves.label_end_ns <= last_ns[decisions.session]).all()


@settings(max_examples=40, deadline=None)
@given(book=books(min_rows=60, max_levels=1), multiple=st.floats(1.0, 5.0))
def test_dearer_trading_makes_no_label_better(book: Book, multiple):
    decisions = decide_every_events(book, step_events=2, window=1)
    cheap, dear = (
        executable_moves(
            book, decisions, horizon_events=10, costs=costs, latency_ns=0, units=1.0
        ).move_ticks
        for costs in (FEES, FEES.scaled(multiple))
    )
    known = np.isfinite(cheap)
    assert (np.abs(dear[known]) <= np.abs(cheap[known]) + 1e-9).all()
    assert (dear[known] * cheap[known] >= 0).all()


def test_arguments_that_make_no_trade_are_refused():
    with pytest.raises(LabelError, match="units=0: needs a size above 0"):
        hand_moves(units=0)
    with pytest.raises(CostError, match="latency_ns=-1000000000"):
        hand_moves(latency_s=-1)
    book = book_from_mids([100, 101])
    decisions = decide_every_events(book, step_events=1, window=1)
    with pytest.raises(LabelError, match="give exactly one horizon"):
        executable_moves(book, decisions, costs=SPREAD, latency_ns=0, units=1.0)
