"""Decisions: the instants, the rows known then, and the window that must lie in the session."""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.decisions import (
    Decisions,
    decide_every_events,
    decide_every_ns,
    decide_on_mid_change,
)
from lob_backtest.errors import LabelError
from tests.lob_backtest.books import (
    META_ALWAYS_OPEN,
    SECOND,
    START,
    book_from_mids,
    books,
    random_book,
    seconds,
)

# Two rows share the instant 2 s; the mid moves inside it and back, and again at 5 s.
MIDS = [100, 101, 100, 100, 100.5]
TIMES = [0, 2, 2, 3, 5]


def test_a_clock_decision_knows_the_last_row_of_its_instant():
    book = book_from_mids(MIDS, at_seconds=TIMES)
    decisions = decide_every_ns(book, step_ns=SECOND, window=1)
    assert decisions.decided_ns.tolist() == seconds([0, 1, 2, 3, 4, 5]).tolist()
    assert decisions.rows.tolist() == [0, 0, 2, 3, 3, 4]


def test_the_clock_grid_is_multiples_of_the_step_since_the_epoch():
    book = book_from_mids([100, 101, 102], at_seconds=[0.4, 1.9, 4.1])
    decisions = decide_every_ns(book, step_ns=2 * SECOND, window=1)
    assert (START % (2 * SECOND), decisions.decided_ns.tolist()) == (0, seconds([2, 4]).tolist())
    assert decisions.rows.tolist() == [1, 1]


def test_the_clock_does_not_run_between_sessions():
    book = book_from_mids([100, 101, 102, 103], at_seconds=[0, 1, 86_400, 86_401])
    decisions = decide_every_ns(book, step_ns=SECOND, window=1)
    assert decisions.decided_ns.tolist() == book.time_ns.tolist()
    assert decisions.session.tolist() == [0, 0, 1, 1]


def test_event_decisions_count_rows_and_move_to_the_last_row_of_the_instant():
    book = book_from_mids(MIDS, at_seconds=TIMES)
    # The 2nd row (row 1) moves to row 2, where the 3rd one is as well.
    assert decide_every_events(book, step_events=2, window=1).rows.tolist() == [2, 3]
    assert decide_every_events(book, step_events=1, window=1).rows.tolist() == [0, 2, 3, 4]


def test_the_event_count_restarts_with_each_session():
    times = [0, 1, 2, 86_400, 86_401, 86_402]
    book = book_from_mids([100] * 6, at_seconds=times)
    assert decide_every_events(book, step_events=2, window=1).rows.tolist() == [1, 4]


def test_a_mid_change_inside_an_instant_that_reverts_is_no_decision():
    book = book_from_mids(MIDS, at_seconds=TIMES)
    assert decide_on_mid_change(book, window=1).rows.tolist() == [4]


def test_a_gap_between_sessions_is_no_mid_change():
    book = book_from_mids([100, 101, 105, 105, 106], at_seconds=[0, 1, 86_400, 86_401, 86_402])
    assert decide_on_mid_change(book, window=1).rows.tolist() == [1, 4]


def test_a_decision_needs_its_whole_window_in_its_session():
    times = [0, 1, 2, 86_400, 86_401, 86_402]
    book = book_from_mids([100] * 6, at_seconds=times)
    assert decide_every_events(book, step_events=1, window=3).rows.tolist() == [2, 5]
    always = book_from_mids([100] * 6, at_seconds=times, meta=META_ALWAYS_OPEN)
    assert decide_every_events(always, step_events=1, window=3).rows.tolist() == [2, 3, 4, 5]


def test_no_decision_left_is_an_error_with_the_counts():
    book = book_from_mids([100, 101, 102])
    with pytest.raises(
        LabelError, match=r"step_ns=1000000000 and window=4: got 3 decisions.*longest of 3"
    ):
        decide_every_ns(book, step_ns=SECOND, window=4)
    with pytest.raises(LabelError, match="got 0 decisions"):
        decide_every_ns(book_from_mids([100], at_seconds=[0.5]), step_ns=SECOND, window=1)
    with pytest.raises(LabelError, match="got 0 decisions"):
        decide_on_mid_change(book_from_mids([100, 100]), window=1)


def test_a_step_or_window_below_one_is_an_error():
    book = book_from_mids([100, 101, 102])
    with pytest.raises(LabelError, match="step_ns=0: needs at least 1"):
        decide_every_ns(book, step_ns=0, window=1)
    with pytest.raises(LabelError, match="step_events=-1: needs at least 1"):
        decide_every_events(book, step_events=-1, window=1)
    with pytest.raises(LabelError, match="window=0: needs at least 1"):
        decide_on_mid_change(book, window=0)


def test_a_step_that_would_fill_the_memory_is_an_error():
    with pytest.raises(LabelError, match="step_ns=1 makes 2000000001 decisions"):
        decide_every_ns(book_from_mids([100, 101, 102]), step_ns=1, window=1)


def test_decisions_that_do_not_increase_are_refused():
    two = np.array([1, 2])
    with pytest.raises(LabelError, match="must increase strictly"):
        Decisions(rows=two, decided_ns=np.array([5, 5]), session=two)
    with pytest.raises(LabelError, match="need one"):
        Decisions(rows=two, decided_ns=np.array([5]), session=two)


def test_selecting_by_mask_equals_selecting_by_index():
    book = random_book(np.random.default_rng(0))
    decisions = decide_every_events(book, step_events=5, window=10)
    mask = decisions.rows % 2 == 0
    by_mask, by_index = decisions.select(mask), decisions.select(np.flatnonzero(mask))
    assert 0 < by_mask.n < decisions.n
    assert by_mask.rows.tolist() == by_index.rows.tolist() == decisions.rows[mask].tolist()
    assert by_mask.decided_ns.tolist() == by_index.decided_ns.tolist()


@settings(max_examples=60, deadline=None)
@given(
    book=books(),
    kind=st.sampled_from(["ns", "events", "mid"]),
    step=st.integers(1, 20),
    window=st.integers(1, 10),
)
def test_every_decision_knows_exactly_the_past_and_a_window_in_one_session(
    book: Book, kind: str, step: int, window: int
):
    try:
        decisions = {
            "ns": lambda: decide_every_ns(book, step_ns=step * SECOND // 4, window=window),
            "events": lambda: decide_every_events(book, step_events=step, window=window),
            "mid": lambda: decide_on_mid_change(book, window=window),
        }[kind]()
    except LabelError:
        reject()  # a book that is too short for this step and window
    rows = decisions.rows
    assert np.all(book.time_ns[rows] <= decisions.decided_ns)
    after = rows + 1 < book.n_rows
    assert np.all(book.time_ns[rows[after] + 1] > decisions.decided_ns[after])
    assert np.all(np.diff(decisions.decided_ns) > 0)
    assert np.array_equal(decisions.session, book.session[rows - window + 1])
    assert np.array_equal(decisions.session, book.session[rows])
