"""Execution: at which row a decision meets the market, and what walking the book costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.config import BacktestConfig, LatencyConfig
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import Execution, execution_of, execution_rows, walked_ticks
from lob_backtest.latency import DrawnLatency, FixedLatency
from tests.lob_backtest.books import (
    DAY,
    META,
    SECOND,
    book_from_mids,
    books,
    random_book,
    seconds,
)
from tests.lob_backtest.trading_cases import random_decisions

AT_ONCE = FixedLatency(ns=0)
latencies = st.sampled_from(
    [
        AT_ONCE,
        FixedLatency(ns=1),
        FixedLatency(ns=SECOND // 3),
        FixedLatency(ns=DAY),
        DrawnLatency(median_ns=SECOND, p99_ns=20 * SECOND, seed=3),
    ]
)


def test_a_config_says_how_orders_are_executed() -> None:
    plain = execution_of(BacktestConfig(costs="none", latency_ns=5))
    assert plain == Execution(kind="walk", latency=FixedLatency(ns=5), flat_at_session_end=True)
    other = BacktestConfig(
        costs="none",
        latency_ns=LatencyConfig(median_ns=5, p99_ns=9, seed=2),
        execution="passive",
        flat_at_session_end=False,
    )
    assert execution_of(other) == Execution(
        kind="passive",
        latency=DrawnLatency(median_ns=5, p99_ns=9, seed=2),
        flat_at_session_end=False,
    )


# ------------------------------------------------------------------------------ rows


def test_a_decision_trades_at_the_first_row_after_its_latency() -> None:
    book = book_from_mids([100] * 6, at_seconds=[0, 1, 1, 1, 3, 7])
    decided = seconds([0, 0.5, 1, 2, 3, 6.5])

    def rows(latency_ns: int) -> list[int]:
        return execution_rows(book, decided, latency=FixedLatency(ns=latency_ns)).tolist()

    # At 1 s three rows are known, and the last of them is the book.
    assert rows(0) == [0, 1, 3, 4, 4, 5]
    assert rows(SECOND // 2) == [1, 1, 4, 4, 5, 5]
    assert rows(DAY) == [5] * 6


def test_latency_never_carries_a_trade_into_the_next_session() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    decided = seconds([0, 9, 10, 86400, 86409])
    rows = execution_rows(book, decided, latency=FixedLatency(ns=2 * SECOND))
    assert rows.tolist() == [1, 1, 1, 3, 3]


@given(book=books(), latency=latencies, seed=st.integers(0, 999))
@settings(max_examples=60)
def test_a_trade_is_never_at_a_row_before_the_one_decided_on(
    book: Book, latency: FixedLatency | DrawnLatency, seed: int
) -> None:
    decided = random_decisions(np.random.default_rng(seed), book, 40)
    row = execution_rows(book, decided, latency=latency)
    arrives_ns = latency.arrives_ns(decided)
    known = book.row_known_at(decided)
    assert (row >= known).all()
    assert (book.session[row] == book.session[known]).all()
    assert (np.diff(row) >= 0).all()
    # It is the first one late enough: the row before is too early or stale, and it is not, unless
    # the session ends first.
    is_last = row + 1 == book.session_starts[book.session[row] + 1]
    assert (is_last | (book.time_ns[row] >= arrives_ns)).all()
    before = np.maximum(row - 1, 0)
    assert ((book.time_ns[before] < arrives_ns) | (row == known)).all()


@pytest.mark.parametrize("at", [-1.0, 10.5, 86399.0, 86411.0])
def test_a_decision_outside_the_sessions_is_refused(at: float) -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 10, 86400, 86410])
    with pytest.raises(PortfolioError, match="1 of 2 decisions are before the first or after"):
        execution_rows(book, np.sort(seconds([at, 5])), latency=AT_ONCE)


# --------------------------------------------------------------------------- walking

# Asks 101 x 5, 102 x 3, 105 x 2; bids 99 x 4, 98 x 4, and no third level.
LADDER = Book(
    meta=META,
    time_ns=seconds([0]),
    ask_ticks=np.array([[101, 102, 105]]),
    ask_size=np.array([[5.0, 3.0, 2.0]]),
    bid_ticks=np.array([[99, 98, 97]]),
    bid_size=np.array([[4.0, 4.0, 0.0]]),
)


@pytest.mark.parametrize(
    ("size", "paid"),
    [
        (2, 101.0),
        (5, 101.0),
        (6, (5 * 101 + 102) / 6),
        (10, (5 * 101 + 3 * 102 + 2 * 105) / 10),
        # 10 units over 4 ticks: 5 more reach 2 ticks beyond 105, at 106 on average.
        (15, (5 * 101 + 3 * 102 + 2 * 105 + 5 * 106) / 15),
        (-4, 99.0),
        (-7, (4 * 99 + 3 * 98) / 7),
        # 8 units over the one tick that is visible: 16 more reach 2 ticks below 98, 97 on average.
        (-24, (4 * 99 + 4 * 98 + 16 * 97) / 24),
    ],
)
def test_an_order_takes_level_after_level_by_hand(size: float, paid: float) -> None:
    walked = walked_ticks(LADDER, np.array([0]), np.array([size], dtype=np.float64))
    assert walked == pytest.approx([paid], abs=1e-12)


def test_one_level_goes_on_a_tick_at_a_time() -> None:
    book = book_from_mids([100])  # 10 units at 101
    walked = walked_ticks(book, np.array([0]), np.array([30.0]))
    assert walked == pytest.approx([(10 * 101 + 20 * 102) / 30])


def plain_walk(book: Book, row: int, size: float) -> float:
    """One unit of notional after the other, level by level."""
    sign = 1 if size > 0 else -1
    ticks, sizes = (book.ask_ticks, book.ask_size) if size > 0 else (book.bid_ticks, book.bid_size)
    left, paid = abs(size), 0.0
    shown = [(int(p), float(q)) for p, q in zip(ticks[row], sizes[row], strict=True) if q > 0]
    for price, there in shown:
        taken = min(left, there)
        paid += taken * price
        left -= taken
    if left > 0:
        total, deepest = sum(q for _, q in shown), shown[-1][0]
        width = max(abs(deepest - shown[0][0]), 1)
        paid += left * (deepest + sign * width * left / total / 2)
    return paid / abs(size)


@given(seed=st.integers(0, 2**32 - 1), n_levels=st.integers(1, 5))
@settings(max_examples=60)
def test_walking_equals_a_plain_loop_over_the_levels(seed: int, n_levels: int) -> None:
    rng = np.random.default_rng(seed)
    book = random_book(rng, 30, n_levels)
    row = rng.integers(0, 30, 50)
    size = rng.choice([-1.0, 1.0], 50) * rng.exponential(60 * n_levels, 50)
    expected = [plain_walk(book, int(r), float(s)) for r, s in zip(row, size, strict=True)]
    assert walked_ticks(book, row, size) == pytest.approx(expected, rel=1e-12)


@given(seed=st.integers(0, 2**32 - 1), n_levels=st.integers(1, 5))
@settings(max_examples=60)
def test_walking_is_never_cheaper_than_the_touch_and_dearer_the_larger_the_order(
    seed: int, n_levels: int
) -> None:
    rng = np.random.default_rng(seed)
    book = random_book(rng, 1, n_levels)
    units = np.sort(rng.exponential(60 * n_levels, 60))
    here = np.zeros(60, dtype=np.int64)
    bought = walked_ticks(book, here, units) - book.ask_ticks[0, 0]
    sold = book.bid_ticks[0, 0] - walked_ticks(book, here, -units)
    for lost, best in ((bought, book.ask_size[0, 0]), (sold, book.bid_size[0, 0])):
        assert (np.diff(lost) >= -1e-9).all()
        assert lost[units <= best].tolist() == [0.0] * int((units <= best).sum())
        assert (lost[units > best] > 0).all()


def test_a_sale_down_to_a_price_of_nothing_is_refused() -> None:
    # 8 units a tick from 98 down: 98 ticks below hold 784 units.
    row, size = np.array([0, 0]), np.array([5.0, -(8 + 783.0)])
    assert walked_ticks(LADDER, row, size)[1] > 0
    with pytest.raises(
        PortfolioError,
        match=r"1 orders would sell down to a price of 0, first 792 units .* shows 8; lower",
    ):
        walked_ticks(LADDER, row, size - np.array([0.0, 1.0]))
