"""Rules about what can be concluded: sizes of evaluation sets, seeds, and the test part."""

import math
from statistics import fmean, stdev

from hfrun.diagnosis.course_view import (
    best_of,
    count,
    evaluation_size,
    evaluations,
    finite,
    fold_report,
    number,
)
from hfrun.diagnosis.finding import Sign
from hfrun.diagnosis.noise import accuracy_error, difference_error, examples_needed
from hfrun.diagnosis.rule import course_rule, record_rule
from hfrun.diagnosis.settings import changed_data
from hfrun.diagnosis.sources import DEEPLOB, LLAMA
from hfrun.record import Course, RunRecord

_SEEDS = f"{DEEPLOB}: one seed, one validation set, dozens of runs"
_LEAST_FOLDS = 3
_FOLDS_ERRORS = 3.0  # standard errors over a handful of folds, for about 5 % by chance
_DROP = 0.02  # of accuracies whose sets' sizes are not recorded


@course_rule(_SEEDS)
def evaluation_too_small(course: Course, record: RunRecord) -> Sign | None:
    """The gain over the most frequent class is below two standard errors of the accuracy."""
    best, n = best_of(course, record), evaluation_size(course)
    if best is None or n is None:
        return None
    accuracy = best.figures.get("eval_accuracy")
    majority = best.figures.get("eval_majority_accuracy")
    if accuracy is None or majority is None:
        return None
    gain, error = accuracy - majority, accuracy_error(accuracy, n)
    if not 0 < gain < 2 * error:
        return None
    needed = examples_needed(accuracy, gain)
    return Sign(
        severity="warning",
        message=f"evaluation accuracy {accuracy:.4g} is {gain:.2g} above that of the most frequent "
        f"class, and its standard error on {n} examples is {error:.2g} (more where labels "
        f"overlap): {_about(needed)} examples would tell",
        evidence={"eval_accuracy": accuracy, "gain": gain, "standard_error": error,
                  "examples": n, "examples_needed": needed},
        next_experiment="a larger validation part (walk_forward.validation, data.split.validation)",
        weight=1 - gain / (2 * error),
    )  # fmt: skip


def _about(count: int) -> str:
    """A count to two digits."""
    digits = max(len(str(count)) - 2, 0)
    return f"about {round(count, -digits):,}"


@course_rule(_SEEDS)
def epochs_too_close(course: Course, record: RunRecord) -> Sign | None:
    """The best epoch leads the second best by less than a standard error would tell apart."""
    best, n = best_of(course, record), evaluation_size(course)
    if best is None or n is None or best.metric != "eval_accuracy":
        return None
    others = [entry for i, entry in enumerate(evaluations(course))
              if i != best.index and "eval_accuracy" in entry]  # fmt: skip
    if not others:
        return None
    second = max(others, key=lambda entry: entry["eval_accuracy"])
    lead, error = best.value - second["eval_accuracy"], accuracy_error(best.value, n)
    if not 0 < lead < 2 * error:
        return None
    needed = examples_needed(best.value, lead)
    return Sign(
        severity="info",
        message=f"epoch {best.epoch} leads epoch {second['epoch']:g} by {lead:.2g} of accuracy, "
        f"{lead / error:.1f} standard errors ({error:.2g} on {n} examples): which is better is "
        f"not known, {_about(needed)} examples would tell",
        evidence={"lead": lead, "standard_error": error, "examples": n,
                  "examples_needed": needed},
        next_experiment="take the earlier or the cheaper of the two, and claim no gain from it",
        weight=1 - lead / (2 * error),
    )  # fmt: skip


@record_rule(_SEEDS)
def gain_too_small(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """The gain over the parent is below two standard errors of the accuracy."""
    if parent is None or not _is_comparable(record, parent):
        return None
    ours, n = best_of(record.courses[0], record), evaluation_size(record.courses[0])
    theirs = best_of(parent.courses[0], parent)
    if ours is None or theirs is None or n is None:
        return None
    accuracy, before = ours.figures.get("eval_accuracy"), theirs.figures.get("eval_accuracy")
    if accuracy is None or before is None:
        return None
    gain, error = accuracy - before, accuracy_error(accuracy, n)
    if not 0 < gain < 2 * error:
        return None
    needed = examples_needed(accuracy, gain)
    return Sign(
        severity="advice",
        message=f"evaluation accuracy {accuracy:.4g} is {gain:.2g} above that of the parent "
        f"{parent.name}, {gain / error:.1f} standard errors ({error:.2g} on {n} examples): no gain "
        f"is shown, {_about(needed)} examples would tell",
        evidence={"gain": gain, "standard_error": error, "examples": n,
                  "examples_needed": needed},
        next_experiment="more seeds and folds, paired: hfrun study adopt",
    )  # fmt: skip


def _is_comparable(record: RunRecord, parent: RunRecord) -> bool:
    """Whether both are one training on the same data."""
    is_one = len(record.courses) == len(parent.courses) == 1
    return is_one and not changed_data(record, parent)


@record_rule(_SEEDS)
def one_seed(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """A gain rests on one seed: over the baseline where its gate passed, or over the parent."""
    seed = number(record, "seed")
    gate = next((gate for gate in record.gates if gate.get("name") == "f1_lift"), {})
    claims = []
    lift = finite(gate.get("value"))
    if gate.get("passed") and lift is not None:
        claims.append(("baseline", lift, "of weighted F1 over the baseline"))
    claims += _over_parent(record, parent)
    if not claims:
        return None
    name, gain, over = claims[-1]
    folds = f" and {len(record.courses)} folds" if len(record.courses) > 1 else ""
    which = "one seed" if seed is None else f"one seed ({seed:g})"
    return Sign(
        severity="info",
        message=f"the gain of {gain:.3g} {over} rests on {which}{folds}: what another seed would "
        "have given is not known",
        evidence={f"gain_over_{name}": gain, "seeds": 1,
                  **({} if seed is None else {"seed": seed})},
        next_experiment="study.seeds: [0, 1, 2, 3, 4] and hfrun study adopt, which compares seed "
        "by seed",
    )  # fmt: skip


def _over_parent(record: RunRecord, parent: RunRecord | None) -> list[tuple[str, float, str]]:
    """By how much the best score lies above the parent's, where both have the same metric."""
    if parent is None or not _is_comparable(record, parent):
        return []
    ours, theirs = best_of(record.courses[0], record), best_of(parent.courses[0], parent)
    if ours is None or theirs is None or ours.metric not in theirs.figures:
        return []
    gain = ours.value - theirs.figures[ours.metric]
    gain = gain if ours.is_greater_better else -gain
    over = f"of {ours.metric} over its parent {parent.name}"
    return [("parent", gain, over)] if gain > 0 else []


@record_rule(f"{LLAMA}: best of 50 epochs on dev is an optimistic number")
def test_below_evaluation(record: RunRecord, parent: RunRecord | None) -> Sign | None:
    """Test accuracy lies below evaluation accuracy: the choice fits that set, or data drifts."""
    pairs = _validation_and_test(record)
    if not pairs:
        return None
    drop = fmean(seen - tested for seen, tested, _ in pairs)
    least, how = _least_drop(record, pairs)
    if drop <= least:
        return None
    seen, tested = fmean(pair[0] for pair in pairs), fmean(pair[1] for pair in pairs)
    means = f" (means over {len(pairs)} folds)" if len(pairs) > 1 else ""
    return Sign(
        severity="advice" if len(pairs) > 1 or pairs[0][2] is not None else "info",
        message=f"test accuracy {tested:.4g} is {drop:.2g} below evaluation accuracy {seen:.4g} of "
        f"the best epoch{means}, {how}: the choice fits the evaluation set, or the two differ",
        evidence={"eval_accuracy": seen, "test_accuracy": tested, "drop": drop,
                  "least": least, "folds": len(pairs)},
        next_experiment="quote the test score alone; fewer choices by the same evaluation set, or "
        "a larger one",
    )  # fmt: skip


def _validation_and_test(record: RunRecord) -> list[tuple[float, float, float | None]]:
    """Of each training: evaluation and test accuracy, and the standard error of the difference."""
    pairs: list[tuple[float, float, float | None]] = []
    for course in record.courses:
        best, fold, n = best_of(course, record), fold_report(course, record), None
        if best is None or "eval_accuracy" not in best.figures:
            continue
        seen, n = best.figures["eval_accuracy"], evaluation_size(course)
        tested, n_test = finite((fold or {}).get("accuracy")), count((fold or {}).get("n"))
        if tested is None and len(record.courses) == 1:
            tested = finite((record.test.get("accuracy") or {}).get("value"))
        if tested is None:
            continue
        error = None
        if n and n_test:
            error = difference_error(seen, n, tested, n_test)
        pairs.append((seen, tested, error))
    return pairs


def _least_drop(
    record: RunRecord, pairs: list[tuple[float, float, float | None]]
) -> tuple[float, str]:
    if len(pairs) >= _LEAST_FOLDS:
        error = stdev(seen - tested for seen, tested, _ in pairs) / math.sqrt(len(pairs))
        return _FOLDS_ERRORS * error, f"where {_FOLDS_ERRORS * error:.2g} is chance"
    errors = [error for _, _, error in pairs if error is not None]
    if len(errors) == len(pairs):
        least = 2 * math.hypot(*errors) / len(errors)
        return least, f"where {least:.2g} is chance"
    return _DROP, "and the sizes of both sets are not recorded"


RULES = (evaluation_too_small, epochs_too_close, gain_too_small, one_seed, test_below_evaluation)
