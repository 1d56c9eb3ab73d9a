"""When a model is asked: on a clock, every n-th row, or whenever the mid-price moved.

A decision at ``decided_ns`` knows the book's rows up to and including ``rows``: the last row with
``time_ns <= decided_ns``. Where several rows share an instant, that is the last of them, because
the earlier ones are states inside one packet that nobody could have acted on.

    time    10      11  11  11      13            a decision at 12 knows the row under ^,
    row      0       1   2   3       4            one at 11 too; none is ever made between
                             ^                    the three rows at 11

Whether and when a decision is made depends on nothing after it, apart from a clock grid's end: it
stops at the session's last row, after which there is nothing to decide about.
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, IntArray
from lob_backtest.errors import LabelError

# Beyond this a clock step was surely given in the wrong unit; the grid would fill the memory.
_MOST_DECISIONS = 100_000_000
_LONGEST_NS = 10**18  # instants that far on still fit into 64 bits


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """The instants at which a model is asked, in time order.

    Attributes:
        rows: ``(D,)`` int64, last book row known at the decision.
        decided_ns: ``(D,)`` int64, strictly increasing; at or after the row's ``time_ns``.
        session: ``(D,)`` int64, session number of the row.

    Raises:
        LabelError: shapes differ, or ``decided_ns`` does not increase strictly.
    """

    rows: IntArray
    decided_ns: IntArray
    session: IntArray

    def __post_init__(self) -> None:
        shapes = (self.rows.shape, self.decided_ns.shape, self.session.shape)
        if len(set(shapes)) != 1 or self.rows.ndim != 1:
            raise LabelError(f"rows, decided_ns and session have shapes {shapes}; need one (D,)")
        if np.any(np.diff(self.decided_ns) <= 0):
            raise LabelError("decided_ns repeats or goes back in time; it must increase strictly")

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])

    def select(self, chosen: BoolArray | IntArray) -> "Decisions":
        """The decisions that a mask or increasing indices choose."""
        return Decisions(
            rows=self.rows[chosen],
            decided_ns=self.decided_ns[chosen],
            session=self.session[chosen],
        )


def decide_every_ns(book: Book, *, step_ns: int, window: int) -> Decisions:
    """Decisions on a clock: at every multiple of ``step_ns`` since the epoch, in session.

    Args:
        book: the book.
        step_ns: nanoseconds between decisions, at least 1. The grid begins at or after a session's
            first row and ends at or before its last one.
        window: rows of the same session that must be known at a decision, its own included.

    Raises:
        LabelError: ``step_ns`` or ``window`` is not positive, or no decision is left.
    """
    _require_positive(step_ns=step_ns, window=window)
    if step_ns > _LONGEST_NS:
        raise LabelError(f"step_ns={step_ns}: needs at most {_LONGEST_NS:.0e}, thirty years")
    first_ns = book.time_ns[book.session_starts[:-1]]
    last_ns = book.time_ns[book.session_starts[1:] - 1]
    first_tick, last_tick = -(-first_ns // step_ns), last_ns // step_ns
    n_ticks = int(np.maximum(last_tick - first_tick + 1, 0).sum())
    if n_ticks > _MOST_DECISIONS:
        raise LabelError(
            f"step_ns={step_ns} makes {n_ticks} decisions; needs at most {_MOST_DECISIONS}; "
            "the step is in nanoseconds: 1000000000 is one second"
        )
    grids = [
        np.arange(low, high + 1, dtype=np.int64)
        for low, high in zip(first_tick, last_tick, strict=True)
    ]
    decided_ns = np.concatenate(grids) * step_ns
    return _kept(book, book.row_known_at(decided_ns), decided_ns, window, f"step_ns={step_ns}")


def decide_every_events(book: Book, *, step_events: int, window: int) -> Decisions:
    """Decisions at every ``step_events``-th row of each session.

    The count restarts with each session. A row inside an instant is moved to the last row of that
    instant; when two fall on the same one, one decision is left.

    Args:
        book: the book.
        step_events: rows from decision to decision, at least 1.
        window: rows of the same session that must be known at a decision, its own included.

    Raises:
        LabelError: ``step_events`` or ``window`` is not positive, or no decision is left.
    """
    _require_positive(step_events=step_events, window=window)
    nth = _rows_into_session(book) % step_events == 0
    decided_ns = np.unique(book.time_ns[nth])
    rows = book.row_known_at(decided_ns)
    return _kept(book, rows, decided_ns, window, f"step_events={step_events}")


def decide_on_mid_change(book: Book, *, window: int) -> Decisions:
    """Decisions at the instants whose mid-price differs from that of the session's last instant.

    Args:
        book: the book.
        window: rows of the same session that must be known at a decision, its own included.

    Raises:
        LabelError: ``window`` is not positive, or no decision is left.
    """
    _require_positive(window=window)
    settled = np.flatnonzero(book.is_last_of_instant)
    mid, session = book.mid_ticks[settled], book.session[settled]
    moved = (np.diff(mid) != 0) & (np.diff(session) == 0)
    rows = settled[1:][moved].astype(np.int64)
    return _kept(book, rows, book.time_ns[rows], window, "decisions on mid-price changes")


def _kept(book: Book, rows: IntArray, decided_ns: IntArray, window: int, asked: str) -> Decisions:
    """Only the decisions whose window lies in their session."""
    enough = _rows_into_session(book)[rows] >= window
    if not enough.any():
        longest = int(np.diff(book.session_starts).max())
        raise LabelError(
            f"{asked} and window={window}: got {rows.size} decisions, none with {window} rows of "
            f"its own session behind it ({book.n_rows} rows in {book.session_starts.size - 1} "
            f"sessions, the longest of {longest}); needs at least one; "
            "shorten the window or the step, or load more rows"
        )
    rows = rows[enough]
    return Decisions(rows=rows, decided_ns=decided_ns[enough], session=book.session[rows])


def _rows_into_session(book: Book) -> IntArray:
    """``(N,)`` how many rows of its session are known at each row: 1, 2, ..."""
    return np.arange(1, book.n_rows + 1) - book.session_starts[book.session]


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise LabelError(f"{name}={value}: needs at least 1")
