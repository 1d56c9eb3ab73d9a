"""Folders, files and history at a revision: the last commit of each path, pages, refs."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from dulwich.objects import Blob, Tree
from dulwich.repo import MemoryRepo
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfFileSystem
from huggingface_hub.errors import BadRequestError, EntryNotFoundError, HfHubHTTPError
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.hub.names import RepoId
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.path_history import history_of_paths
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Delete, Put, folders, lfs_entry, regular_entry
from tests.hfrun.hub.conftest import Answer, HubUnderTest


def commit(
    repository: Repository, puts: Mapping[str, bytes], deletes: tuple[str, ...] = ()
) -> Commit:
    """One commit of small files on main."""
    objects = repository.objects
    changes = [
        *(Put(path=p, entry=regular_entry(d, objects.put(d))) for p, d in puts.items()),
        *(Delete(path=p, folder=False) for p in deletes),
    ]
    return repository.add_commit(
        branch="main", changes=changes, title="t", message="", author="alice", parent=None
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> HubStore:
    return HubStore(tmp_path_factory.mktemp("store"))


_PATHS = ("a", "f/b", "f/c", "f/g/d", "h/e")
_STEPS = st.lists(
    st.dictionaries(st.sampled_from(_PATHS), st.sampled_from([b"0", b"1", None]), max_size=3),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=20)
@given(steps=_STEPS)
def test_the_last_commit_of_a_path_is_the_newest_that_changed_it(
    store: HubStore, steps: list[dict[str, bytes | None]]
) -> None:
    name = f"m{len(list(store.repositories('models')))}"
    repo_id = RepoId(kind="models", namespace="alice", name=name)
    repository = store.create(repo_id, private=False, author="alice", sdk=None)
    for step in steps:
        there = repository.tree(repository.commit(repository.head("main")))
        puts = {p: data for p, data in step.items() if data is not None}
        commit(repository, puts, tuple(p for p, d in step.items() if d is None and p in there))
    head = repository.commit(repository.head("main"))
    history = list(repository.history(head.id))
    content = [{p: e.oid for p, e in repository.tree(c).items()} for c in history] + [{}]

    def below(files: dict[str, str], path: str) -> dict[str, str]:
        return {p: oid for p, oid in files.items() if p == path or p.startswith(f"{path}/")}

    expected = {
        path: next(
            c.id
            for c, new, old in zip(history, content, content[1:], strict=False)
            if below(new, path) != below(old, path)
        )
        for path in (*content[0], *folders(content[0]))
    }
    found = history_of_paths(repository, head)
    assert {path: c.id for path, c in found.items()} == expected
    assert history_of_paths(repository, head) is found  # walked once


def test_the_tree_of_a_commit_is_gits_own(store: HubStore) -> None:
    repo_id = RepoId(kind="models", namespace="alice", name="git")
    repository = store.create(repo_id, private=False, author="alice", sdk=None)
    made = commit(repository, {"f/b": b"b", "f-g": b"-", "f.g": b".", "a": b"a"})
    git = MemoryRepo()
    entries = repository.tree(made)
    inner, outer = Tree(), Tree()
    for path, entry in entries.items():
        blob = Blob.from_string(repository.content(entry).read_bytes())
        git.object_store.add_object(blob)
        folder, _, name = path.rpartition("/")
        (inner if folder else outer).add(name.encode(), 0o100644, blob.id)
    outer.add(b"f", 0o40000, inner.id)
    assert made.tree == outer.id.decode()


def test_expanding_tells_the_last_commit_of_files_and_folders(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    first = api.create_commit(
        repo, [CommitOperationAdd(p, b"1") for p in ("f/x", "f/y")], commit_message="first"
    )
    second = api.create_commit(repo, [CommitOperationDelete("f/y")], commit_message="second")
    items = {i.path: i.last_commit for i in api.list_repo_tree(repo, recursive=True, expand=True)}
    assert {path: (c.oid, c.title) for path, c in items.items() if path != ".gitattributes"} == {
        "f": (second.oid, "second"),  # a file of it was deleted
        "f/x": (first.oid, "first"),
    }
    assert items[".gitattributes"].title == "initial commit"
    infos = api.get_paths_info(repo, ["f", "f/x"], expand=True)
    assert [i.last_commit.oid for i in infos] == [second.oid, first.oid]
    assert infos[0].tree_id == api.get_paths_info(repo, "f/")[0].tree_id
    assert infos[0].last_commit.date == api.list_repo_commits(repo)[0].created_at
    assert [i.last_commit for i in api.list_repo_tree(repo)] == [None, None]


def pages(hub: HubUnderTest, target: str) -> list[Answer]:
    """A listing and all that follow it."""
    found = [hub.request("GET", target)]
    while (link := found[-1].headers["Link"]) is not None:
        following = link.partition(">")[0].removeprefix(f"<{hub.endpoint}")
        found.append(hub.request("GET", following))
    return found


@pytest.mark.parametrize("query", ["recursive=true", "recursive=false", "expand=true&limit=2"])
@pytest.mark.parametrize("folder", ["", "f", "f/g"])
def test_pages_of_a_tree_are_the_whole_tree_in_order(
    hub: HubUnderTest, query: str, folder: str
) -> None:
    repo = hub.api().create_repo("alice/paged", exist_ok=True).repo_id
    paths = ("f/a", "f/g/1", "f/g/2", "f/g/ü", "f-", "f0", "fa/x", "z")
    repository = HubStore(hub.root).find("models", "alice", "paged")
    if len(repository.tree(repository.commit(repository.head("main")))) == 1:
        commit(repository, dict.fromkeys(paths, b"1"))
    target = f"/api/models/{repo}/tree/main/{quote(folder)}".rstrip("/")
    whole = hub.request("GET", f"{target}?{query.replace('&limit=2', '')}").json()
    paged = pages(hub, f"{target}?{query.replace('&limit=2', '')}&limit=2")
    assert [len(page.json()) for page in paged[:-1]] == [2] * (len(paged) - 1)
    assert [row for page in paged for row in page.json()] == whole
    every = {*paths, ".gitattributes", "f", "f/g", "fa"}
    inside = {p for p in every if p.startswith(f"{folder}/") or not folder}
    if "recursive=true" not in query:
        inside = {p for p in inside if "/" not in p.removeprefix(folder).strip("/")}
    assert [row["path"] for row in whole] == sorted(inside)


def test_a_tree_of_many_files_takes_more_pages_only_beyond_its_limit(
    hub: HubUnderTest, repo: str
) -> None:
    repository = HubStore(hub.root).find("models", *repo.split("/"))
    commit(repository, {f"many/{i:05}": b"1" for i in range(1100)})
    api = hub.api()
    plain = f"/api/models/{repo}/tree/main?recursive=true"
    assert [len(p.json()) for p in pages(hub, plain)] == [1102]
    assert [len(p.json()) for p in pages(hub, f"{plain}&expand=true")] == [1000, 102]
    assert len(list(api.list_repo_tree(repo, recursive=True, expand=True))) == 1102
    files = HfFileSystem(endpoint=hub.endpoint, token=hub.alice)
    assert len(files.ls(f"{repo}/many", detail=False)) == 1100


def test_files_and_missing_folders_have_no_tree(hub: HubUnderTest, repo: str) -> None:
    for path in (".gitattributes", "missing", "a/b"):
        with pytest.raises(EntryNotFoundError):
            list(hub.api().list_repo_tree(repo, path))
    answer = hub.request("GET", f"/api/models/{repo}/tree/main/missing")
    assert answer.headers["X-Repo-Commit"] == hub.api().model_info(repo).sha


def test_history_comes_in_pages_that_stay_while_commits_are_added(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    for i in range(4):
        api.create_commit(repo, [CommitOperationAdd("a", b"%d" % i)], commit_message=f"c{i}")
    first = hub.request("GET", f"/api/models/{repo}/commits/main?limit=2&expand[]=formatted")
    assert [(c["title"], c["formatted"]["title"]) for c in first.json()] == [
        ("c3", "c3"),
        ("c2", "c2"),
    ]
    api.create_commit(repo, [CommitOperationAdd("a", b"new")], commit_message="new")
    following = first.headers["Link"].partition(">")[0].removeprefix(f"<{hub.endpoint}")
    titles = [c["title"] for page in pages(hub, following) for c in page.json()]
    assert titles == ["c1", "c0", "initial commit"]
    assert "formatted" not in hub.request("GET", f"/api/models/{repo}/commits/main").json()[0]


def test_a_branch_can_begin_anywhere_and_an_empty_one_at_nothing(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    first = api.model_info(repo).sha
    api.create_commit(repo, [CommitOperationAdd("a", b"1")], commit_message="a")
    api.create_tag(repo, tag="v1", revision=first[:8], tag_message="The first.")
    for start in (first, first[:7], "v1", "refs/tags/v1"):
        name = f"from-{start.replace('/', '-')}"
        api.create_branch(repo, branch=name, revision=start)
        assert api.model_info(repo, revision=name).sha == first
    target = f"/api/models/{repo}/branch/empty"
    assert hub.request("POST", target, body={"emptyBranch": True}, token=hub.alice).status == 200
    assert api.list_repo_files(repo, revision="empty") == []
    api.create_commit(repo, [CommitOperationAdd("b", b"1")], commit_message="b", revision="empty")
    assert api.list_repo_files(repo, revision="empty") == ["b"]


def test_refs_of_pull_requests_are_listed_where_they_are_asked_for(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    repository = HubStore(hub.root).find("models", *repo.split("/"))
    head = repository.head("main")
    for number in (2, 10, 1):
        repository.set_ref("pr", str(number), head)
    assert api.list_repo_refs(repo).pull_requests is None
    found = api.list_repo_refs(repo, include_pull_requests=True)
    assert [r.ref for r in found.pull_requests or ()] == [f"refs/pr/{n}" for n in (1, 2, 10)]
    assert found.converts == []
    raw = hub.request("GET", f"/api/models/{repo}/refs").json()
    assert (raw["pullRequests"], len(raw["branches"])) == ([], 1)


def test_no_ref_is_a_folder_of_another(hub: HubUnderTest, repo: str) -> None:
    api = hub.api()
    api.create_branch(repo, branch="run/1")
    with pytest.raises(BadRequestError, match="Invalid reference for a branch: 'run', since 'run"):
        api.create_branch(repo, branch="run")
    with pytest.raises(BadRequestError, match="Invalid reference for a branch: 'run/1/x', since"):
        api.create_branch(repo, branch="run/1/x")
    api.create_tag(repo, tag="run")  # tags are apart from branches
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(repo, branch="run/1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("branch/x", {"startingPoint": 5}),
        ("branch/x", {"emptyBranch": "yes"}),
        ("branch/x", {"emptyBranch": True, "startingPoint": "main"}),
        ("tag/main", {}),
        ("tag/main", {"tag": ["v1"]}),
        ("tag/main", {"tag": "v1", "message": 5}),
        ("tag/main", {"tag": "\ud800"}),
        ("paths-info/main", {"paths": [5]}),
        ("paths-info/main", ["a"]),
    ],
)
def test_bodies_that_make_no_sense_are_refused(
    hub: HubUnderTest, path: str, body: dict[str, object]
) -> None:
    repo = hub.api().create_repo("alice/no-sense", exist_ok=True).repo_id
    answer = hub.request("POST", f"/api/models/{repo}/{path}", body=body, token=hub.alice)
    assert answer.status == 400


def test_paths_are_asked_for_as_a_form_or_as_json(hub: HubUnderTest, repo: str) -> None:
    target = f"/api/models/{repo}/paths-info/main"
    form = urlencode([("paths", ".gitattributes"), ("paths", "x"), ("expand", "true")]).encode()
    by_form = hub.request("POST", target, body=form).json()
    by_json = hub.request("POST", target, body={"paths": [".gitattributes", "x"], "expand": True})
    assert by_form == by_json.json()
    assert [row["lastCommit"]["title"] for row in by_form] == ["initial commit"]
    many = urlencode([("paths", "x")] * 20_000).encode()
    assert hub.request("POST", target, body=many).status == 400


def test_large_files_are_named_for_copies_to_writers_alone(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    repository = HubStore(hub.root).find("models", *repo.split("/"))
    sha256 = repository.objects.put(b"weights")
    repository.add_commit(
        branch="main",
        changes=[Put(path="w.bin", entry=lfs_entry(sha256, 7))],
        title="w",
        message="",
        author="alice",
        parent=None,
    )
    target = f"/api/models/{repo}/paths-info/main"
    rows = {
        token: hub.request("POST", target, body=b"paths=w.bin", token=token).json()[0]
        for token in (hub.alice, hub.alice_reads, None)
    }
    assert {token: row.get("xetHash") for token, row in rows.items()} == {
        hub.alice: sha256,
        hub.alice_reads: None,
        None: None,
    }
    assert "xetHash" not in json.dumps(hub.request("GET", f"/api/models/{repo}/tree/main").json())
