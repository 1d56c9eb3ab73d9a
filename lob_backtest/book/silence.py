"""Silences inside a session: nothing is known in them, and windows and labels reach across."""

import numpy as np
import pandas as pd

from lob_backtest.book.rows import Book

_NS_PER_HOUR = 3_600_000_000_000
_WORTH_TELLING_NS = _NS_PER_HOUR


def silence_warning(book: Book) -> str | None:
    """What to tell of silences of more than an hour inside sessions; None where there are none.

    Typical for a market that never closes, whose book is one session: an outage, or days that were
    imported together and do not follow each other.
    """
    silence_ns = np.diff(book.time_ns)
    silence_ns[book.session_starts[1:-1] - 1] = 0  # from one session to the next
    long = np.flatnonzero(silence_ns > _WORTH_TELLING_NS)
    if long.size == 0:
        return None
    longest = int(long[np.argmax(silence_ns[long])])
    begins = pd.Timestamp(int(book.time_ns[longest]), unit="ns", tz="UTC")
    return (
        f"{long.size} silences of more than an hour inside a session, the longest of "
        f"{silence_ns[longest] / _NS_PER_HOUR:.1f} h from {begins:%Y-%m-%d %H:%M} UTC: windows, "
        "labels and positions reach across them; import what lies before and after into books of "
        "their own, or give the market's --session"
    )
