"""Files of a hub's root and of a repository that are neither history nor content."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from hfrun.hub.maintenance.findings import (
    DAMAGE,
    LEFTOVER,
    Finding,
    Remedy,
    Remove,
    Restrict,
    Rewrite,
    SetAside,
    identity,
)
from hfrun.hub.maintenance.raw import (
    QUARANTINE,
    is_abandoned,
    is_partial,
    object_folders,
    read,
    subfolders,
)
from hfrun.hub.names import RepoId, checked_repo_id
from hfrun.hub.refusals import BadRequestError, RepoNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import Repository, Settings, utc_now

_KEY = re.compile(rb"[0-9a-f]{64}\n?")
_TABLES = ("users", "organisations", "tokens")
_FILES = (
    "accounts.json",
    "secret",
    "moved/places/*",
    "moved/names/*/*/*",
    "repositories/*/*/*/*.json",
    "repositories/*/*/*/refs/*/*",
    *(
        f"repositories/*/*/*/{name}/*"
        for name in ("commits", "trees", "uploads", "removed", "discussions")
    ),
)
_FOLDER = "a folder where a file should be"
_WITHOUT_PARTIALS = ("objects", "incoming", "locks", QUARANTINE)


def settings_findings(folder: Path, shown: str, commits: Sequence[Commit]) -> list[Finding]:
    """What is wrong with ``repo.json``.

    Args:
        shown: the folder below the root.
        commits: the sound ones; without any, nothing is left that settings could be for.
    """
    file = folder / "repo.json"
    here = RepoId(kind=folder.parts[-3], namespace=folder.parts[-2], name=folder.name)
    try:
        settings = Repository(folder=folder, lock_file=folder, objects=ObjectStore(folder)).settings
        wrong = _wrong_settings(settings, here)
    except RepoNotFoundError:
        wrong, settings = "it is missing", None
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        wrong, settings = f"not settings of a repository: {error}", None
    if wrong is None:
        return []
    remedy: Remedy = SetAside(path=folder, seen=identity(folder))
    if commits:
        remedy = _rewritten(file, settings, here, commits)
    return [Finding(severity=DAMAGE, place=f"{shown}/repo.json", wrong=wrong, remedy=remedy)]


def _wrong_settings(settings: Settings, here: RepoId) -> str | None:
    repo_id = settings.repo_id
    try:
        checked_repo_id(repo_id.kind, repo_id.namespace, repo_id.name)
    except BadRequestError as error:
        return str(error)
    if (repo_id.kind, str(repo_id).lower()) != (here.kind, str(here)):
        return f"it says {repo_id.kind}/{repo_id}, which lies in another folder"
    if type(settings.private) is not bool or not isinstance(settings.created_at, str):
        return "it does not say whether the repository is private, or when it was made"
    if settings.gated not in ("", "auto", "manual"):
        return f"it says gated {settings.gated!r}, which is neither auto nor manual"
    return None


def _rewritten(
    file: Path, settings: Settings | None, here: RepoId, commits: Sequence[Commit]
) -> Rewrite:
    """Settings that show the repository to nobody new: who might see it is not known any more."""
    if settings is not None and type(settings.private) is bool:
        meant, effect = replace(settings, repo_id=here, moving_to=None), f"written anew for {here}"
    else:
        made = min((commit.date for commit in commits), default=utc_now())
        sdk = "static" if here.kind == "spaces" else None
        meant = Settings(repo_id=here, private=True, created_at=made, sdk=sdk)
        effect = f"written anew for {here}, which becomes private"
    gated = meant.gated if meant.gated in ("", "auto", "manual") else "manual"
    made_at = meant.created_at if isinstance(meant.created_at, str) else utc_now()
    meant = replace(meant, gated=gated, created_at=made_at)
    return Rewrite(path=file, seen=identity(file), data=meant.encoded(), effect=effect)


def root_findings(root: Path) -> list[Finding]:
    """What is wrong with the accounts and the secret, and what ended processes left."""
    found = _account_findings(root / "accounts.json") + _secret_findings(root / "secret")
    for path in sorted((root / "incoming").glob("*")):
        if is_abandoned(path):
            found.append(_leftover(root, path, "an upload or a deletion that was broken off"))
    return found + _strays(root)


def _strays(root: Path) -> list[Finding]:
    """Broken-off writes, links and misplaced folders below the root; its own entries may be links.

    Objects are listed elsewhere.
    """
    found = []
    for at, folders, names in os.walk(root):
        folder = Path(at)
        if folder == root:
            folders[:] = [name for name in folders if name not in _WITHOUT_PARTIALS]
        for name in names:
            if is_partial(name) and is_abandoned(folder / name):
                found.append(_leftover(root, folder / name, "a write that was broken off"))
        if folder != root:
            links = [folder / name for name in [*folders, *names] if (folder / name).is_symlink()]
            found += [_set_aside(root, path, "a link, which no hub makes") for path in links]
        misplaced = [folder / n for n in folders if _is_file((folder / n).relative_to(root))]
        found += [_set_aside(root, path, _FOLDER) for path in misplaced if not path.is_symlink()]
    found += [
        _set_aside(root, path, _FOLDER)
        for folder in object_folders(root)
        for path in subfolders(folder)
    ]
    return found


def _is_file(place: PurePath) -> bool:
    """Whether a place below the root, by the layout of hubs, can only be that of a file."""
    return any(
        place.match(pattern) and len(place.parts) == pattern.count("/") + 1 for pattern in _FILES
    )


def _account_findings(file: Path) -> list[Finding]:
    data = read(file)
    if data is None:
        return []
    try:
        accounts = json.loads(data)
        wrong = _wrong_accounts(accounts)
    except (ValueError, RecursionError) as error:
        wrong = f"not JSON: {error}"
    if wrong is None:
        return _open_to_others(file)
    advice = "mend it by hand, or copy it from another copy of this hub"
    return [Finding(severity=DAMAGE, place=file.name, wrong=wrong, advice=advice)]


def _wrong_accounts(accounts: Any) -> str | None:
    if not isinstance(accounts, dict):
        return "it holds no accounts"
    for name in _TABLES:
        rows = accounts.get(name)
        if not isinstance(rows, dict) or not all(isinstance(r, dict) for r in rows.values()):
            return f"it has no table of {name}"
    users = accounts["users"]
    for row in accounts["tokens"].values():
        if str(row.get("user")).lower() not in users or row.get("role") not in ("read", "write"):
            return f"a token is of user {row.get('user')!r} in role {row.get('role')!r}"
    for name, row in accounts["organisations"].items():
        strangers = [m for m in row.get("members", ()) if m not in users]
        if strangers:
            return f"members of {name} are no users: {', '.join(map(str, strangers))}"
    return None


def _secret_findings(file: Path) -> list[Finding]:
    data = read(file)
    if data is None:
        return []
    if _KEY.fullmatch(data):
        return _open_to_others(file)
    # A server makes a new one when it starts; addresses and sessions of the old one end.
    remedy = SetAside(path=file, seen=identity(file))
    return [Finding(severity=DAMAGE, place=file.name, wrong="not a key", remedy=remedy)]


def _open_to_others(file: Path) -> list[Finding]:
    mode = file.stat().st_mode & 0o777
    if not mode & 0o077:
        return []
    remedy = Restrict(path=file, seen=identity(file))
    wrong = f"others than its owner may read it (mode {mode:03o})"
    return [Finding(severity=DAMAGE, place=file.name, wrong=wrong, remedy=remedy)]


def _leftover(root: Path, path: Path, wrong: str) -> Finding:
    remedy = Remove(path=path, seen=identity(path))
    place = path.relative_to(root).as_posix()
    return Finding(severity=LEFTOVER, place=place, wrong=wrong, remedy=remedy)


def _set_aside(root: Path, path: Path, wrong: str) -> Finding:
    remedy = SetAside(path=path, seen=identity(path))
    place = path.relative_to(root).as_posix()
    return Finding(severity=DAMAGE, place=place, wrong=wrong, remedy=remedy)
