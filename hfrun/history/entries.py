"""An entry of the diary: what a run's record says, and nothing that it does not.

Figures stand as they were logged. ``conclusion`` and the tables are made from an entry alone, so
one that is kept of a run whose folder is gone can be told as before.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfrun.fold_trainer import is_greater_better
from hfrun.history.numbers import is_figure
from hfrun.record import Course, RunRecord

# By what the best epoch of a record is told that does not say by what it was chosen.
_SCORES = ("eval_f1_weighted", "eval_accuracy", "eval_loss")


def entry_of(record: RunRecord, *, folder: str | None = None, source: str = "") -> dict[str, Any]:
    """One entry, without its parent and findings.

    Args:
        record: of the run.
        folder: of the run as seen from the diary; default: as the record has it.
        source: of a recorded run, the file's name, so that two files may have runs of one name.
    """
    place = folder if folder is not None or record.folder is None else record.folder.as_posix()
    date = record.created_at
    name = record.name
    key = f"{place}@{date or ''}" if place is not None else f"recorded:{source}:{name}"
    entry: dict[str, Any] = as_plain({
        **empty_entry(key, name=name, folder=place),
        "kind": record.kind,
        "is_recorded": record.kind == "recorded",
        "status": _status(record),
        "identity": record.run.get("identity"),
        "data": _fingerprints(record),
        "date": date,
        "ended": _ended(record),
        "command": record.run.get("command"),
        "commit": (record.run.get("git") or {}).get("commit"),
        "question": record.flat_config.get("run.question") or "",
        "stated_parent": record.flat_config.get("run.parent"),
        "config": record.flat_config,
        "planned_epochs": record.setting("epochs"),
        "courses": [_course(record, course) for course in record.courses],
        "gates": list(record.gates),
        "verdict": record.run.get("verdict") or record.report.get("verdict"),
        "test": dict(record.test),
        "has_page": record.folder is not None
        and (record.folder / "report" / "report.html").is_file(),
    })  # fmt: skip
    return entry


def empty_entry(identifier: str, *, name: str, folder: str | None) -> dict[str, Any]:
    """An entry that tells nothing yet."""
    return {
        "id": identifier,
        "run": name,
        "kind": "train",
        "is_recorded": False,
        "status": "finished",
        "folder": folder,
        "date": None,
        "question": "",
        "stated_parent": None,
        "config": {},
        "data": [],
        "courses": [],
        "changes": [],
        "gates": [],
        "test": {},
        "findings": [],
        "advice": [],
        "conclusion": "",
        "note": "",
        "gone": False,
    }


def as_plain(value: Any) -> Any:
    """As JSON can hold it; a number that is not finite is told by its name, not dropped."""
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, str):  # a path that is no UTF-8 is told as well as can be
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value


def is_study_entry(entry: Mapping[str, Any]) -> bool:
    """Whether it tells of a study or sweep, not of one run."""
    return entry["kind"] in ("study", "sweep")


def _status(record: RunRecord) -> str:
    if record.kind == "recorded":
        return "recorded"
    return "finished" if record.run.get("verdict") else "unfinished"


def _fingerprints(record: RunRecord) -> list[str]:
    """SHA-256 of the files that it was trained on, as its provenance has them."""
    held = record.run.get("data") or []
    return sorted({str(each["sha256"]) for each in held if each.get("sha256")})


def _ended(record: RunRecord) -> str | None:
    scored = record.run.get("scored") or []
    return scored[-1].get("created_at") if scored and record.run.get("verdict") else None


def _course(record: RunRecord, course: Course) -> dict[str, Any]:
    return {
        "label": course.label,
        "epochs": [dict(epoch) for epoch in course.epochs],
        "best": _best(record, course),
        "stopped_by": course.stopped_by,
        "epochs_trained": course.figures.get("epochs_trained"),
        "seconds": course.figures.get("seconds"),
        "gradient": course.figures.get("gradient"),
    }


def _best(record: RunRecord, course: Course) -> dict[str, Any] | None:
    """The chosen checkpoint's epoch, or of a record without one, the best by its score."""
    metric = record.setting("metric") or (None if record.kind == "recorded" else "eval_loss")
    names = [metric] if metric else _SCORES
    name = next((name for name in names if course.series(name)), None)
    if name is None:
        return None
    chosen = course.figures.get("epoch")
    held = dict(course.series(name))
    if chosen is None:
        better = max if is_greater_better(name) else min
        chosen = better(held, key=lambda epoch: held[epoch])  # the first of equals
    return {"epoch": chosen, "by": name, "value": held.get(chosen)}


def best_row(course: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row of the best epoch; empty where none is known."""
    best = course.get("best") or {}
    return next((row for row in course["epochs"] if row.get("epoch") == best.get("epoch")), {})


def figures_at_best(entry: Mapping[str, Any], name: str) -> list[float]:
    """A figure at the best epoch of each course that has it."""
    found = [best_row(course).get(name) for course in entry["courses"]]
    return [value for value in found if is_figure(value)]
