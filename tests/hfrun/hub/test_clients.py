"""The unmodified huggingface_hub client against a running hub."""

from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    ModelCard,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hfrun.hub.accounts.tokens import create_token
from tests.hfrun.hub.conftest import HubUnderTest


def test_whoami_names_the_user_the_organisations_and_the_role(hub: HubUnderTest) -> None:
    found = hub.api(hub.alice_reads).whoami()
    assert (found["type"], found["name"]) == ("user", "alice")
    assert [org["name"] for org in found["orgs"]] == ["desk"]
    assert found["auth"]["accessToken"]["role"] == "read"


def test_an_unknown_token_is_refused_even_for_public_repositories(
    hub: HubUnderTest, repo: str
) -> None:
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        hub.api("hf_wrong").whoami()
    with pytest.raises(HfHubHTTPError, match="Invalid credentials in Authorization header"):
        hub.api("hf_wrong").model_info(repo)


def test_an_uploaded_folder_comes_back_byte_for_byte(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    files = {
        "config.json": b'{"a": 1}',
        "empty.txt": b"",
        "model.safetensors": bytes(range(256)) * 5000,
        "deep/er/ünïcode name+%2F.bin": b"\x00\xff" * 70,
    }
    for name, content in files.items():
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    commit = hub.api().upload_folder(repo_id=repo, folder_path=tmp_path / "given")
    folder = Path(
        snapshot_download(
            repo, endpoint=hub.endpoint, token=hub.alice, cache_dir=tmp_path / "cache"
        )
    )
    back = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    del back[".gitattributes"]
    assert back == files
    assert folder.name == commit.oid


def test_weights_travel_as_large_files_and_text_as_regular_ones(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    api.create_commit(
        repo,
        [
            CommitOperationAdd("model.safetensors", b"weights"),
            CommitOperationAdd("notes.txt", b"text"),
        ],
        commit_message="both",
    )
    siblings = {s.rfilename: s for s in api.model_info(repo, files_metadata=True).siblings}
    weights, notes = siblings["model.safetensors"], siblings["notes.txt"]
    # printf weights | sha256sum; and git hash-object of the pointer and of the text.
    sha256 = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert (weights.lfs.sha256, weights.lfs.size, weights.size) == (sha256, 7, 7)
    assert weights.blob_id == "c6a67be4f3ef29ed4a07b4f2446625126a25cfda"
    assert (notes.lfs, notes.blob_id) == (None, "f3a34851d44d6b97c90fbb99dd3d18c261b9a237")


def test_pushing_unchanged_files_again_makes_no_commit_and_sends_no_bytes(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"w" * 1000)
    (tmp_path / "config.json").write_text("{}")
    first = hub.api().upload_folder(repo_id=repo, folder_path=tmp_path)
    second = hub.api().upload_folder(repo_id=repo, folder_path=tmp_path)
    assert second.oid == first.oid
    assert len(hub.api().list_repo_commits(repo)) == 2


def test_history_lists_title_message_author_and_parents_newest_first(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    for word in ("one", "two"):
        api.upload_file(
            path_or_fileobj=word.encode(),
            path_in_repo="word.txt",
            repo_id=repo,
            commit_message=word,
            commit_description=f"<b>{word}</b>",
        )
    history = api.list_repo_commits(repo, formatted=True)
    assert [(c.title, c.message, c.authors) for c in history] == [
        ("two", "<b>two</b>", ["alice"]),
        ("one", "<b>one</b>", ["alice"]),
        ("initial commit", "", ["alice"]),
    ]
    assert history[0].formatted_message == "&lt;b&gt;two&lt;/b&gt;"


def test_long_histories_come_in_pages(hub: HubUnderTest, repo: str) -> None:
    from hfrun.hub.names import RepoId
    from hfrun.hub.store.hub_store import HubStore

    namespace, name = repo.split("/")
    repository = HubStore(hub.root).open(RepoId(kind="models", namespace=namespace, name=name))
    for i in range(105):
        repository.add_commit(
            branch="main", changes=[], title=f"c{i}", message="", author="alice", parent=None
        )
    titles = [c.title for c in hub.api().list_repo_commits(repo)]
    assert titles == [*(f"c{i}" for i in reversed(range(105))), "initial commit"]


def test_a_commit_adds_copies_replaces_and_deletes_in_one_step(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    api.create_commit(
        repo,
        [CommitOperationAdd(p, p.encode()) for p in ("a.txt", "old/b.txt", "old/c.txt", "d.txt")],
        commit_message="before",
    )
    api.create_commit(
        repo,
        [
            CommitOperationDelete("old/"),
            CommitOperationDelete("d.txt"),
            CommitOperationAdd("a.txt", b"new"),
            CommitOperationCopy("a.txt", "copy.txt"),
        ],
        commit_message="after",
    )
    assert api.list_repo_files(repo) == [".gitattributes", "a.txt", "copy.txt"]
    content = {
        name: Path(
            api.hf_hub_download(repo, name, local_dir=hub.root.parent / "copied")
        ).read_text()
        for name in ("a.txt", "copy.txt")
    }
    assert content == {"a.txt": "new", "copy.txt": "a.txt"}  # the copy is of the parent's file


def test_tree_lists_folders_and_files_and_recursion_lists_all(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    paths = ("x.txt", "f/y.txt", "f/g/z.txt")
    api.create_commit(repo, [CommitOperationAdd(p, b"1") for p in paths], commit_message="files")
    assert [i.path for i in api.list_repo_tree(repo)] == [".gitattributes", "f", "x.txt"]
    assert [i.path for i in api.list_repo_tree(repo, "f/g")] == ["f/g/z.txt"]
    assert [i.path for i in api.list_repo_tree(repo, "f", recursive=True)] == [
        "f/g",
        "f/g/z.txt",
        "f/y.txt",
    ]
    infos = api.get_paths_info(repo, ["f", "x.txt", "missing"])
    assert [(type(i).__name__, i.path) for i in infos] == [
        ("RepoFolder", "f"),
        ("RepoFile", "x.txt"),
    ]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(repo, "nowhere"))


def test_branches_and_tags_with_slashes_are_read_and_written_apart(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    api.create_branch(repo, branch="run/1")
    moved = api.upload_file(
        path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo, revision="run/1"
    )
    api.create_tag(repo, tag="v/1.0", revision="run/1")
    refs = api.list_repo_refs(repo)
    main = api.model_info(repo).sha
    assert {b.name: b.target_commit for b in refs.branches} == {"main": main, "run/1": moved.oid}
    assert [(t.ref, t.target_commit) for t in refs.tags] == [("refs/tags/v/1.0", moved.oid)]
    for revision in ("run/1", "v/1.0", "refs/heads/run/1", moved.oid, moved.oid[:7]):
        assert api.model_info(repo, revision=revision).sha == moved.oid
        assert "x.txt" in api.list_repo_files(repo, revision=revision)
    assert "x.txt" not in api.list_repo_files(repo)
    api.delete_tag(repo, tag="v/1.0")
    api.delete_branch(repo, branch="run/1")
    refs = api.list_repo_refs(repo)
    assert ([b.name for b in refs.branches], refs.tags) == (["main"], [])


def test_refs_that_cannot_be_made_or_removed_are_refused_in_the_clients_words(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    api.create_branch(repo, branch="b")
    api.create_tag(repo, tag="t")
    api.create_branch(repo, branch="b", exist_ok=True)
    api.create_tag(repo, tag="t", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match=r"(?s)409.*Reference refs/heads/b already exists"):
        api.create_branch(repo, branch="b")
    with pytest.raises(HfHubHTTPError, match=r"(?s)409.*Reference refs/tags/t already exists"):
        api.create_tag(repo, tag="t")
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*Cannot delete refs/heads/main"):
        api.delete_branch(repo, branch="main")
    for name in ("refs/pr/5", "a..b", "bad name", "x.lock", ".hidden", "a" * 40):
        with pytest.raises(BadRequestError, match="Invalid reference for a tag"):
            api.create_tag(repo, tag=name)
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo, tag="t2", revision="missing")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo, tag="missing")


def test_what_is_missing_raises_the_clients_own_exceptions(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    def download(repo_id: str, name: str, revision: str = "main") -> str:
        return hf_hub_download(
            repo_id,
            name,
            revision=revision,
            endpoint=hub.endpoint,
            token=False,
            cache_dir=tmp_path,
        )

    with pytest.raises(EntryNotFoundError):
        download(repo, "missing.txt")
    with pytest.raises(RevisionNotFoundError):
        download(repo, ".gitattributes", "missing")
    for repo_id in ("alice/missing", "no-such-namespace/x", "without-namespace"):
        for api in (hub.api(), hub.anonymous()):
            with pytest.raises(RepositoryNotFoundError):
                api.model_info(repo_id)
            with pytest.raises(RepositoryNotFoundError):
                api.list_repo_files(repo_id)
        with pytest.raises(RepositoryNotFoundError):
            download(repo_id, "config.json")


def test_private_repositories_look_missing_to_others(hub: HubUnderTest, tmp_path: Path) -> None:
    repo = hub.api().create_repo("alice/private", private=True).repo_id
    assert hub.api(hub.alice_reads).model_info(repo).private is True
    for api in (hub.api(hub.bob), hub.anonymous()):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(repo)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(
                repo,
                ".gitattributes",
                endpoint=hub.endpoint,
                token=api.token,
                cache_dir=tmp_path,
            )
        with pytest.raises(RepositoryNotFoundError):
            api.auth_check(repo)
        assert repo not in [m.id for m in api.list_models()]
    with pytest.raises(RepositoryNotFoundError):
        hub.api(hub.bob).delete_repo(repo)
    assert repo in [m.id for m in hub.api().list_models()]


def test_writing_needs_a_write_token_and_the_namespace(hub: HubUnderTest, repo: str) -> None:
    refused = {hub.alice_reads: "read access", hub.bob: "neither its user nor a member"}
    for token, reason in refused.items():
        api = hub.api(token)
        with pytest.raises(HfHubHTTPError, match=rf"(?s)403.*{reason}"):
            api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)
        with pytest.raises(HfHubHTTPError, match=rf"(?s)403.*{reason}"):
            api.create_repo("alice/not-mine")
        with pytest.raises(HfHubHTTPError, match="403"):
            api.delete_repo(repo)
        with pytest.raises(HfHubHTTPError, match="403"):
            api.create_tag(repo, tag="t")
    with pytest.raises(HfHubHTTPError, match="401"):
        hub.anonymous().upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)
    assert hub.api().list_repo_files(repo) == [".gitattributes"]
    hub.api().auth_check(repo, write=True)


def test_members_of_an_organisation_write_to_it_and_others_do_not(hub: HubUnderTest) -> None:
    repo = hub.api().create_repo("desk/shared", exist_ok=True).repo_id
    hub.api().upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=repo)
    assert hub.anonymous().list_repo_files(repo) == [".gitattributes", "x.txt"]
    with pytest.raises(HfHubHTTPError, match=r"(?s)403.*member"):
        hub.api(hub.bob).create_repo("desk/other")


def test_a_repository_exists_once_in_any_case_of_its_name(hub: HubUnderTest) -> None:
    api = hub.api()
    created = api.create_repo("Alice/CamelCase")
    assert created.repo_id == "alice/CamelCase"
    assert api.model_info("ALICE/camelcase").id == "alice/CamelCase"
    assert api.create_repo("alice/camelCASE", exist_ok=True).repo_id.lower() == "alice/camelcase"
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("alice/camelcase")
    api.delete_repo("alice/camelcase")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("alice/CamelCase")
    api.delete_repo("alice/CamelCase", missing_ok=True)
    assert api.create_repo("camelcase").repo_id == "alice/camelcase"  # the user's own namespace


def test_models_are_found_by_author_text_and_tag_and_listed_in_pages(hub: HubUnderTest) -> None:
    api = hub.api(create_token(hub.root, "lister"))
    for i in range(3):
        card = (
            f"---\ntags: [even]\nlicense: mit\n---\n# {i}"
            if i % 2 == 0
            else "---\ntags: [odd]\n---"
        )
        repo = api.create_repo(f"lister/listed-{i}").repo_id
        api.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repo)
    assert [m.id for m in api.list_models(author="lister")] == [
        f"lister/listed-{i}" for i in (2, 1, 0)
    ]
    assert [m.id for m in api.list_models(search="LISTED-1")] == ["lister/listed-1"]
    found = list(api.list_models(author="lister", filter=["even", "license:mit"]))
    assert [m.id for m in found] == ["lister/listed-2", "lister/listed-0"]
    pages = hub.request("GET", "/api/models?author=lister&limit=2")
    assert [row["id"] for row in pages.json()] == ["lister/listed-2", "lister/listed-1"]
    following = pages.headers["Link"].partition(">")[0].removeprefix(f"<{hub.endpoint}")
    last = hub.request("GET", following)
    assert ([row["id"] for row in last.json()], last.headers["Link"]) == (["lister/listed-0"], None)


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_datasets_and_spaces_go_through_the_same_routes(
    hub: HubUnderTest, kind: str, tmp_path: Path
) -> None:
    api = hub.api()
    sdk = {"space_sdk": "gradio"} if kind == "space" else {}
    created = api.create_repo(f"alice/a-{kind}", repo_type=kind, **sdk)
    assert str(created) == f"{hub.endpoint}/{kind}s/alice/a-{kind}"
    api.upload_file(
        path_or_fileobj=b"bytes",
        path_in_repo="deep/x.bin",
        repo_id=created.repo_id,
        repo_type=kind,
    )
    path = api.hf_hub_download(created.repo_id, "deep/x.bin", repo_type=kind, cache_dir=tmp_path)
    assert Path(path).read_bytes() == b"bytes"
    assert api.repo_info(created.repo_id, repo_type=kind).id == created.repo_id
    assert api.file_exists(created.repo_id, "README.md", repo_type=kind) is (kind == "space")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(created.repo_id)
    find = api.list_datasets if kind == "dataset" else api.list_spaces
    listed = find(search=created.repo_id)
    assert [row.id for row in listed] == [created.repo_id]


def test_a_stale_parent_is_refused_and_changes_nothing(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    seen = api.model_info(repo).sha
    add = CommitOperationAdd("a.txt", b"a")
    first = api.create_commit(repo, [add], commit_message="first", parent_commit=seen)
    late = CommitOperationAdd("b.txt", b"b")
    with pytest.raises(HfHubHTTPError, match=r"(?s)412.*The branch was updated since you opened"):
        api.create_commit(repo, [late], commit_message="late", parent_commit=seen)
    assert api.model_info(repo).sha == first.oid
    assert api.list_repo_files(repo) == [".gitattributes", "a.txt"]
    late = CommitOperationAdd("b.txt", b"b")
    api.create_commit(repo, [late], commit_message="again", parent_commit=first.oid[:10])
    assert api.list_repo_files(repo) == [".gitattributes", "a.txt", "b.txt"]


def test_a_broken_card_is_refused_before_the_commit(hub: HubUnderTest, repo: str) -> None:
    for front_matter in ("a: [1", "- a list", "a: &x [1]\nb: *x"):
        with pytest.raises(ValueError, match=r"Invalid metadata in README.md"):
            hub.api().upload_file(
                path_or_fileobj=f"---\n{front_matter}\n---\n".encode(),
                path_in_repo="README.md",
                repo_id=repo,
            )
    assert hub.api().list_repo_files(repo) == [".gitattributes"]


def test_a_card_that_the_client_writes_is_read_back(hub: HubUnderTest, repo: str) -> None:
    card = ModelCard("---\nlicense: apache-2.0\ntags:\n- order-book\n---\n# Title\n")
    hub.api().upload_file(
        path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id=repo
    )
    info = hub.api().model_info(repo)
    assert info.card_data.license == "apache-2.0"
    assert info.tags == ["order-book", "license:apache-2.0"]
