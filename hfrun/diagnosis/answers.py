"""Rules about the answers: one class only, worse than a guess, and how far they can be believed."""

import math
from collections.abc import Mapping
from typing import Any

from hfrun.diagnosis.course_view import (
    best_of,
    blown_up,
    classes_of,
    count,
    finite,
    number,
    override,
    rate_to_fit_more,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.rule import course_rule, record_rule
from hfrun.diagnosis.sources import CALIBRATION, LLAMA, OURS
from hfrun.record import Course, RunRecord

_MAX_ECE = 0.08  # the gate's own limit, where the config has none
_FAR_FROM_ONE = 0.1
_LEAST_TESTED = 30


@course_rule(f"{OURS}: a score is read beside what needs no model")
def one_answer(course: Course, record: RunRecord) -> Sign | None:
    """At the best epoch it gives the same answer to every question."""
    best = best_of(course, record)
    if best is None:
        return None
    mcc, accuracy, majority = (
        best.figures.get(name) for name in ("eval_mcc", "eval_accuracy", "eval_majority_accuracy")
    )
    if mcc != 0 or accuracy is None or majority is None or majority == 1:
        return None
    is_most_frequent = abs(accuracy - majority) <= 1e-9
    # a class that is always said has recall 1 and precision p; the others have nothing
    always = 2 * accuracy**2 / (1 + accuracy)
    if not is_most_frequent and abs(best.figures.get("eval_f1_weighted", 2.0) - always) > 1e-9:
        return None
    said = "the most frequent class" if is_most_frequent else "the same class"
    rate = rate_to_fit_more(course, record)
    return Sign(
        severity="warning",
        message=f"at the best epoch, {best.epoch}, every answer is {said}: "
        f"accuracy {accuracy:.4g} is its share, and the Matthews correlation is 0",
        evidence={"eval_accuracy": accuracy, "eval_majority_accuracy": majority, "eval_mcc": mcc},
        next_experiment="train longer"
        + (f" or at {override(record, 'learning_rate', rate)}" if rate else "")
        + ", choose by training.metric_for_best_model=eval_f1_weighted, or one weighting "
        "(training.loss.class_weights=balanced)",
        weight=accuracy,
    )


@record_rule(f"{LLAMA}: most frequent class 0.2625 on dev, 0.2864 on test")
def worse_than_majority(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """On the test part it has less right than always saying the most frequent class would."""
    accuracy = record.test.get("accuracy") or {}
    got, most = finite(accuracy.get("value")), finite(accuracy.get("high"))
    share = finite((record.test.get("majority_accuracy") or {}).get("value"))
    if got is None or most is None or share is None or most >= share:
        return None
    sizes = [count(fold.get("n")) for fold in record.report.get("folds") or []]
    if sizes and sum(size or 0 for size in sizes) < _LEAST_TESTED:
        return None
    return Sign(
        severity="warning",
        message=f"test accuracy {got:.4g} (at most {most:.4g} by its interval) is below the share "
        f"of the most frequent class, {share:.4g}",
        evidence={"test_accuracy": got, "test_accuracy_high": most, "majority_accuracy": share},
        next_experiment="compare class shares of train and test (hfrun audit), and look at the "
        "confusion matrix of the report",
    )


@course_rule(f"{OURS}: a score is read beside what needs no model")
def no_better_than_uniform(course: Course, record: RunRecord) -> Sign | None:
    """Evaluation loss is not below that of equal probabilities for all classes, ln C."""
    best, classes = best_of(course, record), classes_of(record)
    loss = None if best is None else best.figures.get("eval_loss")
    if best is None or loss is None or classes is None or loss < math.log(classes):
        return None
    highest, rate = blown_up(course, record), number(record, "learning_rate")
    step = ("look whether classes are as frequent in both parts (hfrun audit), and at the score of "
            "the baselines: there may be nothing here that this model can learn")  # fmt: skip
    if highest is not None and rate:
        step = f"{override(record, 'learning_rate', rate / 10)}: the loss was once {highest:.4g}"
    return Sign(
        severity="warning",
        message=f"evaluation loss {loss:.4g} at the best epoch, {best.epoch}, is not below the "
        f"{math.log(classes):.4g} of equal probabilities for {classes} classes",
        evidence={"eval_loss": loss, "uniform_loss": math.log(classes), "classes": classes},
        next_experiment=step,
        weight=loss,
    )


@record_rule(CALIBRATION)
def calibration(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Probabilities are off: calibration error above its limit, or a temperature beside 1."""
    limit = finite(record.flat_config.get("gates.max_ece")) or _MAX_ECE
    ece = finite((record.test.get("ece") or {}).get("value"))
    told, parts = _temperature(record.report.get("calibration") or {}), []
    evidence: dict[str, float | str] = {}
    low_ece = finite((record.test.get("ece") or {}).get("low"))
    is_off = ece is not None and ece > limit
    if ece is not None and is_off:
        least = "" if low_ece is None else f" (at least {low_ece:.3g} by its interval)"
        parts.append(f"expected calibration error is {ece:.3g}{least}, and {limit:g} is allowed")
        evidence |= {"ece": ece, "limit": limit}
    if told is not None:
        value, low, high = told
        kind = "overconfident" if value > 1 else "underconfident"
        parts.append(f"the temperature that fits is {value:.3g} ({low:.3g} to {high:.3g}): it is "
                     f"{kind}")  # fmt: skip
        evidence |= {"temperature": value, "temperature_low": low, "temperature_high": high}
    if not parts:
        return None
    is_smoothed = bool(number(record, "label_smoothing"))
    smooth = "" if is_smoothed else "; or " + override(record, "label_smoothing", 0.1)
    command = f"hfrun calibrate {record.folder or 'RUN'}"
    return Sign(
        severity="warning" if is_off and (low_ece is None or low_ece > limit) else "advice",
        message="; ".join(parts),
        evidence=evidence,
        next_experiment=f"{command}, and use its temperature{smooth}",
    )


def _temperature(held: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """The temperature with its interval, where both say that it is not 1."""
    folds = held.get("folds") or []
    if len(folds) != 1:
        return None
    value, low, high = (finite(folds[0].get(name)) for name in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return None
    is_beside = low > 1 or high < 1
    return (value, low, high) if is_beside and abs(value - 1) > _FAR_FROM_ONE else None


RULES = (one_answer, worse_than_majority, no_better_than_uniform, calibration)
