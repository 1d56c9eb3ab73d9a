"""The diary of a folder of runs: HISTORY.md for people, history.jsonl for programs.

    run folders, studies, recorded runs ──┐
    history.jsonl (runs that are gone)  ──┼──► entries ──► history.jsonl, HISTORY.md
    RUN/note.md, notes on HISTORY.md    ──┘

Written anew as a whole each time, one process after the other, so that two runs that end together
both stand in it. Nothing that a person wrote is lost: notes are merged, a page that is no diary is
refused, and what cannot be read is kept beside.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hfrun.errors import HfrunError
from hfrun.history.entries import as_plain, entry_of, in_order
from hfrun.history.folders import DEPTH, is_run, is_study, run_folders, study_entry, study_folders
from hfrun.history.notes import (
    NOTE_FILE,
    PageNote,
    clean,
    keep_note,
    merged,
    notes_on,
    read_note,
)
from hfrun.history.page import language_of, page_of
from hfrun.history.words import Language
from hfrun.record import read_record, read_recorded
from lob_backtest.files import sha256_of, write_text
from lob_backtest.progress import announce

PAGE, DATA, LOCK = "HISTORY.md", "history.jsonl", ".history.lock"

Entries = dict[str, dict[str, Any]]


def write_history(
    folder: Path,
    *,
    language: Language | None = None,
    runs: Sequence[Path] | None = None,
    recorded: Sequence[Path] = (),
    trials: bool = False,
) -> Path:
    """Write the diary of all runs below a folder.

    Args:
        folder: where HISTORY.md and history.jsonl are written.
        language: of the page; default: that of the page that is there, else English.
        runs: folders of runs; default: the diary's own.
        recorded: files of recorded runs, whose entries stay in the diary from then on.
        trials: whether each trial of a study has an entry, beside the study that counts them.

    Returns:
        The path of HISTORY.md.

    Raises:
        HfrunError: the folder is a run, its HISTORY.md is no diary, or a file of recorded runs
            cannot be read.
    """
    folder = Path(folder)
    if is_run(folder):
        raise HfrunError(
            f"{folder}: is a run; a diary is written beside runs, so give {folder.parent}"
        )
    fresh = _recorded(recorded)
    folder.mkdir(parents=True, exist_ok=True)
    with turn(folder):
        page, page_notes = _page(folder / PAGE)
        known = _known(folder / DATA)
        for root in [folder] if runs is None else runs:
            fresh |= _found(Path(root), folder, trials=trials)
        _write(folder, known, fresh, page_notes, language or language_of(page) or "en")
    return folder / PAGE


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait for the turn to write a folder's diary; file systems without locks give none."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The entries of a folder's diary, in the order of the page."""
    return list(_known(folder / DATA).values())


def _write(
    folder: Path, known: Entries, fresh: Entries, notes: Mapping[str, PageNote], language: Language
) -> None:
    fresh |= _again(folder, known, fresh)
    entries = _with_bases(folder, known, fresh)
    for identifier in notes:  # of an entry that nothing else knows any more
        if identifier not in entries and notes[identifier].text:
            entries[identifier] = _only_note(identifier)
    for identifier, entry in entries.items():
        was = entry.pop("noted_as", identifier)
        place = _folder_of(folder, entry)
        file = read_note(place) if place is not None else None
        entry["note"] = merged(entry["note"], notes.get(was), file)
        if place is not None:
            keep_note(place, entry["note"])
    ordered = in_order(list(entries.values()))
    lines = [json.dumps(as_plain(entry), ensure_ascii=False, allow_nan=False) for entry in ordered]
    write_text(folder / DATA, "".join(f"{line}\n" for line in lines))
    write_text(folder / PAGE, page_of(ordered, language))


def _page(path: Path) -> tuple[str, dict[str, PageNote]]:
    """The page that is there, and its notes; one that a person damaged is kept beside."""
    try:
        page = path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise HfrunError(
            f"{path}: is no UTF-8 text ({error}); save it as UTF-8, or move it away"
        ) from error
    if page.strip() and language_of(page) is None:
        raise HfrunError(
            f"{path}: was not written by hfrun history, and is left as it is; move it away, or "
            "write the diary elsewhere (hfrun history -o DIR)"
        )
    notes, is_damaged = notes_on(page)
    if is_damaged:
        kept = _keep_beside(path)
        announce(f"{path}: a note lost one of its markers; the page as it was is in {kept}")
    return page, notes


def _keep_beside(path: Path) -> Path:
    kept = path.with_name(f"{path.stem}.damaged-{sha256_of(path)[:8]}{path.suffix}")
    write_text(kept, path.read_text(encoding="utf-8", errors="replace"))
    return kept


def _known(path: Path) -> Entries:
    """The entries that were written before, by their ids."""
    if not path.is_file():
        return {}
    found: Entries = {}
    is_damaged = False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            found[entry["id"]] = {**entry, "config": dict(entry["config"])}
        except (ValueError, TypeError, KeyError):
            is_damaged = is_damaged or bool(line.strip())
    if is_damaged:
        announce(f"{path}: some lines are no entries; the file as it was is {_keep_beside(path)}")
    return found


def _recorded(paths: Sequence[Path]) -> Entries:
    found: Entries = {}
    for path in paths:
        for record in read_recorded(path):
            entry = entry_of(record, source=path.name)
            while entry["id"] in found:  # a name that the file has twice
                entry["id"] += "+"
            found[entry["id"]] = entry
    return found


def _found(root: Path, folder: Path, *, trials: bool) -> Entries:
    """The entries of runs and studies below a folder, or of the one that it is."""
    if not root.is_dir():
        raise HfrunError(f"{root}: no such folder; a diary needs a folder with runs")
    entries = [_study(study, folder) for study in study_folders(root)]
    entries += [_run(run, folder, study) for run, study in run_folders(root, trials=trials)]
    return {entry["id"]: entry for entry in entries}


def _again(folder: Path, known: Entries, fresh: Entries) -> Entries:
    """Entries of known folders that lie elsewhere than where was looked."""
    seen = {entry.get("folder") for entry in fresh.values()}
    found: Entries = {}
    for entry in known.values():
        place = _folder_of(folder, entry)
        if place is None or entry["folder"] in seen:
            continue
        if entry.get("study") is not None:
            if entry.get("note") and is_run(place):
                found[entry["id"]] = {**_run(place, folder, folder / entry["study"])}
        elif is_run(place):
            again = _run(place, folder, None)
            found[again["id"]] = again
        elif is_study(place):
            again = _study(place, folder)
            found[again["id"]] = again
    return found


def _folder_of(folder: Path, entry: Mapping[str, Any]) -> Path | None:
    """The entry's folder, where it is still there and still this run's."""
    if entry.get("folder") is None or entry.get("gone"):
        return None
    place = folder / entry["folder"]
    return place if place.is_dir() else None


def _place(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _run(path: Path, folder: Path, study: Path | None) -> dict[str, Any]:
    place = _place(path, folder)
    try:
        entry = entry_of(read_record(path), folder=place)
    except Exception as error:  # damaged in any way: a diary of many runs must not end by one
        entry = _unreadable(place, f"{type(error).__name__}: {error}")
    entry["has_page"] = (path / "report" / "report.html").is_file()
    if study is not None:
        entry["study"] = _place(study, folder)
    return entry


def _study(path: Path, folder: Path) -> dict[str, Any]:
    place = _place(path, folder)
    try:
        return as_plain(study_entry(path, place=place))  # type: ignore[no-any-return]
    except Exception as error:  # as above
        return {**_unreadable(place, f"{type(error).__name__}: {error}"), "kind": "study"}


def _unreadable(place: str, problem: str) -> dict[str, Any]:
    return {**_empty(f"{place}@", Path(place).name), "status": "unreadable", "folder": place,
            "problem": problem}  # fmt: skip


def _only_note(identifier: str) -> dict[str, Any]:
    place = identifier.rpartition("@")[0] or identifier
    date = identifier.rpartition("@")[2] or None
    return {**_empty(identifier, Path(place).name), "folder": place, "date": date, "gone": True}


def _empty(identifier: str, name: str) -> dict[str, Any]:
    return {
        "id": identifier, "run": name, "kind": "train", "is_recorded": False,
        "status": "finished", "folder": None, "date": None, "question": "", "stated_parent": None,
        "config": {}, "courses": [], "gates": [], "test": {}, "findings": [], "advice": [],
        "note": "",
    }  # fmt: skip


def _with_bases(folder: Path, known: Entries, fresh: Entries) -> Entries:
    """Fresh entries with the notes they had, and those of runs that are gone."""
    left = dict(known)
    entries: Entries = {}
    for identifier, entry in fresh.items():
        old = left.pop(identifier, None) or _moved(folder, entry, left)
        if old is not None:
            left.pop(old["id"], None)
            entry = {**entry, "note": old.get("note", ""), "noted_as": old["id"]}
            if entry["status"] == "unreadable":
                entry = {**old, "status": "unreadable", "problem": entry["problem"],
                         "noted_as": old["id"]}  # fmt: skip
        entries[entry["id"]] = entry
    for identifier, old in left.items():
        is_trial = old.get("study") is not None and _folder_of(folder, old) is not None
        if is_trial and not old.get("note"):
            continue
        entries[identifier] = old if old["is_recorded"] else {**old, "gone": True}
    return entries


def _moved(folder: Path, entry: Mapping[str, Any], left: Entries) -> dict[str, Any] | None:
    """The older entry of the same run: from another folder, or when it could not be read."""
    for old in reversed(list(left.values())):
        is_here = old.get("folder") is not None and old.get("folder") == entry.get("folder")
        if is_here and "unreadable" in (entry["status"], old["status"]):
            return old
        same = entry.get("identity") is not None and all(
            old.get(name) == entry.get(name) for name in ("identity", "date")
        )
        if same and (old.get("gone") or _folder_of(folder, old) is None):
            return old
    return None


def add_note(run: Path, text: str) -> Path | None:
    """Add a paragraph to a run's note, and write the diary that it stands in anew.

    Returns:
        The page; None where no folder above the run has a diary yet.

    Raises:
        HfrunError: the folder is neither a run nor a study, the text is empty, or the note that
            is there cannot be read.
    """
    run = Path(run)
    if not (is_run(run) or is_study(run)):
        raise HfrunError(f"{run}: no run in it; a note needs the folder of a run or of a study")
    added = clean(text)
    if not added:
        raise HfrunError("the note is empty; give its text")
    diary = _diary_above(run)
    if diary is not None:
        write_history(diary)  # what was edited on the page comes first
    with turn(diary or run):
        before = read_note(run)
        if before is None and (run / NOTE_FILE).exists():
            raise HfrunError(f"{run / NOTE_FILE}: is no UTF-8 text; save it as UTF-8 first")
        write_text(run / NOTE_FILE, f"{before}\n\n{added}\n" if before else f"{added}\n")
    return write_history(diary) if diary is not None else None


def _diary_above(run: Path) -> Path | None:
    above = run.resolve().parents[:DEPTH]
    return next((folder for folder in above if (folder / DATA).is_file()), None)
