"""The clock of a portfolio: bars of equal length inside each fold and session.

    span 0   | . x . . x | . . x |        x   an order's row, in the bar that ends after it
    span 1       | x . . | . x x |        |   a bar's end, marked at the mid known then

A span is one fold. Spans stand one after another even where they overlap in time, as the
validation blocks of neighbouring folds do: each begins and ends without a position.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.errors import PortfolioError
from lob_backtest.orders import Orders, Span

_MOST_BARS = 10_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeLine:
    """The B clock bars of S spans on one book.

    Attributes:
        spans: one a fold.
        stride: keys are ``place of the span * stride + book row``.
        bar_end_ns: ``(B,)`` int64, increasing inside a span.
        bar_fold: ``(B,)`` int64.
        bar_key: ``(B,)`` int64 of the last row known at the bar's end, never decreasing.
        bar_mid: ``(B,)`` mid-price there, in currency.
    """

    spans: Sequence[Span]
    stride: int
    bar_end_ns: IntArray
    bar_fold: IntArray
    bar_key: IntArray
    bar_mid: FloatArray

    @property
    def n_bars(self) -> int:
        return int(self.bar_end_ns.shape[0])

    def span_of(self, orders: Orders) -> IntArray:
        """Place among the spans of each order's fold, ``(K,)``."""
        own = np.array([span.fold for span in self.spans], dtype=np.int64)
        order = np.argsort(own)
        at = np.minimum(np.searchsorted(own[order], orders.fold), own.size - 1)
        unknown = orders.fold[own[order][at] != orders.fold]
        if unknown.size:
            raise PortfolioError(
                f"orders in the folds {np.unique(unknown).tolist()}, but spans of "
                f"{own[order].tolist()} only"
            )
        return order[at].astype(np.int64)

    def bar_of(self, orders: Orders) -> IntArray:
        """Bar in which each order trades, ``(K,)``; needs orders inside their fold's span."""
        key = self.span_of(orders) * self.stride + orders.row
        return np.searchsorted(self.bar_key, key).astype(np.int64)


def time_line(book: Book, spans: Sequence[Span], *, bar_ns: int) -> TimeLine:
    """The clock bars of all spans.

    Bars end at multiples of ``bar_ns`` since the epoch, inside each span and session. The first
    and the last of them take in a remainder below half a bar: a bar lasts 0.5 to 1.5 ``bar_ns``,
    unless the whole span is shorter. What a position that is kept over night earns there belongs
    to the next session's first bar.

    Raises:
        PortfolioError: no spans, a span outside the book, or a bar length that is not positive.
    """
    if bar_ns <= 0:
        raise PortfolioError(f"bar_ns={bar_ns}: needs a positive bar length")
    if not spans:
        raise PortfolioError("no spans to trade in; needs at least one fold with decisions")
    ends = [_bar_ends(book, span, bar_ns) for span in spans]
    bar_end_ns = np.concatenate(ends)
    bar_span = np.repeat(np.arange(len(ends)), [end.size for end in ends])
    row = book.row_known_at(bar_end_ns)
    return TimeLine(
        spans=spans,
        stride=book.n_rows,
        bar_end_ns=bar_end_ns,
        bar_fold=np.array([span.fold for span in spans], dtype=np.int64)[bar_span],
        bar_key=bar_span * book.n_rows + row,
        bar_mid=book.mid_ticks[row] * book.meta.tick_size,
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
