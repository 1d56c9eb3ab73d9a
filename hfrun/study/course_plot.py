"""The course of trainings, drawn: cross-entropy above, another measure below, by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.study.sweep_tables import title
from lob_backtest.report.plots.drawing import DASHED, NARROW, Palette, Plot, dress, new_figure

_SIZE = (NARROW[0], 340)
ACCURACY = "eval_accuracy"
Limits = Mapping[str, tuple[float, float]]


def course_limits(
    trials: Sequence[Mapping[str, Any]], *, measure: str = ACCURACY
) -> dict[str, tuple[float, float]]:
    """One range of losses and one of the measure for all trials, so that their curves compare."""
    limits = {}
    for name, *kinds in _halves(measure):
        found = [
            point[kind]
            for trial in trials
            for point in trial["curve"]
            for kind in kinds
            if point.get(kind) is not None
        ]
        if found:
            room = 0.05 * (max(found) - min(found)) or 0.05
            limits[name] = (min(found) - room, max(found) + room)
    return limits


def course_plot(
    trials: Sequence[Mapping[str, Any]],
    limits: Limits,
    palette: Palette,
    *,
    label: str,
    measure: str = ACCURACY,
    marked: Sequence[tuple[int, float]] = (),
) -> Plot | None:
    """A line a trial: validation full, train dashed, a dot at the chosen checkpoint.

    Args:
        trials: each with ``curve`` and ``validation``, whose ``step`` is the chosen checkpoint's.
        limits: as ``course_limits`` gives them.
        label: what the plot is of, in words.
        measure: by its name in the log; of a loss, which is drawn above, accuracy is drawn.
        marked: where to draw an upright line: 0 for the upper half or 1, and the epoch.
    """
    trials = [trial for trial in trials if trial["curve"]]
    if not trials:
        return None
    figure = new_figure(_SIZE)
    both = figure.subplots(2, 1, sharex=True)
    halves = _halves(measure)
    for half, (axes, (name, train, evaluated)) in enumerate(zip(both, halves, strict=True)):
        dress(axes, name, palette)
        for trial in trials:
            _line(axes, trial["curve"], train, color=palette.muted, linestyle=DASHED)
            _line(axes, trial["curve"], evaluated, color=palette.accent, linewidth=1.8)
            _chosen(axes, trial, evaluated, palette)
        for epoch in [epoch for at, epoch in marked if at == half]:
            axes.axvline(epoch, color=palette.bad, linewidth=1.2, linestyle=DASHED, zorder=1)
        if name in limits:
            axes.set_ylim(*limits[name])
    both[-1].set_xlabel("epoch")
    both[-1].locator_params(axis="x", nbins=8, integer=True)
    return Plot(figure=figure, label=f"Cross-entropy and {halves[1][0]} by epoch with {label}")


def _halves(measure: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """What is drawn in each half: title, on train, on validation."""
    shown = ACCURACY if "loss" in measure or not measure.startswith("eval_") else measure
    other = (title(shown), shown.replace("eval_", "train_", 1), shown)
    return ("cross-entropy", "train_cross_entropy", "eval_loss"), other


def _line(axes: Any, curve: Sequence[Mapping[str, Any]], key: str, **how: Any) -> None:
    points = [(point["epoch"], point[key]) for point in curve if point.get(key) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), **{"linewidth": 1.2, **how})


def _chosen(axes: Any, trial: Mapping[str, Any], key: str, palette: Palette) -> None:
    """A dot where the checkpoint was chosen."""
    at = [point for point in trial["curve"] if point["step"] == trial["validation"].get("step")]
    if at and at[0].get(key) is not None:
        axes.plot([at[0]["epoch"]], [at[0][key]], "o", color=palette.accent, markersize=5)
