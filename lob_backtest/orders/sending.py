"""What is sent to the market and when: every decision's target, and a close after each block."""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import Execution, last_rows, rows_at
from lob_backtest.orders.order import Span


def block_closes(
    book: Book, decided_ns: IntArray, all_decided_ns: IntArray | None = None
) -> IntArray:
    """When a position would be closed if each decision were its block's last, ``(D,)``.

    The next decision in the same session: only then is it known that the fold is over. Where the
    session has none, its last row: a session's close is known beforehand.

    Args:
        decided_ns: ``(D,)`` in the order of the predictions table.
        all_decided_ns: every decision of the book; by default those of the table.
    """
    known = np.sort(decided_ns if all_decided_ns is None else all_decided_ns)
    after = np.searchsorted(known, decided_ns, side="right")
    session_end_ns = book.time_ns[last_rows(book, decided_ns, book.row_known_at(decided_ns))]
    following = np.append(known, np.iinfo(np.int64).max)[after]
    return np.asarray(np.minimum(following, session_end_ns), dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """When decisions reach the market, and the closes after their blocks; whatever they decide.

    D decisions and a close at the end of each block make E messages.

    Attributes:
        book: where they were made.
        execution: how they are executed.
        ends: ``(D,)`` whether a decision is the last of its block.
        fold: ``(E,)`` never decreasing.
        sent_ns: ``(E,)`` the decision's instant, or that of the closing order.
        row: ``(E,)`` where it arrives, never decreasing inside a fold.
        closes: ``(E,)`` whether it ends a block.
        lapses: ``(E,)`` whether it would arrive after the session; a closing order never lapses.
        forced: ``(E,)`` whether a closing order had to be executed before its time.
    """

    book: Book
    execution: Execution
    ends: BoolArray
    fold: IntArray
    sent_ns: IntArray
    row: IntArray
    closes: BoolArray
    lapses: BoolArray
    forced: BoolArray

    @property
    def starts(self) -> BoolArray:
        """``(D,)`` whether a decision is the first of its block."""
        return np.append(True, self.ends[:-1])

    @property
    def spans(self) -> list[Span]:
        """The span of each fold, in the order of the decisions."""
        first = np.flatnonzero(np.diff(self.fold, prepend=self.fold[0] - 1))
        last = np.append(first[1:], self.fold.size) - 1
        return [
            Span(
                fold=int(self.fold[a]),
                start_ns=int(self.sent_ns[a]),
                end_ns=int(self.book.time_ns[self.row[b]]),
            )
            for a, b in zip(first, last, strict=True)
        ]

    def sent(self, targets: FloatArray) -> FloatArray:
        """``(E,)`` units wanted after each message: the targets ``(D,)``, and 0 after a close."""
        return np.insert(targets, np.flatnonzero(self.ends) + 1, 0.0)


def schedule_of(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    *,
    execution: Execution,
    closes_ns: IntArray | None = None,
    all_decided_ns: IntArray | None = None,
) -> Schedule:
    """The messages of a table's decisions.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
        execution: when orders trade, and where blocks end.
        closes_ns: ``(D,)`` when a closing order is sent after each decision, if it is its block's
            last; by default ``block_closes``.
        all_decided_ns: every decision of the book, for that default.

    Raises:
        PortfolioError: decisions outside the book's sessions, or a closing instant that is none.
    """
    known = book.row_known_at(decided_ns)
    session_end = last_rows(book, decided_ns, known)
    ends = _block_ends(fold, session_end, execution)
    lasts = np.flatnonzero(ends)
    last_ns = decided_ns[lasts]
    if closes_ns is None:
        everything = decided_ns if all_decided_ns is None else all_decided_ns
        sent_last_ns = block_closes(book, last_ns, everything)
    else:
        sent_last_ns = closes_ns[lasts]
    _check_closes(lasts, last_ns, sent_last_ns, book.time_ns[session_end[lasts]])
    place = lasts + 1
    sent_ns = np.insert(decided_ns, place, sent_last_ns)
    fold = np.insert(fold, place, fold[lasts])
    closes = np.insert(np.zeros(ends.size, dtype=np.bool_), place, True)
    known = np.insert(known, place, book.row_known_at(sent_last_ns))
    session_end = np.insert(session_end, place, session_end[lasts])
    session_end_ns = book.time_ns[session_end]
    # What closes at the session's end was sent beforehand: it waits there, and holds up nothing.
    travels = ~(closes & (sent_ns == session_end_ns))
    arrives_ns = session_end_ns.copy()
    arrives_ns[travels] = _arrivals(sent_ns[travels], fold[travels], execution)
    is_late = arrives_ns > session_end_ns
    return Schedule(
        book=book,
        execution=execution,
        ends=ends,
        fold=fold,
        sent_ns=sent_ns,
        row=rows_at(book, arrives_ns, known=known, last=session_end),
        closes=closes,
        lapses=is_late & ~closes,
        forced=is_late & closes,
    )


def fold_spans(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    *,
    execution: Execution,
    closes_ns: IntArray | None = None,
) -> list[Span]:
    """The span of each fold, in the order of the decisions; arguments as for ``schedule_of``."""
    return schedule_of(book, decided_ns, fold, execution=execution, closes_ns=closes_ns).spans


def _arrivals(sent_ns: IntArray, fold: IntArray, execution: Execution) -> IntArray:
    """When each message arrives; folds are separate streams, as if each were traded alone."""
    cuts = np.flatnonzero(np.diff(fold)) + 1
    streams = [execution.latency.arrives_ns(stream) for stream in np.split(sent_ns, cuts)]
    return np.concatenate(streams)


def _block_ends(fold: IntArray, session_end: IntArray, execution: Execution) -> BoolArray:
    changes = np.diff(fold) != 0
    if execution.flat_at_session_end:
        changes |= np.diff(session_end) != 0
    return np.append(changes, True)


def _check_closes(
    lasts: IntArray, last_ns: IntArray, closes_ns: IntArray, session_end_ns: IntArray
) -> None:
    wrong = (closes_ns < last_ns) | (closes_ns > session_end_ns)
    if wrong.any():
        which = int(np.argmax(wrong))
        raise PortfolioError(
            f"decision {lasts[which]} at {last_ns[which]} ends a block, whose closing order is "
            f"sent at {closes_ns[which]}; needs an instant from the decision to the session's last "
            f"row at {session_end_ns[which]}; make it with block_closes"
        )
