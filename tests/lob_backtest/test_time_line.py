"""Clock bars and the compressed time line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.errors import PortfolioError
from lob_backtest.orders import Span
from lob_backtest.time_line import TimeLine, time_line
from tests.lob_backtest.books import SECOND, START, book_from_mids, books, seconds
from tests.lob_backtest.trading_cases import random_case


def bars_of(book: Book, start: float, end: float, bar_seconds: float) -> list[float]:
    span = Span(fold=0, start_ns=int(seconds([start])[0]), end_ns=int(seconds([end])[0]))
    line = time_line(book, [span], bar_ns=int(bar_seconds * SECOND))
    return ((line.bar_end_ns - START) / SECOND).tolist()


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 30, [10, 20, 30]),
        (0, 34, [10, 20, 34]),  # a remainder of 4 s joins the bar before
        (0, 36, [10, 20, 30, 36]),  # one of 6 s is a bar
        (7, 30, [20, 30]),  # so at the start: 3 s join the bar after
        (4, 30, [10, 20, 30]),
        (12, 14, [14]),
        (11, 19, [19]),
        (5, 5, [5]),
    ],
)
def test_bars_end_at_multiples_and_take_in_remainders_below_half(
    start: float, end: float, expected: list[float]
) -> None:
    assert START % (10 * SECOND) == 0
    book = book_from_mids([100] * 40)
    assert bars_of(book, start, end, 10) == expected


def test_no_bar_lasts_over_night() -> None:
    book = book_from_mids([100] * 4, at_seconds=[0, 25, 86400, 86412])
    assert bars_of(book, 3, 86412, 10) == [10, 20, 25, 86412]
    assert bars_of(book, 3, 86412, 5) == [10, 15, 20, 25, 86405, 86412]


@given(book=books(), seed=st.integers(0, 999), bar_seconds=st.sampled_from([1, 7, 60]))
@settings(max_examples=40)
def test_every_order_is_in_the_bar_of_its_time(book: Book, seed: int, bar_seconds: int) -> None:
    case = random_case(np.random.default_rng(seed), book, latency_ns=SECOND // 3)
    line = time_line(book, case.spans, bar_ns=bar_seconds * SECOND)
    bar = line.bar_of(case.orders)
    assert line.bar_fold[bar].tolist() == case.orders.fold.tolist()
    assert (case.orders.time_ns <= line.bar_end_ns[bar]).all()
    is_first = np.append(True, line.bar_fold[1:] != line.bar_fold[:-1])[bar]
    assert (is_first | (case.orders.time_ns > line.bar_end_ns[bar - 1])).all()


def line_of(spans: list[Span], bar_ns: int = SECOND) -> TimeLine:
    return time_line(book_from_mids([100] * 4), spans, bar_ns=bar_ns)


def test_spans_that_cannot_be_traded_are_refused() -> None:
    inside = Span(fold=0, start_ns=START, end_ns=START + SECOND)
    with pytest.raises(PortfolioError, match="bar_ns=0: needs a positive bar length"):
        line_of([inside], bar_ns=0)
    with pytest.raises(PortfolioError, match="no spans to trade in"):
        line_of([])
    for start, end in [(-1, 1), (2, 1), (0, 9)]:
        span = Span(fold=5, start_ns=START + start * SECOND, end_ns=START + end * SECOND)
        with pytest.raises(PortfolioError, match=r"fold 5 from \d+ to \d+ is outside the book"):
            line_of([inside, span])


def test_orders_of_a_fold_without_span_are_refused() -> None:
    book = book_from_mids([100] * 40)
    case = random_case(np.random.default_rng(0), book, n_folds=3)
    with pytest.raises(PortfolioError, match=r"orders in the folds \[1\], but spans of \[0, 2\]"):
        time_line(book, [case.spans[0], case.spans[2]], bar_ns=SECOND).bar_of(case.orders)


def test_bars_too_many_to_hold_are_refused() -> None:
    book = book_from_mids([100] * 40)
    with pytest.raises(PortfolioError, match=r"needs at most 10000000: lengthen backtest"):
        bars_of(book, 0, 30, 1e-9)
