"""The curves of the best trials, and what a reader should see in them.

overfitting       the validation loss is a tenth above its minimum at the end of the run
past its best     the metric has fallen from its best by more than it jumps between epochs
unsteady          the training loss jumps by more than it falls
still improving   the best is at the end, and the last quarter is better than the one before
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
_LEAST = 4  # evaluations, fewer of which have no course


def courses(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Of the best finalists if there are, then of the best short trials: points and marks."""
    short = by_score([trial for trial in data.explored if trial.is_feasible], data)[:BEST]
    long = by_score([trial for trial in data.finalists if trial.is_feasible], data)[:BEST]
    return [_course(trial, data, axes) for trial in (*long, *short) if trial.curve]


def _course(trial: StudyTrial, data: StudyData, axes: Sequence[Axis]) -> dict[str, Any]:
    sign = 1.0 if data.higher_is_better else -1.0
    flags = [
        flag
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
        "chosen_epoch": trial.validation.get("epoch"),
        "points": [dict(point) for point in trial.curve],
        "flags": flags,
        "step_noise": _noise_of(trial.curve, "train_loss"),
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
    at = int(np.argmax(sign * values))
    last = float(values[-_quarter(values) :].mean())
    fall, jump = sign * (values[at] - last), noise(values)
    if at >= len(values) - _quarter(values) or fall <= 2 * jump:
        return None
    return _flag(
        "past_its_best",
        float(epochs[at]),
        fall,
        f"best {values[at]:.4g} at epoch {epochs[at]:g}, {last:.4g} over the last "
        f"{_quarter(values)} evaluations: {fall:.4g} worse, and it jumps by {jump:.2g}",
    )


def _still_improving(
    curve: Sequence[Mapping[str, Any]], metric: str, sign: float
) -> dict[str, Any] | None:
    epochs, values = series(curve, metric)
    if len(values) < _LEAST:
        return None
    size = _quarter(values)
    last, before = float(values[-size:].mean()), float(values[-2 * size : -size].mean())
    gain, jump = sign * (last - before), noise(values)
    at = int(np.argmax(sign * values))
    if at < len(values) - size or gain <= jump * math.sqrt(2 / size):
        return None
    return _flag(
        "still_improving",
        float(epochs[at]),
        gain,
        f"best at epoch {epochs[at]:g} of {epochs[-1]:g}, and the last {size} evaluations are "
        f"{gain:.4g} better than those before: longer runs may do better",
    )


def _unsteady(curve: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    epochs, losses = series(curve, "train_loss")
    if len(losses) < 2 * _LEAST:
        return None
    jump, fall = noise(losses), float(losses[0] - losses.min())
    if jump <= 0 or jump <= 0.25 * fall:
        return None
    return _flag(
        "unsteady",
        float(epochs[int(np.argmax(np.diff(losses))) + 1]),
        jump,
        f"the training loss jumps by {jump:.3g} between evaluations and fell by {fall:.3g} in all: "
        "a lower rate, a longer warm-up or clipping",
    )


def noise(values: FloatArray) -> float:
    """Standard deviation of a series about its smooth course, from its second differences.

    They take out any straight line; for independent errors their variance is six times as large.
    """
    if len(values) < 3:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(values, n=2) ** 2) / 6))


def series(curve: Sequence[Mapping[str, Any]], name: str) -> tuple[FloatArray, FloatArray]:
    """Epochs and values of the evaluations that have a finite value of this name."""
    held = [
        (float(point["epoch"]), float(point[name]))
        for point in curve
        if point.get("epoch") is not None and _is_finite(point.get(name))
    ]
    array = np.array(held, dtype=float).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _noise_of(curve: Sequence[Mapping[str, Any]], name: str) -> float | None:
    _, values = series(curve, name)
    return noise(values) if len(values) >= _LEAST else None


def _quarter(values: FloatArray) -> int:
    return max(len(values) // 4, 1)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flag(name: str, epoch: float, value: float, text: str) -> dict[str, Any]:
    return {"name": name, "epoch": epoch, "value": float(value), "text": text}
