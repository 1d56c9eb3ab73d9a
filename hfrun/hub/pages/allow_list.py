"""What of HTML may stand in a page: elements, attributes and addresses, and nothing else.

Applied by nh3 to everything that was made of a card, whoever made it: the last word.
"""

import re
from collections.abc import Mapping

import nh3

from hfrun.hub.pages.card_links import ID_PREFIX, CardPlace
from hfrun.hub.pages.raw_html import DROPPED_WITH_CONTENT, TAGS

LANGUAGE = re.compile(r"[A-Za-z0-9+#_.-]{1,30}")

_ADDRESS = re.compile(r"#card-|/(?!/)|https?://[^/]|mailto:[^/]", re.IGNORECASE)
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f\\]")
_REL = "nofollow noopener noreferrer"
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

_ALIGN = re.compile(r"left|center|right")
_LENGTH = re.compile(r"[0-9]{1,4}%?")
_SPAN = re.compile(r"[0-9]{1,2}")
_TEXT = re.compile(r".{0,500}", re.DOTALL)
_CELL = {"align": _ALIGN, "colspan": _SPAN, "rowspan": _SPAN}
# What a card may say itself.
_OWN: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "a": {"title": _TEXT},
    "abbr": {"title": _TEXT},
    "details": {"open": re.compile(r".{0,10}")},
    "img": {"align": _ALIGN, "alt": _TEXT, "height": _LENGTH, "title": _TEXT, "width": _LENGTH},
    "ol": {"start": re.compile(r"[0-9]{1,9}")},
    "td": _CELL,
    "th": _CELL,
    **{tag: {"align": _ALIGN} for tag in ("div", *_HEADINGS, "p", "table", "tr")},
}
# What is only set by the pages: links, sources, ids and classes.
_OURS = {
    "a": {"href"},
    "code": {"class"},
    "img": {"loading", "src"},
    **{tag: {"id"} for tag in _HEADINGS},
}
_ATTRIBUTES = {
    tag: {*_OWN.get(tag, ()), *_OURS.get(tag, ())} for tag in {*_OWN.keys(), *_OURS.keys()}
}


def own_attributes(tag: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """What a card itself may say of this element, left as it is; all else is left out."""
    rules = _OWN.get(tag, {})
    return {k: v for k, v in attributes.items() if k in rules and rules[k].fullmatch(v)}


def cleaned(html: str, place: CardPlace) -> str:
    """The harmless part of any HTML, as balanced elements.

    Args:
        html: well nested, or short: what is not is repaired by copying elements.
        place: the repository that images may come from.
    """

    def kept(tag: str, attribute: str, value: str) -> str | None:
        return value if _is_allowed(tag, attribute, value, place) else None

    return nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags=set(DROPPED_WITH_CONTENT),
        attributes=_ATTRIBUTES,
        attribute_filter=kept,
        url_schemes={"http", "https", "mailto"},
        link_rel=_REL,
    )


def _is_allowed(tag: str, attribute: str, value: str, place: CardPlace) -> bool:
    own = _OWN.get(tag, {}).get(attribute)
    if own is not None:
        return own.fullmatch(value) is not None
    if attribute == "href":
        return _ADDRESS.match(value) is not None and not _NO_ADDRESS.search(value)
    if attribute == "src":
        return place.holds(value)
    if attribute == "class":
        return value.startswith("language-") and LANGUAGE.fullmatch(value[9:]) is not None
    if attribute == "id":
        return value.startswith(ID_PREFIX)
    return (attribute, value) in (("loading", "lazy"), ("rel", _REL))
