"""Tables and JSON on standard output."""

import json
from collections.abc import Sequence
from typing import Any


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print the value as JSON, or the text."""
    print(json.dumps(value, indent=2, allow_nan=False) if as_json else text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right.

    >>> print(table(["fold", "n"], [["0", "12"], ["1", "7"]]))
    fold   n
    0     12
    1      7
    """
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def figure(value: float | None, form: str) -> str:
    """A figure, or a dash where it is undefined."""
    return "-" if value is None else format(value, form)
