"""The command that puts reports side by side."""

import argparse
from typing import Any

from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import figure, show, table
from lob_backtest.errors import FormatError
from lob_backtest.files import write_json, write_text
from lob_backtest.report import as_written, read_report
from lob_backtest.report.comparison import compare_reports
from lob_backtest.report.words import MEASURES, p_text


def compare(arguments: argparse.Namespace) -> int:
    """Print the figures of two or more reports, and their differences with paired intervals."""
    if len(arguments.reports) < 2:
        raise FormatError(
            f"got {len(arguments.reports)} report; needs at least two to compare: "
            "lob-backtest compare REPORT REPORT"
        )
    reports = [read_report(path) for path in arguments.reports]
    names = [str(path) for path in arguments.reports]
    with as_written(*arguments.reports):
        compared = compare_reports(reports, names, seed=arguments.seed)
        text = _text(compared)
    if arguments.output is not None:
        from lob_backtest.report.comparison_page import comparison_page

        with as_written(*arguments.reports):
            page = comparison_page(compared)
        write_json(arguments.output / "compare.json", compared)
        write_text(arguments.output / "compare.html", page)
        text += f"\n\nPage: {arguments.output / 'compare.html'}"
    show(compared, text, as_json=arguments.json)
    return EXIT_DONE


def _text(compared: dict[str, Any]) -> str:
    names, how = compared["reports"], compared["intervals"]
    figures = [
        [MEASURES[key].title, *(_with_interval(found, MEASURES[key].form) for found in values)]
        for key, values in compared["figures"].items()
    ]
    differences = [
        [MEASURES[key].title, *(_lead(found, _signed(MEASURES[key].form)) for found in entries)]
        for key, entries in compared["differences"].items()
    ]
    settings = [
        [name, *("-" if value is None else str(value) for value in values)]
        for name, values in compared["settings"].items()
    ]
    parts = [table(["settings that differ", *names], settings)] if settings else []
    parts += [
        table(["", *names], [*figures, ["verdict", *compared["verdicts"]]]),
        table([f"minus {names[0]}", *names[1:]], differences),
        f"[{how['level']:.0%} interval, p adjusted for {len(names) - 1} comparison"
        f"{'s' if len(names) > 2 else ''}] of common blocks drawn together",
    ]
    parts += [f"warning: {words}" for words in compared["warnings"]]
    return "\n\n".join(parts)


def _with_interval(found: dict[str, Any], form: str) -> str:
    shown = figure(found["value"], form)
    if found["low"] is None or found["high"] is None:
        return shown
    return f"{shown} [{format(found['low'], form)}, {format(found['high'], form)}]"


def _lead(found: dict[str, Any], form: str) -> str:
    shown = _with_interval({**found, "value": found["difference"]}, form)
    return shown if found["p_adjusted"] is None else f"{shown} p {p_text(found['p_adjusted'])}"


def _signed(form: str) -> str:
    return form if form.startswith("+") else f"+{form}"
