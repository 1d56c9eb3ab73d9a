"""Decisions for the splitters' tests: on a regular clock, and at random with hypothesis."""

import numpy as np
from hypothesis import strategies as st

from lob_backtest.book import IntArray
from tests.lob_backtest.books import DAY, SECOND


def regular(n: int, *, horizon: int = 0, day: int | None = None) -> dict[str, IntArray]:
    """n decisions a second apart, ``day`` a session, labels known ``horizon`` decisions later."""
    number = np.arange(n)
    session = number // (day or n)
    decided_ns = (number % (day or n)) * SECOND + session * DAY
    last = np.append(np.flatnonzero(np.diff(session)), n - 1)
    label_end = decided_ns[np.minimum(number + horizon, last[session])]
    return {"decided_ns": decided_ns, "label_end_ns": label_end, "session": session}


@st.composite
def timetables(
    draw: st.DrawFn,
    *,
    longest_labels: tuple[int, ...] = (1, 5 * SECOND, 60 * SECOND, 2 * DAY),
    min_sessions: int = 1,
    max_sessions: int = 6,
    min_size: int = 1,
) -> dict[str, IntArray]:
    """Decisions at random instants of random sessions, with label ends in no order at all."""
    sizes = draw(st.lists(st.integers(min_size, 40), min_size=min_sessions, max_size=max_sessions))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    session = np.repeat(np.arange(len(sizes)), sizes)
    gap = rng.integers(1, 5 * SECOND, session.size)
    decided_ns = np.cumsum(gap) + session * DAY
    longest = draw(st.sampled_from(longest_labels))
    label_end_ns = decided_ns + rng.integers(0, longest, session.size)
    return {"decided_ns": decided_ns, "label_end_ns": label_end_ns, "session": session}
