"""The HTML that cards carry among their Markdown, taken apart and put together again.

What comes out is well nested and made of known tags with checked attributes alone. A parser of
HTML repairs what is badly nested by copying elements, and a short text can make it copy
gigabytes; so nothing of a card reaches one before it went through here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape, unescape

_FLOW = (
    "blockquote caption center dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 li ol p "
    "pre summary table tbody td tfoot th thead tr ul"
)
_PHRASES = (
    "a abbr b big cite code del em i ins kbd mark q s samp small span strike strong sub sup tt u "
    "var"
)
_DROPPED = (
    "script style svg math template textarea title noscript noembed noframes iframe object select "
    "xmp"
)
FLOW_TAGS = frozenset(_FLOW.split())
PHRASE_TAGS = frozenset(_PHRASES.split())
EMPTY_TAGS = frozenset({"br", "hr", "img"})
TAGS = FLOW_TAGS | PHRASE_TAGS | EMPTY_TAGS
# These go with all they contain; any other unknown tag goes alone.
DROPPED_WITH_CONTENT = frozenset(_DROPPED.split())

_MAX_TAG_CHARACTERS = 8_000
_MAX_DEPTH = 30
_ATTRIBUTE = r"""\s+([A-Za-z_:][\w.:-]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?"""
_NAMELESS = re.sub(r"\((?!\?)", "(?:", _ATTRIBUTE)
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9-]*)((?>{_NAMELESS})*+)\s*/?>", re.ASCII)
_ATTRIBUTES = re.compile(_ATTRIBUTE, re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One tag as it was written: its lower-case name and attributes, the first of each name."""

    name: str
    closes: bool
    attributes: Mapping[str, str]


def pieces(html: str) -> Iterator[Tag | str]:
    """Tags and the unescaped text between them; comments and declarations are left out."""
    position = 0
    while position < len(html):
        start = html.find("<", position)
        if start < 0:
            start = len(html)
        if start > position:
            yield unescape(html[position:start])
        if start == len(html):
            return
        if html.startswith(("<!", "<?"), start):
            end = "-->" if html.startswith("<!--", start) else ">"
            found = html.find(end, start + 2)
            position = found + len(end) if found >= 0 else len(html)
            continue
        match = _TAG.match(html, start, start + _MAX_TAG_CHARACTERS)
        if match is None:
            yield "<"
            position = start + 1
            continue
        yield _tag(match)
        position = match.end()


def _tag(match: re.Match[str]) -> Tag:
    attributes: dict[str, str] = {}
    for name, value in _ATTRIBUTES.findall(match[3]):
        bare = value[1:-1] if value[:1] in ("'", '"') else value
        attributes.setdefault(name.lower(), unescape(bare))
    return Tag(name=match[2].lower(), closes=match[1] == "/", attributes=attributes)


def opening(name: str, attributes: Mapping[str, str]) -> str:
    """An opening tag with its attributes escaped."""
    return f"<{name}" + "".join(f' {k}="{escape(v)}"' for k, v in attributes.items()) + ">"


class OpenTags:
    """The tags that a card has opened and not closed yet.

    A flow tag ends the phrases that are open, and nothing is opened beyond a depth: so the text
    that comes out is nested as it is written, and a parser has nothing to repair.
    """

    def __init__(self) -> None:
        self._names: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def opened(self, name: str, attributes: Mapping[str, str]) -> str:
        """The text that opens the tag; empty where it is too deep."""
        before = self.closed_phrases() if name in FLOW_TAGS else ""
        if name == "a" and "a" in self:
            before += self.closed("a")
        if len(self._names) >= _MAX_DEPTH:
            return before
        self._names.append(name)
        return before + opening(name, attributes)

    def closed(self, name: str) -> str:
        """The text that closes the tag and all within it; empty where it is not open."""
        if name not in self._names:
            return ""
        depth = len(self._names) - 1 - self._names[::-1].index(name)
        # A phrase's end does not reach out of the block that it stands in.
        if name in PHRASE_TAGS and any(n in FLOW_TAGS for n in self._names[depth:]):
            return ""
        return self.closed_to(depth)

    def closed_phrases(self) -> str:
        """The text that closes the phrases that are open in the innermost block."""
        depth = len(self._names)
        while depth and self._names[depth - 1] in PHRASE_TAGS:
            depth -= 1
        return self.closed_to(depth)

    def closed_to(self, depth: int) -> str:
        """The text that closes all but the outermost ``depth`` tags."""
        ended = self._names[depth:]
        del self._names[depth:]
        return "".join(f"</{name}>" for name in reversed(ended))
