"""A hub whose server is killed at random moments while clients push, and what must then hold.

By hand: ``python -m tests.hfrun.hub.killed_server ROOT --kills 200``.
"""

import argparse
import hashlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hfrun.hub.environment import prepare_client

prepare_client()

from huggingface_hub import CommitOperationAdd, HfApi  # noqa: E402

from hfrun.hub.accounts.tokens import create_token  # noqa: E402
from hfrun.hub.maintenance.check import check  # noqa: E402
from hfrun.hub.maintenance.findings import DAMAGE  # noqa: E402
from hfrun.hub.names import RepoId  # noqa: E402
from hfrun.hub.store.hub_store import HubStore, open_root  # noqa: E402
from hfrun.hub.store.repository import Repository  # noqa: E402
from lob_backtest.progress import progress  # noqa: E402

SHARED = "alice/shared"
CLIENTS = 8


@dataclass
class Pushes:
    """What the clients tried, and what the server told them.

    Attributes:
        tried: title of each commit to its files, path to SHA-256.
        answered: title to commit id, of those that were answered with success.
        refused: what clients were told by a server that was alive; the kills alone cause no answer.
    """

    tried: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    answered: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def push_until(stop: threading.Event, name: str, api: HfApi, pushes: Pushes) -> None:
    """Push one commit after another, to a repository of one's own and to one of all."""
    numbers = random.Random(name)
    own, count = f"alice/{name}", 0
    while not stop.is_set():
        repo = SHARED if count % 2 else own
        title = f"{name} {count}"
        files = {
            f"{name}/{count % 5}.txt": title.encode() * numbers.randint(1, 40),
            f"{name}/same.json": f"[{count % 3}]".encode(),
            f"{name}/{count % 3}.bin": numbers.randbytes(numbers.randint(1, 300_000)),
        }
        digests = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        with pushes.lock:
            pushes.tried[repo, title] = digests
        try:
            api.create_repo(own, exist_ok=True)
            done = api.create_commit(
                repo,
                [CommitOperationAdd(path, data) for path, data in files.items()],
                commit_message=title,
            )
            with pushes.lock:
                pushes.answered[repo, title] = done.oid
        except Exception as error:  # whatever the client makes of a server that died
            answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
            if answer is not None:
                with pushes.lock:
                    pushes.refused.append(f"{answer.status_code}: {error}")
            stop.wait(0.05)
        count += 1


def kill_servers(
    root: Path, *, kills: int, seed: int, at_each: Callable[[], None] = lambda: None
) -> Pushes:
    """Serve a folder, killing the server again and again while eight clients push to it.

    Args:
        root: of a new hub.
        kills: how many servers are ended by SIGKILL.
        seed: of the moments.
        at_each: called after each kill, while nothing serves.
    """
    moments = random.Random(seed)
    token, port = create_token(root, "alice"), _free_port()
    api = HfApi(endpoint=f"http://127.0.0.1:{port}", token=token)
    store = HubStore(open_root(root, create=False))
    store.create(_repo_id(SHARED), private=False, author="alice", sdk=None)
    pushes, stop = Pushes(), threading.Event()
    names = [f"client{i}" for i in range(CLIENTS)]
    clients = [
        threading.Thread(target=push_until, args=(stop, name, api, pushes)) for name in names
    ]
    for client in clients:
        client.start()
    try:
        for _ in progress(range(kills), label="kills"):
            server = _started(root, port)
            time.sleep(moments.uniform(0.0, 0.8))
            server.kill()
            server.communicate()
            at_each()
    finally:
        stop.set()
        server = _started(root, port)  # so that no client waits for a server that never comes
        for client in clients:
            client.join()
        server.terminate()
        server.communicate()
    return pushes


def violations(root: Path, pushes: Pushes) -> list[str]:
    """What was lost, doubled or half there; nothing in a sound hub."""
    store, found = HubStore(root), []
    for repository in store.repositories("models"):
        repo = str(repository.settings.repo_id)
        history = list(repository.history(repository.head("main")))
        titles = [commit.title for commit in history]
        found += [f"{repo}: {title!r} twice" for title in set(titles) if titles.count(title) > 1]
        wanted = {t: oid for (r, t), oid in pushes.answered.items() if r == repo}
        for title, oid in wanted.items():
            if [commit.id for commit in history if commit.title == title] != [oid]:
                found.append(f"{repo}: {title!r} was answered with {oid} and is not there")
        for commit in history:
            digests = pushes.tried.get((repo, commit.title))
            if digests is not None:
                found += _half(repository, commit.id, digests)
    return found


def _half(repository: Repository, commit_id: str, digests: dict[str, str]) -> list[str]:
    tree = repository.tree(repository.commit(commit_id))
    found = []
    for path, digest in digests.items():
        entry = tree.get(path)
        if entry is None or entry.sha256 != digest:
            found.append(f"{commit_id}: {path} is not as it was pushed")
    for path, entry in tree.items():
        if hashlib.sha256(repository.content(entry).read_bytes()).hexdigest() != entry.sha256:
            found.append(f"{commit_id}: the bytes of {path} are damaged")
    return found


def _started(root: Path, port: int) -> subprocess.Popen[str]:
    """A server that listens: it has printed its address."""
    command = [sys.executable, "-m", "hfrun.hub", "serve", "--root", str(root), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("hub ready")
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _repo_id(repo: str) -> RepoId:
    namespace, _, name = repo.partition("/")
    return RepoId(kind="models", namespace=namespace, name=name)


def main() -> None:
    """Kill, and print what was pushed and what was found."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pushes = kill_servers(args.root, kills=args.kills, seed=args.seed)
    found = violations(args.root, pushes)
    report = check(args.root)
    found += [finding.text() for finding in report.findings if finding.severity == DAMAGE]
    print(report.text().splitlines()[-1])
    print(
        f"{args.kills} kills, {len(pushes.tried)} pushes tried, {len(pushes.answered)} answered, "
        f"{len(pushes.refused)} refused, {len(found)} violations"
    )
    for line in [*pushes.refused[:5], *found[:20]]:
        print(line)
    # Fewer answers than kills would show that the clients failed by themselves.
    sys.exit(1 if found or pushes.refused or len(pushes.answered) < args.kills else 0)


if __name__ == "__main__":
    main()
