"""A study or sweep in the diary: its question, its answer, and its trials by how they ended."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.history.entries import empty_entry
from lob_backtest.files import read_json

# Of a study's own files, that which tells its question and its trials.
_STUDY_FILES = ("study.json", "sweep.json")


def study_entry(folder: Path, *, place: str) -> dict[str, Any]:
    """The entry of a study.

    Args:
        folder: of the study.
        place: of the folder, as seen from the diary.

    Raises:
        HfrunError: a file of it that cannot be read.
    """
    told = _told(folder / "study")
    analysis = _read(folder / "study" / "analysis.json")
    trials = told.get("trials") or _trials(folder / "trials")
    counts = Counter(str(trial["status"]) for trial in trials)
    facts = told.get("provenance") or {}
    is_open = not trials or any(counts[status] for status in ("begun", "running", "waiting"))
    answer = analysis.get("answer") or {}
    return {
        **empty_entry(f"{place}@study", name=str(told.get("name") or folder.name), folder=place),
        "kind": str(told.get("kind") or "study"),
        "status": "unfinished" if is_open else "finished",
        "date": facts.get("created_at"),
        "command": facts.get("command"),
        "commit": (facts.get("git") or {}).get("commit"),
        "question": str(told.get("question") or ""),
        "trials": {status: counts[status] for status in sorted(counts)},
        "best_trial": _best(trials, told),
        "answer": answer.get("text"),
        "told": [str(text) for text in analysis.get("findings") or []],
        "candidates": _candidates(folder / "study" / "candidates.jsonl"),
        "has_page": (folder / "study" / "report.html").is_file(),
    }


def _told(folder: Path) -> Mapping[str, Any]:
    return next((held for name in _STUDY_FILES if (held := _read(folder / name))), {})


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    held = read_json(path, error=HfrunError)
    if not isinstance(held, dict):
        raise HfrunError(f"{path}: needs an object")
    return held


def _trials(folder: Path) -> list[dict[str, Any]]:
    """What each trial noted of itself; one without a result was begun."""
    held = [read_json(path, error=HfrunError) for path in sorted(folder.glob("[0-9]*.json"))]
    return [record.get("result") or {"status": "begun"} for record in held]


def _best(trials: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> dict[str, Any] | None:
    """By the study's score on the validation part, as its record holds it."""
    metric = str(told.get("metric"))
    scores = [(_score(trial, metric), trial) for trial in trials if trial["status"] == "done"]
    scored = [(score, trial) for score, trial in scores if score is not None]
    if not scored:
        return None
    better = max if told.get("higher_is_better", True) else min
    score, trial = better(scored, key=lambda pair: pair[0])
    return {
        "trial": Path(trial["folder"]).name,
        "values": trial["values"],
        "seed": trial["seed"],
        "by": metric,
        "value": score,
    }


def _score(trial: Mapping[str, Any], metric: str) -> float | None:
    """Of trials that meet their constraints alone: others may not be chosen."""
    if not all(each.get("met") for each in trial.get("constraints") or ()):
        return None
    score = trial.get("score")
    return score if score is not None else (trial.get("validation") or {}).get(metric)


def _candidates(path: Path) -> list[dict[str, Any]]:
    """What was judged for adoption, in order: the verdict and its reason."""
    if not path.is_file():
        return []
    held = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [{name: each.get(name) for name in ("candidate", "verdict", "reason")} for each in held]
