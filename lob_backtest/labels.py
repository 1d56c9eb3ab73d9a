"""What the mid-price did after a decision, in ticks, and the class that makes of it.

    mid move        m(t + h) - m(t)
    smoothed move   mean of m over (t, t + h]  -  mean of m over (t - h, t]     two-sided
                    mean of m over (t, t + h]  -  m(t)                          one-sided

``t`` is the decision and ``h`` the horizon, in rows (events) or in nanoseconds (clock). Every
move looks forward and carries ``label_end_ns``, the last instant whose data it used: from that, and
never from a guessed number of rows, the folds are purged. No move reaches out of its session.

References: Ntakaris et al. (2018), Benchmark dataset for mid-price forecasting of limit order book
data, J. Forecasting 37(8), eq. 4 (one-sided); Zhang, Zohren and Roberts (2019), DeepLOB, IEEE TSP
67(11), eq. 2 to 4 (two-sided).
"""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.decisions import Decisions
from lob_backtest.errors import LabelError
from lob_backtest.predictions import DOWN, FLAT, UNKNOWN, UP


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """The mid-price's move after each decision.

    Attributes:
        move_ticks: ``(D,)`` float64 in ticks; NaN where it is unknown, because the horizon leaves
            the session.
        label_end_ns: ``(D,)`` int64, last instant whose data the move used. For an unknown move the
            last instant of the session: no later than that could a label have looked.
    """

    move_ticks: FloatArray
    label_end_ns: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Horizon:
    """Where each decision's horizon ends and whether the session holds it.

    Attributes:
        rows: ``(D,)`` row at the horizon's end; the decision's own row where unknown.
        is_known: ``(D,)`` whether the horizon ends inside the session.
        label_end_ns: as in :class:`Moves`.
    """

    rows: IntArray
    is_known: BoolArray
    label_end_ns: IntArray


def mid_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
) -> Moves:
    """Mid-price at the horizon minus mid-price at the decision, in ticks.

    Args:
        book: the book.
        decisions: decisions on that book.
        horizon_ns: clock horizon: the mid known at ``decided_ns + horizon_ns``, which must not be
            after the session's last row.
        horizon_events: event horizon: the mid that many rows after the decision's row.

    Raises:
        LabelError: not exactly one horizon, or one below 1.
    """
    _require_one_horizon(horizon_ns, horizon_events)
    horizon = _horizon(book, decisions, horizon_ns, horizon_events)
    move = book.mid_ticks[horizon.rows] - book.mid_ticks[decisions.rows]
    move[~horizon.is_known] = np.nan
    return Moves(move_ticks=move, label_end_ns=horizon.label_end_ns)


def smoothed_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
    two_sided: bool = True,
) -> Moves:
    """Mean mid-price over the horizon after a decision minus the mean before it, in ticks.

    With k events: mean of the k mids after the row, minus the mean of the last k mids up to and
    including the row. With a clock, both means are weighted by how long each mid stood. The future
    mean is the label; the past one is known and only takes the noise out of where the price is now.

    Args:
        book: the book.
        decisions: decisions on that book.
        horizon_ns: clock horizon; the session must hold it on both sides, else NaN.
        horizon_events: event horizon k; the session must hold k rows on both sides, else NaN.
        two_sided: subtract the past mean (DeepLOB); False subtracts the current mid (FI-2010).

    Raises:
        LabelError: not exactly one horizon, or one below 1.
    """
    _require_one_horizon(horizon_ns, horizon_events)
    horizon = _horizon(book, decisions, horizon_ns, horizon_events)
    if horizon_events is not None:
        move, has_past = _event_means(book, decisions, horizon, horizon_events, two_sided)
    else:
        assert horizon_ns is not None
        move, has_past = _clock_means(book, decisions, horizon, horizon_ns, two_sided)
    move[~(horizon.is_known & has_past)] = np.nan
    return Moves(move_ticks=move, label_end_ns=horizon.label_end_ns)


def fit_threshold(move_ticks_train: FloatArray, *, flat_share: float = 1 / 3) -> float:
    """Threshold under which a move counts as flat: the ``flat_share`` quantile of ``|move|``.

    Moves come in half ticks, so many tie. Of 0 and the sizes that occur, the one is taken for which
    the share of ``|move| <= threshold`` comes nearest to ``flat_share`` (the smaller of two equally
    near). Without ties that is the plain quantile; with moves of one size only it is 0, where the
    plain quantile would call all of them flat.

    Args:
        move_ticks_train: ``(N,)`` moves of the *training* decisions; NaN (unknown) is left out.
        flat_share: wanted share of flat labels, from 0 to below 1.

    Raises:
        LabelError: ``flat_share`` out of range, or no known move.

    >>> fit_threshold(np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 2.0]), flat_share=0.5)
    0.5
    """
    if not 0 <= flat_share < 1:
        raise LabelError(f"flat_share={flat_share}: needs a share from 0 to below 1, e.g. 0.33")
    size = np.abs(move_ticks_train[np.isfinite(move_ticks_train)])
    if size.size == 0:
        raise LabelError(
            f"got {move_ticks_train.size} training moves, none of them known; needs at least one; "
            "shorten the horizon or load more rows"
        )
    candidates = np.unique(np.append(size, 0.0))
    share = np.searchsorted(np.sort(size), candidates, side="right") / size.size
    return float(candidates[np.argmin(np.abs(share - flat_share))])


def classify(move_ticks: FloatArray, *, threshold_ticks: float) -> IntArray:
    """Class of each move: up if ``> threshold``, down if ``< -threshold``, flat else, -1 for NaN.

    Args:
        move_ticks: ``(D,)`` moves in ticks; NaN is unknown.
        threshold_ticks: half-width of flat in ticks, at least 0, fitted on training moves only.

    Raises:
        LabelError: a threshold that is negative or not finite.

    >>> classify(np.array([-2.0, 1.0, 1.5, np.nan]), threshold_ticks=1.0).tolist()
    [0, 1, 2, -1]
    """
    if not (np.isfinite(threshold_ticks) and threshold_ticks >= 0):
        raise LabelError(f"threshold_ticks={threshold_ticks}: needs a finite number of ticks >= 0")
    label = np.full(move_ticks.shape, FLAT, dtype=np.int64)
    label[move_ticks > threshold_ticks] = UP
    label[move_ticks < -threshold_ticks] = DOWN
    label[np.isnan(move_ticks)] = UNKNOWN
    return label


def _horizon(
    book: Book, decisions: Decisions, horizon_ns: int | None, horizon_events: int | None
) -> _Horizon:
    last_row = book.session_starts[decisions.session + 1] - 1
    session_end_ns = book.time_ns[last_row]
    if horizon_events is not None:
        rows = decisions.rows + horizon_events
        is_known = rows <= last_row
        rows = np.where(is_known, rows, decisions.rows)
        end_ns = book.time_ns[rows]
    else:
        assert horizon_ns is not None
        end_ns = decisions.decided_ns + horizon_ns
        is_known = end_ns <= session_end_ns
        rows = np.where(is_known, book.row_known_at(end_ns), decisions.rows)
    return _Horizon(
        rows=rows,
        is_known=is_known,
        label_end_ns=np.where(is_known, end_ns, session_end_ns),
    )


def _event_means(
    book: Book, decisions: Decisions, horizon: _Horizon, k: int, two_sided: bool
) -> tuple[FloatArray, BoolArray]:
    """Moves over k rows, and whether the session holds the past ones they need."""
    # Twice the mid is a whole number: sums are exact, whatever stands before or after them.
    twice_mid = book.ask_ticks[:, 0] + book.bid_ticks[:, 0]
    total = np.concatenate([[0], np.cumsum(twice_mid)])
    rows = decisions.rows
    future = total[horizon.rows + 1] - total[rows + 1]
    if not two_sided:
        return (future - k * twice_mid[rows]) / (2 * k), np.ones(rows.shape, dtype=np.bool_)
    first_past = rows + 1 - k
    has_past = first_past >= book.session_starts[decisions.session]
    past = total[rows + 1] - total[np.where(has_past, first_past, 0)]
    return (future - past) / (2 * k), has_past


def _clock_means(
    book: Book, decisions: Decisions, horizon: _Horizon, h: int, two_sided: bool
) -> tuple[FloatArray, BoolArray]:
    """Moves over h nanoseconds, and whether the session holds the past ones they need."""
    now_ns, rows = decisions.decided_ns, decisions.rows
    twice_mid = book.ask_ticks[:, 0] + book.bid_ticks[:, 0]
    # Tick-nanoseconds since the first row, as whole numbers. They may wrap around; differences of
    # wrapped integers are right all the same, as long as the moves themselves fit (2**63 holds a
    # move of a million ticks over an hour).
    total = np.concatenate([[0], np.cumsum(np.diff(book.time_ns) * twice_mid[:-1])])

    def until(instant_ns: IntArray, row: IntArray) -> IntArray:
        return total[row] + (instant_ns - book.time_ns[row]) * twice_mid[row]

    end_ns = np.where(horizon.is_known, now_ns + h, now_ns)
    now = until(now_ns, rows)
    future = until(end_ns, horizon.rows) - now
    if not two_sided:
        return (future - h * twice_mid[rows]) / (2 * h), np.ones(rows.shape, dtype=np.bool_)
    start_ns = now_ns - h
    has_past = start_ns >= book.time_ns[book.session_starts[decisions.session]]
    start_ns = np.where(has_past, start_ns, now_ns)
    past = now - until(start_ns, book.row_known_at(start_ns))
    return (future - past) / (2 * h), has_past


def _require_one_horizon(horizon_ns: int | None, horizon_events: int | None) -> None:
    given = {"horizon_ns": horizon_ns, "horizon_events": horizon_events}
    chosen = [value for value in given.values() if value is not None]
    if len(chosen) != 1 or chosen[0] < 1:
        raise LabelError(
            f"horizon_ns={horizon_ns} and horizon_events={horizon_events}: "
            "give exactly one horizon, of at least 1"
        )
