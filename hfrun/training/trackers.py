"""Trackers: who is told a run's figures beside ``metrics.jsonl``.

    training.report_to      where the figures go
    (not set)               TensorBoard, where it is installed: in the run's own ``tensorboard/``
    [mlflow], [trackio]     transformers' callbacks, set up by the trackers' environment variables
    none                    to ``metrics.jsonl`` alone

Trackers draw one curve a name, and an evaluation is logged at the step of a log event: its
gradient norms, which are of all steps since the evaluation before, would be points of the log
events' curves. They go by ``eval_grad_norm`` and so on, and the mean training loss of the whole
run by ``run_train_loss``.
"""

import difflib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    TensorBoardCallback,
)

from hfrun.errors import TrainingError
from hfrun.training.callbacks import METRICS_FILE
from hfrun.training.step_records import STATISTICS
from lob_backtest.progress import announce

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

    What they print goes to standard error: standard output is for a command's result. One that
    cannot begin ends the run before its first step; one that fails later, such as by a server that
    goes away, is left out of the rest of it.
    """
    handler = trainer.callback_handler
    if any(isinstance(callback, TensorBoardCallback) for callback in handler.callbacks):
        trainer.remove_callback(TensorBoardCallback)
        trainer.add_callback(RunTensorBoard())
    names = {kind: name for name, kind in INTEGRATION_TO_CALLBACK.items()}
    names[RunTensorBoard] = "tensorboard"
    for callback in handler.callbacks:
        if type(callback) in names:  # not isinstance: one tracker's may be a kind of another's
            _Beside(names[type(callback)], callback).take_over()


class _Beside:
    """Stands between a trainer and one tracker."""

    def __init__(self, name: str, tracker: TrainerCallback) -> None:
        self.name, self.tracker = name, tracker
        self.has_failed = False

    def take_over(self) -> None:
        """Every event of the tracker goes through here."""
        for event in [name for name in dir(self.tracker) if name.startswith("on_")]:
            setattr(self.tracker, event, partial(self._tell, event, getattr(self.tracker, event)))

    def _tell(self, event: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.has_failed:
            return None
        if kwargs.get("logs") is not None:
            kwargs["logs"] = tracked_figures(kwargs["logs"])
        try:
            with redirect_stdout(sys.stderr):
                return method(*args, **kwargs)
        except Exception as error:  # whatever a tracker raises
            self.has_failed = True
            if event == "on_train_begin":
                raise TrainingError(
                    f"training.report_to: {self.name} cannot begin: {error}; mend that, or leave "
                    f"{self.name} out"
                ) from error
            announce(
                f"{self.name} failed and is told no more: {error}; {METRICS_FILE} has every figure"
            )
            return None


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


def _check_known(name: str) -> None:
    if name in INTEGRATION_TO_CALLBACK:
        return
    near = difflib.get_close_matches(name, INTEGRATION_TO_CALLBACK, n=1)
    known = f"needs none, all, or some of {', '.join(sorted(INTEGRATION_TO_CALLBACK))}"
    hint = f"did you mean {near[0]}?" if near else known
    raise TrainingError(f"training.report_to: got {name!r}; {hint}")


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(_MODULES.get(name, name)) is not None
