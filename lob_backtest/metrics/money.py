"""Measures of money: of the returns, the equity and the trades of one strategy."""

import math

import numpy as np
import pandas as pd

from lob_backtest.account import Account
from lob_backtest.book import BookMeta, FloatArray
from lob_backtest.errors import MetricError
from lob_backtest.metrics.checks import check_finite

# What a report says of a portfolio, in this order.
TRADING_KEYS = (
    "gross_return", "net_return", "max_drawdown", "sharpe", "sortino", "volatility", "turnover",
    "trades", "hit_rate", "costs_paid",
)  # fmt: skip
# Conventions of annualisation: trading days of a stock exchange, and a market that never closes.
TRADING_DAYS_PER_YEAR = 252
CALENDAR_DAYS_PER_YEAR = 365
_NS_PER_DAY = 86_400_000_000_000


def sharpe(returns: FloatArray, *, periods_per_year: float) -> float:
    """Annualised mean over standard deviation (ddof 1) of per-period returns.

    ``sqrt(periods_per_year) * mean / std``, without a risk-free rate. It depends on the sampling
    interval, since events are autocorrelated: pass clock bars, all of one length. NaN (no figure)
    for fewer than two periods or returns that are all equal.

    Args:
        returns: ``(N,)`` simple returns net of costs, one a period; NaN is an error.
        periods_per_year: periods in a year, e.g. 252 for daily; see ``bars_per_year``.

    >>> round(sharpe(np.array([0.01, 0.02, 0.03]), periods_per_year=1), 6)
    2.0

    References: Lo (2002), The Statistics of Sharpe Ratios, FAJ 58(4).
    """
    _check_returns(returns, periods_per_year)
    if returns.size < 2 or np.ptp(returns) == 0:
        return float("nan")
    return float(np.sqrt(periods_per_year) * returns.mean() / returns.std(ddof=1))


def sortino(returns: FloatArray, *, periods_per_year: float) -> float:
    """Annualised mean over downside deviation of per-period returns, against a target of 0.

    ``sqrt(periods_per_year) * mean / sqrt(mean(min(returns, 0)^2))``; the deviation is over all
    periods, those that gained counting as 0. NaN (no figure) where no period lost.

    >>> round(sortino(np.array([0.03, -0.01, 0.01, -0.01]), periods_per_year=2), 6)
    1.0

    Args:
        returns, periods_per_year: as for ``sharpe``.

    References: Sortino and Price (1994), Performance Measurement in a Downside Risk Framework,
    Journal of Investing 3(3).
    """
    _check_returns(returns, periods_per_year)
    losses = np.minimum(returns, 0.0)
    if not losses.any():
        return float("nan")
    downside = math.sqrt(float((losses**2).mean()))
    return float(math.sqrt(periods_per_year) * returns.mean() / downside)


def volatility(returns: FloatArray, *, periods_per_year: float) -> float:
    """Annualised standard deviation (ddof 1) of per-period returns; NaN for fewer than two.

    ``sqrt(periods_per_year) * std``: exact where periods are independent.

    >>> round(volatility(np.array([0.01, 0.02, 0.03]), periods_per_year=4), 6)
    0.02
    """
    _check_returns(returns, periods_per_year)
    if returns.size < 2:
        return float("nan")
    return float(math.sqrt(periods_per_year) * returns.std(ddof=1)) if np.ptp(returns) else 0.0


def bars_per_year(meta: BookMeta, *, bar_ns: int) -> float:
    """Clock bars of ``bar_ns`` in a year: 252 sessions of their length, or 365 whole days.

    No bar crosses a night: one that is longer than a session is that session, 252 times a year.

    >>> nyse = BookMeta(instrument="X", tick_size=0.01, currency="USD", source="",
    ...     timezone="America/New_York", session_open="09:30", session_close="16:00")
    >>> bars_per_year(nyse, bar_ns=60_000_000_000)
    98280.0
    """
    if bar_ns <= 0:
        raise MetricError(f"bar_ns={bar_ns}: needs a positive bar length")
    if meta.session_open is None or meta.session_close is None:
        return CALENDAR_DAYS_PER_YEAR * _NS_PER_DAY / bar_ns
    length = pd.Timedelta(f"{meta.session_close}:00") - pd.Timedelta(f"{meta.session_open}:00")
    return TRADING_DAYS_PER_YEAR * max(length.total_seconds() * 1e9 / bar_ns, 1.0)


def max_drawdown(equity: FloatArray) -> float:
    """Largest fall from a running peak, as a positive share of that peak of equity.

    ``max_t (1 - equity_t / max_{s <= t} equity_s)``. The peak is of equity (capital plus profit),
    never of profit alone, which near zero would make any fall look endless. Above 1 where equity
    turns negative: more is lost than there was.

    >>> max_drawdown(np.array([100.0, 110.0, 99.0, 120.0]))
    0.1

    Args:
        equity: ``(N,)`` currency, first value positive; NaN is an error.
    """
    check_finite("equity", equity)
    if equity.size == 0 or not equity[0] > 0:
        raise MetricError("equity needs to start with a positive value: the capital")
    peak = np.maximum.accumulate(equity)
    return float(((peak - equity) / peak).max())


def portfolio_metrics(account: Account, *, periods_per_year: float) -> dict[str, float]:
    """The figures of one strategy at one cost level, over the account's bars.

    gross_return, net_return   profit before and after costs as a share of the capital; simple,
                               so that folds add up
    max_drawdown               of the equity at the bars' ends, a share of its peak
    sharpe, sortino            of the bars' net returns, annualised
    volatility                 their standard deviation, annualised
    turnover                   notional bought and sold as a multiple of the capital
    trades                     round trips: flat to flat, or to the opposite side
    hit_rate                   share of them with a net profit; NaN without any
    costs_paid                 fees and slippage in currency

    Args:
        account: the whole run, or ``account.of_fold(k)``.
        periods_per_year: bars in a year, see ``bars_per_year``.
    """
    net_returns, trade_pnl = account.net_returns, account.trade_pnl
    return {
        "gross_return": float(account.gross_pnl.sum() / account.capital),
        "net_return": float(account.net_pnl.sum() / account.capital),
        "max_drawdown": max_drawdown(account.equity),
        "sharpe": sharpe(net_returns, periods_per_year=periods_per_year),
        "sortino": sortino(net_returns, periods_per_year=periods_per_year),
        "volatility": volatility(net_returns, periods_per_year=periods_per_year),
        "turnover": float(account.traded_notional.sum() / account.capital),
        "trades": trade_pnl.size,
        "hit_rate": float((trade_pnl > 0).mean()) if trade_pnl.size else float("nan"),
        "costs_paid": account.costs_paid,
    }


def _check_returns(returns: FloatArray, periods_per_year: float) -> None:
    check_finite("returns", returns)
    if not periods_per_year > 0:
        raise MetricError(f"periods_per_year={periods_per_year}: needs to be above 0")
