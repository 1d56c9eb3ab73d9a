"""Small pieces of Markdown: tables, code blocks and numbers, with everything foreign escaped."""

import re
from collections.abc import Sequence
from typing import Any, TypeGuard

import yaml

# A pipe ends a cell, the others would begin markup, links or HTML.
_SPECIAL = re.compile(r"([\\|\[\]*`])")
_WHITESPACE = re.compile(r"\s+")


def escaped(value: Any) -> str:
    r"""Text that shows as itself inside a cell or a sentence.

    >>> escaped("a|b <i>\n[x](y)")
    'a\\|b &lt;i&gt; \\[x\\](y)'
    """
    text = _WHITESPACE.sub(" ", str(value)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)


def number(value: Any) -> str:
    """Four significant digits; whole numbers as they are; a dash for what is no number.

    >>> number(0.123456), number(1200), number(None)
    ('0.1235', '1200', '–')
    """
    if not is_number(value):
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    return f"{value:.4g}"


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether this is a finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return value == value and value not in (float("inf"), float("-inf"))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are Markdown already: escape what comes from outside."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def yaml_block(value: Any) -> str:
    """A value as a fenced block of YAML; the fence is longer than any inside."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{text}\n{fence}"


def section(title: str, *parts: str) -> str:
    """A heading over its parts; nothing at all when every part is empty."""
    body = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{body}" if body else ""
