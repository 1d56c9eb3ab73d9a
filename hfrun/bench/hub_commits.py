"""Small commits a second of a running hub: one file of some bytes each, over HTTP.

    client  huggingface_hub's upload_file: it asks how the file travels, then commits
    raw     the commit alone, over a connection that stays open

All clients of a turn write to one branch of one repository, each its own path, so they wait for
each other's commits; every answered commit is on the disk. The clients are threads of one process,
so eight of huggingface_hub's share one interpreter.
"""

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from typing import Any

from huggingface_hub import HfApi

from hfrun.errors import HubError

CLIENTS = (1, 8)
_WARM_UP = 2

Committer = Callable[[str, bytes], None]  # path in the repository, content
Maker = Callable[[], AbstractContextManager[Committer]]


def commit_speed(endpoint: str, token: str, *, commits: int) -> dict[str, Any]:
    """Commits a second by kind of client and number of clients at once.

    Args:
        endpoint: of a hub that nobody else uses.
        commits: of each turn.

    Raises:
        HubError: an accepted commit is not in the history.
    """
    api = HfApi(endpoint=endpoint, token=token)
    user = api.whoami()["name"]
    figures: dict[str, Any] = {"commits": commits}
    for number in CLIENTS:
        repo = api.create_repo(f"{user}/commits-{number}").repo_id
        makers: dict[str, Maker] = {
            "client": partial(_huggingface_hub, api, repo),
            "raw": partial(_raw, api, repo),
        }
        for kind, maker in makers.items():
            _speed([maker], commits=_WARM_UP, kind="warm-up")
            figures[f"{kind}_{number}"] = _speed([maker] * number, commits=commits, kind=kind)
        made = len(api.list_repo_commits(repo))
        wanted = 1 + sum(_WARM_UP + commits // number * number for _ in makers)
        if made != wanted:
            raise HubError(f"got {made} commits in the history of {repo}; needed are {wanted}")
    return figures


def _speed(makers: list[Maker], *, commits: int, kind: str) -> float:
    """Commits a second of some clients at once; each connects before the clock starts."""
    each = commits // len(makers)
    with ExitStack() as connected, ThreadPoolExecutor(len(makers)) as pool:
        committers = [connected.enter_context(make()) for make in makers]

        def run(number: int) -> None:
            for i in range(each):
                content = f"{kind} {i} of {number}, {time.time_ns()}".encode()
                committers[number](f"{kind}-{number}.txt", content)

        started = time.perf_counter()
        list(pool.map(run, range(len(committers))))
        return each * len(committers) / (time.perf_counter() - started)


@contextmanager
def _huggingface_hub(api: HfApi, repo: str) -> Iterator[Committer]:
    def commit(path: str, content: bytes) -> None:
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo)

    yield commit


@contextmanager
def _raw(api: HfApi, repo: str) -> Iterator[Committer]:
    headers = {"Authorization": f"Bearer {api.token}"}
    address = api.endpoint.removeprefix("http://")
    with closing(http.client.HTTPConnection(address)) as connection:
        connection.connect()

        def commit(path: str, content: bytes) -> None:
            file = {"path": path, "content": base64.b64encode(content).decode()}
            lines = [("header", {"summary": path}), ("file", file)]
            body = "".join(json.dumps({"key": key, "value": value}) + "\n" for key, value in lines)
            target = f"/api/models/{repo}/commit/main"
            connection.request("POST", target, body=body.encode(), headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise HubError(f"got status {answer.status} for a commit: {text[:200]!r}")

        yield commit
