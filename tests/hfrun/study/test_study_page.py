"""The page of a study: what stands first, what is marked, and that it bears every kind of study."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hfrun.study.analysis import analyse
from hfrun.study.course_plot import course_plot
from hfrun.study.report import write_study_report
from hfrun.study.report.answer import headline, next_steps
from hfrun.study.report.marks import scale_of
from hfrun.study.report.page import study_page
from hfrun.study.report.plots import axis_plot, isolation_plot
from hfrun.study.report.view import StudyView
from hfrun.study.study_data import StudyData
from lob_backtest.report.plots.drawing import FILE
from lob_backtest.report.words import sentence
from tests.hfrun.study.made_up_studies import (
    DECAY,
    DROPOUT,
    RATE,
    diverged_study,
    dropout_study,
    schedule_study,
)
from tests.lob_backtest.test_report_browser import (
    CLIPPED,
    DRAWINGS,
    Opened,
    browser,  # noqa: F401 - a fixture
)

_VOID = {"meta", "path", "use", "rect", "br", "stop"}


class Structure(HTMLParser):
    """Open and closed tags, ids, references and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        held = dict(attrs)
        self.ids += [str(held["id"])] if "id" in held else []
        self.references += [
            str(held[name]) for name in ("href", "src", "xlink:href") if name in held
        ]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """A small forest and few redraws: what they find is tested with the analysis."""
    with pytest.MonkeyPatch.context() as patch:
        # the package's functions have the names of these modules
        patch.setattr(sys.modules["hfrun.study.analysis.importance"], "TREES", 20)
        patch.setattr(sys.modules["hfrun.study.analysis.best_of_n"], "RESAMPLES", 100)
        yield


@pytest.fixture(scope="module")
def decided() -> dict[str, Any]:
    return analyse(dropout_study(gain=0.03))


@pytest.fixture(scope="module")
def unfinished() -> dict[str, Any]:
    return analyse(schedule_study())


@pytest.fixture(scope="module")
def diverged() -> dict[str, Any]:
    return analyse(diverged_study())


@pytest.fixture(scope="module")
def pages(decided, unfinished, diverged) -> dict[str, str]:
    found = {"decided": decided, "unfinished": unfinished, "diverged": diverged}
    return {name: study_page(analysis) for name, analysis in found.items()}


def words(page: str) -> str:
    """The page's text without drawings and tags."""
    plain = re.sub(r"<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", plain)).split())


def rows_of(page: str) -> list[list[str]]:
    """The cells of the table of trials, row by row."""
    table = page[page.index('<section id="trials">') :]
    table = table[table.index("<tbody>") : table.index("</tbody>")]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("</tr>")[:-1]]


def test_question_and_answer_stand_first(decided, pages) -> None:
    page = pages["decided"]
    assert "<h1>Does dropout pay?</h1>" in page
    first = words(page[: page.index("<section")])
    assert "Dropout 0.3 is the best" in first
    assert sentence(decided["answer"]["text"]) in first
    order = re.findall(r'<section id="(\w+)">', page)
    assert order == ["answer", "axes", "budget", "curves", "together", "trials", "asked"]


def test_what_the_scores_do_not_decide_is_called_open() -> None:
    analysis = analyse(dropout_study(gain=0.0))
    kind, head = headline(StudyView(analysis=analysis))
    assert (kind, head.partition(":")[0]) == ("quiet", "Open")
    assert any(
        "do not tell them apart" in step for step in next_steps(StudyView(analysis=analysis))
    )


@pytest.mark.parametrize("name", ["decided", "unfinished", "diverged"])
def test_the_page_is_whole_plain_and_asks_for_nothing_outside(name, pages) -> None:
    page = pages[name]
    found = Structure(page)
    assert (found.open, found.wrong) == ([], [])
    assert found.tags & {"script", "iframe", "img", "link", "object"} == set()
    assert [reference for reference in found.references if not reference.startswith("#")] == []
    own = [each for each in found.ids if not re.fullmatch("[mp][0-9a-f]{10}", each)]
    assert len(set(own)) == len(own)
    # a shape that several drawings define is the same in all of them: its id is its hash
    shapes = set(re.findall(r'<(?:path|clipPath) id="[mp][0-9a-f]{10}".*?>', page, flags=re.DOTALL))
    assert len(shapes) == len(set(found.ids)) - len(own)
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}", drawings) == []  # every colour follows the scheme
    assert "nan" not in words(page).lower().split()


def test_what_a_study_holds_is_escaped(pages) -> None:
    page = pages["unfinished"]
    assert "one_cycle &lt;fast &amp; short&gt;" in page
    assert "<fast" not in page


def test_every_trial_has_a_row_in_the_order_of_the_analysis(decided, pages) -> None:
    rows = rows_of(pages["decided"])
    assert [row[0] for row in rows] == [str(each["trial"]) for each in decided["table"]]
    assert [row[1] for row in rows] == [
        "–" if each["score"] is None else f"{each['score']:.4f}" for each in decided["table"]
    ]
    missed = [row for row in rows if "missed" in row[5]]
    assert [row[0] for row in missed] == ["12", "5"]
    assert missed[0][5] == "1 missed<small>parameters 210,000, at most 200,000</small>"
    assert [row[6] for row in rows].count("diverged") == 3


def test_a_trial_leads_to_its_report_where_there_is_one(diverged, tmp_path: Path) -> None:
    there = tmp_path / "trials" / "007" / "report" / "report.html"
    there.parent.mkdir(parents=True)
    there.write_text("the trial")
    write_study_report(diverged, tmp_path / "study")
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    links = {reference for reference in Structure(page).references if not reference.startswith("#")}
    assert links == {"../trials/007/report/report.html"}
    assert (tmp_path / "study" / links.pop()).read_text() == "the trial"


def test_the_page_is_made_from_the_file_alone(diverged, pages) -> None:
    assert study_page(json.loads(json.dumps(diverged, allow_nan=False))) == pages["diverged"]


def test_the_legend_names_the_marks_that_occur(pages) -> None:
    told = {name: set(re.findall(r"(hollow|no score|pale|ringed):", page))
            for name, page in pages.items()}  # fmt: skip
    assert told == {
        "decided": {"hollow", "no score", "ringed"},
        "unfinished": {"hollow", "no score", "pale", "ringed"},
        "diverged": {"no score"},
    }


def test_a_study_that_diverged_throughout_says_so_and_what_to_do(pages) -> None:
    page = words(pages["diverged"])
    assert "No trial may be chosen" in page
    assert "Lower the range of the learning rate, or clip harder: 9 of 9 trials diverged." in page
    assert 'id="answer"' not in pages["diverged"]  # nothing to compare
    assert "no trial has a score" in pages["diverged"]


def test_an_unfinished_study_says_what_is_missing(pages) -> None:
    page = words(pages["unfinished"])
    assert "Trial 8 is the best so far" in page
    missing = page[page.rindex("What is missing") :]
    assert "trial 4: the accelerator is on fire" in missing
    assert "4 trials of the explore phase not begun." in missing
    assert "Trials waiting: 19. Trials running: 18." in missing


def test_best_trials_at_a_bound_give_lines_to_paste() -> None:
    data = dropout_study(gain=0.0)
    narrow = {"low": 1e-7, "high": 5e-4, "log": True}
    kept = tuple(replace(trial, values={name: trial.values[name] for name in (DROPOUT, RATE)})
                 for trial in data.trials if trial.values[RATE] <= 5e-4)  # fmt: skip
    analysis = analyse(replace(data, nuisance={RATE: narrow}, trials=kept))
    assert [(each["key"], each["side"]) for each in analysis["boundary"]] == [(RATE, "high")]
    page = study_page(analysis)
    pasted = yaml.safe_load(unescape(re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)[0]))
    assert pasted == {"study": {"nuisance": {RATE: {"low": 1e-7, "high": 5e-3, "log": True}}}}
    assert words(page).count("upper bound of learning_rate") == 2  # what to do, and at its axis


def test_an_axis_shows_every_trial_once(decided) -> None:
    view = StudyView(analysis=decided)
    for axis in decided["axes"]:
        plot = axis_plot(view, axis, FILE)
        assert plot is not None
        marks = [tuple(each.get_offsets()[0]) for each in plot.figure.axes[0].collections]
        assert len(marks) == 24 + 1  # the ring
        assert len({marks.count(mark) for mark in set(marks)}) <= 2
    rate = next(axis for axis in decided["axes"] if axis["key"] == RATE)
    assert {point["x"] for point in rate["points"]} == {
        trial.values[RATE] for trial in dropout_study().trials
    }


def test_trials_without_a_score_stand_apart_and_do_not_hide_each_other(decided) -> None:
    view = StudyView(analysis=decided)
    rate = next(axis for axis in decided["axes"] if axis["key"] == RATE)
    plot = axis_plot(view, rate, FILE)
    assert plot is not None
    assert view.scale.border is not None
    offsets = [tuple(each.get_offsets()[0]) for each in plot.figure.axes[0].collections]
    lost = {offset for offset in offsets if offset[1] < view.scale.border}
    assert len(lost) == 3
    scores = [row["score"] for row in view.explored if row["score"] is not None]
    assert min(scores) > view.scale.border


def test_the_isolation_plot_shows_the_best_of_each_value(decided) -> None:
    view = StudyView(analysis=decided)
    plot = isolation_plot(view, decided["isolation"][0], FILE)
    assert plot is not None
    axes = plot.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.3", "0.6"]
    strokes = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 3]
    assert strokes == [cell["best"] for cell in decided["isolation"][0]["values"]]


def empty(data: StudyData) -> StudyData:
    return replace(data, trials=())


def one_trial(data: StudyData) -> StudyData:
    return replace(data, trials=data.trials[:1])


def waiting(data: StudyData) -> StudyData:
    none = {"status": "waiting", "score": None, "curve": (), "validation": {}, "seconds": None}
    return replace(data, trials=tuple(replace(trial, **none) for trial in data.trials))


def same_scores(data: StudyData) -> StudyData:
    return replace(data, trials=tuple(replace(trial, score=0.5) for trial in data.trials))


def no_number(data: StudyData) -> StudyData:
    return replace(data, trials=tuple(replace(trial, score=np.nan) for trial in data.trials))


def one_value_never_done(data: StudyData) -> StudyData:
    left = tuple(trial for trial in data.trials if trial.values[DROPOUT] != 0.6)
    return replace(data, trials=left)


def nothing_varied_but_the_question(data: StudyData) -> StudyData:
    trials = tuple(replace(t, values={DROPOUT: t.values[DROPOUT]}) for t in data.trials)
    return replace(data, nuisance={}, trials=trials)


def a_walk_forward(data: StudyData) -> StudyData:
    trials = tuple(replace(t, curve=(), folds=(0.5, 0.6)) for t in data.trials)
    return replace(data, trials=trials, name="", question="")


def with_finalists(data: StudyData) -> StudyData:
    last = data.trials[3]
    long = tuple(replace(last, number=9 + seed, seed=seed, phase="finalist") for seed in range(3))
    return replace(data, trials=(*data.trials, *long), budget={"trials": 9, "finalists": 1})


EDGES = {
    empty: "0 trials (none begun)",
    one_trial: "has a result",
    waiting: "9 trials (9 waiting)",
    same_scores: "Open",
    no_number: "No trial may be chosen",
    one_value_never_done: "Dropout 0.6 has no trial that may be chosen.",
    nothing_varied_but_the_question: "on dropout",
    a_walk_forward: "9 trials",
    with_finalists: "Finalists",
}


_QUICK = (empty, one_trial, waiting)


@pytest.mark.parametrize(
    "change",
    [pytest.param(change, marks=() if change in _QUICK else pytest.mark.slow) for change in EDGES],
    ids=lambda change: change.__name__,
)
def test_every_kind_of_study_has_a_page(change) -> None:
    page = study_page(analyse(change(dropout_study(trials=9))))
    assert EDGES[change] in words(page)
    found = Structure(page)
    assert (found.open, found.wrong) == ([], [])


@given(
    scores=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    higher=st.booleans(),
    with_strip=st.booleans(),
)
def test_every_score_is_drawn_inside_the_axis_and_the_good_ones_where_they_belong(
    scores, higher, with_strip
) -> None:
    scale = scale_of(scores, higher_is_better=higher, with_strip=with_strip)
    assert scale.low < scale.high
    best = max(scores) if higher else min(scores)
    assert scale.best == best == scale.shown(best)
    for score in scores:
        shown = scale.shown(score)
        assert scale.low <= shown <= scale.high
        assert scale.is_cut(score) == (shown != score)
    middle = float(np.median(scores))
    assert not scale.is_cut(middle)


def test_one_score_far_behind_does_not_press_the_others_together() -> None:
    scale = scale_of([0.50, 0.52, 0.53, 0.54, -40.0], higher_is_better=True, with_strip=False)
    assert (scale.worst, scale.best) == (0.50, 0.54)  # -40 is beyond 0.52 - 2 (0.54 - 0.52)
    assert scale.high - scale.low == pytest.approx(1.16 * 0.04)
    assert (scale.is_cut(-40.0), scale.shown(-40.0)) == (True, 0.50)


def test_a_mark_stands_in_its_half_of_the_course() -> None:
    trial = {
        k: v for k, v in vars(dropout_study().trials[1]).items() if k in ("curve", "validation")
    }
    plot = course_plot([trial], {}, FILE, label="a trial", measure="eval_f1_weighted",
                       marked=[(0, 4.0), (1, 8.0)])  # fmt: skip
    assert plot is not None
    upper, lower = plot.figure.axes
    upright = [[line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1
                and len(line.get_xdata()) == 2] for axes in (upper, lower)]  # fmt: skip
    assert upright == [[4.0], [8.0]]
    assert (upper.get_title("left"), lower.get_title("left")) == ("cross-entropy", "weighted F1")


def test_decay_and_rate_are_written_as_they_were_varied(pages) -> None:
    asked = words(pages["decided"][pages["decided"].index('id="asked"') :])
    assert f"nuisance {RATE}: 1e-05 to 0.01 (log)" in asked
    assert f"nuisance {DECAY}: 0.0001 to 0.3 (log)" in asked


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 800, 1280])
@pytest.mark.parametrize("name", ["decided", "unfinished", "diverged"])
def test_a_browser_shows_all_of_it_at_every_width(
    name,
    width,
    pages,
    browser,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.html"
    path.write_text(pages[name], encoding="utf-8")
    opened = Opened(browser, path, width, "light")
    assert (opened.said, opened.asked) == ([], [path.as_uri()])
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.page.evaluate(CLIPPED) == []
    drawings = opened.page.evaluate(DRAWINGS)
    assert len(drawings) == {"decided": 10, "unfinished": 9, "diverged": 4}[name]
    for drawing in drawings:
        assert (drawing["outside"], drawing["overlaps"]) == (0, 0), drawing
        assert drawing["smallest"] > 9, drawing
    opened.context.close()
