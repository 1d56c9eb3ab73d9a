"""What every optimizer step measured: its loss, and the gradient norm before and after clipping.

The Trainer by itself logs the norm of the last step in a window only, before clipping, and never
says that it is the one before. "Clipping fails, the norm is 12.76" was a misreading of that.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hfrun.training.json_lines import JsonLines

# torch.nn.utils.clip_grad_norm_ divides by the norm plus this.
_CLIP_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One optimizer step, counted from 1; both norms are L2 over all parameters."""

    step: int
    loss: float
    norm: float
    clipped_norm: float


def norm_after_clipping(norm: float, max_norm: float) -> float:
    """Norm that is left once gradients of norm ``norm`` are clipped; ``max_norm`` 0 is no clip.

        norm * min(1, max_norm / (norm + 1e-6))

    >>> round(norm_after_clipping(5.0, max_norm=1.0), 6)
    1.0
    """
    return norm * min(1.0, max_norm / (norm + _CLIP_EPSILON)) if max_norm > 0 else norm


def norm_statistics(records: Sequence[StepRecord], *, max_norm: float) -> dict[str, float]:
    """Statistics of the gradient norms of some steps, as they are logged.

    ``grad_norm`` is the mean before clipping; ``grad_norm_p50``, ``_p95`` and ``_max`` are of the
    same norms, percentiles by linear interpolation. ``grad_norm_after_clip`` is the mean after,
    ``grad_norm_clipped_share`` the share of steps above ``max_norm``. A step whose norm is not
    finite is left out of these, and counted in ``grad_norm_non_finite`` where there is one.

    Returns:
        Nothing for no records; NaN where no step was finite.
    """
    if not records:
        return {}
    norms = np.array([record.norm for record in records])
    finite = np.isfinite(norms)
    statistics = {name: float("nan") for name in STATISTICS}
    if finite.any():
        kept = norms[finite]
        after = np.array([record.clipped_norm for record in records])[finite]
        p50, p95 = np.percentile(kept, [50, 95])
        clipped = kept > max_norm if max_norm > 0 else np.zeros(len(kept), dtype=bool)
        values = (kept.mean(), p50, p95, kept.max(), after.mean(), clipped.mean())
        statistics = {name: float(value) for name, value in zip(STATISTICS, values, strict=True)}
    if not finite.all():
        statistics["grad_norm_non_finite"] = int((~finite).sum())
    return statistics


STATISTICS = (
    "grad_norm",
    "grad_norm_p50",
    "grad_norm_p95",
    "grad_norm_max",
    "grad_norm_after_clip",
    "grad_norm_clipped_share",
)


class StepRecords:
    """All steps of a run, with a file of one line a step, and marks where intervals began.

    Args:
        path: JSON lines file; None keeps the steps in memory alone (processes other than 0).
        max_norm: ``TrainingArguments.max_grad_norm``; 0 for no clipping.
    """

    def __init__(self, path: Path | None, *, max_norm: float) -> None:
        self.max_norm = max_norm
        self._file = JsonLines(path) if path is not None else None
        self.reset()

    def reset(self) -> None:
        """Begin a new run: the file is written anew at its first step."""
        self.steps: list[StepRecord] = []
        self._marks: dict[str, int] = {}
        self._is_file_current = False

    def add(self, *, step: int, loss: float, norm: float) -> StepRecord:
        """Record a step and write its line."""
        record = StepRecord(
            step=step,
            loss=loss,
            norm=norm,
            clipped_norm=norm_after_clipping(norm, self.max_norm),
        )
        self.steps.append(record)
        if self._file is not None and self._is_file_current:
            self._file.append(asdict(record))
        elif self._file is not None:
            # the first of this process: what an interrupted run left behind is replaced
            self._file.rewrite([asdict(kept) for kept in self.steps])
            self._is_file_current = True
        return record

    def take(self, interval: str) -> list[StepRecord]:
        """Steps since this interval was last taken."""
        first = self._marks.get(interval, 0)
        self._marks[interval] = len(self.steps)
        return self.steps[first:]

    def statistics(self) -> dict[str, float]:
        """``norm_statistics`` of the whole run so far."""
        return norm_statistics(self.steps, max_norm=self.max_norm)

    def state_dict(self) -> dict[str, Any]:
        """Every step and mark, for the checkpoint."""
        return {"steps": [asdict(record) for record in self.steps], "marks": dict(self._marks)}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take up a run where its checkpoint left it."""
        self.reset()
        self.steps = [StepRecord(**record) for record in saved["steps"]]
        self._marks = dict(saved["marks"])


def mean_loss(records: Sequence[StepRecord]) -> float:
    """Mean of the training loss over some steps, as it was optimized; NaN if a step's was."""
    return float(np.mean([record.loss for record in records]))


def read_step_records(path: Path) -> list[StepRecord]:
    """The steps of a run from its file; "nan" and "inf" become numbers again."""
    records = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [
        StepRecord(
            step=record["step"],
            loss=float(record["loss"]),
            norm=float(record["norm"]),
            clipped_norm=float(record["clipped_norm"]),
        )
        for record in records
    ]
