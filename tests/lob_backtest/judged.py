"""A small walk-forward to score: a random book, folds on it, and predictions to order."""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import (
    BacktestConfig,
    CostsConfig,
    DataConfig,
    DecisionsConfig,
    LabelConfig,
    SignalConfig,
    WalkForwardConfig,
)
from lob_backtest.contenders import ModelPredictions
from lob_backtest.predictions import Predictions, concatenate
from lob_backtest.prepare import Prepared, prepare
from tests.lob_backtest.books import random_book

DATA = DataConfig(
    book="book.parquet",
    decisions=DecisionsConfig(every_events=3),
    label=LabelConfig(horizon_events=6),
    window=5,
)
WALK_FORWARD = WalkForwardConfig(train=100, validation=40, test=40)
BACKTEST = BacktestConfig(
    costs=CostsConfig(fee_bps=0.5),
    latency_ns=1_000_000,
    bar_seconds=20.0,
    signal=SignalConfig(candidates=[0.36, 0.45, 0.6], min_trades=2, hold_decisions=2),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """A book, the folds on it, and two models: one that often knows, one that guesses."""

    book: Book
    prepared: Prepared
    model: ModelPredictions
    guesses: ModelPredictions


def walk(*, seed: int = 0, n_rows: int = 1500, n_sessions: int = 2, skill: float = 0.5) -> Walk:
    """A walk-forward over a random book; ``skill`` is how often the model knows the label."""
    rng = np.random.default_rng(seed)
    book = random_book(rng, n_rows, 2, n_sessions)
    prepared = prepare(book, data=DATA, walk_forward=WALK_FORWARD)
    return Walk(
        book=book,
        prepared=prepared,
        model=predicted(prepared, rng, skill=skill),
        guesses=predicted(prepared, rng, skill=0.0),
    )


def predicted(prepared: Prepared, rng: np.random.Generator, *, skill: float) -> ModelPredictions:
    """Predictions of all folds that lean to the true label with the chance ``skill``."""
    parts: dict[str, list[Predictions]] = {"validation": [], "test": []}
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        for part, rows in (("validation", fold.validation), ("test", fold.test)):
            probability = leaning(labels[rows], rng, skill=skill)
            parts[part].append(prepared.predictions(fold, part, probability))  # type: ignore[arg-type]
    return ModelPredictions(
        test=concatenate(parts["test"]), validation=concatenate(parts["validation"])
    )


def leaning(labels: IntArray, rng: np.random.Generator, *, skill: float) -> FloatArray:
    """``(n, 3)`` random probabilities; with the chance ``skill`` the true class is the largest."""
    probability = np.sort(rng.dirichlet([2.0, 2.0, 2.0], labels.size), axis=1)
    knows = (rng.random(labels.size) < skill) & (labels >= 0)
    first = np.where(knows, labels, rng.integers(0, 3, labels.size))
    rest = np.array([[c for c in range(3) if c != chosen] for chosen in first])
    shaped = np.empty_like(probability)
    rows = np.arange(labels.size)
    shaped[rows, first] = probability[:, 2]
    shaped[rows[:, None], rest] = probability[:, :2]
    return shaped
