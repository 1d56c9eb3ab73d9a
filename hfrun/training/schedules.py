"""Learning-rate schedules by name, each a closed form of the optimizer step.

    cosine               up, then a half cosine down to the floor
    linear               up, then straight down to the floor
    step                 up, then down by a factor every so many steps
    constant             up, and there it stays
    one_cycle            up a large part of the run and down again; momentum does the opposite
    warmup_stable_decay  up, level, and down in the last part

Every schedule begins with the warm-up of ``TrainingArguments.warmup_steps`` (below 1 a share of
all steps), and gives each parameter group a share of that group's own peak rate.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hfrun.errors import TrainingError
from hfrun.training.schedule_factors import (
    Shape,
    constant_factor,
    cosine_factor,
    linear_factor,
    one_cycle_factor,
    one_cycle_height,
    step_factor_at,
    warmup_stable_decay_factor,
)

ScheduleName = Literal["cosine", "linear", "step", "constant", "one_cycle", "warmup_stable_decay"]

# The keys of each schedule with their defaults. One cycle's are those of torch's OneCycleLR:
# a rise from 1/25 of the peak, and an end at 1e-4 of that.
_KEYS: dict[str, dict[str, Any]] = {
    "cosine": {"start_factor": 0.01, "floor": 0.0},
    "linear": {"start_factor": 0.01, "floor": 0.0},
    "step": {"start_factor": 0.01, "floor": 0.0, "step_every": 0.3, "step_factor": 0.1},
    "constant": {"start_factor": 0.01},
    "one_cycle": {
        "start_factor": 0.04,
        "floor": 4e-6,
        "shape": "cosine",
        "cycle_momentum": True,
        "low_momentum": 0.85,
        "high_momentum": 0.95,
    },
    "warmup_stable_decay": {
        "start_factor": 0.01,
        "floor": 0.0,
        "decay_share": 0.2,
        "shape": "linear",
    },
}
_FACTORS: dict[str, Callable[..., float]] = {
    "cosine": cosine_factor,
    "linear": linear_factor,
    "step": step_factor_at,
    "constant": constant_factor,
    "warmup_stable_decay": warmup_stable_decay_factor,
}
_RISE_SHARE = 0.3  # of one cycle, where no warm-up was asked for
_SHAPES = {"one_cycle": ("cosine", "linear"), "warmup_stable_decay": get_args(Shape)}


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """A schedule's name and its shape; a key that is left out takes the schedule's own default.

    Args:
        name: which one.
        start_factor: share of the peak rate at the first step of the warm-up (0.01; one_cycle
            0.04). transformers' own warm-up starts at 0, which wastes the first step.
        floor: share of the peak rate at the end (0; one_cycle 4e-6); constant has none.
        step_every: of step: after how many optimizer steps the rate falls, again and again
            (below 1 a share of all steps; 0.3).
        step_factor: of step: what it is multiplied by each time (0.1).
        decay_share: of warmup_stable_decay: share of all steps in which it falls (0.2).
        shape: of one_cycle (cosine, or linear) and of warmup_stable_decay's fall (linear, or
            cosine or sqrt).
        cycle_momentum: of one_cycle: momentum, or Adam's beta1, moves against the rate (true).
        low_momentum: where the rate is at its peak (0.85).
        high_momentum: at both ends (0.95).

    Raises:
        TrainingError: a value out of range, or a key that the named schedule does not have.
    """

    name: ScheduleName = "cosine"
    start_factor: float | None = None
    floor: float | None = None
    step_every: float | None = None
    step_factor: float | None = None
    decay_share: float | None = None
    shape: Shape | None = None
    cycle_momentum: bool | None = None
    low_momentum: float | None = None
    high_momentum: float | None = None

    def __post_init__(self) -> None:
        if self.name not in _KEYS:
            raise TrainingError(f"name={self.name!r}; needs one of {', '.join(_KEYS)}")
        own = _KEYS[self.name]
        given = {key: value for key, value in vars(self).items() if key != "name"}
        foreign = [key for key, value in given.items() if value is not None and key not in own]
        if foreign:
            raise TrainingError(
                f"{', '.join(foreign)}: of no use to the schedule {self.name}, which has "
                f"{', '.join(own)}; leave out, or choose another schedule"
            )
        for key, default in own.items():
            if given[key] is None:
                object.__setattr__(self, key, default)
        self._check()

    @property
    def own(self) -> dict[str, Any]:
        """The keys that the named schedule has, with their values."""
        return {key: getattr(self, key) for key in _KEYS[self.name]}

    def _check(self) -> None:
        own = self.own
        for key in ("start_factor", "floor", "step_factor", "decay_share"):
            if key in own and not 0.0 <= own[key] <= 1.0:
                raise TrainingError(f"{key}={own[key]}; needs a share of 1, from 0 to 1")
        every = own.get("step_every", 1.0)
        if not every > 0.0 or (every >= 1.0 and every != int(every)):
            raise TrainingError(
                f"step_every={every}; needs a whole number of steps, or a share of them above 0"
            )
        if "shape" in own and own["shape"] not in _SHAPES[self.name]:
            raise TrainingError(
                f"shape={own['shape']!r}; {self.name} needs {' or '.join(_SHAPES[self.name])}"
            )
        low, high = own.get("low_momentum", 0.0), own.get("high_momentum", 0.0)
        if not 0.0 <= low <= high < 1.0:
            raise TrainingError(
                f"low_momentum={low}, high_momentum={high}; needs 0 <= low <= high < 1"
            )


def build_schedule(
    optimizer: Optimizer, options: ScheduleOptions, *, warmup_steps: int, total_steps: int
) -> LambdaLR:
    """Scheduler that gives each group the schedule's share of its own peak rate at every step.

    Args:
        optimizer: its groups' rates are the peaks.
        options: which schedule.
        warmup_steps: optimizer steps before the peak; 0 starts there, but one_cycle then takes
            three tenths of all steps.
        total_steps: optimizer steps of the whole run.

    Raises:
        TrainingError: the peak is never reached or the parts do not fit into the run, or the
            optimizer has no momentum to cycle.
    """
    if options.name == "one_cycle" and warmup_steps == 0:
        warmup_steps = math.ceil(_RISE_SHARE * total_steps)
    if not 0 <= warmup_steps < total_steps:
        raise TrainingError(
            f"warmup_steps={warmup_steps} of {total_steps} optimizer steps: the peak rate would "
            "never be reached; shorten the warm-up or train for more steps"
        )
    own = dict(options.own)
    sizes = {"warmup_steps": warmup_steps, "total_steps": total_steps}
    if options.name == "step":
        own["step_every"] = _whole_steps(own["step_every"], total_steps)
    elif options.name == "warmup_stable_decay":
        own["decay_steps"] = _decay_steps(own.pop("decay_share"), **sizes)
    elif options.name == "one_cycle":
        return _one_cycle(optimizer, own, sizes)
    return LambdaLR(optimizer, functools.partial(_FACTORS[options.name], **sizes, **own))


def _whole_steps(count: float, total_steps: int) -> int:
    """A number of steps, or below 1 a share of all, rounded up as transformers rounds."""
    return math.ceil(count * total_steps) if count < 1.0 else int(count)


def _decay_steps(share: float, *, warmup_steps: int, total_steps: int) -> int:
    steps = math.ceil(share * total_steps)
    if warmup_steps + steps > total_steps:
        raise TrainingError(
            f"warmup_steps={warmup_steps} and decay_share={share} ({steps} steps) do not fit into "
            f"{total_steps} optimizer steps; shorten one of them"
        )
    return steps


def _one_cycle(optimizer: Optimizer, own: dict[str, Any], sizes: dict[str, int]) -> LambdaLR:
    ends = {"start_factor": own["start_factor"], "floor": own["floor"]}
    factor = functools.partial(one_cycle_factor, shape=own["shape"], **ends, **sizes)
    if not own["cycle_momentum"]:
        return LambdaLR(optimizer, factor)
    low, high = own["low_momentum"], own["high_momentum"]

    def momentum(step: int) -> float:
        return float(high - (high - low) * one_cycle_height(step, shape=own["shape"], **sizes))

    return MomentumCycle(optimizer, factor, momentum)


class MomentumCycle(LambdaLR):
    """A ``LambdaLR`` that also sets every group's momentum, or beta1, at each step.

    Raises:
        TrainingError: the optimizer has neither.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: Callable[[int], float],
        momentum: Callable[[int], float],
    ) -> None:
        if not all("betas" in group or "momentum" in group for group in optimizer.param_groups):
            raise TrainingError(
                "cycle_momentum: the optimizer has neither momentum nor betas to cycle; set "
                "training.schedule.cycle_momentum=false, or choose another training.optim"
            )
        self._momentum = momentum
        super().__init__(optimizer, factor)

    def get_lr(self) -> list[Any]:
        """The rates of the step; its momentum is set on the way, as torch's OneCycleLR does."""
        momentum = self._momentum(self.last_epoch)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
        return super().get_lr()

    def state_dict(self) -> dict[str, Any]:
        """As LambdaLR's: a function of the step needs no saving."""
        return {key: value for key, value in super().state_dict().items() if key != "_momentum"}
