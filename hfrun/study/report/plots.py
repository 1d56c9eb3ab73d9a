"""The plots of a study: best of each scientific value, axes, best of n, importance."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.study.report.marks import colour_of, draw_border, draw_trial, spread
from hfrun.study.report.view import StudyView, short, value_name
from lob_backtest.report.plots.drawing import (
    NARROW,
    Palette,
    Plot,
    dress,
    new_figure,
    one_axes,
)

_ROW = 48  # user units a scientific value
_BAR = 30
_TENTH = 0.1  # of an axis: near its bound
_DODGE = 0.5  # of the room between two listed values, over which trials are spread


def isolation_plot(view: StudyView, isolation: Mapping[str, Any], palette: Palette) -> Plot | None:
    """A row a scientific value: its best trial with its spread, and below it all of its trials."""
    cells = isolation["values"]
    if not any(
        view.rows[number]["score"] is not None for cell in cells for number in cell["trials"]
    ):
        return None
    figure = new_figure((NARROW[0], 70 + _ROW * len(cells)))
    axes = figure.add_subplot()
    dress(axes, view.score_title, palette, grid="x")
    axes.set_xlim(view.scale.low, view.scale.high)
    is_coloured = cells == view.cells
    for y, cell in enumerate(cells):
        lost = [number for number in cell["trials"] if view.rows[number]["score"] is None]
        aside = dict(zip(lost, spread(len(lost), view.scale.strip_room), strict=True))
        for number in cell["trials"]:
            at = view.shown(number)
            if at is not None:
                look = view.look(number)
                draw_trial(axes, (at + aside.get(number, 0.0), y + 0.2), look, palette)
        if cell["best"] is not None:
            colour = colour_of(y if is_coloured else None, len(cells), palette)
            _best_of_cell(axes, y - 0.2, cell, view, colour)
    axes.set_yticks(
        range(len(cells)), [short(value_name(cell), 36).replace(", ", ",\n") for cell in cells]
    )
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(cells) - 0.45, -0.6)
    draw_border(axes, view.scale, palette, along="x")
    told = ", ".join(f"{cell['label']} {cell['best']:.4f}" for cell in cells
                     if cell["best"] is not None)  # fmt: skip
    return Plot(figure=figure, label=f"Best {view.score_title} by {isolation['name']}: {told}")


def _best_of_cell(
    axes: Any, y: float, cell: Mapping[str, Any], view: StudyView, colour: str
) -> None:
    """The best score, and between which ones it lies for other draws of as many trials."""
    if cell["low"] is not None and cell["high"] is not None:
        ends = [view.scale.shown(cell["low"]), view.scale.shown(cell["high"])]
        axes.plot(ends, [y, y], color=colour, linewidth=6, alpha=0.35)
    axes.plot([view.scale.shown(cell["best"])] * 2, [y - 0.14, y + 0.14], color=colour, linewidth=3)


def axis_plot(view: StudyView, axis: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Every trial's score by one hyperparameter; the tenths at the bounds are shaded."""
    points = [point for point in axis["points"] if view.shown(point["trial"]) is not None]
    if not points:
        return None
    figure, axes = one_axes(view.score_title, palette, size=NARROW)
    axes.set_ylim(view.scale.low, view.scale.high)
    aside = _aside(view, axis, points)
    for point in points:
        dx, dy = aside[point["trial"]]
        at = (point["x"] + dx, (view.shown(point["trial"]) or 0.0) + dy)
        draw_trial(axes, at, view.look(point["trial"]), palette)
    if axis["kind"] == "choice":
        labels = [short(label, max(6, 36 // len(axis["labels"]))) for label in axis["labels"]]
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    else:
        _range_axis(axes, axis, palette)
    axes.set_xlabel(axis["name"].replace("_", " "))
    draw_border(axes, view.scale, palette, along="y")
    label = f"{view.score_title}, of {len(points)} trials by {axis['name']}"
    return Plot(figure=figure, label=label)


def _aside(
    view: StudyView, axis: Mapping[str, Any], points: Sequence[Mapping[str, Any]]
) -> dict[int, tuple[float, float]]:
    """How far each trial is set aside, so that trials at one place do not hide each other.

    At a listed value the scientific values stand beside each other; trials of one place on the
    strip without a score are spread over it.
    """
    is_choice = axis["kind"] == "choice"
    by_cell = spread(len(view.cells), _DODGE if is_choice and axis["role"] == "nuisance" else 0.0)
    found = {
        point["trial"]: (0.0 if place is None else by_cell[place], 0.0)
        for point in points
        for place in [view.place(point["trial"])]
    }
    lost = [point for point in points if point["score"] is None]
    for x in {point["x"] for point in lost}:
        here = [point["trial"] for point in lost if point["x"] == x]
        room = _DODGE if is_choice else view.scale.strip_room
        for trial, off in zip(here, spread(len(here), room), strict=True):
            found[trial] = (off, 0.0) if is_choice else (0.0, off)
    return found


def _range_axis(axes: Any, axis: Mapping[str, Any], palette: Palette) -> None:
    if axis["log"]:
        axes.set_xscale("log")
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=5)
    for bound, inner in ((0.0, _TENTH), (1.0, 1 - _TENTH)):
        axes.axvspan(_value_at(axis, bound), _value_at(axis, inner), color=palette.line, alpha=0.5,
                     linewidth=0, zorder=0)  # fmt: skip
    axes.set_xlim(_value_at(axis, -0.04), _value_at(axis, 1.04))


def _value_at(axis: Mapping[str, Any], place: float) -> float:
    """The value at a place from 0 to 1 on the axis's own scale."""
    low, high = float(axis["low"]), float(axis["high"])
    return low * (high / low) ** place if axis["log"] else low + (high - low) * place


def best_of_n_plot(view: StudyView, palette: Palette) -> Plot | None:
    """The best score to expect of n trials, with its band; the last quarter is shaded."""
    found = view.analysis["best_of_n"]
    if len(found["n"]) < 2:
        return None
    figure, axes = one_axes(view.score_title, palette, size=NARROW)
    last, count = found["expected"][-1], found["n"][-1]
    axes.axvspan(0.75 * count, count, color=palette.line, alpha=0.5, linewidth=0, zorder=0)
    axes.fill_between(found["n"], found["low"], found["high"], color=palette.accent, alpha=0.2,
                      linewidth=0)  # fmt: skip
    axes.plot(found["n"], found["expected"], color=palette.accent, linewidth=2)
    axes.locator_params(axis="x", nbins=6, integer=True)
    axes.set_xlim(found["n"][0], count)
    axes.set_xlabel("trials")
    told = f"{found['expected'][0]:.4f} of 1 trial, {last:.4f} of {count}"
    return Plot(figure=figure, label=f"Expected best {view.score_title}: {told}")


def importance_plot(view: StudyView, palette: Palette) -> Plot | None:
    """A bar a hyperparameter: what shuffling it costs, in variances of the score."""
    items = view.analysis["importance"]["items"]
    if not items:
        return None
    figure = new_figure((NARROW[0], 62 + _BAR * len(items)))
    axes = figure.add_subplot()
    dress(axes, "in parts of the score's variance", palette, grid="x")
    shares = [item["share"] for item in items]
    axes.barh(range(len(items)), shares, height=0.5, color=palette.accent, alpha=0.75,
              xerr=[2 * item["sd"] for item in items],
              error_kw={"ecolor": palette.ink, "elinewidth": 1.2})  # fmt: skip
    axes.axvline(0, color=palette.muted, linewidth=1)
    axes.set_yticks(range(len(items)), [short(item["name"].replace("_", " ")) for item in items])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(items) - 0.4, -0.6)
    told = ", ".join(f"{item['name']} {item['share']:.2f}" for item in items)
    return Plot(figure=figure, label=f"Importance of each hyperparameter: {told}")
