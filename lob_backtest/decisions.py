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

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, IntArray, blocks
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
        if np.any(self.decided_ns[1:] <= self.decided_ns[:-1]):
            raise LabelError("decided_ns repeats or goes back in time; it must increase strictly")

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])

    def select(self, chosen: BoolArray | IntArray | slice) -> "Decisions":
        """The decisions that a mask, increasing indices or a stretch choose.

        Those of a stretch, or of a mask that is one, are views.
        """
        if isinstance(chosen, np.ndarray) and chosen.dtype == np.bool_ and chosen.size == self.n:
            chosen = _as_stretch(chosen.astype(np.bool_, copy=False))
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
    grid = (
        np.arange(low + part.start, low + part.stop, dtype=np.int64) * step_ns
        for low, high in zip(first_tick, last_tick, strict=True)
        for part in blocks(int(high - low) + 1)
    )
    return _kept(book, grid, most=n_ticks, window=window, asked=f"step_ns={step_ns}")


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
    starts, stops = book.session_starts[:-1], book.session_starts[1:]
    n_steps = (stops - starts) // step_events
    nth = (
        start + step_events * np.arange(part.start + 1, part.stop + 1, dtype=np.int64) - 1
        for start, n in zip(starts, n_steps, strict=True)
        for part in blocks(int(n))
    )
    return _kept(
        book,
        (book.time_ns[rows] for rows in nth),
        most=int(n_steps.sum()),
        window=window,
        asked=f"step_events={step_events}",
    )


def decide_on_mid_change(book: Book, *, window: int) -> Decisions:
    """Decisions at the instants whose mid-price differs from that of the session's last instant.

    Args:
        book: the book.
        window: rows of the same session that must be known at a decision, its own included.

    Raises:
        LabelError: ``window`` is not positive, or no decision is left.
    """
    _require_positive(window=window)
    moved = (
        rows[book.session[rows] == book.session[before]] for rows, before in book.mid_changes()
    )
    return _kept(
        book,
        (book.time_ns[rows] for rows in moved),
        most=book.n_rows,
        window=window,
        asked="decisions on mid-price changes",
    )


def _kept(
    book: Book, instants: Iterable[IntArray], *, most: int, window: int, asked: str
) -> Decisions:
    """The decisions whose window lies in their session.

    Args:
        instants: the instants to decide at, some at a time, never decreasing: of equal ones one is
            taken.
        most: no more instants than this.
    """
    rows, decided_ns, session = (book.empty(most, np.int64) for _ in range(3))
    n_asked, n, last_ns = 0, 0, -1
    for asked_ns in instants:
        at_ns = asked_ns[np.diff(asked_ns, prepend=last_ns) > 0]
        if at_ns.size == 0:
            continue
        n_asked, last_ns = n_asked + at_ns.size, int(at_ns[-1])
        known = book.row_known_at(at_ns)
        in_session = book.session[known]
        enough = known - book.session_starts[in_session] >= window - 1
        part = slice(n, n + int(np.count_nonzero(enough)))
        rows[part], decided_ns[part] = known[enough], at_ns[enough]
        session[part] = in_session[enough]
        n = part.stop
    if n == 0:
        longest = int(np.diff(book.session_starts).max())
        raise LabelError(
            f"{asked} and window={window}: got {n_asked} decisions, none with {window} rows of "
            f"its own session behind it ({book.n_rows} rows in {book.session_starts.size - 1} "
            f"sessions, the longest of {longest}); needs at least one; "
            "shorten the window or the step, or load more rows"
        )
    return Decisions(rows=rows[:n], decided_ns=decided_ns[:n], session=session[:n])


def _as_stretch(mask: BoolArray) -> BoolArray | slice:
    """The stretch that is all a mask chooses, or the mask itself where there are gaps."""
    if mask.size == 0:
        return mask
    first, last = int(mask.argmax()), mask.size - int(mask[::-1].argmax())
    return slice(first, last) if np.count_nonzero(mask) == last - first else mask


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise LabelError(f"{name}={value}: needs at least 1")
