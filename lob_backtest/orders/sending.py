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
    session_end_ns = book.time_ns[last_rows(book, decided_ns)]
    following = np.append(known, np.iinfo(np.int64).max)[after]
    return np.asarray(np.minimum(following, session_end_ns), dtype=np.int64)


def fold_spans(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    *,
    execution: Execution,
    closes_ns: IntArray | None = None,
) -> list[Span]:
    """The span of each fold, in the order of the decisions.

    Args:
        decided_ns, fold: ``(D,)`` in the order of the predictions table.
        execution, closes_ns: as for ``orders_from_targets``.
    """
    sent = send(book, decided_ns, fold, np.zeros(fold.size), execution, closes_ns)
    first = np.flatnonzero(np.diff(sent.fold, prepend=sent.fold[0] - 1))
    last = np.append(first[1:], sent.fold.size) - 1
    return [
        Span(
            fold=int(sent.fold[a]),
            start_ns=int(sent.sent_ns[a]),
            end_ns=int(book.time_ns[sent.row[b]]),
        )
        for a, b in zip(first, last, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sent:
    """What is sent to the market: every decision's target, and 0 at the end of each block.

    Attributes:
        fold: ``(E,)`` never decreasing.
        sent_ns: ``(E,)`` the decision's instant, or that of the closing order.
        row: ``(E,)`` where it arrives, never decreasing inside a fold.
        target: ``(E,)`` units.
        closes: ``(E,)`` whether it ends a block.
        lapses: ``(E,)`` whether it would arrive after the session; a closing order never lapses.
        forced: ``(E,)`` whether a closing order had to be executed before its time.
    """

    fold: IntArray
    sent_ns: IntArray
    row: IntArray
    target: FloatArray
    closes: BoolArray
    lapses: BoolArray
    forced: BoolArray


def send(
    book: Book,
    decided_ns: IntArray,
    fold: IntArray,
    targets: FloatArray,
    execution: Execution,
    closes_ns: IntArray | None,
) -> Sent:
    closes_ns = block_closes(book, decided_ns) if closes_ns is None else closes_ns
    session_end = last_rows(book, decided_ns)
    ends = _block_ends(fold, session_end, execution)
    _check_closes(book, decided_ns, closes_ns, session_end, ends)
    place = np.flatnonzero(ends) + 1
    sent_ns = np.insert(decided_ns, place, closes_ns[ends])
    fold, target = np.insert(fold, place, fold[ends]), np.insert(targets, place, 0.0)
    closes = np.insert(np.zeros(ends.size, dtype=np.bool_), place, True)
    session_end_ns = book.time_ns[np.insert(session_end, place, session_end[ends])]
    # What closes at the session's end was sent beforehand: it waits there, and holds up nothing.
    travels = ~(closes & (sent_ns == session_end_ns))
    arrives_ns = session_end_ns.copy()
    arrives_ns[travels] = _arrivals(sent_ns[travels], fold[travels], execution)
    is_late = arrives_ns > session_end_ns
    return Sent(
        fold=fold,
        sent_ns=sent_ns,
        row=rows_at(book, sent_ns, arrives_ns),
        target=target,
        closes=closes,
        lapses=is_late & ~closes,
        forced=is_late & closes,
    )


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
    book: Book, decided_ns: IntArray, closes_ns: IntArray, session_end: IntArray, ends: BoolArray
) -> None:
    wrong = ends & ((closes_ns < decided_ns) | (closes_ns > book.time_ns[session_end]))
    if wrong.any():
        which = int(np.argmax(wrong))
        raise PortfolioError(
            f"decision {which} at {decided_ns[which]} ends a block, whose closing order is sent at "
            f"{closes_ns[which]}; needs an instant from the decision to the session's last row at "
            f"{book.time_ns[session_end[which]]}; make it with block_closes"
        )
