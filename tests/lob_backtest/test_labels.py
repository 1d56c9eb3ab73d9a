"""Labels: moves by hand, against plain loops, their label_end, the threshold and the classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book
from lob_backtest.decisions import Decisions, decide_every_events, decide_every_ns
from lob_backtest.errors import LabelError
from lob_backtest.labels import classify, fit_threshold, mid_moves, smoothed_moves
from tests.lob_backtest.books import SECOND, book_from_mids, books, seconds

NAN = np.nan
MIDS = [100, 101, 100.5, 102, 102]
TIMES = [0, 1, 3, 3, 6]


def hand_book() -> tuple[Book, Decisions]:
    """Five rows, two of them at 3 s; decisions at rows 0, 1, 3 and 4."""
    book = book_from_mids(MIDS, at_seconds=TIMES)
    return book, decide_every_events(book, step_events=1, window=1)


def two_days() -> tuple[Book, Decisions]:
    book = book_from_mids([100, 101, 103, 200, 202, 206], at_seconds=[0, 1, 2, 86400, 86401, 86402])
    return book, decide_every_events(book, step_events=1, window=1)


def test_a_clock_move_is_the_mid_known_at_the_horizon_minus_the_mid_now():
    book, decisions = hand_book()
    moves = mid_moves(book, decisions, horizon_ns=2 * SECOND)
    # At 0 s: known at 2 s is row 1. At 1 s: row 3, the last of 3 s. At 3 s: row 3. At 6 s: none.
    np.testing.assert_array_equal(moves.move_ticks, [1, 1, 0, NAN])
    assert moves.label_end_ns.tolist() == seconds([2, 3, 5, 6]).tolist()


def test_a_clock_horizon_may_end_at_the_last_row_and_no_later():
    book, decisions = hand_book()
    assert mid_moves(book, decisions, horizon_ns=3 * SECOND).move_ticks[2] == 0
    later = mid_moves(book, decisions, horizon_ns=3 * SECOND + 1)
    np.testing.assert_array_equal(later.move_ticks, [2, 1, NAN, NAN])
    assert later.label_end_ns[2:].tolist() == seconds([6, 6]).tolist()


def test_an_event_move_is_the_mid_k_rows_on_minus_the_mid_now():
    book, decisions = hand_book()
    moves = mid_moves(book, decisions, horizon_events=2)
    np.testing.assert_array_equal(moves.move_ticks, [0.5, 1, NAN, NAN])
    assert moves.label_end_ns.tolist() == seconds([3, 3, 6, 6]).tolist()


def test_no_move_reaches_into_the_next_session():
    book, decisions = two_days()
    end_of_day = seconds([2, 86402])
    for moves in (
        mid_moves(book, decisions, horizon_events=2),
        mid_moves(book, decisions, horizon_ns=2 * SECOND),
    ):
        np.testing.assert_array_equal(moves.move_ticks, [3, NAN, NAN, 6, NAN, NAN])
        assert moves.label_end_ns.tolist() == np.repeat(end_of_day, 3).tolist()


def test_the_two_sided_event_move_is_the_next_mean_minus_the_last_mean():
    book, decisions = hand_book()
    moves = smoothed_moves(book, decisions, horizon_events=2)
    # Row 1: (100.5 + 102) / 2 - (100 + 101) / 2. Row 0 lacks a past row, rows 3 and 4 future ones.
    np.testing.assert_array_equal(moves.move_ticks, [NAN, 0.75, NAN, NAN])
    assert moves.label_end_ns.tolist() == seconds([3, 3, 6, 6]).tolist()


def test_the_one_sided_event_move_is_the_next_mean_minus_the_current_mid():
    book, decisions = hand_book()
    moves = smoothed_moves(book, decisions, horizon_events=2, two_sided=False)
    np.testing.assert_array_equal(moves.move_ticks, [0.75, 0.25, NAN, NAN])


def test_the_two_sided_clock_move_weighs_each_mid_by_how_long_it_stood():
    book, decisions = hand_book()
    moves = smoothed_moves(book, decisions, horizon_ns=3 * SECOND)
    # At 3 s, after: 102 for 3 s. Before: 100 for 1 s, then 101 for 2 s.
    np.testing.assert_allclose(moves.move_ticks, [NAN, NAN, 102 - 302 / 3, NAN], rtol=1e-12)
    one_sided = smoothed_moves(book, decisions, horizon_ns=3 * SECOND, two_sided=False)
    np.testing.assert_allclose(one_sided.move_ticks, [2 / 3, 1 / 3, 0, NAN], atol=1e-12)


def test_the_past_mean_does_not_reach_into_the_session_before():
    book, decisions = two_days()
    by_events = smoothed_moves(book, decisions, horizon_events=2).move_ticks
    np.testing.assert_array_equal(by_events, [NAN] * 6)
    # One event back is the decision's own row; one second back is before the session's start.
    by_events = smoothed_moves(book, decisions, horizon_events=1).move_ticks
    np.testing.assert_array_equal(by_events, [1, 2, NAN, 2, 4, NAN])
    by_clock = smoothed_moves(book, decisions, horizon_ns=SECOND).move_ticks
    np.testing.assert_array_equal(by_clock, [NAN, 1, NAN, NAN, 2, NAN])


def test_clock_means_of_expensive_prices_over_a_long_day_stay_exact():
    # 2e9 ticks over 21,000 s are 8.4e22 tick-nanoseconds: 64 bits wrap around thousands of times.
    price = 2_000_000_000
    book = book_from_mids([price, price + 1, price + 4], at_seconds=[0, 8_000, 21_000])
    at = Decisions(rows=np.array([1]), decided_ns=seconds([10_000]), session=np.array([0]))
    moves = smoothed_moves(book, at, horizon_ns=10_000 * SECOND)
    # 1 over the next 10,000 s, against 0 for 8,000 s and 1 for 2,000 s.
    assert moves.move_ticks.tolist() == [0.8]


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("unit", ["events", "ns"])
def test_a_smoothed_move_looks_forward_on_a_random_walk(unit: str, two_sided: bool):
    # A smooth label that looks backward only correlates with the past return instead.
    mids = 10_000 + np.cumsum(np.random.default_rng(0).integers(-2, 3, 20_000))
    book = book_from_mids(mids.tolist())
    decisions = decide_every_events(book, step_events=7, window=50)
    horizon = {"horizon_events": 40} if unit == "events" else {"horizon_ns": 40 * SECOND}
    move = smoothed_moves(book, decisions, **horizon, two_sided=two_sided).move_ticks
    future = mid_moves(book, decisions, **horizon).move_ticks
    past = book.mid_ticks[decisions.rows] - book.mid_ticks[decisions.rows - 40]
    known = np.isfinite(move) & np.isfinite(future)
    with_future = np.corrcoef(move[known], future[known])[0, 1]
    with_past = np.corrcoef(move[known], past[known])[0, 1]
    # Theory: sqrt(3)/2 = 0.87 one-sided, sqrt(3/8) = 0.61 with each side when two-sided.
    assert with_future == pytest.approx(np.sqrt(3 / 8) if two_sided else np.sqrt(3) / 2, abs=0.06)
    assert with_past == pytest.approx(np.sqrt(3 / 8) if two_sided else 0, abs=0.09)


def test_the_check_above_tells_a_label_that_looks_backward_only():
    # The defect it is there for: the last mean against the one before it, sold as a smooth label.
    mid = 10_000 + np.cumsum(np.random.default_rng(0).integers(-2, 3, 20_000)).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(mid)])
    row, k = np.arange(80, 19_900, 7), 40
    backward = (total[row + 1] - 2 * total[row + 1 - k] + total[row + 1 - 2 * k]) / k
    with_future = np.corrcoef(backward, mid[row + k] - mid[row])[0, 1]
    with_past = np.corrcoef(backward, mid[row] - mid[row - k])[0, 1]
    assert with_future == pytest.approx(0, abs=0.09)
    assert with_past == pytest.approx(np.sqrt(3 / 8), abs=0.06)


def test_the_smoothed_forms_equal_the_published_equations_but_for_the_unit():
    # DeepLOB eq. 2: m_-(t) and m_+(t), the means of the last and of the next k mids; eq. 3 (used
    # for FI-2010): l = (m_+ - p) / p; eq. 4: l = (m_+ - m_-) / m_-. Here k = 3 at the fourth mid.
    p = [100, 103, 101, 105, 106, 104, 108]
    before, after = (103 + 101 + 105) / 3, (106 + 104 + 108) / 3
    book = book_from_mids(p)
    decisions = decide_every_events(book, step_events=1, window=1)
    two_sided = smoothed_moves(book, decisions, horizon_events=3).move_ticks[3]
    one_sided = smoothed_moves(book, decisions, horizon_events=3, two_sided=False).move_ticks[3]
    assert (after - before, after - 105) == (3.0, 1.0)
    assert two_sided / before == pytest.approx((after - before) / before)
    assert one_sided / 105 == pytest.approx((after - 105) / 105)


def plain_moves(
    book: Book, decisions: Decisions, kind: str, *, k: int | None = None, h: int | None = None
) -> tuple[list[float], list[int]]:
    """The definitions, one decision at a time."""
    moves, ends = [], []
    for row, now, session in zip(
        decisions.rows, decisions.decided_ns, decisions.session, strict=True
    ):
        first, stop = book.session_starts[session], book.session_starts[session + 1]
        mid, time = book.mid_ticks[first:stop], book.time_ns[first:stop]
        here = int(row - first)

        def mean_over(start: int, end: int, mid=mid, time=time) -> float:
            edges = np.unique(np.concatenate([[start, end], time[(time > start) & (time < end)]]))
            known = np.searchsorted(time, edges[:-1], side="right") - 1
            return float(np.average(mid[known], weights=np.diff(edges)))

        move = NAN
        if k is not None:
            is_known = here + k < len(mid)
            end = time[here + k] if is_known else time[-1]
            if is_known and kind == "plain":
                move = mid[here + k] - mid[here]
            elif is_known and kind == "one-sided":
                move = mid[here + 1 : here + k + 1].mean() - mid[here]
            elif is_known and here + 1 - k >= 0:
                move = mid[here + 1 : here + k + 1].mean() - mid[here + 1 - k : here + 1].mean()
        else:
            is_known = now + h <= time[-1]
            end = now + h if is_known else time[-1]
            if is_known and kind == "plain":
                move = mid[np.searchsorted(time, now + h, side="right") - 1] - mid[here]
            elif is_known and kind == "one-sided":
                move = mean_over(now, now + h) - mid[here]
            elif is_known and now - h >= time[0]:
                move = mean_over(now, now + h) - mean_over(now - h, now)
        moves.append(float(move))
        ends.append(int(end))
    return moves, ends


@settings(max_examples=80, deadline=None)
@given(
    book=books(max_rows=80, max_levels=1),
    kind=st.sampled_from(["plain", "one-sided", "two-sided"]),
    horizon=st.integers(1, 12),
    clock_label=st.booleans(),
    clock_decisions=st.booleans(),
)
def test_moves_equal_a_plain_loop_over_the_definitions(
    book: Book, kind: str, horizon: int, clock_label: bool, clock_decisions: bool
):
    if clock_decisions and np.ptp(book.time_ns) >= 2 * SECOND:
        decisions = decide_every_ns(book, step_ns=SECOND, window=1)
    else:
        decisions = decide_every_events(book, step_events=3, window=1)
    wanted = {"horizon_ns": horizon * SECOND} if clock_label else {"horizon_events": horizon}
    if kind == "plain":
        moves = mid_moves(book, decisions, **wanted)
    else:
        moves = smoothed_moves(book, decisions, **wanted, two_sided=kind == "two-sided")
    plain = {"h": horizon * SECOND} if clock_label else {"k": horizon}
    expected, ends = plain_moves(book, decisions, kind, **plain)
    np.testing.assert_allclose(moves.move_ticks, expected, atol=1e-9)
    assert moves.label_end_ns.tolist() == ends
    assert np.all(moves.label_end_ns >= decisions.decided_ns)


@pytest.mark.parametrize("formed", [mid_moves, smoothed_moves])
def test_exactly_one_horizon_of_at_least_one_is_needed(formed):
    book, decisions = hand_book()
    for wrong in (
        {},
        {"horizon_ns": 1, "horizon_events": 1},
        {"horizon_events": 0},
        {"horizon_ns": 10**19},
    ):
        with pytest.raises(LabelError, match="give exactly one horizon, of at least 1"):
            formed(book, decisions, **wrong)


def test_without_ties_the_threshold_is_the_quantile():
    move = np.random.default_rng(0).normal(size=3_000)
    threshold = fit_threshold(move, flat_share=1 / 3)
    assert threshold == pytest.approx(np.quantile(np.abs(move), 1 / 3), abs=2e-3)
    counts = np.bincount(classify(move, threshold_ticks=threshold))
    assert counts[1] == 1_000
    assert counts.tolist() == pytest.approx([1_000] * 3, abs=60)


def test_with_ties_the_threshold_takes_the_nearest_share():
    # Shares flat: 0.3 at 0, 0.9 at 0.5, 1.0 at 2.
    move = np.array([0.0] * 3 + [0.5, -0.5] * 3 + [2.0])
    assert fit_threshold(move, flat_share=1 / 3) == 0.0
    assert fit_threshold(move, flat_share=0.7) == 0.5
    # Where every move has one size, the plain quantile would leave no class but flat.
    assert fit_threshold(np.array([0.5, -0.5, NAN, 0.5]), flat_share=1 / 3) == 0.0


def test_the_threshold_is_symmetric_and_ignores_unknown_moves():
    move = np.array([1.0, -2.0, 3.0, -4.0, 5.0])
    assert fit_threshold(move) == fit_threshold(-move) == 2.0
    assert fit_threshold(np.append(move, [NAN] * 20)) == 2.0


def test_a_threshold_that_cannot_be_fitted_is_an_error():
    with pytest.raises(LabelError, match="got 2 training moves, none of them known"):
        fit_threshold(np.array([NAN, NAN]))
    with pytest.raises(LabelError, match=r"flat_share=1\.0: needs a share"):
        fit_threshold(np.array([1.0]), flat_share=1.0)


def test_a_move_is_up_only_beyond_the_threshold():
    move = np.array([-1.5, -1.0, 0.0, 1.0, 1.5, NAN])
    assert classify(move, threshold_ticks=1.0).tolist() == [0, 1, 1, 1, 2, -1]
    assert classify(move, threshold_ticks=0.0).tolist() == [0, 0, 1, 2, 2, -1]


@pytest.mark.parametrize("threshold", [-0.5, NAN, np.inf])
def test_a_threshold_that_is_negative_or_not_finite_is_refused(threshold: float):
    with pytest.raises(LabelError, match="needs a finite number of ticks >= 0"):
        classify(np.array([1.0]), threshold_ticks=threshold)
