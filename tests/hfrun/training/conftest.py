"""A small classification problem and a Trainer for it, quick enough to train in a test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from hfrun.evaluation.metrics import compute_metrics
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.training.trainer import MeasuredTrainer

ROWS, WIDTH = 20, 8


class PlainConfig(PretrainedConfig):
    model_type = "plain-test-model"

    def __init__(self, dropout: float = 0.0, **kwargs: Any) -> None:
        self.dropout = dropout
        super().__init__(num_labels=3, **kwargs)


class PlainModel(PreTrainedModel):
    """Two linear layers: without batch norm, so that a batch equals the sum of its parts."""

    config_class = PlainConfig

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        self.hidden = nn.Linear(ROWS * WIDTH, 6)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(6, 3)
        self.post_init()

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        hidden = torch.tanh(self.hidden(features.flatten(1)))
        return SequenceClassifierOutput(logits=self.head(self.dropout(hidden)))


@dataclass
class Problem:
    """Windows whose class can be learned from their first column."""

    features: np.ndarray
    labels: np.ndarray

    def dataset(self, **columns: Any) -> datasets.Dataset:
        """Windows formed on access, as those of a book are."""
        held = {"row": np.arange(len(self.labels)), "labels": self.labels, **columns}

        def form(batch: dict[str, list[Any]]) -> dict[str, Any]:
            formed = {name: torch.as_tensor(batch[name]) for name in batch if name != "row"}
            return formed | {"features": torch.from_numpy(self.features[batch["row"]])}

        return datasets.Dataset.from_dict(held).with_transform(form)


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    def draw(samples: int, seed: int = 0) -> Problem:
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(samples, ROWS, WIDTH)).astype(np.float32)
        score = features[:, :, 0].sum(axis=1) + rng.normal(size=samples)
        return Problem(features, np.digitize(score, [-1.0, 3.0]).astype(np.int64))

    return draw


def _plain_model(dropout: float = 0.0) -> PlainModel:
    torch.manual_seed(3)
    return PlainModel(PlainConfig(dropout=dropout))


def _tiny_deeplob(dropout: float = 0.0) -> DeepLobForSequenceClassification:
    torch.manual_seed(3)
    return DeepLobForSequenceClassification(
        DeepLobConfig(
            levels=2, window=ROWS, conv_channels=2, inception_channels=3, lstm_hidden=4,
            dropout=dropout,
        )
    )  # fmt: skip


@pytest.fixture
def plain_model() -> Callable[..., PlainModel]:
    return _plain_model


@pytest.fixture
def tiny_deeplob() -> Callable[..., DeepLobForSequenceClassification]:
    return _tiny_deeplob


@pytest.fixture
def events() -> Callable[[MeasuredTrainer, str], list[dict[str, Any]]]:
    """The log events of a trainer that have a key."""
    return lambda trainer, key: [event for event in trainer.state.log_history if key in event]


@pytest.fixture
def gradients() -> type[TrainerCallback]:
    """A callback that keeps each step's gradient as the optimizer gets it: after clipping."""

    class Gradients(TrainerCallback):
        def __init__(self) -> None:
            self.seen: list[torch.Tensor] = []

        def on_pre_optimizer_step(self, args, state, control, *, model, **kwargs) -> None:
            self.seen.append(torch.cat([p.grad.flatten().clone() for p in model.parameters()]))

    return Gradients


@pytest.fixture
def make_trainer(tmp_path: Path, problem) -> Callable[..., MeasuredTrainer]:
    """A trainer of 40 samples in batches of 8 for two epochs (10 steps), unless told otherwise."""

    def make(
        model: PreTrainedModel | None = None,
        *,
        train: Any = None,
        out: str = "run",
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> MeasuredTrainer:
        defaults = {
            "per_device_train_batch_size": 8,
            "per_device_eval_batch_size": 8,
            "num_train_epochs": 2,
            "learning_rate": 0.01,
            "logging_steps": 1,
            "eval_strategy": "epoch",
            "save_strategy": "no",
            "seed": 1,
            "use_cpu": True,
            "remove_unused_columns": False,
            "dataloader_pin_memory": False,
            "report_to": "none",
        }
        return MeasuredTrainer(
            model=model or _plain_model(),
            args=TrainingArguments(str(tmp_path / out), **{**defaults, **(arguments or {})}),
            train_dataset=problem(40).dataset() if train is None else train,
            eval_dataset=problem(20, seed=9).dataset(),
            compute_metrics=compute_metrics,
            **kwargs,
        )

    return make
