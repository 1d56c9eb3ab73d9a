"""No leak from book to order: another future changes neither a trained model nor what it decided.

lob_backtest's own test_no_leak covers labels, splits, normalization and features one by one; here
the whole chain runs twice, on a book and on the same book with another future.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from transformers import set_seed

from hfrun.config import HfrunConfig, load_config
from hfrun.data.hand_features import fit_and_write
from hfrun.data.windows import InputFiles, write_rows
from hfrun.evaluation.predict import predict_probabilities
from hfrun.fitting import FoldFiles, fit_fold
from hfrun.fold_trainer import build_model, fold_collator
from hfrun.models.skip_path import reads_hand_features
from lob_backtest.book import Book
from lob_backtest.execution import Execution
from lob_backtest.latency import FixedLatency
from lob_backtest.normalize import fit_normalizer
from lob_backtest.orders import orders_from_targets
from lob_backtest.predictions import read_predictions
from lob_backtest.prepare import Prepared, prepare
from lob_backtest.questions import decisions_of
from lob_backtest.signals import block_bounds, target_positions
from tests.lob_backtest.books import SECOND, random_book, with_other_future

ROOT = Path(__file__).resolve().parents[2]
WINDOW = 20


FLOW = "data.normalize.inputs=order_flow"
SMALL = "conv_channels: 4, inception_channels: 4, lstm_hidden: 4, dropout: 0.2"
FITS = {
    "levels": (),
    "skip and order flow": (FLOW, f"model.config={{{SMALL}, skip: true}}"),
    "mlp with skip": ("model.type=mlp", "model.config={frames: 3, width: 8, skip: true}"),
    "bilstm": ("model.type=bilstm", "model.config={frames: 3, width: 4, depth: 1}"),
}


@pytest.mark.parametrize("overrides", FITS.values(), ids=FITS)
def test_a_model_trained_before_a_moment_is_the_same_whatever_comes_after_it(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    config = one_epoch(*overrides)
    rng = np.random.default_rng(1)
    book = random_book(rng, n_rows=300, n_levels=1, n_sessions=1)
    fold = prepared_for(config, book).folds[0]
    # the future changes in the middle of the first test block
    cut_ns = int(prepared_for(config, book).decisions.decided_ns[fold.test[10]])
    changed = another_future(book, cut_ns, rng)
    fitted = fitted_on(config, (book, changed), tmp_path)
    assert_same_model(*fitted)
    for name in ("validation_predictions.parquet", "predictions.parquet"):
        tables = [read_predictions(files.folder / name) for files in fitted]
        known = [table.decided_ns <= cut_ns for table in tables]
        assert known[0].sum() >= 10
        probabilities = [table.probability[k] for table, k in zip(tables, known, strict=True)]
        assert np.array_equal(*probabilities)
    figures = [files.read_figures() for files in fitted]
    assert figures[0]["eval_loss"] == figures[1]["eval_loss"]


@pytest.mark.parametrize("overrides", FITS.values(), ids=FITS)
def test_what_is_learned_before_choosing_is_of_the_train_part_alone(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    """Statistics, hand-made features, the regression that a model starts from, and its weights."""
    config = one_epoch(
        *overrides,
        "training.load_best_model_at_end=false",
        "training.save_strategy='no'",
        "training.num_train_epochs=2",
    )
    rng = np.random.default_rng(2)
    book = random_book(rng, n_rows=300, n_levels=1, n_sessions=1)
    prepared = prepared_for(config, book)
    # from the first validation decision on, by which train labels are purged, all is different
    first_ns = int(prepared.decisions.decided_ns[prepared.folds[0].validation[0]])
    changed = another_future(book, first_ns, rng)
    fitted = fitted_on(config, (book, changed), tmp_path)
    assert_same_model(*fitted, but=("train_end_ns",))
    losses = [files.read_figures()["eval_loss"] for files in fitted]
    assert losses[0] != losses[1]  # the validation part is another one


def one_epoch(*overrides: str) -> HfrunConfig:
    """One level, one epoch, a few hundred windows."""
    return load_config(
        ROOT / "configs/smoke.yaml",
        [
            "data.book=unused.parquet",
            f"data.window={WINDOW}",
            "data.decisions={every_events: 2}",
            "data.label={kind: mid_move, horizon_events: 5}",
            *("walk_forward.train=60", "walk_forward.validation=20", "walk_forward.test=20"),
            "training.num_train_epochs=1",
            "training.per_device_train_batch_size=32",
            "callbacks.gap_samples=16",
            f"model.config={{{SMALL}}}",
            *overrides,
        ],
    )


def prepared_for(config: HfrunConfig, book: Book) -> Prepared:
    return prepare(book, data=config.data, walk_forward=config.judge.walk_forward)


def another_future(book: Book, cut_ns: int, rng: np.random.Generator) -> Book:
    """The book up to an instant, then other rows at other times."""
    cut = int(book.row_known_at(np.array([cut_ns]))[0]) + 1
    other = random_book(rng, n_rows=200, n_levels=1, n_sessions=1)
    return with_other_future(book, other, cut, after_ns=SECOND)


def fitted_on(config: HfrunConfig, books: tuple[Book, Book], folder: Path) -> list[FoldFiles]:
    """The first fold of each book, fitted."""
    fitted = []
    for name, each in zip(("book", "changed"), books, strict=True):
        files = FoldFiles(folder / name)
        prepared = prepared_for(config, each)
        fit_fold(config, each, prepared, prepared.folds[0], files)
        fitted.append(files)
    return fitted


def assert_same_model(one: FoldFiles, other: FoldFiles, *, but: tuple[str, ...] = ()) -> None:
    """Weights to the bit, and all that a book is made model input with."""
    weights = [load_file(files.model / "model.safetensors") for files in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])
    saved = [
        json.loads((files.model / "preprocessor_config.json").read_text("utf-8"))
        for files in (one, other)
    ]
    for name in but:
        assert saved[0].pop(name) != saved[1].pop(name)
    assert saved[0] == saved[1]
    assert (saved[0]["hand_scaler"] is not None) == any("skip" in name for name in weights[0])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(
    seed=st.integers(0, 2**32 - 1),
    cut_share=st.floats(0.4, 0.9),
    latency_ms=st.integers(0, 3),
    overrides=st.sampled_from(list(FITS.values())),
)
def test_orders_placed_before_a_moment_are_the_same_whatever_comes_after_it(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    cut_share: float,
    latency_ms: int,
    overrides: tuple[str, ...],
) -> None:
    config = one_epoch(*overrides)
    rng = np.random.default_rng(seed)
    book = random_book(rng, n_rows=160, n_levels=1, n_sessions=2)
    ends = np.flatnonzero(book.is_last_of_instant) + 1
    cut = int(ends[int(cut_share * (ends.size - 1))])
    other = random_book(rng, n_rows=80, n_levels=1, n_sessions=1)
    changed = with_other_future(book, other, cut, after_ns=SECOND)
    folder, latency_ns = tmp_path_factory.mktemp("rows"), latency_ms * SECOND // 2
    before, after = (
        chain(config, each, latency_ns=latency_ns, folder=folder / name)
        for name, each in (("book", book), ("changed", changed))
    )
    decided, probability, targets, orders = before
    n = int((decided <= book.time_ns[cut - 1]).sum())  # decisions that were made by then
    assert n > 1
    assert np.array_equal(after[0][:n], decided[:n])
    assert np.array_equal(after[1][:n], probability[:n])
    assert np.array_equal(after[2][:n], targets[:n])
    assert len(np.unique(targets[:n])) > 1
    now_ns = book.time_ns[cut - 1]
    # where the session ends is known from the calendar, here from the book's last row of it
    is_placed, same = (each[3][:, 0] < min(now_ns, decided[n - 1]) for each in (before, after))
    assert np.array_equal(after[3][same], orders[is_placed])


def chain(
    config: HfrunConfig, book: Book, *, latency_ns: int, folder: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Decisions, probabilities, targets and orders of a model with random weights."""
    decisions = decisions_of(book, config.data.decisions, window=WINDOW)
    normalizer = fit_normalizer(
        book, start_row=0, stop_row=30, prices="slow_mean", slow_mean_rows=20, sizes="log",
        inputs=config.data.normalize.inputs,
    )  # fmt: skip
    set_seed(0)
    model = build_model(config, levels=1)
    inputs = InputFiles(folder, with_hand_features=reads_hand_features(model))
    folder.mkdir()
    write_rows(book, normalizer, inputs.rows)
    if inputs.hand_features is not None:
        fit_and_write(book, decisions, np.arange(2), inputs.hand_features)
    collator = fold_collator(config, model, inputs)
    probability = predict_probabilities(model, collator, rows=decisions.rows, label="predicting")
    # random weights hardly tell decisions apart; the digits behind the sixth do
    leaning = np.modf(probability * 1e6)[0] + 1e-9
    fold = np.zeros(decisions.n, dtype=np.int64)
    starts, _ = block_bounds(fold, decisions.session)
    targets = target_positions(
        leaning / leaning.sum(axis=1, keepdims=True),
        threshold=0.34,
        hold_decisions=1,
        position_limit=1.0,
        starts=starts,
    )
    execution = Execution(kind="walk", latency=FixedLatency(ns=latency_ns))
    orders = orders_from_targets(book, decisions.decided_ns, fold, targets, execution=execution)
    columns = [orders.time_ns, orders.row, orders.size, orders.mid, orders.price]
    return decisions.decided_ns, probability, targets, np.column_stack(columns)
