"""What a study leaves in its folder: its trials and their analysis as data, and the page.

study/  study.json  analysis.json  trials.csv  report.html
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from hfrun.provenance import program_facts
from hfrun.study.analysis import analyse
from hfrun.study.opened import OpenedStudy
from hfrun.study.report import write_study_report
from hfrun.study.study_data import StudyData
from lob_backtest.files import write_json, write_text
from lob_backtest.strict_yaml import as_dict

_OF_A_TRIAL = ("number", "phase", "status", "seed", "score", "feasible", "seconds", "stopped_by",
               "folder", "error")  # fmt: skip


def write_study(opened: OpenedStudy) -> dict[str, Any]:
    """Write the study as it is now; gives its analysis."""
    data, folder = opened.data(), opened.folder / "study"
    analysis = analyse(data, seed=opened.study.design_seed)
    provenance = {**program_facts(), "config": as_dict(opened.config)}
    write_json(folder / "study.json", {**data.as_dict(), "provenance": provenance})
    write_json(folder / "analysis.json", analysis)
    write_text(folder / "trials.csv", trials_csv(data))
    write_study_report(analysis, folder)
    return analysis


def trials_csv(data: StudyData) -> str:
    """A row a trial: how it ended, its values, its constraints' figures."""
    keys = sorted({key for trial in data.trials for key in trial.values})
    names = sorted({each["name"] for trial in data.trials for each in trial.constraints})
    out = io.StringIO()
    writer = csv.DictWriter(out, [*_OF_A_TRIAL, *keys, *names], lineterminator="\n")
    writer.writeheader()
    for trial in sorted(data.trials, key=lambda each: each.number):
        held: Mapping[str, Any] = {**trial.as_dict(), "feasible": trial.is_feasible}
        figures = {each["name"]: each["value"] for each in trial.constraints}
        writer.writerow({**{name: held[name] for name in _OF_A_TRIAL}, **trial.values, **figures})
    return out.getvalue()
