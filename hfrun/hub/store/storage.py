"""What a repository keeps over all its revisions: its large files, and how many bytes in all."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from hfrun.hub.refusals import RevisionNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import DEFAULT_BRANCH, KINDS_OF_REFS, Repository

_CACHED_FILES = 200_000
_CHEAP_FILES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LargeFile:
    """A large (LFS) file in the history; one content may stand under several paths.

    Attributes:
        path: the one it had at first.
        pushed_at: date of the commit that brought it.
        ref: full name of the ref in whose history it was found, e.g. ``refs/heads/main``.
    """

    sha256: str
    path: str
    size: int
    pushed_at: str
    ref: str


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Everything that the refs of a repository lead to.

    Attributes:
        heads: the commits that the refs pointed at.
        commits: all commits that they lead to.
        sizes: bytes of each content, by its SHA-256.
        large: the large files, by their SHA-256.
    """

    heads: frozenset[str]
    commits: frozenset[str]
    sizes: Mapping[str, int]
    large: Mapping[str, LargeFile]

    @property
    def used_bytes(self) -> int:
        """Bytes of all contents, each counted once."""
        return sum(self.sizes.values())


_NOTHING = Storage(heads=frozenset(), commits=frozenset(), sizes={}, large={})

# By the folder of the repository. What was walked is not walked again while refs only advance.
_known: LRUCache[Path, Storage] = LRUCache(
    _CACHED_FILES, getsizeof=lambda storage: len(storage.sizes) + len(storage.commits) + 1
)
_lock = threading.Lock()


def storage(repository: Repository) -> Storage:
    """What the refs of a repository lead to now."""
    refs = {
        f"refs/{kind}/{name}": commit
        for kind in KINDS_OF_REFS
        for name, commit in repository.refs(kind).items()
    }
    with _lock:
        before = _known.get(repository.folder, _NOTHING)
    heads = frozenset(refs.values())
    if heads == before.heads:
        return before
    found = _walked(repository, refs, before)
    if found is None:  # a ref was deleted, or its history rewritten
        found = _walked(repository, refs, _NOTHING)
        assert found is not None  # there was nothing to miss
    if len(found.sizes) + len(found.commits) < _CACHED_FILES:
        with _lock:
            _known[repository.folder] = found
    return found


def used_bytes_if_cheap(repository: Repository, *, files: int) -> int | None:
    """Bytes of all revisions; None where finding out would take more than about a second.

    Args:
        files: how many there are now, which stands for all commits.
    """
    with _lock:
        known = repository.folder in _known
    if not known:
        try:
            commits = sum(1 for _ in (repository.folder / "commits").iterdir())
        except FileNotFoundError:  # deleted while we looked
            return None
        if files * commits > _CHEAP_FILES:
            return None
    return storage(repository).used_bytes


def _walked(repository: Repository, refs: Mapping[str, str], before: Storage) -> Storage | None:
    """Walk what is new since ``before``; None where something of it is not led to any more."""
    commits, met = set(before.commits), set(refs.values())
    sizes, large = dict(before.sizes), dict(before.large)
    # The default branch first: a file that several refs share is said to be of this one.
    for ref in sorted(refs, key=lambda name: (name != f"refs/heads/{DEFAULT_BRANCH}", name)):
        for commit in _history(repository, refs[ref]):
            if commit.id in commits:
                met.add(commit.id)
                break
            commits.add(commit.id)
            tree = repository.stored_tree(commit.tree)
            sizes.update((file["sha256"], file["size"]) for file in tree.values())
            # Older commits come later, and say where a file was at first.
            for sha256, path in _large_paths(tree).items():
                known = large.get(sha256)
                if known is None or (sha256 not in before.large and commit.date <= known.pushed_at):
                    large[sha256] = LargeFile(
                        sha256=sha256,
                        path=path,
                        size=sizes[sha256],
                        pushed_at=commit.date,
                        ref=ref if known is None else known.ref,
                    )
    if not before.heads <= met:
        return None
    heads = frozenset(refs.values())
    return Storage(heads=heads, commits=frozenset(commits), sizes=sizes, large=large)


def _large_paths(tree: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Each large file's SHA-256, with one of its paths."""
    return {file["sha256"]: path for path, file in tree.items() if file["lfs"]}


def _history(repository: Repository, head: str) -> Iterator[Commit]:
    try:
        yield from repository.history(head)
    except RevisionNotFoundError:  # the ref was deleted and its commits swept while we walked
        return
