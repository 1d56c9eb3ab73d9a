"""A Trainer whose figures mean what they say.

What differs from transformers' Trainer, and why:

- The evaluation loss is plain cross-entropy, whatever training optimizes: with class weights or
  label smoothing in it, no two configs could be compared.
- The training loss is a sum over samples divided by the number of samples of the whole optimizer
  step, over all micro-batches and processes, so that neither changes loss or gradients. (With
  several processes accelerate fills a last, ragged step with samples from the beginning.)
- An evaluation is of every sample, whatever training drops, and of the model that is saved: on
  several processes with the main one's batch norm statistics.
- The gradient norm is recorded at every step, before and after clipping; logs carry the mean and
  percentiles over the interval that they close, not the last step's norm.
- Accuracy on a fixed part of train is measured in evaluation mode beside every evaluation.
- A loss that is not finite is logged as that, not as 0.
- Weight decay leaves out biases and every normalization layer.
- What is recorded travels with the checkpoint: a resumed run logs what an uninterrupted one would.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from transformers import PrinterCallback, ProgressCallback, Trainer
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils.logging import disable_progress_bar

from hfrun.errors import TrainingError
from hfrun.models.model_folder import let_bars_pass
from hfrun.training.callbacks import MetricsFile, ProgressBar, ProgressLines, StopRulesCallback
from hfrun.training.checkpoints import MEASUREMENTS_FILE
from hfrun.training.losses import mean_over, sample_losses
from hfrun.training.parameter_groups import decayed_parameter_names, grouped_by_rate
from hfrun.training.schedules import ScheduleOptions, build_schedule
from hfrun.training.step_records import StepRecords, mean_loss, norm_statistics
from hfrun.training.stop_rules import StopRules
from hfrun.training.weighting import (
    BalancedSampler,
    IntArray,
    LossOptions,
    balanced_class_weights,
)

GRAD_NORM_FILE = "grad_norm.jsonl"

_log = logging.getLogger(__name__)


class MeasuredTrainer(Trainer):
    """transformers' Trainer for classifiers, on books or text, with the differences above.

    Datasets give the model's inputs, ``labels`` and, for ``LossOptions(sample_weights=True)``,
    ``sample_weight`` (see ``clipped_sample_weights``). Pass ``remove_unused_columns=False`` for
    datasets that form their columns on access.

    Args:
        loss: how training weighs its samples.
        schedule: of the learning rate; None for ``TrainingArguments.lr_scheduler_type``.
        stop_rules: judged at every evaluation, and ``non_finite`` at every step.
        gap_samples: size of the fixed part of train whose accuracy is measured beside every
            evaluation; 0 for none. It is drawn once, by ``TrainingArguments.seed``.
        train_labels: ``(N,)`` classes of the training samples; needed by the balanced sampler
            and by "balanced" class weights, so that no window is formed to look at its label.
        channels_last: keep convolution weights in that memory format, which CPUs prefer.
        train_sampler: order of the training samples, instead of a random one; the balanced
            sampler takes its place.
        evaluation_collator: forms the batches outside training, instead of ``data_collator``.
        rate_factor: of a parameter's name, the share of the learning rate that it takes; None
            for 1.
        kwargs: those of ``Trainer``.

    Raises:
        TrainingError: options that contradict each other or the labels.
    """

    # compute_loss normalises over the whole accumulated batch by itself.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        loss: LossOptions | None = None,
        schedule: ScheduleOptions | None = None,
        stop_rules: StopRules | None = None,
        gap_samples: int = 1024,
        train_labels: IntArray | None = None,
        channels_last: bool = False,
        train_sampler: Sampler[int] | None = None,
        evaluation_collator: Callable[[list[Any]], dict[str, Any]] | None = None,
        rate_factor: Callable[[str], float] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("compute_loss_func") is not None:
            raise TrainingError("compute_loss_func is not used here; say it with LossOptions")
        super().__init__(**kwargs)
        if self.args.label_smoothing_factor:
            raise TrainingError(
                f"label_smoothing_factor={self.args.label_smoothing_factor} would be overruled; "
                "set LossOptions(label_smoothing=...) instead"
            )
        self.args.logging_nan_inf_filter = False
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.loss_options = loss or LossOptions()
        self.schedule_options = schedule
        self.gap_samples = gap_samples
        self.train_labels = train_labels
        self.train_sampler = train_sampler
        self.evaluation_collator = evaluation_collator
        self.rate_factor = rate_factor
        self._order: Sampler[Any] | None = None  # of the training's loader
        self._class_weights = self._class_weight_tensor()
        self._gap_loader: DataLoader[Any] | None = None
        self._step_loss = torch.zeros((), device=self.args.device)
        path = Path(self.args.output_dir) / GRAD_NORM_FILE if self.args.should_save else None
        self.records = StepRecords(path, max_norm=self.args.max_grad_norm)
        self.stopper = StopRulesCallback(stop_rules or StopRules([]), self.records, self.log)
        self.add_callback(MetricsFile())
        self.add_callback(self.stopper)
        self._show_progress_in_our_words()

    # ---- what is optimized ----

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Weighted loss in training; in evaluation plain cross-entropy, mean over the batch."""
        inputs = dict(inputs)
        labels, sample_weight = inputs.pop("labels", None), inputs.pop("sample_weight", None)
        if labels is None:
            raise TrainingError(f"no labels among {sorted(inputs)}; training needs them")
        outputs = model(**inputs)
        if model.training:
            losses = self._training_losses(outputs.logits, labels, sample_weight)
            # processes average their gradients: each gives its share of the whole sum
            processes = 1 if num_items_in_batch is None else self.args.world_size
            loss = mean_over(losses, num_items_in_batch) * processes
        else:
            loss = sample_losses(outputs.logits, labels).mean()
        return (loss, outputs) if return_outputs else loss

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor | int | None]:
        """The micro-batches of an optimizer step and their samples over all processes.

        None of either for a resumed run that a stop rule had ended.
        """
        if self.control.should_training_stop:
            return [], None
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        samples = torch.tensor(sum(len(batch["labels"]) for batch in batches), device=device)
        if self.args.world_size > 1:
            samples = self.accelerator.gather(samples).sum()
        return batches, samples

    def _training_losses(
        self, logits: Tensor, labels: Tensor, sample_weight: Tensor | None
    ) -> Tensor:
        options = self.loss_options
        if options.sample_weights and sample_weight is None:
            raise TrainingError(
                "sample weights were asked for, but the data has no sample_weight column"
            )
        return sample_losses(
            logits,
            labels,
            label_smoothing=options.label_smoothing,
            class_weights=self._class_weights,
            sample_weight=sample_weight if options.sample_weights else None,
        )

    def _class_weight_tensor(self) -> Tensor | None:
        chosen, num_labels = self.loss_options.class_weights, self.model.config.num_labels
        if chosen is None:
            return None
        if isinstance(chosen, str):
            weights = balanced_class_weights(self._known_labels(), num_labels=num_labels)
        else:
            weights = np.asarray(chosen, dtype=np.float64)
        if weights.shape != (num_labels,) or not (np.isfinite(weights) & (weights >= 0)).all():
            raise TrainingError(
                f"class_weights {weights.tolist()}; needs {num_labels} numbers of at least 0"
            )
        return torch.tensor(weights, dtype=torch.float32, device=self.args.device)

    def _known_labels(self) -> IntArray:
        if self.train_labels is None or len(self.train_labels) != len(self.train_dataset):
            got = "none" if self.train_labels is None else f"{len(self.train_labels)}"
            raise TrainingError(
                f"balancing needs train_labels, one a training sample, got {got}; pass them"
            )
        return np.asarray(self.train_labels, dtype=np.int64)

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[Any] | None:
        if self.loss_options.balanced_sampler:
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            labels, num_labels = self._known_labels(), self.model.config.num_labels
            self._order = BalancedSampler(labels, num_labels=num_labels, seed=seed)
        else:
            self._order = self.train_sampler or super()._get_train_sampler(train_dataset)
        return self._order

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As ``Trainer._run_epoch``, telling the sampler the epoch.

        Upstream does, but not through the two wrappers of a run that several processes resume in
        the middle of an epoch: they would draw the first epoch's order.
        """
        if hasattr(self._order, "set_epoch"):
            self._order.set_epoch(kwargs["epoch"])
        super()._run_epoch(*args, **kwargs)

    def _get_dataloader(
        self, dataset: Dataset[Any], description: str, batch_size: int, *args: Any, **kwargs: Any
    ) -> DataLoader[Any]:
        """As ``Trainer._get_dataloader``, with the collator of what the loader is for.

        Outside training no sample is left out: upstream would drop a last, smaller batch there too.
        """
        for_training = self.data_collator, self.args.dataloader_drop_last
        if not kwargs.get("is_training"):
            self.data_collator = self.evaluation_collator or self.data_collator
            self.args.dataloader_drop_last = False
        try:
            return super()._get_dataloader(dataset, description, batch_size, *args, **kwargs)
        finally:
            self.data_collator, self.args.dataloader_drop_last = for_training

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """As ``Trainer.create_optimizer``, with a rate of its own for each group of parameters."""
        if self.rate_factor is None or self.optimizer is not None:
            return super().create_optimizer(model)
        model = model or self.model
        optimizer_class, options = self.get_optimizer_cls_and_kwargs(self.args, model)
        groups = grouped_by_rate(
            model,
            decayed=self.get_decay_parameter_names(model),
            weight_decay=self.args.weight_decay,
            learning_rate=self.args.learning_rate,
            rate_factor=self.rate_factor,
        )
        self.optimizer = optimizer_class(groups, **options)
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LRScheduler:
        """The schedule, once an optimizer step, where one was given."""
        if self.schedule_options is None or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = build_schedule(
            optimizer or self.optimizer,
            self.schedule_options,
            warmup_steps=self.args.get_warmup_steps(num_training_steps),
            total_steps=num_training_steps,
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Weights of layers; upstream would decay batch norms that stand in a Sequential."""
        return decayed_parameter_names(model)

    # ---- what is measured ----

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As ``Trainer.train``; what an earlier call recorded is forgotten unless it is resumed."""
        self.records.reset()
        self.stopper.reset()
        return super().train(*args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """As ``Trainer.training_step``, adding the micro-batch's share to the step's loss."""
        loss = super().training_step(*args, **kwargs)
        self._step_loss = self._step_loss + loss
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Called once an optimizer step, after clipping, with the norm from before it."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        loss = self._step_loss
        if self.args.world_size > 1:
            loss = self.accelerator.reduce(loss, reduction="mean")
        step = self.state.global_step + 1
        self.records.add(step=step, loss=float(loss), norm=float(norm))
        self._step_loss = torch.zeros_like(self._step_loss)
        return norm

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Complete a log event before anyone sees it: the history, the trackers, the file."""
        if "loss" in logs:
            recent = self.records.take("log")
            logs.update(norm_statistics(recent, max_norm=self.records.max_norm))
            logs["loss"] = mean_loss(recent)
            for callback in self.callback_handler.callbacks:
                logs.update(getattr(callback, "logged_values", {}))
            if not torch.isfinite(self._tr_loss):
                # upstream empties its sum by subtracting it from itself, and NaN stays NaN
                self._tr_loss.zero_()
        elif "train_runtime" in logs and self.records.steps:
            logs["train_loss"] = mean_loss(self.records.steps)
            logs.update({f"run_{name}": v for name, v in self.records.statistics().items()})
        super().log(logs, start_time)

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """As ``Trainer.evaluation_loop``; during training an evaluation also says how train is."""
        output = self._evaluated(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        if self.is_in_train and metric_key_prefix == "eval":
            recent = self.records.take("evaluation")
            if recent:
                output.metrics["train_loss"] = mean_loss(recent)
                output.metrics.update(norm_statistics(recent, max_norm=self.records.max_norm))
            output.metrics.update(self._gap_metrics(output.metrics, ignore_keys))
        return output

    def _evaluated(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None,
        ignore_keys: list[str] | None,
        prefix: str,
    ) -> EvalLoopOutput:
        """``Trainer.evaluation_loop``, and on several processes what one would find.

        Each counts batch norm statistics of its own batches until the next step: evaluated is the
        main process's model, which is saved. A last batch is filled up with samples from the
        beginning, which upstream leaves out of everything but the batch's mean loss.
        """
        together = self.args.world_size > 1
        for buffer in self.model.buffers() if together else ():
            broadcast(buffer.data)
        output = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, prefix
        )
        if together and isinstance(output.predictions, np.ndarray):
            logits, labels = map(torch.from_numpy, (output.predictions, output.label_ids))
            output.metrics[f"{prefix}_loss"] = sample_losses(logits, labels).mean().item()
        return output

    def _gap_metrics(
        self, evaluated: Mapping[str, Any], ignore_keys: list[str] | None
    ) -> dict[str, float]:
        """Train accuracy, weighted F1 and cross-entropy in evaluation mode, and the gap."""
        if not self.gap_samples or "eval_accuracy" not in evaluated:
            return {}
        if self._gap_loader is None:
            self._gap_loader = self.get_test_dataloader(self._gap_dataset())
        measured = self._evaluated(
            self._gap_loader, "Part of train", None, ignore_keys, "train"
        ).metrics
        gap = {name: measured[name] for name in ("train_accuracy", "train_f1_weighted")
               if name in measured}  # fmt: skip
        gap["train_cross_entropy"] = measured["train_loss"]
        gap["train_eval_gap"] = measured["train_accuracy"] - evaluated["eval_accuracy"]
        return gap

    def _gap_dataset(self) -> Any:
        samples = len(self.train_dataset)
        rng = np.random.default_rng(self.args.seed)
        size = min(self.gap_samples, samples)
        chosen = np.sort(rng.choice(samples, size=size, replace=False)).tolist()
        if hasattr(self.train_dataset, "select"):  # datasets.Dataset, with its transform
            return self.train_dataset.select(chosen)
        return Subset(self.train_dataset, chosen)

    def prediction_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """As ``Trainer.prediction_step``; sample weights are for training alone."""
        kept = {name: value for name, value in inputs.items() if name != "sample_weight"}
        return super().prediction_step(model, kept, *args, **kwargs)

    def run_summary(self) -> dict[str, Any]:
        """What a run's provenance records of its training: steps, norms, the rule that fired."""
        return {
            "steps": len(self.records.steps),
            "gradient": self.records.statistics(),
            "stopped_by": self.stopper.fired.to_dict() if self.stopper.fired else None,
            "best_metric": self.state.best_metric,
            "best_step": self.state.best_global_step,
        }

    # ---- what travels with a checkpoint ----

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            state = {"records": self.records.state_dict(), "stopper": self.stopper.state_dict()}
            Path(output_dir, MEASUREMENTS_FILE).write_text(json.dumps(state), encoding="utf-8")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        path = Path(checkpoint, MEASUREMENTS_FILE)
        if not path.is_file():
            _log.warning("%s has no %s: records start afresh", checkpoint, MEASUREMENTS_FILE)
            return
        state = json.loads(path.read_text(encoding="utf-8"))
        self.records.load_state_dict(state["records"])
        self.stopper.load_state_dict(state["stopper"])
        if self.stopper.fired is not None:
            reason = self.stopper.fired.reason
            _log.warning("%s was ended by a stop rule (%s): no step is left", checkpoint, reason)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "sample_weight" not in self._signature_columns:
            self._signature_columns.append("sample_weight")

    def _show_progress_in_our_words(self) -> None:
        """A bar on a terminal and plain lines elsewhere, in place of dicts on standard output."""
        theirs = (PrinterCallback, ProgressCallback)
        present = [type(callback) for callback in self.callback_handler.callbacks]
        if not any(callback in present for callback in theirs):
            return
        for callback in theirs:
            self.remove_callback(callback)
        if ProgressCallback in present and sys.stderr.isatty():
            self.add_callback(ProgressBar())
            let_bars_pass()
        else:
            self.add_callback(ProgressLines())
            disable_progress_bar()  # of loading and saving weights
