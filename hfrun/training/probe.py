"""A trainer's copy that can be trained for a few steps, after which all is as it was.

What is measured on it holds for the trainer itself: the batches, the loss, the precision, the
clipping and the optimizer are made by the trainer's own methods. What is written or counted along
the way is the copy's: weights, buffers, optimizer state, records, the epoch of the sampler. Random
states are set to the trainer's seed for the time of the measurement, and given back.
"""

import copy
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate.state import GradientState
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import TrainerControl, TrainerState, set_seed

from hfrun.errors import DataError, TrainingError
from hfrun.training.step_records import StepRecord, StepRecords
from hfrun.training.trainer import MeasuredTrainer
from hfrun.training.values import ScheduledValue

Batches = tuple[list[Any], Tensor | int | None]


class Probe:
    """The copy: a trainer that shares data and arguments with its original, and nothing it changes.

    Made by ``probing``, which also gives back what a whole process shares.

    Attributes:
        trainer: the copy.
        model: what is called in training, with the precision of the run.
        optimizer: of its weights.
        peak_rates: each optimizer group's own peak rate.
    """

    def __init__(self, original: MeasuredTrainer) -> None:
        trainer: Any = copy.copy(original)  # Any: to a type checker all of it may be None
        self.trainer = trainer
        trainer.model, trainer.optimizer = _copies(original.model, original.optimizer)
        trainer.model_wrapped = trainer.model
        trainer.callback_handler = copy.copy(original.callback_handler)
        trainer.state, trainer.control = TrainerState(), TrainerControl()
        trainer.records = StepRecords(None, max_norm=original.args.max_grad_norm)
        trainer.train_sampler = independent_order(original.train_sampler)
        trainer._step_loss = torch.zeros((), device=original.args.device)
        trainer._mixed_mesh_grads = None
        # no schedule: rates are set here, and a schedule would also move momenta
        trainer.schedule_options, trainer._created_lr_scheduler = None, False
        trainer.lr_scheduler = object()
        trainer.create_accelerator_and_postprocess()  # its own scaler and lists
        set_seed(trainer.args.seed)
        self._loader = trainer.get_train_dataloader()
        _checkpoint_activations(trainer)
        self.model: Any = trainer._prepare_for_training(1, self._loader, None)[0]
        self.model.zero_grad()
        self.optimizer: Any = trainer.optimizer
        self.peak_rates = [
            group.get("initial_lr", group["lr"]) for group in self.optimizer.param_groups
        ]
        self._untouched: nn.Module | None = None
        self._set_scheduled_values()

    def set_rate(self, rate: float) -> None:
        """Give the optimizer ``rate`` in the place of ``TrainingArguments.learning_rate``.

        A group whose peak is another multiple of that keeps its multiple.
        """
        base = self.trainer.args.learning_rate
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates, strict=True):
            group["lr"] = rate * (peak / base)

    def batches(self) -> Iterator[Batches]:
        """The micro-batches of each optimizer step and their samples, epoch after epoch.

        Raises:
            DataError: the training data does not fill one batch.
        """
        trainer, loader, order = self.trainer, self._loader, self.trainer._order
        in_a_step = trainer.args.gradient_accumulation_steps
        for epoch in itertools.count():
            for told in (loader, order):
                if hasattr(told, "set_epoch"):
                    told.set_epoch(epoch)
            taken = iter(loader)
            step = trainer.get_batch_samples(taken, in_a_step, trainer.args.device)
            if not step[0]:
                raise DataError(
                    f"a batch takes {trainer._train_batch_size} samples and the train part has "
                    f"{len(trainer.train_dataset)}; use a smaller batch or more data"
                )
            while step[0]:
                yield step
                step = trainer.get_batch_samples(taken, in_a_step, trainer.args.device)

    def indices(self, *, batch: int) -> Iterator[int]:
        """Training samples, without end, in the order that fills batches of that size."""
        order: Any = self.trainer._get_train_sampler(self.trainer.train_dataset)
        if isinstance(getattr(order, "batch", None), int):  # it groups samples into batches
            order = copy.copy(order)
            order.batch = batch
        for epoch in itertools.count():
            if hasattr(order, "set_epoch"):
                order.set_epoch(epoch)
            yield from order

    def formed(self, samples: list[int], *, batch: int) -> list[Batches]:
        """Steps of one batch of that size each, of these samples in their order."""
        trainer = self.trainer
        loader = trainer._get_dataloader(
            trainer.train_dataset,
            "Training",
            batch,
            sampler_fn=lambda _: _Listed(samples),
            is_training=True,
        )
        taken, steps = iter(loader), []
        while (step := trainer.get_batch_samples(taken, 1, trainer.args.device))[0]:
            steps.append(step)
        trainer.accelerator._dataloaders.clear()  # it would keep each of them
        return steps

    def step(self, batches: list[Any], samples: Tensor | int | None) -> StepRecord:
        """One optimizer step, as the trainer takes it; its loss is from before the update."""
        trainer = self.trainer
        trainer.current_gradient_accumulation_steps = len(batches)
        for number, batch in enumerate(batches, start=1):
            trainer.accelerator.gradient_state._set_sync_gradients(number == len(batches))
            trainer.training_step(self.model, batch, samples)
        clips = trainer.args.max_grad_norm > 0
        norm = trainer._clip_grad_norm(self.model) if clips else None
        trainer._get_grad_norm(self.model, grad_norm=norm)
        self.optimizer.step()
        self.model.zero_grad()
        trainer.state.global_step += 1
        record: StepRecord = trainer.records.steps[-1]
        return record

    def untouched_loss(self, batches: list[Any], samples: Tensor | int | None) -> float:
        """What ``loss`` would be with the weights of before the first step.

        Dropout drops what it will drop in the next ``step`` or ``loss``.
        """
        if self._untouched is None:
            raise RuntimeError("a step was taken before the weights were kept")
        with random_states_kept():
            return self._loss(self._untouched, batches, samples)

    def loss(self, batches: list[Any], samples: Tensor | int | None) -> float:
        """The training loss of a step's batches, without a step."""
        return self._loss(self.model, batches, samples)

    def _loss(self, model: nn.Module, batches: list[Any], samples: Tensor | int | None) -> float:
        trainer, total = self.trainer, 0.0
        model.train()
        with torch.no_grad(), trainer.compute_loss_context_manager():
            for batch in batches:
                inputs = trainer._prepare_inputs(batch)
                total += float(trainer.compute_loss(model, inputs, num_items_in_batch=samples))
        return total

    def keep_untouched(self) -> None:
        """Keep the weights as they are now for ``untouched_loss``."""
        self._untouched = copy.deepcopy(self.model)

    def release(self) -> None:
        """Let go of the copy's memory, whoever still holds the probe."""
        vars(self.trainer).clear()
        self.model = self.optimizer = self._untouched = None

    def _set_scheduled_values(self) -> None:
        """Dropout and weight decay as they are at the beginning of the run."""
        trainer = self.trainer
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, ScheduledValue):
                value = callback.schedule.now(trainer.state)
                callback.set_value(value, model=trainer.model, optimizer=self.optimizer)


@contextmanager
def probing(trainer: MeasuredTrainer) -> Iterator[Probe]:
    """A probe of the trainer; afterwards weights, random states and all else are as before.

    Raises:
        TrainingError: the trainer runs on several processes, or its learning rate is 0.
    """
    if trainer.args.world_size > 1 or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise TrainingError(
            f"{trainer.args.world_size} processes, or weights that are spread over some; needs one "
            "whole process: start it without a launcher, and multiply "
            "training.gradient_accumulation_steps by the number of processes to see their batches"
        )
    if not trainer.args.learning_rate > 0:
        raise TrainingError(
            f"training.learning_rate={trainer.args.learning_rate}: needs a rate above 0, to which "
            "the rates of all parameter groups are in proportion"
        )
    gradient_state = GradientState()
    shared = dict(vars(gradient_state))
    with random_states_kept():
        probe = None
        try:
            probe = Probe(trainer)
            yield probe
        finally:
            if probe is not None:
                probe.release()
            for name, value in shared.items():
                setattr(gradient_state, name, value)


class _Listed(Sampler[int]):
    """Samples in a given order."""

    def __init__(self, samples: list[int]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[int]:
        return iter(self.samples)


def _copies(model: Any, optimizer: Any) -> tuple[Any, Any]:
    """The model, and an optimizer of the copy's weights without the original's state."""
    optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it in training
    memo: dict[int, Any] = {} if optimizer is None else {id(optimizer.state): defaultdict(dict)}
    return copy.deepcopy((model, optimizer), memo)


def _checkpoint_activations(trainer: Any) -> None:
    """As ``Trainer.train`` does before its loop."""
    if not trainer.args.activation_checkpointing:
        return
    options = dict(trainer.args.activation_checkpointing_kwargs or {})
    every, offload = options.pop("every_n_layers", 1), options.pop("offload", False)
    trainer.model.activation_checkpointing_enable(
        activation_checkpointing_kwargs=options or None, every_n_layers=every, offload=offload
    )


def independent_order(sampler: Sampler[Any] | None) -> Sampler[Any] | None:
    """A sampler that draws as this one would, and leaves its epoch and its generators alone."""
    if sampler is None:
        return None
    twin = copy.copy(sampler)
    for name, value in vars(sampler).items():
        if isinstance(value, torch.Generator):
            setattr(twin, name, value.clone_state())
        elif isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
            setattr(twin, name, copy.deepcopy(value))
        elif isinstance(value, Sampler):
            setattr(twin, name, independent_order(value))
    return twin


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Give back the states of Python, numpy, torch and the accelerator's devices."""
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    has_cuda = torch.cuda.is_available()
    devices = torch.cuda.get_rng_state_all() if has_cuda else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)
        torch.set_rng_state(tensors)
        if has_cuda:
            torch.cuda.set_rng_state_all(devices)
