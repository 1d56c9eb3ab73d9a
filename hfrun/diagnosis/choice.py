"""Rules about the chosen epoch: where in the run it lies, and how much of it is luck."""

from hfrun.diagnosis.course_view import (
    Best,
    best_of,
    epochs_done,
    epochs_planned,
    epochs_trained,
    evaluation_size,
    evaluations,
    fits_better_later,
    number,
    override,
    series,
    warmup_epochs,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.noise import accuracy_error, epoch_noise, luck_of_the_best
from hfrun.diagnosis.rule import course_rule
from hfrun.diagnosis.sources import LLAMA, PLAYBOOK
from hfrun.record import Course, RunRecord

_STEPS = f"{PLAYBOOK}: how long to train"
_FIRST = 0.1
_STILL_RISING = 0.1  # of the whole gain, in the last quarter of the evaluations
_WIDE_GAP = 0.10
_LEAST_EVALUATIONS = 8  # fewer say nothing of the spread between epochs


@course_rule(_STEPS)
def best_in_first_tenth(course: Course, record: RunRecord) -> Sign | None:
    """The best epoch lies in the first tenth of the run: it has too many steps."""
    best, planned = best_of(course, record), epochs_planned(course, record)
    total = planned or epochs_trained(course)
    if best is None or not total:
        return None
    done = epochs_done(course, best.index)
    if done < (warmup_epochs(course, record) or 0.0):  # best_inside_warmup says more of it
        return None
    if done > _FIRST * total + 1e-9 or best.index == len(evaluations(course)) - 1:
        return None
    enough = max(1.0, round(3 * done))
    return Sign(
        severity="advice",
        message=f"the best epoch, {best.epoch}, is over after {done / total:.0%} of the "
        f"{total:g} epochs of the run ({best.metric} {best.value:.4g}): too many steps, and a "
        "schedule stretched over them",
        evidence={"best_epoch": best.figures["epoch"], "epochs": total, "share": done / total},
        next_experiment=f"training.num_train_epochs={enough:g}",
        weight=1 - done / total,
    )


@course_rule(_STEPS)
def best_at_first_evaluation(course: Course, record: RunRecord) -> Sign | None:
    """No evaluation is better than the first: what came before it was not seen."""
    best, seen = best_of(course, record), evaluations(course)
    if best is None or best.index != 0 or len(seen) < 3 or best.metric not in seen[-1]:
        return None
    if all(entry.get(best.metric) == best.value for entry in seen):
        return None
    last, rate = seen[-1][best.metric], number(record, "learning_rate")
    if fits_better_later(course) is False:
        rate = None  # a lower one would fit the training data still less
    return Sign(
        severity="warning",
        message=f"the first of {len(seen)} evaluations is the best ({best.metric} "
        f"{best.value:.4g} at epoch {best.epoch}, {last:.4g} at the last): the best weights lie "
        "before it or near it",
        evidence={"evaluations": len(seen), best.metric: best.value, f"{best.metric}_last": last},
        next_experiment="training.eval_strategy=steps with a few evaluations in the first epoch"
        + (f", and {override(record, 'learning_rate', rate / 3)}" if rate else ""),
        weight=abs(best.value - last),
    )


@course_rule(_STEPS)
def best_at_the_end(course: Course, record: RunRecord) -> Sign | None:
    """The last epoch is the best and the score was still rising: the run has too few steps.

    Under a rate that falls to its floor some of the last gain is the falling itself, and a longer
    run moves that gain on, which is why the schedule has to be stretched with it.
    """
    best, scores = best_of(course, record), []
    trained = epochs_trained(course)
    if best is not None:
        scores = [value for _, value in series(course, best.metric)]
    if best is None or not trained or course.stopped_by is not None or len(scores) < 2:
        return None
    if best.index != len(evaluations(course)) - 1:
        return None
    recent = scores[-1 - max(1, len(scores) // 4)]
    whole = abs(best.value - scores[0])
    gained = min(abs(best.value - recent), whole)
    if gained == 0 or gained < max(_STILL_RISING * whole, _noise(scores, best, course)):
        return None
    gap = best.figures.get("train_eval_gap", 0.0)
    wide = f", and the gap is {gap:.3g} already" if gap > _WIDE_GAP else ""
    return Sign(
        severity="advice",
        message=f"the last evaluation, epoch {best.epoch}, is the best ({best.metric} "
        f"{best.value:.4g}), and {gained:.3g} of its gain of {whole:.3g} came in the last quarter: "
        f"it was still improving{wide}",
        evidence={"best_epoch": best.figures["epoch"], best.metric: best.value,
                  "last_gain": gained, "whole_gain": whole, "epochs_trained": trained},
        next_experiment=f"training.num_train_epochs={_longer(trained):g} with the same peak rate "
        "(the schedule stretches with it)" + (", and more regularization" if wide else ""),
        weight=gained,
    )  # fmt: skip


def _noise(scores: list[float], best: Best, course: Course) -> float:
    """What a gain has to exceed: the scatter between epochs, and the error of an accuracy."""
    scatter = 2 * epoch_noise(scores) if len(scores) >= _LEAST_EVALUATIONS else 0.0
    n = evaluation_size(course)
    is_accuracy = n is not None and best.metric == "eval_accuracy"
    return max(scatter, accuracy_error(best.value, n) if is_accuracy and n else 0.0)


def _longer(trained: float) -> float:
    return float(max(round(1.5 * trained), round(trained) + 1))


@course_rule(f"{LLAMA}: best of 50 epochs on dev is an optimistic number")
def best_of_many_epochs(course: Course, record: RunRecord) -> Sign | None:
    """Many epochs lie within the noise of the best one: that it is the best is luck.

    The noise is the scatter from epoch to epoch; the best of K equally good epochs is expected
    above their mean by it times the maximum of K normal draws. While the score still rises the
    epochs are not equally good, and nothing is said.
    """
    best = best_of(course, record)
    if best is None:
        return None
    values = [value for _, value in series(course, best.metric)]
    if len(values) < _LEAST_EVALUATIONS:
        return None
    noise = epoch_noise(values[len(values) // 3 :])
    near = [value for value in values if abs(value - best.value) <= 3 * noise]
    if noise <= 0 or len(near) < 5 or _is_rising(near, noise, best.is_greater_better):
        return None
    mean, luck = sum(near) / len(near), noise * luck_of_the_best(len(near))
    return Sign(
        severity="info",
        message=f"{len(near)} of {len(values)} evaluations lie within 3 times the scatter from "
        f"epoch to epoch ({noise:.2g}) of the best {best.metric}, {best.value:.4g}, and their "
        f"mean is {mean:.4g}: the best of so many is about {luck:.2g} better by luck alone",
        evidence={"evaluations": len(values), "near_the_best": len(near), "scatter": noise,
                  best.metric: best.value, "mean_of_near": mean, "luck": luck},
        next_experiment=f"expect about {mean:.3g} of this config, and compare configs by means "
        "over seeds (hfrun study adopt)",
        weight=luck,
    )  # fmt: skip


def _is_rising(values: list[float], noise: float, is_greater_better: bool) -> bool:
    """Whether the later half is better than the earlier by more than the noise."""
    half = len(values) // 2
    gain = sum(values[half:]) / (len(values) - half) - sum(values[:half]) / half
    return (gain if is_greater_better else -gain) > noise


RULES = (best_in_first_tenth, best_at_first_evaluation, best_at_the_end, best_of_many_epochs)
