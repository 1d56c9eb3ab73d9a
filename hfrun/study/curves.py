"""What a run's metrics.jsonl tells of its course: a curve, and whether it diverged."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import stdev
from typing import Any

from hfrun.training.callbacks import METRICS_FILE

_POINTS = ("epoch", "step", "train_loss", "train_cross_entropy", "train_accuracy", "dropout",
           "weight_decay", "train_loss_sd")  # fmt: skip
_NO_MEASURE = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
_LOSSES = ("loss", "eval_loss", "train_loss")


def read_curve(folder: Path) -> tuple[dict[str, float | None], ...]:
    """An entry for each evaluation of a run; None where a figure is not finite.

    ``train_loss`` is what training optimized, ``train_cross_entropy`` and ``eval_loss`` are plain
    cross-entropy in evaluation mode, ``train_loss_sd`` is the scatter of the losses logged since
    the evaluation before. Values that a callback set are those of the last log before.
    """
    points: list[dict[str, float | None]] = []
    held: dict[str, Any] = {}
    losses: list[float] = []
    for event in _events(folder):
        if "loss" in event and "eval_loss" not in event and _finite(event["loss"]) is not None:
            losses.append(float(event["loss"]))
        held |= {key: event[key] for key in ("dropout", "weight_decay") if key in event}
        if "eval_loss" in event:
            point = {**held, **event, **_scatter(losses)}
            losses = []
            points.append({key: _finite(value) for key, value in point.items() if _is_kept(key)})
    return tuple(points)


def _scatter(losses: Sequence[float]) -> dict[str, float]:
    """Standard deviation of the logged losses about their slope.

    By successive differences: those of a straight line are alike, so the fall itself is no scatter.
    """
    if len(losses) < 3:
        return {}
    steps = [after - before for before, after in pairwise(losses)]
    return {"train_loss_sd": stdev(steps) / 2**0.5}


def _is_kept(key: str) -> bool:
    return key in _POINTS or (key.startswith("eval_") and key not in _NO_MEASURE)


def has_diverged(folder: Path) -> bool:
    """Whether a loss of the run was not finite, or a rule stopped it for that."""
    return any(
        event.get("stop_rule") == "non_finite"
        or any(key in event and _finite(event[key]) is None for key in _LOSSES)
        for event in _events(folder)
    )


def _events(folder: Path) -> Iterator[Mapping[str, Any]]:
    path = folder / METRICS_FILE
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _finite(value: Any) -> float | None:
    """A number; what is not finite stands as text in the file, and is None here."""
    number = float(value)
    return number if math.isfinite(number) else None
