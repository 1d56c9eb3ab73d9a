"""Bytes in and out of a hub: ranges, uploads whole and in parts, and a disk that is full."""

import asyncio
import hashlib
import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.options import ServerOptions
from hfrun.hub.server import create_app
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.transport.parts import part_sizes
from hfrun.hub.transport.receiving import receive_into
from tests.hfrun.hub.conftest import Answer, HubUnderTest


@contextmanager
def serving(root: Path, **options: Any) -> Iterator[HubUnderTest]:
    """A hub with other options than the shared one, in a thread of this process."""
    alice = create_token(root, "alice")
    config = uvicorn.Config(
        create_app(root, ServerOptions(**options)), port=0, log_level="critical"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        host, port = server.servers[0].sockets[0].getsockname()
        yield HubUnderTest(
            endpoint=f"http://{host}:{port}", root=root, alice=alice, alice_reads="", bob=""
        )
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def small_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubUnderTest]:
    """A hub that takes files of more than 1,000 bytes in parts of 400."""
    root = tmp_path_factory.mktemp("parts")
    options = {"multipart_above_bytes": 1000, "part_bytes": 400, "max_upload_bytes": 100_000}
    with serving(root, **options) as hub:
        hub.api().create_repo("alice/m")
        yield hub


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def incoming(hub: HubUnderTest) -> list[str]:
    return [path.name for path in (hub.root / "incoming").iterdir()]


def batch(hub: HubUnderTest, *contents: bytes, repo: str = "alice/m", **body: Any) -> Answer:
    objects = [{"oid": sha256_of(content), "size": len(content)} for content in contents]
    asked = {"operation": "upload", "transfers": ["basic", "multipart"], "objects": objects}
    target = f"/{repo}.git/info/lfs/objects/batch"
    return hub.request("POST", target, body={**asked, **body}, token=hub.alice)


def addresses(hub: HubUnderTest, content: bytes, **body: Any) -> tuple[str, dict[str, str]]:
    """Where an object is sent, or completed; and its parts by their numbers."""
    action = batch(hub, content, **body).json()["objects"][0]["actions"]["upload"]
    header = {k: v.removeprefix(hub.endpoint) for k, v in action.get("header", {}).items()}
    return action["href"].removeprefix(hub.endpoint), header


def send(hub: HubUnderTest, content: bytes, parts: dict[str, str], *numbers: int) -> list[int]:
    """The status of each part, sent in this order."""
    size, statuses = int(parts["chunk_size"]), []
    for number in numbers:
        piece = content[(number - 1) * size : number * size]
        statuses.append(hub.request("PUT", parts[f"{number:05d}"], body=piece).status)
    return statuses


# Reading


@pytest.fixture(scope="module")
def letters(hub: HubUnderTest) -> str:
    """The address of a file with the letters of the alphabet."""
    repo = hub.api().create_repo("alice/letters").repo_id
    content = b"abcdefghijklmnopqrstuvwxyz"
    hub.api().upload_file(path_or_fileobj=content, path_in_repo="a b.dat", repo_id=repo)
    hub.api().upload_file(path_or_fileobj=b"", path_in_repo="empty", repo_id=repo)
    return f"/{repo}/resolve/main/a%20b.dat"


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-2", 206, b"abc"),
        ("BYTES=0-2", 206, b"abc"),
        ("bytes=24-99", 206, b"yz"),
        ("bytes=-3", 206, b"xyz"),
        ("bytes=-99", 206, b"abcdefghijklmnopqrstuvwxyz"),
        ("bytes=26-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,30-40", 416, None),
        ("bytes=5-2", 400, None),
        ("bytes=-", 400, None),
        ("bytes=", 400, None),
        ("bytes=a-b", 400, None),
        ("lines=0-2", 400, None),
        ("bytes=0-" + "9" * 5000, 400, None),
    ],
)
def test_a_range_is_answered_exactly_or_refused_in_words(
    hub: HubUnderTest, letters: str, asked: str, status: int, body: bytes | None
) -> None:
    answer = hub.request("GET", letters, headers={"Range": asked})
    assert answer.status == status
    if body is None:
        assert "got Range" in answer.json()["error"]
        assert (answer.headers["Content-Range"] == "bytes */26") is (status == 416)
    else:
        assert answer.body == body


def test_several_ranges_come_as_parts_of_one_body(hub: HubUnderTest, letters: str) -> None:
    answer = hub.request("GET", letters, headers={"Range": "bytes=0-1, 24-25"})
    assert answer.status == 206
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    pieces = answer.body.split(f"--{boundary}".encode())
    assert [piece.strip().rpartition(b"\r\n\r\n")[2] for piece in pieces[1:3]] == [b"ab", b"yz"]
    assert [b"bytes 0-1/26" in pieces[1], b"bytes 24-25/26" in pieces[2]] == [True, True]


def test_an_empty_file_has_no_range_and_is_read_whole(hub: HubUnderTest, letters: str) -> None:
    empty = letters.replace("a%20b.dat", "empty")
    assert hub.request("GET", empty, headers={"Range": "bytes=0-"}).status == 416
    whole = hub.request("GET", empty)
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, b"", "0")


def test_who_holds_the_bytes_already_gets_none(hub: HubUnderTest, letters: str) -> None:
    head = hub.request("HEAD", letters)
    etag = head.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        for method in ("GET", "HEAD"):
            answer = hub.request(method, letters, headers={"If-None-Match": known})
            assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
            assert answer.headers["X-Repo-Commit"] == head.headers["X-Repo-Commit"]
    for other in ('"other"', etag.strip('"')):
        assert hub.request("GET", letters, headers={"If-None-Match": other}).status == 200
    matching = {"Range": "bytes=0-2", "If-Range": etag}
    assert hub.request("GET", letters, headers=matching).body == b"abc"


def test_no_name_of_a_file_forges_a_header(hub: HubUnderTest, repo: str) -> None:
    names = ['a".html', "ü;filename=x.html", "a%0d%0ab.html", "x' y.html"]
    for name in names:
        hub.api().upload_file(path_or_fileobj=b"<p>", path_in_repo=name, repo_id=repo)
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        answer = hub.request("GET", f"/{repo}/resolve/main/{quoted}")
        assert (answer.status, answer.body) == (200, b"<p>")
        shown = answer.headers["Content-Disposition"]
        assert re.fullmatch(
            r"""attachment; filename(="[\w. -]*"|\*=utf-8''[\w.%~-]*)""", shown, re.ASCII
        )
        assert answer.headers["Content-Type"] == "application/octet-stream"


# Sending whole


def test_objects_that_cannot_be_taken_are_named_before_a_byte_is_sent(
    small_parts: HubUnderTest,
) -> None:
    answer = batch(small_parts, b"fine", bytes(100_001))
    rows = answer.json()["objects"]
    assert [("actions" in row, row.get("error", {}).get("code")) for row in rows] == [
        (True, None),
        (False, 413),
    ]
    assert "at most 100000" in rows[1]["error"]["message"]
    with pytest.raises(HfHubHTTPError, match=r"(?s)413.*takes files of at most 100000"):
        small_parts.api().upload_file(
            path_or_fileobj=bytes(100_001), path_in_repo="m.bin", repo_id="alice/m"
        )


def test_a_batch_that_cannot_be_answered_is_refused(small_parts: HubUnderTest) -> None:
    cases = {
        409: {"hash_algo": "sha512"},
        400: {"operation": "download"},
    }
    for status, body in cases.items():
        assert batch(small_parts, b"x", **body).status == status
    for objects in ("text", [{"oid": sha256_of(b""), "size": 1}] * 1001, [{"oid": "x", "size": 1}],
                    [{"oid": sha256_of(b""), "size": -1}], [5]):  # fmt: skip
        assert batch(small_parts, objects=objects).status == 400
    assert batch(small_parts, b"x", transfers="basic").json()["transfer"] == "basic"


def test_an_upload_address_stays_good_when_the_repository_moves(hub: HubUnderTest) -> None:
    api = hub.api()
    for kind, content in (("whole", b"w" * 50), ("gone", b"g" * 60)):
        api.create_repo(f"alice/before-{kind}")
        address, _ = addresses(hub, content, repo=f"alice/before-{kind}")
        if kind == "gone":
            api.delete_repo("alice/before-gone")
            assert hub.request("PUT", address, body=content).status in (401, 404)
            continue
        api.move_repo("alice/before-whole", "alice/after-whole")
        assert hub.request("PUT", address, body=content).status == 200
        row = batch(hub, content, repo="alice/after-whole").json()["objects"][0]
        assert "actions" not in row


@given(sizes=st.lists(st.integers(0, 3_000_000), max_size=6), broken=st.booleans())
def test_a_body_is_written_in_order_and_never_after_its_end(sizes: list[int], broken: bool) -> None:
    pieces = [bytes([i]) * size for i, size in enumerate(sizes)]
    messages = [
        {"type": "http.request", "body": piece, "more_body": broken or i < len(pieces)}
        for i, piece in enumerate([*pieces, b""])
    ]
    messages.append({"type": "http.disconnect"})
    stream, written, is_over = iter(messages), bytearray(), False

    async def receive() -> Any:
        return next(stream)

    def write(chunk: bytes) -> None:
        time.sleep(0.0002)  # the loop goes on meanwhile
        assert not is_over
        written.extend(chunk)

    request = Request({"type": "http", "method": "PUT", "headers": []}, receive)
    try:
        asyncio.run(receive_into(write, request))
        assert not broken
        assert written == b"".join(pieces)
    except ClientDisconnect:
        assert broken
        assert b"".join(pieces).startswith(written)
    is_over = True


# Sending in parts


@given(st.integers(1, 10**13), st.integers(1, 10**9))
def test_parts_are_alike_but_the_last_and_few_enough(size: int, part_bytes: int) -> None:
    sizes = part_sizes(size, part_bytes=part_bytes)
    assert sum(sizes) == size
    assert len(sizes) <= 1000
    assert set(sizes[:-1]) <= {sizes[0]}
    assert 0 < sizes[-1] <= sizes[0]
    assert len(sizes) == -(-size // sizes[0])  # the client's own check


def test_the_client_sends_a_file_above_the_limit_in_parts(
    small_parts: HubUnderTest, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(3_210)
    (tmp_path / "m.safetensors").write_bytes(content)
    api = small_parts.api()
    api.upload_file(
        path_or_fileobj=tmp_path / "m.safetensors", path_in_repo="m.bin", repo_id="alice/m"
    )
    assert small_parts.request("GET", "/alice/m/resolve/main/m.bin").body == content
    (entry,) = api.get_paths_info("alice/m", ["m.bin"])
    assert (entry.lfs.sha256, entry.lfs.size) == (sha256_of(content), 3_210)
    assert incoming(small_parts) == []


def test_who_knows_no_parts_sends_a_large_file_whole(small_parts: HubUnderTest) -> None:
    content = random.Random(2).randbytes(2_000)
    answer = batch(small_parts, content, transfers=["basic"])
    assert answer.json()["transfer"] == "basic"
    upload = answer.json()["objects"][0]["actions"]["upload"]
    assert "header" not in upload
    address = upload["href"].removeprefix(small_parts.endpoint)
    assert small_parts.request("PUT", address, body=content).status == 200


def test_parts_come_in_any_order_and_again_and_are_completed_once_they_are_all_there(
    small_parts: HubUnderTest,
) -> None:
    hub, content = small_parts, random.Random(3).randbytes(1_500)
    done, parts = addresses(hub, content)
    assert sorted(parts) == ["00001", "00002", "00003", "00004", "chunk_size"]
    assert hub.request("POST", done, body={}).status == 400  # none is there
    assert send(hub, content, parts, 4, 2) == [200, 200]
    early = hub.request("POST", done, body={})
    assert (early.status, "got 2 of 4 parts; send part 1" in early.json()["error"]) == (400, True)
    assert hub.request("PUT", parts["00003"], body=b"!" * 400).status == 200
    assert hub.request("PUT", parts["00001"], body=b"short").status == 400
    assert hub.request("PUT", parts["00001"], body=b"!" * 401).status == 413
    # The same without a word about the length: in chunks.
    assert hub.request("PUT", parts["00001"], body=iter([b"sh", b"ort"])).status == 400
    assert hub.request("PUT", parts["00001"], body=iter([b"!" * 400, b"!"])).status == 413
    assert hub.request("POST", done, body={}).status == 400
    assert send(hub, content, parts, 1, 3) == [200, 200]
    assert [hub.request("POST", done, body={}).status for _ in range(2)] == [200, 200]
    assert "actions" not in batch(hub, content).json()["objects"][0]
    assert ObjectStore(hub.root).path(sha256_of(content)).read_bytes() == content
    assert incoming(hub) == []


def test_parts_of_another_object_are_thrown_away(small_parts: HubUnderTest) -> None:
    hub, content = small_parts, random.Random(4).randbytes(1_100)
    done, parts = addresses(hub, content)
    assert send(hub, content[::-1], parts, 1, 2, 3) == [200, 200, 200]
    answer = hub.request("POST", done, body={})
    assert (answer.status, "got an object with sha256" in answer.json()["error"]) == (400, True)
    assert incoming(hub) == []
    assert "actions" in batch(hub, content).json()["objects"][0]


def test_two_uploads_of_one_object_at_once_do_not_mix(small_parts: HubUnderTest) -> None:
    hub, content = small_parts, random.Random(5).randbytes(4_000)
    uploads = [addresses(hub, content) for _ in range(4)]
    numbers = range(1, 11)

    def push(upload: tuple[str, dict[str, str]]) -> list[int]:
        done, parts = upload
        statuses = send(hub, content, parts, *numbers)
        with ThreadPoolExecutor(3) as pool:
            ends = pool.map(lambda _: hub.request("POST", done, body={}).status, range(3))
        return [*statuses, *ends]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(push, uploads)) == [[200] * 13] * 4
    assert incoming(hub) == []
    assert ObjectStore(hub.root).path(sha256_of(content)).read_bytes() == content


def test_an_address_of_a_part_is_good_for_that_part_alone(
    small_parts: HubUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, content = small_parts, random.Random(6).randbytes(1_300)
    done, parts = addresses(hub, content)
    whole, _ = addresses(hub, content, transfers=["basic"])
    first = parts["00001"]
    changed = [
        first.replace("part=1", "part=2"),
        first.replace("size=400", "size=1300"),
        first.replace("/part?", "?"),
        first.replace("upload=", "upload=0"),
        first.replace("upload=", "upload=..%2F"),
        whole.replace("?", "/part?"),
        done.replace("/complete?", "?"),
        done.replace("/complete?", "/part?"),
        first + "&part=2",
        first.partition("&signature=")[0],
    ]
    assert [hub.request("PUT", to, body=content[:400]).status for to in changed] == [403] * 10
    ends = [done.replace("parts=4", "parts=1"), whole.replace("?", "/complete?")]
    assert [hub.request("POST", to, body={}).status for to in ends] == [403, 403]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4 * 3600)
    late = hub.request("PUT", first, body=content[:400])
    assert (late.status, "expired" in late.json()["error"]) == (403, True)
    assert incoming(hub) == []


def test_parts_that_nobody_completes_are_swept(small_parts: HubUnderTest) -> None:
    hub, content = small_parts, random.Random(7).randbytes(1_200)
    _, parts = addresses(hub, content)
    assert send(hub, content, parts, 1) == [200]
    (left,) = incoming(hub)
    os.utime(hub.root / "incoming" / left, (0, 0))
    addresses(hub, random.Random(8).randbytes(1_200))  # the next upload in parts tidies up
    assert incoming(hub) == []


def test_a_contributor_uploads_for_a_pull_request(hub: HubUnderTest, repo: str) -> None:
    content = b"proposed weights"
    target = f"/api/models/{repo}/preupload/main?create_pr=1"
    asked = {"files": [{"path": "m.bin", "size": len(content), "sample": ""}]}
    answer = hub.request("POST", target, body=asked, token=hub.bob)
    assert (answer.status, answer.json()["files"][0]["uploadMode"]) == (200, "regular")
    assert hub.request("POST", target, body=asked, token=hub.alice_reads).status == 403
    sent = {"operation": "upload", "objects": [{"oid": sha256_of(content), "size": len(content)}]}
    lfs = f"/{repo}.git/info/lfs/objects/batch"
    row = hub.request("POST", lfs, body=sent, token=hub.bob).json()["objects"][0]
    address = row["actions"]["upload"]["href"].removeprefix(hub.endpoint)
    assert hub.request("PUT", address, body=content).status == 200
    lines = [
        {"key": "header", "value": {"summary": "better weights"}},
        {"key": "lfsFile", "value": {"path": "m.bin", "oid": sha256_of(content), "size": 16}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    made = hub.request(
        "POST", f"/api/models/{repo}/commit/main?create_pr=1", body=body, token=hub.bob
    )
    assert made.status == 200
    assert hub.request("GET", f"/{repo}/resolve/refs%2Fpr%2F1/m.bin").body == content


# A disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_is_said_and_loses_nothing(small_disk: Path) -> None:
    with serving(small_disk / "hub") as hub:
        api, rng = hub.api(), random.Random(9)
        old, large = rng.randbytes(1_000_000), rng.randbytes(6_000_000)
        api.create_repo("alice/m")
        api.upload_file(path_or_fileobj=old, path_in_repo="old.bin", repo_id="alice/m")
        before = api.list_repo_commits("alice/m")
        fitting, _ = addresses(hub, large)
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(2_500_000))

        with pytest.raises(ValueError, match=r"got an object of 6000000 bytes; .* has room for"):
            api.upload_file(path_or_fileobj=large, path_in_repo="new.bin", repo_id="alice/m")
        answers = {
            "an object": hub.request("PUT", fitting, body=large),
            "a commit": hub.request(
                "POST", "/api/models/alice/m/commit/main", body=large, token=hub.alice
            ),
        }
        for answer in answers.values():
            assert (answer.status, "disk is full" in answer.json()["error"]) == (507, True)
        assert incoming(hub) == []
        assert hub.request("GET", "/alice/m/resolve/main/old.bin").body == old
        assert api.list_repo_commits("alice/m") == before

        ballast.unlink()
        api.upload_file(path_or_fileobj=large, path_in_repo="new.bin", repo_id="alice/m")
        assert hub.request("GET", "/alice/m/resolve/main/new.bin").body == large


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may mount")
def test_wherever_the_disk_fills_up_a_commit_is_there_whole_or_not_at_all(
    small_disk: Path,
) -> None:
    with serving(small_disk / "hub") as hub:
        api = hub.api()
        api.create_repo("alice/m")
        done = []
        for room in range(0, 70_000, 4_096):  # a page more at each turn
            free = os.statvfs(small_disk).f_bavail * 4_096
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(max(free - room, 0)))
            lines = [
                {"key": "header", "value": {"summary": f"{room}"}},
                {"key": "file", "value": {"path": f"{room}.txt", "content": "AAAA"}},
            ]
            body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            answer = hub.request(
                "POST", "/api/models/alice/m/commit/main", body=body, token=hub.alice
            )
            ballast.unlink()
            assert answer.status in (200, 507)
            done += [f"{room}.txt"] * (answer.status == 200)
            assert api.list_repo_files("alice/m") == sorted([".gitattributes", *done])
        assert done
        assert len(done) < 17
        assert incoming(hub) == []
