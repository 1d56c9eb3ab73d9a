"""The page: made from report.json alone, without any outside link, whole or not at all."""

import copy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lob_backtest.config import GatesConfig
from lob_backtest.errors import FormatError
from lob_backtest.gates import GATE_NAMES
from lob_backtest.report import read_report, write_report
from lob_backtest.report.page import report_page
from lob_backtest.report.style import STYLE
from lob_backtest.report.words import GATE_FORMS, GATE_TITLES, duration, significant, told_apart
from lob_backtest.walk_forward import score
from tests.lob_backtest.judged import BACKTEST, walk

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
    made = walk()
    return score(
        made.book,
        made.model,
        {"guesses": made.guesses},
        backtest=BACKTEST,
        gates=GatesConfig(off=["grad_norm"]),
        prepared=made.prepared,
        n_resamples=30,
        provenance={"name": "test", "command": "lob-backtest score", "seed": 0},
    )


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
    assert len(drawings) == 6
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 20
        assert attrs["viewbox"].startswith("0 0 ")


def test_tables_scroll_in_boxes_of_their_own_and_the_page_fits_a_phone(page):
    assert 'name="viewport" content="width=device-width' in page
    assert page.count("<table") == page.count('<div class="scroll" tabindex="0"><table')
    assert page.count("<table") == 8


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


def test_names_are_escaped_wherever_they_stand(report):
    nasty = '<script>alert("&")</script>'
    changed = json.loads(json.dumps(report).replace('"guesses"', json.dumps(nasty)))
    changed["data"]["instrument"] = changed["data"]["source"] = nasty
    changed["provenance"]["command"] = nasty
    for gate in changed["gates"]:
        gate["reason"] = nasty
    page = report_page(changed)
    assert "<script" not in page
    assert Page(page).open == []
    assert nasty in Page(page).text


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
    assert [significant(x) for x in (0, 0.012345, 123456.7, -1.5)] == [
        "0", "0.0123", "123,457", "\u22121.50",
    ]  # fmt: skip
    assert [duration(int(s * 1e9)) for s in (0.05, 90, 600, 10800, 1e6)] == [
        "50 ms", "90 s", "10 min", "3 h", "11.6 d",
    ]  # fmt: skip
