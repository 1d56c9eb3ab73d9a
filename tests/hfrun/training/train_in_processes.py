"""Trains a plain model on whatever processes the launcher gives; run by test_processes.

python train_in_processes.py OUT      or under torchrun
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, TrainingArguments
from transformers.modeling_outputs import SequenceClassifierOutput

from hfrun.evaluation.metrics import compute_metrics
from hfrun.training.trainer import MeasuredTrainer
from hfrun.training.weighting import LossOptions

# A multiple of the batch: accelerate fills a last ragged one with repeated samples.
SAMPLES, GLOBAL_BATCH = 40, 8


class LinearModel(PreTrainedModel):
    """Without batch norm, which would see only a process's own part of the batch."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.head = nn.Linear(6, 3)
        self.post_init()

    def forward(
        self, features: torch.Tensor, labels: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=self.head(features))


def main(out: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(SAMPLES, 6)).astype(np.float32)
    labels = np.digitize(features[:, 0], [-0.5, 0.5])
    data = Dataset.from_dict({"features": features, "labels": labels}).with_format("torch")
    arguments = TrainingArguments(
        output_dir=str(out),
        per_device_train_batch_size=GLOBAL_BATCH,
        use_cpu=True,
        num_train_epochs=2,
        learning_rate=0.05,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="no",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
    )
    arguments.per_device_train_batch_size = GLOBAL_BATCH // arguments.world_size
    torch.manual_seed(0)
    trainer = MeasuredTrainer(
        model=LinearModel(PretrainedConfig(num_labels=3)),
        args=arguments,
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=compute_metrics,
        loss=LossOptions(balanced_sampler=True),
        train_labels=labels,
    )
    trainer.train()
    if trainer.is_world_process_zero():
        weights = [weight.flatten().tolist() for weight in trainer.model.parameters()]
        found = {
            "processes": arguments.world_size,
            "weights": weights,
            "history": trainer.state.log_history,
        }
        (out / "found.json").write_text(json.dumps(found), encoding="utf-8")
    trainer.accelerator.wait_for_everyone()  # a group is left together, or its last may abort
    trainer.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # What is tested is over and written down. Threads of torch's process group now and then abort
    # the end of the interpreter ("terminate called without an active exception").
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
