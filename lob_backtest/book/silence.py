"""Silences inside a session: nothing is known in them, and windows and labels reach across."""

import numpy as np
import pandas as pd

from lob_backtest.book.mapped import blocks
from lob_backtest.book.meta import IntArray
from lob_backtest.book.rows import Book

_NS_PER_HOUR = 3_600_000_000_000
_WORTH_TELLING_NS = _NS_PER_HOUR


def silence_warning(book: Book) -> str | None:
    """What to tell of silences of more than an hour inside sessions; None where there are none.

    Typical for a market that never closes, whose book is one session: an outage, or days that were
    imported together and do not follow each other.
    """
    rows, silence_ns = _long_silences(book)
    if rows.size == 0:
        return None
    worst = int(np.argmax(silence_ns))
    begins = pd.Timestamp(int(book.time_ns[rows[worst]]), unit="ns", tz="UTC")
    return (
        f"{rows.size} silences of more than an hour inside a session, the longest of "
        f"{silence_ns[worst] / _NS_PER_HOUR:.1f} h from {begins:%Y-%m-%d %H:%M} UTC: windows, "
        "labels and positions reach across them; import what lies before and after into books of "
        "their own, or give the market's --session"
    )


def _long_silences(book: Book) -> tuple[IntArray, IntArray]:
    """The last rows before silences worth telling inside sessions, and how long these are."""
    rows = [
        part.start
        + np.flatnonzero(np.diff(book.time_ns[part.start : part.stop + 1]) > _WORTH_TELLING_NS)
        for part in blocks(book.n_rows)
    ]
    inside = np.setdiff1d(np.concatenate(rows), book.session_starts[1:] - 1)
    return inside, book.time_ns[inside + 1] - book.time_ns[inside]
