"""What an adoption leaves beside its study.

study/candidates.jsonl   one line each time a candidate was judged, adopted or refused, and why
study/adoption.json      the latest of them whole
study/adopted.yaml       the config to go on with, where it was adopted
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfrun.config import config_from, effective_yaml
from lob_backtest.files import plain_json, write_json, write_text

CANDIDATES, ADOPTION, ADOPTED = "candidates.jsonl", "adoption.json", "adopted.yaml"
# What tells one judgement from another; the time at which it is repeated does not.
_SAME = ("incumbent", "candidate", "changed", "verdict", "seeds", "scores")


def adopted_yaml(
    raw: Mapping[str, Any],
    candidate: Mapping[str, Any],
    *,
    trials: int,
    parent: str,
    reason: str,
) -> str:
    """The adopted config with every default filled in, ready to be run in a folder of its own.

    Args:
        raw: the study's config: name, seed, hub, gates and backtest are its own.
        candidate: the config that was adopted.
        trials: how many were made before this one was chosen; goes to ``backtest.trials``.
        parent: folder of a run of the incumbent, for the diary to tell what changed.
        reason: why, told above it.
    """
    made = copy.deepcopy(dict(candidate))
    made.pop("study", None)
    run = dict(raw.get("run") or {})
    question = run.get("question") or (raw.get("study") or {}).get("question") or ""
    folder = str(Path(run["output_dir"]) / "adopted")
    made["run"] = {**run, "output_dir": folder, "question": question, "parent": parent}
    if isinstance(made.get("backtest"), dict):
        made["backtest"]["trials"] = trials
    text = effective_yaml(config_from(made, source=ADOPTED))
    return f"# {' '.join(reason.split())}\n# Chosen after {trials} trials.\n{text}"


def judged_before(outcome: Mapping[str, Any], folder: Path) -> int:
    """How many other judgements there were in this study; each had its own chance to adopt."""
    told = plain_json(outcome)
    return sum(not _same(held, told) for held in _candidates(folder))


def write_adoption(outcome: Mapping[str, Any], folder: Path) -> None:
    """Append the judgement to the candidates, and keep it whole as the latest."""
    told = plain_json(outcome)
    write_json(folder / ADOPTION, told)
    if any(_same(held, told) for held in _candidates(folder)):
        return  # the same command again, with nothing new
    path = folder / CANDIDATES
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, before + json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n")


def _candidates(folder: Path) -> list[dict[str, Any]]:
    path = folder / CANDIDATES
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _same(held: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    return all(held.get(name) == told.get(name) for name in _SAME)
