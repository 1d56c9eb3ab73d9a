"""What the sections about decisions and trades are built from, one part an instrument."""

from dataclasses import dataclass
from typing import Protocol

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.predictions import Predictions


class RoundTrips(Protocol):
    """Trades from flat to flat, or to the opposite side; ``(M,)`` each, in time order in a fold.

    Money is in currency: ``net_pnl = gross_pnl - costs``. ``side`` is 1 for long, -1 for short.
    """

    @property
    def fold(self) -> IntArray: ...
    @property
    def open_ns(self) -> IntArray: ...
    @property
    def close_ns(self) -> IntArray: ...
    @property
    def side(self) -> IntArray: ...
    @property
    def size(self) -> FloatArray: ...
    @property
    def open_price(self) -> FloatArray: ...
    @property
    def close_price(self) -> FloatArray: ...
    @property
    def gross_pnl(self) -> FloatArray: ...
    @property
    def costs(self) -> FloatArray: ...
    @property
    def net_pnl(self) -> FloatArray: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One instrument's test decisions, the book they were made on, and the model's trades there.

    Attributes:
        book: where the decisions were made.
        test: the model's predictions of the test blocks.
        trades: None where nothing was traded for money.
    """

    book: Book
    test: Predictions
    trades: RoundTrips | None = None
