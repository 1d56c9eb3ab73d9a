"""Orders: the trades that bring a position to its targets, each at a row of the book.

Decisions give targets, targets give orders, and an order is filled where ``execution`` says. An
order knows its price and the mid at that row, but no fee: cost levels share the orders.
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import execution_rows


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time of one fold in the portfolio.

    Attributes:
        fold: number of the fold.
        start_ns: its first decision.
        end_ns: the instant at which its last decision trades.
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
        forced: ``(K,)`` whether latency reached beyond the session, so that the order closes at
            the session's last row, before its time.
    """

    fold: IntArray
    row: IntArray
    time_ns: IntArray
    decided_ns: IntArray
    size: FloatArray
    mid: FloatArray
    price: FloatArray
    is_maker: BoolArray
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


def fold_spans(book: Book, decided_ns: IntArray, fold: IntArray, *, latency_ns: int) -> list[Span]:
    """The span of each fold, in the order of the decisions.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
    """
    first = np.flatnonzero(np.diff(fold, prepend=fold[0] - 1))
    last = np.append(first[1:], fold.size) - 1
    end_ns = book.time_ns[execution_rows(book, decided_ns[last], latency_ns=latency_ns)]
    return [
        Span(fold=int(fold[a]), start_ns=int(decided_ns[a]), end_ns=int(end))
        for a, end in zip(first, end_ns, strict=True)
    ]


def orders_from_targets(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    targets: FloatArray,
    *,
    latency_ns: int,
) -> Orders:
    """The trades that bring the position to each decision's target.

    Where several decisions of a fold trade at one row, the last of them holds, as if it had
    replaced the earlier ones on their way. Folds never net: each begins and ends flat.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
        targets: ``(D,)`` units wanted after each decision, 0 at the last of each fold and session.
        latency_ns: from decision to market.

    Raises:
        PortfolioError: a fold or session that does not end at 0, targets that are not finite.
    """
    row = execution_rows(book, decided_ns, latency_ns=latency_ns)
    session = book.session[row]
    changes = (np.diff(fold) != 0) | (np.diff(session) != 0)
    _check_targets(targets, np.append(changes, True), fold)
    holds = np.append(changes | (np.diff(row) != 0), True)
    # Every fold and session ends at 0, so the change against the row before needs no restart.
    size = np.diff(targets[holds], prepend=0.0)
    traded = np.flatnonzero(holds)[size != 0]
    row, size = row[traded], size[size != 0]
    touch = np.where(size > 0, book.ask_ticks[row, 0], book.bid_ticks[row, 0])
    return Orders(
        fold=fold[traded],
        row=row,
        time_ns=book.time_ns[row],
        decided_ns=decided_ns[traded],
        size=size,
        mid=book.mid_ticks[row] * book.meta.tick_size,
        price=touch * book.meta.tick_size,
        is_maker=np.zeros(row.size, dtype=np.bool_),
        forced=book.time_ns[row] < decided_ns[traded] + latency_ns,
    )


def _check_targets(targets: FloatArray, ends: BoolArray, fold: IntArray) -> None:
    if not np.isfinite(targets).all():
        raise PortfolioError(f"{int((~np.isfinite(targets)).sum())} targets are not finite")
    open_ends = ends & (targets != 0)
    if open_ends.any():
        which = int(np.argmax(open_ends))
        raise PortfolioError(
            f"fold {fold[which]} ends with a target of {targets[which]} units at decision {which}; "
            "the last decision of each fold and session needs the target 0"
        )
