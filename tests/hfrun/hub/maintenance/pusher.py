"""Commits to Alice/M of a hub's folder while sweeps give no grace: ROOT NUMBER COMMITS [main].

Each push holds off sweeps from its first object to its commit, as grace time does for a server.
Two of three contents were used before, so that their objects may be about to go.
"""

import sys
from pathlib import Path

from hfrun.hub.store.hub_store import HubStore
from tests.hfrun.hub.maintenance.conftest import MODEL, commit, large, small


def push(root: Path, worker: str, n: int, *, main_only: bool) -> None:
    """Make n commits on main, and as many on branches that are deleted again."""
    store = HubStore(root)
    model = store.open(MODEL)
    for i in range(n):
        side = f"side{worker}"
        if not main_only:
            model.add_ref("heads", side, model.head("main"))
        for branch, shift in (("main", 0),) if main_only else ((side, 1), ("main", 0)):
            with store.objects.in_use():
                changes = [
                    small(model, f"{worker}.txt", b"%d" % ((i + shift) % 3)),
                    large(model, b"%d" % ((i + shift) % 3) * 100, f"{worker}.bin"),
                    small(model, f"new{worker}.txt", f"{worker} {i} {shift}".encode()),
                ]
                commit(model, f"{worker}/{i}" if branch == "main" else "side", *changes, to=branch)
        if not main_only:
            model.remove_ref("heads", side)


if __name__ == "__main__":
    push(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), main_only=sys.argv[4:] == ["main"])
