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
from lob_backtest.orders.sending import Schedule, schedule_of


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
    schedule = schedule_of(book, decided_ns, fold, execution=execution, closes_ns=closes_ns)
    return orders_on(schedule, targets)


def orders_on(schedule: Schedule, targets: FloatArray) -> Orders:
    """``orders_from_targets`` on decisions whose schedule is known: many targets can share it.

    Args:
        schedule: of D decisions.
        targets: ``(D,)`` units wanted after each of them.

    Raises:
        PortfolioError: targets that are not finite.
    """
    _check_finite(targets)
    kept = np.flatnonzero(~schedule.lapses)
    wanted = schedule.sent(targets)[kept]
    passive = schedule.execution.kind == "passive"
    fills = _rested(schedule, kept, wanted) if passive else _taken(schedule, kept, wanted)
    return _orders(schedule, fills)


def _taken(schedule: Schedule, kept: IntArray, wanted: FloatArray) -> Fills:
    """Each change of target is traded where it arrives, also where several arrive at one row."""
    # Every block ends at 0, so the change against the target before needs no restart.
    size = np.diff(wanted, prepend=0.0)
    event, size = kept[size != 0], size[size != 0]
    maker = np.zeros(size.size, dtype=np.bool_)
    return Fills(event=event, row=schedule.row[event], size=size, is_maker=maker)


def _rested(schedule: Schedule, kept: IntArray, wanted: FloatArray) -> Fills:
    """Each change of target waits in the book from where it arrives."""
    book, row, fold = schedule.book, schedule.row[kept], schedule.fold[kept]
    session_end = book.session_starts[book.session[row] + 1]
    following = np.append(np.where(np.diff(fold) == 0, row[1:], book.n_rows), book.n_rows)
    fills = passive_fills(
        book,
        row=row,
        until=np.minimum(following, session_end),
        target=wanted,
        closes=schedule.closes[kept],
        renews=np.append(True, np.diff(session_end) != 0),  # what waited lapsed over night
    )
    return replace(fills, event=kept[fills.event])


def _orders(schedule: Schedule, fills: Fills) -> Orders:
    book, row, size, event = schedule.book, fills.row, fills.size, fills.event
    above_touch, beyond_book = exceeds(book, row, size)
    return Orders(
        fold=schedule.fold[event],
        row=row,
        time_ns=book.time_ns[row],
        decided_ns=schedule.sent_ns[event],
        size=size,
        mid=book.mid_ticks[row] * book.meta.tick_size,
        price=_price_ticks(schedule, fills) * book.meta.tick_size,
        is_maker=fills.is_maker,
        above_touch=above_touch & ~fills.is_maker,
        beyond_book=beyond_book & ~fills.is_maker,
        forced=schedule.forced[event],
    )


def _price_ticks(schedule: Schedule, fills: Fills) -> FloatArray:
    book, is_buy = schedule.book, fills.size > 0
    if schedule.execution.kind == "touch":
        return touch_ticks(book, fills.row, is_buy=is_buy).astype(np.float64)
    if schedule.execution.kind == "walk":
        return walked_ticks(book, fills.row, fills.size)
    # its own side's best price
    posted = touch_ticks(book, schedule.row[fills.event], is_buy=~is_buy)
    price = posted.astype(np.float64)
    takes = ~fills.is_maker
    price[takes] = walked_ticks(book, fills.row[takes], fills.size[takes])
    return price


def _check_finite(targets: FloatArray) -> None:
    if not np.isfinite(targets).all():
        raise PortfolioError(f"{int((~np.isfinite(targets)).sum())} targets are not finite")
