"""What a sceptic asks of a classifier of texts, answered with the report's own figures."""

from collections.abc import Callable, Mapping
from typing import Any

from lob_backtest.report.elements import questions
from lob_backtest.report.words import (
    coarse,
    interval,
    many,
    number,
    p_equals,
    sentence,
    strategy_title,
)

_FEW = 30  # texts of a class
# Findings of the audit that make a test figure too good to be true.
_LEAKS = {
    "duplicates_across_splits": "test texts in another part",
    "near_duplicates_across_splits": "in another part but for case, marks or one word",
    "similar_texts_across_splits": "that share most of their words with one in another part",
}


def doubts(report: Mapping[str, Any]) -> str:
    """Questions with their answers; one without figures is left out."""
    return questions(answers(report))


def answers(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every question that the report can answer, with the answer."""
    asked: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "Does it predict better than a simple model?": _lift,
        "Is it better than always saying one class?": _majority,
        "Do its probabilities mean what they say?": _calibration,
        "Was the checkpoint picked by luck?": _picked,
        "Had it seen the test texts?": _seen,
        "Is it good at every class?": _classes,
        "Is it right when it is sure?": _sure,
    }
    found = [(question, answer(report)) for question, answer in asked.items()]
    return [(question, words) for question, words in found if words]


def _lift(report: Mapping[str, Any]) -> str:
    name = report.get("baseline")
    lead = ((report.get("paired") or {}).get(name) or {}).get("f1_weighted") or {}
    if name is None or lead.get("difference") is None:
        return ""
    value, form = lead["difference"], coarse("+.3f", lead.get("low"), lead.get("high"))
    between = interval(lead, form)
    words = (
        f"Its weighted F1 is {number(abs(value), form.lstrip('+'))} "
        f"{'above' if value >= 0 else 'below'} that of {strategy_title(name)}"
    )
    words += (
        f" ({between}, p {p_equals(lead['p_adjusted'])} over all baselines)." if between else "."
    )
    toss = (report.get("mcnemar") or {}).get(name)
    if toss:
        words += (
            f" It alone is right about {many(toss['only_model'], 'text')}, the baseline alone "
            f"about {toss['only_baseline']:,} (McNemar p {p_equals(toss['p_value'])})."
        )
    return words


def _majority(report: Mapping[str, Any]) -> str:
    accuracy = report["aggregate"]["accuracy"]
    most = report["aggregate"]["majority_accuracy"]["value"]
    if accuracy["low"] > most:
        answer = "Yes, beyond its interval"
    else:
        answer = "Not beyond its interval" if accuracy["value"] > most else "No"
    return (
        f"{answer}: accuracy {accuracy['value']:.3f} ({interval(accuracy, '.3f')}), and the most "
        f"frequent class of these texts is {most:.3f} of them."
    )


def _calibration(report: Mapping[str, Any]) -> str:
    ece = report["aggregate"]["ece"]
    words = (
        f"Its confidence is off by {ece['value']:.3f} on average ({interval(ece, '.3f')}, "
        "expected calibration error)."
    )
    found = report.get("calibration") or {}
    if found.get("reason"):
        words += f" A temperature of {found['temperature']:.2f}: {sentence(found['reason'])}"
    return words


def _picked(report: Mapping[str, Any]) -> str:
    found = report.get("validation")
    if not found:
        return ""
    accuracy = report["aggregate"]["accuracy"]
    return (
        f"The checkpoint was chosen on {many(found['n'], 'validation text')}, where its accuracy "
        f"is {found['accuracy']:.3f}; on the test texts, which chose nothing, it is "
        f"{accuracy['value']:.3f} ({interval(accuracy, '.3f')})."
    )


def _seen(report: Mapping[str, Any]) -> str:
    audit = report.get("audit")
    if not audit:
        return "Not looked for: the data were not audited."
    found = {
        name: sum(e["count"] for e in audit["findings"]
                  if e["name"] == name and "test" in e["parts"])
        for name in _LEAKS
    }  # fmt: skip
    if not any(found.values()):
        return "The audit found no test text, copied or nearly so, in another part."
    told = ", ".join(f"{count:,} {_LEAKS[name]}" for name, count in found.items() if count)
    return f"Of some it had: the audit found {told}. All figures count them."


def _classes(report: Mapping[str, Any]) -> str:
    rows = [row for row in report["per_class"] if row["recall"] is not None]
    if len(rows) < 2:
        return ""
    worst = min(rows, key=lambda row: row["recall"])
    best = max(rows, key=lambda row: row["recall"])
    words = (
        f"It finds {best['recall']:.0%} of \u201c{best['label']}\u201d and {worst['recall']:.0%} "
        f"of \u201c{worst['label']}\u201d."
    )
    never = [row["label"] for row in rows if row["said"] == 0]
    if never:
        words += f" It never says {', '.join(never)}."
    few = [row["label"] for row in rows if row["n"] < _FEW]
    if few:
        words += f" Fewer than {_FEW} test texts are of {', '.join(few)}: too few to tell."
    return words


def _sure(report: Mapping[str, Any]) -> str:
    rows = report["confidence"]
    half = next((row for row in rows if row["share"] <= 0.5), None)
    if half is None or half["n"] < _FEW:
        return ""
    return (
        f"The {half['share']:.0%} of the texts that it is surest of are right in "
        f"{half['accuracy']:.0%}, all of them in {rows[0]['accuracy']:.0%}."
    )
