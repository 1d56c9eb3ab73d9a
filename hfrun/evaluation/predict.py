"""Predictions of a trained model: for the decisions of a fold, and for any book of its kind."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.data.hand_features import write_scaled
from hfrun.data.stretches import batches_of_rows
from hfrun.data.windows import BookCollator, write_rows
from hfrun.errors import DataError, HfrunError, ModelError
from hfrun.models.class_order import class_columns
from hfrun.models.preprocessing import FILE_NAME, Preprocessing, load_preprocessing
from hfrun.models.raw_book import check_levels
from lob_backtest.book import Book, FloatArray, IntArray, blocks, read_book
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
    label: str | None,
    most_windows: int | None = None,
) -> FloatArray:
    """Probabilities ``(W, 3)`` float64 of down, flat, up for the windows that end at ``rows``.

    The model's own column order (``id2label``) is looked at, not assumed.

    Args:
        model: any that takes ``features``; one that shares windows is given stretches.
        collator: of the book's rows.
        rows: ``(W,)`` last row of each window, increasing.
        decisions: ``(W,)`` their numbers among the hand-made features; default 0, 1, ...
        label: of the progress bar; None shows none.
        most_windows: at a time; None for as many as are fastest on a processor.
    """
    columns = class_columns(model.config)
    numbers = np.arange(rows.size) if decisions is None else decisions
    probability = np.empty((rows.size, len(columns)))
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        batches = _batches(collator, rows, most_windows)
        shown = batches if label is None else progress(batches, label=label, unit="batches")
        for batch in shown:
            given = collator.model_input(rows[batch], numbers[batch])
            on_device = {name: values.to(model.device) for name, values in given.items()}
            logits = model(**on_device).logits.double()
            probability[batch] = torch.softmax(logits, dim=-1)[:, columns].cpu().numpy()
    model.train(was_training)
    return probability


def _batches(collator: BookCollator, rows: IntArray, most_windows: int | None) -> list[slice]:
    if not collator.shares_windows:
        return list(blocks(len(rows), most_windows or _BATCH))
    shared = batches_of_rows(rows, window=collator.window, most_rows=_SHARED_ROWS)
    if most_windows is None:
        return shared
    return [
        slice(batch.start + part.start, batch.start + part.stop)
        for batch in shared
        for part in blocks(batch.stop - batch.start, most_windows)
    ]


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
    check_levels(preprocessing, book)
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
    label, label_end_ns = labels_of(book, decisions, preprocessing)
    model = saved_model(folder, preprocessing)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open_collator(
        book,
        decisions,
        preprocessing,
        scratch=output.parent,
        shares_windows=bool(getattr(model, "shares_windows", False)),
    ) as collator:
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
    check_belongs(model, preprocessing, source=str(folder))
    found: PreTrainedModel = model
    return found


def check_belongs(model: PreTrainedModel, preprocessing: Preprocessing, *, source: str) -> None:
    """Refuse a model with the preprocessing of another.

    Raises:
        ModelError: they differ in their window or levels.
    """
    for name in ("window", "levels"):
        saved, known = getattr(model.config, name, None), getattr(preprocessing, name)
        if saved not in (None, known):
            raise ModelError(
                f"{source}: config.json says {name}={saved} and {FILE_NAME} {known}; give "
                "the model folder as its run left it"
            )


def labels_of(
    book: Book, decisions: Decisions, preprocessing: Preprocessing
) -> tuple[IntArray, IntArray]:
    """Labels and their ends; ``executable`` ones need a backtest's costs and stay unknown."""
    if preprocessing.label.kind == "executable":
        return np.full(decisions.n, UNKNOWN, dtype=np.int64), decisions.decided_ns
    moves = moves_of(book, decisions, preprocessing.label)
    label = classify(moves.move_ticks, threshold_ticks=preprocessing.threshold_ticks)
    return label, moves.label_end_ns


@contextmanager
def open_collator(
    book: Book,
    decisions: Decisions,
    preprocessing: Preprocessing,
    *,
    scratch: Path | None = None,
    shares_windows: bool,
) -> Iterator[BookCollator]:
    """Write the model's input files for these decisions, and open them for the while.

    Args:
        scratch: folder to write them in; by default the system's own for such files.
        shares_windows: whether the model takes windows inside stretches.
    """
    scaler, hand_path = preprocessing.hand_scaler, None
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".predicting-") as temporary:
        folder = Path(temporary)
        if scaler is not None:
            hand_path = write_scaled(book, decisions, scaler, folder / "hand_features.npy")
        yield BookCollator(
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
    check_levels(preprocessing, book)
    decisions = decisions_of(book, preprocessing.decisions, window=preprocessing.window)
    last = decisions.select(np.arange(max(decisions.n - n, 0), decisions.n))
    with open_collator(book, last, preprocessing, shares_windows=False) as collator:
        return collator.model_input(last.rows, np.arange(last.n))
