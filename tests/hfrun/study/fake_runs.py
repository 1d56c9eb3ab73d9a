"""Runs that take no time: what ``hfrun train`` leaves in its folder, with figures by formula."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.errors import TrainingError
from hfrun.study import trials
from hfrun.summary import Summary

RAW: dict[str, Any] = {
    "run": {"name": "fake", "output_dir": "out"},
    "data": {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"},
    "model": {"tokenizer": "folder"},
    "training": {
        "num_train_epochs": 5,
        "learning_rate": 1e-3,
        "metric_for_best_model": "eval_accuracy",
    },
    "study": {
        "question": "Does it help?",
        "grid": {"dropout": [0.3, 0.6, 0.8], "weight_decay": [0, 0.01]},
        "seeds": [0, 1, 2],
    },
}


def raw_in(folder: Path, **study: Any) -> dict[str, Any]:
    """The config with its output in a folder, and parts of the study replaced."""
    raw: dict[str, Any] = json.loads(json.dumps(RAW))
    raw["run"]["output_dir"] = str(folder)
    raw["study"] |= study
    return raw


def accuracy_of(dropout: float, weight_decay: float, seed: int) -> float:
    """Of the chosen checkpoint on validation: best at a dropout of 0.6, a little luck by seed."""
    luck = np.random.default_rng([seed, round(100 * dropout), round(1000 * weight_decay)])
    return float(0.45 - 0.4 * (dropout - 0.6) ** 2 + 0.01 * seed + 0.004 * luck.normal())


class FakeRuns:
    """``run_any`` in place of the real one; remembers what it was asked for.

    ``fails`` and ``diverges`` say of which (dropout, weight decay, seed) a run comes to nothing.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[float, float, int]] = []
        self.fails: Callable[[float, float, int], bool] = lambda *values: False
        self.diverges: Callable[[float, float, int], bool] = lambda *values: False

    def in_place(self, monkeypatch: pytest.MonkeyPatch) -> "FakeRuns":
        """Of the real runs, for as long as the patch holds."""
        monkeypatch.setattr(trials, "run_any", self)
        monkeypatch.setattr(trials, "_free_memory", lambda: None)  # they have none
        return self

    def __call__(self, config: Any) -> Summary:
        schedules = config.callbacks.dropout_schedule, config.callbacks.weight_decay_schedule
        dropout, decay = (0.0 if each is None else each.points[0] for each in schedules)
        self.asked.append((dropout, decay, config.run.seed))
        folder = Path(config.run.output_dir)
        (folder / "checkpoint-10").mkdir(parents=True)
        if self.fails(*self.asked[-1]):
            raise RuntimeError("the accelerator is on fire")
        accuracy = accuracy_of(*self.asked[-1])
        if self.diverges(*self.asked[-1]):
            self._write(folder, [{"loss": "nan", "epoch": 1, "step": 5}])
            raise TrainingError("the training ended at step 5, before its first evaluation")
        curve = [self._evaluated(epoch, accuracy, decay) for epoch in range(1, 6)]
        self._write(folder, curve)
        chosen = {**curve[3], "epochs_trained": 5.0, "seconds": 90.0, "stopped_by": None}
        figures = json.dumps({**chosen, "train_texts": 300, "gradient": {"p50": 1.0}})
        (folder / "figures.json").write_text(figures)
        test = {"value": accuracy - 0.01, "low": accuracy - 0.03, "high": accuracy + 0.01}
        return Summary(folder=folder, report={"aggregate": {"accuracy": test, "fee": test}})

    def _evaluated(self, epoch: int, accuracy: float, decay: float) -> dict[str, Any]:
        share = math.sin(math.pi / 8 * epoch)  # its best is the fourth of five epochs
        train = 0.3 + 0.08 * epoch
        return {
            "epoch": float(epoch), "step": 10 * epoch, "train_loss": 1.6 - 0.1 * epoch,
            "train_cross_entropy": 1.62 - 0.11 * epoch, "train_accuracy": train,
            "eval_loss": 1.7 - 0.9 * accuracy * share, "eval_accuracy": accuracy * share,
            "eval_f1_weighted": accuracy * share - 0.02, "eval_runtime": 3.0,
            "train_eval_gap": train - accuracy * share, "weight_decay": decay,
        }  # fmt: skip

    def _write(self, folder: Path, events: list[dict[str, Any]]) -> None:
        lines = "".join(f"{json.dumps(event)}\n" for event in [{"loss": 1.5, "step": 1}, *events])
        (folder / "metrics.jsonl").write_text(lines)
