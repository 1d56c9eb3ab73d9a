"""How far a training had come, which of its evaluations is the best, and how large its sets are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfrun.fold_trainer import is_greater_better
from hfrun.record import SETTINGS, Course, RunRecord

# As `hfrun replay` chooses where a record does not say by which metric it chose.
_CHOICES = ("eval_f1_weighted", "eval_accuracy", "eval_loss")
_OWN_CHOICE = "eval_loss"  # of a run of this program whose config names none
_ONE_CYCLE_RISE = 0.3  # of one cycle, where no warm-up was asked for
_SIZES = ("validation_decisions", "validation_texts")
_FAR_ABOVE = 2.0  # times the loss of equal probabilities: no untrained model is so sure
_BETTER = 0.02  # of train accuracy, or a share of the loss: less is no better fit

Figures = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best evaluation of a training: by which metric, where in the list, and its figures."""

    metric: str
    is_greater_better: bool
    index: int
    figures: Figures

    @property
    def value(self) -> float:
        return self.figures[self.metric]

    @property
    def epoch(self) -> str:
        """Its epoch as the record numbers it."""
        return f"{self.figures['epoch']:g}"


def evaluations(course: Course) -> list[Figures]:
    """The evaluations after training began, each with the figures in it that can be believed.

    What is not finite is left out, and an accuracy or F1 that is no share of 1 (such as percent).
    """
    return [
        {name: value for name, value in entry.items() if _is_sound(name, value)}
        for entry in course.epochs
        if entry.get("step") != 0 and math.isfinite(entry.get("epoch", math.nan))
    ]


def _is_sound(name: str, value: float) -> bool:
    is_share = name.endswith(("accuracy", "_f1_weighted", "_f1_macro"))
    return math.isfinite(value) and (not is_share or 0 <= value <= 1)


def series(course: Course, name: str) -> list[tuple[float, float]]:
    """(epoch, value) of every evaluation that has a sound value of this name."""
    return [(entry["epoch"], entry[name]) for entry in evaluations(course) if name in entry]


def finite(value: object) -> float | None:
    """A number that can be reckoned with, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def best_of(course: Course, record: RunRecord) -> Best | None:
    """The best evaluation by the metric that the run chose by; the first of equal ones."""
    metric = _metric(course, record)
    if metric is None:
        return None
    greater = is_greater_better(metric)
    seen = evaluations(course)
    held = [
        (entry[metric] if greater else -entry[metric], -i)
        for i, entry in enumerate(seen)
        if metric in entry
    ]
    if not held:
        return None
    index = -max(held)[1]
    return Best(metric=metric, is_greater_better=greater, index=index, figures=seen[index])


def _metric(course: Course, record: RunRecord) -> str | None:
    named = record.setting("metric")
    if isinstance(named, str):
        return named if named.startswith("eval_") else f"eval_{named}"
    if record.kind != "recorded":
        return _OWN_CHOICE
    return next((name for name in _CHOICES if series(course, name)), None)


def epochs_done(course: Course, index: int) -> float:
    """Epochs of training that were over at an evaluation; diaries may count from 0."""
    seen = evaluations(course)
    return seen[index]["epoch"] + (1 if seen[0]["epoch"] == 0 else 0)


def epochs_trained(course: Course) -> float | None:
    """Epochs of training altogether."""
    trained = finite(course.figures.get("epochs_trained"))
    if trained is not None:
        return trained
    return epochs_done(course, -1) if evaluations(course) else None


def epochs_planned(course: Course, record: RunRecord) -> float | None:
    """Epochs that the config asked for."""
    steps = number(record, "max_steps")
    if steps is not None and steps > 0:
        per_epoch = steps_per_epoch(course)
        return None if per_epoch is None else steps / per_epoch
    return number(record, "epochs")


def steps_per_epoch(course: Course) -> float | None:
    """Optimizer steps of an epoch, from the last evaluation that says both."""
    for entry in reversed(evaluations(course)):
        if entry.get("step", 0) > 0 and entry["epoch"] > 0:
            return entry["step"] / entry["epoch"]
    return None


def warmup_epochs(course: Course, record: RunRecord) -> float | None:
    """Epochs of the warm-up, by the config; None where it does not tell."""
    planned, warmup = epochs_planned(course, record), number(record, "warmup")
    if record.setting("schedule") == "one_cycle" and not warmup:
        warmup = _ONE_CYCLE_RISE
    if warmup is None:
        return None
    if warmup < 1:
        return None if planned is None else warmup * planned
    per_epoch = steps_per_epoch(course)
    return None if per_epoch is None else warmup / per_epoch


def ended_in_warmup(course: Course, record: RunRecord) -> bool:
    """Whether training ended before the peak rate of the config was taken."""
    trained, warmup = epochs_trained(course), warmup_epochs(course, record)
    return trained is not None and warmup is not None and trained < warmup


def rates(course: Course) -> list[tuple[float, float]]:
    """(epoch, learning rate) as logged, at steps where they were, else at evaluations."""
    logged = [
        (event["epoch"], event["learning_rate"])
        for event in course.steps
        if finite(event.get("learning_rate")) is not None and finite(event.get("epoch")) is not None
    ]
    return logged or series(course, "learning_rate")


def number(record: RunRecord, name: str) -> float | None:
    """A setting that is a finite number."""
    return finite(record.setting(name))


def override(record: RunRecord, name: str, value: float) -> str:
    """A setting as it is typed on the command line, by the key that the config uses."""
    keys = SETTINGS[name]
    key = next((key for key in keys if "." in key and key in record.flat_config), keys[0])
    return f"{key}={value:.3g}"


def classes_of(record: RunRecord) -> int | None:
    """Number of classes."""
    if any(f"{key}.".startswith("data.book.") for key in record.flat_config):
        return 3  # down, flat, up
    names = record.report.get("label_names") or record.flat_config.get("data.labels")
    return len(names) if isinstance(names, list | tuple) and len(names) > 1 else None


def blown_up(course: Course, record: RunRecord) -> float | None:
    """The largest loss, where it is far above that of equal probabilities: steps too large."""
    classes = classes_of(record)
    names = ("train_loss", "train_cross_entropy", "eval_loss")
    most = max((value for name in names for _, value in series(course, name)), default=None)
    is_far = most is not None and classes is not None and most > _FAR_ABOVE * math.log(classes)
    return most if is_far else None


def fits_better_later(course: Course) -> bool | None:
    """Whether the training data was fitted better after the first evaluation; None: unknown."""
    measure = train_measure(course)
    if measure is None:
        return None
    first, *later = (value for _, value in series(course, measure))
    if measure == "train_accuracy":
        return max(later) - first > _BETTER
    return first - min(later) > _BETTER * first


def rate_to_fit_more(course: Course, record: RunRecord) -> float | None:
    """A rate at which the training data may be fitted better; None where nothing speaks for one.

    A tenth where the loss blew up. None where the best epoch is the first, or inside the warm-up,
    while the fit went on: those have rules of their own, which ask for less.
    """
    rate, best = number(record, "learning_rate"), best_of(course, record)
    if not rate:
        return None
    if blown_up(course, record) is not None:
        return rate / 10
    if ended_in_warmup(course, record):
        return None  # its own peak was not tried yet
    if best is not None:
        if epochs_done(course, best.index) < (warmup_epochs(course, record) or 0.0):
            return None
        if best.index == 0 and len(evaluations(course)) > 2 and fits_better_later(course):
            return None
    return 3 * rate


def train_measure(course: Course) -> str | None:
    """What says how well the training data is fitted: by accuracy, else by loss."""
    return next((name for name in ("train_accuracy", "train_cross_entropy", "train_loss")
                 if len(series(course, name)) > 1), None)  # fmt: skip


def evaluation_size(course: Course) -> int | None:
    """Examples of the validation part."""
    return next((size for name in _SIZES if (size := count(course.figures.get(name)))), None)


def train_dev_size(course: Course) -> int | None:
    """Examples of the block between train and validation."""
    return count(course.figures.get("train_dev_decisions"))


def train_size(course: Course, record: RunRecord) -> int | None:
    """Training examples on which the train accuracy was measured."""
    sizes = (count(course.figures.get(name)) for name in ("train_decisions", "train_texts"))
    held = next((size for size in sizes if size), None)
    asked = count(record.flat_config.get("callbacks.gap_samples"))
    return min(held, asked) if held and asked else held


def count(value: object) -> int | None:
    """A number of examples, of which there is at least one."""
    held = finite(value)
    return int(held) if held is not None and held >= 1 else None


def fold_report(course: Course, record: RunRecord) -> Mapping[str, Any] | None:
    """What the report says of a training's test block."""
    folds = record.report.get("folds") or []
    if len(folds) == len(record.courses) == 1:
        found: Mapping[str, Any] = folds[0]
        return found
    return next((fold for fold in folds if course.label == f"fold {fold.get('fold')}"), None)
