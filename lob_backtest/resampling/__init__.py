"""Intervals for every figure of a walk-forward, by a stationary bootstrap.

Decisions are drawn in blocks for the classification figures, clock bars for those of the
portfolio, because neighbours are alike: labels overlap, and positions last. One draw serves all
strategies, so their figures vary together. Low and high are percentiles of the resampled figures.

    resample 0 | d e f a b g h a |      figures of each strategy
    resample 1 | b c d e f h a b |      figures of each strategy
    ...                                 2.5 % and 97.5 % of each figure
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import CLASSIFICATION_KEYS, ECE_BINS, N_CLASSES, TRADING_KEYS
from lob_backtest.portfolio import Account
from lob_backtest.predictions import Predictions
from lob_backtest.uncertainty import block_length, bootstrap, interval

LEVEL = 0.95

Interval = tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """By strategy and figure, low and high; and the mean block length they were drawn with."""

    of: Mapping[str, Mapping[str, Interval]]
    mean_block: float


def classification_intervals(
    tables: Mapping[str, Predictions], *, n_resamples: int, rng: np.random.Generator
) -> Intervals:
    """Intervals of the classification figures over the labelled decisions of all folds.

    Args:
        tables: by strategy; the same decisions and labels. The first one sets the block length, by
            how its hits follow each other.
        n_resamples: at least 1.
        rng: randomness.
    """
    decisions = [_Decisions.of(table) for table in tables.values()]
    n = decisions[0].right.size
    table = next(iter(tables.values()))
    mean_block = min(float(n), max(block_length(decisions[0].right), label_overlap(table)))

    def figures(indices: IntArray) -> FloatArray:
        columns = [column for each in decisions for column in each.figures(indices)]
        return np.column_stack(columns)

    samples = bootstrap(figures, n, mean_block=mean_block, n_resamples=n_resamples, rng=rng)
    return Intervals(
        of=_by_strategy(samples, list(tables), CLASSIFICATION_KEYS), mean_block=mean_block
    )


def label_overlap(table: Predictions) -> float:
    """How many decisions, on average, are made before a decision's label is known, itself included.

    Labels of neighbours share that much of the future, so blocks must not be shorter: hits would
    look more independent than they are.
    """
    counts = []
    for fold in table.folds:
        known = (table.fold == fold) & table.is_labelled
        decided_ns = table.decided_ns[known]
        end = np.searchsorted(decided_ns, table.label_end_ns[known], side="left")
        counts.append(end - np.arange(decided_ns.size))
    return float(np.concatenate(counts).mean())


def trading_intervals(
    accounts: Mapping[str, Account],
    closings: Mapping[str, FloatArray],
    *,
    periods_per_year: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Intervals:
    """Intervals of the portfolio's figures over the clock bars of all folds.

    Args:
        accounts: by strategy, on the same bars. The first one's returns set the block length.
        closings: by strategy, ``(B, 2)`` round trips that closed in each bar, and those that won.
        periods_per_year: bars in a year.
        n_resamples: at least 1.
        rng: randomness.
    """
    first = next(iter(accounts.values()))
    n = first.net_pnl.size
    mean_block = block_length(first.net_returns)

    def figures(indices: IntArray) -> FloatArray:
        weights = _counts(indices, n)
        columns = [
            column
            for name, account in accounts.items()
            for column in _trading(account, closings[name], indices, weights, periods_per_year)
        ]
        return np.column_stack(columns)

    samples = bootstrap(figures, n, mean_block=mean_block, n_resamples=n_resamples, rng=rng)
    return Intervals(of=_by_strategy(samples, list(accounts), TRADING_KEYS), mean_block=mean_block)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Decisions:
    """What the classification figures need of each labelled decision, ``(n,)`` each.

    ``cell`` numbers the fold's confusion cell, ``place`` the confidence bin, ``gap`` is the hit
    minus the confidence.
    """

    n_folds: int
    cell: IntArray
    place: IntArray
    gap: FloatArray
    right: FloatArray
    squared_error: FloatArray

    @classmethod
    def of(cls, table: Predictions) -> "_Decisions":
        known = table.is_labelled
        labels, probability = table.label[known], table.probability[known]
        folds, fold = np.unique(table.fold[known], return_inverse=True)
        said, confidence = np.argmax(probability, axis=1), probability.max(axis=1)
        right = (said == labels).astype(np.float64)
        edges = np.linspace(0.0, 1.0, ECE_BINS + 1)[1:-1]
        came_true = np.eye(N_CLASSES)[labels]
        return cls(
            n_folds=folds.size,
            cell=(fold * N_CLASSES + labels) * N_CLASSES + said,
            place=np.searchsorted(edges, confidence, side="left").astype(np.int64),
            gap=right - confidence,
            right=right,
            squared_error=((probability - came_true) ** 2).sum(axis=1),
        )

    def figures(self, indices: IntArray) -> tuple[FloatArray, ...]:
        """Of resamples ``(r, n)``, ``(r,)`` each, in the order of ``CLASSIFICATION_KEYS``."""
        r, n = indices.shape
        cells = _counts(self.cell[indices], self.n_folds * N_CLASSES**2)
        counts = cells.reshape(r, self.n_folds, N_CLASSES, N_CLASSES)
        gaps = _counts(self.place[indices], ECE_BINS, self.gap[indices])
        return (
            self.right[indices].mean(axis=1),
            *(fold_means / n for fold_means in _sums_over_folds(counts)),
            np.abs(gaps).sum(axis=1) / n,
            self.squared_error[indices].mean(axis=1),
        )


def _sums_over_folds(counts: FloatArray) -> tuple[FloatArray, ...]:
    """Majority accuracy, F1 weighted and macro and MCC of each fold times its decisions, summed.

    The formulas of ``metrics``, for all resamples and folds at once: ``counts`` is
    ``(r, F, 3, 3)``, the result four of ``(r,)``. A fold that a resample left out adds nothing.
    """
    n = counts.sum(axis=(2, 3))
    true, said = counts.sum(axis=3), counts.sum(axis=2)
    hits = np.diagonal(counts, axis1=2, axis2=3)
    f1 = 2 * hits / np.maximum(true + said, 1)
    occurs = true + said > 0
    covariance = hits.sum(axis=2) * n - (true * said).sum(axis=2)
    spread = (n**2 - (true**2).sum(axis=2)) * (n**2 - (said**2).sum(axis=2))
    mcc = np.where(spread > 0, covariance / np.sqrt(np.maximum(spread, 1)), 0.0)
    return (
        true.max(axis=2).sum(axis=1),
        (f1 * true).sum(axis=(1, 2)),
        (n * f1.sum(axis=2) / np.maximum(occurs.sum(axis=2), 1)).sum(axis=1),
        (n * mcc).sum(axis=1),
    )


def _counts(codes: IntArray, n_codes: int, amounts: FloatArray | None = None) -> FloatArray:
    """``(r, n_codes)`` how often each code is in each row, or the sum of the amounts there."""
    r = codes.shape[0]
    place = (codes + n_codes * np.arange(r)[:, None]).ravel()
    amount = None if amounts is None else amounts.ravel()
    summed = np.bincount(place, amount, minlength=r * n_codes)
    return summed.reshape(r, n_codes).astype(np.float64)


def _by_strategy(
    samples: FloatArray, names: list[str], keys: tuple[str, ...]
) -> dict[str, dict[str, Interval]]:
    """Low and high of each figure; None where it is undefined in every resample."""
    found: dict[str, dict[str, Interval]] = {}
    for name, own in zip(names, np.split(samples, len(names), axis=1), strict=True):
        found[name] = {}
        for key, column in zip(keys, own.T, strict=True):
            low, high = interval(column, confidence=LEVEL)
            found[name][key] = (None, None) if math.isnan(low) else (low, high)
    return found


def _trading(
    account: Account,
    closings: FloatArray,
    indices: IntArray,
    weights: FloatArray,
    periods_per_year: float,
) -> tuple[FloatArray, ...]:
    """The figures of each resample, ``(r,)`` each, in the order of ``TRADING_KEYS``."""
    returns = account.net_returns[indices]
    trades, wins = (weights @ closings).T
    return (
        weights @ account.gross_pnl / account.capital,
        returns.sum(axis=1),
        _max_drawdown(returns),
        _sharpe(returns, periods_per_year),
        weights @ account.traded_notional / account.capital,
        trades,
        np.where(trades > 0, wins / np.maximum(trades, 1), math.nan),
        weights @ (account.fees_paid + account.spread_paid),
    )


def _max_drawdown(returns: FloatArray) -> FloatArray:
    """``metrics.max_drawdown`` of each row of returns on capital, ``(r,)``."""
    equity = 1 + np.cumsum(returns, axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    return np.asarray(((peak - equity) / peak).max(axis=1), dtype=np.float64)


def _sharpe(returns: FloatArray, periods_per_year: float) -> FloatArray:
    """``metrics.sharpe`` of each row of returns, ``(r,)``; NaN where they are all equal."""
    if returns.shape[1] < 2:
        return np.full(returns.shape[0], math.nan)
    varies = np.ptp(returns, axis=1) > 0
    deviation = np.where(varies, returns.std(axis=1, ddof=1), 1.0)
    ratio = math.sqrt(periods_per_year) * returns.mean(axis=1) / deviation
    return np.where(varies, ratio, math.nan)
