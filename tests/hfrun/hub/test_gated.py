"""Gated repositories: all who may see them do, and only those whom they let in read the files."""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

from hfrun.hub.accounts.gating import Gate
from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import AccessRequestNotFoundError, BadRequestError
from hfrun.hub.refusals import GatedRepoError as Refused
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.repository import Repository
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.every_route import CONTENT, SECRET, SINGULAR, every_request, make

REPO = "alice/gated"


@pytest.fixture
def gated(hub: HubUnderTest) -> Iterator[str]:
    """A model of alice whose files are for those she lets in."""
    make(hub.root, REPO, "models")
    hub.api().update_repo_settings(REPO, gated="manual")
    yield REPO
    hub.api().delete_repo(REPO, missing_ok=True)


@pytest.fixture(scope="module")
def theodora(hub: HubUnderTest) -> str:
    return create_token(hub.root, "Theodora")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    store = HubStore(open_root(tmp_path / "hub", create=True))
    repo_id = RepoId(kind="models", namespace="alice", name="m")
    repository = store.create(repo_id, private=False, author="alice", sdk=None)
    repository.change_settings(gated="manual")
    return Gate(repository)


def download(hub: HubUnderTest, token: str | bool, folder: Path) -> str:
    return hf_hub_download(
        REPO, "secret.txt", endpoint=hub.endpoint, token=token, cache_dir=folder / "cache"
    )


def ask(hub: HubUnderTest, token: str | None, repo: str = REPO) -> tuple[int, dict[str, Any]]:
    answer = hub.request("POST", f"/{repo}/ask-access", token=token)
    return answer.status, answer.json()


def test_settings_are_changed_one_by_one_and_shown_in_the_info(hub: HubUnderTest) -> None:
    api = hub.api()
    make(hub.root, "alice/set", "models")

    def shown() -> tuple[bool | None, Any]:
        found = api.model_info("alice/set")
        return found.private, found.gated

    assert shown() == (False, False)
    api.update_repo_settings("alice/set", gated="manual")
    assert shown() == (False, "manual")
    api.update_repo_settings("alice/set", private=True)
    assert shown() == (True, "manual")
    api.update_repo_settings("alice/set", gated="auto", visibility="public")
    assert shown() == (False, "auto")
    api.update_repo_settings("alice/set", gated=False)
    assert shown() == (False, False)
    answer = hub.request(
        "PUT", "/api/models/alice/set/settings", body={"private": True}, token=hub.alice
    )
    assert answer.json() == {"private": True, "visibility": "private", "gated": False}
    listed = [(m.id, m.gated) for m in api.list_models(author="alice", search="/set")]
    assert listed == [("alice/set", False)]
    api.delete_repo("alice/set")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "this hub has gated, private, visibility"),
        ({"gated": "sometimes"}, "got gated 'sometimes'; needed is false or one of"),
        ({"gated": True}, "got gated 'True'"),
        ({"gated": 0}, "got gated '0'"),
        ({"gated": None}, "got gated 'None'"),
        ({"private": "yes"}, "got private 'yes'; needed is true or false"),
        ({"visibility": "protected"}, "got visibility 'protected'; this hub has public and"),
        ({"discussionsDisabled": True}, "got settings discussionsDisabled; this hub has gated"),
    ],
)
def test_settings_that_this_hub_does_not_have_are_refused_in_words(
    hub: HubUnderTest, gated: str, body: dict[str, Any], message: str
) -> None:
    answer = hub.request("PUT", f"/api/models/{gated}/settings", body=body, token=hub.alice)
    assert (answer.status, message in answer.json()["error"]) == (400, True), answer.body
    assert hub.api().model_info(gated).gated == "manual"


def test_outsiders_see_a_gated_repository_and_are_refused_its_files(
    hub: HubUnderTest, gated: str, theodora: str, tmp_path: Path
) -> None:
    for token, status in ((theodora, 403), (False, 401)):
        api = hub.api(theodora) if token else hub.anonymous()
        assert api.model_info(gated).gated == "manual"
        assert "secret.txt" in api.list_repo_files(gated)
        for attempt in (
            lambda token=token: download(hub, token, tmp_path),
            lambda api=api: api.auth_check(gated),
        ):
            with pytest.raises(GatedRepoError, match="restricted") as refused:
                attempt()
            assert refused.value.response.status_code == status
        assert api.repo_exists(gated)
    assert list(tmp_path.rglob("secret.txt")) == []
    hub.api(hub.alice_reads).auth_check(gated)
    assert Path(download(hub, hub.alice_reads, tmp_path)).read_bytes() == SECRET


def test_a_manual_gate_lets_in_whom_its_authors_accept(
    hub: HubUnderTest, gated: str, theodora: str, tmp_path: Path
) -> None:
    api = hub.api()
    assert ask(hub, theodora) == (200, {"status": "pending"})
    assert ask(hub, theodora) == (200, {"status": "pending"})
    (pending,) = api.list_pending_access_requests(gated)
    assert (pending.username, pending.fullname, pending.status) == (
        "Theodora",
        "Theodora",
        "pending",
    )
    with pytest.raises(GatedRepoError, match="awaits the decision of its authors"):
        download(hub, theodora, tmp_path)
    api.accept_access_request(gated, "theodora")
    assert list(api.list_pending_access_requests(gated)) == []
    (accepted,) = api.list_accepted_access_requests(gated)
    assert (accepted.request_id, accepted.timestamp) == (pending.request_id, pending.timestamp)
    assert Path(download(hub, theodora, tmp_path)).read_bytes() == SECRET
    hub.api(theodora).auth_check(gated)

    api.reject_access_request(gated, request_id=pending.request_id, rejection_reason="No\nwork")
    (rejected,) = api.list_rejected_access_requests(gated)
    assert rejected.request_id == pending.request_id
    with pytest.raises(GatedRepoError, match=r"rejected the request of Theodora \(No\?work\)"):
        hub.api(theodora).auth_check(gated)
    assert ask(hub, theodora)[0] == 403
    api.cancel_access_request(gated, "Theodora")
    assert [r.username for r in api.list_pending_access_requests(gated)] == ["Theodora"]
    api.grant_access(gated, "bob")
    hub.api(hub.bob).auth_check(gated)
    assert [r.username for r in api.list_accepted_access_requests(gated)] == ["bob"]


def test_an_automatic_gate_lets_in_whoever_asks(
    hub: HubUnderTest, gated: str, theodora: str, tmp_path: Path
) -> None:
    assert ask(hub, theodora) == (200, {"status": "pending"})
    hub.api().update_repo_settings(gated, gated="auto")
    with pytest.raises(GatedRepoError):
        download(hub, theodora, tmp_path)  # who waits asks once more
    assert ask(hub, theodora) == (200, {"status": "accepted"})
    assert Path(download(hub, theodora, tmp_path)).read_bytes() == SECRET
    hub.api().update_repo_settings(gated, gated=False)
    assert Path(download(hub, False, tmp_path)).read_bytes() == SECRET
    hub.api().update_repo_settings(gated, gated="manual")
    hub.api(theodora).auth_check(gated)  # decisions outlive the setting


def test_who_may_ask_and_who_may_decide(hub: HubUnderTest, gated: str, theodora: str) -> None:
    assert ask(hub, None)[0] == 401
    assert ask(hub, create_token(hub.root, "theodora", role="read"))[0] == 403
    assert ask(hub, hub.alice) == (200, {"status": "accepted"})  # a member is in already
    assert list(hub.api().list_accepted_access_requests(gated)) == []
    assert ask(hub, theodora, "alice/none")[0] == 404
    for token, status in ((theodora, 403), (hub.alice_reads, 403)):
        for decide in (
            lambda api: list(api.list_pending_access_requests(gated)),
            lambda api: api.accept_access_request(gated, "theodora"),
            lambda api: api.grant_access(gated, "theodora"),
        ):
            with pytest.raises(HfHubHTTPError) as refused:
                decide(hub.api(token))
            assert refused.value.response.status_code == status
    hub.api(theodora).create_repo("Theodora/open", exist_ok=True)
    assert ask(hub, hub.bob, "theodora/open")[0] == 400  # not gated


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("grant", {"user": "nobody"}, 404),
        ("grant", {"user": "desk"}, 404),  # access is for users, not for organisations
        ("grant", {}, 400),
        ("grant", {"user": 5}, 400),
        ("handle", {"user": "bob", "status": "accepted"}, 404),  # has not asked
        ("handle", {"user": "nobody", "status": "accepted"}, 404),
        ("handle", {"requestId": "x", "status": "accepted"}, 404),
        ("handle", {"user": "bob", "status": "maybe"}, 400),
        ("handle", {"user": "bob"}, 400),
        ("handle", {"status": "accepted"}, 400),
        ("handle", {"requestId": "x", "status": "rejected", "rejectionReason": 5}, 400),
    ],
)
def test_decisions_that_cannot_be_made_are_refused(
    hub: HubUnderTest, gated: str, path: str, body: dict[str, Any], status: int
) -> None:
    target = f"/api/models/{gated}/user-access-request/{path}"
    assert hub.request("POST", target, body=body, token=hub.alice).status == status
    assert hub.request("GET", target.replace(path, "maybe"), token=hub.alice).status == 400


@pytest.mark.parametrize("kind", SINGULAR)
def test_no_address_gives_the_files_of_a_gated_repository_to_who_was_not_let_in(
    hub: HubUnderTest, kind: str
) -> None:
    make(hub.root, "alice/shut", kind)
    hub.api().update_repo_settings("alice/shut", gated="manual", repo_type=SINGULAR[kind])
    secrets = [SECRET, CONTENT]
    secrets += [base64.b64encode(secret)[:12] for secret in secrets]
    refused = 0
    for ask in every_request(hub.root, namespace="alice", name="shut", kind=kind):
        if "{name}" not in ask.route:
            continue
        for token in (hub.bob, None) if kind == "models" else (hub.bob,):
            looks = {} if ask.route.startswith("/api/") else {"Accept": "text/html"}
            answer = ask.to(hub, token, looks)
            assert answer.status < 500, ask
            refused += answer.headers["X-Error-Code"] == "GatedRepo"
            found = [secret for secret in secrets if secret in answer.body]
            assert found == [], (ask, answer.body)
    assert refused > 4
    hub.api().delete_repo("alice/shut", repo_type=SINGULAR[kind])


def test_knowing_the_hash_of_a_gated_file_gives_no_access_to_it(
    hub: HubUnderTest, gated: str
) -> None:
    """Through an upload that is not needed, a commit that names it, a copy, a pull request."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    thief = hub.api(hub.bob).create_repo("bob/thief-of-gated").repo_id
    value = {"path": "x.bin", "algo": "sha256", "oid": sha256, "size": len(CONTENT)}
    lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": value}]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    named = hub.request("POST", f"/api/models/{thief}/commit/main", body=body, token=hub.bob)
    assert (named.status, "not uploaded here" in named.json()["error"]) == (400, True)
    objects = {"operation": "upload", "objects": [{"oid": sha256, "size": len(CONTENT)}]}
    batch = hub.request("POST", f"/{thief}.git/info/lfs/objects/batch", body=objects, token=hub.bob)
    assert "upload" in batch.json()["objects"][0]["actions"]
    lent = {"target": {"type": "model", "name": thief}, "files": [{"sha256": sha256}]}
    for target, body_of in (
        (f"/api/models/{gated}/lfs-files/duplicate", lent),
        (f"/api/models/{gated}/duplicate", {"repository": "bob/copy-of-gated"}),
        (f"/api/models/{gated}/commit/main?create_pr=1", body),
        (f"/api/models/{gated}/preupload/main", {"files": []}),
    ):
        answer = hub.request("POST", target, body=body_of, token=hub.bob)
        assert (answer.status, answer.headers["X-Error-Code"]) == (403, "GatedRepo"), target
    hub.api(hub.bob).delete_repo(thief)


def test_the_gate_moves_with_the_repository_and_goes_with_it(
    hub: HubUnderTest, gated: str, theodora: str
) -> None:
    hub.api().grant_access(gated, "Theodora")
    hub.api().move_repo(gated, "desk/gated-too")
    hub.api(theodora).auth_check("desk/gated-too")
    with pytest.raises(GatedRepoError):
        hub.api(hub.bob).auth_check(gated)  # by its old name
    assert hub.request("POST", f"/{gated}/ask-access", token=hub.bob).status == 307
    hub.api().delete_repo("desk/gated-too")
    make(hub.root, gated, "models")
    hub.api().update_repo_settings(gated, gated="manual")
    with pytest.raises(GatedRepoError):
        hub.api(theodora).auth_check(gated)  # a new repository knows nobody


def test_requests_of_many_at_once_are_all_kept(gate: Gate) -> None:
    repository = gate.repository

    def asks(i: int) -> str:
        opened = Repository(
            folder=repository.folder,
            lock_file=repository.folder.parent / "lock",
            objects=repository.objects,
        )
        return Gate(opened).ask(f"user{i}").status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(asks, range(16))) == ["pending"] * 16
    assert {r.user for r in gate.requests("pending")} == {f"user{i}" for i in range(16)}


def test_the_rules_of_a_gate_by_hand(gate: Gate) -> None:
    assert not gate.allows(None)
    assert not gate.allows("theodora")
    asked = gate.ask("Theodora")
    assert gate.ask("theodora") == asked == gate.request_of("THEODORA")
    gate.decide("accepted", user="theodora")
    assert gate.allows("tHEODORA")
    with pytest.raises(AccessRequestNotFoundError, match="is already accepted"):
        gate.decide("accepted", user="theodora")
    with pytest.raises(BadRequestError, match="has access to this repository already"):
        gate.grant("theodora")
    gate.decide("rejected", user=None, request_id=asked.id, reason="x" * 300)
    rejected = gate.request_of("theodora")
    assert rejected is not None
    assert (rejected.status, rejected.reason) == ("rejected", "x" * 200)
    with pytest.raises(Refused, match="rejected the request of theodora"):
        gate.ask("theodora")
    gate.repository.change_settings(gated="auto")
    with pytest.raises(Refused, match="rejected"):
        gate.ask("theodora")  # an automatic gate does not undo a decision
    assert gate.ask("dave").status == "accepted"
    assert gate.grant("theodora").status == "accepted"
    assert [r.user for r in gate.requests("accepted")] == ["Theodora", "dave"]
    gate.repository.change_settings(gated="")
    assert gate.allows(None)
    with pytest.raises(BadRequestError, match="which is not gated"):
        gate.ask("erin")
