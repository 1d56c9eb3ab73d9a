"""The page of a study, made from its analysis alone: the answer, how sure it is, what to do next.

A reader should be able to decide within a minute: question and answer stand first, then the plot
that answers it, then what speaks against trusting it, and the trials last.
"""

from collections.abc import Mapping
from typing import Any

from hfrun.study.course_plot import Limits, course_limits, course_plot
from hfrun.study.report import tables
from hfrun.study.report.answer import first, subtitle
from hfrun.study.report.coordinates import coordinates_plot
from hfrun.study.report.marks import legend
from hfrun.study.report.plots import axis_plot, best_of_n_plot, importance_plot, isolation_plot
from hfrun.study.report.view import StudyView, words_of
from lob_backtest.report.elements import card, columns, figure, folded, listed, section
from lob_backtest.report.page import contents, document
from lob_backtest.report.plots.drawing import PAGE, Plot, page_svg
from lob_backtest.report.words import many, number, sentence, text

# Marks of the losses, which are a course's upper half; all others are of the measure.
_HALVES = {"overfitting": 0, "unsteady": 0}


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
        section("trials", "Trials", "The best first. Each is an ordinary run in its own folder; "
                "its number leads to its report.", tables.trials_table(view, links or {})),
        _not_run(view),
        section("asked", "What was asked", "", card(tables.asked(view))),
    ]  # fmt: skip
    title = analysis["question"] or analysis["name"]
    return document(
        title,
        [
            f"<header><h1>{text(title)}</h1><p>{text(subtitle(view))}</p></header>",
            first(view),
            contents(sections),
            *sections,
        ],
        footer="Made by hfrun from the study's trials.",
    )


def _isolation(view: StudyView) -> str:
    found = view.analysis["isolation"]
    boxes = []
    for isolation in reversed(found):
        drawing = _drawn(isolation_plot(view, isolation, PAGE))
        if drawing:
            plot = figure(
                drawing,
                "The stroke is the best trial, the bar where the best of as many trials lies in "
                "95 % of redraws; below it every trial of the value.",
                title=f"By {words_of(isolation['name'])}",
            )
            boxes.append(columns(plot, tables.isolation_table(isolation)))
    if boxes:
        boxes.append(tables.isolation_note(found[-1]))
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
    return label if isolation["key"] is None else f"{words_of(isolation['name'])} {label}"


def _axes(view: StudyView) -> str:
    near = {each["key"]: each["text"] for each in view.analysis["boundary"]}
    tuned = [axis for axis in view.analysis["axes"] if axis["role"] == "nuisance"]
    asked = [axis for axis in view.analysis["axes"] if axis["role"] != "nuisance"]
    boxes = [
        figure(_drawn(axis_plot(view, axis, PAGE)), _axis_words(axis, near.get(axis["key"])),
               title=words_of(axis["name"]).capitalize())
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
    """The best trials' courses, each with what is to be seen in it; the short ones on demand."""
    found = view.analysis["curves"]
    limits = course_limits([_as_course(each) for each in found], measure=view.analysis["metric"])
    long = [_course(view, each, limits) for each in found if each["phase"] == "finalist"]
    rest = [_course(view, each, limits) for each in found if each["phase"] != "finalist"]
    words = (
        "The best trials by epoch: validation full, a fixed part of train dashed, both in "
        "evaluation mode. The dot is the chosen checkpoint, an upright line the place of a mark. "
        "All have the same axes."
    )
    short = columns(*rest, kind="plots three")
    body = columns(*long, kind="plots three") + folded("The best short trials", short)
    return section("curves", "Curves of the best", words, body if long else short)


def _course(view: StudyView, course: Mapping[str, Any], limits: Limits) -> str:
    measure = view.analysis["metric"]
    other = 0 if "loss" in measure else 1  # the half that has the measure
    plot = course_plot(
        [_as_course(course)],
        limits,
        PAGE,
        label=course["label"],
        measure=measure,
        marked=[(_HALVES.get(flag["name"], other), flag["epoch"]) for flag in course["flags"]],
    )
    words = [f"{words_of(flag['name'])}: {flag['text']}" for flag in course["flags"]]
    told = " ".join(map(sentence, [view.label(course["trial"]), *words]))
    name = "Finalist" if course["phase"] == "finalist" else "Trial"
    title = f"{name} {course['trial']}: {number(course['score'], '.4f')}"
    return figure(_badges(course) + _drawn(plot), told, title=title)


def _badges(course: Mapping[str, Any]) -> str:
    """The marks at a glance."""
    names = [words_of(flag["name"]) for flag in course["flags"]]
    badges = " ".join(f'<span class="badge bad">{text(name)}</span>' for name in names)
    return f"<p>{badges}</p>" if names else '<p><span class="badge good">no marks</span></p>'


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
            words.append(f"trials {name}: {', '.join(map(str, found[name]))}")
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
