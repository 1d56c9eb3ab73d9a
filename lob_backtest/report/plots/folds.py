"""The folds over time: what each is trained on, chosen by and tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lob_backtest.book import IntArray
from lob_backtest.report.plots.drawing import (
    FONT,
    WIDE,
    Palette,
    Plot,
    one_axes,
)
from lob_backtest.report.words import moment

_MOST_TICKS = 6
_MOST_DRAWN = 40  # folds, each a line of the drawing
PARTS = {
    "train": "train",
    "train_dev": "train-dev",
    "validation": "validation",
    "test": "test",
}


def folds(report: Mapping[str, Any], palette: Palette) -> Plot | None:
    """A line a fold: its blocks over time, with a mark in each so that no colour is needed."""
    drawn = [fold for fold in report["folds"] if fold.get("blocks")]
    if not drawn:
        return None
    shown = drawn[:: -(-len(drawn) // _MOST_DRAWN)]
    clock = Clock.of(report, shown)
    figure, axes = one_axes("", palette, size=(WIDE[0], 84 + 16 * len(shown)))
    axes.grid(visible=False)
    for i, fold in enumerate(shown):
        _one_fold(axes, i, fold["blocks"], clock, palette)
    _legend(axes, shown, palette)
    axes.set_yticks(range(len(shown)), [str(fold["fold"]) for fold in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_ylabel("fold", color=palette.muted, fontsize=FONT)
    axes.set_xlim(0, clock.length)
    ticks = clock.ticks()
    axes.set_xticks([at for at, _ in ticks], [words for _, words in ticks])
    axes.set_xlabel(clock.words)
    label = f"{len(drawn)} folds over time: what each is trained on, chosen by and tested on"
    return Plot(figure=figure, label=label)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """Trading time: from an instant to nanoseconds since the first block, nights left out."""

    opens: IntArray
    closes: IntArray

    @classmethod
    def of(cls, report: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> "Clock":
        """The sessions between the first and the last block; one where they are not known."""
        begin = min(block["start_ns"] for fold in shown for block in fold["blocks"])
        end = max(block["end_ns"] for fold in shown for block in fold["blocks"])
        spans = (report.get("data") or {}).get("session_spans_ns") or [[begin, end]]
        opens, closes = np.array(spans, dtype=np.int64).T
        opens, closes = np.maximum(opens, begin), np.minimum(closes, end)
        here = closes >= opens
        if not here.any():
            return cls(opens=np.array([begin]), closes=np.array([end]))
        return cls(opens=opens[here], closes=closes[here])

    @property
    def passed(self) -> IntArray:
        """``(S + 1,)`` trading time before each session, and in all."""
        return np.append(0, np.cumsum(self.closes - self.opens))

    @property
    def length(self) -> int:
        return max(int(self.passed[-1]), 1)

    @property
    def words(self) -> str:
        """What the axis shows."""
        first = moment(int(self.opens[0]))[:10]
        one_day = first == moment(int(self.closes[-1]))[:10]
        return f"UTC, {first}" if one_day else f"trading time, from {first}"

    def at(self, instant: int) -> int:
        """Trading time up to an instant."""
        within = np.clip(instant, self.opens, self.closes) - self.opens
        return int(within.sum())

    def ticks(self) -> list[tuple[int, str]]:
        """At most six places with their date, or their time of day where it is all one day."""
        if self.opens.size == 1:
            places = np.linspace(self.opens[0], self.closes[0], 5)[:-1].astype(np.int64)
        else:
            places = self.opens[:: -(-self.opens.size // _MOST_TICKS)]
        stamps = [moment(int(place)) for place in places]
        one_day = len({stamp[:10] for stamp in stamps}) == 1
        cut = slice(11, 16) if one_day else slice(5, 10)
        return [
            (self.at(int(place)), stamp[cut]) for place, stamp in zip(places, stamps, strict=True)
        ]


def _one_fold(
    axes: Any, i: int, blocks: Sequence[Mapping[str, Any]], clock: Clock, palette: Palette
) -> None:
    looks = _looks(palette)
    for before, after in pairwise(blocks):
        gap = (clock.at(before["end_ns"]), clock.at(after["start_ns"]))
        if gap[1] > gap[0]:  # purged or embargoed
            axes.plot(gap, (i, i), color=palette.muted, linewidth=1.4, linestyle=(0, (1, 1.2)))
    for block in blocks:
        left, right = clock.at(block["start_ns"]), clock.at(block["end_ns"])
        axes.barh(i, right - left, left=left, **looks[block["part"]])


def _looks(palette: Palette) -> dict[str, dict[str, Any]]:
    """Each part in a shade of its own: the darker, the later it is looked at."""
    edge = {"edgecolor": palette.accent, "linewidth": 1, "height": 0.62}
    return {
        "train": {"facecolor": palette.line, "edgecolor": palette.muted, "linewidth": 1,
                  "height": 0.34},
        "train_dev": {"facecolor": palette.line, **edge, "height": 0.46, "hatch": "...."},
        "validation": {"facecolor": palette.surface, **edge, "hatch": "/////"},
        "test": {"facecolor": palette.accent, **edge},
    }  # fmt: skip


def _legend(axes: Any, shown: Sequence[Mapping[str, Any]], palette: Palette) -> None:
    from matplotlib.patches import Patch

    present = {block["part"] for fold in shown for block in fold["blocks"]}
    handles = []
    for part, title in PARTS.items():
        if part in present:
            look = {k: v for k, v in _looks(palette)[part].items() if k != "height"}
            handles.append(Patch(label=title, **look))
    axes.figure.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), frameon=False,
        fontsize=FONT, labelcolor=palette.muted, handlelength=1.4, columnspacing=1.2,
        borderaxespad=0.2,
    )  # fmt: skip
