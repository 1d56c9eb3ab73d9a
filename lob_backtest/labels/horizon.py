"""Where a label's horizon ends, and whether the decision's session holds it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BoolArray, IntArray, local_ns
from lob_backtest.decisions import Decisions
from lob_backtest.errors import LabelError

_NS_PER_MINUTE = 60_000_000_000
_NS_PER_DAY = 1440 * _NS_PER_MINUTE
# Thirty years in nanoseconds: an instant that far on still fits into 64 bits.
_LONGEST = 10**18


@dataclass(frozen=True, kw_only=True, eq=False)
class Horizon:
    """Where each decision's horizon ends and whether the session holds it.

    Attributes:
        rows: ``(D,)`` row at the horizon's end; the decision's own row where it is not held.
        is_held: ``(D,)`` whether the horizon ends at or before the session's last row.
        end_ns: ``(D,)`` instant of the horizon's end; the session's last row's where not held.
    """

    rows: IntArray
    is_held: BoolArray
    end_ns: IntArray


def horizon_of(
    book: Book, decisions: Decisions, *, horizon_ns: int | None, horizon_events: int | None
) -> Horizon:
    """The end of each decision's horizon: an instant on the clock, or a row.

    Args:
        horizon_ns: the end is ``decided_ns + horizon_ns``, the row the last one known then.
        horizon_events: the end is that many rows after the decision's row.

    Raises:
        LabelError: not exactly one horizon, or one below 1 or of decades.
    """
    check_horizon(horizon_ns=horizon_ns, horizon_events=horizon_events)
    last_row = last_rows(book, decisions)
    session_end_ns = book.time_ns[last_row]
    if horizon_events is not None:
        rows = decisions.rows + horizon_events
        is_held = rows <= last_row
        rows = np.where(is_held, rows, decisions.rows)
        end_ns = book.time_ns[rows]
    else:
        assert horizon_ns is not None
        end_ns = decisions.decided_ns + horizon_ns
        is_held = end_ns <= session_end_ns
        rows = np.where(is_held, book.row_known_at(end_ns), decisions.rows)
    return Horizon(rows=rows, is_held=is_held, end_ns=np.where(is_held, end_ns, session_end_ns))


def check_horizon(*, horizon_ns: int | None, horizon_events: int | None) -> None:
    """Refuse two horizons or none, and one below 1 or of decades."""
    chosen = [value for value in (horizon_ns, horizon_events) if value is not None]
    if len(chosen) != 1 or not 1 <= chosen[0] <= _LONGEST:
        raise LabelError(
            f"horizon_ns={horizon_ns} and horizon_events={horizon_events}: "
            f"give exactly one horizon, of at least 1 and at most {_LONGEST:.0e}"
        )


def last_rows(book: Book, decisions: Decisions) -> IntArray:
    """``(D,)`` last row of each decision's session."""
    return book.session_starts[decisions.session + 1] - 1


def session_close_ns(book: Book) -> IntArray | None:
    """``(S,)`` the last instant at which each session can have a row; None if it never closes.

    By the market's hours, not by the rows: no row can come after it, whatever the future holds.
    """
    meta = book.meta
    if meta.session_close is None:
        return None
    hours, minutes = meta.session_close.split(":")
    clock_ns = (60 * int(hours) + int(minutes)) * _NS_PER_MINUTE
    last_ns = book.time_ns[book.session_starts[1:] - 1]
    midnight = local_ns(last_ns, meta.timezone) // _NS_PER_DAY * _NS_PER_DAY
    # A close at 24:00 is the next day's first instant, which belongs to the next session.
    local = (midnight + min(clock_ns, _NS_PER_DAY - 1)).astype("datetime64[ns]")
    # Of a clock hour that occurs twice the later one; of one that is skipped, the end of the skip.
    close = pd.DatetimeIndex(local).tz_localize(
        meta.timezone, ambiguous=np.zeros(local.size, dtype=bool), nonexistent="shift_forward"
    )
    return np.maximum(np.asarray(close.as_unit("ns").asi8, dtype=np.int64), last_ns)
