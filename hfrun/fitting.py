"""Fit one fold: normalise on its train part, train, choose the checkpoint, predict.

What a fold leaves in its folder; ``figures.json`` is written last and says that it is whole:

    checkpoint-*  model/  metrics.jsonl  grad_norm.jsonl
    predictions.parquet  validation_predictions.parquet  figures.json
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import PartialState
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.config import HfrunConfig
from hfrun.data.preprocessing import Preprocessing
from hfrun.data.windows import window_dataset, write_rows
from hfrun.errors import DataError, ModelError, TrainingError
from hfrun.evaluation.metrics import compute_metrics
from hfrun.evaluation.predict import predict_probabilities
from hfrun.training.step_records import read_step_records
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.trainer import GRAD_NORM_FILE, MeasuredTrainer
from hfrun.training.values import DropoutSchedule, WeightDecaySchedule
from hfrun.training.weighting import LossOptions, clipped_sample_weights
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.files import write_json
from lob_backtest.normalize import Normalizer, fit_normalizer
from lob_backtest.predictions import write_predictions
from lob_backtest.prepare import Prepared
from lob_backtest.splits import Fold

TEST_FILE = "predictions.parquet"
VALIDATION_FILE = "validation_predictions.parquet"

# Without these a chosen checkpoint would be the last one, whatever it is worth.
_ARGUMENT_DEFAULTS = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "eval_loss",
    "greater_is_better": False,
    "save_total_limit": 2,
    "dataloader_pin_memory": torch.cuda.is_available(),
    "use_cpu": not torch.accelerator.is_available(),  # else bf16 is refused on a CPU
    "report_to": "none",
    "ddp_find_unused_parameters": False,
}


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


def training_arguments(config: HfrunConfig, folder: Path) -> TrainingArguments:
    """The run's TrainingArguments.

    Raises:
        TrainingError: transformers refuses a value.
    """
    chosen = {**_ARGUMENT_DEFAULTS, **config.training.arguments}
    try:
        return TrainingArguments(
            output_dir=str(folder),
            seed=config.run.seed,
            remove_unused_columns=False,  # windows are formed on access from the row number
            logging_nan_inf_filter=False,
            **chosen,
        )
    except (ValueError, TypeError, NotImplementedError, RuntimeError, ImportError) as error:
        raise TrainingError(f"training: {error}") from error


def check_trainable(config: HfrunConfig, prepared: Prepared) -> None:
    """Refuse, before anything is written, what would only fail folds later.

    Raises:
        TrainingError: arguments that transformers refuses, or weightings that multiply.
        DataError: an optimizer step needs more samples than a fold has.
        ModelError: the model's config is refused.
    """
    arguments = training_arguments(config, Path(config.run.output_dir))
    loss_options(config)
    step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    for fold in prepared.folds:
        if step > len(fold.train):
            raise DataError(
                f"fold {fold.fold}: an optimizer step takes {step} samples "
                f"(per_device_train_batch_size={arguments.per_device_train_batch_size}, "
                f"gradient_accumulation_steps={arguments.gradient_accumulation_steps}, "
                f"{arguments.world_size} processes) and its train part has {len(fold.train)}; "
                "use a smaller batch or a longer train part"
            )


def loss_options(config: HfrunConfig) -> LossOptions:
    """How training weighs its samples, from the config."""
    loss = config.training.loss
    return LossOptions(
        label_smoothing=loss.label_smoothing,
        class_weights=None if loss.class_weights == "none" else loss.class_weights,
        sample_weights=loss.sample_weights != "none",
        balanced_sampler=loss.balanced_sampler,
        allow_combined_weighting=loss.allow_combined_weighting,
    )


def build_model(config: HfrunConfig, *, levels: int) -> PreTrainedModel:
    """A new model of the configured type, or the pretrained one with the config's overrides.

    Raises:
        ModelError: weights that cannot be loaded, or that were made for other data.
    """
    overrides = dict(config.model.config)
    if config.model.pretrained is None:
        shape = {"levels": levels, "window": config.data.window}
        model_config = AutoConfig.for_model(config.model.type, **shape, **overrides)
        return AutoModelForSequenceClassification.from_config(model_config)
    try:
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            config.model.pretrained, **overrides
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"model.pretrained={config.model.pretrained}: {error}") from error
    if getattr(model.config, "levels", levels) != levels:
        raise ModelError(
            f"model.pretrained={config.model.pretrained} was made for {model.config.levels} "
            f"levels; the book has {levels}"
        )
    return model


def fit_fold(
    config: HfrunConfig, book: Book, prepared: Prepared, fold: Fold, files: FoldFiles
) -> None:
    """Train on a fold's train part, choose on validation, and predict validation and test.

    A checkpoint in the folder is resumed. Test labels are only written beside the predictions.
    """
    started = time.monotonic()
    files.folder.mkdir(parents=True, exist_ok=True)
    set_seed(config.run.seed)
    normalizer = _fold_normalizer(config, book, prepared, fold)
    rows_path = files.folder / "rows.npy"
    with PartialState().main_process_first():
        if PartialState().is_main_process:
            write_rows(book, normalizer, rows_path)
    trainer = _trainer(config, book, prepared, fold, files, rows_path)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(files.folder)))
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    # not trainer.save_model: it adds a pickle of the arguments, with paths of this machine
    model.save_pretrained(files.model)
    Preprocessing(
        window=config.data.window,
        levels=book.n_levels,
        normalizer=normalizer,
        decisions=config.data.decisions,
        label=config.data.label,
        threshold_ticks=prepared.threshold(fold),
        train_end_ns=fold.train_end_ns,
    ).save(files.model)
    parts: tuple[tuple[Literal["validation", "test"], IntArray, str], ...] = (
        ("validation", fold.validation, VALIDATION_FILE),
        ("test", fold.test, TEST_FILE),
    )
    for part, chosen, name in parts:
        probability = predict_probabilities(
            model,
            rows_path,
            rows=prepared.decisions.rows[chosen],
            window=config.data.window,
            label=f"predicting {part}",
        )
        table = prepared.predictions(fold, part, probability)
        write_predictions(table, files.folder / name)
    rows_path.unlink()
    figures = _figures(trainer, fold, seconds=time.monotonic() - started)
    write_json(files.folder / "figures.json", figures)


def _fold_normalizer(config: HfrunConfig, book: Book, prepared: Prepared, fold: Fold) -> Normalizer:
    """Fitted on the rows that the fold's train windows see, and on no later one."""
    rows = prepared.decisions.rows[fold.train]
    normalize = config.data.normalize
    return fit_normalizer(
        book,
        start_row=int(rows[0]) - config.data.window + 1,
        stop_row=int(rows[-1]) + 1,
        prices=normalize.prices,
        slow_mean_rows=normalize.slow_mean_rows,
        sizes=normalize.sizes,
    )


def _trainer(
    config: HfrunConfig,
    book: Book,
    prepared: Prepared,
    fold: Fold,
    files: FoldFiles,
    rows_path: Path,
) -> MeasuredTrainer:
    labels = prepared.labels(fold)
    callbacks: list[Any] = []
    if config.callbacks.dropout_schedule is not None:
        callbacks.append(DropoutSchedule(config.callbacks.dropout_schedule))
    if config.callbacks.weight_decay_schedule is not None:
        callbacks.append(WeightDecaySchedule(config.callbacks.weight_decay_schedule))

    def dataset(part: IntArray, weight: FloatArray | None = None) -> Any:
        return window_dataset(
            rows_path,
            rows=prepared.decisions.rows[part],
            labels=labels[part],
            window=config.data.window,
            sample_weight=weight,
        )

    return MeasuredTrainer(
        model=build_model(config, levels=book.n_levels),
        args=training_arguments(config, files.folder),
        train_dataset=dataset(fold.train, _sample_weights(config, prepared, fold)),
        eval_dataset=dataset(fold.validation),
        compute_metrics=compute_metrics,
        callbacks=callbacks,
        loss=loss_options(config),
        schedule=config.training.schedule,
        stop_rules=stop_rules_from(config.stop_rules),
        gap_samples=config.callbacks.gap_samples,
        train_labels=labels[fold.train],
        channels_last=True,
    )


def _sample_weights(config: HfrunConfig, prepared: Prepared, fold: Fold) -> FloatArray | None:
    """Weights in proportion to the size of the move, clipped, with mean 1."""
    loss = config.training.loss
    if loss.sample_weights == "none":
        return None
    low, high = loss.clip_sample_weights
    size = np.abs(prepared.moves.move_ticks[fold.train])
    return clipped_sample_weights(size / size.mean(), low=low, high=high)


def _figures(trainer: MeasuredTrainer, fold: Fold, *, seconds: float) -> dict[str, Any]:
    """Figures of the chosen checkpoint, and what the training did."""
    evaluations = [entry for entry in trainer.state.log_history if "train_accuracy" in entry]
    if not evaluations:
        raise TrainingError(
            "the training ended before its first evaluation; set training.eval_strategy so that "
            "there is at least one"
        )
    best_step = trainer.state.best_global_step
    chosen = next((entry for entry in evaluations if entry["step"] == best_step), evaluations[-1])
    kept = ("epoch", "step", "eval_loss", "eval_accuracy", "eval_f1_weighted", "train_accuracy",
            "train_cross_entropy", "train_eval_gap")  # fmt: skip
    return {
        "fold": fold.fold,
        "train_decisions": len(fold.train),
        "validation_decisions": len(fold.validation),
        "test_decisions": len(fold.test),
        "purged": fold.n_purged,
        **{name: chosen[name] for name in kept},
        "epochs_trained": trainer.state.epoch,
        "seconds": round(seconds, 1),
        **trainer.run_summary(),
    }
