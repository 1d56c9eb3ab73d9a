"""Entries of what there is now: of run folders, of studies, and of files of recorded runs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.history.entries import as_plain, empty_entry, entry_of
from hfrun.history.folders import is_run, is_study, run_folders, study_folders
from hfrun.history.page import page_of
from hfrun.history.studies import study_entry
from hfrun.record import RunRecord, read_record, read_recorded

Entries = dict[str, dict[str, Any]]
# An entry by its id, with the record that it was made from.
Pair = tuple[dict[str, Any], RunRecord | None]
Found = dict[str, Pair]


def found_recorded(paths: Sequence[Path]) -> Found:
    """The runs of files in which another program recorded them.

    Raises:
        HfrunError: a file that cannot be read.
    """
    found: Found = {}
    for path in paths:
        for record in read_recorded(path):
            entry = entry_of(record, source=path.name)
            while entry["id"] in found:  # a name that the file has twice
                entry["id"] += "+"
            found[entry["id"]] = (entry, record)
    return found


def found_below(root: Path, folder: Path, *, trials: bool) -> Found:
    """The runs and studies below a folder.

    Args:
        root: the folder.
        folder: of the diary, from which places are told.
        trials: whether those of studies are given too.

    Raises:
        HfrunError: there is no such folder.
    """
    if not root.is_dir():
        raise HfrunError(f"{root}: no such folder; a diary needs a folder with runs")
    pairs: list[Pair] = [_study(study, folder) for study in study_folders(root)]
    pairs += [_run(run, folder, study) for run, study in run_folders(root, trials=trials)]
    return {entry["id"]: (entry, record) for entry, record in pairs}


def again(folder: Path, known: Entries, found: Found) -> Found:
    """Of what the diary knows, that which is still there but lies elsewhere than was looked."""
    seen = {entry.get("folder") for entry, _ in found.values()}
    more: Found = {}
    for entry in known.values():
        place = placed(folder, entry)
        if place is None or entry["folder"] in seen:
            continue
        if is_run(place) and entry.get("study") is None:
            pair = _run(place, folder, None)
            more[pair[0]["id"]] = pair
        elif is_study(place):
            pair = _study(place, folder)
            more[pair[0]["id"]] = pair
    return more


def placed(folder: Path, entry: Mapping[str, Any]) -> Path | None:
    """The folder of an entry, where it is still there."""
    if entry.get("folder") is None or entry.get("gone"):
        return None
    place = folder / entry["folder"]
    return place if place.is_dir() else None


def _run(path: Path, folder: Path, study: Path | None) -> Pair:
    place, record = _place(path, folder), None
    try:
        record = read_record(path)
        entry = entry_of(record, folder=place)
        page_of([entry], "en")  # what cannot be told is found out here
    except Exception as error:  # damaged in any way: a diary of many runs must not end by one
        entry, record = _unreadable(place, error), None
    if study is not None:
        entry["study"] = _place(study, folder)
    return entry, record


def _study(path: Path, folder: Path) -> Pair:
    place = _place(path, folder)
    try:
        entry: dict[str, Any] = as_plain(study_entry(path, place=place))
        page_of([entry], "en")
        return entry, None
    except Exception as error:  # as above
        return {**_unreadable(place, error), "id": f"{place}@study", "kind": "study"}, None


def _unreadable(place: str, error: Exception) -> dict[str, Any]:
    told = str(error) if isinstance(error, HfrunError) else f"{type(error).__name__}: {error}"
    problem = told.replace(f"{Path.cwd()}/", "")
    entry = empty_entry(f"{place}@", name=Path(place).name, folder=place)
    plain: dict[str, Any] = as_plain({**entry, "status": "unreadable", "problem": problem})
    return plain


def _place(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
