"""What a sweep leaves in its study folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfrun.study.sweep_page import sweep_page
from hfrun.study.sweep_plots import heat_map, trials_plot
from hfrun.study.sweep_tables import csv_of, markdown_of
from lob_backtest.files import write_json, write_text
from lob_backtest.report.plots.drawing import FILE, file_svg


def write_sweep(outcome: Mapping[str, Any], folder: Path, *, with_page: bool) -> None:
    """Write sweep.json and trials.csv, and at the end the table, the plot and the page."""
    write_json(folder / "sweep.json", outcome)
    write_text(folder / "trials.csv", csv_of(outcome))
    if not with_page:
        return
    write_text(folder / "sweep.md", markdown_of(outcome))
    plot = heat_map(outcome, FILE) or trials_plot(outcome, FILE)
    if plot is not None:
        write_text(folder / "result.svg", file_svg(plot))
    write_text(folder / "report.html", sweep_page(outcome))
