"""How an order meets the market: when it arrives, at which row, and at what price.

touch    the whole order at the best price, however large it is
walk     level after level until it is filled, and beyond the visible levels a ladder that goes
         on as densely as the visible one
passive  rests at the best price of its own side until the other side trades through it
"""

from lob_backtest.execution.arrival import (
    Execution,
    Kind,
    execution_of,
    execution_rows,
    last_rows,
    rows_at,
)
from lob_backtest.execution.resting import Fills, passive_fills
from lob_backtest.execution.walking import exceeds, touch_ticks, walked_ticks

__all__ = [
    "Execution",
    "Fills",
    "Kind",
    "exceeds",
    "execution_of",
    "execution_rows",
    "last_rows",
    "passive_fills",
    "rows_at",
    "touch_ticks",
    "walked_ticks",
]
