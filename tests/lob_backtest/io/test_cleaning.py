"""What is dropped and why: by hand, and against a plain reading row by row."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.errors import FormatError
from lob_backtest.io import read_source
from lob_backtest.io.cleaning import REASONS, Cleaning, clean
from lob_backtest.io.writing import joined
from tests.lob_backtest.books import META, START
from tests.lob_backtest.io.sources import RowsSource, Snapshot, rows_of

SECOND = 1_000_000_000
GOOD: Snapshot = (START, [(102, 5), (103, 6)], [(100, 7), (99, 8)])


def at(second: float, like: Snapshot = GOOD, **sides: list[tuple[int, float]]) -> Snapshot:
    return (START + round(second * SECOND), sides.get("ask", like[1]), sides.get("bid", like[2]))


def cleaned(snapshots: list[Snapshot], *, chunk_rows: int = 100) -> tuple[Book, Cleaning]:
    source = RowsSource(snapshots=snapshots, n_levels=2, meta=META)
    cleaning = Cleaning()
    rows = joined(list(clean(source, cleaning, chunk_rows=chunk_rows)))
    return Book(meta=META, **vars(rows)), cleaning


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_each_reason_drops_its_row_and_the_rest_is_kept(chunk_rows: int) -> None:
    book, cleaning = cleaned(
        [
            at(-1801),  # before 09:30
            at(0),
            at(1, ask=[(0, 0), (103, 6)]),
            at(2, bid=[(102, 7), (99, 8)]),
            at(2, bid=[(104, 7), (99, 8)]),
            at(3, ask=[(102, 5), (102, 6)]),
            at(3, bid=[(100, 7), (101, 8)]),
            at(3, ask=[(105, 5), (-7, 0)], bid=[(100, 7), (10**12, 0)]),  # kept
            at(4, ask=[(105, 5), (-7, 0)], bid=[(100, 7), (0, 0)]),  # kept, the same again
            at(6 * 3600 + 1),  # after 16:00
        ],
        chunk_rows=chunk_rows,
    )
    assert (book.time_ns - START).tolist() == [0, 3 * SECOND, 4 * SECOND]
    assert book.ask_ticks.tolist() == [[102, 103], [105, 106], [105, 106]]
    assert book.bid_ticks.tolist() == [[100, 99], [100, 99], [100, 99]]
    assert book.ask_size.tolist() == [[5, 6], [5, 0], [5, 0]]
    assert cleaning.n_dropped == dict(zip(REASONS, (2, 1, 2, 2), strict=True))
    assert (cleaning.n_read, cleaning.n_kept, cleaning.n_repeated) == (10, 3, 1)
    assert cleaning.n_crossed == 2


def test_a_level_behind_a_missing_one_is_out_of_order() -> None:
    source = RowsSource(
        snapshots=[
            (START, [(102, 5), (0, 0), (104, 6)], [(100, 7), (99, 8), (98, 1)]),
            (START, [(102, 5), (103, 1), (0, 0)], [(100, 7), (0, 0), (0, 0)]),
        ],
        n_levels=3,
    )
    book, report = read_source(source)
    assert (book.ask_ticks.tolist(), book.bid_ticks.tolist()) == (
        [[102, 103, 104]],
        [[100, 99, 98]],
    )
    assert report.rows_dropped["levels out of order"] == 1


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
def test_time_that_goes_backwards_is_refused_with_its_row(chunk_rows: int) -> None:
    source = RowsSource(snapshots=[at(0), at(2), at(2), at(1.5), at(3)], n_levels=2)
    message = (
        rf"made\.csv, row 4: time_ns={START + 3 * SECOND // 2} comes after {START + 2 * SECOND}"
    )
    with pytest.raises(FormatError, match=message):
        list(clean(source, Cleaning(), chunk_rows=chunk_rows))


@pytest.mark.parametrize("size", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("chunk_rows", [1, 100])
def test_sizes_that_are_none_are_refused(size: float, chunk_rows: int) -> None:
    source = RowsSource(snapshots=[at(0), at(1, bid=[(100, 7), (99, size)])], n_levels=2)
    with pytest.raises(
        FormatError, match=r"made\.csv, row 2: bid sizes .* needs sizes of 0 or more"
    ):
        list(clean(source, Cleaning(), chunk_rows=chunk_rows))


def test_a_file_of_which_no_row_is_left_says_where_they_went() -> None:
    snapshots = [at(-9000), at(0, ask=[(0, 0), (0, 0)]), at(7 * 3600)]
    source = RowsSource(snapshots=snapshots, n_levels=2, meta=META)
    message = r"no row is left of 3 events \(outside the session 2, one side empty 1\); check the"
    with pytest.raises(FormatError, match=message):
        read_source(source)
    with pytest.raises(FormatError, match=r"no row is left of 0 events \(none has a book\);"):
        read_source(replace(source, snapshots=[], counts=type(source.counts)()))


LEVEL = st.tuples(st.integers(96, 104), st.sampled_from([0.0, 1.0, 2.5]))
SNAPSHOTS = st.lists(
    st.tuples(
        st.integers(0, 4), st.lists(LEVEL, min_size=2, max_size=2),
        st.lists(LEVEL, min_size=2, max_size=2),
    ),
    min_size=1, max_size=30,
)  # fmt: skip
HOUR = 3600 * SECOND


def reason(snapshot: Snapshot) -> str | None:
    """Why a plain reading would drop a snapshot."""
    time_ns, asks, bids = snapshot
    clock = (time_ns - START) / SECOND + 10 * 3600
    if not 9.5 * 3600 <= clock <= 16 * 3600:
        return "outside the session"
    if asks[0][1] == 0 or bids[0][1] == 0:
        return "one side empty"
    if asks[0][0] <= bids[0][0]:
        return "crossed or locked"
    is_ask_wrong = asks[1][1] > 0 and asks[1][0] <= asks[0][0]
    is_bid_wrong = bids[1][1] > 0 and bids[1][0] >= bids[0][0]
    return "levels out of order" if is_ask_wrong or is_bid_wrong else None


@given(SNAPSHOTS, st.integers(1, 31))
def test_any_snapshots_are_cleaned_as_a_plain_reading_would(
    drawn: list[Snapshot], chunk_rows: int
) -> None:
    waits = np.cumsum([wait for wait, _, _ in drawn])
    snapshots = [
        (START - HOUR + int(wait) * HOUR // 5, asks, bids)
        for wait, (_, asks, bids) in zip(waits, drawn, strict=True)
    ]
    source, cleaning = RowsSource(snapshots=snapshots, n_levels=2, meta=META), Cleaning()
    chunks = list(clean(source, cleaning, chunk_rows=chunk_rows))
    kept = []
    for snapshot in snapshots:
        if reason(snapshot) is None:
            time_ns, (ask, ask_2), (bid, bid_2) = snapshot
            ask_2 = ask_2 if ask_2[1] else (ask[0] + 1, 0.0)
            bid_2 = bid_2 if bid_2[1] else (bid[0] - 1, 0.0)
            kept.append((time_ns, [ask, ask_2], [bid, bid_2]))
    assert cleaning.n_dropped == dict.fromkeys(REASONS, 0) | Counter(
        why for why in map(reason, snapshots) if why is not None
    )
    assert cleaning.n_repeated == sum(a[1:] == b[1:] for a, b in pairwise(kept))
    expected = rows_of(kept, 2)
    rows = joined(chunks) if chunks else rows_of([], 2)
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(rows, name), values)
    if chunks:
        Book(meta=META, **vars(rows))
