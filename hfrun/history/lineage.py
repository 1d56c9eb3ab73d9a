"""From which run a run was changed, and what in its config is another."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

# They name a run and say why it was made; none of them changes what is trained.
NO_CHANGE = ("run.name", "run.output_dir", "run.question", "run.parent", "run.diary")
_DATA = ("data.book", "data.source", "data.train", "dataset")


def in_order(entries: Iterable[Mapping[str, Any]], root: Path | str = ".") -> list[dict[str, Any]]:
    """The entries in the order of time, each with its parent and what was changed from it.

    Args:
        entries: each with ``id, run, kind, is_recorded, date, folder, config, stated_parent``.
        root: the folder from which theirs are told.
    """
    return _linked(sorted(entries, key=_time), Path(root))


def _time(entry: Mapping[str, Any]) -> tuple[int, float]:
    """Recorded runs first, then those with a date, then what has lost its date."""
    try:
        return 1, datetime.fromisoformat(str(entry["date"])).timestamp()
    except ValueError:
        return (0, 0.0) if entry["is_recorded"] else (2, 0.0)


def _linked(entries: Sequence[Mapping[str, Any]], root: Path) -> list[dict[str, Any]]:
    """The entries with ``parent`` and ``changes``.

    The parent is the run that ``run.parent`` names, else the latest earlier run over the same
    data: the difference between configs over other data would say nothing.
    """
    linked: list[dict[str, Any]] = []
    for entry in entries:
        stated = entry.get("stated_parent")
        others = [other for other in entries if other["id"] != entry["id"]]
        parent = _stated(stated, others, root) if stated else _before(entry, linked)
        linked.append({
            **entry,
            "parent": None if parent is None else {"id": parent["id"], "run": parent["run"]},
            "changes": [] if parent is None else changes(parent["config"], entry["config"]),
        })  # fmt: skip
    return linked


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Keys whose values differ, in the new config's order, those that are gone last.

    What a config does not have is not in the change: ``{"key": "lr", "new": 1e-5}``.

    >>> changes({"lr": 1e-4, "run.name": "a"}, {"run.name": "b", "lr": 1e-5, "clip": 1.0})
    [{'key': 'lr', 'old': 0.0001, 'new': 1e-05}, {'key': 'clip', 'new': 1.0}]
    """
    found = []
    for key in [*new, *(key for key in old if key not in new)]:
        if key in NO_CHANGE or (key in old and key in new and _same(old[key], new[key])):
            continue
        sides = (("old", old), ("new", new))
        found.append({"key": key} | {side: held[key] for side, held in sides if key in held})
    return found


def _same(old: Any, new: Any) -> bool:
    """Equal, and not merely to Python, to which True is 1."""
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _before(
    entry: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    if entry["kind"] in ("study", "sweep"):
        return None
    return next((other for other in reversed(earlier) if _is_comparable(entry, other)), None)


def _is_comparable(entry: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Runs of one study or of none, over the same files or over those of the same name."""
    of_both = ("study", "is_recorded")
    if other["kind"] in ("study", "sweep") or any(
        entry.get(name) != other.get(name) for name in of_both
    ):
        return False
    same_files = bool(entry.get("data")) and entry.get("data") == other.get("data")
    return same_files or _data(entry["config"]) == _data(other["config"])


def _data(config: Mapping[str, Any]) -> list[str]:
    data = [str(config[key]) for key in _DATA if config.get(key) is not None]
    is_made = not data and any(key.startswith("data.book.") for key in config)
    return ["synthetic"] if is_made else data


def _stated(
    stated: str, others: Sequence[Mapping[str, Any]], root: Path
) -> Mapping[str, Any] | None:
    """By the folder itself, by the folder as its config wrote it, else by its name."""
    wanted = Path(stated)
    found = [other for other in others if other.get("folder")
             and (root / other["folder"]).resolve() == wanted.resolve()]  # fmt: skip
    found = found or [
        other for other in others if Path(str(other["config"].get("run.output_dir"))) == wanted
    ]
    found = found or [other for other in others if stated in (other["run"], other.get("folder"))]
    return found[-1] if found else None
