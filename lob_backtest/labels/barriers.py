"""Triple barrier: which of two price barriers the mid touches first, if any does in time.

    mid
     |  upper  - - - - - - - - - - - - - -|   m(t) + b * sigma(t)
     |                     .-.            |
     |      t ---.      .-'   '--.        |   vertical barrier: t + h or the session's end
     |            '-.--'          '-------|
     |  lower  - - - - - - - - - - - - - -|   m(t) - b * sigma(t)

The barriers scale with what the market has been doing, so the classes stay comparable between quiet
and wild hours, and no threshold is fitted.

References: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 3, in particular
snippets 3.1 (volatility) and 3.2 (barriers).
"""

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray, blocks
from lob_backtest.decisions import Decisions
from lob_backtest.errors import LabelError
from lob_backtest.labels.first_touch import FirstTouch
from lob_backtest.labels.horizon import Horizon, horizon_of, last_rows, session_close_ns
from lob_backtest.labels.moves import Moves, mid_moves, moves_in_blocks


def triple_barrier_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
    barrier_volatilities: float,
    volatility_decisions: int,
) -> Moves:
    """Mid-price at the first touch of a barrier minus mid-price at the decision, in ticks.

        move = m(touch) - m(t)    the first instant after t with |m - m(t)| >= b * sigma(t)
        move = 0                  none until the vertical barrier, where the horizon or session ends

    Instants count, not rows: of rows that share an instant the last one. label_end is the touch, or
    the vertical barrier. A horizon that leaves the session ends with it: label_end is then the
    market's closing time (or ``t + h``, if earlier), because until then a row could still have
    come. A market that never closes has no such end, only an end of the data: a decision that is
    left untouched there is unknown.

    NaN too where ``sigma(t)`` is not known yet or 0 (see :func:`past_volatility_ticks`); label_end
    is then the decision itself.

    Args:
        book: the book.
        decisions: decisions on that book, in time order; sigma is an average over them.
        horizon_ns, horizon_events: exactly one, as for :func:`mid_moves`.
        barrier_volatilities: b, how many sigmas away both barriers stand, above 0.
        volatility_decisions: span of the average in sigma, at least 2.

    Raises:
        LabelError: not exactly one horizon, or an argument out of its range.
    """
    if not (np.isfinite(barrier_volatilities) and barrier_volatilities > 0):
        raise LabelError(
            f"barrier_volatilities={barrier_volatilities}: needs to be above 0, e.g. 1.0"
        )
    past = mid_moves(book, decisions, horizon_ns=horizon_ns, horizon_events=horizon_events)
    sigma = past_volatility_ticks(decisions, past, volatility_decisions=volatility_decisions)
    touches = _Touches(book)

    def of(some: Decisions, part: slice) -> Moves:
        horizon = horizon_of(book, some, horizon_ns=horizon_ns, horizon_events=horizon_events)
        width = np.where(sigma[part] > 0, barrier_volatilities * sigma[part], np.nan)
        stop = np.where(horizon.is_held, horizon.rows, _last_in_reach(book, some, horizon_ns))
        touch = touches.first(some.rows, stop, width)
        is_touched = touch >= 0
        mid = book.mid_ticks
        move = np.where(is_touched, mid[touch] - mid[some.rows], 0.0)
        vertical_ns, is_vertical_known = _vertical(book, some, horizon, horizon_ns)
        end_ns = np.where(is_touched, book.time_ns[touch], vertical_ns)
        move[~(is_touched | is_vertical_known) | np.isnan(width)] = np.nan
        end_ns = np.where(np.isnan(width), some.decided_ns, end_ns)
        return Moves(move_ticks=move, label_end_ns=end_ns)

    return moves_in_blocks(book, decisions, of)


def past_volatility_ticks(
    decisions: Decisions, past: Moves, *, volatility_decisions: int
) -> FloatArray:
    """``(D,)`` standard deviation of the moves that were known at each decision, in ticks.

        w_j  = (1 - 2 / (span + 1)) ** j                       j = 0 for the latest known move
        mean = sum w x / sum w
        var  = sum w (x - mean)**2 / sum w * (sum w)**2 / ((sum w)**2 - sum w**2)

    Moves of all decisions with ``label_end <= decided_ns``, exponentially weighted with the span
    ``volatility_decisions``. It carries over sessions, since yesterday's moves are known today; no
    move in it crosses a night. NaN until as many moves are known as the span has.

    Args:
        decisions: in time order.
        past: the moves to take it of, over whatever horizon; NaN (unknown) is left out.
        volatility_decisions: the span, at least 2.

    Raises:
        LabelError: a span below 2.
    """
    if volatility_decisions < 2:
        raise LabelError(f"volatility_decisions={volatility_decisions}: needs at least 2 moves")
    known = np.isfinite(past.move_ticks)
    average = pd.Series(past.move_ticks[known]).ewm(
        span=volatility_decisions, min_periods=volatility_decisions
    )
    sigma = np.append(average.std().to_numpy(dtype=np.float64), np.nan)
    # Later decisions' moves are known later, so those known at an instant are the first ones. None
    # known is -1, which is the NaN put at the end.
    latest = np.searchsorted(past.label_end_ns[known], decisions.decided_ns, side="right") - 1
    return np.asarray(sigma[latest])


def _last_in_reach(book: Book, decisions: Decisions, horizon_ns: int | None) -> IntArray:
    """``(D,)`` last row of the session that the horizon still reaches."""
    last = last_rows(book, decisions)
    if horizon_ns is None:
        return last
    return np.minimum(last, book.row_known_at(decisions.decided_ns + horizon_ns))


class _Touches:
    """Where the mid of a book first gets some way from where it was.

    Only the last row of an instant whose mid differs from the instant's before can be it.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._changed = _changed_rows(book)
        mid = book.empty(self._changed.size, np.float64)
        for part in blocks(mid.size):
            mid[part] = book.mid_ticks[self._changed[part]]
        self._above = FirstTouch(mid)
        self._below = FirstTouch(np.negative(mid, out=mid))

    def first(self, rows: IntArray, stop: IntArray, width: FloatArray) -> IntArray:
        """First row after ``rows`` up to ``stop`` whose mid is ``width`` away; -1 for none.

        NaN is no width that a mid ever gets to.
        """
        now = self._book.mid_ticks[rows]
        start = np.searchsorted(self._changed, rows, side="right")
        first = np.minimum(
            self._above.first_at_or_above(start, now + width),
            self._below.first_at_or_above(start, width - now),
        )
        is_reached = first < self._changed.size
        touch = np.full(rows.size, self._book.n_rows, dtype=np.int64)
        touch[is_reached] = self._changed[first[is_reached]]
        return np.where(touch <= stop, touch, -1)


def _changed_rows(book: Book) -> IntArray:
    """The rows that settle on another mid than the instant before."""
    changed, n = book.empty(book.n_rows, np.int64), 0
    for rows, _ in book.mid_changes():
        changed[n : n + rows.size] = rows
        n += rows.size
    return changed[:n]


def _vertical(
    book: Book, decisions: Decisions, horizon: Horizon, horizon_ns: int | None
) -> tuple[IntArray, BoolArray]:
    """The instant of the vertical barrier, and whether it is known that it was reached."""
    close_ns = session_close_ns(book)
    if close_ns is None:
        return horizon.end_ns, horizon.is_held
    limit_ns = close_ns[decisions.session]
    if horizon_ns is not None:
        limit_ns = np.minimum(limit_ns, decisions.decided_ns + horizon_ns)
    everywhere = np.ones(decisions.n, dtype=np.bool_)
    return np.where(horizon.is_held, horizon.end_ns, limit_ns), everywhere
