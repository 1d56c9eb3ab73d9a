"""The pages in a real browser: headless Chromium, a phone's and a desk's width, light and dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lob_backtest.files import write_text
from lob_backtest.report import write_report
from lob_backtest.report.comparison import compare_reports
from lob_backtest.report.comparison_page import comparison_page
from lob_backtest.report.plots import PLOTS
from tests.lob_backtest.full_report import by_hand, full_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS, SCHEMES = (400, 1280), ("light", "dark")
LOOKS = [
    (name, width, scheme)
    for name in ("report", "compare")
    for width in WIDTHS
    for scheme in SCHEMES
]
LEAST_CONTRAST = 4.5  # WCAG 2.1, 1.4.3, body text

# Every text that is seen, with the contrast of its colour to what lies behind it.
CONTRASTS = """() => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const brush = canvas.getContext('2d', {willReadFrequently: true}), known = new Map();
  const parse = colour => {
    if (known.has(colour)) return known.get(colour);
    brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    known.set(colour, {r, g, b, a: a / 255});
    return known.get(colour);
  };
  const over = (top, under) => {
    const mix = key => top[key] * top.a + under[key] * (1 - top.a);
    return {r: mix('r'), g: mix('g'), b: mix('b'), a: 1};
  };
  const behind = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement)
      layers.push(parse(getComputedStyle(at).backgroundColor));
    const paper = {r: 255, g: 255, b: 255, a: 1};
    return layers.reverse().reduce((under, top) => over(top, under), paper);
  };
  const luminance = c => {
    const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * linear(c.r) + 0.7152 * linear(c.g) + 0.0722 * linear(c.b);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, box = element.getBoundingClientRect();
    if (!node.data.trim() || !box.width || !box.height || element.closest('style')) continue;
    const style = getComputedStyle(element), under = behind(element);
    const colour = parse(element.closest('svg') ? style.fill : style.color);
    const [a, b] = [luminance(over(colour, under)), luminance(under)].sort((x, y) => y - x);
    found.push({text: node.data.trim().slice(0, 60), contrast: (a + 0.05) / (b + 0.05)});
  }
  return found;
}"""
# Boxes of the drawings and of what is drawn in them.
DRAWINGS = """() => [...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('path, use')].filter(shape => {
    const own = shape.getBoundingClientRect();
    return own.width + own.height > 0 && !shape.closest('defs');
  });
  const letters = [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect());
  return {
    label: svg.getAttribute('aria-label'), width: box.width, height: box.height,
    shapes: shapes.length, letters: letters.length,
    smallest: Math.min(...letters.map(l => l.height)),
    outside: letters.filter(l => l.left < box.left - 2 || l.right > box.right + 2
      || l.top < box.top - 2 || l.bottom > box.bottom + 2).length,
    overlaps: letters.filter((a, i) => letters.some((b, j) => j > i && a.width && b.width
      && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)).length,
  };
})"""
# What reaches beyond its box without a way to scroll to it.
CLIPPED = """() => [...document.querySelectorAll('main *')].filter(element => {
  if (element.closest('svg, pre, .scroll, details:not([open])')) return false;
  return element.scrollWidth > element.clientWidth + 1
    && getComputedStyle(element).display !== 'inline' && element.clientWidth > 0;
}).map(element => element.className + ' ' + element.textContent.trim().slice(0, 60))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed: the page cannot be looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole report, the same with a raised alarm, and a comparison of two."""
    folder = tmp_path_factory.mktemp("pages")
    report = by_hand(full_report())
    other = by_hand(full_report(skill=0.7))
    alarmed = by_hand(report)
    alarmed["alarms"][0]["raised"] = True
    found = {
        "report": write_report(report, folder / "report"),
        "alarm": write_report(alarmed, folder / "alarm"),
        "compare": folder / "compare.html",
    }
    names = ["runs/first/report", "runs/a-rather-long-name-of-a-run/report"]
    write_text(found["compare"], comparison_page(compare_reports([report, other], names)))
    return found


class Opened:
    """A page as it was opened, with what the browser had to say."""

    def __init__(self, browser: Any, path: Path, width: int, scheme: str) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module")
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[dict[tuple[str, int, str], Opened]]:
    looks = [*LOOKS, *(("alarm", width, "light") for width in WIDTHS)]
    every = {look: Opened(browser, pages[look[0]], *look[1:]) for look in looks}
    yield every
    for each in every.values():
        each.context.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_browser_has_nothing_to_say_and_asks_for_the_file_alone(opened, pages, look):
    assert opened[look].said == []
    assert opened[look].asked == [pages[look[0]].as_uri()]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_every_plot_is_drawn_and_its_letters_can_be_read(opened, look):
    drawings = opened[look].page.evaluate(DRAWINGS)
    assert len(drawings) == (len(PLOTS) if look[0] != "compare" else 4)
    for drawing in drawings:
        assert drawing["width"] > 250, drawing
        assert drawing["height"] > 60, drawing
        assert drawing["shapes"] >= 4, drawing
        assert drawing["letters"] >= 4, drawing
        assert drawing["smallest"] > 9, drawing
        assert (drawing["outside"], drawing["overlaps"]) == (0, 0), drawing


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_nothing_is_wider_than_the_page_or_cut_off(opened, look):
    page = opened[look].page
    assert page.evaluate("document.documentElement.scrollWidth") <= look[1]
    assert page.evaluate("document.body.scrollWidth") <= look[1]
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_every_text_stands_out_from_what_is_behind_it(opened, look):
    page = opened[look].page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    texts = page.evaluate(CONTRASTS)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")
    assert len(texts) > 100
    assert [text for text in texts if text["contrast"] < LEAST_CONTRAST] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_schemes_differ_and_the_verdict_is_on_the_first_screen(opened, width):
    behind = [
        opened["report", width, scheme].page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in SCHEMES
    ]
    assert behind[0] != behind[1]
    for selector in (".verdict", ".verdict + .verdict", ".tile"):
        box = opened["report", width, "light"].page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] < 900, selector


@pytest.mark.parametrize("width", WIDTHS)
def test_a_raised_alarm_looks_as_loud_as_the_failed_verdict(opened, width):
    style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).borderColor]"
    page = opened["alarm", width, "light"].page
    first, second = page.locator(".first .verdict").all()
    assert first.evaluate(style) == second.evaluate(style)
    boxes = first.bounding_box(), second.bounding_box()
    assert boxes[1]["width"] >= 0.9 * boxes[0]["width"]
    assert "LEAK ALARM" in second.inner_text()


def test_links_of_the_contents_lead_to_their_parts(opened):
    page = opened["report", 400, "light"].page
    for link in page.locator("nav a").all():
        anchor = link.get_attribute("href")
        assert page.locator(f"section{anchor} h2").inner_text() == link.inner_text()
