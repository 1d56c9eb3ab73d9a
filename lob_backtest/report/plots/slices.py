"""Slices kind by kind, differences with their intervals, and the logits of overfitting."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lob_backtest.report.plots.drawing import (
    FONT,
    NARROW,
    WIDE,
    Draw,
    Palette,
    Plot,
    dress,
    new_figure,
    one_axes,
)
from lob_backtest.report.words import SLICE_TITLES, strategy_title

_A_ROW = 30  # user units a line
_MOST_LINES = 24
_FEWEST = 30  # decisions; a slice of fewer is drawn grey


def slices_plot(kind: str) -> Draw:
    """The plot of one kind of slices."""

    def draw(report: Mapping[str, Any], palette: Palette) -> Plot | None:
        rows = (report.get("slices") or {}).get(kind)
        return _slices(kind, rows, palette) if rows else None

    return draw


def _slices(kind: str, rows: Sequence[Mapping[str, Any]], palette: Palette) -> Plot:
    rows = rows[:_MOST_LINES]
    traded = any(row.get("net_return") is not None for row in rows)
    figure = new_figure((WIDE[0], 72 + _A_ROW * len(rows)))
    left, *right = figure.subplots(1, 2 if traded else 1, sharey=True, squeeze=False)[0]
    dress(left, "accuracy", palette, grid="x")
    for y, row in enumerate(rows):
        _one_slice(left, y, row, palette)
    names = [row["name"].replace(", ", "\n", 1) for row in rows]
    left.set_yticks(range(len(rows)), names)
    left.tick_params(axis="y", length=0)
    left.set_ylim(len(rows) - 0.4, -0.6)
    for axes in right:
        dress(axes, "net return, %", palette, grid="x")
        earned = np.array([100 * (row["net_return"] or 0.0) for row in rows])
        colours = [palette.good if value >= 0 else palette.bad for value in earned]
        axes.barh(range(len(rows)), earned, height=0.5, color=colours, alpha=0.8)
        axes.axvline(0, color=palette.muted, linewidth=1)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)
    told = ", ".join(
        f"{row['name']} {row['accuracy']:.3f}" for row in rows if row["accuracy"] is not None
    )
    return Plot(figure=figure, label=f"{SLICE_TITLES.get(kind, kind)}, accuracy: {told}")


def _one_slice(axes: Any, y: int, row: Mapping[str, Any], palette: Palette) -> None:
    if row["accuracy"] is None:
        return
    low, high = row.get("accuracy_low"), row.get("accuracy_high")
    colour = palette.accent if row["n"] >= _FEWEST else palette.muted
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=2.2, alpha=0.55)
    if row.get("majority_accuracy") is not None:
        axes.plot([row["majority_accuracy"]] * 2, [y - 0.28, y + 0.28], color=palette.ink,
                  linewidth=1.6)  # fmt: skip
    axes.plot([row["accuracy"]], [y], "o", color=colour, markersize=8)


def differences(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Model minus each baseline with its interval: weighted F1, and net return where traded."""
    paired = {name: own for name, own in (report.get("paired") or {}).items() if own}
    keys = {"f1_weighted": (1, "weighted F1"), "net_return": (100, "net return, %")}
    found = {
        key: {name: own[key] for name, own in paired.items() if _is_known(own.get(key))}
        for key in keys
    }
    found = {key: own for key, own in found.items() if own}
    if not found:
        return None
    names = [name for name in paired if any(name in own for own in found.values())]
    figure = new_figure((WIDE[0], 72 + 27 * len(names)))
    every = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (key, own) in zip(every, found.items(), strict=True):
        scale, title = keys[key]
        dress(axes, title, palette, grid="x")
        axes.axvline(0, color=palette.muted, linewidth=1.2)
        for y, name in enumerate(names):
            if name in own:
                forest_line(axes, y, own[name], scale, palette)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.1)
    every[0].set_yticks(range(len(names)), [strategy_title(name) for name in names])
    every[0].set_ylim(len(names) - 0.4, -0.6)
    first = next(iter(found.values()))
    told = ", ".join(f"{strategy_title(n)} {d['difference']:+.3f}" for n, d in first.items())
    return Plot(figure=figure, label=f"Model minus baseline, with intervals: {told}")


def forest_line(
    axes: Any, y: float, found: Mapping[str, Any], scale: float, palette: Palette
) -> None:
    """A difference and its interval; hollow where the interval holds nothing."""
    value, low, high = found["difference"], found.get("low"), found.get("high")
    clear = low is None or high is None or low > 0 or high < 0
    if low is not None and high is not None:
        axes.plot([scale * low, scale * high], [y, y], color=palette.accent, linewidth=2.2,
                  alpha=0.55)  # fmt: skip
    axes.plot([scale * value], [y], "o", markersize=8, color=palette.accent, markeredgewidth=1.6,
              markerfacecolor=palette.accent if clear else palette.surface)  # fmt: skip


def _is_known(found: Mapping[str, Any] | None) -> bool:
    return bool(found) and found.get("difference") is not None  # type: ignore[union-attr]


def logits(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Where the setting that was best in one half of the time ranks in the other half."""
    found = report.get("overfitting") or {}
    values = np.asarray(
        [value for value in found.get("logits") or [] if value is not None], dtype=np.float64
    )
    if values.size == 0:
        return None
    figure, axes = one_axes("splits", palette, size=(NARROW[0], 210))
    widest = max(float(np.abs(values).max()), 0.5)
    edges = np.linspace(-widest, widest, 17)
    for chosen, colour in ((values <= 0, palette.bad), (values > 0, palette.accent)):
        axes.hist(values[chosen], bins=edges, color=colour, alpha=0.75)
    axes.axvline(0, color=palette.ink, linewidth=1.2)
    axes.set_xlabel("logit of its rank in the other half", fontsize=FONT)
    share = float((values <= 0).mean())
    return Plot(
        figure=figure,
        label=f"The setting chosen in one half ranks below the median of the other in {share:.0%}",
    )
