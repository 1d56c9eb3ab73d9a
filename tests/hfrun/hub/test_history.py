"""Squashed and rewritten histories, files deleted for good, and copies inside one hub."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, RepoUrl
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hfrun.hub.names import RepoId
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.rewriting import delete_large_files
from tests.hfrun.hub.conftest import HubUnderTest


def opened(hub: HubUnderTest, repo: str, kind: str = "models") -> Repository:
    namespace, name = repo.split("/")
    return HubStore(hub.root).open(RepoId(kind=kind, namespace=namespace, name=name))


def push(hub: HubUnderTest, repo: str, **files: bytes) -> str:
    """One commit of these files; a double underscore in a name is a dot."""
    adds = [CommitOperationAdd(name.replace("__", "."), data) for name, data in files.items()]
    return hub.api().create_commit(repo, adds, commit_message="+".join(files)).oid


def read(hub: HubUnderTest, repo: str, path: str, revision: str = "main") -> tuple[int, bytes]:
    answer = hub.request("GET", f"/{repo}/resolve/{revision}/{path}", token=hub.alice)
    return answer.status, answer.body


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_squashing_leaves_one_commit_with_the_same_files_and_tags_where_they_were(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    first = push(hub, repo, a__txt=b"1")
    api.create_tag(repo, tag="v1")
    push(hub, repo, a__txt=b"2", w__bin=b"weights")
    tree = [(f.path, f.blob_id) for f in api.list_repo_tree(repo)]
    api.super_squash_history(repo, commit_message="all of it")
    commits = api.list_repo_commits(repo)
    assert [(c.title, c.authors) for c in commits] == [("all of it", ["alice"])]
    assert [(f.path, f.blob_id) for f in api.list_repo_tree(repo)] == tree
    assert api.model_info(repo, revision="v1").sha == first
    assert read(hub, repo, "a.txt", "v1") == (200, b"1")
    api.super_squash_history(repo)
    assert api.list_repo_commits(repo)[0].title == (
        "Super-squash branch 'main' using huggingface_hub"
    )


def test_only_branches_are_squashed_and_only_by_who_may_write(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    push(hub, repo, a__txt=b"1")
    api.create_branch(repo, branch="run/1")
    api.create_tag(repo, tag="v1")
    api.super_squash_history(repo, branch="run/1")
    assert len(api.list_repo_commits(repo, revision="run/1")) == 1
    assert len(api.list_repo_commits(repo)) == 2
    with pytest.raises(BadRequestError, match="Invalid reference for a branch: 'v1'"):
        api.super_squash_history(repo, branch="v1")
    with pytest.raises(BadRequestError, match="Invalid reference for a branch: 'refs/pr/1'"):
        api.super_squash_history(repo, branch="refs/pr/1")
    with pytest.raises(RevisionNotFoundError):
        api.super_squash_history(repo, branch="missing")
    with pytest.raises(HfHubHTTPError, match="403"):
        hub.api(hub.bob).super_squash_history(repo)
    assert len(api.list_repo_commits(repo)) == 2


def test_large_files_of_the_whole_history_are_listed_once_each(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    push(hub, repo, a__bin=b"one", small__txt=b"small")
    push(hub, repo, a__bin=b"two", copy__bin=b"one")
    files = {f.oid: f for f in api.list_lfs_files(repo)}
    assert files.keys() == {sha256(b"one"), sha256(b"two")}
    one = files[sha256(b"one")]
    assert (one.filename, one.size, one.ref, one.file_oid) == (
        "a.bin", 3, "refs/heads/main", one.oid,
    )  # fmt: skip
    assert one.pushed_at == api.list_repo_commits(repo)[1].created_at


def test_a_file_deleted_for_good_leaves_every_history_and_cannot_be_read_again(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    push(hub, repo, keep__txt=b"kept")
    unchanged = api.model_info(repo).sha
    old = push(hub, repo, secret__bin=b"secret", w__bin=b"weights")
    api.create_tag(repo, tag="v1")
    api.create_branch(repo, branch="other")
    push(hub, repo, more__txt=b"more")
    titles = [(c.title, c.created_at) for c in api.list_repo_commits(repo)]
    secret = [f for f in api.list_lfs_files(repo) if f.filename == "secret.bin"]
    api.permanently_delete_lfs_files(repo, secret)
    assert [(c.title, c.created_at) for c in api.list_repo_commits(repo)] == titles
    for revision in ("main", "v1", "other"):
        assert "secret.bin" not in api.list_repo_files(repo, revision=revision)
        assert read(hub, repo, "w.bin", revision) == (200, b"weights")
    assert api.list_repo_commits(repo)[2].commit_id == unchanged  # nothing to rewrite there
    assert [f.filename for f in api.list_lfs_files(repo)] == ["w.bin"]
    assert read(hub, repo, "secret.bin", old)[0] == 404  # by an old id, until it is swept
    push(hub, repo, again__bin=b"secret")  # uploaded anew it is a file like any other
    assert read(hub, repo, "again.bin") == (200, b"secret")


def test_without_rewriting_the_history_stays_and_says_that_the_content_is_gone(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    api = hub.api()
    head = push(hub, repo, w__bin=b"gone", README__md=b"---\nlicense: mit\n---\n")
    other = api.create_repo(f"{repo}-other").repo_id
    push(hub, other, w__bin=b"gone")
    api.permanently_delete_lfs_files(repo, api.list_lfs_files(repo), rewrite_history=False)
    assert api.model_info(repo).sha == head
    assert "w.bin" in api.list_repo_files(repo)
    with pytest.raises(RemoteEntryNotFoundError, match="permanently deleted"):
        api.hf_hub_download(repo, "w.bin", cache_dir=tmp_path)
    assert read(hub, other, "w.bin") == (200, b"gone")  # others keep what is theirs
    assert list(api.list_lfs_files(repo)) == []
    answer = hub.request(
        "POST",
        f"/{repo}.git/info/lfs/objects/batch",
        body={"operation": "upload", "objects": [{"oid": sha256(b"gone"), "size": 4}]},
        token=hub.alice,
    )
    assert "actions" in answer.json()["objects"][0]  # knowing the hash does not bring it back


def test_a_rewriting_that_was_cut_off_is_finished_by_asking_again(
    hub: HubUnderTest, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(hub, repo, w__bin=b"weights")
    hub.api().create_tag(repo, tag="v1")
    repository = opened(hub, repo)

    def killed(self: Repository, kind: str, name: str, commit: str) -> None:
        if kind == "tags":
            raise KeyboardInterrupt
        set_ref(self, kind, name, commit)

    set_ref = Repository.set_ref
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "set_ref", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_large_files(repository, [sha256(b"weights")], rewrite=True)
    assert "w.bin" not in hub.api().list_repo_files(repo)
    assert "w.bin" in hub.api().list_repo_files(repo, revision="v1")
    assert read(hub, repo, "w.bin", "v1")[0] == 404
    delete_large_files(repository, [sha256(b"weights")], rewrite=True)
    assert "w.bin" not in hub.api().list_repo_files(repo, revision="v1")
    assert len(set(opened(hub, repo).refs("tags").values())) == 1


def test_pull_requests_follow_a_rewritten_history_and_merges_stay_merged(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    push(hub, repo, w__bin=b"weights", a__txt=b"a")
    merged, open_ = (
        api.create_commit(
            repo, [CommitOperationAdd(name, b"new")], commit_message=name, create_pr=True
        ).pr_num
        for name in ("merged.txt", "open.txt")
    )
    assert merged is not None
    assert open_ is not None
    api.merge_pull_request(repo, merged)
    api.permanently_delete_lfs_files(repo, api.list_lfs_files(repo))
    api.super_squash_history(repo)
    assert api.get_discussion_details(repo, merged).status == "merged"
    details = api.get_discussion_details(repo, open_)
    assert [e.type for e in details.events if e.type == "commit"] == ["commit"]
    api.merge_pull_request(repo, open_)
    assert set(api.list_repo_files(repo)) == {".gitattributes", "a.txt", "merged.txt", "open.txt"}


def test_files_are_copied_to_another_repository_without_their_bytes(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    push(hub, repo, w__bin=b"weights", s__txt=b"small")
    target = api.create_repo(f"{repo}-target", repo_type="dataset").repo_id
    api.create_commit(
        target,
        [
            CommitOperationCopy(path, f"from/{path}", src_repo_id=repo, src_repo_type="model")
            for path in ("w.bin", "s.txt")
        ],
        commit_message="copy",
        repo_type="dataset",
    )
    assert read(hub, f"datasets/{target}", "from/w.bin") == (200, b"weights")
    assert read(hub, f"datasets/{target}", "from/s.txt") == (200, b"small")
    info = api.get_paths_info(target, ["from/w.bin"], repo_type="dataset")[0]
    assert info.lfs is not None  # it is a large file there too


def lend(hub: HubUnderTest, source: str, target: str, data: bytes, token: str) -> tuple[int, int]:
    """Status, and how many files were refused."""
    answer = hub.request(
        "POST",
        f"/api/models/{source}/lfs-files/duplicate",
        body={
            "target": {"type": "model", "name": target},
            "files": [{"sha256": sha256(data), "xetHash": "x", "filename": "f"}],
        },
        token=token,
    )
    return answer.status, len(answer.json().get("failed", ()))


def test_no_copy_reads_what_its_caller_may_not(hub: HubUnderTest, repo: str) -> None:
    api, bob = hub.api(), hub.api(hub.bob)
    private = api.create_repo(f"{repo}-private", private=True).repo_id
    push(hub, private, w__bin=b"private weights")
    push(hub, repo, w__bin=b"public weights")
    mine = bob.create_repo(f"bob/{repo.split('/')[1]}").repo_id
    assert lend(hub, repo, mine, b"public weights", hub.bob) == (200, 0)
    assert lend(hub, private, mine, b"private weights", hub.bob)[0] == 404
    assert lend(hub, repo, mine, b"private weights", hub.bob) == (200, 1)
    assert lend(hub, repo, private, b"public weights", hub.bob)[0] == 404
    assert lend(hub, repo, mine, b"public weights", hub.alice_reads)[0] == 403
    assert not opened(hub, mine).has_upload(sha256(b"private weights"))
    with pytest.raises(RepositoryNotFoundError):
        bob.duplicate_repo(private, "bob/stolen")
    with pytest.raises(HfHubHTTPError, match="403"):
        bob.duplicate_repo(repo, f"{repo}-by-bob")


def test_a_duplicate_has_history_branches_and_tags_and_not_what_was_deleted(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    push(hub, repo, w__bin=b"weights", gone__bin=b"gone")
    api.create_tag(repo, tag="v1")
    api.create_branch(repo, branch="b")
    push(hub, repo, a__txt=b"a")
    gone = [f for f in api.list_lfs_files(repo) if f.filename == "gone.bin"]
    api.permanently_delete_lfs_files(repo, gone, rewrite_history=False)
    made: RepoUrl = api.duplicate_repo(repo, f"{repo}-twin", private=True)
    assert (made.repo_id, str(made)) == (f"{repo}-twin", f"{hub.endpoint}/{repo}-twin")
    assert api.list_repo_commits(made.repo_id) == api.list_repo_commits(repo)
    assert api.list_repo_refs(made.repo_id) == api.list_repo_refs(repo)
    assert api.model_info(made.repo_id).private is True
    assert read(hub, made.repo_id, "w.bin", "v1") == (200, b"weights")
    assert read(hub, made.repo_id, "gone.bin")[0] == 404
    push(hub, made.repo_id, b__txt=b"b")
    assert not api.file_exists(repo, "b.txt")  # they part from here
    with pytest.raises(HfHubHTTPError, match="409"):
        api.duplicate_repo(repo, f"{repo}-twin")
    assert api.duplicate_repo(repo, f"{repo}-twin", exist_ok=True).repo_id == made.repo_id


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("super-squash/main", {"message": 5}),
        ("lfs-files/batch", {}),
        ("lfs-files/batch", {"deletions": {"sha": ["x"]}}),
        ("lfs-files/batch", {"deletions": {"sha": ["0" * 64] * 1001}}),
        ("lfs-files/batch", {"deletions": {"sha": [], "rewriteHistory": "yes"}}),
        ("lfs-files/duplicate", {"target": "alice/x", "files": []}),
        ("lfs-files/duplicate", {"target": {"type": "kernel", "name": "alice/x"}, "files": []}),
        ("lfs-files/duplicate", {"target": {"name": "../x"}, "files": []}),
        ("lfs-files/duplicate", {"target": {"name": "alice/x"}, "files": [{"sha256": []}]}),
        ("duplicate", {"repository": "alice"}),
        ("duplicate", {"repository": "alice/x", "visibility": []}),
        ("duplicate", {"repository": "alice/../x"}),
    ],
)
def test_bodies_that_make_no_sense_are_refused(
    hub: HubUnderTest, path: str, body: dict[str, object]
) -> None:
    repo = hub.api().create_repo("alice/senseless", exist_ok=True).repo_id
    answer = hub.request("POST", f"/api/models/{repo}/{path}", body=body, token=hub.alice)
    assert answer.status == 400
