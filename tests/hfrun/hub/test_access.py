"""Who sees and changes what, tried on every address that the hub has."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from hfrun.hub.accounts.sessions import COOKIE, Sessions
from hfrun.hub.accounts.signing import Secret
from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.serve import running_hub
from tests.hfrun.hub.conftest import Answer, HubUnderTest
from tests.hfrun.hub.every_route import CONTENT, MARKER, SECRET, SINGULAR, Sent, every_request, make

SECRETS = (MARKER.encode(), SECRET, CONTENT)

# What anybody may do on a hub that wants tokens: sign in, send what a signed address permits, hear
# what to do about Xet, and have a card checked, which clients ask for without their token.
WITHOUT_TOKEN = {
    "/api/validate-yaml",
    "/api/{kind:kind}/{namespace}/{name}/xet-read-token/{revision}",
    "/api/{kind:kind}/{namespace}/{name}/xet-write-token/{revision}",
    "/this-hub-has-no-xet-storage/{words:path}",
    "/api/{path:path}",  # addresses that the hub does not have
    "/login",
    "/logout",
    "/static/hub.css",
}


def is_open(ask: Sent) -> bool:
    return ask.route in WITHOUT_TOKEN or "/objects/{sha256}" in ask.route


# POST that only asks.
ASKS = ("/api/validate-yaml", "/paths-info/")
CHANGES = ("POST", "PUT", "DELETE", "PATCH")


def shape(answer: Answer, *names: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer that may differ between two repositories only by their names."""
    passing = ("date", "x-request-id")
    headers = [(k.lower(), v) for k, v in answer.headers.items() if k.lower() not in passing]
    body = answer.body
    for name in names:
        headers = [(key, value.replace(name, "NAME")) for key, value in headers]
        body = body.replace(name.encode(), b"NAME")
    return answer.status, sorted(headers), body


def stored(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file of a hub that a request could change, but for locks and the days of last use."""
    found = {}
    for path in root.rglob("*"):
        top = path.relative_to(root).parts[0]
        if top not in ("locks", "used") and path.is_file():
            status = path.stat()
            found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found


def answers_as_missing(
    hub: HubUnderTest, name: str, missing: str, *, kind: str, token: str | None
) -> int:
    """Compare all answers about alice's two names; gives the number of the compared ones."""
    assert len(name) == len(missing)
    compared = 0
    looks = {"Accept": "text/html"}  # a browser gets pages for refusals
    known = every_request(hub.root, namespace="alice", name=name, kind=kind)
    absent = every_request(hub.root, namespace="alice", name=missing, kind=kind)
    for ask, ask_missing in zip(known, absent, strict=True):
        headers = None if ask.route.startswith("/api/") else looks
        answer = ask.to(hub, token, headers)
        assert answer.status < 500, ask
        if "{name}" in ask.route or ask.method in CHANGES:
            assert not any(secret in answer.body for secret in SECRETS), ask
            assert shape(answer, name) == shape(ask_missing.to(hub, token, headers), missing), ask
            compared += 1
        else:
            assert name.encode() not in answer.body, ask
    return compared


@pytest.mark.parametrize("kind", SINGULAR)
def test_a_private_repository_answers_outsiders_as_a_missing_one_on_every_address(
    hub: HubUnderTest, kind: str
) -> None:
    make(hub.root, "alice/veiled-qz", kind, private=True)
    for token in (hub.bob, None) if kind == "models" else (hub.bob,):
        assert answers_as_missing(hub, "veiled-qz", "absent-qz", kind=kind, token=token) > 40
    hub.api().delete_repo("alice/veiled-qz", repo_type=SINGULAR[kind])


def test_neither_name_of_a_private_repository_that_has_moved_tells_that_it_has(
    hub: HubUnderTest,
) -> None:
    make(hub.root, "alice/before-qz", "models", private=True)
    hub.api().move_repo("alice/before-qz", "alice/behind-qz")
    for name in ("before-qz", "behind-qz"):
        assert answers_as_missing(hub, name, "absent-qz", kind="models", token=hub.bob) > 40
    hub.api().delete_repo("alice/behind-qz")


def test_a_body_that_names_a_private_repository_is_answered_as_if_it_were_missing(
    hub: HubUnderTest,
) -> None:
    make(hub.root, "alice/inbody-qz", "models", private=True)
    make(hub.root, "bob/source", "models")

    def answers(name: str) -> list[Any]:
        files = [{"sha256": hashlib.sha256(CONTENT).hexdigest()}]
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/api/repos/create", {"name": name, "organization": "alice"}),
            ("DELETE", "/api/repos/delete", {"name": name, "organization": "alice"}),
            ("POST", "/api/repos/move", {"fromRepo": f"alice/{name}", "toRepo": "bob/new"}),
            ("POST", "/api/repos/move", {"fromRepo": "bob/source", "toRepo": f"alice/{name}"}),
            ("POST", "/api/models/bob/source/duplicate", {"repository": f"alice/{name}"}),
            (
                "POST",
                "/api/models/bob/source/lfs-files/duplicate",
                {"target": {"type": "model", "name": f"alice/{name}"}, "files": files},
            ),
        ]
        sent = [hub.request(m, target, body=body, token=hub.bob) for m, target, body in asked]
        assert all(400 <= answer.status < 500 for answer in sent)
        return [shape(answer, name) for answer in sent]

    assert answers("inbody-qz") == answers("absent-qz")
    hub.api().delete_repo("alice/inbody-qz")
    hub.api(hub.bob).delete_repo("bob/source")


def test_lists_of_repositories_say_nothing_of_private_ones(hub: HubUnderTest) -> None:
    asked = [
        "/api/models?limit=1000",
        "/api/models?author=alice&limit=1000",
        "/api/models?search=unlisted",
        f"/api/models?filter=tag-{MARKER}",
        "/api/models-tags-by-type",
        "/",
        "/?q=unlisted",
        "/models",
        "/alice",
    ]
    before = {target: shape(hub.request("GET", target, token=hub.bob)) for target in asked}
    make(hub.root, "alice/unlisted", "models", private=True)
    after = {target: shape(hub.request("GET", target, token=hub.bob)) for target in asked}
    assert after == before
    seen = hub.request("GET", asked[2], token=hub.alice).json()
    assert [row["id"] for row in seen] == ["alice/unlisted"]
    hub.api().delete_repo("alice/unlisted")


@pytest.mark.parametrize("kind", SINGULAR)
def test_a_read_only_token_and_an_anonymous_caller_change_nothing_on_any_address(
    hub: HubUnderTest, kind: str
) -> None:
    make(hub.root, "alice/kept", kind)
    before = stored(hub.root)
    tried = set()
    for ask in every_request(hub.root, namespace="alice", name="kept", kind=kind):
        if ask.method not in CHANGES:
            continue
        for token in (hub.alice_reads, None):
            answer = ask.to(hub, token)
            asks = any(part in ask.route for part in ASKS)
            refused = (200,) if asks else (401, 403, 404, 405)
            if not is_open(ask):
                assert answer.status in refused, (ask, answer.body)
            tried.add(ask.route)
    assert stored(hub.root) == before
    assert len(tried) > 15
    hub.api().delete_repo("alice/kept", repo_type=SINGULAR[kind])


def test_a_foreign_writer_changes_neither_branches_nor_tags_nor_settings(
    hub: HubUnderTest,
) -> None:
    make(hub.root, "alice/foreign", "models")

    def owned() -> dict[str, tuple[int, int, int]]:
        folder = hub.root / "repositories" / "models"
        inside = str(folder / "alice" / "foreign")
        kept = {path: seen for path, seen in stored(folder).items() if path.startswith(inside)}
        return {
            path: seen
            for path, seen in kept.items()
            if "/refs/heads/" in path or "/refs/tags/" in path or path.endswith("/repo.json")
        }

    before = owned()
    assert len(before) == 3  # main, v1 and repo.json
    for ask in every_request(hub.root, namespace="alice", name="foreign", kind="models"):
        assert ask.to(hub, hub.bob).status < 500, ask
    assert owned() == before
    hub.api().delete_repo("alice/foreign")


def cookies(hub: HubUnderTest) -> dict[str, str]:
    """A browser that alice has signed in with; what another site makes it send has no key."""
    known = Accounts(hub.root).who(hub.alice)
    assert known is not None
    return {"Cookie": f"{COOKIE}={Sessions(Secret(hub.root)).cookie(known.id)}"}


def test_another_site_can_change_nothing_through_a_signed_in_browser(hub: HubUnderTest) -> None:
    make(hub.root, "alice/browsed", "models", private=True)
    cookie = cookies(hub)
    assert hub.request("GET", "/api/models/alice/browsed/refs", headers=cookie).status == 200
    before = stored(hub.root)
    for ask in every_request(hub.root, namespace="alice", name="browsed", kind="models"):
        if ask.method in CHANGES:
            assert ask.to(hub, None, cookie).status < 500, ask
    assert stored(hub.root) == before
    hub.api().delete_repo("alice/browsed")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubUnderTest]:
    """A hub that lets nobody in without a token, as its folder says; served by two processes."""
    root = tmp_path_factory.mktemp("closed")
    tokens = {user: create_token(root, user) for user in ("alice", "bob")}
    reads = create_token(root, "alice", role="read")
    with (
        running_hub(root, arguments=["--no-anonymous"]),
        running_hub(root) as second,  # it was told nothing
    ):
        yield HubUnderTest(endpoint=second.endpoint, root=root, alice_reads=reads, **tokens)


def test_without_anonymous_read_every_address_needs_a_token(closed: HubUnderTest) -> None:
    make(closed.root, "alice/open", "models")
    tried = 0
    for ask in every_request(closed.root, namespace="alice", name="open", kind="models"):
        answer = ask.to(closed, None)
        if is_open(ask):
            assert not any(secret in answer.body for secret in SECRETS), ask
            continue
        missing = replace(ask, target=ask.target.replace("alice/open", "alice/none"))
        assert answer.status in (302, 303, 401), (ask, answer.body)
        assert not any(secret in answer.body for secret in SECRETS), ask
        assert shape(answer, "open") == shape(missing.to(closed, None), "none"), ask
        tried += 1
    assert tried > 50
    assert closed.api(closed.bob).model_info("alice/open").id == "alice/open"


def test_clients_without_a_token_hear_that_they_need_one(closed: HubUnderTest) -> None:
    with pytest.raises(RepositoryNotFoundError, match="lets nobody in without a token") as refused:
        closed.anonymous().model_info("alice/any")
    assert refused.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError, match="lets nobody in without a token"):
        list(closed.anonymous().list_models())
    bad = closed.request("GET", "/api/models", token="hf_unknown")
    assert bad.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_the_folder_decides_for_all_its_servers_and_remembers(closed: HubUnderTest) -> None:
    def status() -> int:
        return closed.request("GET", "/api/models").status

    assert status() == 401
    with running_hub(closed.root, arguments=["--anonymous"]):
        assert status() == 200
    assert status() == 200
    with running_hub(closed.root, arguments=["--no-anonymous"]):
        assert status() == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "bearer x"])
def test_a_broken_authorization_header_is_no_anonymous_caller(
    hub: HubUnderTest, header: str
) -> None:
    answer = hub.request("GET", "/api/models", headers={"Authorization": header})
    assert answer.status == 401
    assert answer.headers["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_ids_are_found_in_any_case_and_answered_in_their_own(hub: HubUnderTest) -> None:
    make(hub.root, "alice/MixedCase", "models")
    for asked in ("ALICE/mixedcase", "Alice/MIXEDCASE"):
        assert hub.api().model_info(asked).id == "alice/MixedCase"
        assert hub.anonymous().file_exists(asked, "secret.txt")
        answer = hub.request("GET", f"/{asked}/resolve/main/secret.txt")
        assert (answer.status, answer.body) == (200, SECRET)
        commit = hub.api().upload_file(
            path_or_fileobj=b"x", path_in_repo=f"{asked[:5]}.txt", repo_id=asked
        )
        assert commit.commit_url.startswith(f"{hub.endpoint}/alice/MixedCase/commit/")
    hub.api().delete_repo("ALICE/MIXEDCASE")
    assert not hub.api().repo_exists("alice/MixedCase")


def test_every_route_is_tried(hub: HubUnderTest) -> None:
    asked: list[Sent] = []
    for kind in SINGULAR:
        asked += every_request(hub.root, namespace="alice", name="m", kind=kind)
    assert {a.method for a in asked} == {"GET", "HEAD", "POST", "PUT", "DELETE"}
    assert all("{" not in ask.target for ask in asked)
