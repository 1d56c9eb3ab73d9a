"""Moves repositories of a hub's folder while another process does too: ROOT WORKER N.

Prints as JSON which of the N first ones it won, and how often it moved the last one to and fro.
"""

import json
import sys
from pathlib import Path

from hfrun.hub.names import RepoId
from hfrun.hub.refusals import AlreadyExistsError, RepoNotFoundError
from hfrun.hub.store import HubStore


def model(name: str) -> RepoId:
    """A model repository of alice."""
    return RepoId(kind="models", namespace="alice", name=name)


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
