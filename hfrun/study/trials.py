"""Trials: ordinary runs of a study, each in its own folder, resumed, and counted when they fail.

    trials/000.json      what the trial was and how it ended
    trials/000/          the run itself, as ``hfrun train`` leaves it, without its checkpoints
    trials/000.error.txt the traceback of one that failed

A trial that is done, diverged or pruned is not run again; one that failed or was interrupted is
taken up where it stopped. Shared by every kind of study: how trials are chosen is not known here.
"""

import gc
import hashlib
import json
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from hfrun.config import HfrunConfig, config_from
from hfrun.errors import HfrunError
from hfrun.fitting import FoldFiles
from hfrun.runs import run_any
from hfrun.study.curves import has_diverged, read_curve
from hfrun.study.grid import cell_label, trial_config
from hfrun.study.trial_figures import Figures, fold_figures, fold_folders, mean_figures
from hfrun.summary import Summary
from hfrun.training.device_memory import PeakMemory
from hfrun.walk_forward import run_walk_forward
from lob_backtest.errors import ConfigError
from lob_backtest.files import read_json, write_json, write_text
from lob_backtest.progress import announce

Status = Literal["done", "failed", "diverged", "pruned"]
Kind = Literal["train", "walk-forward"]
# Of the report: what is shown of the test part. Nothing is ever chosen by it.
_TEST_FIGURES = ("accuracy", "f1_weighted", "f1_macro", "mcc", "nll", "ece", "brier")


class Pruned(Exception):  # noqa: N818 - no error: a decision
    """Raised between two folds, by who decides that the rest of a trial is not worth its time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One training of a study.

    Args:
        number: its place among the study's trials, from 0.
        values: what the study set, as in its grid.
        seed: of the run.
        folder: of the run; what the study notes of it lies beside, in ``folder.json``.
        kind: of the run: one training, or a walk-forward over every fold.
    """

    number: int
    values: Mapping[str, Any]
    seed: int
    folder: Path
    kind: Kind = "train"

    @property
    def record(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def error_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.error.txt")

    @property
    def label(self) -> str:
        return f"{cell_label(self.values) or 'as it is'}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialResult:
    """How a trial ended.

    Args:
        status: "diverged" where a loss was no longer finite, "pruned" where it was ended between
            two folds, "failed" on any other error.
        validation: figures of the chosen checkpoint by their names in the log (``eval_...``,
            ``train_...``, ``epoch``, ``step``), of a walk-forward their means over its folds; by
            these alone a study chooses.
        test: ``{name: {value, low, high}}`` of the report, to be shown.
        curve: an entry an evaluation, from metrics.jsonl.
        seconds: of the training itself.
        error: of a trial that did not get to its end.
        folds: of a walk-forward, the validation figures of each of its folds.
        peak_memory_megabytes: the most that was held during it; None where that is not counted.
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
    folds: tuple[Figures, ...] = ()
    peak_memory_megabytes: float | None = None

    @classmethod
    def from_dict(cls, held: Mapping[str, Any]) -> "TrialResult":
        """What ``as_dict`` gave."""
        return cls(**{**held, "curve": tuple(held["curve"]), "folds": tuple(held.get("folds", ()))})

    def as_dict(self) -> dict[str, Any]:
        lists = {"curve": list(self.curve), "folds": list(self.folds)}
        return {**vars(self), "values": dict(self.values), **lists}


def run_trial(
    raw: Mapping[str, Any],
    trial: Trial,
    *,
    after_fold: Callable[[int, Figures], None] | None = None,
) -> TrialResult:
    """Run one trial, or give the result of one that has ended.

    Args:
        raw: the study's config as read; the trial's values and seed are put into it.
        trial: which.
        after_fold: told of each fold of a walk-forward when it is fitted, by its number and its
            validation figures; ``Pruned`` raised there ends the trial.

    Raises:
        HfrunError: the folder's trial is another one.
        OSError: of the machine, e.g. a full disk; no other trial would fare better.
    """
    config = trial_config(
        raw, trial.values, seed=trial.seed, name=_name_of(raw, trial), folder=str(trial.folder)
    )
    identity = trial_identity(config, kind=trial.kind)
    ended = _ended(trial, identity)
    if ended is not None:
        announce(f"  {ended.status} before: {trial.folder}")
        return ended
    trial.record.parent.mkdir(parents=True, exist_ok=True)
    write_json(trial.record, _record(trial, identity, None))
    result = _run(config, trial, after_fold)
    write_json(trial.record, _record(trial, identity, result))
    return result


def trial_identity(config: Mapping[str, Any], *, kind: Kind = "train") -> str:
    """Hash of what a trial's figures depend on: its config without name, folder, gates and hub."""
    same = {name: part for name, part in config.items() if name not in ("gates", "hub", "study")}
    run = dict(same.get("run") or {})
    same["run"] = {"seed": run.get("seed", 0)} | ({} if kind == "train" else {"kind": kind})
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


def _run(
    config: dict[str, Any], trial: Trial, after_fold: Callable[[int, Figures], None] | None
) -> TrialResult:
    started = time.monotonic()
    trial.error_file.unlink(missing_ok=True)
    memory = PeakMemory(torch.accelerator.current_accelerator() or torch.device("cpu"))
    try:
        summary = _run_as_ordered(config, trial, after_fold)
        peak = memory.peak()
    except Pruned as decision:
        return _pruned(trial, decision, seconds=time.monotonic() - started)
    except OSError:
        raise
    except Exception as error:  # every other trial can still be run, and this one is counted
        return _failed(trial, error, seconds=time.monotonic() - started)
    finally:
        _free_memory()
    assert summary is not None  # a study is one process
    for checkpoint in trial.folder.glob("**/checkpoint-*"):
        shutil.rmtree(checkpoint)  # they serve only to resume; the chosen model is in model/
    return _finished(trial, summary, peak=peak)


def _run_as_ordered(
    config: dict[str, Any], trial: Trial, after_fold: Callable[[int, Figures], None] | None
) -> Summary | None:
    built = config_from(config, source=f"trial {trial.number} ({trial.label})")
    if trial.kind == "train":
        return run_any(built)
    if not isinstance(built, HfrunConfig):
        raise ConfigError("study.folds: texts have no order in time to walk through; leave it out")

    def tell(files: FoldFiles) -> None:
        if after_fold is not None:
            after_fold(int(files.folder.name), fold_figures(files.folder))

    return run_walk_forward(built, after_fold=tell)


def _free_memory() -> None:
    """Of the trial's model and optimizer, which hold each other, before the next has its own."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _finished(trial: Trial, summary: Summary, *, peak: int | None) -> TrialResult:
    folds = fold_folders(trial.folder, is_walk_forward=trial.kind != "train")
    figures = [FoldFiles(folder).read_figures() for folder in folds]
    told = [fold_figures(folder) for folder in folds]
    stopped = [entry["stopped_by"]["rule"] for entry in figures if entry.get("stopped_by")]
    return TrialResult(
        number=trial.number,
        values=trial.values,
        seed=trial.seed,
        folder=str(trial.folder),
        status="diverged" if any(map(has_diverged, folds)) else "done",
        validation=mean_figures(told),
        test={
            name: {side: found.get(side) for side in ("value", "low", "high")}
            for name, found in summary.report["aggregate"].items()
            if name in _TEST_FIGURES
        },
        curve=read_curve(folds[0]),
        seconds=sum(entry["seconds"] for entry in figures),
        stopped_by=stopped[0] if stopped else None,
        folds=() if trial.kind == "train" else tuple(told),
        peak_memory_megabytes=None if peak is None else round(peak / 2**20, 1),
    )


def _pruned(trial: Trial, decision: Pruned, *, seconds: float) -> TrialResult:
    folds = fold_folders(trial.folder, is_walk_forward=trial.kind != "train")
    told = [fold_figures(folder) for folder in folds]
    for checkpoint in trial.folder.glob("**/checkpoint-*"):
        shutil.rmtree(checkpoint)
    announce(f"trial {trial.number} pruned: {decision}")
    return TrialResult(
        number=trial.number,
        values=trial.values,
        seed=trial.seed,
        folder=str(trial.folder),
        status="pruned",
        validation=mean_figures(told),
        curve=read_curve(folds[0]) if folds else (),
        seconds=round(seconds, 1),
        error=str(decision),
        folds=tuple(told),
    )


def _failed(trial: Trial, error: Exception, *, seconds: float) -> TrialResult:
    """A loss that is not finite ends a training in one way or another: that is no failure."""
    folders = [trial.folder, *sorted(trial.folder.glob("folds/*"))]
    diverged = any(map(has_diverged, folders))
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
