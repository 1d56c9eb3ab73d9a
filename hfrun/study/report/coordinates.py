"""Parallel coordinates, laid on their side: a line for each axis, so that any number fits a phone.

learning rate  |----------x--x-----|     a trial is a line down through its values,
weight decay   |---x----------x----|     to its score
score          |-----------------xx|
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.study.grid import value_label
from hfrun.study.report.marks import Scale, colour_of
from hfrun.study.report.view import StudyView, short
from lob_backtest.report.plots.drawing import FONT, NARROW, Palette, Plot, new_figure

_ROW = 62
_SMALL = 10.5
_NOT_SET = 1.2  # where a trial stands on the axis of a conditional value that it does not have
_APART = 0.16  # of an axis: room for a label beside another
_SHARE, _MOST = 4, 8  # of so many the best are in colour, and at most so many in all


def coordinates_plot(view: StudyView, palette: Palette) -> Plot | None:
    """Every explored trial from axis to axis down to its score; the best quarter in colour."""
    found = view.analysis["parallel"]
    if len(found["lines"]) < 2 or not found["axes"]:
        return None
    n_axes = len(found["axes"])
    figure = new_figure((NARROW[0], 20 + _ROW * (n_axes + 1)))
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_axis_off()
    has_gap = any(None in line["places"] for line in found["lines"])
    for y, axis in enumerate(found["axes"]):
        _axis_line(axes, y, axis, palette)
        if any(line["places"][y] is None for line in found["lines"]):
            _label(axes, _NOT_SET, y, "not set", "center", palette)
    _score_line(axes, n_axes, view, palette)
    ranked = sum(line["rank"] is not None for line in found["lines"])
    last = min(max(ranked // _SHARE, 1), _MOST)
    faint = min(0.55, max(0.15, 12 / len(found["lines"])))
    for line in sorted(found["lines"], key=_rank, reverse=True):
        _trial_line(axes, line, view, palette, faint=None if _rank(line) <= last else faint)
    axes.set_xlim(-0.02, _NOT_SET + 0.1 if has_gap else 1.02)
    axes.set_ylim(n_axes + 0.5, -0.45)
    return Plot(figure=figure, label=f"{len(found['lines'])} trials by {n_axes} hyperparameters "
                "and their score")  # fmt: skip


def _rank(line: Mapping[str, Any]) -> float:
    return math.inf if line["rank"] is None else float(line["rank"])


def _axis_line(axes: Any, y: int, axis: Mapping[str, Any], palette: Palette) -> None:
    axes.plot([0, 1], [y, y], color=palette.muted, linewidth=1.2, zorder=1)
    name = axis["name"].replace("_", " ")
    _name(axes, y, name, palette)
    labels: Sequence[str] = axis["labels"]
    if not labels:
        labels = [value_label(float(axis[side])) for side in ("low", "high")]
    for index, label in enumerate(labels):
        x = index / max(len(labels) - 1, 1)
        axes.plot([x, x], [y - 0.05, y + 0.05], color=palette.muted, linewidth=1.2, zorder=1)
        shown = short(label, max(5, 36 // len(labels)))
        _label(axes, x, y, shown, _side(index, len(labels)), palette)


def _side(index: int, count: int) -> str:
    return "left" if index == 0 else "right" if index == count - 1 else "center"


def _name(axes: Any, y: int, words: str, palette: Palette) -> None:
    axes.text(0, y - 0.12, words, fontsize=FONT, color=palette.ink, va="bottom", zorder=6,
              bbox=_behind(palette))  # fmt: skip


def _label(axes: Any, x: float, y: float, words: str, side: str, palette: Palette) -> None:
    axes.text(x, y + 0.09, words, fontsize=_SMALL, color=palette.muted, ha=side, va="top", zorder=6,
              bbox=_behind(palette))  # fmt: skip


def _behind(palette: Palette) -> dict[str, Any]:
    """A ground behind letters, so that lines do not run through them."""
    return {"facecolor": palette.surface, "edgecolor": "none", "pad": 0.6, "alpha": 0.9}


def _score_line(axes: Any, y: int, view: StudyView, palette: Palette) -> None:
    """The last axis; the better scores are always at its right."""
    scale = view.scale
    axes.plot([0, 1], [y, y], color=palette.ink, linewidth=1.6, zorder=1)
    _name(axes, y, f"validation {view.metric}", palette)
    if scale.strip is not None:
        _label(axes, 0, y, "no score", "left", palette)
    if scale.best is not None:
        if scale.strip is None or _place(scale.worst, scale) > _APART:
            _label(axes, _place(scale.worst, scale), y, f"{scale.worst:.4g}", "left", palette)
        _label(axes, 1, y, f"{scale.best:.4g}", "right", palette)


def _place(score: float, scale: Scale) -> float:
    """From 0 for the bad end of the axis to 1 for the good."""
    place = (score - scale.low) / (scale.high - scale.low)
    return place if scale.ahead > 0 else 1 - place


def _trial_line(
    axes: Any, line: Mapping[str, Any], view: StudyView, palette: Palette, *, faint: float | None
) -> None:
    """One trial, in colour or so faint."""
    shown = view.shown(line["trial"])
    if shown is None:
        return
    xs = [_NOT_SET if x is None else x for x in line["places"]] + [_place(shown, view.scale)]
    colour = palette.bad if line["score"] is None else palette.muted
    how: dict[str, Any] = {"linewidth": 0.9, "alpha": faint, "linestyle": "-", "zorder": 2}
    if faint is None:
        colour = colour_of(view.place(line["trial"]), len(view.cells), palette)
        how |= {"linewidth": 2.2, "alpha": 0.95, "zorder": 4}
    elif line["status"] != "done":
        how["linestyle"] = (0, (2, 2))
    axes.plot(xs, range(len(xs)), color=colour, **how)
