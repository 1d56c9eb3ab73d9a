"""The page of a study: ``report.html`` in the study's folder, from its analysis alone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lob_backtest.files import write_text

_PAGE = "report.html"


def write_study_report(analysis: Mapping[str, Any], folder: Path) -> None:
    """Write ``folder/report.html``, whole or not at all.

    Args:
        analysis: as ``hfrun.study.analysis.analyse`` gives it, or as its JSON was read.
        folder: ``study/`` of the run's folder; trials' folders are relative to the folder above.
    """
    from hfrun.study.report.page import study_page

    write_text(folder / _PAGE, study_page(analysis, links=_links(analysis, folder)))


def _links(analysis: Mapping[str, Any], folder: Path) -> dict[int, str]:
    """The addresses, as seen from the page, of the trials' reports that are there."""
    links = {}
    for row in analysis["table"]:
        page = folder.parent / row["folder"] / "report" / _PAGE
        if row["folder"] and page.is_file():
            links[row["trial"]] = quote(Path(os.path.relpath(page, folder)).as_posix())
    return links
