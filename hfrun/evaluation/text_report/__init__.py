"""report.json of a classifier of texts, and the self-contained report.html made from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lob_backtest.files import write_json, write_text
from lob_backtest.report import write_report

_QUOTING = ("errors", "examples")


def write_text_report(report: Mapping[str, Any], folder: Path | str) -> Path:
    """Write ``report.json`` and ``report.html`` into a folder; each whole or not at all.

    The page is drawn first, from what the JSON will hold, so a report that cannot be shown leaves
    the folder as it was.

    Args:
        report: as ``judge_texts`` gives it.
        folder: made where it is not there.

    Returns:
        The page's path.
    """
    from hfrun.evaluation.text_report.page import text_report_page

    folder = Path(folder)
    page = text_report_page(json.loads(json.dumps(report, allow_nan=False)))
    write_json(folder / "report.json", report)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def without_texts(value: Any) -> Any:
    """A report, audit or run record without the texts that it quotes.

    What may be told of somebody's texts to everybody are figures: the rights to the texts are
    others'. Wrong texts and the examples of an audit go; counts and figures stay.
    """
    if isinstance(value, Mapping):
        return {
            key: [] if key in _QUOTING and isinstance(item, list) else without_texts(item)
            for key, item in value.items()
        }
    return [without_texts(item) for item in value] if isinstance(value, list) else value


def write_any_report(report: Mapping[str, Any], folder: Path | str) -> Path:
    """As ``write_text_report``, of a report on texts or on order books."""
    write = write_text_report if report.get("kind") == "text" else write_report
    return write(report, folder)
