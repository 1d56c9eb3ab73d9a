"""What only the training run knows and two of the gates judge: accuracy and gradient norms."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lob_backtest.errors import GateError
from lob_backtest.files import read_json
from lob_backtest.strict_yaml import unknown_keys


@dataclass(frozen=True, kw_only=True)
class TrainingFigures:
    """What only the training run knows.

    Attributes:
        train_accuracy: of the chosen checkpoint in evaluation mode, one figure a fold in their
            order, or one for all; empty = unknown. What it is held against, the accuracy of each
            test block, the judge computes from the predictions.
        grad_norm_p50, grad_norm_p95: percentiles of the gradient norm before clipping, over all
            optimizer steps of all folds; None = unknown.
        grad_norm_non_finite: steps whose gradient was NaN or infinite, left out of the percentiles.
    """

    train_accuracy: tuple[float, ...] = ()
    grad_norm_p50: float | None = None
    grad_norm_p95: float | None = None
    grad_norm_non_finite: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As it stands in JSON; ``training_from`` reads it back."""
        return {**asdict(self), "train_accuracy": list(self.train_accuracy)}


def read_training(path: Path | str) -> TrainingFigures:
    """Read ``TrainingFigures`` from JSON; the accuracy is a list, one a fold, or one number."""
    path = Path(path)
    if not path.is_file():
        raise GateError(
            f"{path}: no such file; needs JSON with train_accuracy, grad_norm_p50 and grad_norm_p95"
        )
    raw = read_json(path, error=GateError)
    if not isinstance(raw, dict):
        raise GateError(f"{path}: got {type(raw).__name__}; needs an object of training figures")
    return training_from(raw, source=str(path))


def training_from(raw: Mapping[str, Any], *, source: str = "training") -> TrainingFigures:
    """Check a mapping of training figures and take it over."""
    problems = unknown_keys(raw, list(TrainingFigures.__dataclass_fields__), source)
    values = raw.get("train_accuracy")
    accuracies = values if isinstance(values, list) else [] if values is None else [values]
    problems += [
        f"{source}.train_accuracy: got {item!r}; needs a share within 0 and 1"
        for item in accuracies
        if not _is_number(item) or not 0 <= item <= 1
    ]
    non_finite = raw.get("grad_norm_non_finite", 0)
    if isinstance(non_finite, bool) or not isinstance(non_finite, int) or non_finite < 0:
        problems.append(f"{source}.grad_norm_non_finite: got {non_finite!r}; needs a count")
    for name in ("grad_norm_p50", "grad_norm_p95"):
        if raw.get(name) is not None and not _is_number(raw[name]):
            problems.append(f"{source}.{name}: got {raw[name]!r}; needs a finite number")
    if problems:
        raise GateError("; ".join(problems))
    return TrainingFigures(
        train_accuracy=tuple(accuracies),
        grad_norm_p50=raw.get("grad_norm_p50"),
        grad_norm_p95=raw.get("grad_norm_p95"),
        grad_norm_non_finite=non_finite,
    )


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False
