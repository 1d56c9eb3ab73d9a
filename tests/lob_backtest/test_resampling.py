"""Intervals: the figures of each resample equal those computed one resample at a time."""

import numpy as np
import pytest

from lob_backtest import resampling
from lob_backtest.metrics import classification_metrics, max_drawdown, portfolio_metrics, sharpe
from lob_backtest.predictions import Predictions
from lob_backtest.resampling import (
    classification_intervals,
    label_overlap,
    trading_intervals,
)
from lob_backtest.trading import trade
from lob_backtest.uncertainty import stationary_bootstrap_indices
from tests.lob_backtest.judged import BACKTEST, walk


def one_at_a_time(table: Predictions, drawn: np.ndarray) -> dict[str, float]:
    """The report's figures of one resample of the labelled decisions."""
    known = table.select(table.is_labelled)
    fold, labels, probability = known.fold[drawn], known.label[drawn], known.probability[drawn]
    figures = classification_metrics(labels, probability)
    folds = np.unique(fold)
    each = [classification_metrics(labels[fold == f], probability[fold == f]) for f in folds]
    weights = [(fold == f).sum() for f in folds]
    for key in ("majority_accuracy", "f1_weighted", "f1_macro", "mcc"):
        figures[key] = float(np.average([own[key] for own in each], weights=weights))
    return figures


def test_classification_figures_of_resamples_match_the_plain_metrics(monkeypatch):
    made = walk()
    table = made.model.test
    samples = {}

    def keep(column, *, confidence):
        samples[len(samples)] = column
        return 0.0, 1.0

    monkeypatch.setattr(resampling, "interval", keep)
    found = classification_intervals(
        {"model": table, "guesses": made.guesses.test},
        n_resamples=5,
        rng=np.random.default_rng(3),
    )
    n = int(table.is_labelled.sum())
    drawn = stationary_bootstrap_indices(
        n, mean_block=found.mean_block, n_resamples=5, rng=np.random.default_rng(3)
    )
    for i, each in enumerate((table, made.guesses.test)):
        expected = [one_at_a_time(each, row) for row in drawn]
        for j, key in enumerate(found.of["model"]):
            assert samples[7 * i + j] == pytest.approx([row[key] for row in expected], abs=1e-12)


def test_trading_figures_of_resamples_match_the_plain_metrics(monkeypatch):
    made = walk()
    traded = trade(made.book, {"model": made.model}, BACKTEST)
    own = traded.accounts["model"]
    samples = []
    monkeypatch.setattr(
        resampling, "interval", lambda column, confidence: samples.append(column) or (0.0, 1.0)
    )
    found = trading_intervals(
        {"model": own},
        {"model": own.closings},
        periods_per_year=traded.periods_per_year,
        n_resamples=4,
        rng=np.random.default_rng(3),
    )
    drawn = stationary_bootstrap_indices(
        own.net_pnl.size,
        mean_block=found.mean_block,
        n_resamples=4,
        rng=np.random.default_rng(3),
    )
    figures = dict(zip(found.of["model"], samples, strict=True))
    for i, row in enumerate(drawn):
        returns = own.net_returns[row]
        assert figures["net_return"][i] == pytest.approx(returns.sum(), abs=1e-12)
        expected = sharpe(returns, periods_per_year=traded.periods_per_year)
        assert figures["sharpe"][i] == pytest.approx(expected, rel=1e-9)
        equity = np.append(1.0, 1 + np.cumsum(returns))
        assert figures["max_drawdown"][i] == pytest.approx(max_drawdown(equity), abs=1e-12)
        paid = (own.fees_paid + own.spread_paid)[row].sum()
        assert figures["costs_paid"][i] == pytest.approx(paid, rel=1e-9)


def test_the_whole_series_as_a_resample_gives_the_reports_figures(monkeypatch):
    made = walk()
    traded = trade(made.book, {"model": made.model}, BACKTEST)
    own = traded.accounts["model"]
    monkeypatch.setattr(
        resampling, "bootstrap", lambda statistic, n, **_: statistic(np.arange(n)[None, :])
    )
    found = trading_intervals(
        {"model": own},
        {"model": own.closings},
        periods_per_year=traded.periods_per_year,
        n_resamples=1,
        rng=np.random.default_rng(0),
    )
    expected = portfolio_metrics(own, periods_per_year=traded.periods_per_year)
    assert {key: low for key, (low, _) in found.of["model"].items()} == pytest.approx(expected)
    of_classes = classification_intervals(
        {"model": made.model.test}, n_resamples=1, rng=np.random.default_rng(0)
    )
    whole = one_at_a_time(made.model.test, np.arange(int(made.model.test.is_labelled.sum())))
    assert {key: low for key, (low, _) in of_classes.of["model"].items()} == pytest.approx(whole)


def test_an_undefined_figure_has_no_interval():
    made = walk()
    traded = trade(made.book, {"model": made.model}, BACKTEST)
    flat = traded.accounts["flat"]
    found = trading_intervals(
        {"flat": flat},
        {"flat": flat.closings},
        periods_per_year=1.0,
        n_resamples=20,
        rng=np.random.default_rng(0),
    )
    assert found.of["flat"]["sharpe"] == (None, None)
    assert found.of["flat"]["hit_rate"] == (None, None)
    assert found.of["flat"]["net_return"] == (0.0, 0.0)


def test_blocks_are_as_long_as_labels_overlap():
    # a decision a second, each label known 3 s later: with its own, 3 decisions are made by then
    n = 400
    rng = np.random.default_rng(0)
    decided_ns = 10**9 * np.arange(n, dtype=np.int64)
    table = Predictions(
        instrument="TEST",
        fold=np.zeros(n, dtype=np.int64),
        decided_ns=decided_ns,
        label_end_ns=decided_ns + 3 * 10**9,
        train_end_ns=decided_ns - 1,
        label=rng.integers(0, 3, n),
        probability=rng.dirichlet(np.ones(3), n),
    )
    # the last two labels reach beyond the last decision
    assert label_overlap(table) == pytest.approx((3 * (n - 2) + 2 + 1) / n)
    drawn = classification_intervals({"model": table}, n_resamples=5, rng=rng)
    assert drawn.mean_block >= label_overlap(table)
