"""Orders that wait in the book, and are filled only when the market trades through their price."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Fills:
    """What became of the orders that were sent; one entry a fill, in the order of the rows.

    Attributes:
        event: ``(K,)`` place among what was sent of the order that was filled.
        row: ``(K,)`` book row of the fill.
        size: ``(K,)`` units, positive bought, negative sold, never 0.
        is_maker: ``(K,)`` whether it rested until the market traded through it, at the limit that
            it was posted at; otherwise it closes a block as a taker.
    """

    event: IntArray
    row: IntArray
    size: FloatArray
    is_maker: BoolArray


def passive_fills(
    book: Book,
    *,
    row: IntArray,
    until: IntArray,
    target: FloatArray,
    closes: BoolArray,
    renews: BoolArray,
) -> Fills:
    """Fills of orders that wait at the best price of their own side.

    A change of target posts one order for the difference from what is held then, at the best bid
    (a buy) or ask (a sale) of the row where it arrives. It is filled whole, at its limit, at the
    first later instant whose opposite touch is at the limit or beyond: a buy when ``ask <= limit``,
    a sale when ``bid >= limit``. Then the market has traded through the price, wherever the order
    stood in the queue; no fill is claimed before. What is unfilled when the next change arrives, or
    when the session ends, is cancelled. A close takes whatever is held to 0 as a taker.

        row     0     1     2     3     4
        ask   101   101   101   100    99       a buy posted at 0 waits at 99 ...
        bid    99    99   100    99    98       ... and is filled at 4

    Args:
        row, target, closes: ``(E,)`` where each message arrives, the units wanted, and whether it
            ends a block; in time order inside a fold, every fold ending with a close.
        until: ``(E,)`` first row at which nothing is filled for this message any more: where the
            next one of the fold arrives, or after the session.
        renews: ``(E,)`` whether an order is posted even where the target did not change.
    """
    n = row.size
    event, fill_row = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    size = np.zeros(n, dtype=np.float64)
    count = _kernel()(
        np.ascontiguousarray(book.ask_ticks[:, 0]),
        np.ascontiguousarray(book.bid_ticks[:, 0]),
        book.is_last_of_instant,
        *(row, until, target, closes, renews),
        *(event, fill_row, size),
    )
    event = event[:count]
    return Fills(
        event=event, row=fill_row[:count], size=size[:count], is_maker=np.asarray(~closes[event])
    )


@cache
def _kernel() -> Callable[..., int]:
    """The loop, compiled in memory: a cache on disk would be written beside the package."""
    import numba  # takes a second: imported where it is used

    return cast("Callable[..., int]", numba.njit(_fill))


def _fill(
    ask: IntArray,
    bid: IntArray,
    is_last: BoolArray,
    row: IntArray,
    until: IntArray,
    target: FloatArray,
    closes: BoolArray,
    renews: BoolArray,
    event: IntArray,
    fill_row: IntArray,
    size: FloatArray,
) -> int:
    """Write the fills into the last three arrays and give their number."""
    count, position, wanted, waiting, limit, posted = 0, 0.0, 0.0, 0.0, 0, 0
    for i in range(row.size):
        if closes[i]:
            if position != 0.0:
                event[count], fill_row[count], size[count] = i, row[i], -position
                count += 1
            position, wanted, waiting = 0.0, 0.0, 0.0
            continue
        if target[i] != wanted or renews[i]:
            wanted, waiting, posted = target[i], target[i] - position, i
            limit = bid[row[i]] if waiting > 0 else ask[row[i]]
        if waiting == 0.0:
            continue
        for r in range(row[i] + 1, until[i]):
            if is_last[r] and (ask[r] <= limit if waiting > 0 else bid[r] >= limit):
                event[count], fill_row[count], size[count] = posted, r, waiting
                count += 1
                position, waiting = wanted, 0.0
                break
    return count
