"""The hub's pages in a real browser, with JavaScript and without, on a phone and on a desk."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.names import RepoId
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.pages.furnished import commit, made, pull_request
from tests.lob_backtest.test_report_browser import CONTRASTS, LEAST_CONTRAST, NAMES

_BY_HAND = pytest.mark.slow  # the same pages once more
LOOKS = (
    pytest.param(400, "light", id="phone-light"),
    pytest.param(1280, "dark", id="desk-dark", marks=_BY_HAND),
    pytest.param(400, "dark", id="phone-dark", marks=_BY_HAND),
    pytest.param(1280, "light", id="desk-light", marks=_BY_HAND),
)
LOOKED_AT = (
    "/", "/models?sort=accuracy", "/alice", "/login", "/alice/walker", "/alice/walker/tree/main",
    "/alice/walker/blob/main/notes/first.txt", "/alice/walker/commits/main",
    "/alice/walker/commit/v1.0", "/alice/walker/report/main", "/alice/walker/discussions",
    "/alice/walker/discussions/1", "/alice/walker/discussions/3", "/bob/gated",
    "/datasets/alice/ticks/blob/main/train.csv", "/alice/missing",
)  # fmt: skip
HOSTILE = (
    "/alice/hostile", "/alice/hostile/tree/main", "/alice/hostile/tree/main/odd",
    "/alice/hostile/commits/main", "/alice/hostile/commit/main", "/alice/hostile/discussions",
    "/alice/hostile/discussions/1", "/alice/hostile/report/main",
    "/alice/hostile/report/main/report.html", "/alice/hostile/blob/main/README.md",
    "/alice/hostile/blob/main/small.png", "/alice/hostile/blob/main/huge.png",
)  # fmt: skip

# What reaches beyond the page, or beyond its box without a way to scroll to it.
OVERFLOWS = """() => {
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const clipped = [...document.querySelectorAll('body *')].filter(element => {
    if (element.closest('svg, pre, .scroll, .revisions, .card table, .comment table')
      || element.closest('.unseen, .skip, select')) return false;
    if (element.closest('details:not([open])') && !element.closest('summary')) return false;
    const style = getComputedStyle(element);
    return element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1
      && style.display !== 'inline' && style.textOverflow !== 'ellipsis';
  });
  return [...(wide ? ['the page'] : []),
    ...clipped.map(e => `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 60)}`)];
}"""
# Fields without a label, links and buttons without a name, pictures without a text.
NAMELESS = """() => {
  const named = e => e.getAttribute('aria-label') || e.textContent.trim();
  return [
    ...[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea')]
      .filter(e => !e.labels.length),
    ...[...document.querySelectorAll('a, button, summary')].filter(e => !named(e)),
    ...[...document.querySelectorAll('img')].filter(e => e.alt === null),
    ...[...document.querySelectorAll('nav, iframe')]
      .filter(e => !e.getAttribute('aria-label') && !e.title),
  ].map(e => e.outerHTML.slice(0, 120));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed: the pages cannot be looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@dataclass
class Window:
    """One browser window, and what it said, asked for and was asked."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def outside(self, hub: HubUnderTest) -> list[str]:
        """Requests that went anywhere but to the hub; data in the page itself is none.

        What a page's policy forbids is told as a request too, one that failed before it was sent.
        """
        own = (f"{hub.endpoint}/", "data:")
        sent = [request for request in self.asked if request.failure != "csp"]
        return [request.url for request in sent if not request.url.startswith(own)]


def window(
    browser: Any, *, width: int = 1280, scheme: str = "light", scripts: bool = True
) -> Window:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    opened = Window(page=context.new_page())
    opened.page.on("console", lambda message: opened.said.append(message.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.on("request", lambda request: opened.asked.append(request))

    def dismissed(dialog: Any) -> None:
        opened.dialogs.append(dialog.message)
        dialog.dismiss()

    opened.page.on("dialog", dismissed)
    return opened


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_fit_the_screen_and_can_be_read(
    browser: Any, furnished: HubUnderTest, width: int, scheme: str
) -> None:
    opened = window(browser, width=width, scheme=scheme)
    for address in LOOKED_AT:
        opened.page.goto(furnished.endpoint + address)
        opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert opened.page.evaluate(OVERFLOWS) == [], address
        assert opened.page.evaluate(NAMELESS) == [], address
        texts = opened.page.evaluate(CONTRASTS)
        assert len(texts) > 8, address
        assert [t for t in texts if t["contrast"] < LEAST_CONTRAST] == [], address
        headings = opened.page.locator("h1, h2").all()
        assert len(headings) >= 1, address
    assert opened.outside(furnished) == []
    # The one missing page, and the report's own script that its frame held back.
    assert [s for s in opened.said if "404" not in s and "sandboxed" not in s.lower()
            and "Content Security Policy" not in s] == []  # fmt: skip
    assert opened.dialogs == []
    opened.page.context.close()


@pytest.mark.parametrize("width", [400, pytest.param(1280, marks=_BY_HAND)])
def test_a_hostile_repository_runs_nothing_asks_for_nothing_and_spoils_no_page(
    browser: Any, furnished: HubUnderTest, width: int
) -> None:
    opened = window(browser, width=width)
    for address in HOSTILE:
        answered = opened.page.goto(furnished.endpoint + address)
        assert answered.status == 200, address
        opened.page.wait_for_timeout(30)  # whatever runs by itself has run by then
        assert opened.page.url == furnished.endpoint + address
        if not address.endswith("report.html"):
            assert opened.page.evaluate(OVERFLOWS) == [], address
            bar = opened.page.locator("header.bar").bounding_box()
            assert bar is not None, address
            assert bar["y"] == 0, address
            assert bar["height"] > 30, address
            assert opened.page.locator("article, .comment").locator(
                "script, iframe, object, embed, form, input, svg, base, meta, style, link"
            ).count() == 0, address  # fmt: skip
    assert opened.dialogs == []
    assert opened.outside(furnished) == []
    # Only what the report wanted to run, and the browser did not let it.
    blocked = ("Blocked script execution", "Content Security Policy", "sandboxed")
    assert [s for s in opened.said if not any(words in s for words in blocked)] == []
    opened.page.context.close()


def test_a_hostile_card_shows_its_harmless_parts(browser: Any, furnished: HubUnderTest) -> None:
    opened = window(browser, width=400)
    opened.page.goto(f"{furnished.endpoint}/alice/hostile")
    card = opened.page.locator("article.card")
    assert "metadata cannot be read" in card.inner_text()
    assert "after all the closing tags" in card.inner_text()
    # They are loaded lazily: the page does not wait for them.
    opened.page.wait_for_function(
        "[...document.querySelectorAll('article img')].every(i => i.complete && i.naturalWidth)"
    )
    shown = card.locator("img").evaluate_all(
        "images => images.map(i => [i.naturalWidth, i.naturalHeight, i.clientWidth <= 400])"
    )
    assert shown == [[8, 8, True], [8, 8, True]]  # the huge one is a link
    assert card.locator("a[href*='huge.png']").count() == 1
    outside = card.locator("a[href^='https://elsewhere.example']").first
    assert "noopener" in (outside.get_attribute("rel") or "")
    links = card.locator("a").evaluate_all("links => links.map(l => l.protocol)")
    assert set(links) <= {"http:", "https:"}
    opened.page.context.close()


def test_the_report_is_shown_in_its_frame(browser: Any, furnished: HubUnderTest) -> None:
    opened = window(browser, width=400)
    opened.page.goto(f"{furnished.endpoint}/alice/walker/report/main")
    frame = opened.page.frame_locator("iframe.report")
    assert frame.locator("h1").inner_text() == "is the model worth trading?"
    colour = frame.locator("h1").evaluate("e => getComputedStyle(e).color")
    assert colour == "rgb(17, 34, 51)"  # its own style sheet applies
    assert opened.page.locator("iframe.report").bounding_box()["height"] > 400
    assert opened.dialogs == []
    opened.page.context.close()


def test_signing_in_commenting_merging_and_closing_need_no_javascript(
    browser: Any, furnished: HubUnderTest
) -> None:
    store = HubStore(furnished.root)
    repository = made(store, "alice/by-hand", private=True)
    commit(repository, "First", {"a.txt": "1\n"})
    pull_request(repository, "Add a file", {"b.txt": "new\n"})
    pull_request(repository, "Not wanted", {"c.txt": "new\n"})
    try:
        opened = window(browser, scripts=False)
        _by_hand(opened, furnished, repository)
        opened.page.context.close()
    finally:
        store.delete(RepoId(kind="models", namespace="alice", name="by-hand"))


def _by_hand(opened: Window, hub: HubUnderTest, repository: Repository) -> None:
    page = opened.page
    first = f"{hub.endpoint}/alice/by-hand/discussions/1"
    assert page.goto(first).status == 404
    page.click("text=sign in")
    page.fill("#token", "hf_wrong")
    page.click("main button")
    assert "does not know that token" in page.locator("main").inner_text()
    page.fill("#token", hub.alice)
    page.click("main button")
    assert page.url == first  # where they came from
    page.fill("#comment", "Looks *fine*")
    page.click("button[value=comment]")
    assert page.locator(".comment em").inner_text() == "fine"
    page.click("button[value=merge]")
    assert page.locator(".discussion-head .badge").inner_text() == "merged"
    assert "b.txt" in repository.tree(repository.commit(repository.head("main")))
    page.goto(f"{hub.endpoint}/alice/by-hand/discussions/2")
    page.click("button[value=close]")
    assert page.locator(".discussion-head .badge").inner_text() == "closed"
    page.click("button[value=reopen]")
    assert Discussions(repository).get(2).status == "open"
    page.goto(f"{hub.endpoint}/alice/by-hand/tree/main")
    page.click(".revisions summary")
    page.click(".revisions .pop a")
    assert page.url == f"{hub.endpoint}/alice/by-hand/tree/main"
    page.goto(hub.endpoint)
    page.fill("#q", "by-hand")
    page.click("form.filters button")
    assert page.locator("ul.rows h2").all_inner_texts() == ["alice/by-hand"]
    page.click("text=Sign out")
    assert page.goto(first).status == 404
