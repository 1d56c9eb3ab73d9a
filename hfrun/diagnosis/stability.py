"""Rules about a training that breaks, or goes uphill."""

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from hfrun.diagnosis.course_view import number, override, series
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule
from hfrun.diagnosis.sources import DEEPLOB, PLAYBOOK
from hfrun.record import Course, RunRecord

_BLOCKS, _LEAST_IN_BLOCK = 10, 4
_RISE = 0.05  # of the loss that the training began with
_LOSSES = ("train_loss", "eval_loss")


def is_broken(course: Course) -> bool:
    """Whether what is not finite ended the training or went into its weights.

    A step that gradient scaling skips has no finite norm, and training goes on.
    """
    losses = (entry.get(name, 0.0) for entry in course.epochs for name in _LOSSES)
    fired = (course.stopped_by or {}).get("rule") == "non_finite"
    last = course.grad_norms[-1] if course.grad_norms else 0.0
    return fired or not math.isfinite(last) or any(not math.isfinite(loss) for loss in losses)


@course_rule(f"{DEEPLOB}: a loss or gradient that is not finite ends a run at once")
def not_finite(course: Course, record: RunRecord) -> Sign | None:
    """A loss or a gradient norm was NaN or infinite."""
    steps = [i for i, norm in enumerate(course.grad_norms, start=1) if not math.isfinite(norm)]
    losses = [
        (entry.get("epoch", 0.0), name)
        for entry in course.epochs
        for name in _LOSSES
        if not math.isfinite(entry.get(name, 0.0))
    ]
    if not steps and not losses:
        return None
    is_over = is_broken(course)
    evidence: dict[str, float | str] = {"steps_not_finite": len(steps)}
    parts = []
    if steps:
        evidence["first_step"] = steps[0]
        parts.append(f"{len(steps)} of {len(course.grad_norms)} gradient norms are not finite, "
                     f"the first at step {steps[0]}")  # fmt: skip
    if losses:
        epoch, name = losses[0]
        evidence |= {"first_epoch": epoch, "loss": name}
        parts.append(f"{name} is not finite from epoch {epoch:g} on")
    return Sign(
        severity="error" if is_over else "warning",
        message="; ".join(parts) + ("" if is_over else "; training went on without these steps"),
        evidence=evidence,
        next_experiment=f"{_lower_rate(record)}; a longer warm-up, and training.bf16=false where "
        "it was on",
        weight=len(steps) + len(losses),
    )


def _lower_rate(record: RunRecord) -> str:
    rate = number(record, "learning_rate")
    return override(record, "learning_rate", rate / 10) if rate else "a tenth of the rate"


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Mean training loss over a stretch of the training, with its standard error."""

    epoch: float
    loss: float
    error: float


@course_rule(f"{PLAYBOOK}: unstable training")
def step_too_large(course: Course, record: RunRecord) -> Sign | None:
    """The training loss rises again while gradients are finite: the step is too large."""
    is_finite = all(math.isfinite(norm) for norm in course.grad_norms)
    if not is_finite or _has_dropout_schedule(record):
        return None  # the one has a rule of its own, the other may raise the loss by design
    blocks = _blocks(course)
    if len(blocks) < 3 or blocks[0].loss <= 0:
        return None
    low, high = _worst_rise(blocks)
    rise = high.loss - low.loss
    error = math.hypot(low.error, high.error)
    if rise <= max(_RISE * blocks[0].loss, 3 * error):
        return None
    rate = number(record, "learning_rate")
    slower = override(record, "learning_rate", rate / 3) if rate else "a third of the rate"
    return Sign(
        severity="warning",
        message=f"training loss rose from {low.loss:.4g} near epoch {low.epoch:.3g} to "
        f"{high.loss:.4g} near epoch {high.epoch:.3g} (it began at {blocks[0].loss:.4g}) while "
        "gradients were finite: most likely the step is too large",
        evidence={"train_loss_first": blocks[0].loss, "train_loss_lowest": low.loss,
                  "train_loss_after": high.loss, "standard_error": error,
                  "epoch_lowest": low.epoch, "epoch_after": high.epoch},
        next_experiment=f"{slower}, or a longer warm-up to the same rate",
        weight=rise / blocks[0].loss,
    )  # fmt: skip


def _has_dropout_schedule(record: RunRecord) -> bool:
    return any(
        key.startswith("callbacks.dropout_schedule") and value is not None
        for key, value in record.flat_config.items()
    )


def _worst_rise(blocks: list[_Block]) -> tuple[_Block, _Block]:
    """The lowest block and a later one such that the loss rises most between them."""
    pairs = ((low, high) for i, low in enumerate(blocks) for high in blocks[i + 1 :])
    return max(pairs, key=lambda pair: pair[1].loss - pair[0].loss)


def _blocks(course: Course) -> list[_Block]:
    """Stretches of logged steps where there are enough, else epochs."""
    logged = [
        (event["epoch"], event["loss"]) for event in course.steps
        if "epoch" in event and math.isfinite(event.get("loss", math.nan))
    ]  # fmt: skip
    size = max(_LEAST_IN_BLOCK, math.ceil(len(logged) / _BLOCKS))
    if len(logged) >= 3 * _LEAST_IN_BLOCK:
        parts = [logged[i : i + size] for i in range(0, len(logged), size)]
        return [_block(part) for part in parts if len(part) >= _LEAST_IN_BLOCK]
    return [_Block(epoch=epoch, loss=loss, error=0.0) for epoch, loss in
            series(course, "train_loss")]  # fmt: skip


def _block(part: list[tuple[float, float]]) -> _Block:
    losses = [loss for _, loss in part]
    return _Block(
        epoch=fmean(epoch for epoch, _ in part),
        loss=fmean(losses),
        error=stdev(losses) / math.sqrt(len(losses)),
    )


RULES = (not_finite, step_too_large)
