"""Checkpoints to resume from: whole ones, since a kill may come while one is being written.

The Trainer writes the weights first and ``trainer_state.json`` last; a later rotation removes old
ones file by file. Either may be cut short.
"""

import json
import re
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from lob_backtest.files import write_json
from lob_backtest.progress import announce

MEASUREMENTS_FILE = "measurements.json"

_NAME = re.compile(r"checkpoint-(\d+)")
_JSON_FILES = (MEASUREMENTS_FILE, "trainer_state.json")
_TORCH_FILES = ("optimizer.pt", "scheduler.pt")  # zip archives


def newest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint with the most steps, or None."""
    return next((path for path in reversed(_checkpoints(folder)) if flaw(path) is None), None)


def remove_broken_checkpoints(folder: Path) -> None:
    """Remove what nothing could be resumed from, and say so."""
    for path in _checkpoints(folder):
        found = flaw(path)
        if found is not None:
            announce(f"removing {path}, which was not written to its end ({found})")
            shutil.rmtree(path)


def follow_move(folder: Path) -> None:
    """Let the checkpoints of a folder that was moved find the best among them again.

    The Trainer notes the best checkpoint by its path; where that is gone, it would keep the last
    model and still report the best one's figures.
    """
    for checkpoint in _checkpoints(folder):
        path = checkpoint / "trainer_state.json"
        state = json.loads(path.read_text(encoding="utf-8"))
        noted = state.get("best_model_checkpoint")
        if noted is None:
            continue
        here = str(folder / Path(noted).name)
        if noted != here:
            write_json(path, {**state, "best_model_checkpoint": here})


def flaw(checkpoint: Path) -> str | None:
    """What keeps a checkpoint from being resumed, or None for a whole one."""
    random_states = sorted(path.name for path in checkpoint.glob("rng_state*.pth"))
    weights, broken_index = _weight_files(checkpoint)
    needed = [*weights, *_TORCH_FILES, *(random_states or ["rng_state.pth"]), *_JSON_FILES]
    missing = [name for name in needed if not (checkpoint / name).is_file()]
    if missing:
        return f"no {', '.join(missing)}"
    broken = [
        *broken_index,
        *(name for name in weights if not _is_safetensors(checkpoint / name)),
        *(n for n in [*_TORCH_FILES, *random_states] if not zipfile.is_zipfile(checkpoint / n)),
        *(name for name in _JSON_FILES if not _is_json(checkpoint / name)),
    ]
    return f"{', '.join(broken)} cut short" if broken else None


def _checkpoints(folder: Path) -> list[Path]:
    """By the number of steps."""
    found = [
        (int(match.group(1)), path)
        for path in folder.glob("checkpoint-*")
        if path.is_dir() and (match := _NAME.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def _weight_files(checkpoint: Path) -> tuple[list[str], list[str]]:
    """One file, or the shards that an index names; and the index, where it cannot be read."""
    index = checkpoint / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"], []
    if not _is_json(index):
        return [], [index.name]
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())), []


def _is_safetensors(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt"):  # compares the header with the file's size
            return True
    except (SafetensorError, OSError):
        return False


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
