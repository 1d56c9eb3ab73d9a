"""Repositories that hold what a test says, without a server."""

from pathlib import Path

from hfrun.hub.names import RepoId
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry, lfs_entry


def new_repository(root: Path) -> Repository:
    """An empty repository in a hub of its own."""
    repo_id = RepoId(kind="models", namespace="alice", name="m")
    store = HubStore(open_root(root / "hub", create=True))
    return store.create(repo_id, private=False, author="alice", sdk=None)


def stored(repository: Repository, content: bytes) -> Entry:
    """The entry of a file with this content."""
    return lfs_entry(repository.objects.put(content), len(content))
