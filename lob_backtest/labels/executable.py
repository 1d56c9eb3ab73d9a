"""Executable moves: what a trade of either direction would have earned after all its costs.

    time  ---+--------+-------------------+--------+--->
             t        in                t + h     out
             |latency |                   |latency |
    long     buys the ask                 sells the bid
    short    sells the bid                buys the ask

A label of this kind is up only where a long would have paid for itself, and flat where neither
direction would have: that is what a model has to know in order to be worth trading.
"""

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.decisions import Decisions
from lob_backtest.errors import LabelError
from lob_backtest.execution import execution_rows
from lob_backtest.labels.horizon import horizon_of, last_rows
from lob_backtest.labels.moves import Moves, moves_in_blocks
from lob_backtest.latency import FixedLatency

# Fees are no whole ticks: what is left of a trade that breaks even is no profit.
_ROUNDING = 1e-9


def executable_moves(
    book: Book,
    decisions: Decisions,
    *,
    horizon_ns: int | None = None,
    horizon_events: int | None = None,
    costs: Costs,
    latency_ns: int,
    units: float,
) -> Moves:
    """Net profit of the better direction in ticks a unit, signed by it; 0 where both would lose.

        long   =   m(out) - m(in) - (spread(in) + spread(out)) / 2 - fees of a buy, then a sale
        short  = -(m(out) - m(in)) - (spread(in) + spread(out)) / 2 - fees of a sale, then a buy
        move   = long if long > 0,  -short if short > 0,  0 else

    ``in`` and ``out`` are the rows at which orders sent at the decision and at the horizon's end
    trade (:func:`lob_backtest.execution.execution_rows`), both as taker at the touch. label_end is
    the instant of ``out``. Unknown (NaN) where an order sent at the horizon's end arrives after the
    session's last row, with the session's last instant as label_end.

    Args:
        book: the book.
        decisions: decisions on that book.
        horizon_ns, horizon_events: exactly one, as for :func:`mid_moves`.
        costs: what the trades pay; its multiple also scales the spread, as in the backtest.
        latency_ns: from decision to market, at least 0.
        units: size of the trade, above 0; it matters where there is a minimum fee.

    Raises:
        LabelError: not exactly one horizon, or ``units`` not above 0.
        CostError: a negative latency.
    """
    if not (np.isfinite(units) and units > 0):
        raise LabelError(f"units={units}: needs a size above 0")
    latency = FixedLatency(ns=latency_ns)

    def of(some: Decisions, _: slice) -> Moves:
        horizon = horizon_of(book, some, horizon_ns=horizon_ns, horizon_events=horizon_events)
        session_end_ns = book.time_ns[last_rows(book, some)]
        is_known = horizon.is_held & (horizon.end_ns + latency_ns <= session_end_ns)
        leaves_ns = np.where(is_known, horizon.end_ns, some.decided_ns)
        enters = execution_rows(book, some.decided_ns, latency=latency)
        exits = execution_rows(book, leaves_ns, latency=latency)
        move = _better_profit_ticks(book, enters, exits, costs=costs, units=units)
        move[~is_known] = np.nan
        end_ns = np.where(is_known, book.time_ns[exits], session_end_ns)
        return Moves(move_ticks=move, label_end_ns=end_ns)

    return moves_in_blocks(book, decisions, of)


def _better_profit_ticks(
    book: Book, enters: IntArray, exits: IntArray, *, costs: Costs, units: float
) -> FloatArray:
    """``(D,)`` net profit of the better direction, signed by it; 0 where both would lose."""
    long = _profit_ticks(book, enters, exits, costs=costs, units=units)
    short = _profit_ticks(book, enters, exits, costs=costs, units=-units)
    return np.where(long > _ROUNDING, long, np.where(short > _ROUNDING, -short, 0.0))


def _profit_ticks(
    book: Book, enters: IntArray, exits: IntArray, *, costs: Costs, units: float
) -> FloatArray:
    """``(D,)`` net profit in ticks a unit of ``units`` held from ``enters`` to ``exits``."""
    mid = book.mid_ticks
    spread = costs.multiple * (book.spread_at(enters) + book.spread_at(exits)) / 2
    paid = taker_fee_ticks(book, enters, costs=costs, units=units)
    paid = paid + taker_fee_ticks(book, exits, costs=costs, units=-units)
    return np.asarray(np.sign(units) * (mid[exits] - mid[enters]) - spread - paid)


def taker_fee_ticks(book: Book, rows: IntArray, *, costs: Costs, units: float) -> FloatArray:
    """``(D,)`` commission and tax of one order at the touch of each row, in ticks a unit.

    Args:
        units: size, positive bought at the ask, negative sold at the bid.
    """
    touch = book.ask_ticks[rows, 0] if units > 0 else book.bid_ticks[rows, 0]
    fees = costs.fees(
        size=np.full(rows.size, units),
        price=touch * book.meta.tick_size,
        is_maker=np.zeros(rows.size, dtype=np.bool_),
    )
    return fees / (abs(units) * book.meta.tick_size)
