"""When and at which row of the book a decision meets the market.

time     ----+---------+--------+---+---------+-->
rows         r0        r1       r2  r3        r4
decision          d                                 knows r0
latency           |-------->|
trade                               t               at the prices of r2
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lob_backtest.book import Book, IntArray
from lob_backtest.config import BacktestConfig
from lob_backtest.errors import PortfolioError
from lob_backtest.latency import Latency, latency_of

Kind = Literal["walk", "touch", "passive"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The one way in which every strategy's orders are executed.

    Attributes:
        kind: ``walk``, ``touch`` or ``passive``.
        latency: from decision to market.
        flat_at_session_end: whether what is held is closed at the end of each session, or only at
            the end of each fold.
    """

    kind: Kind
    latency: Latency
    flat_at_session_end: bool = True


def execution_of(config: BacktestConfig) -> Execution:
    """The execution that a config asks for."""
    return Execution(
        kind=config.execution,
        latency=latency_of(config.latency_ns),
        flat_at_session_end=config.flat_at_session_end,
    )


def execution_rows(book: Book, decided_ns: IntArray, *, latency: Latency) -> IntArray:
    """Book row at which each decision meets the market, ``(D,)``.

    The first row at or after its arrival, but never one before the last row known at
    ``decided_ns``: of rows that share an instant the earlier ones are stale. Where the latency
    reaches beyond the decision's session, that session's last row.

    Raises:
        PortfolioError: a decision outside the book's sessions.
    """
    known = book.row_known_at(decided_ns)
    last = last_rows(book, decided_ns, known)
    return rows_at(book, latency.arrives_ns(decided_ns), known=known, last=last)


def rows_at(book: Book, arrives_ns: IntArray, *, known: IntArray, last: IntArray) -> IntArray:
    """``execution_rows`` for given instants of arrival.

    Args:
        arrives_ns: ``(E,)`` when each message is at the market.
        known: ``(E,)`` last row known when it was sent.
        last: ``(E,)`` last row of its session.
    """
    arrives = np.searchsorted(book.time_ns, arrives_ns, side="left")
    return np.minimum(np.maximum(arrives, known), last).astype(np.int64)


def last_rows(book: Book, decided_ns: IntArray, known: IntArray) -> IntArray:
    """``(D,)`` last row of the session in which each decision was made.

    Args:
        decided_ns: ``(D,)``.
        known: ``(D,)`` last row known then, ``book.row_known_at``.

    Raises:
        PortfolioError: a decision outside the book's sessions.
    """
    last = np.asarray(book.session_starts[book.session[known] + 1] - 1, dtype=np.int64)
    outside = (known < 0) | (decided_ns > book.time_ns[last])
    if outside.any():
        raise PortfolioError(
            f"{int(outside.sum())} of {decided_ns.size} decisions are before the first or after "
            f"the last row of a session (first at {decided_ns[outside][0]}); score predictions on "
            "the book they were made from"
        )
    return last
