"""A run as its log tells it: what was set, how each epoch went, and what came of it.

    run folder (run.json, config.yaml, metrics.jsonl, report.json)  ─►
    a line of runs.jsonl (another program's record)                 ─►  RunRecord

The diary, the diagnosis and the replay read this and nothing else, so a run of this program and
the record of an old one are judged alike. What a record does not tell is absent, never guessed.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.run_folder import read_run
from hfrun.training.callbacks import METRICS_FILE
from hfrun.training.step_records import read_step_records
from hfrun.training.trainer import GRAD_NORM_FILE
from lob_backtest.errors import ConfigError
from lob_backtest.files import read_json
from lob_backtest.strict_yaml import load_yaml

# A setting's name here, and where configs keep it: our own section.key first, then the names that
# diaries use.
SETTINGS: dict[str, tuple[str, ...]] = {
    "learning_rate": ("training.learning_rate", "lr"),
    "epochs": ("training.num_train_epochs", "epochs"),
    "max_steps": ("training.max_steps",),
    "batch_size": ("training.per_device_train_batch_size", "batch_size"),
    "accumulation": ("training.gradient_accumulation_steps",),
    "weight_decay": ("training.weight_decay", "weight_decay"),
    "warmup": ("training.warmup_steps", "warmup_ratio"),  # below 1 a share of the steps
    "start_factor": ("training.schedule.start_factor",),
    "schedule": ("training.schedule.name", "schedule"),
    "floor": ("training.schedule.floor",),
    "lr_min": ("lr_min",),
    "clip": ("training.max_grad_norm", "grad_clip"),
    "label_smoothing": ("training.loss.label_smoothing",),
    "class_weights": ("training.loss.class_weights",),
    "balanced_sampler": ("training.loss.balanced_sampler",),
    "sample_weights": ("training.loss.sample_weights",),
    "dropout": ("model.config.dropout", "model.config.hidden_dropout",
                "model.config.classifier_dropout", "dropout", "hidden_dropout"),
    "metric": ("training.metric_for_best_model",),
    "patience": ("patience",),
    "seed": ("run.seed", "seed"),
}  # fmt: skip

_NO_MEASURE = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """One training, from its first step to its last; a walk-forward has one for each fold.

    Args:
        label: "" for the one training of a run, else such as "fold 0".
        epochs: one for each evaluation, by the log's names (``epoch``, ``step``, ``train_loss``,
            ``train_accuracy``, ``eval_loss``, ``eval_accuracy``, ``eval_f1_weighted``,
            ``train_eval_gap``, ``grad_norm``, ``grad_norm_clipped_share``, ``learning_rate`` ...);
            epochs are numbered as the record numbers them, and what was not measured is not in it.
        steps: the log events between, with ``step``, ``epoch``, ``loss``, ``learning_rate`` and
            gradient figures; empty where only epochs were recorded.
        grad_norms: of every optimizer step, before clipping.
        figures: of the chosen checkpoint and the training, as ``figures.json`` has them.
    """

    label: str = ""
    epochs: tuple[Mapping[str, float], ...] = ()
    steps: tuple[Mapping[str, float], ...] = ()
    grad_norms: tuple[float, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def series(self, name: str) -> list[tuple[float, float]]:
        """(epoch, value) of every epoch that has a finite value of this name."""
        return [
            (epoch["epoch"], epoch[name])
            for epoch in self.epochs
            if name in epoch and math.isfinite(epoch[name])
        ]

    @property
    def stopped_by(self) -> Mapping[str, Any] | None:
        """The stop rule that ended it: ``rule, metric, value, limit, epoch, reason``."""
        return self.figures.get("stopped_by")


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRecord:
    """One run.

    Args:
        name: of the run; of a run folder, the config's ``run.name``.
        kind: "train", "walk-forward", or "recorded" for a line of runs.jsonl.
        config: as it was written; nested sections of our own, flat keys of a recorded one.
        courses: its trainings.
        test: ``{name: {value, low, high}}`` of the test part (report.json's aggregate).
        report: the rest of report.json that is small: verdict, gates, calibration, audit.
        run: run.json; empty for a recorded run.
        folder: None for a recorded run.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    courses: tuple[Course, ...] = ()
    test: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    @cached_property
    def flat_config(self) -> dict[str, Any]:
        """The config by ``section.key``, as overrides name them."""
        return dict(_flat(self.config))

    def setting(self, name: str) -> Any:
        """A setting of ``SETTINGS`` whatever the config calls it; None where it is not set."""
        found = (self.flat_config.get(key) for key in SETTINGS[name])
        return next((value for value in found if value is not None), None)

    @property
    def created_at(self) -> str | None:
        return self.run.get("created_at")

    @property
    def gates(self) -> Sequence[Mapping[str, Any]]:
        return self.report.get("gates") or ()


def read_record(folder: Path) -> RunRecord:
    """The record of a run folder, finished or not.

    Raises:
        HfrunError: no run in it, or files that cannot be read.
    """
    run = read_run(folder)
    try:
        config = load_yaml(folder / "config.yaml")
    except ConfigError as error:
        raise HfrunError(f"{folder}: {error}") from error
    path = folder / "report" / "report.json"
    report = read_json(path, error=HfrunError) if path.is_file() else {}
    return RunRecord(
        name=str(run.get("name") or folder.name),
        kind=str(run.get("kind", "train")),
        config=config,
        courses=_courses(folder),
        test=_test_figures(report),
        report={key: report[key] for key in _REPORTED if key in report},
        run=run,
        folder=folder,
    )


_REPORTED = ("kind", "verdict", "gates", "alarms", "calibration", "training", "validation",
             "label_names", "folds")  # fmt: skip


def read_recorded(path: Path) -> list[RunRecord]:
    """Runs that another program recorded, one JSON object a line: ``run, config, epochs[], ...``.

    Every field but ``run`` may be missing; ``test_accuracy`` and other ``test_...`` numbers are
    figures of the test part.

    Raises:
        HfrunError: a line that is no such object, named by its number.
    """
    records = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HfrunError(
            f"{path}: cannot be read: {error}; needs one JSON object a line"
        ) from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            records.append(_recorded(line, f"{path}, line {number}"))
    if not records:
        raise HfrunError(f"{path}: no runs in it; needs one JSON object a line")
    return records


def _recorded(line: str, where: str) -> RunRecord:
    try:
        held = json.loads(line)
    except ValueError as error:
        raise HfrunError(f"{where}: no JSON: {error}") from error
    if not isinstance(held, dict) or not isinstance(held.get("run"), str):
        raise HfrunError(f'{where}: needs an object with "run", the run\'s name')
    epochs, config = held.get("epochs") or [], held.get("config") or {}
    if not isinstance(epochs, list) or not isinstance(config, dict):
        raise HfrunError(f'{where}: needs "epochs" to be a list and "config" an object')
    measured = tuple(_epoch(entry, f"{where}, epochs[{i}]") for i, entry in enumerate(epochs))
    test = {
        name.removeprefix("test_"): {"value": value, "low": None, "high": None}
        for name, value in held.items()
        if name.startswith("test_") and isinstance(value, int | float)
    }
    return RunRecord(
        name=held["run"],
        kind="recorded",
        config=config,
        courses=(Course(epochs=measured),),
        test=test,
    )


def _epoch(entry: Any, where: str) -> dict[str, float]:
    if not isinstance(entry, dict) or not isinstance(entry.get("epoch"), int | float):
        raise HfrunError(f'{where}: needs an object with "epoch", its number')
    return _numbers(entry)


def _courses(folder: Path) -> tuple[Course, ...]:
    folds = sorted((folder / "folds").glob("[0-9][0-9][0-9]*"))
    if not folds:
        return (_course(folder, ""),)
    return tuple(_course(fold, f"fold {int(fold.name)}") for fold in folds)


def _course(folder: Path, label: str) -> Course:
    epochs: list[dict[str, float]] = []
    steps: list[dict[str, float]] = []
    held: dict[str, float] = {}
    for event in _events(folder / METRICS_FILE):
        if "eval_loss" in event:
            epochs.append({**held, **event})
            held = {}  # what was not logged since is not known of the next epoch
        elif "loss" in event:
            steps.append(event)
            held = {key: event[key] for key in ("learning_rate", "dropout", "weight_decay")
                    if key in event}  # fmt: skip
    path, norms = folder / "figures.json", folder / GRAD_NORM_FILE
    recorded = read_step_records(norms) if norms.is_file() else []
    return Course(
        label=label,
        epochs=tuple(epochs),
        steps=tuple(steps),
        grad_norms=tuple(step.norm for step in recorded),
        figures=read_json(path, error=HfrunError) if path.is_file() else {},
    )


def _events(path: Path) -> Iterator[dict[str, float]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield _numbers(json.loads(line))
        except ValueError:  # a line cut off by a kill; a resumed run writes it again
            continue


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a log event; what is not finite stands in it as text."""
    found = {}
    for name, value in entry.items():
        if name in _NO_MEASURE or isinstance(value, bool) or value is None:
            continue
        try:
            found[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            continue
    return found


def _test_figures(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    aggregate = report.get("aggregate") or {}
    return {name: found for name, found in aggregate.items()
            if isinstance(found, Mapping) and "value" in found}  # fmt: skip


def _flat(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value
