"""Fit one fold: normalise on its train part, train, choose the checkpoint, predict.

What a fold leaves in its folder; ``figures.json`` is written last and says that it is whole:

    checkpoint-*  model/  metrics.jsonl  grad_norm.jsonl
    predictions.parquet  validation_predictions.parquet  figures.json
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import PartialState
from transformers import PreTrainedModel, set_seed

from hfrun.config import HfrunConfig
from hfrun.data.hand_features import fit_and_write
from hfrun.data.windows import BookCollator, InputFiles, write_rows
from hfrun.errors import TrainingError
from hfrun.evaluation.predict import predict_probabilities
from hfrun.fold_trainer import build_model, fold_collator, fold_trainer, training_arguments
from hfrun.models.preprocessing import Preprocessing
from hfrun.models.skip_path import reads_hand_features, start_from_logistic
from hfrun.training.checkpoints import follow_move, newest_checkpoint, remove_broken_checkpoints
from hfrun.training.step_records import read_step_records
from hfrun.training.trainer import GRAD_NORM_FILE, MeasuredTrainer
from lob_backtest.baselines import fit_logistic
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.features import HandScaler
from lob_backtest.files import write_json
from lob_backtest.normalize import Normalizer, fit_normalizer
from lob_backtest.predictions import write_predictions
from lob_backtest.prepare import Prepared
from lob_backtest.splits import Fold
from lob_backtest.training_figures import TrainingFigures

TEST_FILE = "predictions.parquet"
VALIDATION_FILE = "validation_predictions.parquet"


@dataclass(frozen=True)
class FoldFiles:
    """Where a fold's results are."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def is_complete(self) -> bool:
        return (self.folder / "figures.json").is_file()

    def read_figures(self) -> dict[str, Any]:
        """What ``fit_fold`` noted of the training."""
        text = (self.folder / "figures.json").read_text(encoding="utf-8")
        figures: dict[str, Any] = json.loads(text)
        return figures

    def read_grad_norms(self) -> FloatArray:
        """Gradient norm before clipping at every optimizer step."""
        return np.array([record.norm for record in read_step_records(self.folder / GRAD_NORM_FILE)])


def fit_fold(
    config: HfrunConfig, book: Book, prepared: Prepared, fold: Fold, files: FoldFiles
) -> None:
    """Train on a fold's train part, choose on validation, and predict validation and test.

    The newest whole checkpoint in the folder is resumed. Test labels are only written beside the
    predictions.
    """
    started = time.monotonic()
    files.folder.mkdir(parents=True, exist_ok=True)
    set_seed(config.run.seed)
    normalizer = fold_normalizer(config, book, prepared, fold)
    # Only once there are arguments does a process on a CPU know of the others.
    is_main = training_arguments(config, files.folder).process_index == 0
    model = build_model(config, levels=book.n_levels)
    inputs = InputFiles(files.folder, with_hand_features=reads_hand_features(model))
    scaler = None
    try:
        with PartialState().main_process_first():
            if is_main:
                remove_broken_checkpoints(files.folder)
                follow_move(files.folder)
                scaler = _write_inputs(book, prepared, fold, normalizer, inputs)
        if config.model.pretrained is None:
            _start_from_logistic(model, prepared, fold, inputs)
        trainer = fold_trainer(config, prepared, fold, model=model, inputs=inputs)
        checkpoint = newest_checkpoint(files.folder)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if not is_main:
            return
        trained = trainer.accelerator.unwrap_model(trainer.model)
        # not trainer.save_model: it adds a pickle of the arguments, with paths of this machine
        trained.save_pretrained(files.model)
        preprocessing = _preprocessing(config, book, prepared, fold, normalizer, scaler)
        preprocessing.save(files.model)
        collator = fold_collator(config, trained, inputs)
        _predict(trained, collator, prepared, fold, files)
        train_dev = _train_dev_figures(trained, collator, prepared, fold)
    finally:
        if is_main:
            inputs.remove()
    figures = _figures(trainer, fold, seconds=time.monotonic() - started)
    write_json(files.folder / "figures.json", {**figures, **train_dev})


@contextmanager
def open_fold_trainer(
    config: HfrunConfig, book: Book, prepared: Prepared, fold: Fold, folder: Path
) -> Iterator[MeasuredTrainer]:
    """A fold's trainer as ``fit_fold`` begins with it; its input files go when it closes."""
    model = build_model(config, levels=book.n_levels)
    inputs = InputFiles(folder, with_hand_features=reads_hand_features(model))
    try:
        normalizer = fold_normalizer(config, book, prepared, fold)
        _write_inputs(book, prepared, fold, normalizer, inputs)
        if config.model.pretrained is None:
            _start_from_logistic(model, prepared, fold, inputs)
        yield fold_trainer(config, prepared, fold, model=model, inputs=inputs)
    finally:
        inputs.remove()


def _write_inputs(
    book: Book, prepared: Prepared, fold: Fold, normalizer: Normalizer, inputs: InputFiles
) -> HandScaler | None:
    """The model's rows and, where it reads them, hand-made features standardised by the train
    part, as the logistic baseline sees them."""
    write_rows(book, normalizer, inputs.rows)
    if inputs.hand_features is None:
        return None
    return fit_and_write(book, prepared.decisions, fold.train, inputs.hand_features)


def _start_from_logistic(
    model: PreTrainedModel, prepared: Prepared, fold: Fold, inputs: InputFiles
) -> None:
    """A skip path begins as the logistic baseline of the fold, not below it."""
    if inputs.hand_features is None:
        return
    values = np.load(inputs.hand_features, mmap_mode="r")
    fit = fit_logistic(values[fold.train], prepared.labels(fold)[fold.train])
    weights, bias = torch.from_numpy(fit.weights), torch.from_numpy(fit.bias)
    start_from_logistic(model, weights.float(), bias.float())


def _preprocessing(
    config: HfrunConfig,
    book: Book,
    prepared: Prepared,
    fold: Fold,
    normalizer: Normalizer,
    scaler: HandScaler | None,
) -> Preprocessing:
    return Preprocessing(
        window=config.data.window,
        levels=book.n_levels,
        normalizer=normalizer,
        decisions=config.data.decisions,
        label=config.data.label,
        threshold_ticks=prepared.threshold(fold),
        train_end_ns=fold.train_end_ns,
        hand_scaler=scaler,
        market=book.meta,
    )


def _predict(
    model: PreTrainedModel,
    collator: BookCollator,
    prepared: Prepared,
    fold: Fold,
    files: FoldFiles,
) -> None:
    """Write the predictions tables of the validation and the test block."""
    parts: tuple[tuple[Literal["validation", "test"], IntArray, str], ...] = (
        ("validation", fold.validation, VALIDATION_FILE),
        ("test", fold.test, TEST_FILE),
    )
    for part, chosen, name in parts:
        probability = predict_probabilities(
            model,
            collator,
            rows=prepared.decisions.rows[chosen],
            decisions=chosen,
            label=f"predicting {part}",
        )
        table = prepared.predictions(fold, part, probability)
        write_predictions(table, files.folder / name)


def _train_dev_figures(
    model: PreTrainedModel, collator: BookCollator, prepared: Prepared, fold: Fold
) -> dict[str, float]:
    """Of the block between train and validation, where there is one: unseen, and of train's time.

    What is lost from train to it is variance, what is lost from it to validation is drift.
    """
    chosen = fold.train_dev
    if not chosen.size:
        return {}
    probability = predict_probabilities(
        model,
        collator,
        rows=prepared.decisions.rows[chosen],
        decisions=chosen,
        label="predicting train-dev",
    )
    labels = prepared.labels(fold)[chosen]
    of_label = np.clip(probability[np.arange(labels.size), labels], 1e-12, 1.0)
    return {
        "train_dev_decisions": int(labels.size),
        "train_dev_accuracy": float((probability.argmax(axis=1) == labels).mean()),
        "train_dev_cross_entropy": float(-np.log(of_label).mean()),
    }


def fold_normalizer(config: HfrunConfig, book: Book, prepared: Prepared, fold: Fold) -> Normalizer:
    """Fitted on the rows that the fold's train windows see, and on no later one."""
    rows = prepared.decisions.rows[fold.train]
    normalize = config.data.normalize
    return fit_normalizer(
        book,
        start_row=int(rows[0]) - config.data.window + 1,
        stop_row=int(rows[-1]) + 1,
        inputs=normalize.inputs,
        prices=normalize.prices,
        slow_mean_rows=normalize.slow_mean_rows,
        sizes=normalize.sizes,
    )


def _figures(trainer: MeasuredTrainer, fold: Fold, *, seconds: float) -> dict[str, Any]:
    return {
        "fold": fold.fold,
        "train_decisions": len(fold.train),
        "validation_decisions": len(fold.validation),
        "test_decisions": len(fold.test),
        "purged": fold.n_purged,
        **chosen_figures(trainer, seconds=seconds),
    }


def chosen_figures(trainer: MeasuredTrainer, *, seconds: float) -> dict[str, Any]:
    """Figures of the chosen checkpoint (without a choice, the last), and what the training did."""
    evaluations = [entry for entry in trainer.state.log_history if "train_accuracy" in entry]
    if not evaluations:
        fired = trainer.stopper.fired
        reason = f" ({fired.rule}: {fired.reason})" if fired is not None else ""
        raise TrainingError(
            f"the training ended at step {trainer.state.global_step}{reason}, before its first "
            "evaluation; lower the learning rate, or evaluate more often"
        )
    best_step = trainer.state.best_global_step if trainer.args.load_best_model_at_end else None
    chosen = next((entry for entry in evaluations if entry["step"] == best_step), evaluations[-1])
    kept = ("epoch", "step", "eval_loss", "eval_accuracy", "eval_f1_weighted", "train_accuracy",
            "train_cross_entropy", "train_eval_gap")  # fmt: skip
    return {
        **{name: chosen[name] for name in kept},
        "epochs_trained": trainer.state.epoch,
        "seconds": round(seconds, 1),
        **trainer.run_summary(),
    }


def training_figures(figures: list[dict[str, Any]], fitted: list[FoldFiles]) -> TrainingFigures:
    """What the gates need of the trainings: train accuracy of the chosen checkpoints in evaluation
    mode, and the gradient norms of every optimizer step of every fold, before clipping.
    """
    norms = np.concatenate([files.read_grad_norms() for files in fitted])
    finite = norms[np.isfinite(norms)]
    p50, p95 = np.percentile(finite, [50, 95]).tolist() if finite.size else (None, None)
    return TrainingFigures(
        train_accuracy=tuple(entry["train_accuracy"] for entry in figures),
        grad_norm_p50=p50,
        grad_norm_p95=p95,
        grad_norm_non_finite=int(norms.size - finite.size),
    )
