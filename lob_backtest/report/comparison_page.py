"""The page of a comparison: figures side by side, and the differences with their intervals."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.report.elements import (
    card,
    cell,
    columns,
    figure,
    listed,
    note,
    row,
    section,
    table,
)
from lob_backtest.report.page import document
from lob_backtest.report.plots.drawing import (
    PAGE,
    WIDE,
    Palette,
    Plot,
    dress,
    new_figure,
    page_svg,
)
from lob_backtest.report.plots.slices import forest_line
from lob_backtest.report.words import MEASURES, coarse, interval, number, p_text, sentence, text

_DRAWN = ("f1_weighted", "accuracy", "net_return", "sharpe")


def comparison_page(compared: Mapping[str, Any]) -> str:
    """The whole page as HTML, from what ``compare_reports`` gives."""
    names = compared["reports"]
    how = compared["intervals"]
    words = (
        f"Each report minus the first, {names[0]}, on their common blocks, drawn together: "
        f"{how['level'] * 100:.0f} % intervals from {how['n_resamples']:,} resamples of a "
        f"{how['method']}. p is two-sided, adjusted for how many reports are compared (Holm 1979)."
    )
    plots = columns(*(_forest(compared, key) for key in _DRAWN))
    parts = [
        f"<header><h1>{len(names)} reports compared</h1>"
        f"<p>{text(', '.join(names))}</p></header>",
        _warnings(compared["warnings"]),
        section("settings", "Settings that differ", "", card(_settings(compared))),
        section("figures", "Figures", "Each with its own interval. Intervals that overlap may "
                "still hide a clear difference: see the next part.", card(_figures(compared))),
        section("differences", "Differences to the first", words,
                plots + card(_differences(compared))),
    ]  # fmt: skip
    footer = "Made by lob-backtest from the reports' report.json."
    return document(f"{len(names)} reports compared", parts, footer=footer)


def _warnings(warnings: list[str]) -> str:
    if not warnings:
        return ""
    points = listed(sentence(words) for words in warnings)
    return (
        '<div class="first"><div class="verdict bad"><strong>\u26a0 Not all of it compares</strong>'
        f"{points}</div></div>"
    )


def _settings(compared: Mapping[str, Any]) -> str:
    body = [
        row(name, (cell("–" if value is None else value) for value in values))
        for name, values in compared["settings"].items()
    ]
    return table(["", *compared["reports"]], body) if body else ""


def _figures(compared: Mapping[str, Any]) -> str:
    verdicts = (cell(verdict.upper()) for verdict in compared["verdicts"])
    body = [row("verdict", verdicts)]
    for key, values in compared["figures"].items():
        measure = MEASURES[key]
        found = (
            cell(
                number(f["value"], coarse(measure.form, f["low"], f["high"])),
                interval(f, measure.form),
            )
            for f in values
        )
        body.append(row(measure.title, found))
    return table(["", *compared["reports"]], body)


def _differences(compared: Mapping[str, Any]) -> str:
    body, reasons = [], []
    for key, entries in compared["differences"].items():
        found = []
        for entry in entries:
            form = f"+{MEASURES[key].form.lstrip('+')}"
            small = [interval(entry, form)]
            if entry["p_adjusted"] is not None:
                small.append(f"p {p_text(entry['p_adjusted'])}")
            elif entry["reason"] not in reasons:
                reasons.append(entry["reason"])
            form = coarse(form, entry["low"], entry["high"])
            found.append(cell(number(entry["difference"], form), *small))
        body.append(row(MEASURES[key].title, found))
    why = note(f"No interval: {'; '.join(reasons)}." if reasons else "")
    return table(["minus the first", *compared["reports"][1:]], body) + why


def _forest(compared: Mapping[str, Any], key: str) -> str:
    """One figure's differences below each other."""
    entries = compared["differences"].get(key) or []
    if all(entry["low"] is None for entry in entries):
        return ""
    plot = _forest_plot(compared["reports"][1:], entries, key, PAGE)
    words = "Right of the line: more than the first. Hollow: the interval holds nothing."
    return figure(page_svg(plot), words, title=MEASURES[key].title)


def _forest_plot(
    names: list[str], entries: list[Mapping[str, Any]], key: str, palette: Palette
) -> Plot:
    scale = 100 if MEASURES[key].form.endswith("%") else 1
    drawing = new_figure((WIDE[0], 66 + 27 * len(names)))
    axes = drawing.add_subplot()
    dress(axes, "difference, %" if scale == 100 else "difference", palette, grid="x")
    axes.axvline(0, color=palette.muted, linewidth=1.2)
    for y, entry in enumerate(entries):
        if entry["difference"] is not None:
            forest_line(axes, y, entry, scale, palette)
    short = [name if len(name) <= 24 else f"\u2026{name[-23:]}" for name in names]
    axes.set_yticks(range(len(names)), short)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.margins(x=0.1)
    told = ", ".join(
        f"{name} {entry['difference']:+.4g}"
        for name, entry in zip(names, entries, strict=True)
        if entry["difference"] is not None
    )
    return Plot(figure=drawing, label=f"{MEASURES[key].title} minus the first report's: {told}")
