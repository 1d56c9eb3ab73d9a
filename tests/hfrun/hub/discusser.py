"""One process among several that work on alice/m of a hub's folder: ROOT NAME NUMBER.

Each opens NUMBER discussions, comments on the first one, and tries to merge the pull requests
1 to NUMBER; for each merge that succeeded it prints the number. It begins when it is told to, by
a line on its standard input, and says "ready" before.
"""

import sys
from pathlib import Path

from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import ConflictError
from hfrun.hub.store.hub_store import HubStore


def discuss(root: Path, worker: str, n: int) -> list[int]:
    """Do all of it and return the numbers of the pull requests that this worker merged."""
    repository = HubStore(root).open(RepoId(kind="models", namespace="alice", name="m"))
    discussions = Discussions(repository)
    merged = []
    for number in range(1, n + 1):
        discussions.open(title=f"of {worker}, {number}", text="", author=worker)
        discussions.comment(1, text=f"{worker} {number}", author=worker)
        try:
            discussions.merge(number, author=worker)
        except ConflictError:  # another one was faster
            continue
        merged.append(number)
    return merged


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(*discuss(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
