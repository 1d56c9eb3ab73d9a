"""report.json and the self-contained report.html made from it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lob_backtest.errors import FormatError
from lob_backtest.files import read_json, write_json, write_text

_KEYS = ("folds", "aggregate", "gates", "verdict")


def write_report(report: Mapping[str, Any], out_dir: Path | str, *, plots: bool = False) -> Path:
    """Write ``report.json`` and ``report.html`` into a folder; each whole or not at all.

    The page is drawn first, from what the JSON will hold, so a report that cannot be shown leaves
    the folder as it was.

    Args:
        report: as ``walk_forward.score`` gives it.
        out_dir: made where it is not there.
        plots: write each plot of the page to ``plots/NAME.svg`` and ``plots/NAME.png`` too.

    Returns:
        The page's path.
    """
    from lob_backtest.report.page import report_page
    from lob_backtest.report.plots import write_plots

    out_dir = Path(out_dir)
    plain = json.loads(json.dumps(report, allow_nan=False))
    page = report_page(plain)
    write_json(out_dir / "report.json", report)
    write_text(out_dir / "report.html", page)
    if plots:
        write_plots(plain, out_dir / "plots")
    return out_dir / "report.html"


def read_report(path: Path | str) -> dict[str, Any]:
    """Read a report.json, or the one in a folder.

    Raises:
        FormatError: no such file, no JSON, or no report.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "report.json"
    if not path.is_file():
        raise FormatError(f"{path}: no such file; make a report with: lob-backtest score")
    report = read_json(path, error=FormatError)
    missing = [key for key in _KEYS if not isinstance(report, dict) or key not in report]
    if missing:
        raise FormatError(
            f"{path}: no report, {', '.join(missing)} missing; make one with: lob-backtest score"
        )
    return report  # type: ignore[no-any-return]


@contextmanager
def as_written(*paths: Path) -> Iterator[None]:
    """Say that a report is not as it was written, where working with it meets what cannot be.

    A report is JSON that anyone can edit or cut; every reader would have to check every figure.
    """
    import numpy as np

    try:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            yield
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        names = " or ".join(str(path) for path in paths)
        raise FormatError(
            f"{names}: not as lob-backtest score wrote it ({type(error).__name__}: {error}); "
            "score the predictions again"
        ) from error
