"""Intervals cover what they claim to, and tests keep their size: on data whose truth is known."""

import numpy as np
import pytest

from tests.lob_backtest import coverage
from tests.lob_backtest.coverage import (
    CASES,
    DOCUMENT,
    TABLES,
    bar_coverage,
    decision_coverage,
    mean_coverage,
    rejection_rates,
)

# Four standard errors of a share of 0.95 and of 0.05 among 1,000.
_NOISE = 4 * (0.95 * 0.05 / 1000) ** 0.5


@pytest.mark.parametrize("name", ["mostly flat, costs", "hits, labels overlap 10"])
def test_the_truth_of_a_simulated_case_is_its_mean(name: str) -> None:
    case = CASES[name]
    means = [case.draw(100_000, np.random.default_rng(seed)).mean() for seed in range(20)]
    error = np.std(means, ddof=1) / 20**0.5
    assert np.mean(means) == pytest.approx(case.mean, abs=4 * error)


def test_the_documents_tables_are_those_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.count("<!-- coverage: ") == len(TABLES)
    # The cheapest row again, with the same seed: the same figures.
    found = mean_coverage(CASES["independent"], 100, n_series=1000, seed=100)
    shares = " | ".join(f"{found[method]:.3f}" for method in coverage.METHODS)
    assert f"| independent | 100 | {shares} |" in text


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000])
@pytest.mark.parametrize("name", [name for name in CASES if name != "AR(1) 0.9"])
def test_the_interval_of_a_mean_covers_it(name: str, n: int) -> None:
    found = mean_coverage(CASES[name], n, n_series=1000, seed=n + 7)
    assert found["used"] == pytest.approx(0.95, abs=_NOISE)
    if name.startswith(("AR", "hits")):
        assert found["percentile"] < found["used"]


@pytest.mark.slow
def test_the_intervals_of_classification_figures_cover_them() -> None:
    own, lead = decision_coverage(1000, horizon=10, n_folds=4, n_tables=1000, seed=5)
    for key in ("accuracy", "f1_weighted", "f1_macro", "mcc", "ece", "brier"):
        assert own[key] == pytest.approx(0.95, abs=_NOISE), key
        assert lead[key] == pytest.approx(0.95, abs=_NOISE), key
    assert own["majority_accuracy"] >= 0.95 - _NOISE


@pytest.mark.slow
def test_the_intervals_of_trading_figures_cover_them() -> None:
    own, lead = bar_coverage(1000, flat=20, held=3, edge=0.0, n_accounts=1000, seed=6)
    for key in ("gross_return", "net_return", "sharpe", "sortino", "turnover", "costs_paid"):
        assert own[key] == pytest.approx(0.95, abs=_NOISE), key
    assert lead["net_return"] == pytest.approx(0.95, abs=_NOISE)
    for key in ("volatility", "hit_rate", "max_drawdown"):  # on the wide side
        assert own[key] >= 0.95 - _NOISE, key


@pytest.mark.slow
@pytest.mark.parametrize(("n", "horizon"), [(300, 10), (1000, 50), (3000, 50)])
def test_the_lift_test_rejects_one_pair_of_equals_in_twenty(n: int, horizon: int) -> None:
    found = rejection_rates(n, horizon=horizon, skills=(0.3, 0.3), n_tables=1000, seed=n + 7)
    assert 0.03 <= found["cosines"] <= 0.07
    assert found["newey_west"] > found["cosines"]


@pytest.mark.slow
def test_the_lift_test_finds_a_true_lift() -> None:
    found = rejection_rates(10_000, horizon=50, skills=(0.3, 0.1), n_tables=300, seed=1)
    assert found["cosines"] > 0.85
