"""Which commit last changed each file and folder."""

import threading
from collections.abc import Mapping

from cachetools import LRUCache

from hfrun.hub.commit import Commit
from hfrun.hub.repository import Repository
from hfrun.hub.tree import Tree, folders

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

    The history is walked once, newest first, until all are found.
    """
    with _lock:
        known = _known.get(commit.id)
    if known is not None:
        return known
    tree = repository.tree(commit)
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
            changed = _changed(repository.tree(newer), repository.tree(older)) & missing
            found.update(dict.fromkeys(changed, newer))
            missing -= changed
        newer = older
    if len(found) < _CACHED_PATHS:
        with _lock:
            _known[commit.id] = found
    return found


def _changed(newer: Tree, older: Tree) -> set[str]:
    """Files that differ between two commits, and the folders that hold them."""
    files = {path for path, entry in newer.items() if older.get(path) != entry}
    files |= older.keys() - newer.keys()
    return files | folders(files)
