"""Where runs lie below a folder.

runs/
├── demo/            run.json: a run; what lies in it is its own
├── dropout/         trials/ and study/: a study, whose trials are told by it
│   └── adopted/     a run
└── texts/smollm2/   a folder of runs
"""

import os
from collections.abc import Iterator
from pathlib import Path

from hfrun.history.notes import NOTE_FILE

# Runs are looked for so deep below a diary's folder, which may lie beside anything.
DEPTH = 4
# Of a study: where its trials are, and what has no run in it.
_OF_A_STUDY, _NO_RUNS = ("trials", "adoption"), ("study", "node_modules", "site-packages")


def run_folders(root: Path, *, trials: bool = False) -> Iterator[tuple[Path, Path | None]]:
    """Every run below a folder with the study that it is a trial of, in the order of names.

    Args:
        root: not a run itself.
        trials: whether those of studies are given too, also without a person's note.
    """
    for folder, study in _walk(root, None, DEPTH):
        if is_run(folder) and (study is None or trials or _has_note(folder)):
            yield folder, study


def study_folders(root: Path) -> list[Path]:
    """Every study below a folder, in the order of names."""
    return [folder for folder, _ in _walk(root, None, DEPTH) if is_study(folder)]


def is_run(folder: Path) -> bool:
    """Whether a run was begun in it; a ``run.json`` alone may be of any other program."""
    return (folder / "run.json").is_file() and (folder / "config.yaml").is_file()


def is_study(folder: Path) -> bool:
    """Whether it is the folder of a study or sweep."""
    return (folder / "study").is_dir() and (folder / "trials").is_dir()


def _has_note(folder: Path) -> bool:
    path = folder / NOTE_FILE
    return path.is_file() and path.stat().st_size > 0


def _walk(folder: Path, study: Path | None, depth: int) -> Iterator[tuple[Path, Path | None]]:
    """Folders with the study whose trials lie in them; those inside a run are not looked at."""
    is_here = is_study(folder)
    for name in _inside(folder):
        path = folder / name
        within = folder if is_here and name in _OF_A_STUDY else study
        yield path, within
        if depth > 1 and not is_run(path):
            yield from _walk(path, within, depth - 1)


def _inside(folder: Path) -> list[str]:
    """Names of the folders in a folder, without hidden ones and environments of Python."""
    if (folder / "pyvenv.cfg").is_file():
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _is_looked_at(entry))
    except OSError:  # not ours to read
        return []


def _is_looked_at(entry: "os.DirEntry[str]") -> bool:
    is_left_out = entry.name.startswith((".", "__")) or entry.name in _NO_RUNS
    if is_left_out or not entry.is_dir():
        return False
    return not entry.is_symlink() or is_run(Path(entry.path))  # a link to a run has no way back
