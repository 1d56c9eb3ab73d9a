"""Rules about gradient norms, which are those before clipping."""

import numpy as np

from hfrun.diagnosis.course_view import number
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule
from hfrun.record import Course, RunRecord

_PLAYBOOK = "Deep Learning Tuning Playbook (Godbole et al., 2023): stability of the training"


@course_rule(_PLAYBOOK)
def clipped_on_most_steps(course: Course, record: RunRecord) -> Sign | None:
    """More than half of the steps are clipped, which is a hidden change of the learning rate."""
    clip = number(record, "clip")
    norms = np.array([norm for norm in course.grad_norms if np.isfinite(norm)])
    if not clip or not norms.size:
        return None
    share, p90 = float((norms > clip).mean()), float(np.percentile(norms, 90))
    if share <= 0.5:
        return None
    return Sign(
        severity="warning",
        message=f"{share:.0%} of {norms.size} steps were clipped at {clip:g} (median norm before "
        f"clipping {np.median(norms):.3g}, 90th percentile {p90:.3g}): clipping is a hidden cut "
        "of the learning rate",
        evidence={
            "clipped_share": share,
            "clip": clip,
            "grad_norm_p50": float(np.median(norms)),
            "grad_norm_p90": p90,
            "steps": int(norms.size),
        },
        next_experiment=f"training.max_grad_norm={p90:.2g}",
        weight=share,
    )


RULES = (clipped_on_most_steps,)
