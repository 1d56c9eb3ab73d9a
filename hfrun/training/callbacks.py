"""Callbacks that watch a run: stop rules, the metrics file, plain progress lines."""

import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from hfrun.training.json_lines import JsonLines
from hfrun.training.step_records import StepRecords
from hfrun.training.stop_rules import Fired, StopRules

METRICS_FILE = "metrics.jsonl"

_SECONDS_BETWEEN_LINES = 10.0
_SHOWN = {
    "loss": "loss",
    "learning_rate": "rate",
    "grad_norm": "gradient",
    "grad_norm_clipped_share": "clipped",
    "eval_loss": "eval loss",
    "eval_accuracy": "accuracy",
    "eval_f1_weighted": "weighted F1",
    "train_eval_gap": "gap",
}


class StopRulesCallback(TrainerCallback):
    """Judges every evaluation by the stop rules, and every step by ``non_finite``.

    A rule that fires ends the run and is logged by name, value and limit. A step whose loss or
    gradient is not finite is not taken: the weights stay those of the step before.

    Args:
        rules: judged on the metrics of an evaluation, epochs counted from 1.
        records: where the Trainer records its steps; the last one is judged.
        log: the Trainer's own ``log``, so that the event reaches the history and the trackers.
    """

    def __init__(
        self, rules: StopRules, records: StepRecords, log: Callable[[dict[str, Any]], None]
    ) -> None:
        self.rules = rules
        self.fired: Fired | None = None
        self._was_stopped = False
        self._records = records
        self._log = log

    def reset(self) -> None:
        """Forget everything: a new run begins."""
        self.rules.reset()
        self.fired = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the rules' memory, and the rule that fired."""
        fired = None if self.fired is None else self.fired.to_dict()
        return {"rules": self.rules.state_dict(), "fired": fired}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take up a run where its checkpoint left it; one that a rule ended stays ended."""
        self.rules.load_state_dict(saved["rules"])
        self.fired = None if saved["fired"] is None else Fired.from_dict(saved["fired"])

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._was_stopped = self.fired is not None
        control.should_training_stop = self._was_stopped

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._was_stopped:  # what this epoch had to say is in the checkpoint already
            control.should_log = control.should_evaluate = control.should_save = False

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        **kwargs: Any,
    ) -> None:
        last = self._records.steps[-1]
        epoch = math.floor(state.epoch or 0.0) + 1
        fired = self.rules.check_step(epoch, {"loss": last.loss, "grad_norm": last.norm})
        if fired is not None:
            model.zero_grad(set_to_none=True)  # a parameter without a gradient is not stepped
            self._stop(fired, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        # one evaluation outside training, or at step 0, is no epoch; nor is one after the stop
        if not state.global_step or self.fired is not None:
            return
        epoch = max(1, math.ceil((state.epoch or 0.0) - 1e-9))
        numbers = {name: v for name, v in metrics.items() if isinstance(v, int | float)}
        fired = self.rules.update(epoch, numbers)
        if fired is not None:
            self._stop(fired, control)

    def _stop(self, fired: Fired, control: TrainerControl) -> None:
        self.fired = fired
        control.should_training_stop = True
        self._log({f"stop_{name}": value for name, value in fired.to_dict().items()})


class MetricsFile(TrainerCallback):
    """Writes every log event to ``metrics.jsonl`` in the output folder as it happens.

    One object a line: step, epoch and what was logged. A resumed run continues the file from its
    checkpoint: events that the interrupted run wrote after it are dropped, since they come again.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self._file(args).rewrite(state.log_history)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self._file(args).append(state.log_history[-1])

    @staticmethod
    def _file(args: TrainingArguments) -> JsonLines:
        return JsonLines(Path(args.output_dir) / METRICS_FILE)


class ProgressLines(TrainerCallback):
    """Progress where there is no terminal for a bar: a line at most every ten seconds, and one
    for each evaluation and for each rule that stops the run."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._last = -math.inf
        self._write = write or _write_line

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        now = time.monotonic()
        is_due = now - self._last >= _SECONDS_BETWEEN_LINES
        if not state.is_world_process_zero or ("loss" in logs and not is_due):
            return
        line = progress_line(logs, step=state.global_step, steps=state.max_steps)
        if line:
            self._last = now
            self._write(line)


def _write_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class ProgressBar(ProgressCallback):
    """transformers' bar on a terminal, with the plain lines above it.

    The original writes each log event as a dict to standard output, which is for results: JSON
    could not be read from it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = ProgressLines(self._write_above)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._lines.on_log(args, state, control, logs=logs or {}, **kwargs)

    def _write_above(self, line: str) -> None:
        if self.training_bar is None:
            _write_line(line)
        else:
            self.training_bar.write(line, file=sys.stderr)


def progress_line(logs: Mapping[str, Any], *, step: int, steps: int) -> str:
    """What a person wants to see of a log event; nothing for one without any of it.

    >>> progress_line({"loss": 1.0986, "learning_rate": 3e-4, "epoch": 0.5}, step=5, steps=20)
    'step 5/20, epoch 0.50: loss 1.099, rate 0.0003'
    """
    if "stop_reason" in logs:
        shown = [f"stopped by {logs['stop_rule']}: {logs['stop_reason']}"]
    else:
        shown = [f"{text} {logs[name]:.4g}" for name, text in _SHOWN.items() if name in logs]
    where = f"step {step}/{steps}, epoch {logs.get('epoch', 0.0):.2f}: "
    return where + ", ".join(shown) if shown else ""
