"""How far a training had come, and which of its evaluations is the best one."""

from collections.abc import Mapping
from dataclasses import dataclass

from hfrun.fold_trainer import is_greater_better
from hfrun.record import Course, RunRecord

# As `hfrun replay` chooses where a record does not say by which metric it chose.
_CHOICES = ("eval_f1_weighted", "eval_accuracy", "eval_loss")
_OWN_CHOICE = "eval_loss"  # of a run of this program whose config names none
_ONE_CYCLE_RISE = 0.3  # of one cycle, where no warm-up was asked for


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best evaluation of a training: by which metric, where in the list, and its figures."""

    metric: str
    is_greater_better: bool
    index: int
    figures: Mapping[str, float]

    @property
    def value(self) -> float:
        return self.figures[self.metric]

    @property
    def epoch(self) -> str:
        """Its epoch as the record numbers it."""
        return f"{self.figures['epoch']:g}"


def evaluations(course: Course) -> list[Mapping[str, float]]:
    """The evaluations after training began."""
    return [epoch for epoch in course.epochs if epoch.get("step") != 0]


def best_of(course: Course, record: RunRecord) -> Best | None:
    """The best evaluation by the metric that the run chose by; the first of equal ones."""
    seen = evaluations(course)
    metric = _metric(course, record)
    if metric is None:
        return None
    greater = is_greater_better(metric)
    held = [
        (entry[metric], i) for i, entry in enumerate(seen)
        if metric in entry and entry[metric] == entry[metric]
    ]  # fmt: skip
    if not held:
        return None
    _, index = max(held, key=lambda one: (one[0] if greater else -one[0], -one[1]))
    return Best(metric=metric, is_greater_better=greater, index=index, figures=seen[index])


def _metric(course: Course, record: RunRecord) -> str | None:
    named = record.setting("metric")
    if isinstance(named, str):
        return named if named.startswith("eval_") else f"eval_{named}"
    if record.kind != "recorded":
        return _OWN_CHOICE
    return next((name for name in _CHOICES if course.series(name)), None)


def epochs_done(course: Course, index: int) -> float:
    """Epochs of training that were over at an evaluation; diaries may count from 0."""
    seen = evaluations(course)
    counts_from_zero = bool(seen) and seen[0]["epoch"] == 0
    return seen[index]["epoch"] + (1 if counts_from_zero else 0)


def epochs_trained(course: Course) -> float | None:
    """Epochs of training altogether."""
    trained = course.figures.get("epochs_trained")
    if isinstance(trained, int | float):
        return float(trained)
    return epochs_done(course, -1) if evaluations(course) else None


def epochs_planned(course: Course, record: RunRecord) -> float | None:
    """Epochs that the config asked for."""
    steps, epochs = number(record, "max_steps"), number(record, "epochs")
    if steps is not None and steps > 0:
        per_epoch = steps_per_epoch(course)
        return None if per_epoch is None else steps / per_epoch
    return epochs


def steps_per_epoch(course: Course) -> float | None:
    """Optimizer steps of an epoch, from the last evaluation that says both."""
    for entry in reversed(course.epochs):
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


def number(record: RunRecord, name: str) -> float | None:
    """A setting that is a number."""
    value = record.setting(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def train_measure(course: Course) -> str | None:
    """What says how well the training data is fitted: by accuracy, else by loss."""
    return next((name for name in ("train_accuracy", "train_cross_entropy", "train_loss")
                 if len(course.series(name)) > 1), None)  # fmt: skip
