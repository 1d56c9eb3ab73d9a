"""Orders: at which row and price a decision trades, and that it never sees what comes later."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.costs import Costs
from lob_backtest.errors import CostError, PortfolioError
from lob_backtest.execution import execution_rows
from lob_backtest.orders import fold_spans, orders_from_targets
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
from tests.lob_backtest.trading_cases import random_case, random_decisions

NO_FOLDS = np.zeros(100, dtype=np.int64)
latencies = st.sampled_from([0, 1, SECOND // 3, 5 * SECOND, DAY])


def test_a_decision_trades_at_the_first_row_after_its_latency() -> None:
    book = book_from_mids([100] * 6, at_seconds=[0, 1, 1, 1, 3, 7])
    decided = seconds([0, 0.5, 1, 2, 3, 6.5])
    without = [0, 1, 3, 4, 4, 5]  # at 1 s three rows are known, and the last of them is the book
    assert execution_rows(book, decided, latency_ns=0).tolist() == without
    half_second = [1, 1, 4, 4, 5, 5]
    assert execution_rows(book, decided, latency_ns=SECOND // 2).tolist() == half_second
    assert execution_rows(book, decided, latency_ns=DAY).tolist() == [5] * 6


def test_latency_never_carries_a_trade_into_the_next_session() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    decided = seconds([0, 9, 10, 86400, 86409])
    assert execution_rows(book, decided, latency_ns=2 * SECOND).tolist() == [1, 1, 1, 3, 3]


@given(book=books(), latency_ns=latencies, seed=st.integers(0, 999))
@settings(max_examples=60)
def test_a_trade_is_never_at_a_row_before_the_one_decided_on(
    book: Book, latency_ns: int, seed: int
) -> None:
    decided = random_decisions(np.random.default_rng(seed), book, 40)
    row = execution_rows(book, decided, latency_ns=latency_ns)
    known = book.row_known_at(decided)
    assert (row >= known).all()
    assert (book.session[row] == book.session[known]).all()
    assert (np.diff(row) >= 0).all()
    # It is the first one late enough: the row before is too early or stale, and it is not, unless
    # the session ends first.
    is_last = row + 1 == book.session_starts[book.session[row] + 1]
    assert (is_last | (book.time_ns[row] >= decided + latency_ns)).all()
    before = np.maximum(row - 1, 0)
    assert ((book.time_ns[before] < decided + latency_ns) | (row == known)).all()


@pytest.mark.parametrize("at", [-1.0, 10.5, 86399.0, 86411.0])
def test_a_decision_outside_the_sessions_is_refused(at: float) -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    with pytest.raises(PortfolioError, match="1 of 2 decisions are before the first or after"):
        execution_rows(book, np.sort(seconds([at, 5])), latency_ns=0)


def test_a_negative_latency_is_refused() -> None:
    with pytest.raises(CostError, match="latency_ns=-1: needs 0 or more nanoseconds"):
        execution_rows(book_from_mids([100]), seconds([0]), latency_ns=-1)


def test_orders_are_the_changes_of_the_target_at_the_touch_of_their_row() -> None:
    # A whole mid has a spread of 2 ticks of 0.01, a half one of 1.
    book = book_from_mids([100, 101, 102.5, 103, 104, 105.5])
    orders = orders_from_targets(
        book,
        seconds([0, 1, 2, 3, 4]),
        NO_FOLDS[:5],
        np.array([2.0, 2.0, -1.0, -1.0, 0.0]),
        latency_ns=SECOND // 2,
    )
    assert orders.row.tolist() == [1, 3, 5]
    assert orders.time_ns.tolist() == seconds([1, 3, 5]).tolist()
    assert orders.size.tolist() == [2.0, -3.0, 1.0]
    assert orders.mid == pytest.approx([1.01, 1.03, 1.055], abs=1e-12)
    assert orders.price == pytest.approx([1.02, 1.02, 1.06], abs=1e-12)
    assert orders.slippage(Costs.proportional(0)) == pytest.approx([0.02, 0.03, 0.005], abs=1e-12)
    assert orders.slippage(Costs.none()).tolist() == [0.0, 0.0, 0.0]
    assert orders.forced.tolist() == [False, False, False]


def test_of_decisions_that_trade_at_one_row_the_last_one_holds() -> None:
    book = book_from_mids([100] * 3, at_seconds=[0, 10, 20])
    orders = orders_from_targets(
        book,
        seconds([1, 2, 3, 11]),
        NO_FOLDS[:4],
        np.array([1.0, -1.0, 5.0, 0.0]),
        latency_ns=0,
    )
    assert (orders.row.tolist(), orders.size.tolist()) == ([1, 2], [5.0, -5.0])


def test_folds_do_not_net_even_at_one_row() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 20, 30])
    orders = orders_from_targets(
        book,
        seconds([0, 11, 12, 25]),
        np.array([0, 0, 1, 1]),
        np.array([1.0, 0.0, 1.0, 0.0]),
        latency_ns=0,
    )
    assert orders.fold.tolist() == [0, 0, 1, 1]
    assert orders.row.tolist() == [0, 2, 2, 3]
    assert orders.size.tolist() == [1.0, -1.0, 1.0, -1.0]


def test_an_order_that_latency_would_carry_past_the_close_is_forced_at_the_last_row() -> None:
    book = book_from_mids([100] * 3, at_seconds=[0, 10, 20])
    orders = orders_from_targets(
        book, seconds([0, 19]), NO_FOLDS[:2], np.array([1.0, 0.0]), latency_ns=5 * SECOND
    )
    assert orders.row.tolist() == [1, 2]
    assert orders.forced.tolist() == [False, True]


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
        latency_ns=latency_ns,
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
    changed = orders_from_targets(book, case.decided_ns, case.fold, targets, latency_ns=latency_ns)
    next_row = execution_rows(book, case.decided_ns, latency_ns=latency_ns)[n : n + 1]
    next_fold = case.fold[n : n + 1]

    def executed_before(orders: object) -> list[tuple[int, float]]:
        rows, sizes, folds = orders.row, orders.size, orders.fold  # type: ignore[attr-defined]
        return [
            (int(row), float(size))
            for row, size, fold in zip(rows, sizes, folds, strict=True)
            if next_row.size == 0 or (row < next_row[0] and fold <= next_fold[0])
        ]

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
    book = book_from_mids([100] * 5)
    orders = orders_from_targets(book, seconds([0, 1, 2]), NO_FOLDS[:3], np.zeros(3), latency_ns=0)
    assert orders.n == 0


def test_a_position_left_open_at_the_end_of_a_session_is_refused() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    with pytest.raises(PortfolioError, match=r"fold 0 ends with a target of 1\.0 units at dec"):
        orders_from_targets(
            book, seconds([0, 10, 86400]), NO_FOLDS[:3], np.array([1.0, 1.0, 0.0]), latency_ns=0
        )
    with pytest.raises(PortfolioError, match="1 targets are not finite"):
        orders_from_targets(
            book, seconds([0, 10]), NO_FOLDS[:2], np.array([np.nan, 0.0]), latency_ns=0
        )


def test_a_span_lasts_from_a_folds_first_decision_to_its_last_trade() -> None:
    book = book_from_mids([100] * 5, at_seconds=[0, 10, 20, 30, 40])
    spans = fold_spans(book, seconds([1, 9, 15, 35]), np.array([3, 3, 4, 4]), latency_ns=2 * SECOND)
    assert [(span.fold, span.start_ns, span.end_ns) for span in spans] == [
        (3, *seconds([1, 20])),
        (4, *seconds([15, 40])),
    ]
