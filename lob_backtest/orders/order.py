"""What an order is once it is filled, and the time in which a fold's orders lie."""

from dataclasses import dataclass

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.costs import Costs


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
