"""Findings about the sessions of a book: days that are not there, short ones, the same one twice.

weekdays    Mon  Tue  Wed  Thu  Fri  |  Mon  Tue
sessions     0    1    .    2    3   |   4    4'         . missing      4' begins as 4 does
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from hfrun.data.audit.findings import Finding
from lob_backtest.book import Book, IntArray, blocks, local_ns
from lob_backtest.book.meta import NS_PER_DAY
from lob_backtest.splits import Fold

_MOST_EXAMPLES = 10
_ROWS_COMPARED = 1000  # of a session's beginning
_LEAST_ROWS = 20  # fewer may be alike by chance
_SHORT = 0.5  # of the usual time
# Exchanges close on about ten weekdays a year for holidays, of which the audit has no calendar.
_HOLIDAY_SHARE = 0.05
_SILENCE_NS = 60_000_000_000
_SHARE_OF_WARNING = 0.01


def session_findings(book: Book, used: IntArray) -> list[Finding]:
    """Findings about whole sessions.

    Args:
        book: the book.
        used: sessions in which some part has a decision.
    """
    return [
        *_missing(book),
        *_repeated(book),
        *_short(book),
        *_unused(book, used),
    ]


def silence_findings(book: Book, rows: IntArray, *, window: int) -> list[Finding]:
    """Long times without a row inside a session, and windows across them.

    Long is more than a minute, and more than a window of the decisions takes at the median.

    Args:
        book: the book.
        rows: ``(D,)`` last row of each decision's window.
        window: rows of a window.
    """
    usual_ns = int(np.median(book.time_ns[rows] - book.time_ns[rows - window + 1]))
    long_ns = max(_SILENCE_NS, usual_ns)
    before = _rows_before_silences(book, longer_than_ns=long_ns)
    if not before.size:
        return []
    lasted_ns = book.time_ns[before + 1] - book.time_ns[before]
    across = np.searchsorted(before, rows) - np.searchsorted(before, rows - window + 1) > 0
    share = float(across.mean())
    worst = np.argsort(-lasted_ns, kind="stable")[:_MOST_EXAMPLES]
    return [
        Finding(
            name="silences",
            severity="warning" if share > _SHARE_OF_WARNING else "info",
            count=before.size,
            message=f"{before.size:,} times no row for more than {long_ns / 1e9:,.0f} s inside a "
            f"session; {np.count_nonzero(across):,} windows ({share:.2%}) reach across one",
            examples=tuple(
                f"{lasted_ns[i] / 1e9:,.0f} s from {_instant(book.time_ns[before[i]])}"
                for i in worst.tolist()
            ),
        )
    ]


def _missing(book: Book) -> list[Finding]:
    """Days without a row between the first and the last one: weekdays, where there are sessions."""
    days = _days(book)
    every = np.arange(days[0], days[-1] + 1)
    never_closes = book.meta.session_open is None
    if not never_closes:
        every = every[np.is_busday(every.astype("datetime64[D]"))]
    missing = np.setdiff1d(every, days)
    if not missing.size:
        return []
    share = missing.size / every.size
    what = "day" if never_closes else "weekday"
    holidays = "" if never_closes else "; holidays are among them, which are not known here"
    return [
        Finding(
            name="missing_sessions",
            severity="warning" if never_closes or share > _HOLIDAY_SHARE else "info",
            count=missing.size,
            message=f"{missing.size:,} of {every.size:,} {what}s from {_date(days[0])} to "
            f"{_date(days[-1])} have no rows ({share:.1%}){holidays}",
            examples=tuple(_stretches(missing)[:_MOST_EXAMPLES]),
        )
    ]


def _repeated(book: Book) -> list[Finding]:
    """Sessions that begin with the rows of another one: no two days do."""
    first_with: dict[bytes, int] = {}
    twins = []
    for session, (start, stop) in enumerate(pairwise(book.session_starts.tolist())):
        if stop - start < _LEAST_ROWS:
            continue
        rows = slice(start, min(stop, start + _ROWS_COMPARED))
        sides = (book.ask_ticks, book.bid_ticks, book.ask_size, book.bid_size)
        if all(np.ptp(side[rows], axis=0).max() == 0 for side in sides):
            continue  # nothing moved: alike by chance
        begins = b"".join(np.ascontiguousarray(side[rows]).tobytes() for side in sides)
        twin = first_with.setdefault(begins, session)
        if twin != session:
            twins.append(f"{_session_date(book, session)} as {_session_date(book, twin)}")
    if not twins:
        return []
    return [
        Finding(
            name="repeated_sessions",
            severity="error",
            count=len(twins),
            message=f"{len(twins):,} session{'s' * (len(twins) != 1)} with the same "
            f"first {_ROWS_COMPARED:,} rows as an earlier one, times aside: a day imported twice "
            "is learned by heart and judged as new",
            examples=tuple(twins[:_MOST_EXAMPLES]),
        )
    ]


def _short(book: Book) -> list[Finding]:
    starts = book.session_starts
    lasted = book.time_ns[starts[1:] - 1] - book.time_ns[starts[:-1]]
    usual = float(np.median(lasted))
    short = np.flatnonzero(lasted < _SHORT * usual)
    if not short.size:
        return []
    return [
        Finding(
            name="short_sessions",
            severity="info",
            count=short.size,
            message=f"{short.size:,} of {lasted.size:,} sessions last less than half of the usual "
            f"{usual / 3.6e12:.2f} h: half days, or rows that are missing",
            examples=tuple(
                f"{_session_date(book, session)}: {lasted[session] / 3.6e12:.2f} h"
                for session in short[:_MOST_EXAMPLES].tolist()
            ),
        )
    ]


def _unused(book: Book, used: IntArray) -> list[Finding]:
    n = book.session_starts.size - 1
    unused = np.setdiff1d(np.arange(n), used)
    if not unused.size:
        return []
    return [
        Finding(
            name="unused_sessions",
            severity="info",
            count=unused.size,
            message=f"{unused.size:,} of {n:,} sessions have no decision in any part",
            examples=tuple(
                _session_date(book, session) for session in unused[:_MOST_EXAMPLES].tolist()
            ),
        )
    ]


def part_session_findings(book: Book, folds: tuple[Fold, ...], session: IntArray) -> list[Finding]:
    """Parts that lie within one session, in a book that has several.

    Args:
        book: the book.
        folds: of the run.
        session: ``(D,)`` of each decision.
    """
    if book.session_starts.size - 1 < 2:
        return []
    alone = [
        (fold.fold, part, int(session[rows[0]]))
        for fold in folds
        for part, rows in fold.parts.items()
        if session[rows[0]] == session[rows[-1]]
    ]
    if not alone:
        return []
    parts = tuple(dict.fromkeys(part for _, part, _ in alone))
    return [
        Finding(
            name="one_session_parts",
            severity="info",
            count=len(alone),
            message=f"{len(alone):,} part{'s' * (len(alone) != 1)} of "
            f"{sum(len(fold.parts) for fold in folds):,} lie within one session: each says "
            "nothing about other days",
            examples=tuple(
                f"fold {fold}, {part}: {_session_date(book, number)}"
                for fold, part, number in alone[:_MOST_EXAMPLES]
            ),
            parts=parts,
        )
    ]


def _rows_before_silences(book: Book, *, longer_than_ns: int) -> IntArray:
    found = [
        part.start
        + np.flatnonzero(np.diff(book.time_ns[part.start : part.stop + 1]) > longer_than_ns)
        for part in blocks(book.n_rows)
    ]
    return np.setdiff1d(np.concatenate(found), book.session_starts[1:] - 1)


def _days(book: Book) -> IntArray:
    """Local days that have rows, from the epoch on."""
    found = [
        np.unique(local_ns(book.time_ns[part], book.meta.timezone) // NS_PER_DAY)
        for part in blocks(book.n_rows)
    ]
    return np.unique(np.concatenate(found))


def _stretches(days: IntArray) -> list[str]:
    """Days as dates, those that follow each other as one stretch."""
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 2) > 1)
    return [
        _date(days[a]) if b - a == 1 else f"{_date(days[a])} to {_date(days[b - 1])}"
        for a, b in zip(starts, [*starts[1:], days.size], strict=True)
    ]


def _session_date(book: Book, session: int) -> str:
    first_ns = book.time_ns[book.session_starts[session : session + 1]]
    return _date(local_ns(first_ns, book.meta.timezone)[0] // NS_PER_DAY)


def _date(day: np.int64 | int) -> str:
    return str(np.datetime64(int(day), "D"))


def _instant(time_ns: np.int64 | int) -> str:
    return f"{pd.Timestamp(int(time_ns), unit='ns', tz='UTC'):%Y-%m-%d %H:%M:%S} UTC"
