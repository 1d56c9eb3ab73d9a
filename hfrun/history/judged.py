"""Entries with what follows from their figures: findings, advice, and a conclusion."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.diagnosis import diagnose
from hfrun.history.conclusion import conclusion
from hfrun.history.entries import as_plain, entry_of
from hfrun.history.lineage import in_order
from hfrun.history.text import unescaped
from hfrun.history.words import WORDS
from hfrun.record import RunRecord
from lob_backtest.progress import announce


def entries_of(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """The data of each entry, in the order of time; recorded runs come first, as given."""
    held: dict[str, RunRecord] = {}
    entries = []
    for record in records:
        entry = entry_of(record)
        while entry["id"] in held:  # two recorded runs of one name
            entry["id"] += "+"
        held[entry["id"]] = record
        entries.append(entry)
    return judged(in_order(entries), held)


def judged(
    entries: Sequence[Mapping[str, Any]], records: Mapping[str, RunRecord]
) -> list[dict[str, Any]]:
    """The entries with findings, advice and a conclusion; those without a record keep theirs.

    Args:
        entries: with their parents.
        records: by the ids of the entries.
    """
    by_id = {entry["id"]: entry for entry in entries}
    return [
        {**entry, **_judged(entry, by_id, records)} if entry["id"] in records else dict(entry)
        for entry in entries
    ]


def _judged(
    entry: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, RunRecord],
) -> dict[str, Any]:
    parent = (entry.get("parent") or {}).get("id", "")
    findings = _findings(entry, records, records.get(parent))
    steps = [str(each["next_experiment"]) for each in findings if each.get("next_experiment")]
    return {
        "findings": findings,
        "advice": list(dict.fromkeys(steps)),
        "conclusion": unescaped(conclusion(entry, entries.get(parent), WORDS["en"])),
    }


def _findings(
    entry: Mapping[str, Any], records: Mapping[str, RunRecord], parent: RunRecord | None
) -> list[dict[str, Any]]:
    try:
        found = diagnose(records[entry["id"]], parent)
    except Exception as error:  # by a record damaged within; the diary tells of all the others
        announce(f"{entry['run']}: no diagnosis: {type(error).__name__}: {error}")
        return []
    return [as_plain(finding.as_dict()) for finding in found]
