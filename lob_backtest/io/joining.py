"""Several days of one instrument as one book."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lob_backtest.book import Book
from lob_backtest.errors import FormatError
from lob_backtest.io.report import ImportReport


def join_books(books: Sequence[Book]) -> Book:
    """One book of several that follow each other in time, in whatever order they are given.

    Raises:
        FormatError: none given, another instrument, tick or session, another number of levels, or
            books that overlap in time.
    """
    if not books:
        raise FormatError("got no book to join; name at least one file")
    ordered = sorted(books, key=lambda book: int(book.time_ns[0]))
    first = ordered[0]
    for book in ordered[1:]:
        if replace(book.meta, source=first.meta.source) != first.meta:
            raise FormatError(
                f"cannot join {first.meta} and {book.meta}; needs one instrument with the same "
                "tick and session: import them into books of their own"
            )
        if book.n_levels != first.n_levels:
            raise FormatError(
                f"cannot join {first.n_levels} levels ({first.meta.source}) and {book.n_levels} "
                f"({book.meta.source}); ask for the smaller number of levels"
            )
    for before, after in pairwise(ordered):
        if after.time_ns[0] <= before.time_ns[-1]:
            raise FormatError(
                f"{before.meta.source} and {after.meta.source} overlap in time; give each day once"
            )
    if len(ordered) == 1:
        return first
    return Book(
        meta=replace(first.meta, source="; ".join(book.meta.source for book in ordered)),
        time_ns=np.concatenate([book.time_ns for book in ordered]),
        ask_ticks=np.concatenate([book.ask_ticks for book in ordered]),
        ask_size=np.concatenate([book.ask_size for book in ordered]),
        bid_ticks=np.concatenate([book.bid_ticks for book in ordered]),
        bid_size=np.concatenate([book.bid_size for book in ordered]),
    )


def join_reports(reports: Sequence[ImportReport]) -> ImportReport:
    """The counts of several imports added up; shares are weighted by events and rows."""
    events = sum(report.events for report in reports)
    rows = sum(report.rows for report in reports)
    dropped: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    for report in reports:
        dropped.update(report.rows_dropped)
        noted.update(report.events_noted)
    raw_crossed = sum(report.crossed_share_before * report.events for report in reports)
    still_crossed = sum(report.crossed_share_after * report.rows for report in reports)
    return ImportReport(
        source_format=reports[0].source_format,
        files=tuple(name for report in reports for name in report.files),
        events=events,
        rows=rows,
        levels=reports[0].levels,
        ghost_orders_dropped=sum(report.ghost_orders_dropped for report in reports),
        marketable_orders_kept_out=sum(report.marketable_orders_kept_out for report in reports),
        rows_dropped=dict(dropped),
        events_noted=dict(noted),
        crossed_share_before=raw_crossed / events,
        crossed_share_after=still_crossed / rows,
    )
