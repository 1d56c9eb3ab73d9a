"""The report's plots, as SVG to be put into the page; drawn without pyplot's global state.

Every colour is a stand-in that becomes a CSS variable, so that one drawing serves the light and
the dark page. Text stays text: it can be read aloud, searched and takes the page's font. The same
report gives the same bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lob_backtest.contenders import MODEL
from lob_backtest.report.words import moment, significant, strategy_title, text

# Stand-in colour -> CSS variable; no stand-in is a prefix of another.
INK, MUTED, GRID, ACCENT, SURFACE = "#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", SURFACE: "surface"}
_N_STRATEGY_COLOURS = 7
_STRATEGY_COLOURS = [f"#0b000{i}" for i in range(_N_STRATEGY_COLOURS)]
_VARIABLES |= {colour: f"strategy-{i}" for i, colour in enumerate(_STRATEGY_COLOURS)}

# SVG user units, near the widths they are shown at, so that text stays legible on a phone.
_WIDE, _NARROW = (420, 280), (340, 270)
_FONT = 12.5
_MOST_TICKS = 7
_NS_PER_DAY = 86_400_000_000_000


def strategy_variable(name: str, names: Sequence[str]) -> str:
    """The CSS variable in which a strategy is drawn, among all strategies of the report."""
    return _VARIABLES[_strategy_colour(name, names)]


def equity_plot(report: Mapping[str, Any]) -> str:
    """Equity of the model and of every other strategy, as return on capital."""
    series = report["equity"]
    curves = {
        name: (np.asarray(values) / series["capital"] - 1) * 100
        for name, values in series["equity"].items()
    }
    figure, axes = _figure("return on capital, %")
    _curves(axes, curves, _names(report))
    _time_axis(axes, report)
    final = f"{curves[MODEL][-1]:+.2f} %"
    return _svg(figure, f"Equity after costs over the test folds; the model ends at {final}")


def drawdown_plot(report: Mapping[str, Any]) -> str:
    """How far below its running peak the equity is: the model, and what it is held against."""
    series = report["equity"]["drawdown"]
    names = {MODEL, report["baseline"], report["rules"]["backtest_baseline"]}
    curves = {name: -np.asarray(series[name]) * 100 for name in series if name in names}
    figure, axes = _figure("below the peak, %")
    own = curves[MODEL]
    axes.fill_between(np.arange(own.size), own, 0, color=ACCENT, alpha=0.15, linewidth=0)
    _curves(axes, curves, _names(report))
    _time_axis(axes, report)
    return _svg(figure, f"Drawdown over the test folds; the model's deepest is {-own.min():.2f} %")


def folds_plot(report: Mapping[str, Any]) -> str:
    """Weighted F1 of every fold against the baseline and the lift that is required."""
    folds, baseline = report["folds"], report["baseline"]
    place = np.arange(len(folds))
    figure, axes = _figure("weighted F1", size=_NARROW)
    own = np.array([fold["f1_weighted"] for fold in folds])
    if baseline is not None:
        other = np.array([fold["baselines"][baseline]["f1_weighted"] for fold in folds])
        needed = other + report["rules"]["f1_lift"]
        axes.vlines(place, np.minimum(own, other), np.maximum(own, other), color=GRID, linewidth=3)
        colour = _strategy_colour(baseline, _names(report))
        axes.plot(place, other, "o", color=colour, markersize=7)
        axes.hlines(needed, place - 0.22, place + 0.22, color=INK, linewidth=1.6)
    axes.plot(place, own, "o", color=ACCENT, markersize=9)
    axes.set_xlim(-0.6, len(folds) - 0.4)
    shown = place[:: max(1, len(folds) // 12)]
    axes.set_xticks(shown, [str(folds[i]["fold"]) for i in shown])
    axes.set_xlabel("fold", color=MUTED)
    axes.margins(y=0.15)
    scores = ", ".join(f"{fold['f1_weighted']:.3f}" for fold in folds)
    return _svg(figure, f"Weighted F1 of the model, fold by fold: {scores}")


def reliability_plot(report: Mapping[str, Any]) -> str:
    """Accuracy against confidence in bins; the area of a point grows with its decisions."""
    bins = [item for item in report["reliability"] if item["n"]]
    confidence = [item["confidence"] for item in bins]
    accuracy = [item["accuracy"] for item in bins]
    share = np.array([item["n"] for item in bins]) / sum(item["n"] for item in bins)
    figure, axes = _figure("accuracy", size=_NARROW)
    axes.plot([0, 1], [0, 1], linestyle=(0, (4, 3)), color=MUTED, linewidth=1.2)
    for at, got in zip(confidence, accuracy, strict=True):
        axes.plot([at, at], [at, got], color=GRID, linewidth=2)
    axes.plot(confidence, accuracy, color=ACCENT, linewidth=1.2, alpha=0.6)
    axes.scatter(confidence, accuracy, s=18 + 420 * share, color=ACCENT, linewidth=0, zorder=3)
    axes.set_xlim(0.3, 1.0)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence in the class it says", color=MUTED)
    ece = report["aggregate"]["ece"]["value"]
    return _svg(figure, f"Accuracy against confidence; expected calibration error {ece:.3f}")


def cost_plot(report: Mapping[str, Any]) -> str:
    """Net return of the same trades at other costs, with the break-even cost marked."""
    costs = report["cost_sensitivity"]
    multiples = costs["multiples"]
    names = list(costs["strategies"])
    figure, axes = _figure("net return, %")
    axes.axhline(0, color=MUTED, linewidth=1)
    curves = {
        name: np.asarray(values["net_return"]) * 100 for name, values in costs["strategies"].items()
    }
    for name in sorted(names, key=lambda name: name == MODEL):
        axes.plot(multiples, curves[name], marker="o", **_line(name, names))
    _mark_configured(axes)
    label = "Net return against the cost multiple; no break-even cost"
    break_even = costs["strategies"][MODEL]["break_even_multiple"]
    if break_even is not None and multiples[0] <= break_even <= multiples[-1]:
        axes.axvline(break_even, color=ACCENT, linewidth=1.2, linestyle=(0, (4, 3)))
        is_right = break_even > (multiples[0] + multiples[-1]) / 2
        axes.plot([break_even], [0], "D", color=ACCENT, markersize=8, zorder=5)
        axes.annotate(
            f"break-even {significant(break_even)} x",
            (break_even, 1.0),  # at the top, where falling lines leave room
            (-7, 0) if is_right else (7, 0),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            va="top",
            ha="right" if is_right else "left",
            in_layout=False,
            color=ACCENT,
            fontweight="bold",
            fontsize=_FONT,
        )
        label = f"Net return against the cost multiple; break-even at {break_even:.3g}"
    axes.set_xlabel("multiple of the configured cost", color=MUTED)
    axes.set_xticks(multiples, [f"{multiple:g}" for multiple in multiples])
    return _svg(figure, label)


def _mark_configured(axes: Any) -> None:
    axes.axvline(1, color=GRID, linewidth=6, alpha=0.6, zorder=0)


def _names(report: Mapping[str, Any]) -> list[str]:
    return [MODEL, *report["aggregate"]["baselines"]]


def _strategy_colour(name: str, names: Sequence[str]) -> str:
    if name == MODEL:
        return ACCENT
    if name == "flat":
        return MUTED
    others = [other for other in sorted(names) if other not in (MODEL, "flat")]
    return _STRATEGY_COLOURS[others.index(name) % _N_STRATEGY_COLOURS]


def _line(name: str, names: Sequence[str]) -> dict[str, Any]:
    colour = _strategy_colour(name, names)
    if name == MODEL:
        return {"color": colour, "linewidth": 2.4, "zorder": 4, "markersize": 5}
    style = (0, (4, 3)) if name == "flat" else "-"
    return {"color": colour, "linewidth": 1.2, "linestyle": style, "markersize": 3.5}


def _curves(axes: Any, curves: Mapping[str, Any], names: Sequence[str]) -> None:
    axes.axhline(0, color=GRID, linewidth=1)
    for name in sorted(curves, key=lambda name: name == MODEL):
        axes.plot(curves[name], **_line(name, names))


def _time_axis(axes: Any, report: Mapping[str, Any]) -> None:
    """Trading time: nights and gaps between folds take no room."""
    times = np.asarray(report["equity"]["time_ns"])
    axes.set_xlim(0, max(times.size - 1, 1))
    for fold in report["folds"][1:]:
        axes.axvline(np.searchsorted(times, fold["start_ns"]), color=GRID, linewidth=1, zorder=0)
    days, first_of_day = np.unique(times // _NS_PER_DAY, return_index=True)
    one_day = days.size == 1
    if one_day:
        ticks = np.unique(np.linspace(0, times.size - 1, 5).round().astype(int))
    else:
        ticks = first_of_day[:: -(-days.size // _MOST_TICKS)]
    stamps = [moment(int(times[tick])) for tick in ticks]
    axes.set_xticks(ticks, [stamp[11:16] if one_day else stamp[5:10] for stamp in stamps])
    when = f"UTC, {stamps[0][:10]}" if one_day else f"from {stamps[0][:10]}"
    axes.set_xlabel(f"{when}; lines part the folds", color=MUTED)


def _figure(y_label: str, *, size: tuple[int, int] = _WIDE) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72, layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.set_title(y_label, loc="left", color=MUTED, fontsize=_FONT)
    axes.tick_params(colors=MUTED, labelsize=_FONT, length=3)
    axes.xaxis.label.set_fontsize(_FONT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)
    return figure, axes


def _svg(figure: Any, label: str) -> str:
    """The figure as an SVG element with an accessible name and the page's colours."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    target = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "lob_backtest", "svg.fonttype": "none"}):
        canvas.print_svg(target)
    drawing = target.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<style[^>]*>.*?</style>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[a-z_0-9.]+">', "<g>", drawing)  # would repeat from plot to plot
    drawing = re.sub(r" *<!--.*?-->\n?", "", drawing)
    drawing = re.sub(r"<svg[^>]*>", _opening(label, figure), drawing, count=1)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, f"var(--{variable})")
    return drawing.strip()


def _opening(label: str, figure: Any) -> str:
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(label)}">'


def legend(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every strategy's title with its CSS variable, the model first."""
    names = _names(report)
    return [(strategy_title(name), strategy_variable(name, names)) for name in names]
