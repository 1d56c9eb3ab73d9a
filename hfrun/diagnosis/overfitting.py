"""Rules about what happens after the best epoch: overfitting, and losses that mislead."""

from hfrun.diagnosis.course_view import (
    best_of,
    evaluation_size,
    number,
    override,
    series,
    train_measure,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.fit import regularized
from hfrun.diagnosis.noise import accuracy_error
from hfrun.diagnosis.rule import course_rule
from hfrun.diagnosis.sources import CALIBRATION, DEEPLOB, NOTES
from hfrun.record import Course, RunRecord

_RISE = 0.10  # of the evaluation loss above its minimum, as the stop rule of the diary has it
_FIT = 0.05  # of train accuracy, gained meanwhile
_EPOCHS_AFTER = 2


@course_rule(f"{DEEPLOB}: evaluation loss more than 10 % above its best ends a run")
def overfitting_onset(course: Course, record: RunRecord) -> Sign | None:
    """From an epoch on the training data is fitted better, and evaluation gets worse or no better.

    By the evaluation loss where it was recorded, else by the score that the epoch is chosen by.
    """
    losses = series(course, "eval_loss")
    return _by_loss(losses, course, record) if len(losses) > 1 else _by_score(course, record)


def _by_loss(losses: list[tuple[float, float]], course: Course, record: RunRecord) -> Sign | None:
    measure = train_measure(course)
    fitted = dict(series(course, measure)) if measure is not None else {}
    position = min(range(len(losses)), key=lambda i: losses[i][1])
    (onset, lowest), (last_epoch, last) = losses[position], losses[-1]
    if measure is None or onset not in fitted or last_epoch not in fitted or lowest <= 0:
        return None
    is_accuracy = measure == "train_accuracy"
    gained = (fitted[last_epoch] - fitted[onset]) * (1 if is_accuracy else -1)
    is_steep = last >= lowest * (1 + _RISE) and gained > 0
    is_steady = len(losses) - 1 - position >= _EPOCHS_AFTER and is_accuracy and gained >= _FIT
    if not (is_steep or is_steady):
        return None
    return Sign(
        severity="warning" if is_steep else "advice",
        message=f"it overfits from epoch {onset:g} on: evaluation loss rose from {lowest:.4g} to "
        f"{last:.4g} by epoch {last_epoch:g} ({last / lowest - 1:+.1%}) while "
        f"{measure.replace('_', ' ')} went from {fitted[onset]:.4g} to {fitted[last_epoch]:.4g}",
        evidence={
            "onset_epoch": onset,
            "eval_loss_lowest": lowest,
            "eval_loss_last": last,
            f"{measure}_at_onset": fitted[onset],
            f"{measure}_last": fitted[last_epoch],
        },
        next_experiment=_fit_less(record, is_first=position == 0),
        weight=last / lowest,
    )


def _by_score(course: Course, record: RunRecord) -> Sign | None:
    best, fitted = best_of(course, record), series(course, "train_accuracy")
    if best is None or not fitted or "train_accuracy" not in best.figures:
        return None
    scores = series(course, best.metric)
    after = [value for epoch, value in scores if epoch > best.figures["epoch"]]
    at_best, (last_epoch, last_train) = best.figures["train_accuracy"], fitted[-1]
    if len(after) <= _EPOCHS_AFTER or last_train - at_best < _FIT:
        return None
    mean = sum(after) / len(after)
    return Sign(
        severity="warning",
        message=f"it overfits from epoch {best.epoch} on: train accuracy rose from {at_best:.4g} "
        f"to {last_train:.4g} by epoch {last_epoch:g}, and none of {len(after)} evaluations "
        f"reached the {best.metric} of {best.value:.4g} again (mean {mean:.4g})",
        evidence={
            "onset_epoch": best.figures["epoch"],
            best.metric: best.value,
            f"{best.metric}_mean_after": mean,
            "train_accuracy_at_onset": at_best,
            "train_accuracy_last": last_train,
            "evaluations_after": len(after),
        },
        next_experiment=_fit_less(record, is_first=best.index == 0),
        weight=last_train - at_best,
    )


def _fit_less(record: RunRecord, *, is_first: bool) -> str:
    rate = number(record, "learning_rate")
    if is_first and rate:
        return (
            f"{override(record, 'learning_rate', rate / 5)}, and evaluate within the first epoch: "
            "training.eval_strategy=steps; " + regularized(record)
        )
    return regularized(record) + "; or early stopping by stop_rules"


@course_rule(f"{NOTES}; {CALIBRATION}")
def loss_up_accuracy_up(course: Course, record: RunRecord) -> Sign | None:
    """Evaluation loss rises past its minimum while accuracy still rises: they measure two things.

    Loss counts how sure the wrong answers are, accuracy only how many there are.
    """
    losses, accuracies = dict(series(course, "eval_loss")), dict(series(course, "eval_accuracy"))
    both = [epoch for epoch in losses if epoch in accuracies]
    if len(both) < 2:
        return None
    low = min(both, key=lambda epoch: losses[epoch])
    later = [epoch for epoch in both if epoch > low and losses[epoch] > 1.01 * losses[low]]
    if not later:
        return None
    high = max(later, key=lambda epoch: accuracies[epoch])
    gained = accuracies[high] - accuracies[low]
    n = evaluation_size(course)
    if gained < (0.005 if n is None else accuracy_error(accuracies[high], n)):
        return None
    return Sign(
        severity="info",
        message=f"evaluation loss is lowest at epoch {low:g} ({losses[low]:.4g}), and accuracy is "
        f"{gained:.3g} higher at epoch {high:g} (loss {losses[high]:.4g}): there are fewer wrong "
        "answers and they are given with more confidence, which only the loss counts",
        evidence={
            "loss_epoch": low,
            "eval_loss_lowest": losses[low],
            "accuracy_epoch": high,
            "eval_loss_there": losses[high],
            "accuracy_gained": gained,
        },
        next_experiment="choose by what the model is for: "
        "training.metric_for_best_model=eval_f1_weighted for answers, eval_loss for "
        "probabilities; hfrun calibrate mends the confidence afterwards",
        weight=gained,
    )


RULES = (overfitting_onset, loss_up_accuracy_up)
