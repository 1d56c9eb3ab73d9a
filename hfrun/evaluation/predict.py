"""Predictions of a trained model: for the decisions of a fold, and for any book of its kind."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.data.preprocessing import Preprocessing, load_preprocessing
from hfrun.data.windows import WindowTransform, write_rows
from hfrun.errors import DataError
from hfrun.models.class_order import class_columns
from lob_backtest.book import Book, FloatArray, IntArray, read_book
from lob_backtest.decisions import Decisions
from lob_backtest.labels import classify
from lob_backtest.predictions import UNKNOWN, Predictions, write_predictions
from lob_backtest.progress import announce, progress
from lob_backtest.questions import decisions_of, moves_of

_BATCH = 256


def predict_probabilities(
    model: PreTrainedModel, rows_path: Path, *, rows: IntArray, window: int, label: str
) -> FloatArray:
    """Probabilities ``(D, 3)`` float64 of down, flat, up for the windows that end at ``rows``.

    The model's own column order (``id2label``) is looked at, not assumed.
    """
    columns = class_columns(model.config)
    form = WindowTransform(rows_path, window=window)
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    parts = []
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in progress(batches, label=label, unit="batches"):
            features = form({"row": batch.tolist()})["features"].to(model.device)
            logits = model(features=features).logits.double()
            parts.append(torch.softmax(logits, dim=-1)[:, columns].cpu().numpy())
    model.train(was_training)
    return np.concatenate(parts)


def predict_book(run: Path, book_path: Path, output: Path) -> int:
    """Write a predictions table of a run's model for every decision after its training.

    Decisions at or before the end of its training are left out and counted.

    Returns:
        The number of decisions written.

    Raises:
        DataError: the book has other levels, or lies wholly before the end of the training.
    """
    folder = run / "model"
    preprocessing = load_preprocessing(folder)
    book = read_book(book_path)
    _check_levels(preprocessing, book)
    decisions = decisions_of(book, preprocessing.decisions, window=preprocessing.window)
    later = decisions.decided_ns > preprocessing.train_end_ns
    if not later.any():
        raise DataError(
            f"{book_path}: all {decisions.n} decisions lie before the end of the training "
            f"({preprocessing.train_end_ns} ns); give a book of a later time"
        )
    if not later.all():
        announce(f"left out {int((~later).sum())} decisions from before the end of the training")
    decisions = decisions.select(later)
    label, label_end_ns = _labels(book, decisions, preprocessing)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with tempfile.TemporaryDirectory() as temporary:
        rows_path = write_rows(book, preprocessing.normalizer, Path(temporary) / "rows.npy")
        probability = predict_probabilities(
            model, rows_path, rows=decisions.rows, window=preprocessing.window, label="predicting"
        )
    table = Predictions(
        instrument=book.meta.instrument,
        fold=np.zeros(decisions.n, dtype=np.int64),
        decided_ns=decisions.decided_ns,
        label_end_ns=label_end_ns,
        train_end_ns=np.full(decisions.n, preprocessing.train_end_ns, dtype=np.int64),
        label=label,
        probability=probability,
    )
    write_predictions(table, output)
    return decisions.n


def _labels(
    book: Book, decisions: Decisions, preprocessing: Preprocessing
) -> tuple[IntArray, IntArray]:
    """Labels and their ends; ``executable`` ones need a backtest's costs and stay unknown."""
    if preprocessing.label.kind == "executable":
        return np.full(decisions.n, UNKNOWN, dtype=np.int64), decisions.decided_ns
    moves = moves_of(book, decisions, preprocessing.label)
    label = classify(moves.move_ticks, threshold_ticks=preprocessing.threshold_ticks)
    return label, moves.label_end_ns


def book_windows(folder: Path, book_path: Path, *, n: int) -> torch.Tensor:
    """The last ``n`` windows of a book as a model folder's model sees them, ``(n, T, 4 L)``."""
    preprocessing = load_preprocessing(folder)
    book = read_book(book_path)
    _check_levels(preprocessing, book)
    decisions = decisions_of(book, preprocessing.decisions, window=preprocessing.window)
    with tempfile.TemporaryDirectory() as temporary:
        rows_path = write_rows(book, preprocessing.normalizer, Path(temporary) / "rows.npy")
        form = WindowTransform(rows_path, window=preprocessing.window)
        windows: torch.Tensor = form({"row": decisions.rows[-n:].tolist()})["features"]
    return windows


def _check_levels(preprocessing: Preprocessing, book: Book) -> None:
    if book.n_levels != preprocessing.levels:
        raise DataError(
            f"the book has {book.n_levels} levels and the model was trained on "
            f"{preprocessing.levels}; import the book with that many levels"
        )
