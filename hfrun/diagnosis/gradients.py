"""Rules about gradient norms, which are those before clipping, of every optimizer step.

Above one half of clipped steps the clip, not the rate in the config, sets the size of a step: for
SGD a hidden cut of the learning rate, for Adam, which divides by the size of gradients anyway, a
change of how much each batch counts.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from hfrun.diagnosis.course_view import ended_in_warmup, number, override, series
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule, record_rule
from hfrun.diagnosis.sources import DEEPLOB, PLAYBOOK
from hfrun.record import Course, RunRecord
from lob_backtest.book import FloatArray

_STABILITY = f"{PLAYBOOK}: unstable training"
_LEAST_STEPS = 20
_OUTLIER = 10.0  # times the median norm
_GROWTH, _LARGE = 2.0, 1.0  # norms below 1 may grow, as the gate on them begins there
_TAIL = 3.0  # times the 90th percentile


def _finite(norms: Sequence[float]) -> FloatArray:
    held: FloatArray = np.array([norm for norm in norms if np.isfinite(norm)], dtype=float)
    return held


def _norms_of(record: RunRecord) -> FloatArray:
    return _finite(list(chain.from_iterable(course.grad_norms for course in record.courses)))


@record_rule(f"{DEEPLOB}: clipping at 1.0, and norms of 12.76 before it")
def clipped_on_most_steps(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """More than half of the steps are clipped: a hidden change of the learning rate."""
    clip, norms = number(record, "clip"), _norms_of(record)
    if not clip or clip < 0:
        return None
    if record.kind == "recorded" and not norms.size:
        return _clipped_by_means(record, clip)
    if norms.size < _LEAST_STEPS:
        return None
    share = float((norms > clip).mean())
    if share <= 0.5:
        return None
    p50, p90 = (float(value) for value in np.percentile(norms, [50, 90]))
    return Sign(
        severity="warning",
        message=f"{share:.0%} of {norms.size} steps were clipped at {clip:g}, where the norms "
        f"before clipping have a median of {p50:.3g} and a 90th percentile of {p90:.3g}: the clip "
        "and not the rate in the config sets the size of the steps",
        evidence={"clipped_share": share, "clip": clip, "grad_norm_p50": p50,
                  "grad_norm_p90": p90, "steps": int(norms.size)},
        next_experiment=f"{override(record, 'clip', p90)}, the 90th percentile, and then the "
        "learning rate anew",
    )  # fmt: skip


def _clipped_by_means(record: RunRecord, clip: float) -> Sign | None:
    """Of a record with epoch means alone: means above the clip."""
    means = [value for course in record.courses for _, value in series(course, "grad_norm")]
    above = [value for value in means if value > clip]
    if not means or len(above) <= 0.5 * len(means):
        return None
    return Sign(
        severity="warning",
        message=f"the mean norm before clipping was above the clip of {clip:g} in {len(above)} of "
        f"{len(means)} epochs, up to {max(means):.4g}: clipping did work (the logged norm is the "
        "one before it), and on many steps it set their size; the share of steps is not recorded",
        evidence={"clip": clip, "epochs_above": len(above), "epochs": len(means),
                  "grad_norm_mean_most": max(means)},
        next_experiment="record the norm of every step (hfrun does), and clip at their 90th "
        "percentile",
    )  # fmt: skip


@record_rule(_STABILITY)
def suggested_clip(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Nothing is clipped, and some norms are far above the rest: clip at the 90th percentile."""
    clip, norms = number(record, "clip"), _norms_of(record)
    if clip is None or norms.size < _LEAST_STEPS:
        return None
    p90, most = float(np.percentile(norms, 90)), float(norms.max())
    share = float((norms > clip).mean()) if clip > 0 else 0.0
    if share >= 0.01 or most <= _TAIL * p90:
        return None
    how = f"at {clip:g} clips {share:.1%} of the steps" if clip > 0 else "is off"
    return Sign(
        severity="advice",
        message=f"clipping {how}, and the largest of {norms.size} gradient norms, {most:.3g}, is "
        f"{most / p90:.1f} times their 90th percentile, {p90:.3g}",
        evidence={"clip": clip, "clipped_share": share, "grad_norm_p90": p90,
                  "grad_norm_max": most, "steps": int(norms.size)},
        next_experiment=override(record, "clip", p90),
    )  # fmt: skip


@course_rule(_STABILITY)
def gradient_outliers(course: Course, record: RunRecord) -> Sign | None:
    """Some gradient norms are over ten times the median: single batches, or an instability."""
    norms = _finite(course.grad_norms)
    if norms.size < _LEAST_STEPS:
        return None
    middle, most = float(np.median(norms)), float(norms.max())
    if middle <= 0 or most <= _OUTLIER * middle:
        return None
    outliers = int((norms > _OUTLIER * middle).sum())
    step = int(np.nanargmax(np.where(np.isfinite(course.grad_norms), course.grad_norms, -1))) + 1
    return Sign(
        severity="warning" if outliers > 1 else "advice",
        message=f"{outliers} of {norms.size} gradient norms are more than {_OUTLIER:g} times the "
        f"median of {middle:.3g}; the largest is {most:.4g}, at step {step}",
        evidence={"outliers": outliers, "steps": int(norms.size), "grad_norm_p50": middle,
                  "grad_norm_max": most, "step_of_max": step},
        next_experiment=f"look at the batch of step {step}; "
        f"{override(record, 'clip', float(np.percentile(norms, 90)))}, and a longer warm-up where "
        "it is an early one",
        weight=most / middle,
    )  # fmt: skip


@course_rule(f"{DEEPLOB}: gradient norms that grow in every experiment")
def norm_growth(course: Course, record: RunRecord) -> Sign | None:
    """Gradient norms grow from epoch to epoch: read with the gap, memorising or an instability."""
    norms, gaps = series(course, "grad_norm"), dict(series(course, "train_eval_gap"))
    train, seen = dict(series(course, "train_accuracy")), dict(series(course, "eval_accuracy"))
    gaps |= {epoch: train[epoch] - seen[epoch] for epoch in train.keys() & seen.keys()}
    if len(norms) < 3:
        return None
    (low_epoch, low), (last_epoch, last) = min(norms[:-1], key=lambda one: one[1]), norms[-1]
    if low <= 0 or last < max(_GROWTH * low, _LARGE):
        return None
    gap, before = gaps.get(last_epoch), gaps.get(low_epoch)
    reading, next_experiment = _reading(gap, before, course, record)
    return Sign(
        severity="warning" if gap is not None and gap > 0.1 else "advice",
        message=f"the mean gradient norm grew {last / low:.1f} times, from {low:.3g} at epoch "
        f"{low_epoch:g} to {last:.4g} at epoch {last_epoch:g}{reading}",
        evidence={"grad_norm_lowest": low, "grad_norm_last": last, "growth": last / low,
                  **({} if gap is None else {"train_eval_gap_last": gap})},
        next_experiment=next_experiment,
        weight=last / low,
    )  # fmt: skip


def _reading(
    gap: float | None, before: float | None, course: Course, record: RunRecord
) -> tuple[str, str]:
    """What the growth means by the gap, and what to try."""
    rate = number(record, "learning_rate")
    lower = override(record, "learning_rate", rate / 3) if rate else "a lower learning rate"
    if gap is None or before is None:
        return "; no gap was recorded to read it with", lower
    if gap > 0.1 and gap - before > 0.05:
        return (
            f", and the gap went from {before:.3g} to {gap:.3g}: it grows sure of memorised "
            "samples, and the few it gets wrong pull hard",
            "regularize, or stop earlier: {rule: above, metric: train_eval_gap, limit: 0.15} in "
            "stop_rules; a tighter clip would only hide it",
        )
    if ended_in_warmup(course, record):
        return (
            f", and a gap of {gap:.3g} does not explain it by memorising: the rate rose too, as "
            "training did not come out of its warm-up",
            "training.schedule.name=constant at the rate reached, to see whether norms still grow",
        )
    return (
        f", and a gap of {gap:.3g} does not explain it by memorising: the step may be too large",
        f"{lower}, or a longer warm-up; see whether the growth stays",
    )


RULES = (clipped_on_most_steps, suggested_clip, gradient_outliers, norm_growth)
