"""What only the training run knows and two of the gates judge: accuracies and gradient norms."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lob_backtest.errors import GateError
from lob_backtest.strict_yaml import unknown_keys


@dataclass(frozen=True, kw_only=True)
class TrainingFigures:
    """What only the training run knows.

    Attributes:
        train_accuracy, eval_accuracy: one figure a fold, both in evaluation mode; empty = unknown.
        grad_norm_p50, grad_norm_p95: percentiles of the gradient norm before clipping, over all
            optimizer steps of all folds; None = unknown.
    """

    train_accuracy: tuple[float, ...] = ()
    eval_accuracy: tuple[float, ...] = ()
    grad_norm_p50: float | None = None
    grad_norm_p95: float | None = None

    def __post_init__(self) -> None:
        if len(self.train_accuracy) != len(self.eval_accuracy):
            raise GateError(
                f"got {len(self.train_accuracy)} train and {len(self.eval_accuracy)} evaluation "
                "accuracies; needs one of each for every fold"
            )

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "train_accuracy": list(self.train_accuracy),
            "eval_accuracy": list(self.eval_accuracy),
        }


def read_training(path: Path | str) -> TrainingFigures:
    """Read ``TrainingFigures`` from JSON; an accuracy may be one number or a list, one a fold."""
    path = Path(path)
    if not path.is_file():
        raise GateError(
            f"{path}: no such file; needs JSON with train_accuracy, eval_accuracy, "
            "grad_norm_p50 and grad_norm_p95"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise GateError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise GateError(f"{path}: got {type(raw).__name__}; needs an object of training figures")
    return training_from(raw, source=str(path))


def training_from(raw: Mapping[str, Any], *, source: str = "training") -> TrainingFigures:
    """Check a mapping of training figures and take it over."""
    problems = unknown_keys(raw, list(TrainingFigures.__dataclass_fields__), source)
    accuracies: dict[str, tuple[float, ...]] = {}
    for name in ("train_accuracy", "eval_accuracy"):
        values = raw.get(name)
        items = values if isinstance(values, list) else [] if values is None else [values]
        problems += [
            f"{source}.{name}: got {item!r}; needs a share within 0 and 1"
            for item in items
            if not _is_number(item) or not 0 <= item <= 1
        ]
        accuracies[name] = tuple(items)
    for name in ("grad_norm_p50", "grad_norm_p95"):
        if raw.get(name) is not None and not _is_number(raw[name]):
            problems.append(f"{source}.{name}: got {raw[name]!r}; needs a finite number")
    if problems:
        raise GateError("; ".join(problems))
    return TrainingFigures(
        **accuracies, grad_norm_p50=raw.get("grad_norm_p50"), grad_norm_p95=raw.get("grad_norm_p95")
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
