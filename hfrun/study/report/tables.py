"""The tables of a study's page: trials, scientific values, finalists, and what was asked."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.study.grid import key_label, value_label
from hfrun.study.report.view import StudyView, short_value, value_name, words_of
from lob_backtest.report.elements import card, cell, facts_list, folded, note, row, table
from lob_backtest.report.words import NOTHING, number, p_equals, text

MOST_ROWS = 30  # trials shown at once; the others on demand


def trials_table(view: StudyView, links: Mapping[int, str]) -> str:
    """A row a trial, the best first; a link where its report is there."""
    axes = view.analysis["axes"]
    has_constraints = any(each["constraints"] for each in view.analysis["table"])
    heads = ["trial", f"validation {view.metric}", *(axis["name"] for axis in axes)]
    heads += ["constraints"] if has_constraints else []
    heads += ["ended", "epoch", "minutes", "seed"]
    body = [
        _trial(each, axes, view, links.get(each["trial"]), with_constraints=has_constraints)
        for each in view.analysis["table"]
    ]
    shown = table(heads, body[:MOST_ROWS], kind="tight")
    rest = table(heads, body[MOST_ROWS:], kind="tight") if body[MOST_ROWS:] else ""
    return card(shown + folded(f"The other {len(body) - MOST_ROWS} trials", rest)) if body else ""


def _trial(
    held: Mapping[str, Any],
    axes: Sequence[Mapping[str, Any]],
    view: StudyView,
    link: str | None,
    *,
    with_constraints: bool,
) -> str:
    values = [cell(short_value(held["values"].get(axis["key"], NOTHING))) for axis in axes]
    epochs = [held["epoch"], held["epochs"]]
    length = NOTHING if None in epochs else f"{epochs[0]:.3g} of {epochs[1]:.3g}"
    cells = [cell(number(held["score"], ".4f")), *values]
    cells += [_constraints(held["constraints"])] if with_constraints else []
    cells += [
        cell(held["status"], *(_how(held))),
        cell(length),
        cell(_minutes(held["seconds"])),
        cell(held["seed"]),
    ]
    is_best = held["trial"] in (view.leader, (view.analysis["best"] or {}).get("trial"))
    kind = "own" if is_best else "" if held["status"] == "done" else "faint"
    name = f'<a href="{text(link)}">{held["trial"]}</a>' if link else text(held["trial"])
    return linked_row(name, cells, kind=kind)


def linked_row(name: str, cells: Sequence[str], *, kind: str) -> str:
    """A row whose name is ready HTML."""
    return row("\0", cells, kind=kind).replace("\0", name, 1)


def _how(held: Mapping[str, Any]) -> list[str]:
    phase = "" if held["phase"] == "explore" else held["phase"]
    return [phase, f"stopped by {held['stopped_by']}" if held["stopped_by"] else ""]


def _constraints(held: Sequence[Mapping[str, Any]]) -> str:
    """ "met", or below each other those that are missed with their limit."""
    if not held:
        return cell(NOTHING)
    missed = [each for each in held if not each["met"]]
    if not missed:
        return cell("met")
    return cell(f"{len(missed)} missed", *(_missed(each) for each in missed), kind="loss")


def _missed(held: Mapping[str, Any]) -> str:
    value = NOTHING if held.get("value") is None else f"{held['value']:,.6g}"
    sign = {"at_most": "at most", "at_least": "at least"}.get(str(held.get("direction")), "")
    limit = "" if held.get("limit") is None else f", {sign} {held['limit']:,.6g}".replace("  ", " ")
    return f"{held['name']} {value}{limit}"


def _minutes(seconds: float | None) -> str:
    return (
        NOTHING
        if seconds is None
        else f"{seconds / 60:.2g}"
        if seconds < 600
        else f"{seconds / 60:.0f}"
    )


def isolation_table(isolation: Mapping[str, Any]) -> str:
    """Each scientific value: its best, the best of equally many, and how far it is behind."""
    comparison = isolation["comparison"]
    against = {other["value"]: other for other in comparison["others"]}
    number_of = isolation["compared_at"]
    heads = [words_of(isolation["name"]), "best", f"best of {number_of}", "behind", "trials"]
    body = []
    for index, held in enumerate(isolation["values"]):
        spread = "" if held["low"] is None else f"{held['low']:.4f} to {held['high']:.4f}"
        trial = "" if held["best_trial"] is None else f"trial {held['best_trial']}"
        top = "" if held["top_mean"] is None else f"top {held['top_n']}: {held['top_mean']:.4f}"
        cells = [
            cell(number(held["best"], ".4f"), spread, trial),
            cell(number(held["expected"], ".4f"), top),
            _behind(index, comparison["best"], against.get(index)),
            cell(held["n"], *_lost(held)),
        ]
        body.append(row(value_name(held), cells, kind="own" if index == comparison["best"] else ""))
    return card(table(heads, body, kind="tight"))


def isolation_note(isolation: Mapping[str, Any]) -> str:
    """What the table's small print means."""
    tests = {other["test"] for other in isolation["comparison"]["others"]}
    words = (
        "Below each best, between which scores the best of as many trials lies in 95 % of redraws. "
        "A best of more trials is better by number alone, so values are compared at the expected "
        "best of equally many; below it the mean of the top trials. Behind: by how much, and "
        "between which leads 95 % of redraws lie. A lead is decided where all of them are above "
        "nothing and p is small enough for the number of values (Holm's limits). "
    )
    told = {
        "paired t": "p, paired t: of the differences at the better half of the nuisance points "
        "that both values share, whose mean is beside it. ",
        "shuffled trials": "p, shuffled trials: how often exchanging the trials of both values "
        "gives so large a lead. ",
    }
    words += "".join(meaning for test, meaning in told.items() if test in tests)
    return note(words + "○ and ×: trials that may not be chosen, as marked in the plot.")


def _behind(index: int, best: int | None, other: Mapping[str, Any] | None) -> str:
    if index == best:
        return cell("leads")
    if other is None:
        return cell(NOTHING)
    low, high, gain = (number(other[name], "+.4f") for name in ("low", "high", "gain"))
    test = f"{other['test']}: {gain}" if other["gain"] is not None else other["test"]
    verdict = "decided" if other["decided"] else "open"
    return cell(
        number(abs(other["lead"]), ".4f"),
        "" if other["low"] is None else f"{low} to {high}",
        test,
        f"p {p_equals(other['p'])}, {verdict}",
    )


def _lost(held: Mapping[str, Any]) -> list[str]:
    """How many of a value's trials may not be chosen, by the marks of the plots."""
    lost = held["diverged"] + held["pruned"] + held["failed"]
    counts = {"○": held["done"] - held["feasible"], "×": lost}
    return [" ".join(f"{sign}\u00a0{count}" for sign, count in counts.items() if count)]


def finalists_table(view: StudyView) -> str:
    """The best values, trained again for longer, over their seeds."""
    found = view.analysis["finalists"]
    if not found:
        return ""
    heads = ["place", f"validation {view.metric}", "seeds", "trials", "values"]
    body = []
    for index, held in enumerate(found):
        spread = "" if held["sd"] is None else f"± {held['sd']:.4f}"
        lacking = f"{held['lacking']} without a result" if held["lacking"] else ""
        cells = [
            cell(number(held["mean"], ".4f"), spread),
            cell(len(held["seeds"]), lacking),
            cell(", ".join(map(str, held["trials"]))),
            cell(view.label(held["trials"][0]), kind="words"),
        ]
        body.append(row(index + 1, cells, kind="" if index else "own"))
    return card(table(heads, body) + note("Mean and standard deviation over the seeds."))


def asked(view: StudyView) -> str:
    """What was varied, by what it was judged, and what it cost."""
    found = view.analysis
    cost, budget = found["cost"], found["budget"]
    rows: list[tuple[str, object]] = [
        ("question", found["question"] or NOTHING),
        ("score", view.score_title),
        *(("scientific", f"{key}: {', '.join(map(value_label, values))}")
          for key, values in found["scientific"].items()),
        *(("nuisance", f"{key}: {_range(held)}") for key, held in found["nuisance"].items()),
        *(("fixed", f"{key}: {value_label(value)}") for key, value in found["fixed"].items()),
        ("budget", ", ".join(f"{key} {value_label(value)}" for key, value in budget.items()
                             if value is not None) or NOTHING),
        ("training time", f"{cost['seconds'] / 60:.3g} minutes in {cost['trials']} trials, "
         f"{cost['seconds_without_result'] / 60:.3g} of them in trials that may not be chosen"),
    ]  # fmt: skip
    return facts_list(rows)


def _range(held: Mapping[str, Any]) -> str:
    if held.get("values"):
        told = ", ".join(map(value_label, held["values"]))
    else:
        kinds = [name for name in ("log", "integer") if held.get(name)]
        told = f"{held['low']:g} to {held['high']:g}" + (f" ({', '.join(kinds)})" if kinds else "")
    when = held.get("when") or {}
    conditions = " and ".join(
        f"{key_label(key)} is {json.dumps(value)}" for key, value in when.items()
    )
    return f"{told}, where {conditions}" if conditions else told
