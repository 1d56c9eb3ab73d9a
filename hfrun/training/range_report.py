"""A range test for people and programs: the table, the override to paste, and the files."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hfrun.training.range_plot import range_plot
from hfrun.training.range_test import RangeTest
from lob_backtest.files import atomic_path, write_json, write_text
from lob_backtest.report.plots.drawing import file_png, file_svg

JSON_FILE, CSV_FILE, PNG_FILE, SVG_FILE = (
    f"lr_find.{kind}" for kind in ("json", "csv", "png", "svg")
)
_ROWS = 16
_COLUMNS = ("rate", "loss", "untouched_loss", "paired_loss", "smoothed_loss", "grad_norm")


def range_text(test: RangeTest, *, overrides: Sequence[str] = ()) -> str:
    """The table, what ended the test, and the suggestions with what to paste.

    Args:
        test: what was measured.
        overrides: of the config, for the suggested rate.
    """
    found = test.suggestion
    marks = {found.steepest: "steepest descent", found.lowest: "lowest"}
    shown = set(np.linspace(0, len(test.rates) - 1, _ROWS).round().astype(int).tolist())
    shown |= {i for i, rate in enumerate(test.rates) if rate in marks}
    lines = ["      rate    loss  paired  smoothed  gradient"]
    for i in sorted(shown):
        mark = marks.get(float(test.rates[i]), "")
        lines.append(
            f"  {test.rates[i]:8.2e}  {test.losses[i]:6.4f}  {test.paired[i]:6.4f}"
            f"  {test.smoothed[i]:8.4f}  {test.grad_norms[i]:8.3f}  {mark}".rstrip()
        )
    lines += ["", "paired: the loss less the luck of its batch; gradient: its norm before clipping"]
    if test.ended is not None:
        lines.append(f"ended early: {test.ended}")
    return "\n".join([*lines, "", *_suggestions(test), *_pasted(overrides)])


def _suggestions(test: RangeTest) -> list[str]:
    found = test.suggestion
    if found.steepest is None or found.lowest is None:
        return list(found.notes)
    return [
        f"loss falls fastest at           {found.steepest:.2e}",
        f"a tenth of the lowest's rate    {found.tenth:.2e}   careful, or for a constant rate",
        f"a third of the lowest's rate    {found.third:.2e}   for the peak of a schedule",
        f"fall to the lowest              {found.fall:.2g} nats, standard error {found.noise:.1g}",
        *found.notes,
    ]


def _pasted(overrides: Sequence[str]) -> list[str]:
    if not overrides:
        return []
    words = "A third of the lowest's, as the peak rate for batches of this size:"
    return ["", words, f"  {' '.join(overrides)}"]


def write_range_test(test: RangeTest, folder: Path, *, overrides: Sequence[str] = ()) -> None:
    """Write ``lr_find.json``, ``.csv``, ``.svg`` and ``.png``."""
    write_json(folder / JSON_FILE, {**test.as_dict(), "overrides": list(overrides)})
    write_text(folder / CSV_FILE, _csv(test))
    plot = range_plot(test)
    write_text(folder / SVG_FILE, file_svg(plot))
    with atomic_path(folder / PNG_FILE) as partial:
        partial.write_bytes(file_png(plot))


def _csv(test: RangeTest) -> str:
    """A line a rate, of full precision."""
    target = io.StringIO()
    lines = csv.writer(target, lineterminator="\n")
    lines.writerow(_COLUMNS)
    columns = (
        test.rates, test.losses, test.untouched, test.paired, test.smoothed, test.grad_norms,
    )  # fmt: skip
    lines.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return target.getvalue()
