"""Trials: ordinary runs of a study, each in its own folder, resumed, and counted when they fail.

    trials/000.json      what the trial was and how it ended
    trials/000/          the run itself, as ``hfrun train`` leaves it, without its checkpoints
    trials/000.error.txt the traceback of one that failed

A trial that is done or diverged is not run again; one that failed or was interrupted is taken up
where it stopped. Shared by every kind of study: how trials are chosen is not known here.
"""

import gc
import hashlib
import json
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from hfrun.config import config_from
from hfrun.errors import HfrunError
from hfrun.fitting import FoldFiles
from hfrun.runs import run_any
from hfrun.study.curves import has_diverged, read_curve
from hfrun.study.grid import cell_label, trial_config
from hfrun.summary import Summary
from lob_backtest.files import read_json, write_json, write_text
from lob_backtest.progress import announce

Status = Literal["done", "failed", "diverged"]
_CHOSEN = ("epoch", "step", "epochs_trained", "train_eval_gap")
# Of the report: what is shown of the test part. Nothing is ever chosen by it.
_TEST_FIGURES = ("accuracy", "f1_weighted", "f1_macro", "mcc", "nll", "ece", "brier")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One training of a study.

    Args:
        number: its place among the study's trials, from 0.
        values: what the study set, as in its grid.
        seed: of the run.
        folder: of the run; what the study notes of it lies beside, in ``folder.json``.
    """

    number: int
    values: Mapping[str, Any]
    seed: int
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def error_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.error.txt")

    @property
    def label(self) -> str:
        return f"{cell_label(self.values)}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialResult:
    """How a trial ended.

    Args:
        status: "diverged" where a loss was no longer finite, "failed" on any other error.
        validation: figures of the chosen checkpoint by their names in the log (``eval_...``,
            ``train_...``, ``epoch``, ``step``); by these alone a study chooses.
        test: ``{name: {value, low, high}}`` of the report, to be shown.
        curve: an entry an evaluation, from metrics.jsonl.
        seconds: of the training itself.
        error: of a trial that did not get to its end.
    """

    number: int
    values: Mapping[str, Any]
    seed: int
    folder: str
    status: Status
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[Mapping[str, float | None], ...] = ()
    seconds: float | None = None
    stopped_by: str | None = None
    error: str | None = None

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "TrialResult":
        """What ``as_dict`` gave."""
        return cls(**{**held, "curve": tuple(held["curve"])})

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "values": dict(self.values), "curve": list(self.curve)}


def run_trial(raw: Mapping[str, Any], trial: Trial) -> TrialResult:
    """Run one trial, or give the result of one that has ended.

    Args:
        raw: the study's config as read; the trial's values and seed are put into it.
        trial: which.

    Raises:
        HfrunError: the folder's trial is another one.
        OSError: of the machine, e.g. a full disk; no other trial would fare better.
    """
    config = trial_config(
        raw, trial.values, seed=trial.seed, name=_name_of(raw, trial), folder=str(trial.folder)
    )
    identity = trial_identity(config)
    ended = _ended(trial, identity)
    if ended is not None:
        announce(f"  {ended.status} before: {trial.folder}")
        return ended
    trial.record.parent.mkdir(parents=True, exist_ok=True)
    write_json(trial.record, _record(trial, identity, None))
    result = _run(config, trial)
    write_json(trial.record, _record(trial, identity, result))
    return result


def trial_identity(config: Mapping[str, Any]) -> str:
    """Hash of what a trial's figures depend on: its config without name, folder, gates and hub."""
    same = {name: part for name, part in config.items() if name not in ("gates", "hub", "study")}
    run = dict(same.get("run") or {})
    same["run"] = {"seed": run.get("seed", 0)}
    return hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()


def read_identity(record: Path) -> str:
    """Which trial a record is of."""
    held = read_json(record, error=HfrunError)
    if not isinstance(held, dict) or not isinstance(held.get("identity"), str):
        raise HfrunError(f"{record}: no record of a trial; remove it, or choose another folder")
    return str(held["identity"])


def _record(trial: Trial, identity: str, result: TrialResult | None) -> dict[str, Any]:
    return {
        "identity": identity,
        "values": dict(trial.values),
        "seed": trial.seed,
        "result": None if result is None else result.as_dict(),
    }


def _ended(trial: Trial, identity: str) -> TrialResult | None:
    if not trial.record.is_file():
        return None
    if read_identity(trial.record) != identity:
        raise HfrunError(
            f"{trial.record}: holds a trial of another config; choose another run.output_dir, or "
            "remove the folder to start anew"
        )
    held = read_json(trial.record, error=HfrunError)["result"]
    if held is None or held["status"] == "failed":
        return None
    # the folder may have been moved since, numbers follow the grid, and JSON's keys are texts
    now = {"number": trial.number, "values": trial.values, "folder": str(trial.folder)}
    return TrialResult.from_dict({**held, **now})


def _run(config: dict[str, Any], trial: Trial) -> TrialResult:
    started = time.monotonic()
    trial.error_file.unlink(missing_ok=True)
    try:
        summary = run_any(config_from(config, source=f"trial {trial.number} ({trial.label})"))
    except OSError:
        raise
    except Exception as error:  # every other trial can still be run, and this one is counted
        return _failed(trial, error, seconds=time.monotonic() - started)
    finally:
        _free_memory()
    assert summary is not None  # a study is one process
    for checkpoint in trial.folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)  # they serve only to resume; the chosen model is in model/
    return _finished(trial, summary)


def _free_memory() -> None:
    """Of the trial's model and optimizer, which hold each other, before the next has its own."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _finished(trial: Trial, summary: Summary) -> TrialResult:
    figures = FoldFiles(trial.folder).read_figures()
    curve = read_curve(trial.folder)
    stopped = figures.get("stopped_by") or {}
    return TrialResult(
        number=trial.number,
        values=trial.values,
        seed=trial.seed,
        folder=str(trial.folder),
        status="diverged" if has_diverged(trial.folder) else "done",
        validation=_chosen(figures, curve),
        test={
            name: {side: found.get(side) for side in ("value", "low", "high")}
            for name, found in summary.report["aggregate"].items()
            if name in _TEST_FIGURES
        },
        curve=curve,
        seconds=figures["seconds"],
        stopped_by=stopped.get("rule"),
    )


def _chosen(figures: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The chosen checkpoint's measures, and how long the training was."""
    at = next((point for point in curve if point["step"] == figures["step"]), {})
    found = {**at, **{key: figures[key] for key in _CHOSEN if key in figures}}
    return {
        name: value
        for name, value in found.items()
        if value is not None and (name in _CHOSEN or name.startswith(("eval_", "train_")))
    }


def _failed(trial: Trial, error: Exception, *, seconds: float) -> TrialResult:
    """A loss that is not finite ends a training in one way or another: that is no failure."""
    diverged = has_diverged(trial.folder)
    write_text(trial.error_file, "".join(traceback.format_exception(error)))
    message = str(error) or type(error).__name__
    announce(f"trial {trial.number} {'diverged' if diverged else 'failed'}: {message}")
    if not diverged:
        announce(f"  the whole error is in {trial.error_file}")
    return TrialResult(
        number=trial.number,
        values=trial.values,
        seed=trial.seed,
        folder=str(trial.folder),
        status="diverged" if diverged else "failed",
        curve=read_curve(trial.folder),
        seconds=round(seconds, 1),
        error=message,
    )


def _name_of(raw: Mapping[str, Any], trial: Trial) -> str:
    name = (raw.get("run") or {}).get("name") or "study"
    return f"{name}, {trial.label}"
