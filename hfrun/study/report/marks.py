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
_BEYOND = 2.0  # times the span of the better half behind it: further scores go to the edge
_ROOM = 0.08  # of the span, on both sides
_STRIP = 0.22  # of the span, from the worst score to the trials without one
_SIZE = 36


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The range of scores that all plots of a study share.

    Args:
        low, high: of the axis, the strip included.
        best: score; None without any.
        worst: scores beyond it are drawn on it.
        strip: where trials without a score stand; None where there are none.
        ahead: 1 where more is better, else -1.
    """

    low: float
    high: float
    best: float | None
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
        """Between the scores and the strip; None where there is one of them alone."""
        if self.strip is None or self.best is None:
            return None
        return (self.worst + self.strip) / 2

    @property
    def strip_room(self) -> float:
        """Over how much of the strip trials at one place are spread."""
        if self.strip is None:
            return 0.0
        border = self.high if self.border is None else self.border
        return 1.4 * abs(border - self.strip)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the marks tell of a trial; ``place`` is that of its scientific value."""

    place: int | None
    n_cells: int
    status: str
    is_best: bool
    is_cut: bool


def scale_of(scores: Sequence[float], *, higher_is_better: bool, with_strip: bool) -> Scale:
    """The scale of a study's scores; of equal ones a range around them, of none the strip alone."""
    ahead = 1 if higher_is_better else -1
    if not len(scores):
        return Scale(low=0.0, high=1.0, best=None, worst=0.0, strip=0.5, ahead=ahead)
    found = np.sort(ahead * np.array(scores, dtype=float))
    best, middle = found[-1], np.median(found)
    limit = middle - _BEYOND * (best - middle)
    worst = found[found >= limit][0]  # the last one that is not too far behind
    span = (best - worst) or 0.1 * abs(best) or 1.0
    strip = worst - _STRIP * span
    ends = [best + _ROOM * span, (strip if with_strip else worst) - _ROOM * span]
    low, high = sorted(ahead * float(end) for end in ends)
    return Scale(
        low=low,
        high=high,
        best=ahead * float(best),
        worst=ahead * float(worst),
        strip=ahead * float(strip) if with_strip else None,
        ahead=ahead,
    )


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


def spread(count: int, room: float) -> list[float]:
    """Even offsets around 0 for so many marks.

    >>> spread(3, 0.6)
    [-0.2, 0.0, 0.2]
    """
    return [round(room * ((place + 0.5) / count - 0.5), 12) for place in range(count)]


def draw_border(axes: Any, scale: Scale, palette: Palette, *, along: str) -> None:
    """Set the strip of trials without a score apart, and leave it without ticks."""
    axis = axes.yaxis if along == "y" else axes.xaxis
    if scale.best is None:
        axis.set_ticks([])
    if scale.border is None:
        return
    line = axes.axhline if along == "y" else axes.axvline
    line(scale.border, color=palette.muted, linewidth=0.8, linestyle=DASHED, zorder=1)
    ticks = axis.get_majorticklocs()
    of_scores = [tick for tick in ticks if scale.ahead * tick > scale.ahead * scale.border]
    axis.set_ticks([tick for tick in of_scores if scale.low <= tick <= scale.high])


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
        items.append(("◦", "muted", "pale: far worse, drawn at the edge"))
    if best is not None:
        items.append(("◎", "ink", f"ringed: trial {best}, the best"))
    points = "".join(
        f'<li><b style="color:var(--{variable})">{sign}</b> {text(words)}</li>'
        for sign, variable, words in items
    )
    return f'<ul class="legend">{points}</ul>' if points else ""
