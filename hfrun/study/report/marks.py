"""How a trial looks in every plot of a study: its scientific value gives colour and shape.

Filled: it may be chosen. Hollow: it misses a constraint. A cross: it has no score of its own, as
it diverged, failed or was pruned; crosses stand on a strip at the bad side of the scores. A ring:
the best trial. Scores far behind the better half are drawn pale at the edge, so that one bad trial
does not press all others into a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lob_backtest.report.plots.drawing import DASHED, Palette
from lob_backtest.report.words import text

# Six colours and seven shapes have no common divisor: 42 values that all look different.
_SHAPES = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("p", "⬟"))
_COLOURS = 6
_BEYOND = 3.0  # times the span of the better half behind it: further scores go to the edge
_ROOM = 0.08  # of the span, on both sides
_STRIP = 0.22  # of the span, from the worst score to the trials without one
_SIZE = 36


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The range of scores that all plots of a study share.

    Args:
        low, high: of the axis, the strip included.
        worst: scores beyond it are drawn on it.
        strip: where trials without a score stand; None where there are none.
        ahead: 1 where more is better, else -1.
    """

    low: float
    high: float
    worst: float
    strip: float | None
    ahead: int

    def shown(self, score: float | None) -> float | None:
        """Where a trial of this score is drawn."""
        if score is None:
            return self.strip
        return max(score, self.worst) if self.ahead > 0 else min(score, self.worst)

    def is_cut(self, score: float) -> bool:
        """Whether a score is too far behind to be drawn where it belongs."""
        return self.ahead * score < self.ahead * self.worst

    @property
    def border(self) -> float | None:
        """Between the scores and the strip."""
        return None if self.strip is None else (self.worst + self.strip) / 2


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the marks tell of a trial; ``place`` is that of its scientific value."""

    place: int | None
    n_cells: int
    status: str
    is_best: bool
    is_cut: bool


def scale_of(scores: Sequence[float], *, higher_is_better: bool, with_strip: bool) -> Scale:
    """The scale of a study's scores; of none or equal ones a range around them."""
    ahead = 1 if higher_is_better else -1
    found = np.sort(ahead * np.array(scores if len(scores) else [0.0], dtype=float))
    best, middle = found[-1], np.median(found)
    limit = middle - _BEYOND * (best - middle)
    worst = found[found >= limit][0]  # the last one that is not too far behind
    span = (best - worst) or 0.1 * abs(best) or 1.0
    strip = worst - _STRIP * span
    ends = [best + _ROOM * span, (strip if with_strip else worst) - _ROOM * span]
    low, high = sorted(ahead * float(end) for end in ends)
    return Scale(low=low, high=high, worst=ahead * float(worst),
                 strip=ahead * float(strip) if with_strip else None, ahead=ahead)  # fmt: skip


def colour_of(place: int | None, n_cells: int, palette: Palette) -> str:
    """Of a scientific value by its place among all; one colour where there is only one."""
    if place is None or n_cells < 2:
        return palette.accent
    return palette.strategies[place % _COLOURS]


def draw_trial(axes: Any, at: tuple[float, float], look: Look, palette: Palette) -> None:
    """One trial as a mark."""
    if look.status not in ("done", "infeasible"):
        axes.scatter(*at, marker="x", s=_SIZE, color=palette.bad, linewidth=1.7, zorder=4)
        return
    colour = colour_of(look.place, look.n_cells, palette)
    is_hollow = look.status == "infeasible"
    axes.scatter(
        *at,
        marker=_SHAPES[(look.place or 0) % len(_SHAPES)][0],
        s=_SIZE,
        facecolor="none" if is_hollow else colour,
        edgecolor=colour,
        alpha=0.35 if look.is_cut else 1.0 if is_hollow else 0.85,
        linewidth=1.4 if is_hollow else 0.0,
        zorder=3,
    )
    if look.is_best:
        axes.scatter(*at, marker="o", s=4 * _SIZE, facecolor="none", edgecolor=palette.ink,
                     linewidth=1.5, zorder=5)  # fmt: skip


def draw_border(axes: Any, scale: Scale, palette: Palette, *, along: str) -> None:
    """Set the strip of trials without a score apart, and leave it without ticks."""
    if scale.border is None:
        return
    line = axes.axhline if along == "y" else axes.axvline
    line(scale.border, color=palette.muted, linewidth=0.8, linestyle=DASHED, zorder=1)
    axis = axes.yaxis if along == "y" else axes.xaxis
    ahead, border = scale.ahead, scale.border
    axis.set_ticks([tick for tick in axis.get_majorticklocs() if ahead * tick > ahead * border])


def legend(labels: Sequence[str], *, hollow: bool, lost: bool, cut: bool, best: int | None) -> str:
    """What the marks mean, as HTML: the scientific values, then only the marks that occur."""
    items = [
        (_SHAPES[place % len(_SHAPES)][1], f"strategy-{place % _COLOURS}", label)
        for place, label in enumerate(labels)
        if len(labels) > 1
    ]
    if hollow:
        items.append(("○", "muted", "hollow: misses a constraint"))
    if lost:
        items.append(("×", "bad", "no score: diverged, failed or pruned"))
    if cut:
        items.append(("◦", "muted", "pale: worse than the edge where it is drawn"))
    if best is not None:
        items.append(("◎", "ink", f"ringed: trial {best}, the best"))
    points = "".join(
        f'<li><b style="color:var(--{variable})">{sign}</b> {text(words)}</li>'
        for sign, variable, words in items
    )
    return f'<ul class="legend">{points}</ul>' if points else ""
