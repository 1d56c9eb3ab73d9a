"""The page: made from report.json alone, without any outside link, whole or not at all."""

import copy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from lob_backtest.config import GatesConfig
from lob_backtest.contenders import Contest, ModelPredictions
from lob_backtest.errors import FormatError
from lob_backtest.gates import GATE_NAMES
from lob_backtest.prepare import prepare
from lob_backtest.report import read_report, write_report
from lob_backtest.report.page import report_page
from lob_backtest.report.plots import PLOTS
from lob_backtest.report.plots.drawing import FILE
from lob_backtest.report.style import STYLE
from lob_backtest.report.words import (
    ALARM_TITLES,
    GATE_FORMS,
    GATE_TITLES,
    coarse,
    duration,
    significant,
    told_apart,
)
from lob_backtest.walk_forward import score, score_many
from tests.lob_backtest.full_report import by_hand, full_report
from tests.lob_backtest.judged import BACKTEST, DATA, WALK_FORWARD, Walk, walk

VOID = {"meta", "br", "path", "use", "circle", "rect", "line", "polyline"}
LOADING = {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}


class Page(HTMLParser):
    """Tags that are open, links that load something, text by tag, and what tags carry."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if name in LOADING]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report() -> dict:
    return by_hand(full_report())


@pytest.fixture(scope="module")
def page(report) -> str:
    return report_page(report)


def test_every_tag_is_closed_in_order(page):
    assert Page(page).open == []


def test_nothing_is_loaded_from_outside(page):
    assert [link for link in Page(page).links if not link.startswith("#")] == []
    assert "http" not in page
    assert "url(" not in STYLE
    assert "@import" not in page
    assert "<script" not in page


def test_references_within_drawings_are_resolved(page):
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    wanted = {link[1:] for link in Page(page).links} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert wanted
    assert wanted <= ids


def test_every_colour_is_one_that_both_schemes_define(page):
    light, dark = STYLE.split("@media (prefers-color-scheme: dark)")[:2]
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", page)) - {"tone", "wash", "share"}
    for scheme in (light, dark.split("\n}\n")[0]):
        assert used <= set(re.findall(r"--([a-z0-9-]+):", scheme))
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}\b", drawings) == []


def test_every_drawing_can_be_read_aloud(page):
    drawings = [attrs for tag, attrs in Page(page).tags if tag == "svg"]
    assert len(drawings) == len(PLOTS)
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 20
        assert attrs["viewbox"].startswith("0 0 ")


def test_tables_scroll_in_boxes_of_their_own_and_the_page_fits_a_phone(page):
    assert 'name="viewport" content="width=device-width' in page
    assert page.count("<table") == page.count('<div class="scroll" tabindex="0"><table')
    assert page.count("<table") >= 12


def test_the_verdict_comes_first_and_every_gate_tells_value_limit_and_reason(page, report):
    words = Page(page).text
    assert words.index("FAIL") < words.index("Gates") < words.index("Equity and drawdown")
    for gate in report["gates"]:
        assert GATE_TITLES[gate["name"]] in words
        assert gate["reason"][1:].replace("-", "\u2212")[:40] in words.replace("-", "\u2212")
    assert "not judged" in words


def test_every_gate_has_a_title_and_a_form():
    assert set(GATE_TITLES) == set(GATE_FORMS) == set(GATE_NAMES)


def test_the_page_says_what_it_does_not_show(page):
    words = Page(page).text
    for part in ("Market impact", "The number of attempts", "rough pass rate", "Sharpe ratio"):
        assert part in words.split("What this does not show")[-1]


def test_the_same_report_gives_the_same_bytes(page, report):
    assert report_page(copy.deepcopy(report)) == page


def test_every_string_is_escaped_wherever_it_stands(report):
    nasty = '<script>alert("&\'")</script>'
    changed = poisoned(
        json.loads(json.dumps(report).replace('"guesses"', json.dumps(nasty))), nasty
    )
    page = report_page(changed)
    assert "<script" not in page
    assert Page(page).open == []
    assert Page(page).text.count(nasty) > 40


# What decides how a page is built, and is checked where a report is made.
FIXED = {"format", "verdict", "part", "baseline", "kind", "backtest_baseline", "execution", "costs"}


def poisoned(value, nasty, key=""):
    """The same report with every free text replaced."""
    if isinstance(value, dict):
        return {name: poisoned(item, nasty, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, nasty, key) for item in value]
    known = key == "name" and value in {*GATE_TITLES, *ALARM_TITLES}
    return nasty if isinstance(value, str) and key not in FIXED and not known else value


def test_a_report_without_a_backtest_has_a_page_without_money(report):
    made = walk()
    plain = score(
        made.book, made.model, {"guesses": made.guesses}, backtest=None, gates=GatesConfig(),
        n_resamples=10,
    )  # fmt: skip
    words = Page(report_page(plain)).text
    assert "Equity" not in words
    assert "Market impact" not in words
    assert "Folds" in words


def test_a_report_of_two_instruments_names_both_everywhere():
    contests = [named(walk(), name) for name in ("AAA", "BBB")]
    report = score_many(
        contests, backtest=BACKTEST, gates=GatesConfig(off=["grad_norm"]), n_resamples=10
    )
    words = Page(report_page(report)).text
    assert "2 instruments: is the model worth trading?" in words
    table = words.split("Instruments")[2]
    for name in ("AAA", "BBB"):
        assert f"book of {name}" in words
        assert name in table
    assert "of 2 instruments; nothing here says" in words


def named(made: Walk, name: str) -> Contest:
    """A walk on a book of another name."""

    def renamed(model: ModelPredictions) -> ModelPredictions:
        assert model.validation is not None
        return ModelPredictions(
            test=replace(model.test, instrument=name),
            validation=replace(model.validation, instrument=name),
        )

    book = replace(made.book, meta=replace(made.book.meta, instrument=name))
    return Contest(
        book=book,
        model=renamed(made.model),
        baselines={"guesses": renamed(made.guesses)},
        prepared=prepare(book, data=DATA, walk_forward=WALK_FORWARD),
    )


def test_costs_out_of_their_time_and_orders_beyond_the_book_are_told(report):
    changed = copy.deepcopy(report)
    changed["backtest"] |= {"presets_validity": "The costs are of 2024.", "orders_beyond_book": 3}
    words = Page(report_page(changed)).text
    assert words.index("Cost sensitivity") < words.index("The costs are of 2024.")
    assert "3 than all that the book showed." in words


def test_a_report_without_baselines_and_with_one_fold_has_a_page():
    made = walk()
    only = made.model.test.select(made.model.test.fold == 0)
    config = replace(BACKTEST, costs="none", signal=replace(BACKTEST.signal, threshold=0.4))
    report = score(
        made.book, replace(made.model, test=only, validation=None), {}, backtest=config,
        gates=GatesConfig(), n_resamples=10,
    )  # fmt: skip
    words = Page(report_page(report)).text
    assert "1 test fold with" in words
    assert "trade for free" in words


def test_a_report_as_older_versions_wrote_it_has_a_page(report):
    old = ("format", "verdict", "gates", "baseline", "data", "label", "folds", "aggregate",
           "confusion", "reliability", "backtest", "annualisation", "equity", "cost_sensitivity",
           "intervals", "rules", "training", "provenance")  # fmt: skip
    words = Page(report_page({key: report.get(key) for key in old})).text
    assert "Leak alarms: not run" in words
    assert "That nothing leaked" in words
    assert "Equity and drawdown" in words
    for missing in ("Skill or luck", "Where it is right", "Trades", "Labels", "Instruments"):
        assert missing not in words


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their drawings, which take most of a page's time."""
    for module in ("page", "luck", "detail"):
        monkeypatch.setattr(f"lob_backtest.report.{module}.drawing", lambda report, name: "")


OPTIONAL = (
    "baseline", "data", "label", "confusion", "reliability", "backtest", "annualisation", "equity",
    "cost_sensitivity", "intervals", "rules", "training", "provenance", "instruments", "paired",
    "lift_test", "sharpe_statistics", "overfitting", "windows", "alarms", "slices", "confidence",
    "trades", "blocks", "label_statistics",
)  # fmt: skip


@pytest.mark.parametrize("key", OPTIONAL)
def test_a_part_that_is_missing_or_null_is_left_out(report, undrawn, key):
    assert key in report
    without = {name: value for name, value in report.items() if name != key}
    pages = [report_page(without), report_page({**report, key: None})]
    assert pages[0] == pages[1]
    assert Page(pages[0]).open == []
    assert "None" not in Page(pages[0]).text


@pytest.mark.parametrize("key", ["baseline", "data", "rules", "equity", "confidence", "paired"])
def test_a_drawing_without_its_figures_is_left_out_or_does_without(report, key):
    for report_without in ({k: v for k, v in report.items() if k != key}, {**report, key: None}):
        drawn = {name for name, draw in PLOTS.items() if draw(report_without, FILE) is not None}
        lost = {"equity": {"equity", "drawdown"}, "confidence": {"confidence"},
                "paired": {"differences"}}  # fmt: skip
        assert drawn == set(PLOTS) - lost.get(key, set())


def test_a_report_of_nothing_but_folds_figures_gates_and_verdict_has_a_page(report):
    bare = {key: report[key] for key in ("folds", "aggregate", "gates", "verdict")}
    words = Page(report_page(bare)).text
    for part in ("FAIL", "Gates", "Folds", "All figures", "What this does not show"):
        assert part in words


@pytest.mark.parametrize(
    "section",
    ["paired", "lift_test", "sharpe_statistics", "overfitting", "slices", "label_statistics",
     "trades", "aggregate", "instruments"],
)  # fmt: skip
def test_a_figure_that_is_missing_is_no_error(report, undrawn, section):
    for key in report[section]:
        if section == "aggregate" and key == "baselines":
            continue
        changed = copy.deepcopy(report)
        del changed[section][key]
        assert Page(report_page(changed)).open == []
        if section not in ("aggregate", "instruments", "trades"):
            changed[section][key] = None
            assert Page(report_page(changed)).open == []


def test_a_raised_alarm_is_as_loud_as_a_failed_gate(report):
    changed = copy.deepcopy(report)
    changed["alarms"][0] |= {"raised": True, "reason": "the lift survives the shuffling"}
    page = report_page(changed)
    words = Page(page).text
    loud = page.split("</div></div>")[0]
    assert loud.count('class="verdict bad"') == 2
    assert words.index("LEAK ALARM") < words.index("Gates") < words.index("Equity and drawdown")
    assert words.count("The lift survives the shuffling.") == 2  # beside the verdict, and in full
    assert "cannot be trusted" in words
    silent = Page(report_page(report)).text
    assert "Leak alarms: silent" in silent
    assert "Not tried: features one decision late" in silent


def test_an_alarm_fails_the_verdict_in_words_although_the_gates_passed(report):
    changed = copy.deepcopy(report)
    changed["verdict"] = "fail"
    for gate in changed["gates"]:
        gate["passed"] = True
    assert "but a leak alarm was raised" in Page(report_page(changed)).text


def test_the_sceptics_answers_hold_the_reports_figures(report):
    words = Page(report_page(report)).text.split("What a sceptic asks")[-1]
    for part in ("0.080 (+0.050 to +0.110) above that of guesses", "p = 0.026 after adjusting",
                 "61 independent labels", "p < 0.001", "probability of 93 %", "best of 40",
                 "probability of 61 %", "1,830 bars (10.2 h of trading); it has 100: it is too",
                 "21 % of 70 ways", "8 of 8 fold"):  # fmt: skip
        assert part in words, part


def test_plots_are_files_too_and_the_same_report_gives_the_same_bytes(tmp_path, report):
    for name in ("a", "b"):
        write_report(report, tmp_path / name, plots=True)
    files = sorted((tmp_path / "a" / "plots").iterdir())
    assert {path.stem for path in files} == set(PLOTS)
    assert len(files) == 2 * len(PLOTS)
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / "plots" / path.name).read_bytes()
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            drawing = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
            assert "#0a00" not in path.read_text(encoding="utf-8")  # the page's stand-ins


def test_files_are_the_report_and_its_page(tmp_path, report):
    path = write_report(report, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]
    assert path.read_text(encoding="utf-8") == report_page(report)
    assert read_report(tmp_path / "out") == report
    assert read_report(tmp_path / "out" / "report.json") == report


def test_a_report_that_cannot_be_shown_leaves_the_old_files(tmp_path, report):
    write_report(report, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    broken = {**report, "folds": [{"fold": 0}]}
    with pytest.raises(KeyError):
        write_report(broken, tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report({**report, "aggregate": float("nan")}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON"), ("[]", "no report"), ('{"folds": []}', "aggregate, gates, verdict")],
)
def test_what_is_no_report_is_refused(tmp_path, text, message):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_report(path)


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no such file; make a report with"):
        read_report(tmp_path)


def test_figures_are_written_for_people():
    assert told_apart(0.0196, 0.02, "+.2f") == ("+0.0196", "+0.0200")
    assert told_apart(-0.5, 0.02, ".2f") == ("\u22120.50", "0.02")
    assert told_apart(0.02, 0.02, ".2f") == ("0.02", "0.02")
    assert coarse("+.3%", -0.012, 0.116) == "+.1%"  # no false precision
    assert coarse(".3f", 0.36, 0.42) == ".3f"
    assert coarse(".3f", 0.5, 0.5) == ".3f"
    assert [significant(x) for x in (0, 0.012345, 123456.7, -1.5)] == [
        "0", "0.0123", "123,457", "\u22121.50",
    ]  # fmt: skip
    assert [duration(int(s * 1e9)) for s in (0.05, 90, 600, 10800, 1e6)] == [
        "50 ms", "90 s", "10 min", "3 h", "11.6 d",
    ]  # fmt: skip
