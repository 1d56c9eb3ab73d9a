"""The top of a study's page: the answer, how sure it is, and what to do next."""

from collections.abc import Mapping
from typing import Any

from hfrun.study.report.view import StudyView, words_of
from lob_backtest.report.elements import card, folded, listed
from lob_backtest.report.words import many, sentence, text

_ENDS = ("done", "diverged", "pruned", "failed", "running", "waiting")
_MOST = 5  # findings that are read in a minute


def subtitle(view: StudyView) -> str:
    """What was tried, in a line."""
    found = view.analysis
    held = found["counts"]
    ended = ", ".join(f"{held[name]} {name}" for name in _ENDS if held[name])
    words = f"{found['name']}: {many(held['total'], 'trial')} ({ended or 'none begun'})"
    for role, before, after in (("scientific", " on ", ""), ("nuisance", ", with ", " tuned")):
        names = [words_of(axis["name"]) for axis in found["axes"] if axis["role"] == role]
        if names:
            words += f"{before}{_and(names)}{after}"
    return words


def first(view: StudyView) -> str:
    """Two boxes: the answer with what it rests on, and what to do next."""
    found = view.analysis
    kind, head = headline(view)
    elsewhere = {each["text"] for each in found["boundary"]}  # in the other box
    elsewhere |= {f"trial {course['trial']}: {flag['text']}" for course in found["curves"]
                  for flag in course["flags"]}  # fmt: skip
    beside = [sentence(words) for words in found["findings"] if words not in elsewhere]
    found_too = listed(beside[:_MOST]) + folded("More findings", listed(beside[_MOST:]))
    answer = (
        f'<div class="verdict {kind}"><strong>{text(head)}</strong>'
        f"<p>{text(sentence(found['answer']['text']))}</p>{found_too}</div>"
    )
    steps = listed(sentence(step) for step in next_steps(view))
    next_box = card(f"<h3>What to do next</h3>{steps}{_pasted(found)}")
    return f'<div class="first">{answer}{next_box}</div>'


def headline(view: StudyView) -> tuple[str, str]:
    """The kind of answer (``good, quiet, bad``) and the answer in a few words."""
    found = view.analysis
    so_far = "" if found["not_run"]["is_complete"] else " so far"
    if found["best"] is None:
        return "bad", f"No trial may be chosen{so_far}"
    if not found["isolation"]:
        return "quiet", f"Trial {found['best']['trial']} is the best{so_far}"
    isolation = found["isolation"][-1]
    comparison = isolation["comparison"]
    if comparison["best"] is None:
        return "quiet", "Not answered"
    leader = leader_of(isolation)
    if comparison["decided"] is None:
        return "quiet", f"Not answered: only {leader} has a result"
    if not comparison["decided"]:
        return "quiet", f"Open: {leader} leads, and it may be luck"
    return "good", f"{leader[:1].upper()}{leader[1:]} is the best{so_far}"


def leader_of(isolation: Mapping[str, Any]) -> str:
    """The leading scientific value with its name; combinations have theirs already."""
    label = isolation["values"][isolation["comparison"]["best"]]["label"]
    return f"{words_of(isolation['name'])} {label}" if isolation["key"] else str(label)


def next_steps(view: StudyView) -> list[str]:
    """What the analysis asks for, the most urgent first."""
    found = view.analysis
    steps = []
    if not found["not_run"]["is_complete"]:
        steps.append("finish it: the same command again runs the trials that are left")
    if found["best"] is None:
        return [*steps, *_without_a_best(found["counts"])]
    steps += [each["text"] for each in found["boundary"]]
    if any(flag["name"] == "still_improving" for each in found["curves"] for flag in each["flags"]):
        steps.append("train for longer: a best trial was still improving at its end")
    if found["best_of_n"]["is_enough"] is False:
        steps.append("raise study.budget.trials: more trials may well find better ones")
    isolations = found["isolation"]
    if isolations and isolations[-1]["comparison"]["decided"] is False:
        steps.append("take the simpler or cheaper value, or run more trials of each: these scores "
                     "do not tell them apart")  # fmt: skip
    steps.append("before the best is used, train it against the present config with fresh seeds: "
                 "hfrun study adopt CONFIG")  # fmt: skip
    return steps


def _without_a_best(counts: Mapping[str, Any]) -> list[str]:
    total = counts["total"]
    told = {
        "diverged": "lower the range of the learning rate, or clip harder: {} of {} trials "
        "diverged",
        "infeasible": "loosen a constraint, or look for a cheaper model: {} of {} trials are done "
        "and miss one",
        "failed": "read the errors below: {} of {} trials failed",
    }
    return [words.format(counts[name], total) for name, words in told.items() if counts[name]]


def _pasted(found: Mapping[str, Any]) -> str:
    """Lines for the study's config that widen the ranges."""
    lines = [f"    {each['yaml']}" for each in found["boundary"] if each["yaml"]]
    whole = "\n".join(["study:", "  nuisance:", *lines])
    return f"<pre>{text(whole)}</pre>" if lines else ""


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
