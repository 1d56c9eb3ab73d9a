"""The page of a report on texts: what it shows, what it never runs, and how it looks."""

import copy
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.evaluation.calibration import calibrate
from hfrun.evaluation.text_judge import judge_texts
from hfrun.evaluation.text_predictions import TextPredictions
from hfrun.evaluation.text_report import without_texts, write_any_report, write_text_report
from hfrun.evaluation.text_report.page import text_report_page
from lob_backtest.config import GatesConfig
from lob_backtest.report import read_report
from tests.hfrun.evaluation.text_cases import TRAINING, judged, skilled, some_labels, table
from tests.lob_backtest.test_report_browser import (
    CLIPPED,
    CONTRASTS,
    DRAWINGS,
    LEAST_CONTRAST,
    NAMES,
    Opened,
)

AUDIT = {
    "kind": "text", "sizes": {"train": 900, "validation": 100, "test": 600}, "stops": [],
    "counts": {"error": 1, "warning": 1, "info": 0}, "accepted": {"duplicates_across_splits": 2},
    "findings": [
        {"name": "duplicates_across_splits", "severity": "error", "count": 2,
         "message": "2 texts of train are in test", "examples": ["a secret text"],
         "parts": ["train", "test"]},
        {"name": "label_shift", "severity": "warning", "count": 1, "message": "classes differ",
         "examples": [], "parts": ["test"]},
    ],
}  # fmt: skip
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=y>"


def whole_report(**given: Any) -> Any:
    """A report in which no part of the page is without figures."""
    labels = some_labels(600)
    probabilities = skilled(labels, skill=1.2)
    calibration = calibrate(labels, skilled(labels, skill=1.2, seed=5), labels, probabilities,
                            seed=0)  # fmt: skip
    return judged(skill=1.2, calibration=calibration.as_dict(), audit=AUDIT, **given)


class Outline(HTMLParser):
    """Sections, tags and addresses of a page; every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        assert not [name for name in given if name.startswith("on")]
        self.addresses += [given[name] for name in ("href", "src") if given.get(name)]
        if tag == "section":
            self.sections.append(given["id"])
        if tag not in ("meta", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


ALL = ["gates", "doubts", "prediction", "luck", "errors", "temperature", "audit", "figures",
       "data", "limits"]  # fmt: skip


def test_a_whole_report_has_every_part_and_runs_and_fetches_nothing() -> None:
    outline = Outline(text_report_page(whole_report()))
    assert outline.sections == ALL
    assert outline.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert all(address.startswith("#") for address in outline.addresses)


def test_parts_without_figures_are_left_out() -> None:
    bare = judged(validation=None, provenance=None, training=None)
    outline = Outline(text_report_page(bare))
    assert outline.sections == [name for name in ALL if name not in ("temperature", "audit")]


def test_the_page_shows_the_reports_own_figures() -> None:
    report = whole_report()
    page = re.sub(r"<[^>]+>", " ", text_report_page(report))
    aggregate = report["aggregate"]
    for key in ("accuracy", "f1_weighted", "ece", "nll"):
        assert f"{aggregate[key]['value']:.3f}" in page, key
    assert f"{report['calibration']['temperature']:.3f}" in page
    assert report["errors"][0]["text"] in page
    assert "2 texts of train are in test" in page
    assert "duplicates_across_splits" in page
    assert "tiny" in page


def test_texts_and_names_of_others_are_shown_and_never_markup() -> None:
    names = (HOSTILE, "<th scope=col>x", "$a$_{b}")
    labels = some_labels(300)

    def hostile(given: TextPredictions) -> TextPredictions:
        return replace(given, texts=(HOSTILE,) * 300, label_names=names)

    report = judge_texts(
        hostile(table(labels, skilled(labels, skill=0.5))),
        baselines={HOSTILE: hostile(table(labels, skilled(labels, skill=0.3, seed=2)))},
        gates=GatesConfig(), training=TRAINING, provenance={"name": HOSTILE, "command": HOSTILE},
        seed=0, n_resamples=100,
        audit={**AUDIT, "findings": [{**AUDIT["findings"][0], "message": HOSTILE}]},  # type: ignore[dict-item]
    )  # fmt: skip
    page = text_report_page(report)
    assert Outline(page).tags.isdisjoint({"script", "img"})
    assert page.count("&lt;script&gt;alert(1)") > 20
    assert "<th scope=col>x" not in page


@pytest.mark.parametrize("n_classes", [2, 13, 40])
def test_any_number_of_classes_has_a_page(n_classes: int) -> None:
    labels = some_labels(800, n_classes=n_classes)
    names = tuple(f"class {i}" for i in range(n_classes))

    def of(skill: float, seed: int) -> TextPredictions:
        probabilities = skilled(labels, skill=skill, seed=seed, n_classes=n_classes)
        return table(labels, probabilities, label_names=names)

    report = judge_texts(of(1.0, 0), baselines={"other": of(0.3, 1)}, gates=GatesConfig(),
                         training=TRAINING, provenance=None, seed=0, n_resamples=100)  # fmt: skip
    page = text_report_page(report)
    assert set(Outline(page).sections) >= {"prediction", "errors", "figures"}
    assert ("share of the true class" in page) == (n_classes > 12)


def test_a_model_without_a_wrong_text_and_one_that_says_one_class_have_pages() -> None:
    labels = some_labels(100)
    baseline = {"majority": table(labels, np.tile([0.3, 0.3, 0.4], (100, 1)))}
    for probabilities in (np.eye(3)[labels], np.tile([0.0, 0.0, 1.0], (100, 1))):
        report = judge_texts(table(labels, probabilities), baselines=baseline,
                             gates=GatesConfig(), training=TRAINING, provenance=None, seed=0,
                             n_resamples=100)  # fmt: skip
        assert ("errors" in Outline(text_report_page(report)).sections) == bool(report["errors"])


def test_what_is_published_quotes_no_text_and_loses_no_figure(tmp_path: Path) -> None:
    report = whole_report()
    bare = without_texts(report)
    assert bare["errors"] == []
    assert bare["audit"]["findings"][0]["count"] == 2
    page = write_any_report(bare, tmp_path).read_text("utf-8")
    written = (tmp_path / "report.json").read_text("utf-8")
    for quoted in ("text number", "a secret text"):
        assert quoted not in page + written
    kept = copy.deepcopy(report)
    kept["errors"] = []
    kept["audit"]["findings"][0]["examples"] = []
    assert read_report(tmp_path) == kept


def test_a_report_that_cannot_be_shown_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    report = judged()
    del report["confusion"]
    with pytest.raises(KeyError):
        write_text_report(report, tmp_path / "report")
    assert not (tmp_path / "report").exists()


LOOKS = [(width, scheme) for width in (400, 1280) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_report(whole_report(), tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def opened(page_path: Path) -> Iterator[dict[tuple[int, str], Opened]]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed: the page cannot be looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield {look: Opened(browser, page_path, *look) for look in LOOKS}
        browser.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_page_looks_right_in_a_browser(
    opened: dict[tuple[int, str], Opened], page_path: Path, look: tuple[int, str]
) -> None:
    """Nothing asked for, nothing cut off, every letter to be read."""
    page = opened[look].page
    assert (opened[look].said, opened[look].asked) == ([], [page_path.as_uri()])
    assert page.evaluate("document.documentElement.scrollWidth") <= look[0]
    assert page.evaluate(CLIPPED) == []
    drawings = page.evaluate(DRAWINGS)
    assert len(drawings) == 4
    for drawing in drawings:
        assert drawing["width"] > 250, drawing
        assert drawing["letters"] >= 4, drawing
        assert drawing["smallest"] > 9, drawing
        assert (drawing["outside"], drawing["overlaps"]) == (0, 0), drawing
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    texts = page.evaluate(CONTRASTS)
    assert len(texts) > 100
    assert [text for text in texts if text["contrast"] < LEAST_CONTRAST] == []
