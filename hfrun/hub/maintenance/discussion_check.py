"""What lies beside a repository's history: discussions, the gate, and names it has left."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from hfrun.hub.accounts.gating import STATUSES, AccessRequest
from hfrun.hub.discussions.discussion import Discussion, decoded_discussion
from hfrun.hub.maintenance.findings import (
    DAMAGE,
    LEFTOVER,
    Finding,
    Remedy,
    Remove,
    SetAside,
    identity,
)
from hfrun.hub.maintenance.raw import files, is_abandoned, read, repository_folders, subfolders
from hfrun.hub.names import RepoId, is_sha1

_KEY = re.compile(r"[0-9a-f]{32}")
_DISCUSSION_STATUSES = ("open", "closed", "draft", "merged")


def discussion_findings(root: Path, folder: Path) -> tuple[list[Finding], dict[str, str]]:
    """What is wrong with discussions and ``gate.json`` of a repository.

    Returns:
        The findings, and for each pull request the commit that it began at, by its number.
    """
    found, bases = [], {}
    for file in files(folder / "discussions"):
        path = Path(file.path)
        data = read(path)
        if data is None:
            continue
        try:
            discussion = _checked(path, decoded_discussion(data))
        except (ValueError, RecursionError) as error:
            found.append(_unreadable(root, path, f"not a discussion: {error}"))
            continue
        if discussion.is_pull_request:
            bases[path.stem] = str(discussion.base)
    return [*found, *_of_file(root, folder / "gate.json", _check_gate)], bases


def _checked(path: Path, discussion: Discussion) -> Discussion:
    if path.name != f"{discussion.number}.json" or type(discussion.number) is not int:
        raise ValueError(f"its number is {discussion.number!r}")
    texts = (discussion.title, discussion.author, discussion.created_at)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("its title, its author or its time is no text")
    if discussion.status not in _DISCUSSION_STATUSES:
        raise ValueError(f"its status is {discussion.status!r}")
    if discussion.is_pull_request and not is_sha1(discussion.base):
        raise ValueError("it is a pull request that begins at no commit")
    return discussion


def _check_gate(data: bytes) -> None:
    requests = [AccessRequest(**row) for row in json.loads(data).values()]
    wrong = next((r for r in requests if r.status not in STATUSES), None)
    if wrong is not None:
        raise ValueError(f"the request of {wrong.user!r} has the status {wrong.status!r}")


def moved_findings(root: Path) -> list[Finding]:
    """What is wrong with the names that repositories have left, below ``moved/``."""
    keys = {key for folder in repository_folders(root) if (key := _key(folder)) is not None}
    found = []
    for file in files(root / "moved" / "places"):
        path = Path(file.path)
        found += _of_file(root, path, _check_places)
        if path.stem not in keys and is_abandoned(path):
            found.append(_leads_nowhere(root, path))
    spaces = [s for kind in subfolders(root / "moved" / "names") for s in subfolders(kind)]
    for file in (name for space in spaces for name in files(space)):
        path = Path(file.path)
        found += _of_file(root, path, _check_keys)
        if not keys & set((read(path) or b"").decode("utf-8", "replace").split()):
            found += [_leads_nowhere(root, path)] if is_abandoned(path) else []
    return found


def _key(folder: Path) -> str | None:
    try:
        return str(json.loads(read(folder / "repo.json") or b"{}").get("key"))
    except (ValueError, AttributeError, RecursionError):  # a finding of its own
        return None


def _check_places(data: bytes) -> None:
    for fields in json.loads(data):
        RepoId(**fields)


def _check_keys(data: bytes) -> None:
    wrong = [key for key in data.decode().split() if not _KEY.fullmatch(key)]
    if wrong:
        raise ValueError(f"{wrong[0][:60]!r} is no key of a repository")


def _of_file(root: Path, path: Path, check: Callable[[bytes], None]) -> list[Finding]:
    data = read(path)
    try:
        if data is not None:
            check(data)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return [_unreadable(root, path, f"not what it should be: {error}")]
    return []


def _unreadable(root: Path, path: Path, wrong: str) -> Finding:
    """A file that would end every listing; who wants it back finds it in quarantine."""
    return _finding(root, path, DAMAGE, wrong, SetAside(path=path, seen=identity(path)))


def _leads_nowhere(root: Path, path: Path) -> Finding:
    wrong = "the repository that it leads to was deleted"
    return _finding(root, path, LEFTOVER, wrong, Remove(path=path, seen=identity(path)))


def _finding(root: Path, path: Path, severity: str, wrong: str, remedy: Remedy) -> Finding:
    place = path.relative_to(root).as_posix()
    return Finding(severity=severity, place=place, wrong=wrong, remedy=remedy)
