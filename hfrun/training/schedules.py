"""Learning-rate schedules, each a closed form of the optimizer step."""

import functools
import math
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hfrun.errors import TrainingError


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """Linear warm-up from ``start_factor`` of the peak rate, then cosine to ``floor`` of it.

    The length of the warm-up is ``TrainingArguments.warmup_steps`` (below 1 a share of all
    steps). transformers' own warm-up starts at a rate of 0, which wastes the first step.
    """

    start_factor: float = 0.01
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("start_factor", "floor"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise TrainingError(f"{name}={value}; needs a share of the peak rate, from 0 to 1")


def warmup_cosine_factor(
    step: int, *, warmup_steps: int, total_steps: int, start_factor: float, floor: float
) -> float:
    """Share of the peak rate with which optimizer step ``step`` (the first is 0) is taken.

        s < W:   a + (1 - a) s / W
        s >= W:  f + (1 - f) (1 + cos(pi (s - W) / (S - W))) / 2

    The peak is taken at step W; the floor is what a step S, one after the last, would get.

    Args:
        step: s, optimizer steps taken before this one, whatever the gradient accumulation.
        warmup_steps: W; 0 starts at the peak.
        total_steps: S, optimizer steps of the whole run; from there on the rate is the floor.
        start_factor: a, share of the peak at step 0.
        floor: f, share of the peak at the end.

    >>> [round(warmup_cosine_factor(s, warmup_steps=2, total_steps=6, start_factor=0.1, floor=0.2),
    ...        3) for s in range(7)]
    [0.1, 0.55, 1.0, 0.883, 0.6, 0.317, 0.2]

    References: Loshchilov and Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts.
    """
    if step < warmup_steps:
        return start_factor + (1.0 - start_factor) * step / warmup_steps
    if step >= total_steps:
        return floor
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def build_warmup_cosine(
    optimizer: Optimizer, options: ScheduleOptions, *, warmup_steps: int, total_steps: int
) -> LambdaLR:
    """Scheduler that gives each group ``warmup_cosine_factor`` times its own peak rate.

    Raises:
        TrainingError: the warm-up is as long as the run, so that the peak is never reached.
    """
    if not 0 <= warmup_steps < total_steps:
        raise TrainingError(
            f"warmup_steps={warmup_steps} of {total_steps} optimizer steps: the peak rate would "
            "never be reached; shorten the warm-up or train for more steps"
        )
    factor = functools.partial(
        warmup_cosine_factor,
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        start_factor=options.start_factor,
        floor=options.floor,
    )
    return LambdaLR(optimizer, factor)
