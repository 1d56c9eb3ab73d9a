"""Tiny models of every kind with their preprocessing, as a training leaves them in RUN/model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import pipeline

from hfrun.evaluation.lob_pipeline import LobClassificationPipeline
from hfrun.models.preprocessing import Preprocessing
from hfrun.models.registry import BOOK_MODELS
from lob_backtest.book import Book, book_table
from lob_backtest.config import DecisionsConfig, LabelConfig
from lob_backtest.decisions import decide_every_events
from lob_backtest.features import fit_hand_scaler, hand_feature_names, hand_features
from lob_backtest.normalize import fit_normalizer
from tests.hfrun.lived_in import lived_in_model
from tests.lob_backtest.books import random_book

LEVELS, WINDOW, TRAIN_ROWS = 2, 20, 120

SIZES: dict[str, dict[str, Any]] = {
    "deeplob": {"conv_channels": 4, "inception_channels": 4, "lstm_hidden": 4},
    "mlp": {"frames": 3, "width": 8, "depth": 1},
    "bilstm": {"frames": 3, "width": 6, "depth": 1},
    "linear": {"frames": 5},
}


def three_sessions(seed: int = 2) -> Book:
    """Three days of 120 rows; shared instants and missing levels among them."""
    return random_book(np.random.default_rng(seed), 3 * TRAIN_ROWS, LEVELS, 3)


def preprocessing_of(
    book: Book,
    *,
    inputs: str = "levels",
    skip: bool = False,
    decisions: DecisionsConfig | None = None,
) -> Preprocessing:
    """Fitted on the book's first session, which it names as the end of the training."""
    normalizer = fit_normalizer(
        book,
        start_row=0,
        stop_row=TRAIN_ROWS,
        prices="slow_mean",
        slow_mean_rows=40,
        sizes="log",
        inputs=inputs,  # type: ignore[arg-type]
    )
    scaler = None
    if skip:
        asked = decide_every_events(book, step_events=2, window=WINDOW)
        train = np.flatnonzero(asked.rows < TRAIN_ROWS)
        scaler = fit_hand_scaler(
            hand_features(book, asked).values, train, names=hand_feature_names(LEVELS)
        )
    return Preprocessing(
        window=WINDOW,
        levels=LEVELS,
        normalizer=normalizer,
        decisions=decisions or DecisionsConfig(every_events=3),
        label=LabelConfig(kind="mid_move", horizon_events=5),
        threshold_ticks=0.5,
        train_end_ns=int(book.time_ns[TRAIN_ROWS - 1]),
        hand_scaler=scaler,
        market=book.meta,
    )


def run_with(folder: Path, preprocessing: Preprocessing, kind: str = "linear") -> Path:
    """A run folder as far as predicting goes, with weights that answer differently to each row."""
    torch.manual_seed(0)
    names = None if preprocessing.hand_scaler is None else preprocessing.hand_scaler.names
    config = BOOK_MODELS[kind].config(
        levels=preprocessing.levels,
        window=preprocessing.window,
        skip=names is not None,
        hand_features=len(names or ()),
        **SIZES[kind],
    )
    model = BOOK_MODELS[kind].model(config).eval()
    nn.init.normal_(model.head.weight, std=0.2)
    if kind == "deeplob":  # whose fresh weights hardly look at the rows
        lived_in = lived_in_model(**SIZES[kind], window=WINDOW).state_dict()
        model.load_state_dict(lived_in, strict=False)
    model.save_pretrained(folder / "model")
    preprocessing.save(folder / "model")
    return folder


def pipe_of(run: Path, **options: Any) -> LobClassificationPipeline:
    made = pipeline("lob-classification", model=str(run / "model"), device="cpu", **options)
    assert isinstance(made, LobClassificationPipeline)
    return made


def frame_of(book: Book) -> pd.DataFrame:
    """The book's columns, in contract order."""
    return book_table(book).to_pandas(ignore_metadata=True)


def after_training(book: Book) -> Book:
    """The sessions that follow the one that the models here were fitted on."""
    return book.rows(TRAIN_ROWS, book.n_rows)


def chances(rows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    """``(D, 3)`` the scores of a pipeline's answer, down, flat, up."""
    return np.array([[row["scores"][name] for name in ("down", "flat", "up")] for row in rows])


def renamed(book: Book, instrument: str) -> Book:
    return replace(book, meta=replace(book.meta, instrument=instrument))
