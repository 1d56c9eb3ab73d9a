"""Commits to alice/m of a hub's folder, each on the head it has just read: ROOT NAME NUMBER."""

import sys
from pathlib import Path

from hfrun.hub.names import RepoId
from hfrun.hub.refusals import StaleParentError
from hfrun.hub.store.hub_store import HubStore


def commit_all(root: Path, worker: str, n: int) -> None:
    """Make n commits; one that is refused is tried again on the new head."""
    repository = HubStore(root).open(RepoId(kind="models", namespace="alice", name="m"))
    done = 0
    while done < n:
        head = repository.head("main")
        try:
            repository.add_commit(
                branch="main",
                changes=[],
                title=f"{worker}/{done}",
                message="",
                author=worker,
                parent=head,
            )
        except StaleParentError:
            continue
        done += 1


if __name__ == "__main__":
    commit_all(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
