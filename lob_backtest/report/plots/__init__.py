"""Every plot of the report by name: drawn into the page, or written as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lob_backtest.files import atomic_path, write_text
from lob_backtest.report.plots import folds, money, prediction, slices, strip
from lob_backtest.report.plots.drawing import FILE, PAGE, Draw, file_png, file_svg, page_svg
from lob_backtest.report.words import SLICE_TITLES

PLOTS: Mapping[str, Draw] = {
    "equity": money.equity,
    "drawdown": money.drawdown,
    "costs": money.costs,
    "scores": prediction.scores,
    "reliability": prediction.reliability,
    "confidence": prediction.confidence,
    "strip": strip.strip,
    "folds": folds.folds,
    "differences": slices.differences,
    "logits": slices.logits,
    **{f"slices_{kind}": slices.slices_plot(kind) for kind in SLICE_TITLES},
}


def drawing(report: Mapping[str, Any], name: str) -> str:
    """A plot as an SVG element for the page; nothing where the report lacks what it shows."""
    plot = PLOTS[name](report, PAGE)
    return "" if plot is None else page_svg(plot)


def write_plots(report: Mapping[str, Any], out_dir: Path | str) -> list[Path]:
    """Write every plot that the report has as ``NAME.svg`` and ``NAME.png``; their paths."""
    written = []
    for name, draw in PLOTS.items():
        plot = draw(report, FILE)
        if plot is None:
            continue
        svg, png = (Path(out_dir) / f"{name}.{kind}" for kind in ("svg", "png"))
        write_text(svg, file_svg(plot))
        with atomic_path(png) as partial:
            partial.write_bytes(file_png(plot))
        written += [svg, png]
    return written
