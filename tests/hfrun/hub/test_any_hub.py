"""All that a hub must answer, asked by unmodified clients; the hub may be any.

By default it is one of ours, on loopback. Another is named by its endpoint and a write token:

    HUB_ENDPOINT=http://... HUB_TOKEN=hf_... pytest tests/hfrun/hub/test_any_hub.py

with a second user's token in HUB_OTHER_TOKEN, where there is one; what needs it is skipped else.
Every repository that is made here is removed at the end.
"""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from tests.hfrun.hub import use_clients
from tests.hfrun.hub.conftest import HubUnderTest

KINDS = {"model": "", "dataset": "datasets/", "space": "spaces/"}
GIGABYTE = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class AnyHub:
    """An endpoint, a user who may write, and perhaps another."""

    endpoint: str
    token: str
    other_token: str | None
    user: str
    new_repo: Callable[..., str]

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.endpoint, token=self.token)

    @property
    def other(self) -> HfApi:
        if self.other_token is None:
            pytest.skip("needs a second user: HUB_OTHER_TOKEN")
        return HfApi(endpoint=self.endpoint, token=self.other_token)

    @property
    def anonymous(self) -> HfApi:
        return HfApi(endpoint=self.endpoint, token=False)

    def raw(self, method: str, address: str, **options: Any) -> httpx2.Response:
        """One request as it is, with the token, following nothing."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        with httpx2.Client(timeout=60) as client:
            return client.request(method, self.endpoint + address, headers=headers, **options)

    def environment(self, home: Path) -> dict[str, str]:
        """Of a user's own process."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUB_"))},
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
        }


@pytest.fixture(scope="module")
def any_hub(request: pytest.FixtureRequest) -> Iterator[AnyHub]:
    if "HUB_ENDPOINT" in os.environ:
        endpoint, token = os.environ["HUB_ENDPOINT"].rstrip("/"), os.environ["HUB_TOKEN"]
        other = os.environ.get("HUB_OTHER_TOKEN")
    else:
        ours: HubUnderTest = request.getfixturevalue("hub")
        endpoint, token, other = ours.endpoint, ours.alice, ours.bob
    api = HfApi(endpoint=endpoint, token=token)
    user, made = api.whoami()["name"], []

    def new_repo(kind: str = "model", **options: Any) -> str:
        name = f"{user}/test-{uuid.uuid4().hex[:12]}"
        made.append((name, kind))
        return api.create_repo(name, repo_type=kind, **options).repo_id

    yield AnyHub(endpoint=endpoint, token=token, other_token=other, user=user, new_repo=new_repo)
    for name, kind in made:
        api.delete_repo(name, repo_type=kind, missing_ok=True)


@pytest.fixture(scope="module")
def model(any_hub: AnyHub) -> str:
    """A model with three commits, a branch and a tag with slashes; only read by the tests."""
    repo = any_hub.new_repo()
    api = any_hub.api
    api.create_commit(
        repo,
        [
            CommitOperationAdd("README.md", b"---\nlicense: mit\ntags: [books]\n---\n# Hello\n"),
            CommitOperationAdd("config.json", b"{}"),
            CommitOperationAdd("folder/deep/note.txt", b"note"),
            CommitOperationAdd("model.safetensors", b"\x00" * 70_000),
        ],
        commit_message="Four files",
        commit_description="and a reason",
    )
    api.create_branch(repo, branch="run/1")
    api.create_tag(repo, tag="v/1", tag_message="first")
    api.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id=repo)
    return repo


# whoami-v2


def test_whoami(any_hub: AnyHub) -> None:
    found = any_hub.raw("GET", "/api/whoami-v2").json()
    assert found["type"] == "user"
    assert {"id", "name", "fullname", "email", "isPro", "orgs", "auth"} <= set(found)
    assert found["auth"]["type"] == "access_token"
    assert found["auth"]["accessToken"]["role"] == "write"
    assert {"displayName", "role"} <= set(found["auth"]["accessToken"])
    bad = httpx2.get(
        any_hub.endpoint + "/api/whoami-v2", headers={"Authorization": "Bearer hf_wrong"}
    )
    wanted = "Invalid credentials in Authorization header"
    assert (bad.status_code, bad.headers["X-Error-Message"]) == (401, wanted)


# repos/create, delete, move, settings, auth-check


@pytest.mark.parametrize("kind", KINDS)
def test_repositories_are_made_once_and_deleted_once(any_hub: AnyHub, kind: str) -> None:
    name = any_hub.new_repo(kind, **({"space_sdk": "static"} if kind == "space" else {}))
    api = any_hub.api
    sdk = {"sdk": "static"} if kind == "space" else {}
    body = {"name": name.split("/")[1], "type": kind, **sdk}
    again = any_hub.raw("POST", "/api/repos/create", json=body)
    assert (again.status_code, again.json()["url"].endswith(name)) == (409, True)
    assert api.repo_exists(name, repo_type=kind)
    files = api.list_repo_files(name, repo_type=kind)
    assert ("README.md" in files) == (kind == "space")
    api.delete_repo(name, repo_type=kind)
    assert not api.repo_exists(name, repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(name, repo_type=kind)


def test_a_moved_repository_answers_by_its_old_name(any_hub: AnyHub, tmp_path: Path) -> None:
    api, old = any_hub.api, any_hub.new_repo()
    api.upload_file(path_or_fileobj=b"kept", path_in_repo="a.txt", repo_id=old)
    taken = any_hub.new_repo()
    new = old + "-moved"
    with pytest.raises(HfHubHTTPError, match=f"A model repository called {taken} already exists"):
        api.move_repo(old, taken)
    api.move_repo(old, new)
    try:
        assert api.model_info(old).id == new
        path = hf_hub_download(
            old, "a.txt", endpoint=any_hub.endpoint, token=any_hub.token, cache_dir=tmp_path
        )
        assert Path(path).read_bytes() == b"kept"
        assert any_hub.raw("GET", f"/api/models/{old}").status_code == 307
    finally:
        api.delete_repo(new)


def test_settings_make_a_repository_private_and_gated(any_hub: AnyHub) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    api.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=repo)
    api.update_repo_settings(repo, private=True)
    assert api.model_info(repo).private is True
    with pytest.raises(RepositoryNotFoundError):
        any_hub.anonymous.model_info(repo)
    api.update_repo_settings(repo, private=False, gated="manual")
    assert any_hub.anonymous.model_info(repo).gated == "manual"
    api.auth_check(repo)
    with pytest.raises(GatedRepoError):
        any_hub.anonymous.auth_check(repo)
    address = f"/{repo}/resolve/main/a.txt"
    refused = httpx2.get(any_hub.endpoint + address)
    assert refused.headers["X-Error-Code"] == "GatedRepo"
    assert any_hub.raw("GET", address).content == b"x"


def test_a_gated_repository_opens_for_those_who_are_let_in(any_hub: AnyHub, tmp_path: Path) -> None:
    other, api, repo = any_hub.other, any_hub.api, any_hub.new_repo()
    api.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id=repo)
    api.update_repo_settings(repo, gated="manual")
    reader = other.whoami()["name"]
    with pytest.raises(GatedRepoError):
        other.hf_hub_download(repo, "a.txt", cache_dir=tmp_path)
    api.grant_access(repo, reader)
    assert [r.username for r in api.list_accepted_access_requests(repo)] == [reader]
    path = other.hf_hub_download(repo, "a.txt", cache_dir=tmp_path)
    assert Path(path).read_bytes() == b"x"
    api.reject_access_request(repo, reader, rejection_reason=None)
    with pytest.raises(GatedRepoError):
        other.auth_check(repo)


# listings and infos


@pytest.mark.parametrize("kind", KINDS)
def test_listings_come_in_pages(any_hub: AnyHub, kind: str) -> None:
    options = {"space_sdk": "static"} if kind == "space" else {}
    made = {any_hub.new_repo(kind, **options) for _ in range(3)}
    address = f"/api/{kind}s?author={any_hub.user}&search=test-&limit=2"
    first = any_hub.raw("GET", address)
    assert len(first.json()) == 2
    assert first.links["next"]["url"].startswith(any_hub.endpoint)
    listed = getattr(any_hub.api, f"list_{kind}s")(author=any_hub.user, search="test-")
    assert made <= {row.id for row in listed}


def test_the_info_of_a_model(any_hub: AnyHub, model: str) -> None:
    found = any_hub.raw("GET", f"/api/models/{model}?blobs=true").json()
    wanted = {"id", "modelId", "author", "sha", "lastModified", "createdAt", "private", "gated"}
    assert wanted | {"disabled", "downloads", "likes", "tags", "siblings"} <= set(found)
    assert len(found["sha"]) == 40
    by_name = {row["rfilename"]: row for row in found["siblings"]}
    assert by_name["config.json"]["size"] == 2
    digest = hashlib.sha256(b"\x00" * 70_000).hexdigest()
    large = by_name["model.safetensors"]["lfs"]
    assert (large["sha256"], large["size"]) == (digest, 70_000)
    assert large["pointerSize"] > 100
    assert {"license:mit", "books"} <= set(found["tags"])
    at_tag = any_hub.api.model_info(model, revision="v/1")
    assert "more.txt" not in {s.rfilename for s in at_tag.siblings}
    pinned = any_hub.api.model_info(model, revision=found["sha"])
    assert pinned.sha == found["sha"]
    upper = any_hub.raw("GET", f"/api/models/{model.upper()}", follow_redirects=True)
    assert upper.json()["id"] == model


# tree, paths-info, refs, commits


def test_trees_and_paths(any_hub: AnyHub, model: str) -> None:
    api = any_hub.api
    top = {item.path: item for item in api.list_repo_tree(model)}
    assert isinstance(top["folder"], RepoFolder)
    assert isinstance(top["config.json"], RepoFile)
    blob = hashlib.sha1(b"blob 2\0{}", usedforsecurity=False).hexdigest()
    assert (top["config.json"].blob_id, top["config.json"].size) == (blob, 2)
    deep = [i.path for i in api.list_repo_tree(model, "folder", recursive=True)]
    assert deep == ["folder/deep", "folder/deep/note.txt"]
    expanded = {i.path: i for i in api.list_repo_tree(model, expand=True)}
    assert expanded["config.json"].last_commit.title == "Four files"
    assert expanded["more.txt"].last_commit.title != "Four files"
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(model, "no-such-folder"))
    infos = api.get_paths_info(model, ["folder", "config.json", "missing"], revision="run/1")
    assert sorted(i.path for i in infos) == ["config.json", "folder"]


def test_refs_and_history(any_hub: AnyHub, model: str) -> None:
    refs = any_hub.api.list_repo_refs(model)
    assert [b.ref for b in refs.branches] == ["refs/heads/main", "refs/heads/run/1"]
    assert [t.name for t in refs.tags] == ["v/1"]
    assert {"branches", "tags", "converts", "pullRequests"} <= set(
        any_hub.raw("GET", f"/api/models/{model}/refs?include_prs=1").json()
    )
    newest, four, first = any_hub.api.list_repo_commits(model)
    assert (four.title, four.message, four.authors) == (
        "Four files",
        "and a reason",
        [any_hub.user],
    )
    assert (first.title, newest.commit_id) == ("initial commit", refs.branches[0].target_commit)
    assert refs.tags[0].target_commit == four.commit_id


def test_branches_and_tags(any_hub: AnyHub) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    start = api.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id=repo).oid
    api.upload_file(path_or_fileobj=b"2", path_in_repo="a", repo_id=repo)
    api.create_branch(repo, branch="b/1", revision=start)
    assert api.model_info(repo, revision="b/1").sha == start
    again = any_hub.raw("POST", f"/api/models/{repo}/branch/b%2F1", json={})
    assert (again.status_code, again.headers["X-Error-Message"]) == (
        409,
        "Reference refs/heads/b/1 already exists",
    )
    api.create_branch(repo, branch="b/1", exist_ok=True)
    api.delete_branch(repo, branch="b/1")
    api.create_tag(repo, tag="t/1", revision=start)
    with pytest.raises(HfHubHTTPError) as twice:
        api.create_tag(repo, tag="t/1")
    assert twice.value.response.status_code == 409
    api.delete_tag(repo, tag="t/1")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="t/1")
    with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
        api.delete_branch(repo, branch="main")
    assert (
        any_hub.raw("POST", f"/api/models/{repo}/tag/main", json={"tag": "a b"}).status_code == 400
    )
    missing = any_hub.raw("GET", f"/api/models/{repo}/revision/nope")
    assert "Invalid rev id" in missing.headers["X-Error-Message"]


# validate-yaml, preupload, lfs, commit


def test_cards_are_checked(any_hub: AnyHub) -> None:
    good = {"content": "---\nlicense: mit\n---\n# Hi\n", "repoType": "model"}
    answer = any_hub.raw("POST", "/api/validate-yaml", json=good)
    assert (answer.status_code, answer.json()["errors"]) == (200, [])
    bad = {"content": "---\nlicense: [\n---\n# Hi\n", "repoType": "model"}
    answer = any_hub.raw("POST", "/api/validate-yaml", json=bad)
    assert (answer.status_code, len(answer.json()["errors"]) > 0) == (400, True)
    repo = any_hub.new_repo()
    any_hub.api.upload_file(
        path_or_fileobj=good["content"].encode(), path_in_repo="README.md", repo_id=repo
    )
    assert any_hub.api.model_info(repo).card_data.license == "mit"


def test_preupload_says_how_each_file_travels(any_hub: AnyHub) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    api.create_commit(
        repo,
        [
            CommitOperationAdd(".gitattributes", b"*.csv filter=lfs diff=lfs merge=lfs -text\n"),
            CommitOperationAdd(".gitignore", b"*.tmp\n"),
            CommitOperationAdd("same.txt", b"same"),
        ],
        commit_message="rules",
    )
    files = [
        {"path": path, "size": size, "sample": ""}
        for path, size in (("big.csv", 300_000_000), ("a.tmp", 3), ("same.txt", 4))
    ]
    answer = any_hub.raw("POST", f"/api/models/{repo}/preupload/main", json={"files": files})
    big, ignored, same = answer.json()["files"]
    assert (big["uploadMode"], ignored["shouldIgnore"], same["shouldIgnore"]) == (
        "lfs",
        True,
        False,
    )
    blob = hashlib.sha1(b"blob 4\0same", usedforsecurity=False).hexdigest()
    assert (same["uploadMode"], same["oid"]) == ("regular", blob)


def test_large_files_go_through_signed_addresses(any_hub: AnyHub) -> None:
    repo, content = any_hub.new_repo(), uuid.uuid4().bytes * 1000
    sha256 = hashlib.sha256(content).hexdigest()
    wanted = {"operation": "upload", "objects": [{"oid": sha256, "size": len(content)}]}
    batch = f"/{repo}.git/info/lfs/objects/batch"
    line = {"path": "a.bin", "algo": "sha256", "oid": sha256, "size": len(content)}
    body = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": line}]
    commit = {"content": "\n".join(map(json.dumps, body)).encode()}
    early = any_hub.raw("POST", f"/api/models/{repo}/commit/main", **commit)
    assert early.status_code == 400
    answer = any_hub.raw("POST", batch, json=wanted).json()
    assert answer["transfer"] == "basic"
    actions = answer["objects"][0]["actions"]
    assert httpx2.put(actions["upload"]["href"], content=content).status_code == 200
    verified = httpx2.post(
        actions["verify"]["href"],
        json=wanted["objects"][0],
        headers={"Authorization": f"Bearer {any_hub.token}"},
    )
    assert verified.status_code == 200
    again = any_hub.raw("POST", batch, json=wanted).json()["objects"][0]
    assert again.get("actions") is None
    made = any_hub.raw("POST", f"/api/models/{repo}/commit/main", **commit).json()
    assert made["success"] is True
    assert len(made["commitOid"]) == 40
    assert made["commitUrl"]
    head = any_hub.raw("HEAD", f"/{repo}/resolve/main/a.bin", follow_redirects=True)
    assert head.headers["X-Linked-Etag"] == f'"{sha256}"'
    assert head.headers["X-Linked-Size"] == str(len(content))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_pushed_and_pulled(any_hub: AnyHub, kind: str, tmp_path: Path) -> None:
    options = {"space_sdk": "static"} if kind == "space" else {}
    repo = any_hub.new_repo(kind, **options)
    files = {"a.txt": b"a", "ü/b c.json": b"{}", "w.bin": os.urandom(200_000), "empty": b""}
    for path, content in files.items():
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(content)
    api = any_hub.api
    api.upload_folder(repo_id=repo, folder_path=tmp_path / "in", repo_type=kind)
    snapshot_download(
        repo,
        repo_type=kind,
        local_dir=tmp_path / "out",
        endpoint=any_hub.endpoint,
        token=any_hub.token,
    )
    assert {p: (tmp_path / "out" / p).read_bytes() for p in files} == files
    before = api.repo_info(repo, repo_type=kind).sha
    api.upload_folder(repo_id=repo, folder_path=tmp_path / "in", repo_type=kind)
    assert api.repo_info(repo, repo_type=kind).sha == before


def test_commits_change_copy_and_delete_and_check_their_parent(any_hub: AnyHub) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    first = api.create_commit(
        repo,
        [
            CommitOperationAdd("f/a.txt", b"a"),
            CommitOperationAdd("f/b.txt", b"b"),
            CommitOperationAdd("w.bin", os.urandom(3000)),
        ],
        commit_message="first",
    )
    api.create_commit(
        repo,
        [CommitOperationDelete("f/"), CommitOperationCopy("w.bin", "copy.bin")],
        commit_message="second",
        parent_commit=first.oid,
    )
    assert set(api.list_repo_files(repo)) == {".gitattributes", "w.bin", "copy.bin"}
    with pytest.raises(HfHubHTTPError, match="The branch was updated since you opened this page"):
        api.create_commit(
            repo,
            [CommitOperationAdd("c.txt", b"c")],
            commit_message="stale",
            parent_commit=first.oid,
        )
    climbing = {"path": "../a", "content": ""}
    body = [{"key": "header", "value": {"summary": "x"}}, {"key": "file", "value": climbing}]
    refused = any_hub.raw(
        "POST",
        f"/api/models/{repo}/commit/main",
        content="\n".join(map(json.dumps, body)).encode(),
    )
    assert refused.status_code == 422


# resolve


def test_files_are_read_whole_and_in_ranges(any_hub: AnyHub, model: str) -> None:
    address, commit = f"/{model}/resolve/run%2F1/config.json", None
    whole = any_hub.raw("GET", address)
    blob = hashlib.sha1(b"blob 2\0{}", usedforsecurity=False).hexdigest()
    assert (whole.content, whole.headers["ETag"]) == (b"{}", f'"{blob}"')
    commit = whole.headers["X-Repo-Commit"]
    assert commit == any_hub.api.model_info(model, revision="run/1").sha
    assert whole.headers["Accept-Ranges"] == "bytes"
    head = any_hub.raw("HEAD", address)
    assert (head.content, head.headers["Content-Length"]) == (b"", "2")
    part = any_hub.raw("GET", address, headers={"Range": "bytes=1-"})
    assert (part.status_code, part.content) == (206, b"}")
    assert part.headers["Content-Range"] == "bytes 1-1/2"
    assert any_hub.raw("GET", address, headers={"Range": "bytes=9-"}).status_code == 416
    missing = any_hub.raw("GET", f"/{model}/resolve/main/missing")
    assert (missing.status_code, missing.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert len(missing.headers["X-Repo-Commit"]) == 40
    assert missing.headers["X-Request-Id"]
    assert "error" in missing.json()


def test_what_is_missing_is_told_in_the_clients_way(any_hub: AnyHub, model: str) -> None:
    api, stranger = any_hub.api, any_hub.anonymous
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(f"{any_hub.user}/no-such-model")
    for call in (stranger.model_info, stranger.list_repo_files):
        with pytest.raises(RepositoryNotFoundError):
            call("no-namespace")
    answer = httpx2.get(any_hub.endpoint + f"/api/models/{any_hub.user}/no-such-model")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (401, "RepoNotFound")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(model, revision="nope")
    assert not api.file_exists(model, "nope.txt")
    assert not api.revision_exists(model, "nope")
    for address in ("xet-read-token/main", "xet-write-token/main"):
        assert any_hub.raw("GET", f"/api/models/{model}/{address}").status_code >= 400
    assert any_hub.raw("GET", "/api/agent-harnesses").status_code == 404


# beyond the table


def test_pull_requests_are_opened_read_merged_and_closed(any_hub: AnyHub, tmp_path: Path) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    api.upload_file(path_or_fileobj=b"old", path_in_repo="a.txt", repo_id=repo)
    opened = api.create_commit(
        repo,
        [CommitOperationAdd("a.txt", b"new"), CommitOperationAdd("w.bin", os.urandom(1000))],
        commit_message="Better",
        create_pr=True,
    )
    assert (opened.pr_num, opened.pr_revision) == (1, "refs/pr/1")
    assert opened.pr_url
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    assert [r.ref for r in refs.pull_requests] == ["refs/pr/1"]
    read = {
        "endpoint": any_hub.endpoint,
        "token": any_hub.token,
        "cache_dir": tmp_path,
        "filename": "a.txt",
    }
    assert Path(hf_hub_download(repo, revision="refs/pr/1", **read)).read_bytes() == b"new"
    assert Path(hf_hub_download(repo, **read)).read_bytes() == b"old"
    details = api.get_discussion_details(repo, 1)
    assert (details.title, details.status, details.is_pull_request) == ("Better", "open", True)
    assert "+new" in details.diff
    api.comment_discussion(repo, 1, comment="good")
    api.merge_pull_request(repo, 1)
    assert api.get_discussion_details(repo, 1).status == "merged"
    assert Path(hf_hub_download(repo, **read)).read_bytes() == b"new"
    second = api.create_pull_request(repo, title="Another")
    api.change_discussion_status(repo, second.num, "closed")
    listed = {d.num: d.status for d in api.get_repo_discussions(repo)}
    assert listed == {1: "merged", 2: "closed"}


def test_history_can_be_squashed(any_hub: AnyHub) -> None:
    api, repo = any_hub.api, any_hub.new_repo()
    for i in range(3):
        api.upload_file(path_or_fileobj=str(i).encode(), path_in_repo="a.txt", repo_id=repo)
    api.super_squash_history(repo, commit_message="All of it")
    assert [c.title for c in api.list_repo_commits(repo)] == ["All of it"]
    assert set(api.list_repo_files(repo)) == {".gitattributes", "a.txt"}


def test_large_files_are_listed(any_hub: AnyHub, model: str) -> None:
    listed = list(any_hub.api.list_lfs_files(model))
    assert [(f.filename, f.size) for f in listed] == [("model.safetensors", 70_000)]
    assert listed[0].file_oid == hashlib.sha256(b"\x00" * 70_000).hexdigest()


# whole programs


@pytest.fixture(scope="module")
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_transformers_datasets_and_evaluate_push_load_and_load_again_offline(
    any_hub: AnyHub, user_home: Path, tmp_path: Path
) -> None:
    model, data = any_hub.new_repo(), any_hub.new_repo("dataset")
    metric = any_hub.new_repo("space", space_sdk="static")
    words = [model, data, metric, str(tmp_path)]
    command = [sys.executable, use_clients.__file__]
    environment = any_hub.environment(user_home)
    done = subprocess.run(
        [*command, "online", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    online = json.loads(done.stdout.splitlines()[-1])
    assert online["largest_difference"] == 0.0
    assert online["rows"] == {"train": [0, 1, 2], "test": [3]}
    assert online["ece"] == pytest.approx(0.1)
    # With an address where nothing listens, only the cache can answer.
    environment |= {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [*command, "offline", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    offline = json.loads(done.stdout.splitlines()[-1])
    assert offline == {"logits": online["logits"], "rows": online["rows"]}


def test_the_hf_command_line(any_hub: AnyHub, user_home: Path, tmp_path: Path) -> None:
    environment = any_hub.environment(user_home)
    hf = Path(sys.executable).with_name("hf")

    def run(*words: str) -> str:
        done = subprocess.run(
            [hf, *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"hf {words}: {done.stdout}{done.stderr}"
        return done.stdout

    repo = any_hub.new_repo()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "weights.bin").write_bytes(os.urandom(50_000))
    assert any_hub.user in run("auth", "whoami")
    run("repos", "create", repo, "--exist-ok")
    run("upload", repo, str(tmp_path / "in"), ".", "--commit-message", "by hand")
    run("repos", "tag", "create", repo, "v1")
    run("download", repo, "--revision", "v1", "--local-dir", str(tmp_path / "out"))
    pulled = (tmp_path / "out" / "weights.bin").read_bytes()
    assert pulled == (tmp_path / "in" / "weights.bin").read_bytes()
    listed = run("models", "ls", "--author", any_hub.user, "--search", repo.split("/")[1], "--json")
    assert [row["id"] for row in json.loads(listed)] == [repo]


@pytest.mark.parametrize("size", [30_000_000, pytest.param(GIGABYTE, marks=pytest.mark.slow)])
def test_a_large_file_is_pushed_and_pulled(any_hub: AnyHub, size: int, tmp_path: Path) -> None:
    repo, content = any_hub.new_repo(), os.urandom(1 << 20)
    with (tmp_path / "in.bin").open("wb") as file:
        for start in range(0, size, len(content)):
            file.write(content[: min(len(content), size - start)])
    any_hub.api.upload_file(
        path_or_fileobj=tmp_path / "in.bin", path_in_repo="w.safetensors", repo_id=repo
    )
    path = hf_hub_download(
        repo,
        "w.safetensors",
        endpoint=any_hub.endpoint,
        token=any_hub.token,
        local_dir=tmp_path / "out",
    )
    with Path(path).open("rb") as pulled, (tmp_path / "in.bin").open("rb") as pushed:
        digests = {hashlib.file_digest(file, "sha256").hexdigest() for file in (pulled, pushed)}
    assert len(digests) == 1
    assert Path(path).stat().st_size == size
