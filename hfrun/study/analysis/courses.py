"""The curves of the best trials, and what a reader should see in them.

    overfitting       the validation loss is a tenth above its minimum at the end of the run
    past its best     the metric has fallen from its best by more than luck explains
    unsteady          the training loss jumps by more than a quarter of what it fell by
    still improving   the best is at the end, and the last quarter is better than the one before

Luck is measured on the curve itself: by how much it jumps about its smooth course.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfrun.study.analysis.axis import Axis, by_score, trial_label
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.book import FloatArray

BEST = 3  # trials whose curves are shown
RISE = 0.1
_JUMPS = 0.25  # of what the training loss fell by
_LEAST = 4  # evaluations, fewer of which have no course


def courses(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Of the best finalists if there are, then of the best short trials: points and marks."""
    short = by_score([trial for trial in data.explored if trial.is_feasible], data)[:BEST]
    long = by_score([trial for trial in data.finalists if trial.is_feasible], data)[:BEST]
    return [_course(trial, data, axes) for trial in (*long, *short) if trial.curve]


def _course(trial: StudyTrial, data: StudyData, axes: Sequence[Axis]) -> dict[str, Any]:
    sign = 1.0 if data.higher_is_better else -1.0
    # Of a walk-forward the course is that of its first fold; its score is the mean over all.
    where = "in its first fold " if trial.folds else ""
    flags = [
        {**flag, "text": where + flag["text"]}
        for flag in (
            _overfitting(trial.curve),
            _past_its_best(trial.curve, data.metric, sign),
            _unsteady(trial.curve),
            _still_improving(trial.curve, data.metric, sign),
        )
        if flag is not None
    ]
    return {
        "trial": trial.number,
        "phase": trial.phase,
        "label": trial_label(trial, axes),
        "score": trial.score,
        "chosen_epoch": None if trial.folds else trial.validation.get("epoch"),
        "points": [dict(point) for point in trial.curve],
        "flags": flags,
        "step_noise": _step_noise(trial.curve),
    }


def _overfitting(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    epochs, losses = series(curve, "eval_loss")
    if len(losses) < 2:
        return None
    at = int(np.argmin(losses))
    least, last = float(losses[at]), float(losses[-1])
    if least <= 0 or last <= (1 + RISE) * least:
        return None
    return _flag(
        "overfitting",
        float(epochs[at]),
        last / least - 1,
        f"validation loss {least:.4g} at epoch {epochs[at]:g}, {last:.4g} at the end: "
        f"{last / least - 1:.0%} above its minimum",
    )


def _past_its_best(
    curve: Sequence[Mapping[str, Any]], metric: str, sign: float
) -> dict[str, Any] | None:
    epochs, values = series(curve, metric)
    if len(values) < _LEAST:
        return None
    size, jump = _quarter(values), noise(values) * _doubt(values)
    at = int(np.argmax(sign * values))
    last = float(values[-size:].mean())
    fall = sign * (float(values[at]) - last)
    # what the best of so many values of equal worth stands out by, and one more
    luck = jump * (math.sqrt(2 * math.log(len(values))) + 1) / 2
    if at >= len(values) - size or fall <= luck:
        return None
    return _flag(
        "past_its_best",
        float(epochs[at]),
        fall,
        f"best {values[at]:.4f} at epoch {epochs[at]:g}, {last:.4f} over the last {size} "
        f"evaluations: {fall:.4f} worse, where up to {luck:.4f} may be luck",
    )


def _still_improving(
    curve: Sequence[Mapping[str, Any]], metric: str, sign: float
) -> dict[str, Any] | None:
    epochs, values = series(curve, metric)
    if len(values) < _LEAST:
        return None
    size = _quarter(values)
    at = int(np.argmax(sign * values))
    gain = sign * float(values[-size:].mean() - values[-2 * size : -size].mean())
    if at < len(values) - size or gain <= noise(values) * _doubt(values) * math.sqrt(2 / size):
        return None
    return _flag(
        "still_improving",
        float(epochs[at]),
        gain,
        f"best at epoch {epochs[at]:g} of {epochs[-1]:g}, and the last {size} evaluations are "
        f"{gain:.4f} better than the {size} before: longer runs may do better",
    )


def _unsteady(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    epochs, losses = series(curve, "train_loss")
    jump = _step_noise(curve)
    if jump is None or len(losses) < 2 * _LEAST:
        return None
    size = _quarter(losses)
    fall = max(float(losses[:size].mean() - losses[-size:].mean()), 0.0)
    if jump <= _JUMPS * fall or jump <= 0:
        return None
    return _flag(
        "unsteady",
        float(epochs[int(np.argmax(np.diff(losses))) + 1]),
        jump,
        f"the training loss jumps by {jump:.3g} and fell by {fall:.3g} in all: a lower rate, a "
        "longer warm-up or clipping may steady it",
    )


def _step_noise(curve: Sequence[Mapping[str, Any]]) -> float | None:
    """By how much the training loss jumps: between its logs where that is known, else between
    evaluations."""
    _, between_logs = series(curve, "train_loss_sd")
    if len(between_logs):
        return float(np.median(between_logs))
    _, losses = series(curve, "train_loss")
    return noise(losses) if len(losses) >= _LEAST else None


def noise(values: FloatArray) -> float:
    """Standard deviation of a series about its smooth course, from its third differences.

    They take out any parabola; of independent errors their variance is 1 + 9 + 9 + 1 = 20 times
    as large. Of four values the second differences, which take out a line.
    """
    if len(values) < _LEAST:
        return 0.0
    order, factor = (3, 20) if len(values) > _LEAST else (2, 6)
    return float(np.sqrt(np.mean(np.diff(values, n=order) ** 2) / factor))


def _doubt(values: FloatArray) -> float:
    """Two standard deviations, more where few differences tell what one is: Student's t.

    Neighbouring differences share values: n of third order are worth n / 2.31 independent ones,
    of second order n / 1.94 (one over the sum of their squared autocorrelations).
    """
    from scipy import stats

    count = len(values)
    degrees = (count - 3) / 2.31 if count > _LEAST else (count - 2) / 1.94
    return float(stats.t.ppf(0.975, degrees))


def series(curve: Sequence[Mapping[str, Any]], name: str) -> tuple[FloatArray, FloatArray]:
    """Epochs and values of the evaluations that have a finite value of this name."""
    held = [
        (float(point["epoch"]), float(point[name]))
        for point in curve
        if point.get("epoch") is not None and _is_finite(point.get(name))
    ]
    array = np.array(held, dtype=float).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _quarter(values: FloatArray) -> int:
    return max(len(values) // 4, 1)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flag(name: str, epoch: float, value: float, text: str) -> dict[str, Any]:
    return {"name": name, "epoch": epoch, "value": float(value), "text": text}
