"""What an order pays that takes what stands in the book: the touch, or level after level."""

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.errors import PortfolioError


def touch_ticks(book: Book, row: IntArray, *, is_buy: BoolArray) -> IntArray:
    """``(K,)`` best price of the other side: the ask for a buy, the bid for a sale."""
    ticks: IntArray = np.where(is_buy, book.ask_ticks[row, 0], book.bid_ticks[row, 0])
    return ticks


def visible_size(book: Book, row: IntArray, *, is_buy: BoolArray) -> FloatArray:
    """``(K, L)`` sizes that an order meets, best level first; 0 where a level is missing."""
    sizes: FloatArray = np.where(is_buy[:, None], book.ask_size[row], book.bid_size[row])
    return sizes


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
    is_buy, units = size > 0, np.abs(size)
    price = np.where(is_buy[:, None], book.ask_ticks[row], book.bid_ticks[row])
    depth = visible_size(book, row, is_buy=is_buy)
    away = np.abs(price - price[:, :1]).astype(np.float64)  # ticks from the touch
    before = np.cumsum(depth, axis=1) - depth
    filled = np.clip(units[:, None] - before, 0.0, depth)
    visible = depth.sum(axis=1)
    width = np.where(depth > 0, away, 0.0).max(axis=1)
    left = np.maximum(units - visible, 0.0)
    beyond = np.maximum(width, 1.0) * left / visible
    lost = (filled * away).sum(axis=1) + left * (width + beyond / 2)
    sign = np.where(is_buy, 1.0, -1.0)
    _check_bottom(book, row, size, price[:, 0] - width - beyond, ~is_buy & (left > 0))
    return np.asarray(price[:, 0] + sign * lost / units)


def _check_bottom(
    book: Book, row: IntArray, size: FloatArray, lowest_ticks: FloatArray, beyond: BoolArray
) -> None:
    too_low = beyond & (lowest_ticks <= 0)
    if too_low.any():
        worst = int(np.argmax(too_low))
        visible = float(book.bid_size[row[worst]].sum())
        raise PortfolioError(
            f"{int(too_low.sum())} of {size.size} orders would sell down to a price of 0, first "
            f"{-size[worst]:g} units at time_ns={book.time_ns[row[worst]]}, where the bid side "
            f"shows {visible:g}; lower backtest.position_limit (or notional_limit), or ask for "
            "execution: touch"
        )
