"""The figures of a portfolio for any draw of clock bars, from sums over cells.

The same figures as ``metrics.portfolio_metrics`` gives. What adds up over time (returns, turnover,
trades, costs) is scaled to the number of decisions that there were: a draw with busy bars in it
holds more of them, but the test blocks are so many decisions long, however busy they were.
"""

import math

import numpy as np

from lob_backtest.account import Account
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import TRADING_KEYS
from lob_backtest.resampling.cells import Cells

DRAWDOWN = "max_drawdown"
# Sums of squares below this share of their terms are what rounding leaves of nothing.
_ROUNDING = 1e-12


def bar_sums(account: Account, decisions: FloatArray, cells: Cells) -> FloatArray:
    """``(C, 10)`` sums over the bars of each cell.

    In this order: bars, decisions, net return, its square, its losses' square, gross return,
    turnover, trades, wins, costs.

    Args:
        account: on the bars of the cells.
        decisions: ``(B,)`` decided in each bar.
        cells: of the bars.
    """
    returns, capital = account.net_returns, account.capital
    rows = np.column_stack(
        [
            np.ones(returns.size),
            decisions,
            returns,
            returns**2,
            np.minimum(returns, 0.0) ** 2,
            account.gross_pnl / capital,
            account.traded_notional / capital,
            account.closings,
            account.fees_paid + account.spread_paid,
        ]
    )
    return cells.sums(rows)


def bar_figures(sums: FloatArray, *, n_decisions: float, periods_per_year: float) -> FloatArray:
    """``(r, M)`` figures in the order of ``TRADING_KEYS`` of ``(r, P, 10)`` sums.

    NaN where there is none; ``max_drawdown`` is always NaN here, see ``drawdowns``.
    """
    n, decided, net, square, losses, gross, traded, trades, wins, costs = np.moveaxis(
        sums.sum(axis=1), 1, 0
    )
    scale = n_decisions / np.maximum(decided, 1)
    mean = net / np.maximum(n, 1)
    spread = square - n * mean**2
    varies = (n > 1) & (spread > _ROUNDING * square)
    deviation = np.sqrt(np.where(varies, spread, math.nan) / np.maximum(n - 1, 1))
    downside = np.sqrt(np.where(losses > 0, losses, math.nan) / np.maximum(n, 1))
    year = math.sqrt(periods_per_year)
    found = {
        "gross_return": gross * scale,
        "net_return": net * scale,
        DRAWDOWN: np.full(n.size, math.nan),
        "sharpe": year * mean / deviation,
        "sortino": year * mean / downside,
        "volatility": np.where(varies, year * deviation, np.where(n > 1, 0.0, math.nan)),
        "turnover": traded * scale,
        "trades": trades * scale,
        "hit_rate": np.where(trades > 0, wins / np.maximum(trades, 1), math.nan),
        "costs_paid": costs * scale,
    }
    return np.column_stack([found[key] for key in TRADING_KEYS])


def equity_steps(account: Account, cells: Cells) -> FloatArray:
    """``(C, 3)`` net return of each cell up to its low and high, in their order, and to its end."""
    path = np.cumsum(account.net_returns)
    before = np.append(0.0, path)[cells.start]
    end = np.append(path, path[-1])[np.append(cells.start[1:], cells.n) - 1]
    low, high = np.minimum.reduceat(path, cells.start), np.maximum.reduceat(path, cells.start)
    length = np.diff(cells.start, append=cells.n)
    rows = np.arange(cells.n)
    of_row = np.repeat(np.arange(cells.count), length)
    at_low = np.minimum.reduceat(np.where(path == low[of_row], rows, cells.n), cells.start)
    at_high = np.minimum.reduceat(np.where(path == high[of_row], rows, cells.n), cells.start)
    first = np.where(at_low <= at_high, low, high)
    second = np.where(at_low <= at_high, high, low)
    return np.column_stack([first - before, second - before, end - before])


def drawdowns(steps: FloatArray, drawn: IntArray) -> FloatArray:
    """``(r,)`` maximum drawdown of the drawn cells ``(r, C)`` one after the other.

    Each cell enters by its low, high and end: exact where a cell is one bar; otherwise a fall from
    a peak and to a low within the same cell is missed unless they are the cell's own.
    """
    own = steps[drawn]
    begin = np.cumsum(own[:, :, 2], axis=1) - own[:, :, 2]
    equity = 1 + (begin[:, :, None] + own).reshape(drawn.shape[0], -1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    return np.asarray(((peak - equity) / peak).max(axis=1), dtype=np.float64)
