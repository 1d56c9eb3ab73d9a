"""What was known before with what there is now: notes are handed on, and nothing gone is lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfrun.history.entries import empty_entry
from hfrun.history.sources import Entries, placed


def united(folder: Path, known: Entries, fresh: Entries) -> Entries:
    """The entries of the diary.

    One that was known takes its new figures and keeps its note; ``noted_as`` is the id that the
    note has on the page. One whose folder is gone stays as it was, and says so; a trial is told
    only while it is asked for.

    Args:
        folder: of the diary.
        known: as the diary was last written.
        fresh: as they are now, without notes.
    """
    left = dict(known)
    entries: Entries = {}
    for identifier, entry in fresh.items():
        old = left.get(identifier) or _moved(folder, entry, left)
        if old is not None:
            del left[old["id"]]
            entry = _renewed(old, entry)
        entries[entry["id"]] = entry
    for identifier, old in left.items():
        is_trial = old.get("study") is not None and placed(folder, old) is not None
        if not is_trial or old["note"]:
            entries[identifier] = {**old, "gone": not old["is_recorded"], "noted_as": identifier}
    return entries


def only_note(identifier: str) -> dict[str, Any]:
    """The entry of a run of which nothing is left but a note on the page."""
    place, _, date = identifier.rpartition("@")
    entry = empty_entry(identifier, name=Path(place or identifier).name, folder=place or None)
    is_recorded = identifier.startswith("recorded:")
    kind = "recorded" if is_recorded else "study" if date == "study" else entry["kind"]
    known = {"date": date if place and date != "study" else None, "kind": kind}
    return {**entry, **known, "is_recorded": is_recorded, "gone": True}


def _renewed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The newer of two entries of one run, with the note; the older where the new tells nothing."""
    if new["status"] == "unreadable" and old["status"] != "unreadable":
        problem = {"status": "unreadable", "problem": new["problem"], "gone": False}
        return {**old, **problem, "noted_as": old["id"]}
    return {**new, "note": old["note"], "noted_as": old["id"]}


def _moved(folder: Path, entry: Mapping[str, Any], left: Entries) -> dict[str, Any] | None:
    """The older entry of the same run: from another folder, or when it could not be read."""
    for old in reversed(list(left.values())):
        is_here = old.get("folder") is not None and old.get("folder") == entry.get("folder")
        if is_here and "unreadable" in (entry["status"], old["status"]):
            return old
        same = entry.get("identity") is not None and all(
            old.get(name) == entry.get(name) for name in ("identity", "date")
        )
        if same and placed(folder, old) is None:
            return old
    return None
