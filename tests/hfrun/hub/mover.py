"""Moves repositories of a hub's folder while another process does too: ROOT WORKER N.

Prints as JSON which of the N first ones it won, and how often it moved the last one to and fro.
"""

import json
import sys
from pathlib import Path

from hfrun.hub.names import RepoId
from hfrun.hub.refusals import AlreadyExistsError, RepoNotFoundError
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository


def model(name: str) -> RepoId:
    """A model repository of alice."""
    return RepoId(kind="models", namespace="alice", name=name)


def create(store: HubStore, name: str, *, private: bool = False) -> Repository:
    return store.create(model(name), private=private, author="alice", sdk=None)


def leads_to(store: HubStore, name: str) -> list[str]:
    """Where a name that no repository has leads."""
    try:
        store.open(model(name))
    except RepoNotFoundError:
        pass
    else:
        raise AssertionError(f"a repository has the name {name}")
    return [str(r.settings.repo_id) for r in store.successors("models", "alice", name)]


def place_of(store: HubStore, *names: str) -> str:
    """Which one of the names has the repository; it is whole and calls itself so."""
    found = []
    for name in names:
        try:
            repository = store.open(model(name))
        except RepoNotFoundError:
            continue
        tree = repository.tree(repository.commit(repository.head("main")))
        assert repository.content(tree[".gitattributes"]).stat().st_size > 0
        assert str(repository.settings.repo_id) == f"alice/{name}"
        found.append(name)
    (only,) = found
    return only


def race(store: HubStore, worker: str, n: int) -> list[int]:
    """Try to move each of alice/a0, alice/a1, ... to a name of this worker's own."""
    won = []
    for i in range(n):
        try:
            store.move(model(f"a{i}"), model(f"a{i}-{worker}"))
        except RepoNotFoundError:
            continue
        won.append(i)
    return won


def swing(store: HubStore, n: int) -> int:
    """Move alice/x to alice/y or back, whichever is possible, n times each."""
    moved = 0
    for names in [("x", "y"), ("y", "x")] * n:
        try:
            store.move(*map(model, names))
        except (RepoNotFoundError, AlreadyExistsError):
            continue
        moved += 1
    return moved


if __name__ == "__main__":
    hub = HubStore(Path(sys.argv[1]))
    won = race(hub, sys.argv[2], int(sys.argv[3]))
    print(json.dumps({"won": won, "moved": swing(hub, int(sys.argv[3]))}))
