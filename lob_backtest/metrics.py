"""Measures of predictions and of money, pure functions of arrays.

Classes are 0 down, 1 flat, 2 up, everywhere in this order. The predicted class is the most
probable one, the lowest class number among equals.
"""

import math
from typing import TypedDict

import numpy as np
import pandas as pd

from lob_backtest.account import Account
from lob_backtest.book import BookMeta, BoolArray, FloatArray, IntArray
from lob_backtest.errors import MetricError

# What a report says of a model, in this order.
CLASSIFICATION_KEYS = (
    "accuracy", "majority_accuracy", "f1_weighted", "f1_macro", "mcc", "ece", "brier",
)  # fmt: skip
TRADING_KEYS = (
    "gross_return", "net_return", "max_drawdown", "sharpe", "sortino", "volatility", "turnover",
    "trades", "hit_rate", "costs_paid",
)  # fmt: skip
N_CLASSES = 3
ECE_BINS = 15  # Guo et al. (2017)
# Conventions of annualisation: trading days of a stock exchange, and a market that never closes.
TRADING_DAYS_PER_YEAR = 252
CALENDAR_DAYS_PER_YEAR = 365
_NS_PER_DAY = 86_400_000_000_000


class Bin(TypedDict):
    """One confidence bin ``low < confidence <= high``; its means are 0 where ``n`` is 0."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def classification_metrics(labels: IntArray, probabilities: FloatArray) -> dict[str, float]:
    """Accuracy, majority accuracy, F1 (weighted and macro), MCC, ECE and Brier score.

    ``majority_accuracy`` is the share of the most frequent of these labels: what a constant guess
    made with hindsight reaches. ``f1_macro`` is over the classes that occur among the labels or
    the predictions, as in scikit-learn.

    Args:
        labels: ``(N,)`` 0 down, 1 flat, 2 up; an unknown label (-1) is an error.
        probabilities: ``(N, 3)`` finite, each row sums to 1.

    Raises:
        MetricError: no decisions, shapes that differ, an unknown label, no probability.
    """
    _check(labels, probabilities)
    said, confidence = said_classes(probabilities)
    counts = _confusion(labels, said)
    return {
        "accuracy": float(np.trace(counts) / counts.sum()),
        "majority_accuracy": float(counts.sum(axis=1).max() / counts.sum()),
        "f1_weighted": f1_weighted(counts),
        "f1_macro": f1_macro(counts),
        "mcc": mcc(counts),
        "ece": _calibration_error(_bins(said == labels, confidence, ECE_BINS)),
        "brier": _brier(labels, probabilities),
    }


def said_classes(probabilities: FloatArray) -> tuple[IntArray, FloatArray]:
    """``(N,)`` most probable class, the lowest among equals, and ``(N,)`` its probability."""
    # Column by column: numpy's argmax along an axis of three is ten times slower.
    down, flat, up = probabilities.T
    confidence = np.maximum(down, flat)
    said = (flat > down).astype(np.int64)
    said[up > confidence] = 2
    return said, np.maximum(confidence, up)


def confusion_matrix(labels: IntArray, probabilities: FloatArray) -> IntArray:
    """``(3, 3)`` counts, rows the true class, columns the predicted one."""
    _check(labels, probabilities)
    return _confusion(labels, said_classes(probabilities)[0])


def f1_weighted(counts: IntArray) -> float:
    """F1 of each class, ``2 TP / (2 TP + FP + FN)``, weighted by its number of true labels."""
    true = counts.sum(axis=1)
    return float((_f1(counts) * true).sum() / true.sum())


def f1_macro(counts: IntArray) -> float:
    """Plain mean of F1 over the classes that occur among the labels or the predictions."""
    occurs = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return float(_f1(counts)[occurs].mean())


def mcc(counts: IntArray) -> float:
    """Matthews correlation of labels and predictions; 0 where either is constant.

    References: Gorodkin (2004), Comparing two K-category assignments by a K-category
    correlation coefficient, Computational Biology and Chemistry 28(5-6).
    """
    true, predicted, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    covariance = float(np.trace(counts) * n - true @ predicted)
    # Python integers: the product of the two would overflow int64 from 55,000 decisions on.
    spread = int(n * n - true @ true) * int(n * n - predicted @ predicted)
    return float(covariance / math.sqrt(spread)) if spread > 0 else 0.0


def expected_calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """Gap between confidence and accuracy of the predicted class, averaged over the decisions.

    ``sum_b n_b / N * |accuracy_b - confidence_b|`` over 15 equal-width bins of the confidence.

    References: Guo et al. (2017), On Calibration of Modern Neural Networks, ICML.
    """
    return _calibration_error(reliability_bins(labels, probabilities))


def brier_score(labels: IntArray, probabilities: FloatArray) -> float:
    """Squared distance of the probabilities from what came true, 0 (best) to 2.

    Mean over decisions of the sum over the three classes.

    References: Brier (1950), Verification of forecasts expressed in terms of probability,
    Monthly Weather Review 78(1).
    """
    _check(labels, probabilities)
    return _brier(labels, probabilities)


def reliability_bins(
    labels: IntArray, probabilities: FloatArray, *, n_bins: int = ECE_BINS
) -> list[Bin]:
    """Confidence and accuracy of the predicted class in equal-width bins ``(low, high]``."""
    _check(labels, probabilities)
    said, confidence = said_classes(probabilities)
    return _bins(said == labels, confidence, n_bins)


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
    _finite("equity", equity)
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


def _confusion(labels: IntArray, said: IntArray) -> IntArray:
    flat = np.bincount(N_CLASSES * labels + said, minlength=N_CLASSES**2)
    return flat.reshape(N_CLASSES, N_CLASSES).astype(np.int64)


def _bins(is_right: BoolArray, confidence: FloatArray, n_bins: int) -> list[Bin]:
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    n = np.bincount(place, minlength=n_bins)
    at_least_one = np.maximum(n, 1)
    mean_confidence = np.bincount(place, confidence, minlength=n_bins) / at_least_one
    accuracy = np.bincount(place, is_right, minlength=n_bins) / at_least_one
    return [
        Bin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            n=int(n[i]),
            confidence=float(mean_confidence[i]),
            accuracy=float(accuracy[i]),
        )
        for i in range(n_bins)
    ]


def _calibration_error(bins: list[Bin]) -> float:
    gaps = sum(item["n"] * abs(item["accuracy"] - item["confidence"]) for item in bins)
    return float(gaps / sum(item["n"] for item in bins))


def _brier(labels: IntArray, probabilities: FloatArray) -> float:
    """The mean of ``sum_c (p_c - [c is true])^2 = sum_c p_c^2 - 2 p_true + 1``."""
    n = labels.size
    of_true = probabilities[np.arange(n), labels]
    return float((np.einsum("ij,ij->", probabilities, probabilities) - 2 * of_true.sum()) / n + 1)


def _f1(counts: IntArray) -> FloatArray:
    involved = counts.sum(axis=0) + counts.sum(axis=1)  # 2 TP + FP + FN
    # A class that never occurs has no true positives: 0 / 1.
    return np.asarray(2 * np.diag(counts) / np.maximum(involved, 1), dtype=np.float64)


def _check(labels: IntArray, probabilities: FloatArray) -> None:
    n = labels.shape[0]
    if n == 0:
        raise MetricError("no decisions to score; needs at least one with a known label")
    if probabilities.shape != (n, N_CLASSES):
        raise MetricError(
            f"probabilities have shape {probabilities.shape}; needs {(n, N_CLASSES)}, "
            "one row a label"
        )
    known = (labels >= 0) & (labels < N_CLASSES)
    if not known.all():
        raise MetricError(
            f"{int((~known).sum())} of {n} labels are not 0, 1 or 2 (first {labels[~known][0]}); "
            "leave unknown labels out before scoring"
        )
    _finite("probabilities", probabilities)


def _check_returns(returns: FloatArray, periods_per_year: float) -> None:
    _finite("returns", returns)
    if not periods_per_year > 0:
        raise MetricError(f"periods_per_year={periods_per_year}: needs to be above 0")


def _finite(name: str, values: FloatArray) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise MetricError(f"{bad} of {values.size} {name} are NaN or infinite; needs finite values")
