"""Whatever is asked: no 500, no traceback, nothing outside the root, nothing private untold."""

import contextlib
import hashlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.server import create_app
from tests.hfrun.hub.raw_requests import Asked, patterns_of, requests

OUTSIDE, PRIVATE, GATED = b"marker-outside-7f3a", b"marker-private-91bc", b"marker-gated-55d0"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A hub with an open, a private and a gated repository, and a secret beside its root."""

    address: str
    root: Path
    errors: Path
    alice: str
    readers: list[str | None]
    patterns: list[tuple[str, str]]

    def outside(self) -> dict[str, str]:
        """Everything around the root, by its content."""
        around = self.root.parent
        return {
            str(path.relative_to(around)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(around.rglob("*"))
            if path.is_file() and not path.is_relative_to(self.root) and path != self.errors
        }


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    around = tmp_path_factory.mktemp("around")
    root, errors = around / "hub", around / "errors.log"
    (around / "outside").mkdir()
    (around / "outside" / "secret.txt").write_bytes(OUTSIDE)
    alice, bob = create_token(root, "alice"), create_token(root, "bob")
    readers = [None, bob, create_token(root, "carol", role="read"), "hf_wrong"]
    Accounts(root).create_organisation("desk", members=["alice"])
    command = [sys.executable, "-m", "hfrun.hub", "serve", "--root", str(root), "--port", "0"]
    with errors.open("wb") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert server.stdout is not None
    endpoint = server.stdout.readline().split("hub ready at ")[1].split()[0]
    try:
        _fill(HfApi(endpoint=endpoint, token=alice))
        yield Target(
            address=endpoint.removeprefix("http://"),
            root=root,
            errors=errors,
            alice=alice,
            readers=readers,
            patterns=patterns_of(list(create_app(root).routes)),
        )
    finally:
        server.terminate()
        server.communicate()


def _fill(api: HfApi) -> None:
    for name, text in (("open", b"open"), ("hidden", PRIVATE), ("gated", GATED)):
        _make(api, name, text)
    api.update_repo_settings("alice/gated", gated="manual")
    api.create_repo("alice/before")
    api.move_repo("alice/before", "alice/moved-on")


def _make(api: HfApi, name: str, text: bytes) -> None:
    """A repository with files, a tag and a pull request."""
    repo = f"alice/{name}"
    api.create_repo(repo, private=name == "hidden")
    card = b"---\ntags: [t]\n---\n" + (b"# open" if name == "gated" else text)
    operations = [
        CommitOperationAdd(path, text) for path in ("a.txt", "folder/b.txt", "report/report.html")
    ]
    operations.append(CommitOperationAdd("README.md", card))
    api.create_commit(repo, operations, commit_message="files")
    api.create_tag(repo, tag="v1")
    api.create_pull_request(repo, title="Another")


def check(target: Target, asked: Asked, token: str | None) -> None:
    """Send it, and look at what came."""
    headers = dict(asked.headers)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(target.address, timeout=60)
    with contextlib.closing(connection):
        connection.request(asked.method, asked.target, body=asked.body or None, headers=headers)
        answer = connection.getresponse()
        status, body, told = answer.status, answer.read(), str(answer.headers).encode()
    # 501 and 507 would be clear words; the server has room and knows its methods.
    assert status < 500, (status, body[:300])
    assert b"Traceback" not in body
    assert "X-Request-Id" in answer.headers or status == 400  # 400: what is no HTTP at all
    for marker in (OUTSIDE,) if token == target.alice else (OUTSIDE, PRIVATE, GATED):
        assert marker not in body
        assert marker not in told


def ask_all(target: Target, examples: int) -> None:
    """Ask so many times, as a stranger or a reader of everything, and as the owner of ``open``."""
    before, count = target.outside(), 0
    owner_api = HfApi(endpoint=f"http://{target.address}", token=target.alice)

    @settings(
        max_examples=examples,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(data=st.data())
    def asked_anything(data: st.DataObject) -> None:
        nonlocal count
        asked = data.draw(requests(target.patterns))
        # An owner may open what is hers, and would: she is asked about the open one alone.
        spoken = (asked.target + asked.body.decode("latin-1")).lower()
        owner = "hidden" not in spoken and "gated" not in spoken
        hers = [target.alice] * len(target.readers) if owner else []
        token = data.draw(st.sampled_from([*target.readers, *hers]))
        check(target, asked, token)
        count += 1
        if count % 100 == 0 and not owner_api.repo_exists("alice/open"):  # she has deleted it
            _make(owner_api, "open", b"open")

    asked_anything()
    assert count >= examples
    assert target.outside() == before
    log = target.errors.read_text("utf-8", "replace")
    assert "Traceback" not in log, log[-3000:]
    print(f"{count} requests, none answered with 500")


def test_some_requests(target: Target) -> None:
    ask_all(target, 400)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_requests(target: Target) -> None:
    ask_all(target, 20_000)
