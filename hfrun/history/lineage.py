"""From which run a run was changed, and what in its config is another."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

# They name a run and say why it was made; none of them changes what is trained.
NO_CHANGE = ("run.name", "run.output_dir", "run.question", "run.parent", "run.diary")
_DATA = ("data.book", "data.source", "data.train", "dataset")


def in_order(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries in the order of time, each with its parent and what was changed from it."""
    return link(sorted(entries, key=_time))


def _time(entry: Mapping[str, Any]) -> tuple[int, float]:
    """Recorded runs first, then those with a date, then what has lost its date."""
    try:
        return 1, datetime.fromisoformat(str(entry["date"])).timestamp()
    except ValueError:
        return (0, 0.0) if entry["is_recorded"] else (2, 0.0)


def link(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries with ``parent`` and ``changes``.

    The parent is the run that ``run.parent`` names, else the latest earlier run over the same
    data: the difference between configs over other data would say nothing.

    Args:
        entries: in the order of the diary, each with ``id, run, folder, config, stated_parent``.
    """
    linked: list[dict[str, Any]] = []
    for entry in entries:
        stated = entry.get("stated_parent")
        others = [other for other in entries if other["id"] != entry["id"]]
        parent = _stated(stated, entry, others) if stated else _before(entry, linked)
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
    line = _line(entry)
    return next((other for other in reversed(earlier) if _line(other) == line), None)


def _line(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What runs share that are changed from each other: the study they belong to, and the data."""
    config = entry["config"]
    data = [_plain(config[key]) for key in _DATA if config.get(key) is not None]
    if not data and any(key.startswith("data.book.") for key in config):
        data = ["synthetic"]
    is_study = entry["kind"] in ("study", "sweep")
    return (entry.get("study"), entry["id"] if is_study else None, entry["is_recorded"], *data)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, list | Mapping) else value


def _stated(
    stated: str, entry: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """By its folder as the config wrote it, else by its place in the diary, else by its name."""
    wanted = PurePath(stated)
    held = list(others)
    for names in (
        lambda other: other["config"].get("run.output_dir"),
        lambda other: other.get("folder"),
        lambda other: PurePath(other["folder"]).name if other.get("folder") else None,
        lambda other: other["run"],
    ):
        found = [other for other in held if names(other) and PurePath(str(names(other))) == wanted]
        if found:
            return found[-1]
    same_name = [other for other in held if PurePath(other.get("folder") or "").name == wanted.name]
    return same_name[-1] if same_name and wanted.name else None
