"""A server that others reach: slow clients, endless heads, and a log without secrets."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.serve import running_hub
from hfrun.hub.store.disk import exclusive
from hfrun.hub.transport.slow_clients import HEAD_MAX_BYTES, MOST_IN_ADVANCE
from hfrun.hub.transport.threads import THREADS
from tests.hfrun.hub.conftest import HubUnderTest

PATIENCE = 0.3


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubUnderTest, Path]]:
    """A hub that waits a third of a second, and its log."""
    root = tmp_path_factory.mktemp("impatient")
    log = root.parent / f"{root.name}-log" / "access.jsonl"
    token = create_token(root, "alice")
    options = ("--patience", str(PATIENCE), "--access-log", str(log))
    with running_hub(root, arguments=options) as hub:
        yield (
            HubUnderTest(endpoint=hub.endpoint, root=root, alice=token, alice_reads="", bob=""),
            log,
        )


def connected(hub: HubUnderTest) -> socket.socket:
    host, _, port = hub.endpoint.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def drip(connection: socket.socket, data: bytes) -> bytes:
    """Send a byte at a time until the server has enough of it; what it then said."""
    try:
        for i in range(len(data)):
            connection.sendall(data[i : i + 1])
            time.sleep(PATIENCE / 10)
    except OSError:
        pass
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_head_that_never_ends_is_cut_off(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    with connected(hub) as connection:
        assert drip(connection, b"GET / HTTP/1.1\r\n" + b"x" * 500).startswith(b"HTTP/1.1 408 ")
    with connected(hub) as connection:  # line ends alone are no head either
        assert drip(connection, b"\r\n" * 300).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_bound_is_refused(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    with connected(hub) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        answer = b""
        for _ in range(2 * HEAD_MAX_BYTES // 8192):
            try:
                connection.sendall(b"a" * 8192)
            except OSError:
                break
        try:
            answer = connection.recv(100)
        except ConnectionResetError:  # it had sent more than was read
            return
        assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_body_that_stands_still_is_cut_off_and_leaves_nothing(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, _ = impatient
    hub.api().create_repo("alice/slow", exist_ok=True)
    before = sorted((hub.root / "incoming").iterdir())
    with connected(hub) as connection:
        connection.sendall(
            b"POST /api/models/alice/slow/commit/main HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + hub.alice.encode() + b"\r\nContent-Length: 1000\r\n\r\n"
        )
        assert drip(connection, b"x" * 900) == b""
    assert sorted((hub.root / "incoming").iterdir()) == before
    assert len(hub.api().list_repo_commits("alice/slow")) == 1


def test_an_answer_that_nobody_takes_is_given_up(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, log = impatient
    repo = hub.api().create_repo("alice/untaken", exist_ok=True).repo_id
    content = b"0123456789" * 800_000
    hub.api().upload_file(path_or_fileobj=content, path_in_repo="a.txt", repo_id=repo)
    address = f"/{repo}/resolve/main/a.txt"
    with connected(hub) as connection:
        connection.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert row_of(log, address)["sent"] < len(content)  # the note of having given up


def test_who_is_slow_but_steady_is_served(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    repo = hub.api().create_repo("alice/steady", exist_ok=True).repo_id
    line = json.dumps({"key": "header", "value": {"summary": "steady"}}).encode()
    body = line + b" " * 50_000
    with connected(hub) as connection:
        connection.sendall(
            f"POST /api/models/{repo}/commit/main HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: close\r\n"
            f"Authorization: Bearer {hub.alice}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        for start in range(0, len(body), 4096):  # several times the patience altogether
            connection.sendall(body[start : start + 4096])
            time.sleep(PATIENCE / 3)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert hub.api().list_repo_commits(repo)[0].title == "steady"


def test_a_log_whose_folder_is_gone_spoils_no_answer_and_no_connection(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, log = impatient
    away = log.parent.rename(log.parent.with_name("away"))
    try:
        asked = b"GET /api/models HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2
        last = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert answers(hub, asked + last) == [b"200", b"200", b"404"]
    finally:
        away.rename(log.parent)
    hub.request("GET", "/api/models/alice/back")
    assert row_of(log, "/api/models/alice/back")["status"] == 401


def test_requests_in_advance_are_taken_up_to_a_bound(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, _ = impatient
    few = [b"GET /static/hub.css HTTP/1.1\r\nHost: localhost\r\n\r\n"] * MOST_IN_ADVANCE
    few.append(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answers(hub, b"".join(few)) == [b"200"] * MOST_IN_ADVANCE + [b"404"]
    assert answers(hub, few[0] * 5_000).count(b"200") <= MOST_IN_ADVANCE + 1


def answers(hub: HubUnderTest, requests: bytes) -> list[bytes]:
    """Status of each answer, until the server closes the connection."""
    with connected(hub) as connection:
        connection.sendall(requests)
        taken = b""
        try:
            while piece := connection.recv(1 << 16):
                taken += piece
        except ConnectionResetError:  # there was more than the server wanted to read
            pass
    return re.findall(rb"HTTP/1.1 (\d+) ", taken)


def test_a_request_for_two_hosts_is_refused(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    two = b"GET /api/models HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"
    assert answers(hub, two) == [b"400"]


def test_no_answer_may_be_kept_for_others(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    repo = hub.api().create_repo("alice/kept", private=True, exist_ok=True).repo_id
    for path in (
        f"/api/models/{repo}",
        f"/{repo}/resolve/main/.gitattributes",
        f"/{repo}",
        "/no/n",
    ):
        headers = hub.request("GET", path, token=hub.alice).headers
        assert "private" in headers["Cache-Control"], path


def test_fields_after_a_body_are_neither_kept_nor_believed(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, _ = impatient
    before = peak_megabytes(hub)
    head = (
        b"POST /api/validate-yaml HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nf\r\n"
        b'{"content":"a"}\r\n0\r\n'
    )
    assert answers(hub, head + b"Accept: text/plain\r\n" * 200_000 + b"\r\n") == [b"200"]
    assert peak_megabytes(hub) - before < 30


@pytest.mark.parametrize(
    "body",
    [b'{"content": [' + b"[]," * 3_000_000 + b"[]]}", b"{" + b'"a": 0,' * 1_500_000 + b'"a": 0}'],
    ids=["lists", "keys"],
)
def test_json_that_would_unfold_is_refused_before_it_does(
    impatient: tuple[HubUnderTest, Path], body: bytes
) -> None:
    hub, _ = impatient
    before = peak_megabytes(hub)
    assert hub.request("POST", "/api/validate-yaml", body=body).status == 413
    sent = {"Content-Type": "application/json"}
    hub.api().create_repo("alice/unfolding", exist_ok=True)
    address = "/api/models/alice/unfolding/paths-info/main"
    assert hub.request("POST", address, body=body, headers=sent).status == 400
    assert peak_megabytes(hub) - before < 80  # parsed they take several hundred
    words = json.dumps({"content": "[,{" * 1_000_000}).encode()  # none of it a value
    assert hub.request("POST", "/api/validate-yaml", body=words).status == 200


def test_bodies_that_are_not_whole_wait_on_the_disk(impatient: tuple[HubUnderTest, Path]) -> None:
    hub, _ = impatient
    before = peak_megabytes(hub)
    head = b"POST /api/validate-yaml HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000001\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(12):
            connection = stack.enter_context(connected(hub))
            connection.sendall(head + b" " * 9_000_000)
        assert hub.request("GET", "/api/models").status == 200
        assert peak_megabytes(hub) - before < 60


def test_many_who_take_a_file_slowly_take_little_memory(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, _ = impatient
    repo = hub.api().create_repo("alice/much", exist_ok=True).repo_id
    content = bytes(range(256)) * 16_000
    hub.api().upload_file(path_or_fileobj=content, path_in_repo="a.txt", repo_id=repo)
    asked = f"GET /{repo}/resolve/main/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    before = peak_megabytes(hub)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(hub)).sendall(asked)
        assert hub.request("GET", f"/{repo}/resolve/main/a.txt").body == content
        assert peak_megabytes(hub) - before < 150


def peak_megabytes(hub: HubUnderTest) -> float:
    """The most memory that the process of a hub has had."""
    [folder] = [
        file.parent
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if str(hub.root).encode() in file.read_bytes().split(b"\0")
    ]
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text())
    return int(line) / 1024


def test_who_waits_for_a_repository_keeps_nobody_else_waiting(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, _ = impatient
    repo = hub.api().create_repo("alice/waited-for", exist_ok=True).repo_id
    body = json.dumps({"key": "header", "value": {"summary": "waited"}}).encode()
    commit = (
        f"POST /api/models/{repo}/commit/main HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {hub.alice}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    with ExitStack() as stack, exclusive(hub.root / "locks" / "models" / f"{repo}.lock"):
        waiting = [stack.enter_context(connected(hub)) for _ in range(THREADS + 5)]
        for connection in waiting:
            connection.sendall(commit + body)
        assert hub.request("GET", "/api/whoami-v2", token=hub.alice).status == 200
        assert hub.request("GET", f"/api/models/{repo}").status == 200
        for connection in waiting[5:]:  # some of them are patient, the others go away
            connection.close()
    with connected(hub) as connection:
        connection.sendall(commit + body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def row_of(log: Path, path: str) -> dict:
    """The line of a request, which is written when its answer has ended."""
    while True:
        rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        found = [row for row in rows if row["path"] == path]
        if found:
            return found[-1]
        time.sleep(PATIENCE / 10)


def test_the_log_tells_who_asked_for_what_and_holds_no_secret(
    impatient: tuple[HubUnderTest, Path],
) -> None:
    hub, log = impatient
    secret = "hf_" + "s" * 30
    hub.request("GET", f"/api/whoami-v2?token={secret}", token=hub.alice)
    hub.request("GET", "/api/models/alice/%0a%22x?q=1", token=secret)
    known, unknown = (row_of(log, path) for path in ("/api/whoami-v2", "/api/models/alice/%0a%22x"))
    assert (known["user"], known["method"], known["path"]) == ("alice", "GET", "/api/whoami-v2")
    assert (known["status"], known["client"], known["sent"] > 100) == (200, "127.0.0.1", True)
    assert (unknown["user"], unknown["status"]) == (None, 401)
    text = log.read_text("utf-8")
    assert hub.alice not in text
    assert secret not in text
    assert "signature" not in text
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_hub_of_this_machine_answers_to_no_name_that_others_can_give_it(
    tmp_path: Path, hub: HubUnderTest
) -> None:
    def status(of: str, host: str) -> int:
        headers = {"Host": host}
        target = HubUnderTest(endpoint=of, root=tmp_path, alice="", alice_reads="", bob="")
        return target.request("GET", "/api/models", headers=headers).status

    own = ("localhost", "LOCALHOST:80", "127.0.0.1:9", "127.9.9.9", "[::1]:8765")
    others = (
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "",
    )
    assert [status(hub.endpoint, host) for host in own] == [200] * len(own)
    assert [status(hub.endpoint, host) for host in others] == [421] * len(others)
    with running_hub(tmp_path / "named", arguments=("--allowed-host", "Hub.lan")) as named:
        assert [status(named.endpoint, host) for host in ("hub.LAN:1", "evil.example")] == [
            200,
            421,
        ]
