"""A fold that is fitted in a second: the smoke config on one level and a few dozen windows."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hfrun.config import HfrunConfig, load_config
from hfrun.fitting import FoldFiles, fit_fold
from hfrun.training.trainer import MeasuredTrainer
from lob_backtest.book import Book
from lob_backtest.predictions import read_predictions
from lob_backtest.prepare import Prepared, prepare
from tests.lob_backtest.books import random_book

ROOT = Path(__file__).resolve().parents[2]
WINDOW, LEVELS = 20, 1
SIZES = {"conv_channels": 4, "inception_channels": 4, "lstm_hidden": 4}
TABLES = ("validation_predictions.parquet", "predictions.parquet")


def smoke_config(*overrides: str) -> HfrunConfig:
    """Three steps an epoch, three epochs, an evaluation and a checkpoint after each."""
    config = load_config(
        ROOT / "configs/smoke.yaml",
        [
            "data.book=unused.parquet",
            f"data.window={WINDOW}",
            "data.decisions={every_events: 2}",
            "data.label={kind: mid_move, horizon_events: 5}",
            *("walk_forward.train=60", "walk_forward.validation=40", "walk_forward.test=20"),
            "training.num_train_epochs=3",
            "training.per_device_train_batch_size=20",
            "training.learning_rate=0.01",
            "callbacks.gap_samples=16",
            f"model.config={json.dumps(SIZES | {'dropout': 0.2})}",
            *overrides,
        ],
    )
    return dataclasses.replace(config, stop_rules=[])


def small_book() -> Book:
    return random_book(np.random.default_rng(1), n_rows=400, n_levels=LEVELS, n_sessions=1)


def prepared_for(config: HfrunConfig, book: Book) -> Prepared:
    """The first fold alone."""
    prepared = prepare(book, data=config.data, walk_forward=config.judge.walk_forward)
    return dataclasses.replace(prepared, folds=prepared.folds[:1])


def fit(config: HfrunConfig, book: Book, folder: Path) -> FoldFiles:
    prepared, files = prepared_for(config, book), FoldFiles(folder)
    fit_fold(config, book, prepared, prepared.folds[0], files)
    return files


def validation_figures(files: FoldFiles) -> tuple[float, float]:
    """Accuracy and cross-entropy of the table that was written."""
    table = read_predictions(files.folder / "validation_predictions.parquet")
    accuracy = np.mean(table.probability.argmax(axis=1) == table.label)
    chances = table.probability[np.arange(len(table.label)), table.label]
    return float(accuracy), float(-np.log(chances).mean())


class Killed(BaseException):
    """Ends a training as a signal would: no one catches it."""


def fit_killed_at(
    step: int, config: HfrunConfig, book: Book, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_step = MeasuredTrainer.training_step

    def training_step(self: MeasuredTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == step:
            raise Killed
        return whole_step(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(MeasuredTrainer, "training_step", training_step)
        with pytest.raises(Killed):
            fit(config, book, folder)


def assert_same_results(one: FoldFiles, other: FoldFiles) -> None:
    for name in TABLES:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
    weights = [load_file(files.model / "model.safetensors") for files in (one, other)]
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])
    figures = [{**files.read_figures(), "seconds": None} for files in (one, other)]
    assert figures[0] == figures[1]
    assert np.array_equal(one.read_grad_norms(), other.read_grad_norms())
