"""The time line of a portfolio: the book rows at which something trades or is marked.

    span 0   | . x . . x | . . x |        x   an order's row
    span 1       | x . . | . x x |        |   a bar's end, marked at the mid known then

A span is one fold. Spans stand one after another even where they overlap in time, as the
validation blocks of neighbouring folds do: each begins and ends without a position.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.errors import PortfolioError
from lob_backtest.orders import Orders, Span

_MOST_BARS = 10_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeLine:
    """T rows of a book in B clock bars.

    Attributes:
        span_fold: ``(S,)`` int64 fold of each span.
        stride: keys are ``place of the span * stride + book row``.
        key: ``(T,)`` int64, strictly increasing.
        mid: ``(T,)`` mid-price in currency.
        bar_end_ns: ``(B,)`` int64, increasing inside a span.
        bar_fold: ``(B,)`` int64.
        bar_last: ``(B,)`` int64 last place in the line that belongs to the bar.
    """

    span_fold: IntArray
    stride: int
    key: IntArray
    mid: FloatArray
    bar_end_ns: IntArray
    bar_fold: IntArray
    bar_last: IntArray

    def index(self, orders: Orders) -> IntArray:
        """Place in the line of each order, ``(K,)``."""
        key = _span_of(self.span_fold, orders) * self.stride + orders.row
        return np.searchsorted(self.key, key).astype(np.int64)

    def bar_of(self, index: IntArray) -> IntArray:
        """Bar of each place in the line."""
        return np.searchsorted(self.bar_last, index).astype(np.int64)

    def per_bar(self, index: IntArray, amount: FloatArray) -> FloatArray:
        """``(B,)`` sum of the amounts at places in the line."""
        summed = np.bincount(self.bar_of(index), amount, minlength=self.bar_last.size)
        return summed.astype(np.float64)


def time_line(
    book: Book, spans: Sequence[Span], strategies: Iterable[Orders], *, bar_ns: int
) -> TimeLine:
    """The rows of all orders and of the bars' ends.

    Bars end at multiples of ``bar_ns`` since the epoch, inside each span and session. The first
    and the last of them take in a remainder below half a bar: a bar lasts 0.5 to 1.5 ``bar_ns``,
    unless the whole span is shorter.

    Raises:
        PortfolioError: no spans, a span outside the book, a bar length that is not positive, or
            orders of a fold without span.
    """
    if bar_ns <= 0:
        raise PortfolioError(f"bar_ns={bar_ns}: needs a positive bar length")
    if not spans:
        raise PortfolioError("no spans to trade in; needs at least one fold with decisions")
    ends = [_bar_ends(book, span, bar_ns) for span in spans]
    bar_end_ns = np.concatenate(ends)
    bar_span = np.repeat(np.arange(len(ends)), [end.size for end in ends])
    span_fold = np.array([span.fold for span in spans], dtype=np.int64)
    bar_key = bar_span * book.n_rows + book.row_known_at(bar_end_ns)
    order_keys = [_span_of(span_fold, orders) * book.n_rows + orders.row for orders in strategies]
    key = np.unique(np.concatenate([bar_key, *order_keys]))
    return TimeLine(
        span_fold=span_fold,
        stride=book.n_rows,
        key=key,
        mid=book.mid_ticks[key % book.n_rows] * book.meta.tick_size,
        bar_end_ns=bar_end_ns,
        bar_fold=span_fold[bar_span],
        bar_last=np.searchsorted(key, bar_key).astype(np.int64),
    )


def _bar_ends(book: Book, span: Span, bar_ns: int) -> IntArray:
    first, last = book.row_known_at(np.array([span.start_ns, span.end_ns]))
    if first < 0 or span.end_ns < span.start_ns or span.end_ns > book.time_ns[-1]:
        raise PortfolioError(
            f"fold {span.fold} from {span.start_ns} to {span.end_ns} is outside the book, which "
            f"has rows from {book.time_ns[0]} to {book.time_ns[-1]}"
        )
    ends = []
    for session in range(int(book.session[first]), int(book.session[last]) + 1):
        opening, closing = book.session_starts[session], book.session_starts[session + 1] - 1
        start = max(span.start_ns, int(book.time_ns[opening]))
        end = max(start, min(span.end_ns, int(book.time_ns[closing])))
        if (end - start) // bar_ns > _MOST_BARS:
            raise PortfolioError(
                f"bars of {bar_ns} ns cut session {session} into {(end - start) // bar_ns} pieces; "
                f"needs at most {_MOST_BARS}: lengthen backtest.bar_seconds"
            )
        grid = np.arange(start // bar_ns + 1, end // bar_ns + 1, dtype=np.int64) * bar_ns
        is_inside = (grid - start >= bar_ns / 2) & (end - grid >= bar_ns / 2)
        ends.append(np.append(grid[is_inside], end))
    return np.concatenate(ends)


def _span_of(span_fold: IntArray, orders: Orders) -> IntArray:
    folds, which = np.unique(orders.fold, return_inverse=True)
    place = {int(fold): i for i, fold in enumerate(span_fold)}
    unknown = [int(fold) for fold in folds if int(fold) not in place]
    if unknown:
        raise PortfolioError(f"orders in the folds {unknown}, but spans of {sorted(place)} only")
    return np.array([place[int(fold)] for fold in folds], dtype=np.int64)[which]
