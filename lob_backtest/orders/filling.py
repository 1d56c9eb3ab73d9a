"""Which of the sent orders are filled, where, and at what price."""

from dataclasses import replace

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import (
    Execution,
    Fills,
    exceeds,
    passive_fills,
    touch_ticks,
    walked_ticks,
)
from lob_backtest.orders.order import Orders
from lob_backtest.orders.sending import Sent, send


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
    sent = send(book, decided_ns, fold, targets, execution, closes_ns)
    fills = _rested(book, sent) if execution.kind == "passive" else _taken(sent)
    return _orders(book, sent, fills, execution)


def _taken(sent: Sent) -> Fills:
    """Each change of target is traded where it arrives, also where several arrive at one row."""
    kept = np.flatnonzero(~sent.lapses)
    # Every block ends at 0, so the change against the target before needs no restart.
    size = np.diff(sent.target[kept], prepend=0.0)
    event, size = kept[size != 0], size[size != 0]
    maker = np.zeros(size.size, dtype=np.bool_)
    return Fills(event=event, row=sent.row[event], size=size, is_maker=maker)


def _rested(book: Book, sent: Sent) -> Fills:
    """Each change of target waits in the book from where it arrives."""
    kept = np.flatnonzero(~sent.lapses)
    row, fold = sent.row[kept], sent.fold[kept]
    session_end = book.session_starts[book.session[row] + 1]
    following = np.append(np.where(np.diff(fold) == 0, row[1:], book.n_rows), book.n_rows)
    fills = passive_fills(
        book,
        row=row,
        until=np.minimum(following, session_end),
        target=sent.target[kept],
        closes=sent.closes[kept],
        renews=np.append(True, np.diff(session_end) != 0),  # what waited lapsed over night
    )
    return replace(fills, event=kept[fills.event])


def _orders(book: Book, sent: Sent, fills: Fills, execution: Execution) -> Orders:
    row, size, event = fills.row, fills.size, fills.event
    above_touch, beyond_book = exceeds(book, row, size)
    return Orders(
        fold=sent.fold[event],
        row=row,
        time_ns=book.time_ns[row],
        decided_ns=sent.sent_ns[event],
        size=size,
        mid=book.mid_ticks[row] * book.meta.tick_size,
        price=_price_ticks(book, sent, fills, execution) * book.meta.tick_size,
        is_maker=fills.is_maker,
        above_touch=above_touch & ~fills.is_maker,
        beyond_book=beyond_book & ~fills.is_maker,
        forced=sent.forced[event],
    )


def _price_ticks(book: Book, sent: Sent, fills: Fills, execution: Execution) -> FloatArray:
    is_buy = fills.size > 0
    if execution.kind == "touch":
        return touch_ticks(book, fills.row, is_buy=is_buy).astype(np.float64)
    if execution.kind == "walk":
        return walked_ticks(book, fills.row, fills.size)
    posted = touch_ticks(book, sent.row[fills.event], is_buy=~is_buy)  # its own side's best price
    price = posted.astype(np.float64)
    takes = ~fills.is_maker
    price[takes] = walked_ticks(book, fills.row[takes], fills.size[takes])
    return price


def _check_finite(targets: FloatArray) -> None:
    if not np.isfinite(targets).all():
        raise PortfolioError(f"{int((~np.isfinite(targets)).sum())} targets are not finite")
