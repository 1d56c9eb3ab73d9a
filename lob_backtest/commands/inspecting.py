"""The command that describes a book, in figures and plots."""

import argparse
from typing import Any

from lob_backtest.book import read_book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show, table
from lob_backtest.io.summary import inspect_book
from lob_backtest.io.summary_plots import write_plots

_MOST_LINES = 12


def inspect(arguments: argparse.Namespace) -> int:
    """Print what a book is like; draw it where a folder for the plots is given."""
    book = read_book(arguments.book)
    figures = inspect_book(book, gap_seconds=arguments.gap_seconds)
    text = _text(figures)
    if arguments.plots is not None:
        plots = write_plots(book, arguments.plots)
        figures["plots"] = [str(path) for path in plots]
        text += f"\n\n{len(plots)} plots written to {arguments.plots}"
    show(figures, text, as_json=arguments.json)
    return EXIT_DONE


def _text(figures: dict[str, Any]) -> str:
    """Single figures first, then a table for each list, then the warnings."""
    tables = {name: value for name, value in figures.items()
              if isinstance(value, list) and name != "warnings"}  # fmt: skip
    single = {name: value for name, value in figures.items()
              if name not in tables and name != "warnings"}  # fmt: skip
    parts = [_lines(single), *(_list(name, rows) for name, rows in tables.items() if rows)]
    parts += [f"warning: {text}" for text in figures["warnings"]]
    return "\n\n".join(parts)


def _lines(figures: dict[str, Any], indent: str = "") -> str:
    """Names and values, one a line."""
    width = max(len(name) for name in figures)
    lines = []
    for name, value in figures.items():
        title = f"{indent}{_title(name):<{width}}"
        if isinstance(value, dict):
            lines += [title.rstrip(), _lines(value, indent + "  ")]
        else:
            lines.append(f"{title}  {_plain(value)}")
    return "\n".join(lines)


def _list(name: str, rows: list[dict[str, Any]]) -> str:
    """A table of the rows; of a long list the first and the last ones."""
    shown = [[_plain(value) for value in row.values()] for row in rows]
    if len(shown) > _MOST_LINES:
        half = _MOST_LINES // 2
        shown = [*shown[:half], ["..."] * len(shown[0]), *shown[-half:]]
    head = [_title(key) for key in rows[0]]
    return f"{_title(name)}\n{table(head, shown)}"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
