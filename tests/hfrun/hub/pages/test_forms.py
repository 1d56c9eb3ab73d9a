"""Signing in, and what forms may change: only from a page of the hub's own, only as one may."""

import re
from itertools import count
from urllib.parse import quote

import pytest

from hfrun.hub.accounts.gating import Gate
from hfrun.hub.accounts.sessions import COOKIE, LIFETIME_SECONDS, Sessions
from hfrun.hub.accounts.signing import Secret
from hfrun.hub.accounts.tokens import Accounts, create_token
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.pages.furnished import (
    HIDDEN,
    Visitor,
    commit,
    form_key,
    made,
    pull_request,
    visitor,
)

_NUMBERS = count()


@pytest.fixture
def repository(hub: HubUnderTest) -> Repository:
    """A new model of alice's with two open pull requests of bob's; the second conflicts."""
    found = made(HubStore(hub.root), f"alice/form-{next(_NUMBERS)}")
    commit(found, "First", {"a.txt": "1\n"})
    pull_request(found, "Add a file", {"b.txt": "new\n"})
    pull_request(found, "Change a file", {"a.txt": "2\n"})
    commit(found, "Change it too", {"a.txt": "3\n"})
    return found


def address(repository: Repository, below: str = "") -> str:
    return f"/{repository.settings.repo_id.address}{below}"


def state(repository: Repository) -> tuple[str, list[tuple[str, int]]]:
    """The head of main, and status and number of events of each discussion."""
    discussions = list(Discussions(repository))
    return repository.head("main"), [(d.status, len(d.events)) for d in discussions]


# Signing in


def test_a_token_opens_a_session_that_no_script_and_no_other_site_can_use(
    furnished: HubUnderTest,
) -> None:
    browser = visitor(furnished)
    key = form_key(browser.text("/login"))
    answer = browser.post(
        "/login", {"form_key": key, "token": f" {furnished.alice} ", "next": "/alice/secret"}
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/alice/secret")
    cookies = answer.headers.get_all("Set-Cookie") or []
    session = next(cookie for cookie in cookies if cookie.startswith(f"{COOKIE}="))
    attributes = [part.strip().lower() for part in session.split(";")[1:]]
    assert sorted(attributes) == sorted(
        ["httponly", f"max-age={LIFETIME_SECONDS}", "path=/", "samesite=strict"]
    )
    assert furnished.alice not in session
    page = browser.text("/alice/secret")
    assert "secret card" in page
    assert furnished.alice not in page


def test_a_cookie_is_secure_where_the_hub_is_reached_by_https(furnished: HubUnderTest) -> None:
    answer = visitor(furnished).get("/login", **{"X-Forwarded-Proto": "https"})
    assert "Secure" in (answer.headers["Set-Cookie"] or "")


def test_a_wrong_token_is_told_so_and_opens_nothing(furnished: HubUnderTest) -> None:
    browser = visitor(furnished)
    answer = browser.submit("/login", "/login", token="hf_<b>wrong</b>")
    assert answer.status == 401
    assert b"does not know that token" in answer.body
    assert b"wrong</b>" not in answer.body
    assert COOKIE not in browser.cookies
    assert browser.get("/alice/secret").status == 404


@pytest.mark.parametrize(
    "elsewhere",
    ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:x",
     "/a\r\nSet-Cookie: x=1", "elsewhere.example", "", "/a b"],
)  # fmt: skip
def test_after_signing_in_nobody_is_sent_elsewhere(furnished: HubUnderTest, elsewhere: str) -> None:
    browser = visitor(furnished)
    answer = browser.submit("/login", "/login", token=furnished.alice, next=elsewhere)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    again = browser.get(f"/login?next={quote(elsewhere, safe='')}")
    assert (again.status, again.headers["Location"]) == (303, "/")


def test_a_session_ends_by_signing_out_by_time_and_with_its_token(
    furnished: HubUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = visitor(furnished, furnished.alice)
    assert browser.submit("/", "/logout").status == 303
    assert browser.cookies[COOKIE] == ""
    browser = visitor(furnished, create_token(furnished.root, "alice"))
    assert browser.get("/alice/secret").status == 200
    newest = Accounts(furnished.root).tokens()[-1]
    Accounts(furnished.root).revoke(newest.id)
    assert browser.get("/alice/secret").status == 404
    sessions = Sessions(Secret(furnished.root))
    monkeypatch.setattr("hfrun.hub.accounts.sessions.LIFETIME_SECONDS", -5)
    over = sessions.cookie(newest.id)
    for cookie in (over, over.replace(newest.id, "0" * 12), "", "a.b.c", "a.99999999999.", "."):
        assert sessions.token_id(cookie) is None, cookie


# Forms


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {"form_key": ""}),
        ({}, {"form_key": "0" * 64}),
        ({}, {"form_key": "ä"}),
        ({"Origin": "https://elsewhere.example"}, {}),
        ({"Origin": "http://127.0.0.1:1"}, {}),
        ({"Origin": "http://["}, {}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site", "Origin": "null"}, {}),
        ({"Content-Type": "text/plain"}, {}),
        ({"Content-Type": "multipart/form-data; boundary=x"}, {}),
        ({"Cookie": ""}, {}),
        ({}, {f"field{i}": "" for i in range(30)}),
    ],
)
def test_a_form_that_is_not_the_hubs_own_changes_nothing(
    hub: HubUnderTest,
    repository: Repository,
    headers: dict[str, str],
    fields: dict[str, str],
) -> None:
    browser = visitor(hub, hub.alice)
    page = address(repository, "/discussions/1")
    key = form_key(browser.text(page))
    before = state(repository)
    answer = browser.post(
        page, {"form_key": key, "action": "merge", "comment": "x", **fields}, **headers
    )
    assert answer.status in (400, 401, 403)
    assert b"<!doctype html>" in answer.body
    assert state(repository) == before


def test_the_key_of_another_session_or_of_the_sign_in_form_does_not_fit(
    hub: HubUnderTest, repository: Repository
) -> None:
    page = address(repository, "/discussions/1")
    bob, alice = visitor(hub, hub.bob), visitor(hub, hub.alice)
    before = state(repository)
    for key in (form_key(bob.text(page)), form_key(alice.text("/login"))):
        answer = alice.post(page, {"form_key": key, "action": "comment", "comment": "x"})
        assert (answer.status, b"another session" in answer.body) == (403, True)
    assert state(repository) == before


def test_a_session_changes_nothing_through_the_protocol(
    hub: HubUnderTest, repository: Repository
) -> None:
    alice = visitor(hub, hub.alice)
    before = state(repository)
    target = f"/api/models/{repository.settings.repo_id}/discussions/1/merge"
    assert alice.post(target, {}).status == 401
    assert state(repository) == before


def test_comments_merges_and_closing_by_forms(hub: HubUnderTest, repository: Repository) -> None:
    alice, bob = visitor(hub, hub.alice), visitor(hub, hub.bob)
    first, second = (address(repository, f"/discussions/{n}") for n in (1, 2))
    said = bob.submit(first, first, action="comment", comment="**Please** <script>x</script>")
    assert said.status == 303
    assert said.headers["Location"].startswith(first)
    assert "<strong>Please</strong>" in alice.text(first)
    merged = alice.submit(first, first, action="merge", comment="Thanks")
    assert merged.status == 303
    head = repository.commit(repository.head("main"))
    assert (head.title, head.author) == ("Add a file (#1)", "alice")
    assert sorted(repository.tree(head)) == [".gitattributes", "a.txt", "b.txt"]
    page = alice.text(first)
    assert '<span class="badge status-merged">merged</span>' in page
    assert head.id[:8] in page
    assert 'value="merge"' not in page
    # the conflict is told, and there is no button; who sends the form all the same is refused
    page = alice.text(second)
    assert "cannot be merged" in page
    assert 'value="merge"' not in page
    refused = alice.submit(second, second, action="merge")
    assert (refused.status, b"Merge conflict" in refused.body) == (409, True)
    assert bob.submit(second, second, action="close", comment="Never mind").status == 303
    assert Discussions(repository).get(2).status == "closed"
    assert alice.submit(second, second, action="reopen").status == 303
    assert Discussions(repository).get(2).status == "open"
    assert repository.head("main") == head.id


def test_only_those_who_may_can_merge_or_close(hub: HubUnderTest, repository: Repository) -> None:
    page = address(repository, "/discussions/1")
    carol = visitor(hub, create_token(hub.root, "carol"))
    bob, reader = visitor(hub, hub.bob), visitor(hub, hub.alice_reads)
    before = state(repository)
    cases = [(bob, "merge"), (carol, "merge"), (carol, "close"), (reader, "merge"),
             (reader, "comment"), (reader, "close"), (bob, "delete"), (bob, "")]  # fmt: skip
    for who, action in cases:
        key = form_key(who.text(page))
        answer = who.post(page, {"form_key": key, "action": action, "comment": "x"})
        assert answer.status == (400 if action in ("delete", "") else 403), action
    assert state(repository) == before
    assert 'value="merge"' not in bob.text(page)
    assert 'value="close"' not in carol.text(page)
    assert "<textarea" not in reader.text(page)
    missing = address(repository, "/discussions/99")
    assert bob.post(missing, {"form_key": form_key(bob.text(page))}).status == 404


def test_long_and_repeated_texts_are_bounded(hub: HubUnderTest, repository: Repository) -> None:
    alice = visitor(hub, hub.alice)
    page = address(repository, "/discussions/1")
    before = state(repository)
    too_long = alice.submit(page, page, action="comment", comment="x" * 70_000)
    assert too_long.status == 413
    assert alice.submit(page, page, action="comment", comment="  ").status == 400
    assert state(repository) == before


# Gates


def test_access_is_asked_for_and_granted_by_forms(hub: HubUnderTest) -> None:
    gated = made(HubStore(hub.root), f"bob/gated-{next(_NUMBERS)}")
    commit(gated, "Push", {"hidden.txt": HIDDEN}, author="bob")
    gated.change_settings(gated="manual")
    root, access, ask = (address(gated, below) for below in ("", "/access", "/access/ask"))
    create_token(hub.root, "carol")
    alice, bob = visitor(hub, hub.alice), visitor(hub, hub.bob)
    reader = visitor(hub, hub.alice_reads)
    assert reader.submit(root, ask).status == 403
    assert alice.get(access).status == 403
    assert visitor(hub).get(access).status == 401
    assert alice.submit(root, ask).status == 303
    assert [r.user for r in Gate(gated).requests("pending")] == ["alice"]
    assert "You have asked" in alice.text(root)
    # who asks cannot decide
    answer = alice.submit(root, access, user="alice", status="accepted")
    assert answer.status == 403
    assert HIDDEN not in alice.text(address(gated, "/blob/main/hidden.txt"))
    page = bob.text(access)
    assert re.findall(r'name="user" value="([^"]*)"', page) == ["alice", "alice"]
    assert bob.submit(access, access, user="alice", status="accepted").status == 303
    assert HIDDEN in alice.text(address(gated, "/blob/main/hidden.txt"))
    rejected = bob.submit(access, access, user="alice", status="rejected", reason="<b>no</b>")
    assert rejected.status == 303
    assert "&lt;b&gt;no&lt;/b&gt;" in alice.text(root)
    assert HIDDEN not in alice.text(address(gated, "/blob/main/hidden.txt"))
    assert bob.submit(access, access, user="carol", grant="1").status == 303
    assert [r.user for r in Gate(gated).requests("accepted")] == ["carol"]
    assert bob.submit(access, access, user="nobody", grant="1").status == 404
    assert bob.submit(access, access, user="alice", status="emperor").status == 400


def test_an_auto_gate_lets_in_who_asks(hub: HubUnderTest) -> None:
    gated = made(HubStore(hub.root), f"bob/auto-{next(_NUMBERS)}")
    commit(gated, "Push", {"hidden.txt": HIDDEN}, author="bob")
    gated.change_settings(gated="auto")
    alice = visitor(hub, hub.alice)
    assert HIDDEN not in alice.text(address(gated, "/blob/main/hidden.txt"))
    assert alice.submit(address(gated), address(gated, "/access/ask")).status == 303
    assert HIDDEN in alice.text(address(gated, "/blob/main/hidden.txt"))


def test_where_anonymous_reading_is_off_only_the_sign_in_page_is_shown(
    furnished: HubUnderTest,
) -> None:
    Accounts(furnished.root).allow_anonymous_read(False)
    try:
        anyone: Visitor = visitor(furnished)
        for page in ("/", "/models", "/alice", "/alice/walker", "/alice/missing"):
            answer = anyone.get(page)
            assert answer.status in (401, 404), page
            assert b"sign in" in answer.body, page
            assert b"Judged by" not in answer.body, page
        assert "Judged by" in visitor(furnished, furnished.bob).text("/alice/walker")
    finally:
        Accounts(furnished.root).allow_anonymous_read(True)
