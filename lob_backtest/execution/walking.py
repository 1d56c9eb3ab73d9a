"""What an order pays that takes what stands in the book: the touch, or level after level."""

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.errors import PortfolioError


def touch_ticks(book: Book, row: IntArray, *, is_buy: BoolArray) -> IntArray:
    """``(K,)`` best price of the other side: the ask for a buy, the bid for a sale."""
    ticks: IntArray = np.where(is_buy, book.ask_ticks[row, 0], book.bid_ticks[row, 0])
    return ticks


def exceeds(book: Book, row: IntArray, size: FloatArray) -> tuple[BoolArray, BoolArray]:
    """``(K,)`` each: whether an order is larger than the best level, and than all visible ones.

    Args:
        row: ``(K,)`` row of each order.
        size: ``(K,)`` units, positive bought, negative sold.
    """
    best = np.where(size > 0, book.ask_size[row, 0], book.bid_size[row, 0])
    above_touch = np.abs(size) > best
    beyond_book = above_touch.copy()
    beyond_book[above_touch] = np.abs(size[above_touch]) > _levels(
        book, row[above_touch], size[above_touch]
    )[1].sum(axis=1)
    return above_touch, beyond_book


def walked_ticks(book: Book, row: IntArray, size: FloatArray) -> FloatArray:
    """Average price in ticks of orders that take level after level, ``(K,)``.

    For an order of V units on levels of prices p_l and sizes q_l, best first::

        p = p_1 + sign * sum_l min(q_l, what is left of V) * |p_l - p_1| / V

    What the visible levels cannot fill, R units, is assumed to find a ladder that goes on with the
    visible density: Q units over W ticks from the best to the deepest level (at least 1), so that R
    reaches ``W R / Q`` ticks beyond the deepest level and pays ``W R / 2 Q`` more on average.

    Args:
        row: ``(K,)`` row of each order.
        size: ``(K,)`` units, positive bought, negative sold, never 0.

    Raises:
        PortfolioError: a sale that would reach down to a price of 0.
    """
    price = touch_ticks(book, row, is_buy=size > 0).astype(np.float64)
    walks, _ = exceeds(book, row, size)  # most orders are no larger than the best level
    lost, reach = _beyond_touch(book, row[walks], size[walks])
    sign = np.where(size[walks] > 0, 1.0, -1.0)
    _check_bottom(book, row[walks], size[walks], price[walks] + sign * reach)
    price[walks] += sign * lost
    return price


def _beyond_touch(book: Book, row: IntArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``(K,)`` ticks from the touch of the average unit, and of the last one."""
    units = np.abs(size)
    away, depth = _levels(book, row, size)
    # Shifted, not subtracted: beside a huge deeper level the best one would be rounded away.
    before = np.pad(np.cumsum(depth[:, :-1], axis=1), ((0, 0), (1, 0)))
    filled = np.clip(units[:, None] - before, 0.0, depth)
    visible = depth.sum(axis=1)
    left = np.maximum(units - visible, 0.0)
    width = np.where(depth > 0, away, 0.0).max(axis=1, initial=0.0)
    beyond = np.maximum(width, 1.0) * left / visible
    lost = (filled * away).sum(axis=1) + left * (width + beyond / 2)
    reach = np.where(
        left > 0, width + beyond, np.where(filled > 0, away, 0.0).max(axis=1, initial=0.0)
    )
    return lost / units, reach


def _levels(book: Book, row: IntArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``(K, L)`` each: ticks from the touch, and size, of the levels that an order meets."""
    is_buy = size[:, None] > 0
    ticks = np.where(is_buy, book.ask_ticks[row], book.bid_ticks[row])
    depth: FloatArray = np.where(is_buy, book.ask_size[row], book.bid_size[row])
    return np.abs(ticks - ticks[:, :1]).astype(np.float64), depth


def _check_bottom(book: Book, row: IntArray, size: FloatArray, last_ticks: FloatArray) -> None:
    too_low = last_ticks <= 0
    if too_low.any():
        worst = int(np.argmax(too_low))
        visible = float(book.bid_size[row[worst]].sum())
        raise PortfolioError(
            f"{int(too_low.sum())} orders would sell down to a price of 0, first "
            f"{-size[worst]:g} units at time_ns={book.time_ns[row[worst]]}, where the bid side "
            f"shows {visible:g}; lower backtest.position_limit (or notional_limit), or ask for "
            "execution: touch"
        )
