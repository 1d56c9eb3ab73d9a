"""All that a measurement on a copy could change, to be compared bit by bit."""

import hashlib
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.state import GradientState

from hfrun.training.trainer import MeasuredTrainer


def everything(trainer: MeasuredTrainer) -> dict[str, Any]:
    """Weights, buffers, optimizer, modes, random states, the trainer's own state, its folder."""
    tensors = {**dict(trainer.model.named_parameters()), **dict(trainer.model.named_buffers())}
    optimizer = trainer.optimizer
    gradient_state = GradientState()
    sampler = trainer.train_sampler
    return {
        "tensors": {n: (id(t), t.dtype, _bits(t), t.requires_grad) for n, t in tensors.items()},
        "gradients": {n: None if t.grad is None else _bits(t.grad) for n, t in tensors.items()},
        "modes": {name: module.training for name, module in trainer.model.named_modules()},
        "dropout": [m.p for m in trainer.model.modules() if isinstance(m, torch.nn.Dropout)],
        "optimizer": None if optimizer is None else _plain(optimizer.state_dict()),
        "scheduler": None if trainer.lr_scheduler is None else _plain_scheduler(trainer),
        "state": pickle.dumps(vars(trainer.state)),
        "control": vars(trainer.control).copy(),
        "arguments": trainer.args.to_dict(),
        "records": list(trainer.records.steps),
        "step_loss": float(trainer._step_loss),
        "identities": {name: id(value) for name, value in vars(trainer).items()},
        "handler": {name: id(value) for name, value in vars(trainer.callback_handler).items()},
        "accelerator": [len(trainer.accelerator._models), len(trainer.accelerator._optimizers),
                        len(trainer.accelerator._dataloaders)],
        "gradient_state": (gradient_state.sync_gradients, gradient_state.dataloader_references),
        "sampler": None if sampler is None else _sampler(sampler),
        "python": random.getstate(),
        "numpy": pickle.dumps(np.random.get_state()),
        "torch": _bits(torch.get_rng_state()),
        "files": {
            str(path): path.read_bytes()
            for path in sorted(Path(trainer.args.output_dir).rglob("*"))
            if path.is_file()
        },
    }  # fmt: skip


def _bits(tensor: torch.Tensor) -> str:
    values = tensor.detach().cpu().contiguous().reshape(-1)
    return hashlib.sha256(values.view(torch.uint8).numpy().tobytes()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return _bits(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _plain_scheduler(trainer: MeasuredTrainer) -> Any:
    return {k: v for k, v in trainer.lr_scheduler.state_dict().items() if k != "lr_lambdas"}


def _sampler(sampler: Any) -> dict[str, Any]:
    return {
        name: _bits(value.get_state()) if isinstance(value, torch.Generator) else repr(value)
        for name, value in vars(sampler).items()
    }
