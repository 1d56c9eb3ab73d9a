"""Passive orders: filled only when the market trades through them, and equal to a plain loop."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, IntArray
from lob_backtest.costs import Costs
from lob_backtest.execution import Execution
from lob_backtest.latency import DrawnLatency, FixedLatency, Latency
from lob_backtest.orders import Orders, block_closes, orders_from_targets
from tests.lob_backtest.books import META, SECOND, books, seconds
from tests.lob_backtest.trading_cases import random_case

latencies = st.sampled_from(
    [
        FixedLatency(ns=0),
        FixedLatency(ns=SECOND // 3),
        DrawnLatency(median_ns=SECOND, p99_ns=9 * SECOND, seed=1),
    ]
)


def book_of(bid: Sequence[int], ask: Sequence[int], at: Sequence[float] | None = None) -> Book:
    n = len(bid)
    return Book(
        meta=META,
        time_ns=seconds(range(n) if at is None else at),
        ask_ticks=np.array(ask)[:, None],
        ask_size=np.full((n, 1), 5.0),
        bid_ticks=np.array(bid)[:, None],
        bid_size=np.full((n, 1), 5.0),
    )


def rested(
    book: Book,
    at: Sequence[float],
    targets: Sequence[float],
    *,
    all_decided: Sequence[float] | None = None,
    flat_at_session_end: bool = True,
) -> Orders:
    decided_ns = seconds(at)
    return orders_from_targets(
        book,
        decided_ns,
        np.zeros(len(at), dtype=np.int64),
        np.array(targets, dtype=np.float64),
        execution=Execution(
            kind="passive",
            latency=FixedLatency(ns=0),
            flat_at_session_end=flat_at_session_end,
        ),
        closes_ns=block_closes(
            book, decided_ns, None if all_decided is None else seconds(all_decided)
        ),
    )


def fills_of(orders: Orders) -> list[tuple[int, float, float, bool]]:
    """Row, size, price in ticks, and whether it rested."""
    ticks = np.round(orders.price * 100, 6)
    columns = (orders.row, orders.size, ticks, orders.is_maker)
    return list(zip(*(column.tolist() for column in columns), strict=True))


#                    row  0    1    2    3    4    5    6
FALLING = book_of(bid=[99, 99, 100, 99, 98, 98, 97], ask=[101, 101, 101, 100, 99, 100, 98])


def test_a_buy_waits_at_the_bid_until_an_ask_is_there() -> None:
    # Posted at 99 on row 0; row 3 has asks at 100, row 4 at 99. Closed at the bid of the last row.
    orders = rested(FALLING, [0], [2])
    assert fills_of(orders) == [(4, 2.0, 99.0, True), (6, -2.0, 97.0, False)]
    assert orders.decided_ns.tolist() == seconds([0, 6]).tolist()
    # Bought at 99 when the mid was 98.5: a fill on a trade-through costs against the mid.
    slippage = orders.slippage(Costs.proportional(0))
    assert slippage == pytest.approx([2 * 0.005, 2 * 0.005], abs=1e-12)
    assert orders.fees(Costs(taker_bps=10.0, maker_bps=-5.0)) == pytest.approx(
        [-0.0005 * 2 * 0.99, 0.001 * 2 * 0.97], abs=1e-12
    )


def test_a_sale_waits_at_the_ask_and_is_filled_by_a_bid_beyond_it() -> None:
    rising = book_of(bid=[99, 100, 103, 103], ask=[101, 102, 104, 104])
    assert fills_of(rested(rising, [0], [-1])) == [(2, -1.0, 101.0, True), (3, 1.0, 104.0, False)]


def test_an_unfilled_order_is_cancelled_by_the_next_change_and_leaves_no_position() -> None:
    # The buy at 99 is cancelled at row 3; the sale posted there at 100 never trades.
    assert rested(FALLING, [0, 3], [1, -1]).n == 0
    # From row 4 on the position is 1; turning to -1 sells 2 at the ask of 100, which never comes.
    turned = rested(FALLING, [0, 5], [1, -1])
    assert fills_of(turned) == [(4, 1.0, 99.0, True), (6, -1.0, 97.0, False)]


def test_an_unchanged_target_leaves_the_order_where_it_is() -> None:
    # Asked again at row 2, where the bid is 100: the order still waits at 99.
    orders = rested(FALLING, [0, 2], [1, 1])
    assert fills_of(orders) == [(4, 1.0, 99.0, True), (6, -1.0, 97.0, False)]


def test_a_change_back_to_what_is_held_only_cancels() -> None:
    assert rested(FALLING, [0, 2], [1, 0]).n == 0


def test_an_order_is_not_filled_in_the_row_where_it_arrives_nor_where_the_next_one_does() -> None:
    through = book_of(bid=[99, 95, 95], ask=[101, 99, 99])
    assert fills_of(rested(through, [0], [1], all_decided=[0, 2]))[0] == (1, 1.0, 99.0, True)
    assert rested(through, [0], [1], all_decided=[0, 1]).n == 0
    assert rested(through, [2], [1]).n == 0


def test_states_inside_an_instant_fill_nothing() -> None:
    # Of the three rows at 1 s only the last was ever to be seen.
    book = book_of(bid=[99, 90, 99, 99], ask=[101, 91, 101, 101], at=[0, 1, 1, 2])
    assert rested(book, [0], [1]).n == 0


def test_an_order_that_waited_in_the_evening_is_posted_anew_in_the_morning() -> None:
    book = book_of(
        bid=[99, 99, 95, 95, 94], ask=[101, 101, 96, 96, 95], at=[0, 10, 86400, 86405, 86410]
    )
    at = [0, 86400]
    carried = rested(book, at, [1, 1], flat_at_session_end=False)
    # Not at 99 over night: at the morning's bid of 95, and closed in the same row's session end.
    assert fills_of(carried) == []
    more = book_of(
        bid=[99, 99, 95, 94, 94], ask=[101, 101, 96, 95, 95], at=[0, 10, 86400, 86405, 86410]
    )
    assert fills_of(rested(more, at, [1, 1], flat_at_session_end=False)) == [
        (3, 1.0, 95.0, True),
        (4, -1.0, 94.0, False),
    ]


# -------------------------------------------------------------------------- reference


def plain_fills(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    targets: Sequence[float],
    closes_ns: IntArray,
    latency: Latency,
) -> list[tuple[int, int, float, float, bool]]:
    """Fold, row, size, price and maker of every fill: one decision and one row after another."""
    made = []
    n = len(targets)
    for number in np.unique(fold):
        own = [i for i in range(n) if fold[i] == number]
        messages = []  # instant, target or None for a close
        for place, i in enumerate(own):
            session = book.session[book.row_known_at(decided_ns[i : i + 1])[0]]
            messages.append((decided_ns[i], targets[i], session))
            following = own[place + 1] if place + 1 < len(own) else None
            next_session = (
                None
                if following is None
                else book.session[book.row_known_at(decided_ns[following : following + 1])[0]]
            )
            if next_session != session:
                messages.append((closes_ns[i], None, session))
        arrives = latency.arrives_ns(np.array([sent for sent, _, _ in messages]))
        position, wanted, order = 0.0, 0.0, None
        for k, (sent, target, session) in enumerate(messages):
            last = int(book.session_starts[session + 1]) - 1
            if arrives[k] > book.time_ns[last] and target is not None:
                continue
            here = meets(book, int(sent), int(arrives[k]), last)
            if target is None:
                if position != 0:
                    made.append((int(number), here, -position, None, False))
                position, wanted, order = 0.0, 0.0, None
                continue
            if target != wanted:
                wanted, change = target, target - position
                limit = (book.bid_ticks if change > 0 else book.ask_ticks)[here, 0]
                order = (change, int(limit)) if change != 0 else None
            stop = last + 1
            for later in range(k + 1, len(messages)):
                sent_later, target_later, session_later = messages[later]
                its_last = int(book.session_starts[session_later + 1]) - 1
                if target_later is None or arrives[later] <= book.time_ns[its_last]:
                    row = meets(book, int(sent_later), int(arrives[later]), its_last)
                    stop = min(stop, row)
                    break
            row = here + 1
            while order is not None and row < stop:
                change, limit = order
                ends_instant = row + 1 == book.n_rows or book.time_ns[row + 1] > book.time_ns[row]
                through = (
                    book.ask_ticks[row, 0] <= limit
                    if change > 0
                    else book.bid_ticks[row, 0] >= limit
                )
                if ends_instant and through:
                    made.append((int(number), row, change, float(limit), True))
                    position, order = position + change, None
                row += 1
    return made


def meets(book: Book, sent_ns: int, arrives_ns: int, last: int) -> int:
    row = int(book.row_known_at(np.array([sent_ns]))[0])
    while row < last and book.time_ns[row] < arrives_ns:
        row += 1
    return row


@given(book=books(), latency=latencies, seed=st.integers(0, 2**16), n_folds=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_the_compiled_loop_equals_a_plain_one(
    book: Book, latency: Latency, seed: int, n_folds: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, n_folds=n_folds, limit=2.0)
    orders = orders_from_targets(
        book,
        case.decided_ns,
        case.fold,
        case.targets,
        execution=Execution(kind="passive", latency=latency),
        closes_ns=case.closes_ns,
    )
    expected = plain_fills(
        book, case.decided_ns, case.fold, case.targets.tolist(), case.closes_ns, latency
    )
    columns = (orders.fold, orders.row, orders.size, orders.is_maker)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert found == [(fold, row, size, maker) for fold, row, size, _, maker in expected]
    limits = [price for *_, price, maker in expected if maker]
    assert orders.price[orders.is_maker] * 100 == pytest.approx(limits, abs=1e-9)


# ------------------------------------------------------------------------- properties


@given(book=books(), latency=latencies, seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_no_order_is_filled_without_a_trade_through_and_every_block_ends_flat(
    book: Book, latency: Latency, seed: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, limit=3.0)
    orders = orders_from_targets(
        book,
        case.decided_ns,
        case.fold,
        case.targets,
        execution=Execution(kind="passive", latency=latency),
    )
    limit = np.round(orders.price * 100).astype(np.int64)
    buys, sales = (orders.is_maker & side for side in (orders.size > 0, orders.size < 0))
    assert (book.ask_ticks[orders.row[buys], 0] <= limit[buys]).all()
    assert (book.bid_ticks[orders.row[sales], 0] >= limit[sales]).all()
    assert (orders.slippage(Costs.proportional(0)) > 0).all()
    # The limit was the touch of the order's own side at its arrival, before the fill.
    assert (orders.time_ns[orders.is_maker] >= orders.decided_ns[orders.is_maker]).all()
    block = orders.fold * 10 + book.session[orders.row]
    for each in np.unique(block):
        held = np.cumsum(orders.size[block == each])
        assert held[-1] == 0.0
        assert np.abs(held).max() <= 3.0
