"""What the analysis says, in sentences with their numbers: the answer first, then what to do."""

from collections.abc import Mapping
from typing import Any

from hfrun.study.grid import key_label

# Playbook: what a budget carries, of Adam's own hyperparameters, in the order to add them.
_CARRIES = ((10, 1, "the learning rate alone"), (25, 2, "the learning rate and beta1"),
            (50, 3, "the learning rate, beta1 and epsilon"))  # fmt: skip


def answer_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The question's answer in a sentence, and whether the study decides it.

    ``decided`` is None where there is nothing to decide: no scientific value, or no result.
    """
    best = found["best"]
    if best is None:
        ended = found["counts"]
        return {
            "decided": None,
            "text": f"no answer: of {ended['total']} trials none may be chosen "
            f"({_told_counts(ended)})",
        }
    plots = found["isolation"]
    if not plots:
        return {"decided": None, "text": f"best: {best['label']}, {_score(found, best['score'])}"}
    plot = plots[-1]  # of the combinations, where there are several
    comparison = plot["comparison"]
    if comparison["decided"] is None:
        return {"decided": None, "text": f"not answered: {comparison['reason']}"}
    first = plot["values"][comparison["best"]]
    second = plot["values"][comparison["second"]]
    told = (
        f"{plot['name']} {first['label']}: best of {plot['compared_at']} trials "
        f"{_score(found, first['expected'])}, {abs(comparison['lead']):.4f} ahead of "
        f"{second['label']} (95 % of redraws {comparison['low']:+.4f} to "
        f"{comparison['high']:+.4f}, p = {comparison['p']:.2g})"
    )
    words = "decided" if comparison["decided"] else "not decided by this study"
    return {"decided": comparison["decided"], "text": f"{words}: {told}"}


def findings_of(found: Mapping[str, Any]) -> list[str]:
    """All that a reader should know beside the answer."""
    return [
        *_of_the_best(found),
        *_of_the_boundaries(found),
        *_of_the_budget(found),
        *_of_the_curves(found),
        *_of_what_is_missing(found),
        *_of_the_number_tuned(found),
    ]


def _of_the_best(found: Mapping[str, Any]) -> list[str]:
    best = found["best"]
    if best is None:
        return []
    if best["phase"] == "finalist":
        spread = "" if best["sd"] is None else f" ± {best['sd']:.4f}"
        return [f"best finalist: {best['label']}, {_score(found, best['score'])}{spread} over "
                f"{best['seeds']} seeds"]  # fmt: skip
    return [
        f"best trial: {best['trial']}, {best['label']}, {_score(found, best['score'])}; the best "
        f"of {best['chosen_of']} is flattered by having been chosen, and one seed was run"
    ]


def _of_the_boundaries(found: Mapping[str, Any]) -> list[str]:
    return [each["text"] for each in found["boundary"]]


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
    words = []
    held = found["counts"]
    for name, meaning in (
        ("diverged", "diverged"),
        ("failed", "ended with an error"),
        ("infeasible", "are done and may not be chosen"),
    ):
        if held[name]:
            words.append(f"{held[name]} of {held['total']} trials {meaning}")
    left = found["not_run"]
    open_ones = len(left["waiting"]) + len(left["running"]) + sum(left["missing"].values())
    if open_ones:
        words.append(f"{open_ones} trials of the budget have not ended: this is not the last word")
    return words


def _of_the_number_tuned(found: Mapping[str, Any]) -> list[str]:
    """How many nuisance hyperparameters the trials inside one scientific value carry."""
    tuned = list(found["nuisance"])
    cells = 1
    for values in found["scientific"].values():
        cells *= len(values)
    phases = found["counts"]["phases"]
    trials = (phases["explore"] + phases["exploit"]) / cells
    for most, number, words in _CARRIES:
        if trials < most:
            if len(tuned) <= number:
                return []
            names = ", ".join(key_label(key) for key in tuned)
            return [
                f"{trials:.3g} trials for each scientific value tune {len(tuned)} hyperparameters "
                f"({names}); so few carry {number}: {words}"
            ]
    return []


def _score(found: Mapping[str, Any], value: float) -> str:
    name = found["metric"].removeprefix("eval_").replace("_", " ")
    return f"{name} {value:.4f}"


def _told_counts(held: Mapping[str, Any]) -> str:
    names = ("diverged", "failed", "pruned", "infeasible", "running", "waiting")
    return ", ".join(f"{held[name]} {name}" for name in names if held[name]) or "none was begun"
