"""Is the judge honest? Random predictions on martingales must fail, and intervals must cover.

The quick versions run with every test; the slow ones (``pytest -m slow -s``) print the figures that
``docs/uncertainty.md`` quotes.
"""

import numpy as np
import pytest

from lob_backtest.book import Book
from lob_backtest.config import (
    BacktestConfig,
    CostsConfig,
    DataConfig,
    DecisionsConfig,
    GatesConfig,
    LabelConfig,
    SignalConfig,
    WalkForwardConfig,
)
from lob_backtest.contenders import ModelPredictions, predict_baselines
from lob_backtest.predictions import concatenate
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.synthetic import synthetic_book
from lob_backtest.training_figures import TrainingFigures
from lob_backtest.walk_forward import score

DATA = DataConfig(
    book="book.parquet",
    decisions=DecisionsConfig(every_events=10),
    label=LabelConfig(kind="mid_move", horizon_events=20),
    window=20,
)
WALK = WalkForwardConfig(train=150, validation=50, test=50)
# What a run without any fault in its training would report.
FAULTLESS = TrainingFigures(train_accuracy=(1 / 3,), grad_norm_p50=1.5, grad_norm_p95=2.0)
PRICED = CostsConfig(fee_bps=0.2)


def martingale(seed: int, *, rows: int = 3000) -> tuple[Book, Prepared]:
    book = synthetic_book(days=2, rows_per_day=rows, levels=2, signal=0.0, seed=seed)
    return book, prepare(book, data=DATA, walk_forward=WALK)


def guessed(prepared: Prepared, rng: np.random.Generator) -> ModelPredictions:
    """Probabilities drawn without a look at anything."""

    def part(name: str):  # type: ignore[no-untyped-def]
        return concatenate(
            [
                prepared.predictions(
                    fold,
                    name,  # type: ignore[arg-type]
                    rng.dirichlet([1.0, 1.0, 1.0], getattr(fold, name).size),
                )
                for fold in prepared.folds
            ]
        )

    return ModelPredictions(test=part("test"), validation=part("validation"))


def verdict_of_chance(seed: int) -> str:
    book, prepared = martingale(seed)
    rng = np.random.default_rng([seed, 1])
    report = score(
        book,
        guessed(prepared, rng),
        predict_baselines(book, prepared, seed=seed),
        backtest=BacktestConfig(costs=PRICED, latency_ns=0),
        gates=GatesConfig(),
        training=FAULTLESS,
        prepared=prepared,
        n_resamples=50,
        seed=seed,
    )
    return str(report["verdict"])


def net_return_interval(seed: int) -> tuple[float, float, float]:
    """Net return of guesses traded on a martingale, and its interval: value, low, high."""
    book, prepared = martingale(seed, rows=6000)
    report = score(
        book,
        guessed(prepared, np.random.default_rng([seed, 2])),
        {},
        backtest=BacktestConfig(
            costs=PRICED, latency_ns=0, bar_seconds=120.0, signal=SignalConfig(threshold=0.5)
        ),
        gates=GatesConfig(),
        prepared=prepared,
        n_resamples=500,
        seed=seed,
    )
    found = report["aggregate"]["net_return"]
    return found["value"], found["low"], found["high"]


def covered(n_books: int) -> tuple[float, float]:
    """Share of intervals that hold the true expectation, and that expectation.

    All books come from one process, so the expectation is the mean over all of them.
    """
    value, low, high = np.array([net_return_interval(seed) for seed in range(n_books)]).T
    truth = float(value.mean())
    return float(((low <= truth) & (truth <= high)).mean()), truth


def test_guesses_on_martingales_fail() -> None:
    assert [verdict_of_chance(seed) for seed in range(3)] == ["fail"] * 3


def test_the_interval_of_net_return_mostly_covers_the_truth() -> None:
    share, truth = covered(40)
    assert truth < 0  # guesses earn nothing and pay their costs
    assert share >= 0.85


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_guesses_pass_all_gates_on_at_most_5_percent_of_200_martingales() -> None:
    passed = [seed for seed in range(200) if verdict_of_chance(seed) == "pass"]
    print(f"{len(passed)} of 200 random runs passed: {passed}")
    assert len(passed) <= 10


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_95_percent_interval_of_net_return_covers_the_truth_in_93_to_97_percent() -> None:
    n_books = 2000
    share, truth = covered(n_books)
    print(f"net return: {share:.2%} of {n_books} intervals cover the truth {truth:+.4%}")
    assert 0.93 <= share <= 0.97
