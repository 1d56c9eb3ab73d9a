"""What a client could send that huggingface_hub never does: raw requests to a running hub."""

import base64
import hashlib
import json
import socket
import time
from typing import Any
from urllib.parse import quote

import pytest

from hfrun.hub.accounts.signing import Secret, UploadSigner
from hfrun.hub.names import RepoId
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.tree import lfs_pointer
from tests.hfrun.hub.conftest import Answer, HubUnderTest

CONTENT = b"weights of a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def commit(
    hub: HubUnderTest, repo: str, *changes: tuple[str, Any], revision: str = "main"
) -> Answer:
    """Post a commit of these (key, value) lines with alice's token."""
    lines = [("header", {"summary": "raw", "description": ""}), *changes]
    body = b"".join(json.dumps({"key": k, "value": v}).encode() + b"\n" for k, v in lines)
    target = f"/api/models/{repo}/commit/{quote(revision, safe='')}"
    return hub.request("POST", target, body=body, token=hub.alice)


def small(path: str, content: bytes = b"x") -> tuple[str, dict[str, str]]:
    encoded = base64.b64encode(content).decode()
    return "file", {"path": path, "content": encoded, "encoding": "base64"}


def upload_address(hub: HubUnderTest, repo: str, content: bytes = CONTENT) -> str | None:
    """Ask where to upload; None when the hub has it already."""
    asked = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
    answer = hub.request(
        "POST",
        f"/{repo}.git/info/lfs/objects/batch",
        body={"operation": "upload", "objects": [asked]},
        token=hub.alice,
    )
    actions = answer.json()["objects"][0].get("actions")
    return actions["upload"]["href"].removeprefix(hub.endpoint) if actions else None


def test_every_answer_has_a_request_id_and_errors_say_what_is_wrong_twice(
    hub: HubUnderTest, repo: str
) -> None:
    answers = [
        hub.request("GET", "/api/whoami-v2"),
        hub.request("GET", "/no/such/address/at/all"),
        hub.request("PATCH", f"/api/models/{repo}"),
        hub.request("GET", f"/api/models/{repo}/tree/missing"),
        hub.request("GET", "/api/agent-harnesses"),
    ]
    assert [a.status for a in answers] == [401, 404, 405, 404, 404]
    ids = {a.headers["X-Request-Id"] for a in answers}
    assert len(ids) == len(answers)
    assert None not in ids
    for answer in answers:
        assert answer.json()["error"] == answer.headers["X-Error-Message"]
    assert answers[3].headers["X-Error-Code"] == "RevisionNotFound"


def test_a_missing_object_is_a_server_error_without_details(hub: HubUnderTest, repo: str) -> None:
    content = b"this object will be lost"
    assert commit(hub, repo, small("lost.txt", content)).status == 200
    ObjectStore(hub.root).path(hashlib.sha256(content).hexdigest()).unlink()
    answer = hub.request("GET", f"/{repo}/resolve/main/lost.txt")
    assert answer.status == 500
    assert answer.headers["X-Request-Id"]
    assert str(hub.root) not in answer.body.decode()


def test_pushing_a_file_again_brings_lost_content_back(hub: HubUnderTest, repo: str) -> None:
    content, api = b"this object will be lost too", hub.api()
    for name in ("lost.txt", "lost.bin"):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo)
    ObjectStore(hub.root).path(hashlib.sha256(content).hexdigest()).unlink()
    for name in ("lost.txt", "lost.bin"):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo)
        assert hub.request("GET", f"/{repo}/resolve/main/{name}").body == content


def test_ranges_and_heads_give_exactly_the_asked_bytes(hub: HubUnderTest, repo: str) -> None:
    content = bytes(range(100))
    assert commit(hub, repo, small("f.dat", content)).status == 200
    target = f"/{repo}/resolve/main/f.dat"
    head = hub.request("HEAD", target)
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "100", b"")
    assert head.headers["Accept-Ranges"] == "bytes"
    blob = hashlib.sha1(b"blob 100\0" + content).hexdigest()
    assert head.headers["ETag"] == f'"{blob}"'
    assert len(head.headers["X-Repo-Commit"]) == 40
    cases = {
        "bytes=0-9": (0, 10),
        "bytes=90-": (90, 100),
        "bytes=-5": (95, 100),
        "bytes=7-7": (7, 8),
    }
    for asked, (start, end) in cases.items():
        answer = hub.request("GET", target, headers={"Range": asked})
        assert (answer.status, answer.body) == (206, content[start:end])
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"
    beyond = hub.request("GET", target, headers={"Range": "bytes=100-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */100")
    changed = hub.request("GET", target, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (changed.status, changed.body) == (200, content)


def test_a_missing_file_still_tells_the_commit_that_was_searched(
    hub: HubUnderTest, repo: str
) -> None:
    answer = hub.request("HEAD", f"/{repo}/resolve/main/missing.json")
    assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert answer.headers["X-Repo-Commit"] == hub.api().model_info(repo).sha


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../x", "/etc/x", "a//b", "a/", "", ".", "./a", ".git/config", "a/.GIT/hooks/x",
     "a\\..\\x", "a\nb", "a\0b", "a\x7fb", "x" * 300, "\ud800"],
)  # fmt: skip
def test_paths_that_could_leave_the_repository_are_refused_and_store_nothing(
    hub: HubUnderTest, path: str
) -> None:
    repo = hub.api().create_repo("alice/paths", exist_ok=True).repo_id
    for change in (small(path), ("deletedFile", {"path": path})):
        answer = commit(hub, repo, small("fine.txt"), change)
        assert answer.status == 422
        assert "got path" in answer.headers["X-Error-Message"]
    asked = {"files": [{"path": path, "size": 1, "sample": ""}]}
    answer = hub.request("POST", f"/api/models/{repo}/preupload/main", body=asked, token=hub.alice)
    assert answer.status == 422
    assert hub.api().list_repo_files(repo) == [".gitattributes"]


@pytest.mark.parametrize(
    "target",
    [
        "/{repo}/resolve/main/../../../../secret",
        "/{repo}/resolve/main/..%2F..%2F..%2F..%2Fsecret",
        "/{repo}/resolve/..%2F..%2F..%2F..%2Fsecret/x",
        "/{repo}/resolve/../secret",
        "/alice/..%2F..%2F..%2Fsecret/resolve/main/x",
        "/..%2F..%2Faccounts.json/x/resolve/main/x",
        "/api/models/{repo}/tree/..",
        "/api/models/{repo}/revision/%2e%2e%2f%2e%2e",
        "/api/models/..%2f..%2f..%2f/secret",
        "/api/models/{repo}/commits/main?cursor=../../../../../secret",
    ],
)
def test_no_address_reaches_a_file_outside_a_repository(
    hub: HubUnderTest, repo: str, target: str
) -> None:
    answer = hub.request("GET", target.replace("{repo}", repo), token=hub.alice)
    assert answer.status == 404
    assert (hub.root / "secret").read_bytes() not in answer.body


HEADER = b'{"key": "header", "value": {}}\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json\n",
        b"[]\n",
        b'{"key": "file", "value": {}}\n',
        HEADER + b'{"key": "unknown", "value": {}}\n',
        HEADER + b'{"key": "file", "value": "text"}\n',
        HEADER + b'{"key": "file", "value": {"path": "a", "content": "?"}}\n',
        HEADER + b'{"key": "lfsFile", "value": {"path": "a", "oid": "../x"}}\n',
        HEADER + b"[" * 100_000 + b"\n",
    ],
)
def test_commits_that_cannot_be_understood_are_refused_whole(
    hub: HubUnderTest, body: bytes
) -> None:
    repo = hub.api().create_repo("alice/broken-commits", exist_ok=True).repo_id
    answer = hub.request("POST", f"/api/models/{repo}/commit/main", body=body, token=hub.alice)
    assert answer.status == 400
    assert len(hub.api().list_repo_commits(repo)) == 1


def test_a_pointer_is_not_taken_for_the_file_behind_it(hub: HubUnderTest, repo: str) -> None:
    # Both have one id in git: the tree of the one would be read for that of the other.
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    answer = commit(hub, repo, small("w.txt", lfs_pointer(sha256, len(CONTENT))))
    assert answer.status == 400, answer.body
    assert "push the file" in answer.json()["error"]
    assert commit(hub, repo, small("a.txt", lfs_pointer(sha256, 3)[:-1])).status == 200


def test_a_refused_change_undoes_the_changes_before_it(hub: HubUnderTest, repo: str) -> None:
    for bad in (("deletedFile", {"path": "missing"}), ("deletedFolder", {"path": "missing/"})):
        answer = commit(hub, repo, small("a.txt"), bad)
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert commit(hub, repo, small("a"), small("a/b")).status == 422  # a file and a folder
    assert commit(hub, repo, small("a.txt"), revision="missing").status == 404
    assert hub.api().list_repo_files(repo) == [".gitattributes"]


def test_messages_cannot_forge_headers(hub: HubUnderTest, repo: str) -> None:
    target = f"/api/models/{repo}/tree/x%0d%0aX-Forged:%20yes"
    answer = hub.request("GET", target)
    assert answer.status == 404
    assert answer.headers["X-Forged"] is None
    assert "x??X-Forged" in answer.headers["X-Error-Message"]
    host = hub.request(
        "POST",
        "/api/repos/create",
        body={"name": repo.split("/")[1]},
        token=hub.alice,
        headers={"Host": "localhost:99"},
    )
    assert (host.status, host.json()["url"]) == (409, f"http://localhost:99/{repo}")


def test_titles_that_no_answer_could_carry_are_mended(hub: HubUnderTest, repo: str) -> None:
    body = b'{"key": "header", "value": {"summary": "half \\ud800 pair", "description": 5}}\n'
    assert (
        hub.request("POST", f"/api/models/{repo}/commit/main", body=body, token=hub.alice).status
        == 200
    )
    assert hub.api().list_repo_commits(repo)[0].title == "half ? pair"


def test_a_large_file_is_stored_only_if_it_is_the_announced_one(
    hub: HubUnderTest, repo: str
) -> None:
    address = upload_address(hub, repo)
    assert address is not None
    change = ("lfsFile", {"path": "m.bin", "algo": "sha256", "oid": SHA256, "size": len(CONTENT)})
    assert commit(hub, repo, change).status == 400  # before the upload
    assert hub.request("PUT", address, body=CONTENT[:-1] + b"!").status == 400
    assert hub.request("PUT", address, body=CONTENT + b"more").status == 413
    assert hub.request("PUT", address, body=b"").status == 400
    assert commit(hub, repo, change).status == 400
    assert hub.request("PUT", address, body=CONTENT).status == 200
    assert upload_address(hub, repo) is None
    verify = {"oid": SHA256, "size": len(CONTENT)}
    verified = f"/{repo}.git/info/lfs/objects/verify"
    assert hub.request("POST", verified, body=verify, token=hub.alice).status == 200
    assert hub.request("POST", verified, body=verify | {"size": 1}, token=hub.alice).status == 400
    assert commit(hub, repo, change).status == 200
    answer = hub.request("GET", f"/{repo}/resolve/main/m.bin")
    assert answer.body == CONTENT
    assert answer.headers["ETag"] == answer.headers["X-Linked-Etag"] == f'"{SHA256}"'
    assert answer.headers["X-Linked-Size"] == str(len(CONTENT))


def test_an_upload_address_serves_one_object_of_one_repository_for_some_time(
    hub: HubUnderTest, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"signed content"
    sha256 = hashlib.sha256(content).hexdigest()
    address = upload_address(hub, repo, content)
    assert address is not None
    other = hub.api().create_repo("alice/other-repo", exist_ok=True).repo_id
    changed = {
        "another object": address.replace(sha256, hashlib.sha256(b"?").hexdigest()),
        "another size": address.replace(f"size={len(content)}", "size=999"),
        "another repository": address.replace(repo, other),
        "a later end": address.replace("expires=", "expires=9"),
        "no signature": address.partition("&signature=")[0],
        "nothing": address.partition("?")[0],
        "a foreign letter": address[:-1] + "%C3%A9",
    }
    outcomes = {what: hub.request("PUT", to, body=content).status for what, to in changed.items()}
    assert outcomes == dict.fromkeys(changed, 403)
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)  # in 2001
    namespace, name = repo.split("/")
    repo_id = RepoId(kind="models", namespace=namespace, name=name)
    expired = UploadSigner(Secret(hub.root)).query(repo_id, sha256, len(content))
    old = hub.request("PUT", f"{address.partition('?')[0]}?{expired}", body=content)
    assert (old.status, "expired" in old.headers["X-Error-Message"]) == (403, True)
    assert upload_address(hub, repo, content) is not None  # none of them stored it


def test_knowing_the_hash_of_a_private_file_gives_no_access_to_it(hub: HubUnderTest) -> None:
    content = b"private weights"
    sha256 = hashlib.sha256(content).hexdigest()
    private = hub.api().create_repo("alice/secret-weights", private=True).repo_id
    address = upload_address(hub, private, content)
    assert address is not None
    assert hub.request("PUT", address, body=content).status == 200
    thief = hub.api(hub.bob).create_repo("bob/thief").repo_id
    header = json.dumps({"key": "header", "value": {"summary": "x"}})
    value = {"path": "x.bin", "algo": "sha256", "oid": sha256, "size": len(content)}
    body = f"{header}\n{json.dumps({'key': 'lfsFile', 'value': value})}\n".encode()
    answer = hub.request("POST", f"/api/models/{thief}/commit/main", body=body, token=hub.bob)
    assert (answer.status, "not uploaded here" in answer.json()["error"]) == (400, True)


def test_a_client_that_goes_away_leaves_nothing_behind(hub: HubUnderTest, repo: str) -> None:
    content = b"z" * 3_000_000
    address = upload_address(hub, repo, content)
    host, port = hub.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = (
            f"PUT {address} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        connection.sendall(head.encode() + content[:2_000_000])
    incoming = ObjectStore(hub.root).incoming
    deadline = time.monotonic() + 20
    while any(incoming.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(incoming.iterdir()) == []
    assert upload_address(hub, repo, content) is not None


def test_bodies_above_their_limit_are_refused(hub: HubUnderTest, repo: str) -> None:
    answer = hub.request(
        "POST",
        f"/api/models/{repo}/preupload/main",
        body=b" " * 16_000_001,
        token=hub.alice,
    )
    assert answer.status == 413


@pytest.mark.parametrize("name", ["..", ".x", "x.git", "a--b", "a/b", "x y", "", "x" * 97, 5, None])
def test_repository_names_that_clients_would_refuse_are_refused(
    hub: HubUnderTest, name: object
) -> None:
    before = [m.id for m in hub.api().list_models()]
    for body in ({"name": name}, {"name": "fine", "organization": name or "api"}):
        answer = hub.request("POST", "/api/repos/create", body=body, token=hub.alice)
        assert answer.status == 400
    assert [m.id for m in hub.api().list_models()] == before
