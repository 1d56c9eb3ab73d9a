"""Dropout and weight decay that change during a run, by a schedule or once for all.

points {0: 0.1, 3: 0.3}    hold    0.1 0.1 0.1 0.3 0.3      from each point on
                           linear  0.1 0.17 0.23 0.3 0.3    straight from point to point
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hfrun.errors import TrainingError
from hfrun.training.parameter_groups import decayed_parameter_names

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True, kw_only=True)
class ValueSchedule:
    """A value over a run, by epochs or optimizer steps that are done (0 is the beginning).

    Args:
        points: value by position; a position may be a fraction of an epoch.
        unit: what positions count.
        between: "hold" keeps each point's value until the next, "linear" joins them.
    """

    points: dict[float, float]
    unit: Literal["epoch", "step"] = "epoch"
    between: Literal["hold", "linear"] = "hold"

    def __post_init__(self) -> None:
        held = [*self.points, *self.points.values()]
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in held):
            raise TrainingError(
                f"schedule points {self.points}; needs a number for each position, e.g. "
                "{0: 0.1, 3: 0.3}"
            )
        if not self.points or min(self.points) != 0:
            raise TrainingError(
                f"schedule points {self.points}; needs a value at 0 and, if it is to "
                "change, at later positions"
            )

    def at(self, position: float) -> float:
        """The value at a position; after the last point, the last value."""
        places = sorted(self.points)
        index = bisect_right(places, position) - 1
        left = places[index]
        if self.between == "hold" or index == len(places) - 1:
            return self.points[left]
        right = places[index + 1]
        share = (position - left) / (right - left)
        return self.points[left] + share * (self.points[right] - self.points[left])

    def now(self, state: TrainerState) -> float:
        """The value for the optimizer step that is about to begin."""
        return self.at(state.global_step if self.unit == "step" else state.epoch or 0.0)


def constant(value: float) -> ValueSchedule:
    """A schedule that holds one value: the way to set it once, by a callback."""
    return ValueSchedule(points={0: value})


class ScheduledValue(TrainerCallback):
    """A callback that sets something before every step; the Trainer logs ``logged_values``."""

    name: str

    def __init__(self, schedule: ValueSchedule) -> None:
        self.schedule = schedule
        self._current: float | None = None

    @property
    def logged_values(self) -> dict[str, float]:
        """What the Trainer merges into its training logs."""
        return {} if self._current is None else {self.name: self._current}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._current = None  # this run's model and optimizer have not been set yet

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        value = self.schedule.now(state)
        if value != self._current:
            self.set_value(value, model=kwargs["model"], optimizer=kwargs["optimizer"])
            self._current = value

    def set_value(self, value: float, *, model: nn.Module, optimizer: Optimizer) -> None:
        raise NotImplementedError


class DropoutSchedule(ScheduledValue):
    """Sets the probability of every dropout layer, or of those whose name contains ``only``.

    Raises:
        TrainingError: a value that is no probability, or a model without such a layer: setting
            nothing would look like a dropout that makes no difference.
    """

    name = "dropout"

    def __init__(self, schedule: ValueSchedule, *, only: str = "") -> None:
        super().__init__(schedule)
        wrong = [value for value in schedule.points.values() if not 0.0 <= value < 1.0]
        if wrong:
            raise TrainingError(f"dropout of {wrong}; needs 0 <= dropout < 1")
        self.only = only

    def set_value(self, value: float, *, model: nn.Module, optimizer: Optimizer) -> None:
        layers = [
            layer
            for name, layer in model.named_modules()
            if isinstance(layer, _DROPOUTS) and self.only in name
        ]
        if not layers:
            where = f" whose name contains {self.only!r}" if self.only else ""
            raise TrainingError(
                f"{type(model).__name__} has no dropout layer{where}; a dropout schedule would "
                "change nothing: leave it out, or choose a model with dropout"
            )
        for layer in layers:
            layer.p = value


class WeightDecaySchedule(ScheduledValue):
    """Sets the weight decay of the optimizer's groups that decay; the others stay at 0.

    Raises:
        TrainingError: a value below 0, or an optimizer without such a group: setting nothing would
            look like a weight decay that makes no difference.
    """

    name = "weight_decay"

    def __init__(self, schedule: ValueSchedule) -> None:
        super().__init__(schedule)
        wrong = [value for value in schedule.points.values() if value < 0.0]
        if wrong:
            raise TrainingError(f"weight decay of {wrong}; needs at least 0")

    def set_value(self, value: float, *, model: nn.Module, optimizer: Optimizer) -> None:
        names = set(decayed_parameter_names(model))
        decayed = {id(weight) for name, weight in model.named_parameters() if name in names}
        groups = [
            group
            for group in optimizer.param_groups
            if group["params"] and all(id(weight) in decayed for weight in group["params"])
        ]
        if not groups:
            raise TrainingError(
                f"{type(model).__name__}: no weights that are trained decay; a weight decay "
                "schedule would change nothing: leave it out"
            )
        for group in groups:
            group["weight_decay"] = value
