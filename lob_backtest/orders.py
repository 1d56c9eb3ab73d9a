"""Orders: the trades that bring a position to its targets, each at a row of the book.

    time     ----+---------+--------+---+---------+-->
    rows         r0        r1       r2  r3        r4
    decision          d                                 knows r0
    latency           |-------->|
    trade                               t               at the touch of r2

A decision at ``decided_ns`` trades at the first book row with ``time_ns >= decided_ns + latency``,
at that row's touch, whatever the size.
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.errors import CostError, PortfolioError


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
        row: ``(K,)`` int64 book row of the execution, strictly increasing inside a fold.
        time_ns: ``(K,)`` int64 of that row.
        size: ``(K,)`` float64 units, positive bought, negative sold, never 0.
        mid: ``(K,)`` float64 mid-price there, in currency.
        half_spread: ``(K,)`` float64 distance of the touch from the mid there, in currency.
        forced: ``(K,)`` whether latency reached beyond the session, so that the order closes at
            the session's last row, before its time.
    """

    fold: IntArray
    row: IntArray
    time_ns: IntArray
    size: FloatArray
    mid: FloatArray
    half_spread: FloatArray
    forced: BoolArray

    @property
    def n(self) -> int:
        return int(self.row.shape[0])

    def price(self, costs: Costs) -> FloatArray:
        """``(K,)`` price of each trade in currency: the ask for buys, the bid for sells."""
        return self.mid + np.sign(self.size) * costs.paid_half_spread(self.half_spread)


def execution_rows(book: Book, decided_ns: IntArray, *, latency_ns: int) -> IntArray:
    """Book row at which each decision trades, ``(D,)``.

    The first row with ``time_ns >= decided_ns + latency_ns``, but never one before the last row
    known at ``decided_ns``: of rows that share an instant the earlier ones are stale. Where the
    latency reaches beyond the decision's session, that session's last row: the only trade before
    its time, and never before its decision.

    Raises:
        CostError: a negative latency.
        PortfolioError: a decision outside the book's sessions.
    """
    if latency_ns < 0:
        raise CostError(f"latency_ns={latency_ns}: needs 0 or more nanoseconds")
    known = book.row_known_at(decided_ns)
    last = book.session_starts[book.session[known] + 1] - 1
    outside = (known < 0) | (decided_ns > book.time_ns[last])
    if outside.any():
        raise PortfolioError(
            f"{int(outside.sum())} of {decided_ns.size} decisions are before the first or after "
            f"the last row of a session (first at {decided_ns[outside][0]}); score predictions on "
            "the book they were made from"
        )
    arrives = np.searchsorted(book.time_ns, decided_ns + latency_ns, side="left")
    return np.minimum(np.maximum(arrives, known), last).astype(np.int64)


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
    row = row[traded]
    return Orders(
        fold=fold[traded],
        row=row,
        time_ns=book.time_ns[row],
        size=size[size != 0],
        mid=book.mid_ticks[row] * book.meta.tick_size,
        half_spread=book.spread_ticks[row] / 2 * book.meta.tick_size,
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
