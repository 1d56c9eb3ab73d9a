"""A hub's files as they lie on the disk: no caches, and nothing believed that was not checked."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hfrun.hub.names import KINDS, checked_path, is_sha1, is_sha256
from hfrun.hub.refusals import BadPathError
from hfrun.hub.store.commit import Commit, decoded_commit
from hfrun.hub.store.objects import ABANDONED_AFTER_SECONDS
from hfrun.hub.store.tree import Entry, folder_ids, folders

QUARANTINE = "quarantine"


def files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Regular files of a folder by name, those that are being written left out."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (e for e in found if not is_partial(e.name) and e.is_file(follow_symlinks=False))


def subfolders(folder: Path) -> list[Path]:
    """Folders in a folder by name, links left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def repository_folders(root: Path) -> list[Path]:
    """The folders of all repositories."""
    kinds = [root / "repositories" / kind for kind in KINDS]
    return [folder for kind in kinds for space in subfolders(kind) for folder in subfolders(space)]


def object_files(root: Path) -> Iterator[os.DirEntry[str]]:
    """All files two folders below ``objects/``, whatever their names."""
    for folder in object_folders(root):
        yield from files(folder)


def object_folders(root: Path) -> Iterator[Path]:
    """The folders that hold objects."""
    for first in subfolders(root / "objects"):
        yield from subfolders(first)


def is_partial(name: str) -> bool:
    """Whether this is the name of a file that is being written (``lob_backtest.files``)."""
    return name.startswith(".") and name.endswith(".partial")


def is_abandoned(path: Path) -> bool:
    """Whether nobody has written to it for so long that nobody will."""
    try:
        return path.lstat().st_mtime < time.time() - ABANDONED_AFTER_SECONDS
    except FileNotFoundError:
        return False


def delete(path: Path) -> None:
    """Remove a file or a folder; a server that starts may do the same to leftovers meanwhile."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read(path: Path) -> bytes | None:
    """The bytes of a file; None where there is none, or something else."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def parsed_commit(commit_id: str, data: bytes) -> Commit:
    """The commit in these bytes, its fields of the right types.

    Raises:
        ValueError: they hold none. Whether its id is right is left to the caller.
    """
    try:
        commit = decoded_commit(commit_id, data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    texts = (commit.tree, commit.title, commit.message, commit.author, commit.date)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a field is not text")
    if not is_sha1(commit.tree) or not (commit.parent is None or is_sha1(commit.parent)):
        raise ValueError("its tree or its parent is not an id")
    return commit


def parsed_tree(data: bytes) -> dict[str, Entry]:
    """The tree in these bytes, its paths and the fields of its entries checked.

    Raises:
        ValueError: they hold none. Whether its id is right is left to the caller.
    """
    try:
        rows = json.loads(data)
        tree = {checked_path(path): _entry(fields) for path, fields in rows.items()}
    except (AttributeError, TypeError, RecursionError):
        raise ValueError("not a list of files") from None
    except BadPathError as error:
        raise ValueError(str(error)) from None
    both = folders(tree) & tree.keys()
    if both:
        raise ValueError(f"{min(both)!r} is a file and a folder at once")
    return tree


def tree_id(tree: dict[str, Entry]) -> str:
    """Git's id of the root folder."""
    return folder_ids(tree)[""]


def _entry(fields: dict[str, Any]) -> Entry:
    entry = Entry(**fields)
    size_fits = type(entry.size) is int and entry.size >= 0
    if not (is_sha1(entry.oid) and is_sha256(entry.sha256) and size_fits):
        raise ValueError("an entry's oid, size or sha256 is none")
    if type(entry.lfs) is not bool:
        raise ValueError("an entry is neither lfs nor not")
    return entry
