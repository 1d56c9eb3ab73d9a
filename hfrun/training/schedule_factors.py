"""Closed forms of learning-rate schedules: the share of the peak rate at an optimizer step.

Everywhere: s is ``step``, the optimizer steps taken before this one, whatever the gradient
accumulation; W ``warmup_steps``; S ``total_steps``; a ``start_factor``; f ``floor``.
"""

import math
from typing import Literal

Shape = Literal["cosine", "linear", "sqrt"]


def warmup_factor(step: int, *, warmup_steps: int, start_factor: float) -> float:
    """Linear warm-up: a + (1 - a) s / W, and from W on 1.

    Args:
        step: s, optimizer steps taken before this one, whatever the gradient accumulation.
        warmup_steps: W; 0 starts at the peak.
        start_factor: a, share of the peak at step 0.

    >>> [warmup_factor(s, warmup_steps=2, start_factor=0.5) for s in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """
    if step >= warmup_steps:
        return 1.0
    return start_factor + (1.0 - start_factor) * step / warmup_steps


def constant_factor(
    step: int, *, warmup_steps: int, total_steps: int, start_factor: float
) -> float:
    """The peak, after the warm-up, to the end."""
    return warmup_factor(step, warmup_steps=warmup_steps, start_factor=start_factor)


def cosine_factor(
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

    >>> [round(cosine_factor(s, warmup_steps=2, total_steps=6, start_factor=0.1, floor=0.2), 3)
    ...  for s in range(7)]
    [0.1, 0.55, 1.0, 0.883, 0.6, 0.317, 0.2]

    References: Loshchilov and Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts.
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps=warmup_steps, start_factor=start_factor)
    return floor + (1.0 - floor) * _fallen(_share(step, warmup_steps, total_steps), "cosine")


def linear_factor(
    step: int, *, warmup_steps: int, total_steps: int, start_factor: float, floor: float
) -> float:
    """As ``cosine_factor``, straight down: s >= W: f + (1 - f) (S - s) / (S - W).

    >>> [linear_factor(s, warmup_steps=1, total_steps=5, start_factor=0, floor=0.5)
    ...  for s in range(6)]
    [0.0, 1.0, 0.875, 0.75, 0.625, 0.5]
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps=warmup_steps, start_factor=start_factor)
    return floor + (1.0 - floor) * _fallen(_share(step, warmup_steps, total_steps), "linear")


def step_factor_at(
    step: int,
    *,
    warmup_steps: int,
    total_steps: int,
    start_factor: float,
    floor: float,
    step_every: int,
    step_factor: float,
) -> float:
    """Down by a factor every E steps after the warm-up: max(f, g^floor((s - W) / E)).

    >>> [step_factor_at(s, warmup_steps=1, total_steps=8, start_factor=0.5, floor=0.1,
    ...                 step_every=2, step_factor=0.25) for s in range(8)]
    [0.5, 1.0, 1.0, 0.25, 0.25, 0.1, 0.1, 0.1]
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps=warmup_steps, start_factor=start_factor)
    return float(max(floor, step_factor ** ((step - warmup_steps) // step_every)))


def warmup_stable_decay_factor(
    step: int,
    *,
    warmup_steps: int,
    total_steps: int,
    start_factor: float,
    floor: float,
    decay_steps: int,
    shape: Shape,
) -> float:
    """Warm-up, the peak, and a fall to the floor in the last D steps.

        s >= S - D:  f + (1 - f) g((s - S + D) / D),  g(p) = 1 - p,  (1 + cos(pi p)) / 2
                                                             or  1 - sqrt(p)

    >>> [warmup_stable_decay_factor(s, warmup_steps=1, total_steps=6, start_factor=0.5, floor=0,
    ...                             decay_steps=2, shape="linear") for s in range(7)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]

    References: Hägele et al. (2024), Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations.
    """
    if step < warmup_steps:
        return warmup_factor(step, warmup_steps=warmup_steps, start_factor=start_factor)
    share = _share(step, total_steps - decay_steps, total_steps)
    return floor + (1.0 - floor) * _fallen(share, shape)


def one_cycle_height(step: int, *, warmup_steps: int, total_steps: int, shape: Shape) -> float:
    """How far up the cycle a step is: from 0 up to 1 at step W, and down to 0 at the last step.

    >>> [one_cycle_height(s, warmup_steps=2, total_steps=7, shape="linear") for s in range(8)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    if step < warmup_steps:
        return 1.0 - _fallen(step / warmup_steps, shape)
    return _fallen(_share(step, warmup_steps, total_steps - 1), shape)


def one_cycle_factor(
    step: int,
    *,
    warmup_steps: int,
    total_steps: int,
    start_factor: float,
    floor: float,
    shape: Shape,
) -> float:
    """One cycle: from ``start_factor`` up to the peak at step W, down to the floor at step S - 1.

        s < W:   a + (1 - a) h(s)        s >= W:  f + (1 - f) h(s),    h: ``one_cycle_height``

    Unlike the other schedules the floor is that of the last step taken, as in torch's OneCycleLR,
    to which it is equal for pct_start = (W + 1) / S.

    References: Smith and Topin (2019), Super-Convergence: Very Fast Training of Neural Networks
    Using Large Learning Rates.
    """
    height = one_cycle_height(step, warmup_steps=warmup_steps, total_steps=total_steps, shape=shape)
    lowest = start_factor if step < warmup_steps else floor
    return lowest + (1.0 - lowest) * height


def _share(step: int, begin: int, end: int) -> float:
    """How much of the steps from ``begin`` to ``end`` is done, from 0 to 1."""
    if step <= begin:
        return 0.0
    return 1.0 if step >= end else (step - begin) / (end - begin)


def _fallen(share: float, shape: Shape) -> float:
    """The height of a fall from 1 to 0 of which a share is done."""
    if shape == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * share))
    return 1.0 - (math.sqrt(share) if shape == "sqrt" else share)
