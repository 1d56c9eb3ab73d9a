"""Orders: what a change of target trades, when blocks are closed, and that nothing looks ahead."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import Execution, Kind, execution_rows
from lob_backtest.latency import DrawnLatency, FixedLatency
from lob_backtest.orders import Orders, block_closes, fold_spans, orders_from_targets
from tests.lob_backtest.books import (
    DAY,
    META_ALWAYS_OPEN,
    SECOND,
    book_from_mids,
    books,
    random_book,
    seconds,
    spliced,
)
from tests.lob_backtest.trading_cases import random_case

latencies = st.sampled_from([0, 1, SECOND // 3, 5 * SECOND, DAY])


def traded(
    book: Book,
    at: Sequence[float],
    targets: Sequence[float],
    *,
    fold: Sequence[int] | None = None,
    latency_s: float = 0.0,
    kind: Kind = "touch",
    flat_at_session_end: bool = True,
    all_decided: Sequence[float] | None = None,
) -> Orders:
    decided_ns = seconds(at)
    return orders_from_targets(
        book,
        decided_ns,
        np.zeros(len(at), dtype=np.int64) if fold is None else np.array(fold),
        np.array(targets, dtype=np.float64),
        execution=Execution(
            kind=kind,
            latency=FixedLatency(ns=round(latency_s * SECOND)),
            flat_at_session_end=flat_at_session_end,
        ),
        closes_ns=block_closes(
            book, decided_ns, None if all_decided is None else seconds(all_decided)
        ),
    )


def rows_and_sizes(orders: Orders) -> list[tuple[int, float]]:
    return list(zip(orders.row.tolist(), orders.size.tolist(), strict=True))


def test_orders_are_the_changes_of_the_target_at_the_touch_of_their_row() -> None:
    # A whole mid has a spread of 2 ticks of 0.01, a half one of 1.
    book = book_from_mids([100, 101, 102.5, 103, 104, 105.5])
    orders = traded(book, [0, 1, 2, 3, 4], [2, 2, -1, -1, 0], latency_s=0.5)
    assert rows_and_sizes(orders) == [(1, 2.0), (3, -3.0), (5, 1.0)]
    assert orders.time_ns.tolist() == seconds([1, 3, 5]).tolist()
    assert orders.decided_ns.tolist() == seconds([0, 2, 4]).tolist()
    assert orders.mid == pytest.approx([1.01, 1.03, 1.055], abs=1e-12)
    assert orders.price == pytest.approx([1.02, 1.02, 1.06], abs=1e-12)
    assert orders.slippage(Costs.proportional(0)) == pytest.approx([0.02, 0.03, 0.005], abs=1e-12)
    assert orders.slippage(Costs.none()).tolist() == [0.0, 0.0, 0.0]
    assert orders.forced.tolist() == [False, False, False]
    assert orders.is_maker.tolist() == [False, False, False]


def test_walking_prices_what_the_touch_does_not_hold_and_says_so() -> None:
    # 10 units at the touch and 20 a tick behind it.
    book = book_from_mids([100] * 4, n_levels=2)
    wanted = [10, 30, -5]  # buys 10, 20 and then sells 35; 5 are bought back at the end
    walking = traded(book, [0, 1, 2], wanted, kind="walk")
    assert walking.size.tolist() == [10.0, 20.0, -35.0, 5.0]
    assert walking.above_touch.tolist() == [False, True, True, False]
    assert walking.beyond_book.tolist() == [False, False, True, False]
    # The last 5 of 35 go on below 98 at 30 units a tick: 1/6 tick deeper, 1/12 on average.
    sold = (10 * 99 + 20 * 98 + 5 * (98 - 1 / 12)) / 35
    expected = [1.01, 1.015, sold / 100, 1.01]
    assert walking.price == pytest.approx(expected, abs=1e-12)
    touching = traded(book, [0, 1, 2], wanted, kind="touch")
    assert touching.price == pytest.approx([1.01, 1.01, 0.99, 1.01], abs=1e-12)
    assert touching.above_touch.tolist() == walking.above_touch.tolist()


# ------------------------------------------------------------------------------ closes


def test_what_is_held_at_the_end_is_closed_at_the_next_decision_there_is() -> None:
    book = book_from_mids([100] * 8)
    held = {"at": [0, 1, 2], "targets": [0, 1, 1], "all_decided": [0, 1, 2, 4, 5]}
    assert rows_and_sizes(traded(book, **held)) == [(1, 1.0), (4, -1.0)]
    late = traded(book, **held, latency_s=2)
    assert rows_and_sizes(late) == [(3, 1.0), (6, -1.0)]
    assert late.forced.tolist() == [False, False]


def test_without_a_later_decision_it_is_closed_at_the_sessions_end_without_latency() -> None:
    book = book_from_mids([100] * 5, at_seconds=[0, 5, 10, 86400, 86410])
    orders = traded(book, [0, 86400], [1, -1], latency_s=3)
    # Where an order arrives with the last row, it is opened and closed there, and pays for both.
    assert rows_and_sizes(orders) == [(1, 1.0), (2, -1.0), (4, -1.0), (4, 1.0)]
    # The closing order was sent beforehand, for the session's end.
    assert orders.decided_ns.tolist() == seconds([0, 10, 86400, 86410]).tolist()
    assert orders.forced.tolist() == [False] * 4


def test_orders_that_meet_one_row_are_orders_of_their_own() -> None:
    book = book_from_mids([100] * 3, at_seconds=[0, 10, 20])
    orders = traded(book, [1, 2, 3, 4, 11], [1, -1, -1, 5, 0])
    assert rows_and_sizes(orders) == [(1, 1.0), (1, -2.0), (1, 6.0), (2, -5.0)]
    assert orders.decided_ns.tolist() == seconds([1, 2, 4, 11]).tolist()
    # Each of them pays the half-spread of a tick of 0.01 and the minimum.
    assert orders.slippage(Costs.proportional(0)) == pytest.approx([0.01, 0.02, 0.06, 0.05])
    flat_fee = Costs(taker_bps=0.0, maker_bps=0.0, minimum_fee=2.0)
    assert orders.fees(flat_fee).tolist() == [2.0] * 4


def test_a_close_that_latency_would_carry_past_the_session_is_forced_at_its_last_row() -> None:
    book = book_from_mids([100] * 3, at_seconds=[0, 10, 20])
    orders = traded(book, [0, 1], [0, 1], latency_s=5, all_decided=[0, 1, 18])
    assert rows_and_sizes(orders) == [(1, 1.0), (2, -1.0)]
    assert orders.forced.tolist() == [False, True]


def test_a_close_at_the_sessions_end_holds_up_no_order_of_the_next_day() -> None:
    book = book_from_mids([100] * 5, at_seconds=[0, 10, 86400, 86410, 86420])
    wild = DrawnLatency(median_ns=SECOND, p99_ns=10**8 * SECOND, seed=30)
    early, close, morning = wild.delays_ns(seconds([5, 10, 86401]))
    assert max(early, morning) < 5 * SECOND < DAY < close
    orders = orders_from_targets(
        book,
        seconds([5, 86401]),
        np.zeros(2, dtype=np.int64),
        np.ones(2),
        execution=Execution(kind="touch", latency=wild),
    )
    assert rows_and_sizes(orders) == [(1, 1.0), (1, -1.0), (3, 1.0), (4, -1.0)]
    assert orders.forced.tolist() == [False] * 4


def test_an_order_that_would_arrive_after_the_session_lapses() -> None:
    book = book_from_mids([100] * 5, at_seconds=[0, 5, 10, 86400, 86410])
    orders = traded(book, [1, 9], [1, -1], latency_s=2, all_decided=[1, 9])
    # The turn to -1 would arrive at 11 s; what is held is closed at 10 s all the same.
    assert rows_and_sizes(orders) == [(1, 1.0), (2, -1.0)]
    assert traded(book, [9], [1], latency_s=2).n == 0


def test_a_position_carried_over_night_is_closed_only_at_the_end_of_the_fold() -> None:
    book = book_from_mids(
        [100, 101, 102, 103, 104, 105], at_seconds=[0, 5, 10, 86400, 86405, 86410]
    )
    at, targets = [0, 5, 86400, 86405], [1, 1, 1, -1]
    by_day = traded(book, at, targets, all_decided=[*at, 86410])
    assert rows_and_sizes(by_day) == [(0, 1.0), (2, -1.0), (3, 1.0), (4, -2.0), (5, 1.0)]
    carried = traded(book, at, targets, all_decided=[*at, 86410], flat_at_session_end=False)
    assert rows_and_sizes(carried) == [(0, 1.0), (4, -2.0), (5, 1.0)]


def test_what_lapsed_in_the_evening_is_made_up_for_in_the_morning() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    carried = traded(book, [9, 86400], [1, 1], latency_s=2, flat_at_session_end=False)
    assert rows_and_sizes(carried) == [(3, 1.0), (3, -1.0)]
    assert carried.decided_ns.tolist() == seconds([86400, 86410]).tolist()


def test_folds_do_not_net_even_at_one_row() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 20, 30])
    orders = traded(book, [0, 11, 12, 25], [1, 1, 1, 1], fold=[0, 0, 1, 1])
    assert orders.fold.tolist() == [0, 0, 1, 1]
    assert rows_and_sizes(orders) == [(0, 1.0), (2, -1.0), (2, 1.0), (3, -1.0)]


def test_a_closing_instant_outside_the_decisions_session_is_refused() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    for close in (1, 86400):
        with pytest.raises(PortfolioError, match=r"decision 1 at \d+ ends a block, whose closing"):
            orders_from_targets(
                book,
                seconds([0, 5]),
                np.zeros(2, dtype=np.int64),
                np.ones(2),
                execution=Execution(kind="touch", latency=FixedLatency(ns=0)),
                closes_ns=seconds([5, close]),
            )


# ------------------------------------------------------------------------- properties


@given(book=books(), latency_ns=latencies, seed=st.integers(0, 999), cut=st.floats(0, 1))
@settings(max_examples=60)
def test_changing_the_book_changes_no_order_decided_before(
    book: Book, latency_ns: int, seed: int, cut: float
) -> None:
    first_changed = int(cut * (book.n_rows - 1))
    other = random_book(
        np.random.default_rng(seed + 1), book.n_rows, book.n_levels, meta=META_ALWAYS_OPEN
    )
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    before = case.orders
    after = orders_from_targets(
        spliced(book, other, first_changed),
        case.decided_ns,
        case.fold,
        case.targets,
        execution=case.execution,
    )
    # The targets are given here, so rows and sizes stay; prices change from the cut on only.
    assert after.row.tolist() == before.row.tolist()
    assert after.size.tolist() == before.size.tolist()
    traded_before = int((before.row < first_changed).sum())
    for name in ("mid", "price", "forced"):
        old, new = getattr(before, name), getattr(after, name)
        assert new[:traded_before].tolist() == old[:traded_before].tolist()


@given(book=books(), latency_ns=latencies, seed=st.integers(0, 999), n=st.integers(1, 25))
@settings(max_examples=60)
def test_later_targets_change_no_order_that_was_executed_before(
    book: Book, latency_ns: int, seed: int, n: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    other = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns, limit=7.0)
    targets = np.where(np.arange(case.targets.size) < n, case.targets, other.targets)
    changed = orders_from_targets(
        book, case.decided_ns, case.fold, targets, execution=case.execution
    )
    latency = FixedLatency(ns=latency_ns)
    next_row = execution_rows(book, case.decided_ns, latency=latency)[n : n + 1]
    next_fold = case.fold[n : n + 1]

    def executed_before(orders: Orders) -> list[tuple[int, float]]:
        if next_row.size == 0:
            return rows_and_sizes(orders)
        done = (orders.row < next_row[0]) & (orders.fold <= next_fold[0])
        return [each for each, is_done in zip(rows_and_sizes(orders), done, strict=True) if is_done]

    assert executed_before(changed) == executed_before(case.orders)


@given(book=books(), latency_ns=latencies, seed=st.integers(0, 999), n_folds=st.integers(1, 4))
@settings(max_examples=60)
def test_inventory_is_flat_at_the_end_of_each_fold_and_session(
    book: Book, latency_ns: int, seed: int, n_folds: int
) -> None:
    orders = random_case(
        np.random.default_rng(seed), book, latency_ns=latency_ns, n_folds=n_folds
    ).orders
    blocks = set(zip(orders.fold.tolist(), book.session[orders.row].tolist(), strict=True))
    for fold, session in blocks:
        is_own = (orders.fold == fold) & (book.session[orders.row] == session)
        assert orders.size[is_own].sum() == 0.0
    assert (orders.size != 0).all()


def test_targets_of_zero_make_no_orders() -> None:
    assert traded(book_from_mids([100] * 5), [0, 1, 2], [0, 0, 0]).n == 0


def test_targets_that_are_no_number_are_refused() -> None:
    with pytest.raises(PortfolioError, match="1 targets are not finite"):
        traded(book_from_mids([100] * 5), [0, 1], [np.nan, 0.0])


def test_a_span_lasts_from_a_folds_first_decision_to_its_last_close() -> None:
    book = book_from_mids([100] * 5, at_seconds=[0, 10, 20, 30, 40])
    spans = fold_spans(
        book,
        seconds([1, 9, 15, 25]),
        np.array([3, 3, 4, 4]),
        execution=Execution(kind="touch", latency=FixedLatency(ns=2 * SECOND)),
    )
    assert [(span.fold, span.start_ns, span.end_ns) for span in spans] == [
        (3, *seconds([1, 20])),  # closed at the decision at 15 s
        (4, *seconds([15, 40])),
    ]
