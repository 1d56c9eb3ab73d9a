"""How each fold ended, in a strip that is read without colour alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lob_backtest.report.plots.drawing import FONT, WIDE, Palette, Plot, new_figure

# Cells beside each other: with their figure where the folds are few, else a mark alone.
_WITH_FIGURES, _MARKS_ALONE = 8, 20
_MOST_WITH_FIGURES = 40
_NAMES = 46  # user units for the rows' names


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a fold ended in one respect: 1 well, 0 in between, -1 badly, None unknown."""

    mark: int | None
    figure: str


def lift_of(fold: Mapping[str, Any], report: Mapping[str, Any]) -> Outcome:
    """Lift of weighted F1: well from the required lift on, badly below the baseline."""
    baseline = report.get("baseline")
    if baseline is None:
        return Outcome(mark=None, figure="")
    lift = fold["f1_weighted"] - fold["baselines"][baseline]["f1_weighted"]
    needed = (report.get("rules") or {}).get("f1_lift", 0.0)
    return Outcome(mark=1 if lift >= needed - 1e-12 else -int(lift < 0), figure=f"{lift:+.2f}")


def net_of(fold: Mapping[str, Any], *, places: int) -> Outcome:
    """Net return: well above 0, badly below, in between where nothing was traded."""
    net = fold.get("net_return")
    if net is None:
        return Outcome(mark=None, figure="")
    return Outcome(mark=int(np.sign(net)), figure=f"{100 * net:+.{places}f}")


def strip(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """Two cells a fold, lift above and net return below, with a mark and a colour each."""
    earned = [abs(fold.get("net_return") or 0.0) for fold in report["folds"]]
    places = 1 if max(earned, default=0.0) >= 0.1 else 2  # of a percent
    rows = {
        "lift": [lift_of(fold, report) for fold in report["folds"]],
        "net, %": [net_of(fold, places=places) for fold in report["folds"]],
    }
    rows = {name: own for name, own in rows.items() if any(o.mark is not None for o in own)}
    if not rows:
        return None
    told = "; ".join(
        f"{name}: {sum(o.mark == 1 for o in own)} of {len(own)} well" for name, own in rows.items()
    )
    numbers = [fold["fold"] for fold in report["folds"]]
    return Plot(figure=_bands(numbers, rows, palette), label=f"How each fold ended. {told}")


def _bands(numbers: Sequence[int], rows: Mapping[str, Sequence[Outcome]], palette: Palette) -> Any:
    """The cells of all folds, in as many bands below each other as they need."""
    with_figures = len(numbers) <= _MOST_WITH_FIGURES
    a_band = _WITH_FIGURES if with_figures else _MARKS_ALONE
    bands = -(-len(numbers) // a_band)
    a_cell = (WIDE[0] - _NAMES) / a_band  # user units, in width
    high = 36 if with_figures else a_cell
    a_band_high = len(rows) * high + 26
    figure = new_figure((WIDE[0], bands * a_band_high), laid_out=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDE[0])
    axes.set_ylim(bands * a_band_high, 0)
    for i, number in enumerate(numbers):
        band, place = divmod(i, a_band)
        x, top = _NAMES + a_cell * (place + 0.5), band * a_band_high
        if with_figures or place % 5 == 0:
            _write(axes, x, top + 10, str(number), palette.muted)
        for k, outcomes in enumerate(rows.values()):
            y = top + 20 + high * (k + 0.5)
            _cell(axes, (x, y), (a_cell, high), outcomes[i], palette, with_figure=with_figures)
    for band in range(bands):
        top = band * a_band_high
        _write(axes, 2, top + 10, "fold", palette.muted, side="left")
        for k, name in enumerate(rows):
            _write(axes, 2, top + 20 + high * (k + 0.5), name, palette.ink, side="left")
    return figure


def _cell(
    axes: Any,
    middle: tuple[float, float],
    size: tuple[float, float],
    outcome: Outcome,
    palette: Palette,
    *,
    with_figure: bool,
) -> None:
    from matplotlib.patches import Rectangle

    if outcome.mark is None:
        return
    (x, y), (width, high) = middle, size
    colour = {1: palette.good, 0: palette.muted, -1: palette.bad}[outcome.mark]
    corner = (x - width / 2 + 1, y - high / 2 + 1)
    axes.add_patch(
        Rectangle(corner, width - 2, high - 2, facecolor=colour, alpha=0.16, linewidth=0)
    )
    shape, size_of_mark = {1: ("^", 8), 0: ("o", 5), -1: ("v", 8)}[outcome.mark]
    at = y - 7 if with_figure else y
    axes.plot([x], [at], shape, color=colour, markersize=size_of_mark)
    if with_figure:
        _write(axes, x, y + 9, outcome.figure.replace("-", "\u2212"), palette.ink)


def _write(axes: Any, x: float, y: float, words: str, colour: str, *, side: str = "center") -> None:
    axes.text(x, y, words, ha=side, va="center", color=colour, fontsize=FONT - 1)
