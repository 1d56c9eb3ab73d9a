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
from hfrun.history.entries import as_plain
from hfrun.history.folders import DEPTH, is_run, is_study
from hfrun.history.judged import judged
from hfrun.history.lineage import in_order
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
from hfrun.history.sources import Entries, Found, again, found_below, found_recorded, placed
from hfrun.history.standing import only_note, united
from hfrun.history.words import Language
from lob_backtest.files import sha256_of, write_text
from lob_backtest.progress import announce

PAGE, DATA, LOCK = "HISTORY.md", "history.jsonl", ".history.lock"


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
    found = found_recorded(recorded)
    folder.mkdir(parents=True, exist_ok=True)
    with _turn(folder):
        page, notes = _page(folder / PAGE)
        known = _known(folder / DATA)
        for root in [folder] if runs is None else runs:
            found |= found_below(Path(root), folder, trials=trials)
        found |= again(folder, known, found)
        _write(folder, known, found, notes, language or language_of(page) or "en")
    return folder / PAGE


def keep_diary(run: Path) -> Path | None:
    """Write the diary beside a run that has just ended, or say why it could not be written.

    A run within a study, such as the one adopted, is told beside the study.
    """
    folder = Path(run).resolve().parent
    while is_study(folder):
        folder = folder.parent
    try:
        return write_history(folder)
    except Exception as error:  # no reason for a finished training to end with an error
        announce(f"the diary was not written: {error}")
        return None


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The entries of a folder's diary, in the order of the page."""
    return list(_known(folder / DATA).values())


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
    added, path = clean(text), run / NOTE_FILE
    if not added:
        raise HfrunError("the note is empty; give its text")
    diary = _diary_above(run)
    if diary is not None:
        write_history(diary)  # what was edited on the page comes first
    with _turn(diary or run.resolve().parent):
        before = read_note(run)
        if before is None and path.exists():
            raise HfrunError(f"{path}: is no UTF-8 text; save it as UTF-8 first")
        write_text(path, f"{before}\n\n{added}\n" if before else f"{added}\n")
    return write_history(diary) if diary is not None else None


def _diary_above(run: Path) -> Path | None:
    above = run.resolve().parents[:DEPTH]
    return next((folder for folder in above if (folder / DATA).is_file()), None)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait for the turn to write a folder's diary; file systems without locks give none."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(
    folder: Path, known: Entries, found: Found, notes: Mapping[str, PageNote], language: Language
) -> None:
    fresh = {identifier: entry for identifier, (entry, _) in found.items()}
    records = {identifier: record for identifier, (_, record) in found.items() if record}
    entries = united(folder, known, fresh)
    for identifier, note in notes.items():  # of an entry that nothing else knows any more
        if note.text and identifier not in {each.get("noted_as") for each in entries.values()}:
            entries.setdefault(identifier, {**only_note(identifier), "note": note.text})
    for identifier, entry in entries.items():
        place = placed(folder, entry)
        file = read_note(place) if place is not None else None
        noted_as = entry.pop("noted_as", identifier)
        page = notes.get(noted_as)
        base = entry["note"] if identifier in known or noted_as in known else None
        entry["note"] = merged(base, page, file)
        if place is not None:
            keep_note(place, entry["note"])
    ordered = judged(in_order(entries.values(), folder), records)
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


def _known(path: Path) -> Entries:
    """The entries that were written before, by their ids."""
    if not path.is_file():
        return {}
    found: Entries = {}
    is_damaged = False
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            page_of([{**only_note(entry["id"]), **entry}], "en")  # what cannot be told is damaged
        except Exception:  # in whatever way a line may be damaged
            is_damaged = True
        else:
            found[entry["id"]] = {**only_note(entry["id"]), **entry}
    if is_damaged:
        announce(f"{path}: some lines are no entries; the file as it was is {_keep_beside(path)}")
    return found


def _keep_beside(path: Path) -> Path:
    """A copy of a file that a person, or a crash, has damaged."""
    kept = path.with_name(f"{path.stem}.damaged-{sha256_of(path)[:8]}{path.suffix}")
    kept.write_bytes(path.read_bytes())
    return kept
