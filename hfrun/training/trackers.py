"""Trackers: who is told a run's figures beside ``metrics.jsonl``.

    training.report_to      where the figures go
    (not set)               TensorBoard, where it is installed: in the run's own ``tensorboard/``
    [mlflow], [trackio]     transformers' callbacks, set up by the trackers' environment variables
    none                    to ``metrics.jsonl`` alone

Trackers draw one curve a name, and an evaluation is logged at the step of a log event: its
gradient norms, which are of all steps since the evaluation before, and its names for them would
be points of the log events' curves. They go by ``eval_grad_norm`` and so on; the run's own mean
training loss goes by ``run_train_loss``.
"""

import difflib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    TensorBoardCallback,
)

from hfrun.errors import TrainingError
from hfrun.training.step_records import STATISTICS

TENSORBOARD_FOLDER = "tensorboard"

# Modules that are not called as their tracker is.
_MODULES = {"azure_ml": "azureml", "flyte": "flytekit"}
_OF_STEPS = (*STATISTICS, "grad_norm_non_finite")


def trackers_from(wanted: str | Sequence[str] | None) -> list[str]:
    """The trackers by name: those that are wanted, or TensorBoard where it is installed.

    >>> trackers_from("none")
    []

    Raises:
        TrainingError: one that transformers does not know, or that is not installed.
    """
    if wanted is None:
        return ["tensorboard"] if _is_installed("tensorboard") else []
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if names in (["none"], []):
        return []
    if names == ["all"]:
        return [name for name in INTEGRATION_TO_CALLBACK if _is_installed(name)]
    for name in names:
        _check_known(name)
        if not _is_installed(name):
            raise TrainingError(
                f"training.report_to: {name} is not installed; pip install {name}, or leave it out"
            )
    return list(dict.fromkeys(names))


def set_up_trackers(trainer: Trainer) -> None:
    """Let a trainer's trackers write where its other files are, and in names of their own.

    What they print goes to standard error: standard output is for a command's result.
    """
    handler = trainer.callback_handler
    if any(isinstance(callback, TensorBoardCallback) for callback in handler.callbacks):
        trainer.remove_callback(TensorBoardCallback)
        trainer.add_callback(RunTensorBoard())
    kinds = tuple(INTEGRATION_TO_CALLBACK.values())
    for callback in handler.callbacks:
        if isinstance(callback, kinds):
            for event in [name for name in dir(callback) if name.startswith("on_")]:
                setattr(callback, event, _aside(getattr(callback, event)))


class RunTensorBoard(TensorBoardCallback):
    """TensorBoard's files in ``tensorboard/`` of the folder of the training.

    Under ``TENSORBOARD_LOGGING_DIR``, where it is set, each training has the folder of its own
    path. A resumed run takes back what the interrupted one wrote after its checkpoint, as
    ``metrics.jsonl`` does.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.logging_dir = str(tensorboard_folder(Path(args.output_dir or ".")))
        if state.is_world_process_zero and self.tb_writer is None:
            first = state.global_step + 1 if state.global_step else 0
            self.tb_writer = SummaryWriter(log_dir=self.logging_dir, purge_step=first)
        super().on_train_begin(args, state, control, **kwargs)


def tensorboard_folder(output: Path) -> Path:
    """Where the TensorBoard files of a training in ``output`` are."""
    root = os.environ.get("TENSORBOARD_LOGGING_DIR")
    if not root:
        return output / TENSORBOARD_FOLDER
    return Path(root).expanduser() / output.relative_to(output.anchor)


def tracked_figures(logs: Mapping[str, Any]) -> dict[str, Any]:
    """A log event under the names by which trackers draw it.

    >>> tracked_figures({"eval_loss": 1.0, "grad_norm": 2.0, "train_eval_gap": 0.1})
    {'eval_loss': 1.0, 'eval_grad_norm': 2.0, 'train_eval_gap': 0.1}
    """
    if "eval_loss" in logs:
        return {f"eval_{name}" if name in _OF_STEPS else name: v for name, v in logs.items()}
    if "train_runtime" in logs:
        return {"run_train_loss" if name == "train_loss" else name: v for name, v in logs.items()}
    return dict(logs)


def _aside(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def aside(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("logs") is not None:
            kwargs["logs"] = tracked_figures(kwargs["logs"])
        with redirect_stdout(sys.stderr):
            return method(*args, **kwargs)

    return aside


def _check_known(name: str) -> None:
    if name in INTEGRATION_TO_CALLBACK:
        return
    near = difflib.get_close_matches(name, INTEGRATION_TO_CALLBACK, n=1)
    known = f"needs none, all, or some of {', '.join(sorted(INTEGRATION_TO_CALLBACK))}"
    hint = f"did you mean {near[0]}?" if near else known
    raise TrainingError(f"training.report_to: got {name!r}; {hint}")


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(_MODULES.get(name, name)) is not None
