"""The plots of a card: a few of the report's, as PNG files that every viewer of Markdown shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lob_backtest.files import atomic_path

# What a reader asks first: what it earned, at which costs it stops earning, whether its
# probabilities can be believed, and whether one fold carried the rest.
_OF_BOOKS = ("equity", "costs", "reliability", "folds")
_OF_TEXTS = ("reliability", "confidence")


@dataclass(frozen=True, kw_only=True)
class CardPlot:
    """One image: its file's name, and in words what it shows."""

    name: str
    label: str


def write_card_plots(report: Mapping[str, Any], folder: Path) -> Sequence[CardPlot]:
    """Draw those of the plots that the report has what they show of.

    Args:
        report: on order books or on texts.
        folder: made where it is not there; ``NAME.png`` are written into it.
    """
    from hfrun.evaluation.text_report.plots import TEXT_PLOTS
    from lob_backtest.report.plots import PLOTS
    from lob_backtest.report.plots.drawing import FILE, file_png

    drawn = []
    of_texts = report.get("kind") == "text"
    plots, names = (TEXT_PLOTS, _OF_TEXTS) if of_texts else (PLOTS, _OF_BOOKS)
    for name in names:
        plot = plots[name](report, FILE)
        if plot is None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / f"{name}.png") as partial:
            partial.write_bytes(file_png(plot))
        drawn.append(CardPlot(name=f"{name}.png", label=plot.label))
    return drawn
