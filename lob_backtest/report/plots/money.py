"""Equity, drawdown, and what other costs would have left."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lob_backtest.contenders import MODEL
from lob_backtest.report.plots.drawing import (
    DASHED,
    FONT,
    WIDE,
    Palette,
    Plot,
    line_of,
    one_axes,
    strategy_variable,
)
from lob_backtest.report.words import moment, significant, strategy_title

_MOST_TICKS = 6
_MOST_PARTED = 30  # folds; more lines would hide the curves
_NS_PER_DAY = 86_400_000_000_000


def equity(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Equity of the model and of every other strategy, as return on capital."""
    series = report.get("equity")
    if not series:
        return None
    curves = {
        name: (np.asarray(values) / series["capital"] - 1) * 100
        for name, values in series["equity"].items()
    }
    figure, axes = one_axes("return on capital, %", palette, size=WIDE)
    _curves(axes, curves, palette)
    _time_axis(axes, report, palette)
    final = f"{curves[MODEL][-1]:+.2f} %"
    return Plot(
        figure=figure,
        label=f"Equity after costs over the test folds; the model ends at {final}",
    )


def drawdown(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """How far below its running peak the equity is: the model, and what it is held against."""
    if not report.get("equity"):
        return None
    series = report["equity"]["drawdown"]
    rules = report.get("rules") or {}
    names = {MODEL, report.get("baseline"), rules.get("backtest_baseline")}
    curves = {name: -np.asarray(series[name]) * 100 for name in series if name in names}
    figure, axes = one_axes("below the peak, %", palette, size=WIDE)
    own = curves[MODEL]
    axes.fill_between(np.arange(own.size), own, 0, color=palette.accent, alpha=0.15, linewidth=0)
    _curves(axes, curves, palette, names=list(series))
    _time_axis(axes, report, palette)
    label = f"Drawdown over the test folds; the model's deepest is {-own.min():.2f} %"
    return Plot(figure=figure, label=label)


def costs(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Net return of the same trades at other costs, with the break-even cost marked."""
    found = report.get("cost_sensitivity")
    if not found or not found["multiples"]:
        return None
    multiples, names = found["multiples"], list(found["strategies"])
    figure, axes = one_axes("net return, %", palette, size=WIDE)
    axes.axhline(0, color=palette.muted, linewidth=1)
    curves = {
        name: np.asarray(values["net_return"]) * 100 for name, values in found["strategies"].items()
    }
    for name in sorted(names, key=lambda name: name == MODEL):
        axes.plot(multiples, curves[name], marker="o", **line_of(name, names, palette))
    axes.axvline(1, color=palette.line, linewidth=6, alpha=0.6, zorder=0)
    label = "Net return against the cost multiple; no break-even cost"
    break_even = found["strategies"][MODEL]["break_even_multiple"]
    if break_even is not None and multiples[0] <= break_even <= multiples[-1]:
        _mark_break_even(axes, break_even, multiples, palette)
        label = f"Net return against the cost multiple; break-even at {break_even:.3g}"
    axes.set_xlabel("multiple of the configured cost")
    axes.set_xticks(multiples, [f"{multiple:g}" for multiple in multiples])
    return Plot(figure=figure, label=label)


def _mark_break_even(axes: Any, at: float, multiples: list[float], palette: Palette) -> None:
    axes.axvline(at, color=palette.accent, linewidth=1.2, linestyle=DASHED)
    is_right = at > (multiples[0] + multiples[-1]) / 2
    axes.plot([at], [0], "D", color=palette.accent, markersize=8, zorder=5)
    axes.annotate(
        f"break-even {significant(at)} x",
        (at, 1.0),  # at the top, where falling lines leave room
        (-7, 0) if is_right else (7, 0),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        va="top",
        ha="right" if is_right else "left",
        in_layout=False,
        color=palette.accent,
        fontweight="bold",
        fontsize=FONT,
    )


def legend(report: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Every traded strategy's title, CSS variable and whether its line is dashed, model first."""
    names = list((report.get("equity") or {}).get("equity", {}))
    names.sort(key=lambda name: name != MODEL)
    return [
        (strategy_title(name), strategy_variable(name, names), name == "flat") for name in names
    ]


def _curves(
    axes: Any, curves: Mapping[str, Any], palette: Palette, *, names: list[str] | None = None
) -> None:
    axes.axhline(0, color=palette.line, linewidth=1)
    for name in sorted(curves, key=lambda name: name == MODEL):
        axes.plot(curves[name], **line_of(name, names or list(curves), palette))


def _time_axis(axes: Any, report: Mapping[str, Any], palette: Palette) -> None:
    """Trading time: nights and gaps between folds take no room."""
    times = np.asarray(report["equity"]["time_ns"])
    axes.set_xlim(0, max(times.size - 1, 1))
    parted = 1 < len(report["folds"]) <= _MOST_PARTED
    for fold in report["folds"][1:] if parted else []:
        place = np.searchsorted(times, fold["start_ns"])
        axes.axvline(place, color=palette.line, linewidth=1, zorder=0)
    days, first_of_day = np.unique(times // _NS_PER_DAY, return_index=True)
    one_day = days.size == 1
    if one_day:
        ticks = np.unique(np.linspace(0, times.size - 1, 5).round().astype(int))
    else:
        ticks = first_of_day[:: -(-days.size // _MOST_TICKS)]
    stamps = [moment(int(times[tick])) for tick in ticks]
    axes.set_xticks(ticks, [stamp[11:16] if one_day else stamp[5:10] for stamp in stamps])
    when = f"UTC, {stamps[0][:10]}" if one_day else f"from {stamps[0][:10]}"
    axes.set_xlabel(f"{when}; lines part the folds" if parted else when)
