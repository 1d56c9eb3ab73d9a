"""Orders: the trades that bring a position to its targets, each at a row of the book.

    decisions   d0    d1    d2 |  d3    d4 |        |  end of a block: fold, and session
    targets     +1    +1     0 |  -1    -1 |
    closing                    c0          c1       sent at the next decision there is, or at the
    orders      +1          -1    -1       +1       session's end

Decisions give targets, targets give orders, and an order is filled where ``execution`` says. An
order knows its price and the mid at that row, but no fee: cost levels share the orders.
"""

from lob_backtest.orders.filling import orders_from_targets, orders_on
from lob_backtest.orders.order import Orders, Span
from lob_backtest.orders.sending import Schedule, block_closes, fold_spans, schedule_of

__all__ = [
    "Orders",
    "Schedule",
    "Span",
    "block_closes",
    "fold_spans",
    "orders_from_targets",
    "orders_on",
    "schedule_of",
]
