"""Orders: the trades that bring a position to its targets, each at a row of the book.

    decisions   d0    d1    d2 |  d3    d4 |        |  end of a block: fold, and session
    targets     +1    +1     0 |  -1    -1 |
    closing                    c0          c1       sent at the next decision there is, or at the
    orders      +1          -1    -1       +1       session's end

Decisions give targets, targets give orders, and an order is filled where ``execution`` says. An
order knows its price and the mid at that row, but no fee: cost levels share the orders.
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import (
    Execution,
    last_rows,
    rows_at,
    touch_ticks,
    visible_size,
    walked_ticks,
)


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time of one fold in the portfolio.

    Attributes:
        fold: number of the fold.
        start_ns: its first decision.
        end_ns: the instant at which its last position is closed.
    """

    fold: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """What is traded, at which book row; free of costs, so that cost levels share the orders.

    Attributes:
        fold: ``(K,)`` int64, never decreasing.
        row: ``(K,)`` int64 book row of the execution, never decreasing inside a fold.
        time_ns: ``(K,)`` int64 of that row.
        decided_ns: ``(K,)`` int64 instant at which the order was sent.
        size: ``(K,)`` float64 units, positive bought, negative sold, never 0.
        mid: ``(K,)`` float64 mid-price there, in currency.
        price: ``(K,)`` float64 average price of the fill, in currency.
        is_maker: ``(K,)`` whether the order rested in the book when it was filled.
        above_touch: ``(K,)`` whether a taker's size is larger than the best level.
        beyond_book: ``(K,)`` whether it is larger than all visible levels together.
        forced: ``(K,)`` whether latency would have carried a closing order past the session, so
            that it closes at the session's last row, before its time.
    """

    fold: IntArray
    row: IntArray
    time_ns: IntArray
    decided_ns: IntArray
    size: FloatArray
    mid: FloatArray
    price: FloatArray
    is_maker: BoolArray
    above_touch: BoolArray
    beyond_book: BoolArray
    forced: BoolArray

    @property
    def n(self) -> int:
        return int(self.row.shape[0])

    def fees(self, costs: Costs) -> FloatArray:
        """``(K,)`` commission and tax of each order in currency."""
        return costs.fees(size=self.size, price=self.price, is_maker=self.is_maker)

    def slippage(self, costs: Costs) -> FloatArray:
        """``(K,)`` what each order loses against the mid, in currency."""
        return costs.slippage(size=self.size, price=self.price, mid=self.mid)


def block_closes(
    book: Book, decided_ns: IntArray, all_decided_ns: IntArray | None = None
) -> IntArray:
    """When a position would be closed if each decision were its block's last, ``(D,)``.

    The next decision in the same session: only then is it known that the fold is over. Where the
    session has none, its last row: a session's close is known beforehand.

    Args:
        decided_ns: ``(D,)`` in the order of the predictions table.
        all_decided_ns: every decision of the book; by default those of the table.
    """
    known = np.unique(decided_ns if all_decided_ns is None else all_decided_ns)
    after = np.searchsorted(known, decided_ns, side="right")
    session_end_ns = book.time_ns[last_rows(book, decided_ns)]
    following = np.append(known, np.iinfo(np.int64).max)[after]
    return np.asarray(np.minimum(following, session_end_ns), dtype=np.int64)


def fold_spans(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    *,
    execution: Execution,
    closes_ns: IntArray | None = None,
) -> list[Span]:
    """The span of each fold, in the order of the decisions.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
        execution, closes_ns: as for ``orders_from_targets``.
    """
    sent = _sent(book, decided_ns, fold, np.zeros(fold.size), execution, closes_ns)
    first = np.flatnonzero(np.diff(sent.fold, prepend=sent.fold[0] - 1))
    last = np.append(first[1:], sent.fold.size) - 1
    return [
        Span(
            fold=int(sent.fold[a]),
            start_ns=int(sent.sent_ns[a]),
            end_ns=int(book.time_ns[sent.row[b]]),
        )
        for a, b in zip(first, last, strict=True)
    ]


def orders_from_targets(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    targets: FloatArray,
    *,
    execution: Execution,
    closes_ns: IntArray | None = None,
) -> Orders:
    """The trades that bring the position to each decision's target.

    Each fold begins and ends flat, and so does each session unless positions are carried over
    night. An order that would arrive after its session's last row lapses.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
        targets: ``(D,)`` units wanted after each decision.
        execution: when and at what price orders trade.
        closes_ns: ``(D,)`` when a closing order is sent after each decision, if it is its block's
            last; by default ``block_closes`` of the table's own decisions.

    Raises:
        PortfolioError: targets that are not finite, decisions outside the book's sessions, or a
            closing instant that is none.
    """
    _check_finite(targets)
    sent = _sent(book, decided_ns, fold, targets, execution, closes_ns)
    kept = np.flatnonzero(~sent.lapses)
    # Of orders of a fold that meet one row only the last counts.
    holds = np.append((np.diff(sent.row[kept]) != 0) | (np.diff(sent.fold[kept]) != 0), True)
    kept = kept[holds]
    # Every block ends at 0, so the change against the target before needs no restart.
    size = np.diff(sent.target[kept], prepend=0.0)
    return _taken(book, sent, kept[size != 0], size[size != 0], execution)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sent:
    """What is sent to the market: every decision's target, and 0 at the end of each block.

    Attributes:
        fold: ``(E,)`` never decreasing.
        sent_ns: ``(E,)`` the decision's instant, or that of the closing order.
        row: ``(E,)`` where it arrives, never decreasing inside a fold.
        target: ``(E,)`` units.
        closes: ``(E,)`` whether it ends a block.
        lapses: ``(E,)`` whether it would arrive after the session; a closing order never lapses.
        forced: ``(E,)`` whether a closing order had to be executed before its time.
    """

    fold: IntArray
    sent_ns: IntArray
    row: IntArray
    target: FloatArray
    closes: BoolArray
    lapses: BoolArray
    forced: BoolArray


def _sent(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    targets: FloatArray,
    execution: Execution,
    closes_ns: IntArray | None,
) -> _Sent:
    closes_ns = block_closes(book, decided_ns) if closes_ns is None else closes_ns
    session_end = last_rows(book, decided_ns)
    ends = _block_ends(fold, session_end, execution)
    _check_closes(book, decided_ns, closes_ns, session_end, ends)
    place = np.flatnonzero(ends) + 1
    sent_ns = np.insert(decided_ns, place, closes_ns[ends])
    fold, target = np.insert(fold, place, fold[ends]), np.insert(targets, place, 0.0)
    closes = np.insert(np.zeros(ends.size, dtype=np.bool_), place, True)
    session_end_ns = book.time_ns[np.insert(session_end, place, session_end[ends])]
    cuts = np.flatnonzero(np.diff(fold)) + 1
    streams = [execution.latency.arrives_ns(stream) for stream in np.split(sent_ns, cuts)]
    arrives_ns = np.concatenate(streams)
    is_late = arrives_ns > session_end_ns
    return _Sent(
        fold=fold,
        sent_ns=sent_ns,
        row=rows_at(book, sent_ns, arrives_ns),
        target=target,
        closes=closes,
        lapses=is_late & ~closes,
        # What is sent at the session's end itself is a closing auction's order: it waited there.
        forced=is_late & closes & (sent_ns < session_end_ns),
    )


def _block_ends(fold: IntArray, session_end: IntArray, execution: Execution) -> BoolArray:
    changes = np.diff(fold) != 0
    if execution.flat_at_session_end:
        changes |= np.diff(session_end) != 0
    return np.append(changes, True)


def _taken(
    book: Book, sent: _Sent, which: IntArray, size: FloatArray, execution: Execution
) -> Orders:
    """Orders that are filled at the row at which they arrive."""
    row, is_buy = sent.row[which], size > 0
    depth = visible_size(book, row, is_buy=is_buy)
    touch = touch_ticks(book, row, is_buy=is_buy)
    price = touch.astype(np.float64) if execution.kind == "touch" else walked_ticks(book, row, size)
    return Orders(
        fold=sent.fold[which],
        row=row,
        time_ns=book.time_ns[row],
        decided_ns=sent.sent_ns[which],
        size=size,
        mid=book.mid_ticks[row] * book.meta.tick_size,
        price=price * book.meta.tick_size,
        is_maker=np.zeros(row.size, dtype=np.bool_),
        above_touch=np.abs(size) > depth[:, 0],
        beyond_book=np.abs(size) > depth.sum(axis=1),
        forced=sent.forced[which],
    )


def _check_finite(targets: FloatArray) -> None:
    if not np.isfinite(targets).all():
        raise PortfolioError(f"{int((~np.isfinite(targets)).sum())} targets are not finite")


def _check_closes(
    book: Book, decided_ns: IntArray, closes_ns: IntArray, session_end: IntArray, ends: BoolArray
) -> None:
    wrong = ends & ((closes_ns < decided_ns) | (closes_ns > book.time_ns[session_end]))
    if wrong.any():
        which = int(np.argmax(wrong))
        raise PortfolioError(
            f"decision {which} at {decided_ns[which]} ends a block, whose closing order is sent at "
            f"{closes_ns[which]}; needs an instant from the decision to the session's last row at "
            f"{book.time_ns[session_end[which]]}; make it with block_closes"
        )
