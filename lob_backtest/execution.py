"""Where an order meets the book: at which row, and at what price.

time     ----+---------+--------+---+---------+-->
rows         r0        r1       r2  r3        r4
decision          d                                 knows r0
latency           |-------->|
trade                               t               at the touch of r2
"""

import numpy as np

from lob_backtest.book import Book, IntArray
from lob_backtest.errors import CostError, PortfolioError


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
