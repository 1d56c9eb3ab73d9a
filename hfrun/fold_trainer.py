"""The trainer of one fold, from the config: its arguments, model, data and callbacks."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    TrainingArguments,
)

import hfrun.models  # noqa: F401  (registers our models with the Auto classes)
from hfrun.config import AnyRunConfig, HfrunConfig
from hfrun.data.stretches import StretchSampler
from hfrun.data.windows import BookCollator, InputFiles, decision_dataset
from hfrun.errors import ModelError, TrainingError
from hfrun.evaluation.metrics import compute_metrics
from hfrun.models.pretrained import load_pretrained
from hfrun.models.skip_path import reads_hand_features
from hfrun.training.precision import has_fast_bfloat16
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.trackers import set_up_trackers, trackers_from
from hfrun.training.trainer import MeasuredTrainer
from hfrun.training.values import DropoutSchedule, ScheduledValue, WeightDecaySchedule
from hfrun.training.weighting import clipped_sample_weights
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.features import hand_feature_names
from lob_backtest.prepare import Prepared
from lob_backtest.splits import Fold

# Without these a chosen checkpoint would be the last one, whatever it is worth.
_ARGUMENT_DEFAULTS = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "eval_loss",
    "save_total_limit": 2,
    "dataloader_pin_memory": torch.cuda.is_available(),
    "use_cpu": not torch.accelerator.is_available(),  # else bf16 is refused on a CPU
    "ddp_find_unused_parameters": False,
}

# Endings of the names of metrics of which less is better; of all others more is.
_LOWER_IS_BETTER = ("loss", "cross_entropy", "gap", "ece", "brier")


def training_arguments(config: AnyRunConfig, folder: Path) -> TrainingArguments:
    """The run's TrainingArguments.

    Raises:
        TrainingError: transformers refuses a value, or a tracker is not known or not installed.
    """
    chosen = {**_ARGUMENT_DEFAULTS, "run_name": str(folder), **config.training.arguments}
    chosen["report_to"] = trackers_from(chosen.get("report_to"))
    chosen.setdefault("bf16", has_fast_bfloat16() and not chosen.get("fp16"))
    if chosen.get("greater_is_better") is None and chosen["metric_for_best_model"] is not None:
        chosen["greater_is_better"] = is_greater_better(chosen["metric_for_best_model"])
    try:
        arguments = TrainingArguments(
            output_dir=str(folder),
            seed=config.run.seed,
            remove_unused_columns=False,  # windows are formed on access from the row number
            logging_nan_inf_filter=False,
            **chosen,
        )
    except (ValueError, TypeError, NotImplementedError, RuntimeError, ImportError) as error:
        raise TrainingError(f"training: {error}") from error
    # Several GPUs of one process would each be given a part of the stretches, and of the decisions
    # in them, that do not belong together; a process a GPU is what accelerate launch is for.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def is_greater_better(metric: str) -> bool:
    """Which way a metric of an evaluation is better, by its name.

    >>> is_greater_better("eval_f1_weighted"), is_greater_better("eval_loss")
    (True, False)
    """
    return not metric.endswith(_LOWER_IS_BETTER)


def build_model(config: HfrunConfig, *, levels: int) -> PreTrainedModel:
    """A new model of the configured type, or the pretrained one with the config's overrides.

    Raises:
        ModelError: sizes that no model can have, weights that cannot be loaded, or that were
            made for other data.
    """
    window, overrides = config.data.window, dict(config.model.config)
    if config.model.pretrained is not None:
        model = load_pretrained(
            config.model.pretrained,
            model_type=config.model.type,
            levels=levels,
            window=window,
            overrides=overrides,
        )
        has_path = reads_hand_features(model)
        if overrides.get("skip", has_path) is not has_path:
            raise ModelError(
                f"model.pretrained={config.model.pretrained}: its weights are of a model "
                f"{'with' if has_path else 'without'} a skip path and model.config.skip says "
                f"{overrides['skip']}; leave skip out of model.config, or train from none"
            )
        return model
    try:
        wide = len(hand_feature_names(levels)) if overrides.get("skip") is True else 0
        model_config = AutoConfig.for_model(
            config.model.type, levels=levels, window=window, hand_features=wide, **overrides
        )
        return AutoModelForSequenceClassification.from_config(model_config)
    except (ModelError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"model.config={overrides} with data.window={window}: {error}") from error


def fold_collator(config: HfrunConfig, model: PreTrainedModel, inputs: InputFiles) -> BookCollator:
    """Forms the model's batches from the fold's input files."""
    return BookCollator(
        inputs.rows,
        window=config.data.window,
        stretch=config.training.stretch,
        shares_windows=bool(getattr(model, "shares_windows", False)),
        hand_path=inputs.hand_features,
    )


def fold_trainer(
    config: HfrunConfig,
    prepared: Prepared,
    fold: Fold,
    *,
    model: PreTrainedModel,
    inputs: InputFiles,
) -> MeasuredTrainer:
    """The trainer of a fold in the inputs' folder; their files are opened at the first batch.

    Raises:
        TrainingError: options that transformers refuses, or that do not fit the fold's labels.
    """
    labels, rows = prepared.labels(fold), prepared.decisions.rows
    window, stretch = config.data.window, config.training.stretch
    collator = fold_collator(config, model, inputs)

    def dataset(part: IntArray, weight: FloatArray | None = None) -> Any:
        return decision_dataset(
            rows=rows[part],
            labels=labels[part],
            window=window,
            sample_weight=weight,
            decisions=part if inputs.with_hand_features else None,
        )

    trainer = MeasuredTrainer(
        model=model,
        args=training_arguments(config, inputs.folder),
        train_dataset=dataset(fold.train, _sample_weights(config, prepared, fold)),
        eval_dataset=dataset(fold.validation),
        data_collator=collator.training,
        evaluation_collator=collator.evaluation,
        train_sampler=StretchSampler(
            rows[fold.train],
            window=window,
            stretch=stretch if collator.shares_windows else 1,
            seed=config.run.seed,
        ),
        compute_metrics=compute_metrics,
        callbacks=scheduled_values(config),
        loss=config.training.loss.options,
        schedule=config.training.schedule,
        stop_rules=stop_rules_from(config.stop_rules),
        gap_samples=config.callbacks.gap_samples,
        train_labels=labels[fold.train],
        channels_last=True,
    )
    set_up_trackers(trainer)
    return trainer


def scheduled_values(config: AnyRunConfig) -> list[ScheduledValue]:
    """The callbacks that change a value during the run.

    Raises:
        TrainingError: a value that cannot be set.
    """
    callbacks: list[ScheduledValue] = []
    chosen = config.callbacks
    if chosen.dropout_schedule is not None:
        callbacks.append(DropoutSchedule(chosen.dropout_schedule, only=chosen.dropout_layers))
    if chosen.weight_decay_schedule is not None:
        callbacks.append(WeightDecaySchedule(chosen.weight_decay_schedule))
    return callbacks


def _sample_weights(config: HfrunConfig, prepared: Prepared, fold: Fold) -> FloatArray | None:
    """Weights in proportion to the size of the move, clipped, with mean 1."""
    loss = config.training.loss
    if loss.sample_weights == "none":
        return None
    low, high = loss.clip_sample_weights
    size = np.abs(prepared.moves.move_ticks[fold.train])
    return clipped_sample_weights(size / size.mean(), low=low, high=high)
