"""What the mid-price did after a decision, in ticks: plainly, or smoothed.

    mid move        m(t + h) - m(t)
    smoothed move   mean of m over (t, t + h]  -  mean of m over (t - h, t]     two-sided
                    mean of m over (t, t + h]  -  m(t)                          one-sided

``t`` is the decision and ``h`` the horizon, in rows (events) or in nanoseconds (clock). Every
move looks forward and carries ``label_end_ns``, the last instant whose data it used: from that, and
never from a guessed number of rows, the folds are purged. No move reaches out of its session.

References: Ntakaris et al. (2018), Benchmark dataset for mid-price forecasting of limit order book
data, J. Forecasting 37(8), eq. 4 (one-sided); Zhang, Zohren and Roberts (2019), DeepLOB, IEEE TSP
67(11), eq. 2 to 4 (both). Theirs are relative to the mid, ours in ticks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray, blocks
from lob_backtest.decisions import Decisions
from lob_backtest.labels.horizon import Horizon, check_horizon, horizon_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """The move after each decision, from which its class is cut.

    Attributes:
        move_ticks: ``(D,)`` float64 in ticks; NaN where it is unknown, mostly because the horizon
            leaves the session.
        label_end_ns: ``(D,)`` int64, last instant whose data the move used. Where the horizon
            leaves the session, its last instant: no later than that could a label have looked.
    """

    move_ticks: FloatArray
    label_end_ns: IntArray


def moves_in_blocks(
    book: Book, decisions: Decisions, moves_of: Callable[[Decisions, slice], Moves]
) -> Moves:
    """The moves that ``moves_of`` gives for some decisions at a time, and where these stand.

    They lie where the book does, so that moves of any number take no memory to speak of.
    """
    move_ticks = book.empty(decisions.n, np.float64)
    label_end_ns = book.empty(decisions.n, np.int64)
    for part in blocks(decisions.n):
        moves = moves_of(decisions.select(part), part)
        move_ticks[part], label_end_ns[part] = moves.move_ticks, moves.label_end_ns
    return Moves(move_ticks=move_ticks, label_end_ns=label_end_ns)


def mid_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
) -> Moves:
    """Mid-price at the horizon minus mid-price at the decision, in ticks.

        move = m(t + h) - m(t)        label_end = t + h

    Args:
        book: the book.
        decisions: decisions on that book.
        horizon_ns: clock horizon: the mid known at ``decided_ns + horizon_ns``, which must not be
            after the session's last row.
        horizon_events: event horizon: the mid that many rows after the decision's row; label_end is
            that row's instant.

    Raises:
        LabelError: not exactly one horizon, or one below 1.
    """

    def of(some: Decisions, _: slice) -> Moves:
        horizon = horizon_of(book, some, horizon_ns=horizon_ns, horizon_events=horizon_events)
        move = book.mid_ticks[horizon.rows] - book.mid_ticks[some.rows]
        move[~horizon.is_held] = np.nan
        return Moves(move_ticks=move, label_end_ns=horizon.end_ns)

    return moves_in_blocks(book, decisions, of)


def smoothed_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
    two_sided: bool = True,
) -> Moves:
    """Mean mid-price over the horizon after a decision minus the mean before it, in ticks.

        k events, decision at row i                         label_end = time of row i + k
            two-sided   (m[i+1] + ... + m[i+k]) / k  -  (m[i-k+1] + ... + m[i]) / k
            one-sided   (m[i+1] + ... + m[i+k]) / k  -  m[i]
        clock horizon h, decision at t                      label_end = t + h
            two-sided   1/h * integral of m over (t, t+h]  -  1/h * integral of m over (t-h, t]
            one-sided   1/h * integral of m over (t, t+h]  -  m(t)

    With a clock, both means are weighted by how long each mid stood. The future mean is the label;
    the past one is known and only takes the noise out of where the price is now.

    Args:
        book: the book.
        decisions: decisions on that book.
        horizon_ns: clock horizon; the session must hold it on both sides, else NaN.
        horizon_events: event horizon k; the session must hold k rows on both sides, else NaN.
        two_sided: subtract the past mean (DeepLOB); False subtracts the current mid (FI-2010).

    Raises:
        LabelError: not exactly one horizon, or one below 1.
    """
    check_horizon(horizon_ns=horizon_ns, horizon_events=horizon_events)
    total = _event_totals(book) if horizon_ns is None else _clock_totals(book)

    def of(some: Decisions, _: slice) -> Moves:
        horizon = horizon_of(book, some, horizon_ns=horizon_ns, horizon_events=horizon_events)
        if horizon_events is not None:
            move, has_past = _event_means(book, some, horizon, total, horizon_events, two_sided)
        else:
            assert horizon_ns is not None
            move, has_past = _clock_means(book, some, horizon, total, horizon_ns, two_sided)
        move[~(horizon.is_held & has_past)] = np.nan
        return Moves(move_ticks=move, label_end_ns=horizon.end_ns)

    return moves_in_blocks(book, decisions, of)


def _event_means(
    book: Book, decisions: Decisions, horizon: Horizon, total: IntArray, k: int, two_sided: bool
) -> tuple[FloatArray, BoolArray]:
    """Moves over k rows, and whether the session holds the past ones they need."""
    rows = decisions.rows
    future = total[horizon.rows + 1] - total[rows + 1]
    if not two_sided:
        is_past_held = np.ones(rows.shape, dtype=np.bool_)
        return (future - k * _twice_mid(book, rows)) / (2 * k), is_past_held
    first_past = rows + 1 - k
    has_past = first_past >= book.session_starts[decisions.session]
    past = total[rows + 1] - total[np.where(has_past, first_past, 0)]
    return (future - past) / (2 * k), has_past


def _clock_means(
    book: Book, decisions: Decisions, horizon: Horizon, total: IntArray, h: int, two_sided: bool
) -> tuple[FloatArray, BoolArray]:
    """Moves over h nanoseconds, and whether the session holds the past ones they need."""
    now_ns, rows = decisions.decided_ns, decisions.rows

    def until(instant_ns: IntArray, row: IntArray) -> IntArray:
        return total[row] + (instant_ns - book.time_ns[row]) * _twice_mid(book, row)

    end_ns = np.where(horizon.is_held, now_ns + h, now_ns)
    now = until(now_ns, rows)
    future = until(end_ns, horizon.rows) - now
    if not two_sided:
        is_past_held = np.ones(rows.shape, dtype=np.bool_)
        return (future - h * _twice_mid(book, rows)) / (2 * h), is_past_held
    start_ns = now_ns - h
    has_past = start_ns >= book.time_ns[book.session_starts[decisions.session]]
    start_ns = np.where(has_past, start_ns, now_ns)
    past = now - until(start_ns, book.row_known_at(start_ns))
    return (future - past) / (2 * h), has_past


def _twice_mid(book: Book, rows: IntArray | slice) -> IntArray:
    """Twice the mid of some rows: a whole number, so sums of it are exact in any order."""
    return book.ask_ticks[rows, 0] + book.bid_ticks[rows, 0]


def _event_totals(book: Book) -> IntArray:
    """``(N + 1,)`` sum of twice the mid over all rows before each."""
    total = book.empty(book.n_rows + 1, np.int64)
    total[0] = 0
    for rows in blocks(book.n_rows):
        total[rows.start + 1 : rows.stop + 1] = total[rows.start] + np.cumsum(
            _twice_mid(book, rows)
        )
    return total


def _clock_totals(book: Book) -> IntArray:
    """``(N,)`` integral of twice the mid from the first row to each, in tick-nanoseconds.

    Whole numbers. They may wrap around; differences of wrapped integers are right all the same, as
    long as the moves themselves fit (2**63 holds a move of a million ticks over an hour).
    """
    total = book.empty(book.n_rows, np.int64)
    total[0] = 0
    for rows in blocks(book.n_rows - 1):
        stood_ns = np.diff(book.time_ns[rows.start : rows.stop + 1])
        area = np.cumsum(stood_ns * _twice_mid(book, rows))
        total[rows.start + 1 : rows.stop + 1] = total[rows.start] + area
    return total
