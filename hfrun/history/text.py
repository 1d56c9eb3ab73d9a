"""Text of others in Markdown: it shows as itself, in a sentence, a cell or a heading."""

import html
import re
from typing import Any

from hfrun.hub.card import markdown

# Beside what the hub's cards escape: emphasis by underscores (not within a word) and strikethrough.
_EMPHASIS = re.compile(r"(?<!\w)_|_(?!\w)|~")


def escaped(value: Any) -> str:
    r"""Text that shows as itself.

    >>> escaped("a|b _i_ eval_loss ~x~")
    'a\\|b \\_i\\_ eval_loss \\~x\\~'
    """
    return _EMPHASIS.sub(lambda found: f"\\{found[0]}", markdown.escaped(value))


def unescaped(markdown_text: str) -> str:
    r"""Our own Markdown as plain text.

    >>> unescaped(r"**fail** \[0.1, 0.2\] &lt; `x`")
    'fail [0.1, 0.2] < x'
    """
    plain = re.sub(r"(?<!\\)(\*\*|`+)", "", markdown_text)
    return html.unescape(re.sub(r"\\(.)", r"\1", plain))


def code(value: Any) -> str:
    """Text as code, whatever backticks and pipes are in it.

    >>> code("run.seed"), code("a`b|c")
    ('`run.seed`', '``a`b\\\\|c``')
    """
    plain = " ".join(str(value).split())
    fence = "`"
    while fence in plain:
        fence += "`"
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}".replace("|", "\\|")
