"""Time to a validation loss: the published recipe against ours, on the same data.

    published   Adam 1e-4, batches of 64 windows, every window of train, float32, no schedule
    ours        configs/speed.yaml: strided decisions in stretches, bfloat16 where it is fast

Both learn from the same span of the same book, are asked the same validation windows by the same
code, and are clocked while they train: forming batches is in it, evaluations are not.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from hfrun.config import HfrunConfig, load_config
from hfrun.data.windows import BookCollator, InputFiles, write_rows
from hfrun.evaluation.predict import predict_probabilities
from hfrun.fitting import fold_normalizer
from hfrun.fold_trainer import build_model, fold_trainer
from lob_backtest.book import Book, IntArray
from lob_backtest.config import DecisionsConfig
from lob_backtest.open_book import open_book
from lob_backtest.prepare import Prepared, prepare_holdout
from lob_backtest.progress import announce

CONFIG = Path(__file__).parents[2] / "configs" / "speed.yaml"
_PUBLISHED_BATCH, _PUBLISHED_RATE = 64, 1e-4
_PUBLISHED_STEPS, _PUBLISHED_EVERY = 3000, 50  # at most, and between evaluations
_OUR_EVERY = 10
_VALIDATION = 1000  # windows


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What is to be reached, and how often.

    Attributes:
        target: validation cross-entropy in nats; a guess by class shares has about 1.10.
        seeds: trainings a side.
    """

    target: float = 0.70
    seeds: int = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """One book, with the windows of ours and every window of the same train span."""

    config: HfrunConfig
    book: Book
    prepared: Prepared
    every_row: IntArray
    every_label: IntArray
    inputs: InputFiles

    @property
    def collator(self) -> BookCollator:
        return BookCollator(self.inputs.rows, window=self.config.data.window, shares_windows=True)

    def validation_loss(self, model: PreTrainedModel) -> float:
        """Mean cross-entropy in nats, in evaluation mode and float32."""
        fold = self.prepared.folds[0]
        step = max(len(fold.validation) // _VALIDATION, 1)
        chosen = fold.validation[::step]
        rows, labels = self.prepared.decisions.rows[chosen], self.prepared.labels(fold)[chosen]
        chances = predict_probabilities(model, self.collator, rows=rows, label="validation")
        return float(-np.log(chances[np.arange(len(labels)), labels]).mean())


def time_to_loss(learning: Learning, *, stretches: Sequence[int] = ()) -> dict[str, Any]:
    """Seconds of training until the validation loss is reached, by the two recipes.

    Args:
        learning: the target and the number of seeds; each seed's two trainings take turns.
        stretches: lengths of stretch to try as well, beside the config's own.

    Returns:
        ``time_to_loss_ratio`` (None where one side did not get there), medians over seeds, and
        every training's curve.
    """
    with tempfile.TemporaryDirectory() as folder:
        task = _task(Path(folder))
        runs: dict[str, list[dict[str, Any]]] = {"published": [], "ours": []}
        for seed in range(learning.seeds):
            runs["ours"].append(_ours(task, learning, seed))
            runs["published"].append(_published(task, learning, seed))
        by_stretch = {
            str(length): [
                _ours(_with_stretch(task, length), learning, seed) for seed in range(learning.seeds)
            ]
            for length in stretches
        }
    published, ours = (_median(runs[side]) for side in ("published", "ours"))
    return {
        "time_to_loss_ratio": published / ours if published and ours else None,
        "target": learning.target,
        "published_seconds": published,
        "our_seconds": ours,
        "by_stretch_seconds": {length: _median(found) for length, found in by_stretch.items()},
        "runs": runs,
        "runs_by_stretch": by_stretch,
    }


def _median(runs: Sequence[dict[str, Any]]) -> float | None:
    """Median seconds; a run that did not get there counts as never, None where the median is."""
    median = statistics.median(run["seconds"] or np.inf for run in runs)
    return median if np.isfinite(median) else None


def _task(folder: Path) -> _Task:
    config = load_config(
        CONFIG,
        ["training.eval_strategy=no", "training.save_strategy=no",
         "training.load_best_model_at_end=false"],
    )  # fmt: skip
    book = open_book(config.data.book)
    split = config.data.split
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    prepared = prepare_holdout(book, data=config.data, **parts)
    fold = prepared.folds[0]
    label = replace(config.data.label, threshold_ticks=prepared.threshold(fold))
    dense = replace(config.data, decisions=DecisionsConfig(every_events=1), label=label)
    every = prepare_holdout(book, data=dense, **parts)
    train = every.folds[0].train
    rows = every.decisions.rows[train]
    is_ours = rows <= prepared.decisions.rows[fold.train[-1]]  # no row beyond our train part
    inputs = InputFiles(folder)
    write_rows(book, fold_normalizer(config, book, prepared, fold), inputs.rows)
    return _Task(
        config=config,
        book=book,
        prepared=prepared,
        every_row=rows[is_ours],
        every_label=every.labels(every.folds[0])[train][is_ours],
        inputs=inputs,
    )


def _with_stretch(task: _Task, stretch: int) -> _Task:
    training = replace(task.config.training, stretch=stretch)
    return replace(task, config=replace(task.config, training=training))


class _Clock:
    """Seconds of training, with the time of evaluations taken out, and the losses they found."""

    def __init__(self, task: _Task, target: float) -> None:
        self.task = task
        self.target = target
        self.curve: list[dict[str, float]] = []
        self._began = time.perf_counter()
        self._paused = 0.0

    def is_reached(self, model: PreTrainedModel, step: int) -> bool:
        """Evaluate, off the clock."""
        stopped = time.perf_counter()
        loss = self.task.validation_loss(model)
        seconds = stopped - self._began - self._paused
        self.curve.append({"step": step, "seconds": round(seconds, 3), "loss": round(loss, 5)})
        self._paused += time.perf_counter() - stopped
        return loss <= self.target

    def result(self, seed: int) -> dict[str, Any]:
        """The seconds at the first evaluation at or below the target, None if there was none."""
        reached = [entry["seconds"] for entry in self.curve if entry["loss"] <= self.target]
        best = min(entry["loss"] for entry in self.curve)
        return {
            "seed": seed, "seconds": reached[0] if reached else None, "best": best,
            "curve": self.curve,
        }  # fmt: skip


def _published(task: _Task, learning: Learning, seed: int) -> dict[str, Any]:
    """The paper's training, written down plainly."""
    set_seed(seed)
    model = build_model(task.config, levels=task.book.n_levels).train()
    rows = task.collator.rows
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(model.parameters(), _PUBLISHED_RATE)
    back = np.arange(1 - task.config.data.window, 1)
    clock = _Clock(task, learning.target)
    for step in range(1, _PUBLISHED_STEPS + 1):
        chosen = rng.integers(len(task.every_row), size=_PUBLISHED_BATCH)
        features = torch.from_numpy(rows[task.every_row[chosen][:, None] + back])
        logits = model(features=features).logits
        nn.functional.cross_entropy(logits, torch.from_numpy(task.every_label[chosen])).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % _PUBLISHED_EVERY == 0 and clock.is_reached(model, step):
            break
    result = clock.result(seed)
    announce(f"published recipe, seed {seed}: {result['seconds']} s, best {result['best']}")
    return result


def _ours(task: _Task, learning: Learning, seed: int) -> dict[str, Any]:
    """The run's own trainer, as ``hfrun train`` makes it."""
    config = replace(task.config, run=replace(task.config.run, seed=seed))
    set_seed(seed)
    model = build_model(config, levels=task.book.n_levels)
    fold = task.prepared.folds[0]
    trainer = fold_trainer(config, task.prepared, fold, model=model, inputs=task.inputs)
    watch = _StopAtTarget(task, learning.target)
    trainer.add_callback(watch)
    trainer.train()
    result = watch.clock.result(seed)
    announce(
        f"ours, stretch {config.training.stretch}, seed {seed}: {result['seconds']} s, "
        f"best {result['best']}"
    )
    return result


class _StopAtTarget(TrainerCallback):
    """Evaluates every few steps and ends the training at the target."""

    def __init__(self, task: _Task, target: float) -> None:
        self.task = task
        self.target = target

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.clock = _Clock(self.task, self.target)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step % _OUR_EVERY == 0:
            model: PreTrainedModel = kwargs["model"]
            control.should_training_stop = self.clock.is_reached(model, state.global_step)
