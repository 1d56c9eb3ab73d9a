"""A README of anybody's as HTML that does no harm to whom it is shown.

    README.md ─► Markdown tokens ─► HTML of known, well nested tags ─► nh3's allow list ─► page
                 at most so many    (raw_html, card_links)             (allow_list)

Nothing on the page leads a browser anywhere by itself: images come from this repository alone,
and links are followed by hand. What takes too much work is shown as the text that it is.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from hfrun.hub.descriptions.metadata import card_metadata
from hfrun.hub.pages.allow_list import LANGUAGE, cleaned, own_attributes
from hfrun.hub.pages.card_links import ID_PREFIX, CardPlace
from hfrun.hub.pages.raw_html import (
    DROPPED_WITH_CONTENT,
    EMPTY_TAGS,
    TAGS,
    OpenTags,
    Tag,
    opening,
    pieces,
)

MAX_CHARACTERS = 1_000_000  # a longer card is shown as text
MAX_PLAIN_CHARACTERS = 200_000  # and so much of it

# Work, in places where the parser tries its rules, weighted by how far each rule may look. Cards
# of 100 KB take 5,000 to 20,000; this many take a second and 100 MB at the worst.
_MAX_WORK = 60_000
_LOOKED_OVER = 2_000  # characters that cost as much as one place
_MAX_LINES = 30_000
_BLOCK_TOKENS = 3  # that a paragraph becomes
_MAX_INLINE_CHARACTERS = 50_000  # of one paragraph
_MAX_HTML_CHARACTERS = 5_000_000
_MAX_ALT_CHARACTERS = 500
_MAX_IMAGES = 100

_UNCLOSED = re.compile(r"\ufeff?---[ \t]*\n[A-Za-z_]+:")


class _TooMuchError(Exception):
    """The card asks for more work than it is worth."""


def card_html(
    markdown: str,
    *,
    repo_address: str,
    revision: str,
    shows_image: Callable[[str], bool] | None = None,
) -> str:
    """The HTML of a README, of harmless elements alone, to be put into a page as it is.

    Args:
        markdown: the whole card; its front matter is left out.
        repo_address: of the repository below the endpoint, e.g. ``datasets/alice/ticks``.
        revision: that the page shows, unquoted; relative links stay in it.
        shows_image: whether the file at this path of the repository may be shown as an image;
            None takes every one.

    >>> card_html("*a* <script>b</script>", repo_address="alice/m", revision="main")
    '<p><em>a</em> </p>\\n'
    """
    body = _body(markdown.encode("utf-8", "replace").decode())  # half a surrogate is no text
    if len(body) > MAX_CHARACTERS or body.count("\n") > _MAX_LINES:
        return _plain(body)
    card = _Card(CardPlace(address=repo_address, revision=revision), shows_image)
    try:
        return cleaned(_rendered(body, card), card.place)
    except (_TooMuchError, RecursionError):
        return _plain(body)


def front_matter_error(markdown: str) -> str | None:
    """One sentence on what is wrong with a card's metadata; None where nothing is."""
    if _UNCLOSED.match(markdown) and _body(markdown) == markdown.removeprefix("\ufeff"):
        return "the metadata begins with a line --- but no second such line ends it"
    try:
        card_metadata(markdown)
    except ValueError as error:
        words = " ".join(str(error).split())
        return words if len(words) <= 300 else words[:299] + "…"
    return None


def _body(markdown: str) -> str:
    """The card without its front matter, found as ``card_metadata`` finds it."""
    markdown = markdown.removeprefix("\ufeff")
    if not markdown.lstrip(" \t").startswith("---"):
        return markdown
    lines = markdown.splitlines(keepends=True)
    if lines[0].strip() != "---":
        return markdown
    closing = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    return markdown if closing is None else "".join(lines[closing + 1 :])


def _plain(text: str) -> str:
    cut = text[:MAX_PLAIN_CHARACTERS]
    return f"<pre>{escape(cut)}{'…' if len(text) > len(cut) else ''}</pre>\n"


class _Card:
    """What is known of one card while it is being written as HTML."""

    def __init__(self, place: CardPlace, shows_image: Callable[[str], bool] | None) -> None:
        self.place = place
        self.tags = OpenTags()
        self.ids: Counter[str] = Counter()
        self.in_link = False
        self.columns = 0
        self.dropping: str | None = None
        self._shows_image = shows_image
        self._images: dict[str, bool] = {}
        self._work = 0
        self._characters = 0

    def work(self, places: int) -> None:
        """Count work done; _TooMuchError beyond what a card is worth."""
        self._work += places
        if self._work > _MAX_WORK:
            raise _TooMuchError

    def written(self, html: str) -> str:
        """Count what one short reference can make long; _TooMuchError beyond the limit."""
        self._characters += len(html)
        if self._characters > _MAX_HTML_CHARACTERS:
            raise _TooMuchError
        return html

    def shows(self, path: str) -> bool:
        """Whether an image of the repository is shown: each is asked for once, and not too many."""
        if path not in self._images:
            allowed = len(self._images) < _MAX_IMAGES
            self._images[path] = allowed and (self._shows_image is None or self._shows_image(path))
        return self._images[path]

    def image(self, source: str, alt: str, attributes: Mapping[str, str]) -> str:
        """An image of this repository; of any other a link, or within a link its words."""
        alt = alt[:_MAX_ALT_CHARACTERS]
        path = self.place.image(source)
        if path is not None and self.shows(path):
            address = self.place.image_address(path)
            found = {"src": address, "alt": alt, "loading": "lazy"}
            return self.written(opening("img", {**attributes, **found}))
        link = None if source.lstrip().startswith("/") else self.place.link(source)
        words = alt or "image"
        if link is None or self.in_link or "a" in self.tags:
            return self.written(escape(words))
        return self.written(f"{opening('a', {'href': link})}{escape(words)}</a>")


# Parsing


def _count_block(state: StateBlock, line: int, end_line: int, silent: bool) -> bool:
    card: _Card = state.env["card"]
    cells = state.src.count("|", state.bMarks[line], state.eMarks[line])
    if not silent:
        card.columns = cells
    # A row of a table is as wide as its first, however short it is written.
    card.work(2 * max(cells, card.columns) + (1 if silent else _BLOCK_TOKENS))
    return False


def _count_inline(state: StateInline, silent: bool) -> bool:
    state.env["card"].work(1 + (state.posMax - state.pos) // _LOOKED_OVER)
    return False


def _count_paragraphs(state: StateCore) -> None:
    card: _Card = state.env["card"]
    for token in state.tokens:
        if len(token.content) > _MAX_INLINE_CHARACTERS and token.type == "inline":
            raise _TooMuchError
        # Each of these becomes a token before it is known whether it marks anything.
        card.work(1 + sum(map(token.content.count, "*_~")) * (token.type == "inline"))


# Writing


def _html(piece: Tag | str, card: _Card) -> str:
    """What of one tag or text of the card's own HTML is written."""
    if card.dropping:
        if isinstance(piece, Tag) and piece.closes and piece.name == card.dropping:
            card.dropping = None
        return ""
    if isinstance(piece, str):
        return escape(piece)
    name = piece.name
    if name in DROPPED_WITH_CONTENT and not piece.closes:
        card.dropping = name
    if name not in TAGS:
        return ""
    if piece.closes:
        return card.tags.closed(name)
    own = own_attributes(name, piece.attributes)
    if name == "img":
        return card.image(piece.attributes.get("src", ""), piece.attributes.get("alt", ""), own)
    if name == "a":
        link = card.place.link(piece.attributes.get("href", ""))
        if link is None:
            return ""
        own["href"] = link
    if name in EMPTY_TAGS:
        return opening(name, own)
    return card.written(card.tags.opened(name, own))


class _Renderer(RendererHTML):
    """Tokens as HTML; a card's own HTML piece by piece, links and images where they may lead."""

    def renderInline(  # noqa: N802
        self, tokens: Sequence[Token], options: Any, env: Any
    ) -> str:
        """One paragraph: what it opened, it closes."""
        card: _Card = env["card"]
        depth = len(card.tags)
        html = super().renderInline(tokens, options, env)
        card.dropping = None
        return html + card.tags.closed_to(depth)

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A block of HTML: its phrases end with it, its flow may go on over Markdown."""
        card: _Card = env["card"]
        html = "".join(_html(piece, card) for piece in pieces(tokens[idx].content))
        card.dropping = None
        return html + card.tags.closed_phrases()

    def html_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """One tag within a paragraph."""
        return "".join(_html(piece, env["card"]) for piece in pieces(tokens[idx].content))

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Text, unless it stands in an element that goes with its content."""
        return "" if env["card"].dropping else super().text(tokens, idx, options, env)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A link where it may lead; its words alone where it may not."""
        card: _Card = env["card"]
        link = card.place.link(str(tokens[idx].attrGet("href") or ""))
        card.in_link = link is not None
        if link is None:
            return ""
        title = str(tokens[idx].attrGet("title") or "")[:500]
        return card.written(opening("a", {"href": link, **({"title": title} if title else {})}))

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """The end of a link that was opened."""
        was_open, env["card"].in_link = env["card"].in_link, False
        return "</a>" if was_open else ""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """An image of this repository, or a link to it."""
        token = tokens[idx]
        title = str(token.attrGet("title") or "")[:500]
        alt = self.renderInlineAsText(token.children, options, env)
        source = str(token.attrGet("src") or "")
        card: _Card = env["card"]
        return card.image(source, alt, {"title": title} if title else {})

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A heading that links within the card find, under an id that is not the page's."""
        words = self.renderInlineAsText(tokens[idx + 1].children, options, env).lower()
        slug = re.sub(r"[^\w\- ]", "", words[:100]).strip().replace(" ", "-")
        known = env["card"].ids
        known[slug] += 1
        number = f"-{known[slug] - 1}" if known[slug] > 1 else ""
        return opening(tokens[idx].tag, {"id": f"{ID_PREFIX}{slug}{number}"})

    def list_item_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """An item of a list; one of tasks begins with a box that nobody can tick."""
        checked = (tokens[idx].meta or {}).get("checked")
        box = {None: "", True: "☑ ", False: "☐ "}[checked]
        return self.renderToken(tokens, idx, options, env) + box

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A block of code, with its language where it is a plain word."""
        language = (tokens[idx].info.split() or [""])[0]
        known = {"class": f"language-{language}"} if LANGUAGE.fullmatch(language) else {}
        return f"<pre>{opening('code', known)}{escape(tokens[idx].content)}</code></pre>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A cell of a table, aligned without a style."""
        style = str(tokens[idx].attrGet("style") or "").removeprefix("text-align:")
        return opening(tokens[idx].tag, {"align": style} if style else {})

    td_open = th_open


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"tasklists": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    ended: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("table", "count", _count_block, ended)
    parser.inline.ruler.before("text", "count", _count_inline)
    parser.core.ruler.before("inline", "count", _count_paragraphs)
    return parser


_PARSER = _parser()


def _rendered(body: str, card: _Card) -> str:
    html = str(_PARSER.render(body, {"card": card}))
    return html + card.tags.closed_to(0)
