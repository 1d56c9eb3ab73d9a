"""Which commit last changed each file and folder."""

import threading
from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import folders

# By the commit's id, which is the hash of its whole history. Counted in paths, as trees are.
_CACHED_PATHS = 100_000
_known: LRUCache[str, Mapping[str, Commit]] = LRUCache(
    _CACHED_PATHS, getsizeof=lambda found: len(found) + 1
)
_lock = threading.Lock()


def history_of_paths(repository: Repository, commit: Commit) -> Mapping[str, Commit]:
    """The commit that last changed each file and folder that is there; not to be changed.

    ::

        a.txt    x    .    .      a.txt -> 3, f -> 2, f/b -> 2: the newest commit in which the
        f/b      .    x    x      file differs from the commit before; a folder changes with
        commit   3    2    1      anything below it, deletions too

    The history is walked once, newest first, until all are found or a commit is met for which
    they are known: after a push, that is the one before.
    """
    known = _known_at(commit.id)
    if known is not None:
        return known
    tree = repository.stored_tree(commit.tree)
    missing = {*tree, *folders(tree)}
    found: dict[str, Commit] = {}
    history = repository.history(commit.id)
    newer = next(history)
    while missing:
        older = next(history, None)
        if older is None:
            found.update(dict.fromkeys(missing, newer))
            break
        if older.tree != newer.tree:
            before = repository.stored_tree(older.tree)
            changed = _changed(tree, before) & missing
            found.update(dict.fromkeys(changed, newer))
            missing -= changed
            tree = before
        known = _known_at(older.id)
        if known is not None:
            found.update((path, known[path]) for path in missing)
            break
        newer = older
    if len(found) < _CACHED_PATHS:
        with _lock:
            _known[commit.id] = found
    return found


def _known_at(commit_id: str) -> Mapping[str, Commit] | None:
    with _lock:
        return _known.get(commit_id)


def _changed(newer: Mapping[str, Any], older: Mapping[str, Any]) -> set[str]:
    """Files that differ between two commits, and the folders that hold them."""
    files = {path for path, fields in newer.items() if older.get(path) != fields}
    files |= older.keys() - newer.keys()
    return files | folders(files)
