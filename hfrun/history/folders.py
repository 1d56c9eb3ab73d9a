"""Where runs lie below a folder, and what a study's folder tells without its trials.

runs/
├── demo/            run.json: a run; what lies in it is its own
├── dropout/         trials/ and study/: a study, one entry that counts its trials
└── texts/smollm2/   a folder of runs
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from lob_backtest.files import read_json

# Runs are looked for so deep below a diary's folder: it may lie beside anything.
DEPTH = 4
# Of a study's own files, the first that is there tells its question.
_STUDY_FILES = ("study.json", "sweep.json", "analysis.json")


def run_folders(root: Path, *, trials: bool = False) -> Iterator[tuple[Path, Path | None]]:
    """Every run below a folder with the study that it is a trial of, in the order of names.

    Args:
        root: not a run itself.
        trials: whether those of studies are given too.
    """
    for folder, study in _walk(root, None, DEPTH):
        if is_run(folder) and (study is None or trials):
            yield folder, study


def study_folders(root: Path) -> list[Path]:
    """Every study below a folder, in the order of names."""
    return [folder for folder, study in _walk(root, None, DEPTH) if folder == study]


def is_run(folder: Path) -> bool:
    """Whether a run was begun in it; a ``run.json`` alone may be of any other program."""
    return (folder / "run.json").is_file() and (folder / "config.yaml").is_file()


def is_study(folder: Path) -> bool:
    """Whether it is the folder of a study or sweep."""
    return (folder / "study").is_dir() and (folder / "trials").is_dir()


def _walk(folder: Path, study: Path | None, depth: int) -> Iterator[tuple[Path, Path | None]]:
    try:
        inside = sorted(each.name for each in os.scandir(folder) if _is_own_folder(each))
    except OSError:  # not ours to read
        return
    for name in inside:
        path = folder / name
        within = path if study is None and is_study(path) else study
        if is_run(path):
            yield path, within
        elif depth > 1:
            if within == path:
                yield path, path
            yield from _walk(path, within, depth - 1)


def _is_own_folder(entry: "os.DirEntry[str]") -> bool:
    hidden = entry.name.startswith((".", "__"))
    return not hidden and entry.is_dir(follow_symlinks=False)


def study_entry(folder: Path, *, place: str) -> dict[str, Any]:
    """The entry of a study: its question, and its trials by how they ended.

    Args:
        folder: of the study.
        place: of the folder, as seen from the diary.

    Raises:
        HfrunError: a file of it that cannot be read.
    """
    told = _told(folder / "study")
    results = [read_json(path, error=HfrunError)
               for path in sorted((folder / "trials").glob("[0-9][0-9][0-9]*.json"))]  # fmt: skip
    ended = [held["result"] for held in results if held.get("result")]
    counts = Counter(str(result["status"]) for result in ended)
    if len(ended) < len(results):
        counts["begun"] = len(results) - len(ended)
    facts = told.get("provenance") or {}
    return {
        "id": f"{place}@study",
        "run": str(told.get("name") or folder.name),
        "kind": str(told.get("kind") or "study"),
        "is_recorded": False,
        "status": "finished" if results and not counts["begun"] else "unfinished",
        "folder": place,
        "date": facts.get("created_at"),
        "command": facts.get("command"),
        "commit": (facts.get("git") or {}).get("commit"),
        "question": str(told.get("question") or ""),
        "stated_parent": None,
        "config": {},
        "courses": [],
        "trials": {status: counts[status] for status in sorted(counts) if counts[status]},
        "best_trial": _best_trial(ended, told),
        "has_page": (folder / "study" / "report.html").is_file(),
        "gates": [],
        "test": {},
        "findings": [],
        "advice": [],
        "note": "",
    }


def _told(folder: Path) -> Mapping[str, Any]:
    for name in _STUDY_FILES:
        if (folder / name).is_file():
            held = read_json(folder / name, error=HfrunError)
            if isinstance(held, dict):
                return held
    return {}


def _best_trial(results: list[dict[str, Any]], told: Mapping[str, Any]) -> dict[str, Any] | None:
    """By the study's score of the validation part, with the number that its record holds."""
    metric = told.get("metric")
    scored = [result for result in results
              if result["status"] == "done" and (result.get("validation") or {}).get(metric)
              is not None]  # fmt: skip
    if not scored:
        return None
    better = max if told.get("higher_is_better", True) else min
    best = better(scored, key=lambda result: result["validation"][metric])
    return {
        "folder": Path(best["folder"]).name,
        "values": best["values"],
        "seed": best["seed"],
        "by": metric,
        "value": best["validation"][metric],
    }
