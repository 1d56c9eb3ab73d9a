"""Two server processes over one folder: each accepted commit is in the history exactly once."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.names import RepoId
from hfrun.hub.serve import running_hub
from hfrun.hub.store.hub_store import HubStore


def commit_on_heads(endpoint: str, token: str, worker: str, commits: int) -> tuple[list[str], int]:
    """Commit on the head that was just read until ``commits`` were accepted.

    Returns:
        Their ids, and how many were refused because the branch had moved.
    """
    accepted, stale = [], 0
    address = f"{endpoint}/api/models/alice/m"
    with httpx2.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        while len(accepted) < commits:
            head = client.get(address).json()["sha"]
            name = f"{worker}-{len(accepted)}"
            content = base64.b64encode(name.encode()).decode()
            lines = [
                {"key": "header", "value": {"summary": name, "parentCommit": head}},
                {"key": "file", "value": {"path": f"{worker}.txt", "content": content}},
            ]
            body = "\n".join(map(json.dumps, lines)).encode()
            answer = client.post(f"{address}/commit/main", content=body)
            if answer.status_code == 412:
                stale += 1
            else:
                assert answer.status_code == 200, answer.text
                accepted.append(answer.json()["commitOid"])
    return accepted, stale


@pytest.mark.parametrize(
    "commits", [80, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_commits_through_two_servers_with_parent_checks(tmp_path: Path, commits: int) -> None:
    token = create_token(tmp_path, "alice")
    store = HubStore(tmp_path)
    repo_id = RepoId(kind="models", namespace="alice", name="m")
    first = store.create(repo_id, private=False, author="alice", sdk=None).head("main")
    with running_hub(tmp_path) as one, running_hub(tmp_path) as two:
        workers = [(hub.endpoint, f"{i}{j}") for i, hub in enumerate((one, two)) for j in range(4)]
        with ThreadPoolExecutor(len(workers)) as pool:
            done = list(
                pool.map(
                    lambda w: commit_on_heads(w[0], token, w[1], commits // len(workers)), workers
                )
            )
    repository = store.open(repo_id)
    history = list(repository.history(repository.head("main")))
    assert sorted(c.id for c in history) == sorted([first, *(c for ids, _ in done for c in ids)])
    assert len({c.title for c in history}) == commits + 1
    stale = sum(refused for _, refused in done)
    print(f"{commits} accepted, {stale} refused as stale")
    assert stale > 0  # they did meet
