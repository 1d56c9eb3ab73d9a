"""The plots of a report on texts: reliability, accuracy by confidence, classes, differences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lob_backtest.report.plots.drawing import (
    DASHED,
    NARROW,
    PAGE,
    Palette,
    Plot,
    dress,
    new_figure,
    one_axes,
    page_svg,
)
from lob_backtest.report.plots.slices import differences

MOST_CLASSES = 24  # lines of a drawing
_FEWEST = 30  # texts; an accuracy of fewer is not drawn
_TICKS = (0.2, 0.4, 0.6, 0.8, 1.0)


def text_drawing(report: Mapping[str, Any], name: str) -> str:
    """A plot as an SVG element for the page; nothing where the report lacks what it shows."""
    plot = TEXT_PLOTS[name](report, PAGE)
    return "" if plot is None else page_svg(plot)


def _reliability(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Accuracy against confidence in bins, with intervals; points grow with their texts."""
    bins = [each for each in report["reliability"] if each["n"]]
    if not bins:
        return None
    at = np.array([each["confidence"] for each in bins])
    got, low, high = (
        np.array([each[key] for each in bins])
        for key in ("accuracy", "accuracy_low", "accuracy_high")
    )
    share = np.array([each["n"] for each in bins]) / sum(each["n"] for each in bins)
    figure, axes = one_axes("accuracy", palette, size=NARROW)
    axes.plot([0, 1], [0, 1], linestyle=DASHED, color=palette.muted, linewidth=1.2)
    axes.vlines(at, low, high, color=palette.accent, linewidth=2, alpha=0.4)
    axes.scatter(at, got, s=18 + 420 * share, color=palette.accent, linewidth=0, zorder=3)
    _confidence_axis(axes, report, "confidence in the class it says")
    axes.set_ylim(0, 1)
    ece = report["aggregate"]["ece"]["value"]
    return Plot(
        figure=figure,
        label=f"Accuracy against confidence; expected calibration error {ece:.3f}",
    )


def _confidence(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Accuracy of the texts at least so confident, and below it how many they are."""
    rows = [row for row in report["confidence"] if row["n"] >= _FEWEST]
    if len(rows) < 2:
        return None
    at = [row["threshold"] for row in rows]
    figure = new_figure(NARROW)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    dress(axes, "accuracy", palette)
    dress(below, "share of texts", palette)
    low, high = ([row[side] for row in rows] for side in ("low", "high"))
    axes.fill_between(at, low, high, color=palette.accent, alpha=0.18, linewidth=0)
    axes.plot(at, [row["accuracy"] for row in rows], "o-", color=palette.accent, markersize=5)
    axes.set_ylim(0, 1)
    below.bar(at, [row["share"] for row in rows], width=0.03, color=palette.accent, alpha=0.7)
    below.set_ylim(0, 1)
    below.set_yticks([0, 1], ["0", "1"])
    _confidence_axis(below, report, "confidence of at least")
    first, last = rows[0], rows[-1]
    return Plot(
        figure=figure,
        label=f"Accuracy by minimum confidence: {first['accuracy']:.3f} of all texts, "
        f"{last['accuracy']:.3f} of the {last['n']} from {last['threshold']:.2f} on",
    )


def _confidence_axis(axes: Any, report: Mapping[str, Any], words: str) -> None:
    """From just below what a guess among all classes is worth."""
    least = 1 / len(report["label_names"])
    axes.set_xlim(max(0.0, least - 0.05), 1.02)
    axes.set_xticks([tick for tick in _TICKS if tick >= least])
    axes.set_xlabel(words)


def _classes(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Recall and precision of every class, with intervals."""
    rows = report["per_class"]
    if not 0 < len(rows) <= MOST_CLASSES:
        return None
    figure = new_figure((NARROW[0], max(NARROW[1], 76 + 24 * len(rows))))
    figure.get_layout_engine().set(wspace=0.1)  # so that the ends of the two axes stay apart
    recall, precision = figure.subplots(1, 2, sharey=True)
    for axes, key in ((recall, "recall"), (precision, "precision")):
        dress(axes, key, palette, grid="x")
        _shares(axes, rows, key, palette)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.tick_params(axis="y", length=0)
    recall.set_yticks(range(len(rows)), [_short(row["label"]) for row in rows])
    recall.set_ylim(len(rows) - 0.4, -0.6)
    told = ", ".join(
        f"{row['label']} {row['recall']:.2f}" for row in rows if row["recall"] is not None
    )
    return Plot(figure=figure, label=f"Recall and precision by class; recall: {told}")


def _shares(axes: Any, rows: Sequence[Mapping[str, Any]], key: str, palette: Palette) -> None:
    for y, row in enumerate(rows):
        if row[key] is not None:
            interval = [row[f"{key}_low"], row[f"{key}_high"]]
            axes.plot(interval, [y, y], color=palette.accent, linewidth=2.2, alpha=0.55)
            axes.plot([row[key]], [y], "o", color=palette.accent, markersize=7)


def _short(name: str, most: int = 16) -> str:
    """A class name that leaves room for the drawing; its dollars are no mathematics."""
    name = name if len(name) <= most else f"{name[: most - 1]}\u2026"
    return name.replace("$", r"\$")


TEXT_PLOTS: Mapping[str, Callable[[Mapping[str, Any], Palette], Plot | None]] = {
    "reliability": _reliability,
    "confidence": _confidence,
    "classes": _classes,
    "differences": differences,
}
