"""Triple barrier: by hand, against a plain loop, its volatility, its ends, and no look ahead."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, BookMeta
from lob_backtest.decisions import Decisions, decide_every_events, decide_every_ns
from lob_backtest.errors import LabelError
from lob_backtest.labels import (
    Moves,
    classify,
    mid_moves,
    past_volatility_ticks,
    triple_barrier_moves,
)
from lob_backtest.labels.first_touch import FirstTouch
from lob_backtest.labels.horizon import session_close_ns
from tests.lob_backtest.books import (
    META,
    META_ALWAYS_OPEN,
    SECOND,
    book_from_mids,
    books,
    random_book,
    with_other_future,
)

NAN = np.nan
CLOSE = 6 * 3600.0  # seconds from START, at 10:00, to the close of META's session at 16:00


def at_three(
    future: list[float], *, at: list[float], meta: BookMeta = META, start: int = 0, **horizon: int
) -> tuple[float, float]:
    """Move and label_end of a decision at 3 s, whose sigma is 3 / sqrt(2); seconds from ``start``.

    Over 2 s the mid moved by 2 (known at 2 s) and by -1 (known at 3 s): two moves of equal weight
    up to the bias, which cancels, so that the variance is half their squared difference.
    """
    times = start + np.array([0, 1, 2, 3, *at])
    book = book_from_mids([100, 100, 102, 99, *future], at_seconds=times, meta=meta)
    rows = np.arange(4)
    decisions = Decisions(rows=rows, decided_ns=book.time_ns[rows], session=book.session[rows])
    moves = triple_barrier_moves(
        book, decisions, **(horizon or {"horizon_ns": 2 * SECOND}),
        barrier_volatilities=1.0, volatility_decisions=2,
    )  # fmt: skip
    assert np.isnan(moves.move_ticks[:3]).all()
    assert moves.label_end_ns[:3].tolist() == decisions.decided_ns[:3].tolist()
    return float(moves.move_ticks[3]), int(moves.label_end_ns[3] - book.time_ns[0]) / SECOND


@pytest.mark.parametrize(
    ("future", "expected"),
    [
        ([100, 101.5, 97, 90], (2.5, 4.0)),  # 101.1 is touched first, then 96.9
        ([98, 96.5, 105, 99], (-2.5, 4.0)),
        ([100, 98, 101, 97], (0.0, 5.0)),  # all within 96.9 and 101.1
        ([99, 99, 99, 102], (3.0, 5.0)),  # at the last instant of the horizon
        ([105, 90, 99, 99], (6.0, 3.5)),
    ],
)
def test_the_first_barrier_that_is_touched_decides(future, expected):
    assert at_three([*future, 120], at=[3.5, 4, 4.5, 5, 5.5]) == expected


def test_a_touch_after_the_horizon_is_none():
    assert at_three([99, 110, 99], at=[4, 5.000000001, 6]) == (0.0, 5.0)


def test_a_state_inside_an_instant_touches_nothing():
    assert at_three([105, 99, 99, 99], at=[4, 4, 4.5, 5]) == (0.0, 5.0)
    assert at_three([99, 105, 99, 99], at=[4, 4, 4.5, 5]) == (6.0, 4.0)


def test_an_event_horizon_counts_rows():
    # Two rows on is 98, three rows on 120; label_end is the second row's instant.
    assert at_three([99, 98, 120], at=[7, 8, 9], horizon_events=2) == (0.0, 8.0)
    assert at_three([99, 92, 120], at=[7, 8, 9], horizon_events=2) == (-7.0, 8.0)


def test_the_session_end_is_a_vertical_barrier_and_known_at_the_close():
    # The rows end at 4 s. By the clock the horizon is over at 5 s; in rows it never will be, which
    # is certain when the market closes.
    assert at_three([100], at=[4]) == (0.0, 5.0)
    assert at_three([100], at=[4], horizon_events=2) == (0.0, CLOSE)
    assert at_three([104], at=[4], horizon_events=2) == (5.0, 4.0)
    # The next day's rows are none of its business.
    assert at_three([100, 104], at=[4, 86_400]) == (0.0, 5.0)
    assert at_three([100, 104], at=[4, 86_400], horizon_events=2) == (0.0, CLOSE)


def test_a_session_that_ends_at_midnight_is_not_carried_on_by_the_next():
    # The decision is a second before midnight, the touch at midnight is another day's.
    all_day = replace(META, session_open="00:00", session_close="24:00")
    before_midnight = {"start": 14 * 3600 - 4, "meta": all_day}
    assert at_three([110, 99], at=[4, 5], **before_midnight) == (0.0, 3.999999999)
    assert at_three([110, 99], at=[3.5, 5], **before_midnight) == (11.0, 3.5)


def test_where_the_data_end_but_the_market_does_not_nothing_is_known():
    move, end = at_three([100], at=[4], meta=META_ALWAYS_OPEN)
    assert np.isnan(move)
    assert end == 4.0
    assert at_three([104], at=[4], meta=META_ALWAYS_OPEN) == (5.0, 4.0)
    assert at_three([100, 99], at=[4, 5], meta=META_ALWAYS_OPEN) == (0.0, 5.0)


def test_a_market_that_did_not_move_has_no_barriers():
    book = book_from_mids([100.0] * 30 + [101.0] * 3)
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = triple_barrier_moves(
        book, decisions, horizon_events=2, barrier_volatilities=1.0, volatility_decisions=3
    )
    assert np.isnan(moves.move_ticks[:30]).all()
    assert np.isfinite(moves.move_ticks[30:]).any()


def test_volatility_is_the_weighted_deviation_of_the_moves_known_by_then():
    book = random_book(np.random.default_rng(0), 400, 1, 2)
    decisions = decide_every_events(book, step_events=2, window=1)
    past = mid_moves(book, decisions, horizon_ns=5 * SECOND)
    sigma = past_volatility_ticks(decisions, past, volatility_decisions=20)
    checked = 0
    for now, got in zip(decisions.decided_ns, sigma, strict=True):
        x = past.move_ticks[np.isfinite(past.move_ticks) & (past.label_end_ns <= now)][::-1]
        if x.size < 20:
            assert np.isnan(got)
            continue
        w = (1 - 2 / 21) ** np.arange(x.size)
        mean = (w * x).sum() / w.sum()
        var = (w * (x - mean) ** 2).sum() / w.sum() * w.sum() ** 2 / (w.sum() ** 2 - (w**2).sum())
        assert got == pytest.approx(np.sqrt(var), rel=1e-9)
        checked += 1
    # The second session begins with the first one's moves, none of which crosses the night.
    assert checked > 100
    assert np.isfinite(sigma[decisions.session == 1]).all()


def plain_triple_barrier(book: Book, decisions: Decisions, past: Moves, b, span, *, h=None, k=None):
    """The definition, one decision and one row at a time."""
    settled = np.append(book.time_ns[1:] != book.time_ns[:-1], True)
    moves, ends = [], []
    for row, now, session in zip(
        decisions.rows, decisions.decided_ns, decisions.session, strict=True
    ):
        known = past.move_ticks[np.isfinite(past.move_ticks) & (past.label_end_ns <= now)]
        sigma = NAN
        if known.size >= span:
            sigma = pd.Series(known).ewm(span=span).std().iloc[-1]
        if not sigma > 0:
            moves.append(NAN)
            ends.append(int(now))
            continue
        last = book.session_starts[session + 1] - 1
        mid, width = book.mid_ticks, b * sigma
        is_over = row + k <= last if k is not None else now + h <= book.time_ns[last]
        day = pd.Timestamp(int(now)).normalize() + pd.Timedelta(hours=16)
        if k is not None:
            end = book.time_ns[row + k] if is_over else day.value
        else:
            end = now + h if is_over else min(now + h, day.value)
        move = 0.0
        if not is_over and book.meta.session_close is None:
            move, end = NAN, book.time_ns[last]
        for r in range(row + 1, last + 1):
            if (r > row + k) if k is not None else (book.time_ns[r] > now + h):
                break
            if settled[r] and (mid[r] >= mid[row] + width or mid[r] <= mid[row] - width):
                move, end = mid[r] - mid[row], book.time_ns[r]
                break
        moves.append(float(move))
        ends.append(int(end))
    return moves, ends


@settings(max_examples=100, deadline=None)
@given(
    book=books(max_rows=90, max_levels=1, max_sessions=3),
    horizon=st.integers(1, 12),
    b=st.sampled_from([0.3, 1.0, 2.0]),
    span=st.integers(2, 8),
    is_clock=st.booleans(),
    on_clock=st.booleans(),
    never_closes=st.booleans(),
)
def test_triple_barriers_equal_a_plain_loop_over_the_definition(
    book: Book, horizon, b, span, is_clock, on_clock, never_closes
):
    if never_closes:
        book = replace(book, meta=META_ALWAYS_OPEN)
    if on_clock and np.ptp(book.time_ns) >= 2 * SECOND and not never_closes:
        decisions = decide_every_ns(book, step_ns=SECOND, window=1)
    else:
        decisions = decide_every_events(book, step_events=2, window=1)
    wanted = {"horizon_ns": horizon * SECOND} if is_clock else {"horizon_events": horizon}
    moves = triple_barrier_moves(
        book, decisions, **wanted, barrier_volatilities=b, volatility_decisions=span
    )
    past = mid_moves(book, decisions, **wanted)
    plain = {"h": horizon * SECOND} if is_clock else {"k": horizon}
    expected, ends = plain_triple_barrier(book, decisions, past, b, span, **plain)
    np.testing.assert_array_equal(moves.move_ticks, expected)
    assert moves.label_end_ns.tolist() == ends


@settings(max_examples=60, deadline=None)
@given(
    book=books(min_rows=60, max_levels=1, max_sessions=2),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.2, 0.95),
    never_closes=st.booleans(),
    horizon=st.sampled_from([{"horizon_ns": 6 * SECOND}, {"horizon_events": 9}]),
)
def test_what_comes_after_label_end_changes_no_triple_barrier(
    book: Book, seed, share, never_closes, horizon
):
    if never_closes:
        book = replace(book, meta=META_ALWAYS_OPEN)
    cut = int(np.flatnonzero(book.is_last_of_instant)[int(share * book.is_last_of_instant.sum())])
    other = random_book(np.random.default_rng(seed), 80, 1)
    now_ns = book.time_ns[cut]
    changed = with_other_future(book, other, cut + 1, after_ns=1)
    kept, again = (
        triple_barrier_moves(
            each, decide_every_events(each, step_events=1, window=1), **horizon,
            barrier_volatilities=1.0, volatility_decisions=5,
        )
        for each in (book, changed)
    )  # fmt: skip
    known = np.flatnonzero(np.isfinite(kept.move_ticks) & (kept.label_end_ns <= now_ns))
    assert kept.move_ticks[known].tolist() == again.move_ticks[known].tolist()
    assert kept.label_end_ns[known].tolist() == again.label_end_ns[known].tolist()


@settings(max_examples=40, deadline=None)
@given(book=books(min_rows=80, max_levels=1), horizon=st.integers(1, 100))
def test_no_triple_barrier_crosses_a_session(book: Book, horizon):
    decisions = decide_every_events(book, step_events=1, window=1)
    moves = triple_barrier_moves(
        book, decisions, horizon_events=horizon, barrier_volatilities=1.5, volatility_decisions=3
    )
    opens_ns = np.append(book.time_ns[book.session_starts[1:-1]], np.iinfo(np.int64).max)
    assert (moves.label_end_ns < opens_ns[decisions.session]).all()
    assert (moves.label_end_ns >= decisions.decided_ns).all()


def test_wider_barriers_are_touched_later_and_less_often():
    book = random_book(np.random.default_rng(3), 3_000, 1)
    decisions = decide_every_events(book, step_events=3, window=1)
    formed = [
        triple_barrier_moves(
            book, decisions, horizon_events=60, barrier_volatilities=b, volatility_decisions=50
        )
        for b in (0.5, 1.0, 2.0, 100.0)
    ]
    for near, far in pairwise(formed):
        assert (near.label_end_ns <= far.label_end_ns).all()
    touched = [np.count_nonzero(np.nan_to_num(moves.move_ticks)) for moves in formed]
    assert touched == sorted(touched, reverse=True)
    assert touched[-1] == 0
    shares = np.bincount(classify(formed[1].move_ticks, threshold_ticks=0.0) + 1)[1:]
    assert shares.min() > 50  # all three classes are there, with nothing fitted


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(st.integers(-5, 5), max_size=40),
    asked=st.lists(st.tuples(st.integers(0, 40), st.integers(-6, 6)), min_size=1, max_size=20),
)
def test_the_first_touch_equals_a_scan(values, asked):
    starts = np.array([min(start, len(values)) for start, _ in asked])
    thresholds = np.array([float(threshold) for _, threshold in asked])
    scanned = [
        next((i for i in range(start, len(values)) if values[i] >= threshold), len(values))
        for start, threshold in zip(starts, thresholds, strict=True)
    ]
    found = FirstTouch(np.array(values, dtype=np.float64)).first_at_or_above(starts, thresholds)
    assert found.tolist() == scanned


def test_a_session_closes_by_the_local_clock():
    meta = replace(META, timezone="America/New_York")
    # Friday before and Monday after the clocks went forward: 16:00 is 21:00, then 20:00 UTC.
    times = pd.DatetimeIndex(["2020-03-06 15:00", "2020-03-09 15:00"], tz="UTC").as_unit("ns").asi8
    book = replace(book_from_mids([100, 101]), meta=meta, time_ns=np.asarray(times))
    expected = pd.DatetimeIndex(["2020-03-06 21:00", "2020-03-09 20:00"], tz="UTC").as_unit("ns")
    closes = session_close_ns(book)
    assert closes is not None
    assert closes.tolist() == expected.asi8.tolist()
    assert session_close_ns(replace(book, meta=META_ALWAYS_OPEN)) is None
    until_midnight = replace(book, meta=replace(meta, session_open="00:00", session_close="24:00"))
    midnight = pd.DatetimeIndex(["2020-03-07", "2020-03-10"], tz=meta.timezone).as_unit("ns").asi8
    closes = session_close_ns(until_midnight)
    assert closes is not None
    assert closes.tolist() == (midnight - 1).tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"barrier_volatilities": 0.0}, "barrier_volatilities=0.0: needs to be above 0"),
        ({"barrier_volatilities": NAN}, "barrier_volatilities=nan: needs to be above 0"),
        ({"volatility_decisions": 1}, "volatility_decisions=1: needs at least 2"),
        ({"horizon_events": 0}, "give exactly one horizon, of at least 1"),
    ],
)
def test_arguments_that_make_no_barrier_are_refused(wrong, message):
    book = book_from_mids([100, 101, 102])
    decisions = decide_every_events(book, step_events=1, window=1)
    good = {"barrier_volatilities": 1.0, "volatility_decisions": 2, "horizon_events": 1}
    with pytest.raises(LabelError, match=message):
        triple_barrier_moves(book, decisions, **(good | wrong))
