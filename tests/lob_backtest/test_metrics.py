"""Measures against hand-computed values, scikit-learn and pandas."""

import doctest
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lob_backtest.account import Account, Trades
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.metrics import (
    CALIBRATION_KEYS,
    adaptive_calibration_error,
    bars_per_year,
    bin_numbers,
    calibration,
    calibration_metrics,
    classification_metrics,
    confusion_matrix,
    equal_mass_edges,
    max_drawdown,
    maximum_calibration_error,
    money,
    negative_log_likelihood,
    portfolio_metrics,
    reliability_bins,
    said_classes,
    sharpe,
    sortino,
    volatility,
)
from tests.lob_backtest.books import META, META_ALWAYS_OPEN


@pytest.mark.parametrize("module", [calibration, money])
def test_the_examples_in_the_docstrings_run(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert (results.failed, results.attempted > 0) == (0, True)


def random_predictions(
    seed: int, n: int, sharpness: float, classes: int = 3, width: int = 3
) -> tuple[IntArray, FloatArray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, width)) * sharpness + np.eye(width)[labels]
    odds = np.exp(logits)
    return labels, odds / odds.sum(axis=1, keepdims=True)


def test_five_decisions_give_the_figures_computed_by_hand() -> None:
    labels = np.array([0, 1, 2, 2, 1])
    probabilities = np.array(
        [
            [0.8, 0.1, 0.1],  # right
            [0.1, 0.5, 0.4],  # right
            [0.2, 0.2, 0.6],  # right
            [0.5, 0.3, 0.2],  # wrong: down
            [0.0, 1.0, 0.0],  # right
        ]
    )
    assert confusion_matrix(labels, probabilities).tolist() == [[1, 0, 0], [0, 2, 0], [1, 0, 1]]
    figures = classification_metrics(labels, probabilities)
    # F1: down 2/3, flat 1, up 2/3; supports 1, 2, 2.
    # Bins of 1/15: 0.5 twice (accuracy 1/2), 0.6, 0.8 and 1.0 once each (accuracy 1).
    # Brier: 0.06, 0.42, 0.24, 0.25 + 0.09 + 0.64 = 0.98, 0.
    # MCC: (4 * 5 - (1*2 + 2*2 + 2*1)) / sqrt((25 - 9) * (25 - 9)) = 12 / 16.
    assert figures == pytest.approx(
        {
            "accuracy": 0.8,
            "majority_accuracy": 0.4,
            "f1_weighted": (2 / 3 + 2 * 1 + 2 * 2 / 3) / 5,
            "f1_macro": (2 / 3 + 1 + 2 / 3) / 3,
            "mcc": 0.75,
            "ece": (2 * 0 + 0.4 + 0.2 + 0) / 5,
            "brier": (0.06 + 0.42 + 0.24 + 0.98 + 0) / 5,
        },
        abs=1e-12,
    )


@pytest.mark.parametrize(
    ("seed", "n", "sharpness", "classes", "width"),
    [
        (0, 500, 1.0, 3, 3),
        (1, 37, 3.0, 3, 3),
        (2, 200_000, 0.3, 3, 3),
        (3, 60, 1.0, 2, 3),
        (4, 9, 2.0, 1, 3),
        (5, 700, 1.0, 5, 5),
        (6, 900, 1.0, 60, 77),
        (7, 300, 1.0, 2, 2),
    ],
)
def test_classification_metrics_equal_scikit_learn(
    seed: int, n: int, sharpness: float, classes: int, width: int
) -> None:
    from sklearn import metrics as reference

    labels, probabilities = random_predictions(seed, n, sharpness, classes, width)
    predicted = probabilities.argmax(axis=1)
    counts = reference.confusion_matrix(labels, predicted, labels=range(width))
    assert confusion_matrix(labels, probabilities).tolist() == counts.tolist()
    one_hot = np.eye(width)[labels]
    squares = [
        reference.mean_squared_error(one_hot[:, c], probabilities[:, c]) for c in range(width)
    ]
    expected = {
        "accuracy": reference.accuracy_score(labels, predicted),
        "majority_accuracy": np.bincount(labels).max() / n,
        "f1_weighted": reference.f1_score(labels, predicted, average="weighted"),
        "f1_macro": reference.f1_score(labels, predicted, average="macro"),
        "mcc": reference.matthews_corrcoef(labels, predicted),
        "brier": sum(squares),
    }
    figures = classification_metrics(labels, probabilities)
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_calibration_error_equals_scikit_learns_calibration_curve(seed: int) -> None:
    from sklearn.calibration import calibration_curve

    labels, probabilities = random_predictions(seed, 2000, 1.5)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=15)
    bins = [item for item in reliability_bins(labels, probabilities) if item["n"]]
    assert [item["accuracy"] for item in bins] == pytest.approx(accuracy, abs=1e-12)
    assert [item["confidence"] for item in bins] == pytest.approx(mean_confidence, abs=1e-12)
    n = np.array([item["n"] for item in bins])
    ece = float((n * np.abs(accuracy - mean_confidence)).sum() / 2000)
    figures = classification_metrics(labels, probabilities)
    assert figures["ece"] == pytest.approx(ece, abs=1e-12)


def test_every_decision_is_in_exactly_one_reliability_bin() -> None:
    labels, probabilities = random_predictions(5, 300, 2.0)
    bins = reliability_bins(labels, probabilities, n_bins=10)
    assert sum(item["n"] for item in bins) == 300
    assert [item["low"] for item in bins[1:]] == [item["high"] for item in bins[:-1]]
    assert (bins[0]["low"], bins[-1]["high"]) == (0.0, 1.0)


def test_a_confidence_on_the_edge_belongs_to_the_bin_below() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    bins = reliability_bins(np.array([0, 1, 2]), probabilities, n_bins=4)
    assert [(item["low"], item["high"], item["n"]) for item in bins] == [
        (0.0, 0.25, 0),
        (0.25, 0.5, 2),
        (0.5, 0.75, 1),
        (0.75, 1.0, 0),
    ]


def test_calibration_figures_of_five_decisions_by_hand() -> None:
    # The decisions of the test at the top: confidences 0.8, 0.5, 0.6 right, 0.5 wrong, 1.0 right.
    labels = np.array([0, 1, 2, 2, 1])
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2], [0.0, 1.0, 0.0]]
    )
    figures = calibration_metrics(labels, probabilities)
    assert list(figures) == list(CALIBRATION_KEYS)
    assert figures == pytest.approx(
        {
            "nll": -np.log([0.8, 0.5, 0.6, 0.2, 1.0]).sum() / 5,
            "brier": (0.06 + 0.42 + 0.24 + 0.98 + 0) / 5,
            "ece": (2 * 0 + 0.4 + 0.2 + 0) / 5,
            "adaptive_ece": (2 * 0 + 0.4 + 0.2 + 0) / 5,  # no more than four confidences differ
            "mce": 0.4,
        },
        abs=1e-12,
    )


@pytest.mark.parametrize(("n", "classes"), [(500, 3), (2210, 5), (1000, 2)])
def test_log_likelihood_and_equal_mass_bins_equal_scikit_learn(n: int, classes: int) -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import log_loss

    labels, probabilities = random_predictions(8, n, 1.5, classes, classes)
    nll = negative_log_likelihood(labels, probabilities)
    assert nll == pytest.approx(log_loss(labels, probabilities, labels=range(classes)), rel=1e-12)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # 10 divides n, so that scikit-learn's interpolated quantiles part the same decisions
    accuracy, mean = calibration_curve(correct, confidence, n_bins=10, strategy="quantile")
    edges = equal_mass_edges(confidence, n_bins=10)
    place = bin_numbers(confidence, edges)
    assert np.bincount(place).tolist() == [n // 10] * 10
    of_bins = [place == number for number in range(10)]
    assert [correct[own].mean() for own in of_bins] == pytest.approx(accuracy, abs=1e-12)
    assert [confidence[own].mean() for own in of_bins] == pytest.approx(mean, abs=1e-12)


def test_a_true_class_without_probability_costs_a_finite_36_nats() -> None:
    labels, probabilities = np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert negative_log_likelihood(labels, probabilities) == pytest.approx(52 * np.log(2) / 2)


@given(st.lists(st.floats(0.2, 1.0), min_size=1, max_size=80), st.integers(1, 20))
def test_equal_mass_bins_are_full_whatever_ties_there_are(values: list[float], n_bins: int) -> None:
    confidence = np.array(values)
    edges = equal_mass_edges(confidence, n_bins=n_bins)
    place = bin_numbers(confidence, edges)
    assert (np.diff(edges) > 0).all()
    assert set(place.tolist()) == set(range(edges.size - 1))
    most_ties = np.unique(confidence, return_counts=True)[1].max()
    assert np.bincount(place).max() <= -(-confidence.size // n_bins) + most_ties - 1
    assert ((edges[place] < confidence) & (confidence <= edges[place + 1])).all()


@given(st.integers(0, 1000), st.integers(1, 60), st.sampled_from([2, 3, 5]))
def test_calibration_errors_are_in_their_order_whatever_the_predictions(
    seed: int, n: int, classes: int
) -> None:
    labels, probabilities = random_predictions(seed, n, 2.0, classes, classes)
    figures = calibration_metrics(labels, probabilities)
    said, confidence = said_classes(probabilities)
    overall = abs(float((said == labels).mean() - confidence.mean()))
    # A mean of gaps is at most the largest and at least the gap of the means.
    for ece in (figures["ece"], figures["adaptive_ece"]):
        assert overall - 1e-12 <= ece <= 1
    assert figures["ece"] <= figures["mce"] <= 1
    assert maximum_calibration_error(labels, probabilities) == figures["mce"]
    assert adaptive_calibration_error(labels, probabilities) == figures["adaptive_ece"]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.empty((0, 3)), "no decisions"),
        ([0, -1], np.full((2, 3), 1 / 3), r"1 of 2 labels are not 0, 1 or 2 \(first -1\)"),
        ([0, 1], np.full((3, 3), 1 / 3), r"shape \(3, 3\); needs \(2, 3\)"),
        ([0], np.array([[np.nan, 0.5, 0.5]]), "1 of 3 probabilities are NaN"),
        ([0, 5], np.full((2, 5), 0.2), r"1 of 2 labels are not 0 to 4 \(first 5\)"),
        ([0, 2], np.full((2, 2), 0.5), r"1 of 2 labels are not 0 or 1 \(first 2\)"),
        ([0, 0], np.ones((2, 1)), r"shape \(2, 1\); needs \(2, C\) with C >= 2"),
        ([0, 0], np.ones(2), r"shape \(2,\); needs \(2, C\) with C >= 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    labels: list[int], probabilities: FloatArray, message: str
) -> None:
    with pytest.raises(MetricError, match=message):
        classification_metrics(np.array(labels, dtype=np.int64), probabilities)


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=50), st.floats(1, 1e6))
def test_sharpe_equals_pandas(values: list[float], periods: float) -> None:
    returns = pd.Series(values)
    if returns.std() < 1e-6:
        return
    expected = returns.mean() / returns.std() * periods**0.5
    assert sharpe(returns.to_numpy(), periods_per_year=periods) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1] * 7, [0.0] * 3])
def test_sharpe_without_deviation_has_no_figure(returns: list[float]) -> None:
    assert np.isnan(sharpe(np.array(returns), periods_per_year=252))


@given(
    st.lists(st.floats(-0.5, 0.5).filter(lambda r: abs(r) > 1e-6 or r == 0), min_size=3),
    st.floats(1, 1e6),
)
def test_ratios_of_returns_equal_empyrical(values: list[float], periods: float) -> None:
    # empyrical-reloaded takes the year as the number of periods in it, as we do.
    import empyrical

    returns = np.array(values)
    if returns.std() < 1e-6:
        return
    figures = {
        empyrical.sharpe_ratio: sharpe(returns, periods_per_year=periods),
        empyrical.annual_volatility: volatility(returns, periods_per_year=periods),
    }
    if (returns < 0).any():  # without a loss there is no figure here, and infinity there
        figures[empyrical.sortino_ratio] = sortino(returns, periods_per_year=periods)
    for reference, found in figures.items():
        expected = reference(returns, annualization=periods)
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-10)


def bar_account(seed: int, *, capital: float = 100.0) -> Account:
    """An account of 500 bars with a profit of about a thousandth of the capital each."""
    rng = np.random.default_rng(seed)
    none = np.empty(0)
    whole = none.astype(np.int64)
    return Account(
        capital=capital,
        fold=np.zeros(500, dtype=np.int64),
        bar_end_ns=np.arange(500, dtype=np.int64),
        gross_pnl=capital * rng.normal(2e-4, 1e-3, 500),
        fees_paid=capital * rng.exponential(1e-4, 500),
        spread_paid=np.zeros(500),
        traded_notional=np.zeros(500),
        position=np.zeros(500),
        trades=Trades(
            fold=whole, open_ns=whole, close_ns=whole, side=whole, size=none, open_price=none,
            close_price=none, gross_pnl=none, costs=none,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_accounts_risk_figures_equal_empyrical_on_the_same_bars(seed: int) -> None:
    import empyrical

    account = bar_account(seed)
    figures = portfolio_metrics(account, periods_per_year=98_280)
    # Profits are shares of a capital that stays the same, so our ratios are of those returns.
    simple, year = account.net_pnl / account.capital, {"annualization": 98_280}
    expected = {
        "sharpe": empyrical.sharpe_ratio(simple, **year),
        "sortino": empyrical.sortino_ratio(simple, **year),
        "volatility": empyrical.annual_volatility(simple, **year),
        # empyrical compounds: it is given the growth of the same equity from bar to bar.
        "max_drawdown": -empyrical.max_drawdown(np.diff(account.equity) / account.equity[:-1]),
        "net_return": empyrical.cum_returns_final(np.diff(account.equity) / account.equity[:-1]),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=1e-10)


def test_a_drawdown_over_profit_would_be_another_figure() -> None:
    # The defect of dividing by the profit so far: near no profit any loss looks endless.
    account = bar_account(3)
    profit = account.equity - account.capital
    peak = np.maximum.accumulate(profit)
    over_profit = ((peak - profit) / np.maximum(peak, 1e-12)).max()
    assert over_profit > 10 * portfolio_metrics(account, periods_per_year=1)["max_drawdown"]


@pytest.mark.parametrize("returns", [[], [0.0, 0.0], [0.1, 0.2]])
def test_sortino_without_a_loss_has_no_figure(returns: list[float]) -> None:
    assert np.isnan(sortino(np.array(returns), periods_per_year=252))


def test_volatility_of_constant_returns_is_nothing_and_of_one_return_none() -> None:
    assert volatility(np.full(7, 0.1), periods_per_year=252) == 0.0
    assert np.isnan(volatility(np.array([0.1]), periods_per_year=252))


def test_sortino_by_hand() -> None:
    # Losses of 1 % and 2 % in four periods: sqrt((0.0001 + 0.0004) / 4); the mean is 0.25 %.
    found = sortino(np.array([0.03, -0.01, 0.01, -0.02]), periods_per_year=4)
    assert found == pytest.approx(2 * 0.0025 / (0.0005 / 4) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 6])
@given(data=st.data())
def test_the_said_class_is_the_first_of_the_most_probable(
    classes: int, data: st.DataObject
) -> None:
    shares = st.sampled_from([0.0, 0.2, 0.4, 1 / 3])
    probabilities = np.array(data.draw(st.lists(st.tuples(*[shares] * classes), min_size=1)))
    said, confidence = said_classes(probabilities)
    assert said.tolist() == np.argmax(probabilities, axis=1).tolist()
    assert confidence.tolist() == probabilities.max(axis=1).tolist()


def test_sharpe_of_a_missing_return_is_refused() -> None:
    with pytest.raises(MetricError, match="1 of 2 returns are NaN"):
        sharpe(np.array([0.1, np.nan]), periods_per_year=252)


def test_bars_of_a_day_or_more_are_sessions_252_times_a_year() -> None:
    # A session of 6.5 hours has one bar of "a day": 252 * 6.5 / 24 a year would make the volatility
    # of daily returns half of what it is.
    day = 86_400_000_000_000
    assert bars_per_year(META, bar_ns=day) == bars_per_year(META, bar_ns=100 * day) == 252.0
    assert bars_per_year(META_ALWAYS_OPEN, bar_ns=5 * day) == 73.0


def test_a_year_has_252_sessions_or_365_days_of_bars() -> None:
    minute = 60_000_000_000
    assert bars_per_year(META, bar_ns=minute) == 252 * 390
    assert bars_per_year(META_ALWAYS_OPEN, bar_ns=5 * minute) == 365 * 288
    half_day = replace(META, session_open="09:00", session_close="10:00")
    assert bars_per_year(half_day, bar_ns=1_000_000_000) == 252 * 3600


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50))
def test_drawdown_equals_pandas_running_peak(values: list[float]) -> None:
    equity = pd.Series(values)
    expected = -(equity / equity.cummax() - 1).min()
    assert max_drawdown(equity.to_numpy()) == pytest.approx(expected, abs=1e-12)


def test_drawdown_is_a_share_of_equity_not_of_profit() -> None:
    # Profit goes 0, 10, 5: half of the profit is lost, but 5 of 1010 of the equity.
    assert max_drawdown(np.array([1000.0, 1010.0, 1005.0])) == pytest.approx(5 / 1010, abs=1e-15)


def test_losing_more_than_everything_is_a_drawdown_above_one() -> None:
    assert max_drawdown(np.array([100.0, -20.0, 10.0])) == pytest.approx(1.2, abs=1e-15)


@pytest.mark.parametrize("equity", [[], [0.0, 1.0], [-5.0]])
def test_equity_without_capital_is_refused(equity: list[float]) -> None:
    with pytest.raises(MetricError, match="start with a positive value"):
        max_drawdown(np.array(equity))
