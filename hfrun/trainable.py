"""A dress rehearsal: what would end a run is found before its folder is claimed.

Every fold's trainer is put together as it will be, optimizer and schedule included, in a folder
that is thrown away. Only the training itself does not take place.
"""

import difflib
import tempfile
from pathlib import Path

import torch
from transformers import PreTrainedModel, TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from hfrun.config import AnyRunConfig, HfrunConfig
from hfrun.data.windows import InputFiles
from hfrun.errors import DataError, ModelError, TrainingError
from hfrun.evaluation.metrics import REPORTED
from hfrun.fold_trainer import (
    build_model,
    fold_trainer,
    is_greater_better,
    scheduled_values,
    training_arguments,
)
from hfrun.models.class_order import class_columns
from hfrun.models.preprocessing import load_preprocessing, preprocessing_path
from hfrun.models.skip_path import reads_hand_features
from hfrun.training.step_records import STATISTICS
from hfrun.training.stop_rules import check_metric_names, stop_rules_from
from hfrun.training.trainer import MeasuredTrainer
from lob_backtest.errors import LobBacktestError
from lob_backtest.features import hand_feature_names
from lob_backtest.normalize import Normalizer
from lob_backtest.prepare import Prepared
from lob_backtest.splits import Fold

# What the Trainer can choose a checkpoint by: it looks for names with this prefix alone.
CHOOSABLE = ("eval_loss", *(f"eval_{name}" for name in REPORTED))

# What a stop rule can watch: every figure that an evaluation during training carries.
EVALUATED = (
    *CHOOSABLE,
    "train_eval_gap",
    "train_accuracy",
    "train_f1_weighted",
    "train_cross_entropy",
    "train_loss",
    *STATISTICS,
    "grad_norm_non_finite",
)


def check_trainable(config: HfrunConfig, prepared: Prepared, *, levels: int) -> None:
    """Refuse, before anything is written, what would only fail folds later.

    Args:
        config: of the run.
        prepared: its decisions, labels and folds.
        levels: of the book.

    Raises:
        ConfigError: a stop rule watches a metric that no evaluation carries.
        TrainingError: arguments that transformers refuses, weightings that multiply or lack a
            class, a warm-up as long as the run, no evaluation to choose a checkpoint by.
        DataError: an optimizer step needs more samples than a fold has.
        ModelError: the model cannot be built, or cannot read the book's windows.
    """
    arguments = check_options(config)
    _check_batch(arguments, prepared)
    _check_unseen(config, prepared)
    model = build_model(config, levels=levels)
    _check_windows(model, config, levels=levels)
    check_model_options(model, config, arguments)
    with tempfile.TemporaryDirectory() as folder:
        for fold in prepared.folds:
            _rehearse(config, prepared, fold, model=model, folder=Path(folder))


def check_options(config: AnyRunConfig) -> TrainingArguments:
    """What can be seen without the data: arguments, stop rules, the choice of a checkpoint.

    Raises:
        ConfigError, TrainingError: see ``check_trainable``.
    """
    arguments = training_arguments(config, Path(config.run.output_dir))
    check_metric_names(stop_rules_from(config.stop_rules), EVALUATED)
    _check_choice(arguments)
    scheduled_values(config)
    return arguments


def _check_choice(arguments: TrainingArguments) -> None:
    """How a checkpoint is chosen: by a metric that there is, the right way round."""
    if arguments.eval_strategy == IntervalStrategy.NO:
        raise TrainingError(
            "training.eval_strategy=no: nothing would say what the model is worth; choose epoch "
            "or steps"
        )
    metric = arguments.metric_for_best_model
    if metric is not None:
        name = metric if metric.startswith("eval_") else f"eval_{metric}"
        if name not in CHOOSABLE:
            near = difflib.get_close_matches(name, CHOOSABLE, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TrainingError(
                f"training.metric_for_best_model={metric}: no evaluation reports it; {hint}"
                f"known: {', '.join(CHOOSABLE)}"
            )
        if arguments.greater_is_better != is_greater_better(name):
            raise TrainingError(
                f"training.greater_is_better={arguments.greater_is_better} with "
                f"metric_for_best_model={metric} would choose the worst checkpoint; leave "
                "greater_is_better out, it follows from the metric"
            )
    is_best_of_steps = (
        arguments.load_best_model_at_end and arguments.save_strategy == SaveStrategy.STEPS
    )
    if is_best_of_steps and arguments.save_steps != arguments.eval_steps:
        raise TrainingError(
            f"training.save_steps={arguments.save_steps} and eval_steps={arguments.eval_steps}: "
            "an evaluation without a checkpoint could be the best; set both to the same number"
        )


def _check_batch(arguments: TrainingArguments, prepared: Prepared) -> None:
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


def _check_unseen(config: HfrunConfig, prepared: Prepared) -> None:
    """Pretrained weights of ours say until when they looked: not into what they are judged on."""
    source = Path(config.model.pretrained or "")
    if config.model.pretrained is None or preprocessing_path(source) is None:
        return  # weights from elsewhere do not say; the report cannot know either
    known = load_preprocessing(source)
    _check_same_inputs(known.normalizer, config)
    seen_ns = known.train_end_ns
    for fold in prepared.folds:
        first_ns = int(prepared.decisions.decided_ns[fold.validation[0]])
        if seen_ns >= first_ns:
            raise ModelError(
                f"model.pretrained={source}: its training looked at data up to {seen_ns} ns, and "
                f"fold {fold.fold} is chosen and judged on data from {first_ns} ns on; start from "
                "weights of before, or from none"
            )


def _check_same_inputs(normalizer: Normalizer, config: HfrunConfig) -> None:
    """Each column of the rows still means what the weights were trained on."""
    looked_at = ["inputs", "sizes"] + ["prices"] * (normalizer.inputs == "levels")
    for name in looked_at:
        had, has = getattr(normalizer, name), getattr(config.data.normalize, name)
        if had != has:
            raise ModelError(
                f"model.pretrained={config.model.pretrained}: it was trained on rows with "
                f"{name}: {had}, and data.normalize.{name} says {has}; set {had} there"
            )


def _check_windows(model: PreTrainedModel, config: HfrunConfig, *, levels: int) -> None:
    """One window of zeros goes through, and gives a logit for each of down, flat, up."""
    columns = class_columns(model.config)
    shape = (1, config.data.window, 4 * levels)
    given = {"features": torch.zeros(shape, device=model.device)}
    if reads_hand_features(model):
        wide = len(hand_feature_names(levels))
        given["hand_features"] = torch.zeros((1, wide), device=model.device)
    try:
        with torch.inference_mode():
            logits = model.eval()(**given).logits
    except (ModelError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{type(model).__name__} cannot read windows of shape {shape} (data.window rows, "
            f"4 columns a level): {error}"
        ) from error
    if tuple(logits.shape) != (1, len(columns)):
        raise ModelError(
            f"{type(model).__name__} gives {tuple(logits.shape)} for one window; needs "
            f"{len(columns)} logits, one for each of down, flat and up"
        )


def check_model_options(
    model: PreTrainedModel, config: AnyRunConfig, arguments: TrainingArguments
) -> None:
    """What is only applied to the model once training runs."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    # each in a group of its own, of which those that decay can be told from the others
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in trained], lr=1.0)
    for callback in scheduled_values(config):
        callback.set_value(callback.schedule.at(0), model=model, optimizer=optimizer)
    if arguments.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise TrainingError(
            f"training.activation_checkpointing: {type(model).__name__} has none; leave it out"
        )


def _rehearse(
    config: HfrunConfig, prepared: Prepared, fold: Fold, *, model: PreTrainedModel, folder: Path
) -> None:
    inputs = InputFiles(folder, with_hand_features=reads_hand_features(model))
    try:
        rehearse(fold_trainer(config, prepared, fold, model=model, inputs=inputs))
    except LobBacktestError as error:
        raise type(error)(f"fold {fold.fold}: {error}") from error


def rehearse(trainer: MeasuredTrainer) -> None:
    """Do all that comes before the first step.

    Raises:
        TrainingError: what transformers refuses, or no step or no evaluation in the whole run.
    """
    try:
        steps, epochs = _planned(trainer)
        _check_evaluated(trainer.args, steps=steps, epochs=epochs)
        trainer.create_optimizer_and_scheduler(num_training_steps=steps)
    except LobBacktestError:
        raise
    except (ValueError, TypeError, NotImplementedError, RuntimeError, ImportError) as error:
        raise TrainingError(f"training: {error}") from error


def _planned(trainer: MeasuredTrainer) -> tuple[int, float]:
    """Optimizer steps and epochs of the whole run, as the Trainer will count them."""
    loader = trainer.get_train_dataloader()  # a balanced sampler looks at its classes here
    planned = trainer.set_initial_training_values(trainer.args, loader)
    steps_an_epoch, steps = planned[1], planned[-1]
    return steps, steps / steps_an_epoch


def _check_evaluated(arguments: TrainingArguments, *, steps: int, epochs: float) -> None:
    """There is a step, and an evaluation: the Trainer makes one at the end, unless delayed."""
    if steps < 1:
        raise TrainingError(
            f"training.num_train_epochs={arguments.num_train_epochs:g} is {steps} optimizer "
            "steps; needs at least one"
        )
    is_by_epoch = arguments.eval_strategy == IntervalStrategy.EPOCH
    end = epochs if is_by_epoch else steps
    if arguments.eval_delay > end:
        unit = "epochs" if is_by_epoch else "steps"
        raise TrainingError(
            f"training.eval_delay={arguments.eval_delay:g}: the run ends after {end:g} {unit}, "
            "before its first evaluation; shorten the delay or train for longer"
        )
