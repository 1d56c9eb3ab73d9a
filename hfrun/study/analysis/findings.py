"""What the analysis says, in sentences with their numbers: the answer first, then the rest."""

import math
from collections.abc import Mapping
from typing import Any

from hfrun.study.grid import key_label
from hfrun.study.space import canonical

# Of Adam's own hyperparameters, how many so many trials carry, in the order in which to add them:
# the tuning playbook's advice.
_CARRIES = ((10, 1, "the learning rate alone"), (25, 2, "the learning rate and beta1"),
            (50, 3, "the learning rate, beta1 and epsilon"))  # fmt: skip

_BY_LUCK = 20  # choices of as many points, of which that of the outermost ones is one


def answer_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The question's answer in a sentence, and whether the study decides it.

    ``decided`` is None where there is nothing to decide: no scientific value, or no result.
    """
    best, plots = found["best"], found["isolation"]
    if best is None:
        ended = found["counts"]
        text = f"no answer: of {ended['total']} trials none may be chosen ({_told_counts(ended)})"
        return {"decided": None, "text": text}
    if not plots:
        text = f"best: {best['label']}, {_score(found, best['score'])}"
        return {"decided": None, "text": text}
    plot = plots[-1]  # of the combinations, where there are several
    comparison = plot["comparison"]
    if comparison["decided"] is None:
        return {"decided": None, "text": f"not answered: {comparison['reason']}"}
    words = "decided" if comparison["decided"] else "not decided by this study"
    return {"decided": comparison["decided"], "text": f"{words}: {_of_the_lead(found, plot)}"}


def _of_the_lead(found: Mapping[str, Any], plot: Mapping[str, Any]) -> str:
    """The best scientific value against the second, with what makes it more or less than luck."""
    comparison = plot["comparison"]
    first, second = (plot["values"][comparison[name]] for name in ("best", "second"))
    is_open = [other for other in comparison["others"] if not other["decided"]]
    shown = is_open[0] if is_open else comparison["others"][0]
    ahead = f"{abs(comparison['lead']):.4f} ahead of" if comparison["lead"] else "level with"
    told = (
        f"{plot['name']} {first['label']}, best of {plot['compared_at']} "
        f"{_score(found, first['expected'])}, {ahead} {second['label']}"
    )
    if shown["value"] != comparison["second"]:
        told += f", open against {plot['values'][shown['value']]['label']}"
    if shown["gain"] is not None:
        told += f"; at the better {shown['pairs']} shared points {abs(shown['gain']):.4f} "
        told += "better" if shown["gain"] * comparison["lead"] >= 0 else "worse"
        told += " on average"
    if shown["low"] is not None:
        told += f"; 95 % of redraws {shown['low']:+.4f} to {shown['high']:+.4f}"
    return f"{told}; p = {shown['p']:.2g}, {shown['test']}"


def findings_of(found: Mapping[str, Any]) -> list[str]:
    """All that a reader should know beside the answer."""
    return [
        *_of_the_answer(found),
        *_of_the_best(found),
        *_of_the_finalists(found),
        *_of_the_best_that_may_not_be_chosen(found),
        *_of_the_boundaries(found),
        *_of_what_diverged(found),
        *_of_the_budget(found),
        *_of_the_curves(found),
        *_of_what_is_missing(found),
        *_of_the_number_tuned(found),
    ]


def _of_the_answer(found: Mapping[str, Any]) -> list[str]:
    """What a decision of the exploration does not cover."""
    if not found["answer"]["decided"]:
        return []
    return ["the comparison is of one validation part and one seed for each trial; new seeds are "
            "what hfrun study adopt trains"]  # fmt: skip


def _of_the_best(found: Mapping[str, Any]) -> list[str]:
    best = found["best"]
    if best is None or best["phase"] == "finalist":
        return []
    words = f"best trial: {best['trial']}, {best['label']}, {_score(found, best['score'])}"
    if best["chosen_of"] == 1:
        return [f"{words}; it is the only one that may be chosen"]
    return [f"{words}; the best of {best['chosen_of']} is flattered by having been chosen, and "
            "it is of one seed"]  # fmt: skip


def _of_the_finalists(found: Mapping[str, Any]) -> list[str]:
    held = [each for each in found["finalists"] if each["mean"] is not None]
    if not held:
        return []
    first = held[0]
    words = [f"best finalist: {first['label']}, {_score(found, first['mean'])}{_plus_minus(first)}"]
    if len(held) > 1:
        second = held[1]
        lead = abs(first["mean"] - second["mean"])
        words[0] += f", {lead:.4f} ahead of {second['label']}{_plus_minus(second)}"
        spread = [each["sd"] for each in (first, second) if each["sd"] is not None]
        if spread and lead <= max(spread):
            words[0] += ": less than one of them varies over seeds"
    if first["lacking"]:
        lacking = f"{first['lacking']} of {len(first['trials'])} seeds"
        words.append(
            f"{lacking} of the best finalist have no score or may not be chosen: its figure is of "
            "the others alone, flattered by that, and adoption passes it over"
        )
    return words + _of_the_disagreement(found, first)


def _of_the_disagreement(found: Mapping[str, Any], first: Mapping[str, Any]) -> list[str]:
    """Where the best finalist has another scientific value than the short trials' best."""
    if not found["isolation"]:
        return []
    plot = found["isolation"][-1]
    ahead = plot["comparison"]["best"]
    if ahead is None:
        return []
    cell = plot["values"][ahead]
    if all(canonical(first["values"].get(key)) == canonical(value)
           for key, value in cell["values"].items()):  # fmt: skip
        return []
    return [f"in the short trials {plot['name']} {cell['label']} was ahead, which the best "
            "finalist does not have"]  # fmt: skip


def _of_the_best_that_may_not_be_chosen(found: Mapping[str, Any]) -> list[str]:
    """A trial that is better than the best, and what it misses."""
    best = found["best"]
    sign = 1.0 if found["higher_is_better"] else -1.0
    beyond = [
        row
        for row in found["table"]
        if row["status"] == "infeasible" and row["score"] is not None and row["phase"] != "finalist"
        and (best is None or best["phase"] != "finalist")
        and (best is None or sign * row["score"] > sign * best["score"])
    ]  # fmt: skip
    if not beyond:
        return []
    row = max(beyond, key=lambda each: sign * each["score"])
    missed = ", ".join(
        f"{each['name']} {_figure(each['value'])} ({str(each['direction']).replace('_', ' ')} "
        f"{_figure(each['limit'])})"
        for each in row["constraints"]
        if not each["met"]
    )
    return [f"trial {row['trial']} has {_score(found, row['score'])} and may not be chosen: "
            f"{missed}"]  # fmt: skip


def _of_the_boundaries(found: Mapping[str, Any]) -> list[str]:
    return [each["text"] for each in found["boundary"]]


def _of_what_diverged(found: Mapping[str, Any]) -> list[str]:
    """A bound beyond which everything diverged, where there is one, and it is not by luck."""
    words = []
    for axis in found["axes"]:
        if axis["kind"] != "range":
            continue
        lost = {point["x"] for point in axis["points"] if point["status"] == "diverged"}
        kept = {point["x"] for point in axis["points"] if point["status"] != "diverged"}
        # the trials of one nuisance point are alike: points are counted, by their values
        if not kept or math.comb(len(lost) + len(kept), len(lost)) < _BY_LUCK:
            continue
        if min(lost) > max(kept):
            words.append(f"all points with {axis['name']} of {min(lost):.3g} or more diverged "
                         f"({len(lost)}), none of those up to {max(kept):.3g}")  # fmt: skip
        elif max(lost) < min(kept):
            words.append(f"all points with {axis['name']} of {max(lost):.3g} or less diverged "
                         f"({len(lost)}), none of those from {min(kept):.3g} on")  # fmt: skip
    return words


def _of_the_budget(found: Mapping[str, Any]) -> list[str]:
    budget = found["best_of_n"]
    if budget["is_enough"] is None:
        return []
    word = "was enough" if budget["is_enough"] else "was not clearly enough"
    return [f"the budget {word}: {budget['reason']}"]


def _of_the_curves(found: Mapping[str, Any]) -> list[str]:
    return [f"trial {course['trial']}: {flag['text']}"
            for course in found["curves"] for flag in course["flags"]]  # fmt: skip


def _of_what_is_missing(found: Mapping[str, Any]) -> list[str]:
    held, left = found["counts"], found["not_run"]
    told = (
        ("diverged", "diverged"),
        ("pruned", "were ended early, as worse than the best so far"),
        ("failed", "ended with an error"),
        ("infeasible", "are done and may not be chosen"),
    )
    words = [f"{held[name]} of {held['total']} trials {meaning}"
             for name, meaning in told if held[name]]  # fmt: skip
    still = len(left["waiting"]) + len(left["running"])
    if still:
        words.append(
            f"{still} of {held['total']} trials wait or are running: this is not the last word"
        )
    never = [f"{number} of {phase}" for phase, number in left["missing"].items() if number]
    if never:
        words.append(f"not begun of the budget: {', '.join(never)}")
    return words


def _of_the_number_tuned(found: Mapping[str, Any]) -> list[str]:
    """How many nuisance hyperparameters the trials inside one scientific value carry."""
    tuned = list(found["nuisance"])
    cells = 1
    for values in found["scientific"].values():
        cells *= len(values)
    phases = found["counts"]["phases"]
    trials = (phases["explore"] + phases["exploit"]) / cells
    fits = [(number, words) for most, number, words in _CARRIES if trials < most]
    if not fits or not trials or len(tuned) <= fits[0][0]:
        return []
    number, carried = fits[0]
    names = ", ".join(key_label(key) for key in tuned)
    inside = " inside each scientific value" if cells > 1 else ""
    return [
        f"{trials:.3g} trials{inside} tune {len(tuned)} hyperparameters ({names}); so few carry "
        f"{number}, {carried}"
    ]


def _plus_minus(held: Mapping[str, Any]) -> str:
    count = len(held["scores"])
    return f" (± {held['sd']:.4f} over {count} seeds)" if held["sd"] is not None else " (one seed)"


def _score(found: Mapping[str, Any], value: float) -> str:
    name = found["metric"].removeprefix("eval_").replace("_", " ")
    return f"{name} {value:.4f}"


def _figure(value: Any) -> str:
    return format(value, ",.6g") if isinstance(value, int | float) else "not measured"


def _told_counts(held: Mapping[str, Any]) -> str:
    names = ("diverged", "failed", "pruned", "infeasible", "running", "waiting")
    return ", ".join(f"{held[name]} {name}" for name in names if held[name]) or "none was begun"
