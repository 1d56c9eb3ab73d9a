"""The picture of a range test: loss over rate, on a logarithmic axis, with what it suggests."""

from typing import Any

import numpy as np

from hfrun.training.range_test import RangeTest
from lob_backtest.report.plots.drawing import DASHED, FILE, FONT, Plot, one_axes

_SIZE = (640, 380)
DOTTED = (0, (1.2, 1.6))
_ROOM = 0.15  # of the smoothed curve's height, above and below it


def range_plot(test: RangeTest) -> Plot:
    """Each loss without its batch's luck as a dot, the smoothed loss as a line, the marks.

    The axis fits the smoothed curve: a dot beyond it stands at the edge as a small arrow.
    """
    title = "training loss, compared with the untouched weights on the same batch"
    figure, axes = one_axes(title, FILE, size=_SIZE)
    axes.set_xscale("log")
    axes.set_xlim(test.options.start / 1.15, test.options.end * 1.15)
    low, high = _heights(test)
    axes.set_ylim(low, high)
    _dots(axes, test, low=low, high=high)
    level = float(test.untouched.mean())
    axes.axhline(level, color=FILE.muted, linewidth=0.8, linestyle=DASHED, zorder=1)
    axes.plot(
        test.rates, test.smoothed, color=FILE.accent, linewidth=2.4, zorder=4, label="smoothed"
    )
    _marks(axes, test)
    axes.set_xlabel("learning rate")
    axes.grid(axis="x", color=FILE.line, linewidth=0.5)
    axes.legend(
        loc="lower left", fontsize=FONT * 0.85, labelcolor=FILE.ink, facecolor=FILE.surface,
        edgecolor=FILE.line, framealpha=0.9,
    )  # fmt: skip
    return Plot(figure=figure, label=_label(test))


def _heights(test: RangeTest) -> tuple[float, float]:
    """What the axis spans: the smoothed curve up to the lowest, and where it began, with room."""
    level = float(test.untouched.mean())
    lowest = int(np.argmin(test.smoothed))
    falling = test.smoothed[: lowest + 1]
    height = max(level - float(falling.min()), 1e-6)
    spread = float(np.percentile(np.abs(test.paired - test.smoothed), 80))
    room = max(_ROOM * height, 1.5 * spread)
    top = min(float(test.smoothed.max()), level + height)
    return float(falling.min()) - room, max(level, top) + room


def _dots(axes: Any, test: RangeTest, *, low: float, high: float) -> None:
    inside = (test.paired > low) & (test.paired < high)
    axes.plot(
        test.rates[inside], test.paired[inside], "o", color=FILE.muted, alpha=0.55, markersize=3.2,
        markeredgewidth=0, zorder=2, label="each step",
    )  # fmt: skip
    for beyond, place, marker in ((test.paired >= high, high, "^"), (test.paired <= low, low, "v")):
        axes.plot(
            test.rates[beyond], np.full(int(beyond.sum()), place), marker, color=FILE.muted,
            alpha=0.7, markersize=5, markeredgewidth=0, clip_on=False, zorder=2,
        )  # fmt: skip


def _marks(axes: Any, test: RangeTest) -> None:
    """A line for each suggestion, and a point where the loss is lowest."""
    found = test.suggestion
    if found.lowest is None:
        return
    for rate, words, colour, style in (
        (found.steepest, "falls fastest", FILE.good, "-"),
        (found.tenth, "a tenth of the lowest's", FILE.bad, DASHED),
        (found.third, "a third of it, for a peak", FILE.ink, DOTTED),
    ):
        axes.axvline(
            rate, color=colour, linewidth=1.6, linestyle=style, zorder=3,
            label=f"{words}: {rate:.1e}",
        )  # fmt: skip
    place = int(np.argmin(test.smoothed))
    axes.plot(
        [found.lowest], [test.smoothed[place]], "o", color=FILE.accent, markersize=8, zorder=5,
        label=f"lowest: {found.lowest:.1e}",
    )  # fmt: skip


def _label(test: RangeTest) -> str:
    found = test.suggestion
    if found.steepest is None or found.tenth is None:
        return "Loss over learning rate; " + " ".join(found.notes)
    return (
        f"Loss over learning rate: it falls fastest at {found.steepest:.2e}; a tenth of the rate "
        f"where it is lowest is {found.tenth:.2e}"
    )
