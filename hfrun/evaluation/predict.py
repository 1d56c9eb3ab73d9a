"""Predictions of a trained model: for the decisions of a fold, and for any book of its kind."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.data.hand_features import write_scaled
from hfrun.data.preprocessing import Preprocessing, load_preprocessing
from hfrun.data.stretches import batches_of_rows
from hfrun.data.windows import BookCollator, write_rows
from hfrun.errors import DataError, HfrunError, ModelError
from hfrun.models.class_order import class_columns
from lob_backtest.book import Book, FloatArray, IntArray, read_book
from lob_backtest.decisions import Decisions
from lob_backtest.labels import classify
from lob_backtest.predictions import UNKNOWN, Predictions, write_predictions
from lob_backtest.progress import announce, progress
from lob_backtest.questions import decisions_of, moves_of

_BATCH = 256  # windows at a time
_SHARED_ROWS = 4096  # rows at a time: what is made of them stays in a core's cache


def predict_probabilities(
    model: PreTrainedModel,
    collator: BookCollator,
    *,
    rows: IntArray,
    decisions: IntArray | None = None,
    label: str,
) -> FloatArray:
    """Probabilities ``(W, 3)`` float64 of down, flat, up for the windows that end at ``rows``.

    The model's own column order (``id2label``) is looked at, not assumed.

    Args:
        model: any that takes ``features``; one that shares windows is given stretches.
        collator: of the book's rows.
        rows: ``(W,)`` last row of each window, increasing.
        decisions: ``(W,)`` their numbers among the hand-made features; default 0, 1, ...
        label: of the progress bar.
    """
    columns = class_columns(model.config)
    numbers = np.arange(rows.size) if decisions is None else decisions
    probability = np.empty((rows.size, len(columns)))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in progress(_batches(collator, rows), label=label, unit="batches"):
            given = collator.model_input(rows[batch], numbers[batch])
            on_device = {name: values.to(model.device) for name, values in given.items()}
            logits = model(**on_device).logits.double()
            probability[batch] = torch.softmax(logits, dim=-1)[:, columns].cpu().numpy()
    model.train(was_training)
    return probability


def _batches(collator: BookCollator, rows: IntArray) -> list[slice]:
    if collator.shares_windows:
        return batches_of_rows(rows, window=collator.window, most_rows=_SHARED_ROWS)
    return [slice(start, start + _BATCH) for start in range(0, len(rows), _BATCH)]


def predict_book(run: Path, book_path: Path, output: Path) -> int:
    """Write a predictions table of a run's model for every decision after its training.

    Decisions at or before the end of its training are left out and counted.

    Returns:
        The number of decisions written.

    Raises:
        DataError: the book has other levels, or lies wholly before the end of the training.
        ModelError: the run has no model that can be loaded.
    """
    if output.is_dir():
        raise DataError(f"{output}: is a folder; name the file to write, such as out.parquet")
    folder = run / "model"
    if (folder / "tokenizer.json").is_file():
        raise DataError(f"{run}: is a run over texts; give --texts FILE instead of --book")
    preprocessing = load_preprocessing(folder)
    book = read_book(book_path, mapped=True)
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
    model = saved_model(folder, preprocessing)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".predicting-") as temporary:
        collator = _collator(
            book,
            decisions,
            preprocessing,
            Path(temporary),
            shares_windows=bool(getattr(model, "shares_windows", False)),
        )
        probability = predict_probabilities(
            model, collator, rows=decisions.rows, label="predicting"
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


def saved_model(folder: Path, preprocessing: Preprocessing) -> PreTrainedModel:
    """The model of a finished run's model folder.

    Raises:
        ModelError: it cannot be loaded whole, or is another than its preprocessing was saved with.
    """
    try:
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            folder, output_loading_info=True
        )
    except (HfrunError, OSError, ValueError, RuntimeError, TypeError, SafetensorError) as error:
        raise ModelError(f"{folder}: no model that can be loaded ({error})") from error
    absent = sorted(loaded["missing_keys"])  # they would be drawn at random
    if absent:
        raise ModelError(f"{folder}: the weights lack {len(absent)}, such as {absent[0]}")
    for name in ("window", "levels"):
        saved, known = getattr(model.config, name, None), getattr(preprocessing, name)
        if saved not in (None, known):
            raise ModelError(
                f"{folder}: config.json says {name}={saved} and preprocessing.json {known}; give "
                "the model folder as its run left it"
            )
    found: PreTrainedModel = model
    return found


def _labels(
    book: Book, decisions: Decisions, preprocessing: Preprocessing
) -> tuple[IntArray, IntArray]:
    """Labels and their ends; ``executable`` ones need a backtest's costs and stay unknown."""
    if preprocessing.label.kind == "executable":
        return np.full(decisions.n, UNKNOWN, dtype=np.int64), decisions.decided_ns
    moves = moves_of(book, decisions, preprocessing.label)
    label = classify(moves.move_ticks, threshold_ticks=preprocessing.threshold_ticks)
    return label, moves.label_end_ns


def _collator(
    book: Book,
    decisions: Decisions,
    preprocessing: Preprocessing,
    folder: Path,
    *,
    shares_windows: bool,
) -> BookCollator:
    """Write the model's input files for these decisions, and open them."""
    scaler, hand_path = preprocessing.hand_scaler, None
    if scaler is not None:
        hand_path = write_scaled(book, decisions, scaler, folder / "hand_features.npy")
    return BookCollator(
        write_rows(book, preprocessing.normalizer, folder / "rows.npy"),
        window=preprocessing.window,
        shares_windows=shares_windows,
        hand_path=hand_path,
    )


def book_inputs(folder: Path, book_path: Path, *, n: int) -> dict[str, torch.Tensor]:
    """The input of a model folder's model for the last ``n`` decisions of a book.

    Returns:
        ``features`` ``(n, T, 4 L)``, and ``hand_features`` ``(n, K)`` for a model with a skip path.
    """
    preprocessing = load_preprocessing(folder)
    book = read_book(book_path, mapped=True)
    _check_levels(preprocessing, book)
    decisions = decisions_of(book, preprocessing.decisions, window=preprocessing.window)
    last = decisions.select(np.arange(max(decisions.n - n, 0), decisions.n))
    with tempfile.TemporaryDirectory() as temporary:
        collator = _collator(book, last, preprocessing, Path(temporary), shares_windows=False)
        return collator.model_input(last.rows, np.arange(last.n))


def _check_levels(preprocessing: Preprocessing, book: Book) -> None:
    if book.n_levels != preprocessing.levels:
        raise DataError(
            f"the book has {book.n_levels} levels and the model was trained on "
            f"{preprocessing.levels}; import the book with that many levels"
        )
