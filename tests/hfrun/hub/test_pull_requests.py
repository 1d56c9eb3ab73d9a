"""Pull requests and discussions through the unmodified client, and who may do what."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
from huggingface_hub.community import DiscussionComment, DiscussionCommit, DiscussionStatusChange
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfrun.hub.accounts.tokens import create_token
from tests.hfrun.hub.conftest import Answer, HubUnderTest


def add(path: str, content: bytes = b"new\n") -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)


def proposed(api: HfApi, repo: str, *operations: Any, title: str = "Add a file") -> int:
    """Open a pull request with one commit, and return its number."""
    commit = api.create_commit(
        repo, operations=operations or [add("a.txt")], commit_message=title, create_pr=True
    )
    assert commit.pr_num is not None
    return commit.pr_num


def content(hub: HubUnderTest, repo: str, path: str, revision: str = "main") -> bytes | None:
    answer = hub.request("GET", f"/{repo}/resolve/{revision.replace('/', '%2F')}/{path}")
    return answer.body if answer.status == 200 else None


def test_the_whole_life_of_a_pull_request_of_a_stranger(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    alice, bob = hub.api(), hub.api(hub.bob)
    weights = bytes(range(256)) * 300
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "model.safetensors").write_bytes(weights)
    (tmp_path / "given" / "notes.txt").write_text("first\n")
    commit = bob.upload_folder(
        repo_id=repo,
        folder_path=tmp_path / "given",
        commit_message="Better weights",
        commit_description="Trained **longer**.",
        create_pr=True,
    )
    assert (commit.pr_num, commit.pr_revision) == (1, "refs/pr/1")
    assert commit.pr_url == f"{hub.endpoint}/{repo}/discussions/1"
    again = bob.create_commit(
        repo,
        operations=[add("notes.txt", b"second\n")],
        commit_message="Say more",
        revision="refs/pr/1",
        parent_commit=commit.oid,
    )
    path = hf_hub_download(
        repo,
        "model.safetensors",
        revision="refs/pr/1",
        endpoint=hub.endpoint,
        token=hub.bob,
        cache_dir=tmp_path / "cache",
    )
    assert Path(path).read_bytes() == weights
    assert content(hub, repo, "notes.txt") is None

    details = alice.get_discussion_details(repo, 1)
    assert (details.title, details.status, details.author) == ("Better weights", "open", "bob")
    assert (details.target_branch, details.conflicting_files) == ("refs/heads/main", [])
    assert details.merge_commit_oid is None
    assert [type(event) for event in details.events] == [
        DiscussionComment,
        DiscussionCommit,
        DiscussionCommit,
    ]
    assert [event.oid for event in details.events[1:]] == [commit.oid, again.oid]
    assert details.diff is not None
    assert "+++ b/model.safetensors" in details.diff
    assert "+oid sha256:" in details.diff
    assert "+second\n" in details.diff

    alice.merge_pull_request(repo, 1, comment="Thank you")
    merged = alice.get_discussion_details(repo, 1)
    assert (merged.status, merged.diff) == ("merged", details.diff)
    newest, *older = alice.list_repo_commits(repo)
    assert merged.merge_commit_oid == newest.commit_id
    assert newest.title == "Better weights (#1)"
    assert f"- Better weights ({commit.oid})\n- Say more ({again.oid})" in newest.message
    assert "Co-authored-by: bob <bob@hub>" in newest.message
    assert [c.title for c in older] == ["initial commit"]
    assert content(hub, repo, "notes.txt") == b"second\n"
    assert content(hub, repo, "model.safetensors") == weights
    with pytest.raises(HfHubHTTPError, match="is merged and takes no changes") as refused:
        bob.create_commit(
            repo, operations=[add("more.txt")], commit_message="Late", revision="refs/pr/1"
        )
    assert refused.value.response.status_code == 409


def test_a_draft_is_filled_opened_and_then_merged(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    draft = api.create_pull_request(repo, title="  A   draft\n ")
    assert (draft.num, draft.title, draft.status, draft.diff) == (1, "A draft", "draft", "")
    assert draft.is_pull_request
    assert draft.url == f"{hub.endpoint}/{repo}/discussions/1"
    assert api.repo_info(repo, revision="refs/pr/1").sha == api.repo_info(repo).sha
    api.create_commit(
        repo, operations=[add("a.txt")], commit_message="Fill it", revision=draft.git_reference
    )
    with pytest.raises(HfHubHTTPError, match="is a draft"):
        api.merge_pull_request(repo, 1)
    assert api.get_discussion_details(repo, 1).status == "draft"
    change = api.change_discussion_status(repo, 1, "open")
    assert (type(change), change.new_status) == (DiscussionStatusChange, "open")
    api.merge_pull_request(repo, 1)
    assert content(hub, repo, "a.txt") == b"new\n"


def test_a_discussion_is_talked_about_renamed_closed_and_opened_again(
    hub: HubUnderTest, repo: str
) -> None:
    alice, bob = hub.api(), hub.api(hub.bob)
    opened = bob.create_discussion(repo, title="Which license?", description="It says none.")
    assert opened == alice.get_discussion_details(repo, 1)
    assert (opened.is_pull_request, opened.diff, opened.git_reference) == (False, None, None)
    assert opened.created_at.tzinfo is not None
    comment = alice.comment_discussion(repo, 1, "MIT <script>alert(1)</script>\n\nfrom now on")
    assert comment.content == "MIT <script>alert(1)</script>\n\nfrom now on"
    assert "<script>" not in comment.rendered
    changed = alice.edit_discussion_comment(repo, 1, comment.id, "Apache")
    assert (changed.content, changed.edited, changed.number_of_edits) == ("Apache", True, 1)
    assert (changed.last_edited_by, changed.edit_history[0]["raw"]) == ("alice", comment.content)
    with pytest.warns(UserWarning, match="irreversible"):
        gone = alice.hide_discussion_comment(repo, 1, comment.id)
    assert (gone.hidden, gone.content) == (True, "This comment has been hidden")
    renamed = bob.rename_discussion(repo, 1, "A license?")
    assert (renamed.old_title, renamed.new_title) == ("Which license?", "A license?")
    bob.change_discussion_status(repo, 1, "closed", comment="Found it")
    details = alice.get_discussion_details(repo, 1)
    assert (details.title, details.status) == ("A license?", "closed")
    kinds = [event.type for event in details.events]
    assert kinds == ["comment", "comment", "title-change", "comment", "status-change"]
    stored = next(hub.root.glob(f"repositories/models/{repo}/discussions/1.json")).read_text()
    assert "MIT" not in stored
    assert "Apache" not in stored
    assert alice.change_discussion_status(repo, 1, "open").new_status == "open"
    assert alice.get_discussion_details(repo, 1).status == "open"


def test_listings_are_filtered_and_come_newest_first_in_pages(hub: HubUnderTest, repo: str) -> None:
    alice, bob = hub.api(), hub.api(hub.bob)
    bob.create_discussion(repo, title="one")
    draft = alice.create_pull_request(repo, title="two")
    merged = proposed(alice, repo, title="three")
    alice.merge_pull_request(repo, merged)
    bob.create_discussion(repo, title="four")
    bob.change_discussion_status(repo, 4, "closed")

    def numbers(**filters: Any) -> list[int]:
        return [found.num for found in hub.anonymous().get_repo_discussions(repo, **filters)]

    assert numbers() == numbers(discussion_type="all", discussion_status="all") == [4, 3, 2, 1]
    assert numbers(discussion_type="pull_request") == [merged, draft.num]
    assert numbers(discussion_type="discussion") == [4, 1]
    assert numbers(discussion_status="open") == [2, 1]
    assert numbers(discussion_status="closed") == [4, 3]
    assert numbers(author="BOB") == [4, 1]
    assert numbers(author="nobody") == []
    target = f"/api/models/{repo}/discussions"
    for number in range(5, 53):
        answer = hub.request("POST", target, body={"title": f"t {number}"}, token=hub.bob)
        assert answer.json()["num"] == number
    assert numbers() == list(range(52, 0, -1))
    second = hub.request("GET", f"{target}?p=1").json()
    assert (second["count"], second["start"], second["numClosedDiscussions"]) == (52, 50, 2)
    assert [row["num"] for row in second["discussions"]] == [2, 1]


def test_refs_name_the_pull_requests_and_datasets_and_spaces_have_them_too(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    for kind in ("dataset", "space"):
        sdk = {"space_sdk": "static"} if kind == "space" else {}
        api.create_repo(repo, repo_type=kind, **sdk)
        commit = api.create_commit(
            repo,
            operations=[add("a.txt")],
            commit_message="Add a file",
            repo_type=kind,
            create_pr=True,
        )
        opened = api.get_discussion_details(repo, 1, repo_type=kind)
        assert commit.pr_url == opened.url == f"{hub.endpoint}/{kind}s/{repo}/discussions/1"
        assert (opened.repo_id, opened.repo_type) == (repo, kind)
        refs = api.list_repo_refs(repo, repo_type=kind, include_pull_requests=True)
        assert refs.pull_requests is not None
        assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [
            ("refs/pr/1", commit.oid)
        ]


def test_files_that_both_sides_changed_are_in_conflict_until_they_are_alike(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    files = [add(name, b"base\n") for name in ("ours.txt", "theirs.txt", "both.txt", "gone.txt")]
    api.create_commit(repo, operations=files, commit_message="base")
    theirs = [
        add("theirs.txt", b"theirs\n"),
        add("both.txt", b"theirs\n"),
        CommitOperationDelete(path_in_repo="gone.txt"),
        add("folder", b"a file\n"),
    ]
    number = proposed(api, repo, *theirs)
    ours = [
        add("ours.txt", b"ours\n"),
        add("both.txt", b"ours\n"),
        add("gone.txt", b"ours\n"),
        add("folder/file.txt"),
    ]
    head = api.create_commit(repo, operations=ours, commit_message="ours").oid
    details = api.get_discussion_details(repo, number)
    assert details.conflicting_files == ["both.txt", "folder", "gone.txt"]
    with pytest.raises(HfHubHTTPError, match=r"both\.txt, folder, gone\.txt") as refused:
        api.merge_pull_request(repo, number)
    assert refused.value.response.status_code == 409
    assert api.repo_info(repo).sha == head
    alike = [
        add("both.txt", b"ours\n"),
        add("gone.txt", b"ours\n"),
        CommitOperationDelete(path_in_repo="folder"),
    ]
    api.create_commit(
        repo, operations=alike, commit_message="As main", revision=f"refs/pr/{number}"
    )
    assert api.get_discussion_details(repo, number).conflicting_files == []
    api.merge_pull_request(repo, number)
    found = {name: content(hub, repo, f"{name}.txt") for name in ("ours", "theirs", "both", "gone")}
    assert found == {"ours": b"ours\n", "theirs": b"theirs\n", "both": b"ours\n", "gone": b"ours\n"}
    assert content(hub, repo, "folder/file.txt") == b"new\n"


def test_a_pull_request_can_be_for_a_branch_and_begin_at_an_older_commit(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    first = api.repo_info(repo).sha
    api.create_commit(repo, operations=[add("later.txt")], commit_message="later")
    assert first is not None
    commit = api.create_commit(
        repo,
        operations=[add("a.txt")],
        commit_message="old",
        parent_commit=first,
        create_pr=True,
    )
    assert commit.pr_revision is not None
    history = api.list_repo_commits(repo, revision=commit.pr_revision)
    assert [c.commit_id for c in history] == [commit.oid, first]
    api.merge_pull_request(repo, 1)
    assert content(hub, repo, "later.txt") == content(hub, repo, "a.txt") == b"new\n"

    api.create_branch(repo, branch="dev/1")
    lines = [small("b.txt")]
    made = raw_commit(hub, repo, lines, revision="dev%2F1", token=hub.bob, create_pr=True)
    assert (made.status, made.json()["pullRequestNum"]) == (200, 2)
    assert api.get_discussion_details(repo, 2).target_branch == "refs/heads/dev/1"
    api.merge_pull_request(repo, 2)
    assert content(hub, repo, "b.txt", "dev/1") == b"x"
    assert content(hub, repo, "b.txt") is None
    stray = {"parentCommit": api.repo_info(repo, revision="dev/1").sha}
    strayed = raw_commit(hub, repo, lines, create_pr=True, header=stray)
    assert (strayed.status, strayed.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    for revision in ("refs%2Fpr%2F1", "missing"):
        refused = raw_commit(hub, repo, lines, revision=revision, create_pr=True)
        assert refused.status in (400, 404)


def test_a_stale_parent_a_closed_and_an_unknown_pull_request_take_no_commit(
    hub: HubUnderTest, repo: str
) -> None:
    bob = hub.api(hub.bob)
    first = bob.create_commit(
        repo, operations=[add("a.txt")], commit_message="one", create_pr=True
    ).oid
    lines, ref = [small("b.txt")], "refs%2Fpr%2F1"
    ok = raw_commit(hub, repo, lines, revision=ref, token=hub.bob, header={"parentCommit": first})
    assert ok.status == 200
    stale = raw_commit(
        hub, repo, lines, revision=ref, token=hub.bob, header={"parentCommit": first}
    )
    assert stale.status == 412
    assert "The branch was updated since you opened this page" in stale.json()["error"]
    bob.change_discussion_status(repo, 1, "closed")
    closed = raw_commit(hub, repo, lines, revision=ref, token=hub.bob)
    assert (closed.status, closed.json()["error"]) == (
        409,
        "Pull request 1 is closed and takes no changes",
    )
    assert bob.repo_info(repo, revision="refs/pr/1").sha == ok.json()["commitOid"]
    bob.change_discussion_status(repo, 1, "open")
    assert raw_commit(hub, repo, lines, revision=ref, token=hub.bob).status == 200
    for unknown in ("refs%2Fpr%2F2", "refs%2Fpr%2F01", "refs%2Fpr%2F", "refs%2Fpr%2Fx"):
        assert raw_commit(hub, repo, lines, revision=unknown, token=hub.alice).status == 404


def test_only_members_merge_and_only_authors_and_members_change_what_was_said(
    hub: HubUnderTest, repo: str
) -> None:
    carol = create_token(hub.root, "carol")
    bob = hub.api(hub.bob)
    number = proposed(bob, repo)
    target = f"/api/models/{repo}/discussions/{number}"
    comment = bob.comment_discussion(repo, number, "mine").id
    posts: dict[str, dict[str, Any]] = {
        "merge": {},
        "title": {"title": "Another title"},
        "status": {"status": "closed"},
        f"comment/{comment}/hide": {},
        f"comment/{comment}/edit": {"content": "not mine"},
    }
    for resource, body in posts.items():
        for token in (carol, hub.alice_reads, None):
            answer = hub.request("POST", f"{target}/{resource}", body=body, token=token)
            assert answer.status == (401 if token is None else 403), resource
    commit = raw_commit(hub, repo, [small("c.txt")], revision=f"refs%2Fpr%2F{number}", token=carol)
    assert commit.status == 403
    assert "create_pr=1" in commit.json()["error"]
    assert hub.request("POST", f"{target}/merge", token=hub.bob).status == 403
    # A member may do all but put words into another's mouth.
    edit = f"{target}/comment/{comment}/edit"
    assert hub.request("POST", edit, body={"content": "x"}, token=hub.alice).status == 403
    assert hub.request("POST", f"{target}/comment/{comment}/hide", token=hub.alice).status == 200
    assert hub.request("POST", edit, body={"content": "x"}, token=hub.bob).status == 403
    assert hub.request("POST", f"{target}/comment", body={}, token=carol).status == 400
    assert hub.api(carol).comment_discussion(repo, number, "may I?").author == "carol"
    ref = f"refs%2Fpr%2F{number}"
    assert raw_commit(hub, repo, [small("c.txt")], revision=ref, token=hub.alice).status == 200
    assert hub.request("POST", f"{target}/merge", token=hub.alice).status == 200


def test_a_private_repository_has_no_discussions_for_others(hub: HubUnderTest) -> None:
    alice, bob = hub.api(), hub.api(hub.bob)
    repo = alice.create_repo("alice/hidden-talk", private=True).repo_id
    proposed(alice, repo)
    for call in (
        lambda: list(bob.get_repo_discussions(repo)),
        lambda: bob.get_discussion_details(repo, 1),
        lambda: bob.create_discussion(repo, title="let me in"),
        lambda: bob.create_pull_request(repo, title="let me in"),
        lambda: bob.comment_discussion(repo, 1, "let me in"),
        lambda: bob.merge_pull_request(repo, 1),
        lambda: proposed(bob, repo),
    ):
        with pytest.raises(RepositoryNotFoundError):
            call()
    assert len(list(alice.get_repo_discussions(repo))) == 1


def test_who_was_not_let_into_a_gated_repository_may_talk_but_sees_no_diff(
    hub: HubUnderTest, repo: str
) -> None:
    alice, bob = hub.api(), hub.api(hub.bob)
    number = proposed(alice, repo, add("secret.txt", b"a secret\n"))
    alice.update_repo_settings(repo, gated="manual")
    shown = alice.get_discussion_details(repo, number)
    assert shown.diff is not None
    assert "+a secret\n" in shown.diff
    for api in (bob, hub.anonymous()):
        details = api.get_discussion_details(repo, number)
        assert (details.diff, details.title) == (None, shown.title)
    assert bob.create_discussion(repo, title="May I read it?").num == 2
    bob.comment_discussion(repo, number, "May I?")
    for call in (
        lambda: bob.create_pull_request(repo, title="Let me write"),
        lambda: proposed(bob, repo),
        lambda: bob.merge_pull_request(repo, number),
    ):
        with pytest.raises(HfHubHTTPError) as refused:
            call()
        assert refused.value.response.status_code == 403


def test_unknown_numbers_and_bad_texts_are_refused_in_words(hub: HubUnderTest, repo: str) -> None:
    hub.api().create_discussion(repo, title="here")
    target = f"/api/models/{repo}/discussions"
    for number in ("2", "0", "01", "-1", "x", "1.json", "9" * 5000, "%2E%2E"):
        answer = hub.request("GET", f"{target}/{number}")
        assert (answer.status, "not found" in answer.json()["error"]) == (404, True)
        assert hub.request("POST", f"{target}/{number}/merge", token=hub.alice).status == 404
    missing = hub.request("POST", f"{target}/1/comment/abc/hide", token=hub.alice)
    assert (missing.status, missing.json()["error"]) == (404, "Comment abc not found")
    refused = {
        "": [{"title": "ab"}, {"title": "t" * 201}, {"title": 5}, {}, {"title": "\u2028 a \x85"},
             {"title": "abc", "description": 1}, {"title": "abc", "description": "x" * 65_537},
             {"title": "abc", "pullRequest": "yes"}],
        "/1/comment": [{"comment": ""}, {"comment": " \n"}, {"comment": None}, {"comment": []}],
        "/1/title": [{"title": "\0\0\0\0"}],
        "/1/status": [{"status": "merged"}, {"status": ["open"]}, {}],
        "/1/merge": [{}],
    }  # fmt: skip
    for resource, bodies in refused.items():
        for body in bodies:
            answer = hub.request("POST", target + resource, body=body, token=hub.alice)
            assert answer.status in (400, 413), (resource, body)
    for page in ("-1", "x", "1e3", "9" * 10):
        assert hub.request("GET", f"{target}?p={page}").status == 400
    assert len(hub.api().get_discussion_details(repo, 1).events) == 1


def small(path: str, data: bytes = b"x") -> tuple[str, dict[str, str]]:
    return "file", {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}


def raw_commit(
    hub: HubUnderTest,
    repo: str,
    lines: list[tuple[str, Any]],
    *,
    revision: str = "main",
    token: str | None = None,
    create_pr: bool = False,
    header: dict[str, str] | None = None,
) -> Answer:
    """Post a commit of these (key, value) lines, by alice if no other token is given."""
    first = ("header", {"summary": "raw", "description": "", **(header or {})})
    body = b"".join(json.dumps({"key": k, "value": v}).encode() + b"\n" for k, v in [first, *lines])
    target = f"/api/models/{repo}/commit/{revision}" + ("?create_pr=1" if create_pr else "")
    return hub.request("POST", target, body=body, token=token or hub.alice)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["title", "description", "pullRequest", "comment", "content", "status"])
RESOURCES = st.sampled_from(["", "/1/comment", "/1/title", "/1/status", "/2/status", "/2/merge"])


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    resource=RESOURCES,
    body=st.dictionaries(FIELDS, JSON | st.sampled_from(["open", "closed", "a title", True]))
    | st.lists(JSON, max_size=2),
    query=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10),
)
def test_no_body_and_no_query_is_a_server_error(
    hub: HubUnderTest, any_repo: str, resource: str, body: Any, query: str
) -> None:
    target = f"/api/models/{any_repo}/discussions{resource}"
    raw = json.dumps(body).encode()
    posted = hub.request("POST", target, body=raw, token=hub.alice)
    assert posted.status < 500, (resource, body, posted.body)
    listed = hub.request("GET", f"/api/models/{any_repo}/discussions?p={quote(query)}")
    assert listed.status in (200, 400)
    assert hub.request("GET", f"/api/models/{any_repo}/discussions/1?diff=1").status == 200


LINE = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["header", "file", "lfsFile", "deletedFile", "deletedFolder"])
        | JSON,
        "value": st.dictionaries(
            st.sampled_from(["path", "content", "oid", "summary", "description", "parentCommit"]),
            st.sampled_from(["a.txt", "YQ==", "main", "0" * 64, "a" * 7]) | JSON,
        )
        | JSON,
    }
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=st.dictionaries(st.sampled_from(["summary", "description", "parentCommit"]), JSON),
    lines=st.lists(LINE | JSON, max_size=3),
    revision=st.sampled_from(["main", "refs%2Fpr%2F1", "refs%2Fpr%2F2", "refs%2Fpr%2Fx%00"]),
    create_pr=st.booleans(),
)
def test_no_body_of_a_commit_is_a_server_error(
    hub: HubUnderTest,
    any_repo: str,
    first: dict[str, Any],
    lines: list[Any],
    revision: str,
    create_pr: bool,
) -> None:
    sent = [{"key": "header", "value": first}, *lines]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in sent)
    target = f"/api/models/{any_repo}/commit/{revision}" + ("?create_pr=1" if create_pr else "")
    posted = hub.request("POST", target, body=body, token=hub.bob)
    assert posted.status < 500, (target, body, posted.body)
    if posted.status == 200:  # bob is a stranger here: he can only have opened a pull request
        assert create_pr
        number = posted.json()["pullRequestNum"]
        details = hub.request("GET", f"/api/models/{any_repo}/discussions/{number}?diff=1")
        assert details.json()["author"]["name"] == "bob"


@pytest.fixture
def any_repo(hub: HubUnderTest, repo: str) -> str:
    """A repository with a discussion and a draft."""
    hub.api().create_discussion(repo, title="A discussion")
    hub.api().create_pull_request(repo, title="A draft")
    return repo
