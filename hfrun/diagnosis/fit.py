"""Rules about the fit: bias, variance, data mismatch, and where overfitting begins."""

from hfrun.diagnosis.course_view import evaluations, train_measure
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule
from hfrun.record import Course, RunRecord

_RISE = 0.10  # of the evaluation loss above its minimum, as the stop rule of the diary has it


@course_rule("DeepLOB tuning diary: evaluation loss more than 10 % above its best")
def overfitting_onset(course: Course, record: RunRecord) -> Sign | None:
    """From an epoch on the evaluation loss rises while the training data is fitted better."""
    losses, measure = course.series("eval_loss"), train_measure(course)
    if len(losses) < 2 or measure is None:
        return None
    onset, lowest = min(losses, key=lambda held: held[1])
    last_epoch, last = losses[-1]
    fitted = dict(course.series(measure))
    if onset not in fitted or last_epoch not in fitted or last < lowest * (1 + _RISE):
        return None
    change = fitted[last_epoch] - fitted[onset]
    if (change if measure == "train_accuracy" else -change) <= 0:
        return None
    return Sign(
        severity="warning",
        message=f"from epoch {onset:g} on it overfits: the evaluation loss rose from {lowest:.4g} "
        f"to {last:.4g} by epoch {last_epoch:g} ({last / lowest - 1:+.0%}) while "
        f"{measure.replace('_', ' ')} went from {fitted[onset]:.4g} to {fitted[last_epoch]:.4g}",
        evidence={
            "onset_epoch": onset,
            "eval_loss_lowest": lowest,
            "eval_loss_last": last,
            f"{measure}_at_onset": fitted[onset],
            f"{measure}_last": fitted[last_epoch],
            "evaluations": len(evaluations(course)),
        },
        next_experiment="more regularization (dropout, training.weight_decay), a lower "
        "training.learning_rate, or fewer epochs",
        weight=last / lowest,
    )


RULES = (overfitting_onset,)
