"""Reliability, accuracy by confidence, and weighted F1 fold by fold."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lob_backtest.contenders import MODEL
from lob_backtest.report.plots.drawing import (
    DASHED,
    NARROW,
    Palette,
    Plot,
    dress,
    new_figure,
    one_axes,
)

_CONFIDENCE_TICKS = (0.4, 0.6, 0.8, 1.0)  # none in the corner, where another axis has its own
_FEWEST = 30  # decisions; an accuracy of fewer is not drawn


def reliability(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Accuracy against confidence in bins; the area of a point grows with its decisions."""
    bins = [item for item in report.get("reliability") or [] if item["n"]]
    if not bins:
        return None
    confidence = [item["confidence"] for item in bins]
    accuracy = [item["accuracy"] for item in bins]
    share = np.array([item["n"] for item in bins]) / sum(item["n"] for item in bins)
    figure, axes = one_axes("accuracy", palette, size=NARROW)
    axes.plot([0, 1], [0, 1], linestyle=DASHED, color=palette.muted, linewidth=1.2)
    for at, got in zip(confidence, accuracy, strict=True):
        axes.plot([at, at], [at, got], color=palette.line, linewidth=2)
    axes.plot(confidence, accuracy, color=palette.accent, linewidth=1.2, alpha=0.6)
    axes.scatter(
        confidence, accuracy, s=18 + 420 * share, color=palette.accent, linewidth=0, zorder=3
    )
    axes.set_xlim(0.3, 1.0)
    axes.set_xticks(_CONFIDENCE_TICKS)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence in the class it says")
    ece = (report["aggregate"].get("ece") or {}).get("value")
    error = "" if ece is None else f"; expected calibration error {ece:.3f}"
    return Plot(figure=figure, label=f"Accuracy against confidence{error}")


def confidence(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Accuracy of the decisions at least so confident, and below it how many they are."""
    rows = [row for row in report.get("confidence") or [] if row["n"] >= _FEWEST]
    if len(rows) < 2:
        return None
    at = [row["threshold"] for row in rows]
    figure = new_figure(NARROW)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    dress(axes, "accuracy", palette)
    dress(below, "share of decisions", palette)
    low, high = ([row.get(side) for row in rows] for side in ("low", "high"))
    if None not in (*low, *high):
        axes.fill_between(at, low, high, color=palette.accent, alpha=0.18, linewidth=0)
    axes.plot(at, [row["accuracy"] for row in rows], "o-", color=palette.accent, markersize=5)
    axes.set_ylim(0, 1)
    below.bar(at, [row["share"] for row in rows], width=0.035, color=palette.accent, alpha=0.7)
    below.set_ylim(0, 1)
    below.set_xlim(0.3, 1.0)
    below.set_xticks(_CONFIDENCE_TICKS)
    below.set_yticks([0, 1], ["0", "1"])
    below.set_xlabel("confidence of at least")
    first, last = rows[0], rows[-1]
    label = (
        f"Accuracy by minimum confidence: {first['accuracy']:.3f} of all decisions, "
        f"{last['accuracy']:.3f} of the {last['n']} from {last['threshold']:.2f} on"
    )
    return Plot(figure=figure, label=label)


def scores(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Weighted F1 of every fold against the baseline and the lift that is required."""
    folds, baseline = report["folds"], report.get("baseline")
    place = np.arange(len(folds))
    large = max(4.0, 9.0 - len(folds) / 10)  # points of many folds would cover each other
    figure, axes = one_axes("weighted F1", palette, size=NARROW)
    own = np.array([fold["f1_weighted"] for fold in folds])
    if baseline is not None:
        other = np.array([fold["baselines"][baseline]["f1_weighted"] for fold in folds])
        axes.vlines(
            place, np.minimum(own, other), np.maximum(own, other), color=palette.line, linewidth=3
        )
        names = [MODEL, *report["aggregate"]["baselines"]]
        axes.plot(
            place, other, "o", color=palette.strategy(baseline, names), markersize=0.78 * large
        )
        lift = (report.get("rules") or {}).get("f1_lift")
        if lift is not None:
            needed = other + lift
            axes.hlines(needed, place - 0.22, place + 0.22, color=palette.ink, linewidth=1.6)
    axes.plot(place, own, "o", color=palette.accent, markersize=large)
    axes.set_xlim(-0.6, len(folds) - 0.4)
    shown = place[:: max(1, len(folds) // 12)]
    axes.set_xticks(shown, [str(folds[i]["fold"]) for i in shown])
    axes.set_xlabel("fold")
    axes.margins(y=0.15)
    told = ", ".join(f"{fold['f1_weighted']:.3f}" for fold in folds)
    return Plot(figure=figure, label=f"Weighted F1 of the model, fold by fold: {told}")
