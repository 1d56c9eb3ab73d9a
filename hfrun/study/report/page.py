"""The page of a study, made from its analysis alone: the answer, how sure it is, what to do next.

A reader should be able to decide within a minute: question and answer stand first, then the plot
that answers it, then what speaks against trusting it, and the trials last.
"""

from collections.abc import Mapping
from typing import Any

from hfrun.study.course_plot import course_limits, course_plot
from hfrun.study.report import tables
from hfrun.study.report.coordinates import coordinates_plot
from hfrun.study.report.marks import legend
from hfrun.study.report.plots import axis_plot, best_of_n_plot, importance_plot, isolation_plot
from hfrun.study.report.view import StudyView
from lob_backtest.report.elements import card, columns, figure, folded, listed, note, section
from lob_backtest.report.page import contents, document
from lob_backtest.report.plots.drawing import PAGE, Plot, page_svg
from lob_backtest.report.words import many, sentence, text


def study_page(analysis: Mapping[str, Any], links: Mapping[int, str] | None = None) -> str:
    """The whole page as HTML.

    Args:
        analysis: as ``hfrun.study.analysis.analyse`` gives it.
        links: addresses of trials' reports, as seen from the page.
    """
    view = StudyView(analysis=analysis)
    sections = [
        _isolation(view),
        section("finalists", "Finalists", "The best values, trained again for longer.",
                tables.finalists_table(view)),
        _axes(view),
        _budget(view),
        _curves(view),
        _together(view),
        section("trials", "Trials", "The best first. Each is an ordinary run in its own folder; its "
                "number leads to its report.", tables.trials_table(view, links or {})),
        _not_run(view),
        section("asked", "What was asked", "", card(tables.asked(view))),
    ]  # fmt: skip
    title = analysis["question"] or analysis["name"]
    return document(
        title,
        [
            f"<header><h1>{text(title)}</h1><p>{text(_subtitle(view))}</p></header>",
            _first(view),
            contents(sections),
            *sections,
        ],
        footer="Made by hfrun from the study's trials.",
    )


def _subtitle(view: StudyView) -> str:
    found = view.analysis
    held = found["counts"]
    names = [axis["name"].replace("_", " ") for axis in found["axes"]]
    asked = [
        axis["name"].replace("_", " ") for axis in found["axes"] if axis["role"] == "scientific"
    ]
    ended = [f"{held[name]} {name}" for name in ("done", "diverged", "pruned", "failed", "running", "waiting")
             if held[name]]  # fmt: skip
    tuned = [name for name in names if name not in asked]
    parts = [
        f"{found['name']}: {many(held['total'], 'trial')} ({', '.join(ended) or 'none begun'})"
    ]
    if asked:
        parts.append(f"on {' and '.join(asked)}")
    if tuned:
        parts.append(f"with {', '.join(tuned)} tuned")
    return " ".join(parts)


# ---- the answer ----


def _first(view: StudyView) -> str:
    """Two boxes: the answer with what it rests on, and what to do next."""
    found = view.analysis
    kind, head = _headline(view)
    flags = {f"trial {course['trial']}: {flag['text']}" for course in found["curves"]
             for flag in course["flags"]}  # fmt: skip
    beside = [sentence(words) for words in found["findings"] if words not in flags]
    answer = (
        f'<div class="verdict {kind}"><strong>{text(head)}</strong>'
        f"<p>{text(sentence(found['answer']['text']))}</p>{listed(beside)}</div>"
    )
    steps = listed(map(sentence, next_steps(view)))
    pasted = _pasted(view)
    return f'<div class="first">{answer}{card(f"<h3>What to do next</h3>{steps}{pasted}")}</div>'


def _headline(view: StudyView) -> tuple[str, str]:
    found = view.analysis
    if found["best"] is None:
        return "bad", "No answer: no trial may be chosen"
    if not found["isolation"]:
        return "quiet", f"Best so far: trial {found['best']['trial']}"
    isolation = found["isolation"][-1]
    comparison = isolation["comparison"]
    if comparison["best"] is None:
        return "quiet", "Not answered: no short trial may be chosen"
    name = isolation["name"].replace("_", " ") if isolation["key"] else ""
    leader = f"{name} {isolation['values'][comparison['best']]['label']}".strip()
    if comparison["decided"] is None:
        return "quiet", f"Not answered: only {leader} has a result"
    if comparison["decided"]:
        return "good", f"Decided: {leader} is best"
    return "quiet", f"Not decided: {leader} leads, perhaps by luck"


def next_steps(view: StudyView) -> list[str]:
    """What the analysis asks for, the most urgent first."""
    found = view.analysis
    steps = []
    if not found["not_run"]["is_complete"]:
        steps.append("finish it: run the same command again, and the trials that are left are run")
    if found["best"] is None:
        lost = found["counts"]["diverged"]
        return [*steps, *(["lower the learning rate's range, or clip harder: "
                           f"{lost} of {found['counts']['total']} trials diverged"] if lost else []),
                *(["loosen a constraint, or look for a cheaper model: "
                   f"{found['counts']['infeasible']} trials are done and may not be chosen"]
                  if found["counts"]["infeasible"] else [])]  # fmt: skip
    if found["boundary"]:
        names = " and ".join(each["name"].replace("_", " ") for each in found["boundary"])
        steps.append(f"widen the range of {names}: better values may lie beyond the bound")
    if any(flag["name"] == "still_improving" for each in found["curves"] for flag in each["flags"]):
        steps.append("train for longer: a best trial was still improving at its end")
    if found["best_of_n"]["is_enough"] is False:
        steps.append("raise budget.trials: more trials would probably still find better ones")
    comparison = found["isolation"][-1]["comparison"] if found["isolation"] else {"decided": None}
    if comparison["decided"] is False:
        steps.append("take the simpler or cheaper value, or give each more trials: the scores do "
                     "not tell them apart")  # fmt: skip
    steps.append("before the best is used: hfrun study adopt CONFIG trains it against the present "
                 "config with fresh seeds")  # fmt: skip
    return steps


def _pasted(view: StudyView) -> str:
    """Lines for the study's config that widen the ranges."""
    lines = [f"    {each['yaml']}" for each in view.analysis["boundary"] if each["yaml"]]
    return f"<pre>{text(chr(10).join(['study:', '  nuisance:', *lines]))}</pre>" if lines else ""


# ---- the parts ----


def _isolation(view: StudyView) -> str:
    found = view.analysis["isolation"]
    boxes = []
    for isolation in reversed(found):
        drawing = _drawn(isolation_plot(view, isolation, PAGE))
        if drawing:
            boxes.append(columns(
                figure(drawing, "The stroke is the best trial, the bar where the best of as many "
                       "trials lies in 95 % of redraws; below it every trial of the value.",
                       title=f"By {isolation['name'].replace('_', ' ')}"),
                tables.isolation_table(view, isolation),
            ))  # fmt: skip
    words = (
        "Each scientific value at its best over everything that was tuned for it, which is what a "
        "fair comparison compares."
    )
    return section("answer", "The question", words, _legend(view) + "".join(boxes) if boxes else "")


def _legend(view: StudyView) -> str:
    rows = view.explored
    return legend(
        [_named(view, cell["label"]) for cell in view.cells],
        hollow=any(row["status"] == "infeasible" for row in rows),
        lost=any(row["status"] not in ("done", "infeasible") for row in rows),
        cut=any(row["score"] is not None and view.scale.is_cut(row["score"]) for row in rows),
        best=view.leader,
    )


def _named(view: StudyView, label: str) -> str:
    """A scientific value with its hyperparameter; combinations have theirs already."""
    isolation = view.analysis["isolation"][-1]
    return label if isolation["key"] is None else f"{isolation['name'].replace('_', ' ')} {label}"


def _axes(view: StudyView) -> str:
    near = {each["key"]: each["text"] for each in view.analysis["boundary"]}
    tuned = [axis for axis in view.analysis["axes"] if axis["role"] == "nuisance"]
    asked = [axis for axis in view.analysis["axes"] if axis["role"] != "nuisance"]
    boxes = [
        figure(_drawn(axis_plot(view, axis, PAGE)), _axis_words(axis, near.get(axis["key"])),
               title=axis["name"].replace("_", " ").capitalize())
        for axis in (*tuned, *asked)
    ]  # fmt: skip
    words = (
        "Every trial's score by each hyperparameter. Shaded are the tenths of a range next to its "
        "bounds: best trials that crowd there call for a wider range."
    )
    body = columns(*boxes, kind="plots three")
    return section("axes", "Hyperparameters", words, _legend(view) + body if body else "")


def _axis_words(axis: Mapping[str, Any], near: str | None) -> str:
    words = [sentence(near)] if near else []
    if axis["not_set"]:
        words.append(f"Not set in {many(axis['not_set'], 'trial')}, which are not shown.")
    return " ".join(words)


def _budget(view: StudyView) -> str:
    enough, weights = view.analysis["best_of_n"], view.analysis["importance"]
    boxes = [
        figure(_drawn(best_of_n_plot(view, PAGE)), sentence(enough["reason"]) + " The band is 95 % "
               "over which trials were drawn; shaded is the last quarter.",
               title="Best of n trials"),
        figure(_drawn(importance_plot(view, PAGE)), _weight_words(weights), title="Importance"),
    ]  # fmt: skip
    if not any(boxes):
        return ""
    words = "Whether more trials would find better ones, and what the score depended on."
    missing = [] if weights["items"] else [f"Importance: {weights['reason']}"]
    return section("budget", "Budget and importance", words,
                   columns(*boxes) + listed(map(sentence, missing)))  # fmt: skip


def _weight_words(found: Mapping[str, Any]) -> str:
    words = "What shuffling each costs a random forest on trials it has not seen."
    if found["explained"] is not None and found["reason"] is None:
        words += f" It explains {found['explained']:.0%} of the variance."
    return f"{words} {sentence(found['reason'])}" if found["reason"] else words


def _curves(view: StudyView) -> str:
    """The best trials' courses, each with what is to be seen in it."""
    held = [_as_course(course) for course in view.analysis["curves"]]
    limits = course_limits(held, measure=view.analysis["metric"])
    boxes = []
    for course, drawn in zip(view.analysis["curves"], held, strict=True):
        plot = course_plot([drawn], limits, PAGE, label=course["label"], measure=view.analysis["metric"],
                           marked=[flag["epoch"] for flag in course["flags"]])  # fmt: skip
        words = " ".join(sentence(f"{flag['name'].replace('_', ' ')}: {flag['text']}")
                         for flag in course["flags"])  # fmt: skip
        kind = "finalist" if course["phase"] == "finalist" else "trial"
        boxes.append(figure(_drawn(plot), f"{course['label']}. {words or 'Nothing to note.'}",
                            title=f"{kind.capitalize()} {course['trial']}"))  # fmt: skip
    words = (
        "The best trials by epoch, validation full and a fixed part of train dashed, both in "
        "evaluation mode. The dot is the chosen checkpoint, a dashed upright line where something "
        "named below happens. All have the same axes."
    )
    return section("curves", "Curves of the best", words, columns(*boxes, kind="plots three"))


def _as_course(course: Mapping[str, Any]) -> dict[str, Any]:
    """As a course is drawn: the chosen checkpoint by its step."""
    chosen = [point["step"] for point in course["points"]
              if point.get("epoch") == course["chosen_epoch"] and "step" in point]  # fmt: skip
    step = chosen[-1] if chosen else None
    return {"curve": course["points"], "validation": {"step": step}}


def _together(view: StudyView) -> str:
    drawing = _drawn(coordinates_plot(view, PAGE))
    words = (
        "A line is a trial, from axis to axis down to its score, better at the right. The best "
        "quarter is in colour; red lines have no score, dashed ones may not be chosen."
    )
    return section("together", "All together", words, columns(figure(drawing, "")))


def _not_run(view: StudyView) -> str:
    """What of the budget is open, and the errors."""
    found = view.analysis["not_run"]
    words = [f"{many(count, 'trial')} of the {phase} phase not begun"
             for phase, count in found["missing"].items() if count]  # fmt: skip
    for name in ("waiting", "running"):
        if found[name]:
            words.append(f"{name}: {', '.join(map(str, found[name]))}")
    for isolation in view.analysis["isolation"]:
        words += [f"{isolation['name']} {cell['label']} has no trial that may be chosen"
                  for cell in isolation["values"] if cell["best"] is None]  # fmt: skip
    errors = [
        f"trial {row['trial']}: {row['error']}" for row in view.analysis["table"] if row["error"]
    ]
    body = listed(errors, kind="warnings") + listed(map(sentence, words))
    return section("missing", "What is missing", "", card(body))


def _drawn(plot: Plot | None) -> str:
    return "" if plot is None else page_svg(plot)
