"""The folder store: concurrent writers, crashes, and ids that git would give."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.errors import HubError
from hfrun.hub.names import RepoId, checked_path, is_ref_name
from hfrun.hub.refusals import BadPathError, RepoNotFoundError, StaleParentError, TooLargeError
from hfrun.hub.store import disk, repository
from hfrun.hub.store.commit import new_commit
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Delete, Put, changed, folder_ids, lfs_entry, regular_entry
from tests.hfrun.hub import committer

ROLES = ("AUTHOR", "COMMITTER")
MODEL = RepoId(kind="models", namespace="alice", name="m")


@pytest.fixture
def store(tmp_path: Path) -> HubStore:
    return HubStore(open_root(tmp_path / "hub", create=True))


@pytest.fixture
def model(store: HubStore) -> Repository:
    return store.create(MODEL, private=False, author="alice", sdk=None)


def put(repository: Repository, path: str, content: bytes) -> Put:
    return Put(path=path, entry=regular_entry(content, repository.objects.put(content)))


def titles(repository: Repository) -> list[str]:
    return [commit.title for commit in repository.history(repository.head("main"))]


def test_concurrent_commits_with_parent_checks_are_each_in_the_history_once(
    store: HubStore, model: Repository
) -> None:
    processes = [
        subprocess.Popen([sys.executable, committer.__file__, store.root, name, "10"])
        for name in ("p0", "p1")
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(committer.commit_all, [store.root] * 2, ["t0", "t1"], [10] * 2))
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    wanted = {f"{worker}/{i}" for worker in ("p0", "p1", "t0", "t1") for i in range(10)}
    assert sorted(titles(model)) == sorted([*wanted, "initial commit"])


def test_of_many_commits_on_one_parent_exactly_one_is_accepted(model: Repository) -> None:
    head = model.head("main")

    def attempt(i: int) -> bool:
        try:
            model.add_commit(
                branch="main", changes=[], title=str(i), message="", author="a", parent=head
            )
        except StaleParentError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(attempt, range(16)))
    assert sum(accepted) == 1
    assert titles(model) == [str(accepted.index(True)), "initial commit"]


def test_a_failure_before_the_ref_moves_leaves_the_branch_as_it_was(
    model: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.head("main")
    change = put(model, "a.txt", b"a")

    def full(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if "refs" in path.parts:
            raise OSError(28, "No space left on device")
        disk.write_durably(path, data, mode=mode)

    monkeypatch.setattr(repository, "write_durably", full)
    with pytest.raises(OSError, match="No space left"):
        model.add_commit(
            branch="main", changes=[change], title="x", message="", author="a", parent=None
        )
    monkeypatch.undo()
    assert model.head("main") == before
    model.add_commit(
        branch="main", changes=[change], title="y", message="", author="a", parent=before
    )
    assert titles(model) == ["y", "initial commit"]


def test_a_write_that_fails_keeps_the_old_file_and_no_fragment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ref"
    disk.write_durably(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        disk.write_durably(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("ref", b"old")]


def test_equal_files_are_stored_once_and_read_only(store: HubStore, model: Repository) -> None:
    before = len([p for p in store.objects.folder.rglob("*") if p.is_file()])
    digests = {store.objects.put(b"same"), store.objects.put(b"same")}
    assert len(digests) == 1
    path = store.objects.path(digests.pop())
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"same", 0o444)
    after = len([p for p in store.objects.folder.rglob("*") if p.is_file()])
    assert after == before + 1


def test_old_leftovers_are_swept_and_running_uploads_stay(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    with objects.receive(max_bytes=10):
        (objects.incoming / "folder").mkdir()
        (objects.incoming / "file").write_bytes(b"x")
        for name in ("folder", "file"):
            os.utime(objects.incoming / name, (0, 0))
        objects.sweep_abandoned()
        assert len(list(objects.incoming.iterdir())) == 1
    assert list(objects.incoming.iterdir()) == []


def test_a_deleted_repository_is_gone_for_those_who_still_hold_it(
    store: HubStore, model: Repository
) -> None:
    head = model.head("main")
    store.delete(MODEL)
    with pytest.raises(RepoNotFoundError):
        store.open(MODEL)
    with pytest.raises(RepoNotFoundError):
        model.add_commit(branch="main", changes=[], title="x", message="", author="a", parent=head)
    assert list(store.repositories("models")) == []
    assert list(store.objects.incoming.iterdir()) == []


def test_a_folder_that_is_no_hub_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    for create in (True, False):
        with pytest.raises(HubError, match="holds no hub"):
            open_root(tmp_path, create=create)
    assert [p.name for p in tmp_path.iterdir()] == ["diary.txt"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "hub.json").write_text('{"format": 99}')
    with pytest.raises(HubError, match="format 99; needed is 2"):
        open_root(tmp_path / "old", create=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_ids_of_files_and_folders_are_gits_own(tmp_path: Path) -> None:
    # "a.txt", "a" and "a0" show git's order, in which a folder sorts as if it ended with a slash.
    files = {p: p.encode() for p in ("r/a.txt", "r/a/x", "r/a/y/z", "r/a0", "r/ü.txt")}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "r")
    root = git("write-tree")
    tree = {path: regular_entry(content, "") for path, content in files.items()}
    ids = folder_ids(tree)
    assert ids[""] == root
    for folder in ("r", "r/a", "r/a/y"):
        assert ids[folder] == git("rev-parse", f"{root}:{folder}")
    for path, entry in tree.items():
        assert entry.oid == git("rev-parse", f"{root}:{path}")


def test_ids_of_commits_are_gits_own(tmp_path: Path) -> None:
    first = new_commit(
        tree=folder_ids({})[""], parent=None, title="Ü first", message="", author="alice"
    )
    second = new_commit(
        tree=first.tree, parent=first.id, title="a\nb", message="c\n\nd\0", author="Bob"
    )
    assert (second.title, second.message) == ("a", "b\n\nc\n\nd")
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    for commit in (first, second):
        seconds = int(datetime.fromisoformat(commit.date).timestamp())
        who = {"NAME": commit.author, "EMAIL": f"{commit.author}@hub", "DATE": f"{seconds} +0000"}
        parents = ["-p", commit.parent] if commit.parent else []
        # Git knows the empty folder without being told.
        made = subprocess.run(
            ["git", "-C", str(tmp_path), "commit-tree", commit.tree, *parents],
            input=commit.text.encode(),
            env={**os.environ, **{f"GIT_{r}_{k}": v for k, v in who.items() for r in ROLES}},
            check=True,
            capture_output=True,
        )
        assert made.stdout.decode().strip() == commit.id


NAMES = st.text(st.sampled_from("ab/."), min_size=1, max_size=6)


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=12))
def test_accepted_changes_never_leave_a_tree_that_a_checkout_could_not_hold(
    changes: list[tuple[str, bool]],
) -> None:
    tree: dict = {}
    for path, is_put in changes:
        try:
            checked_path(path)
            entry = lfs_entry("0" * 64, 1)
            change = Put(path=path, entry=entry) if is_put else Delete(path=path, folder=False)
            tree = changed(tree, [change])
        except HubError:
            continue
    for path in tree:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert not any(other.startswith(path + "/") for other in tree)


FOLDERS = st.sampled_from(["a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/b/a"])


@given(st.lists(st.tuples(FOLDERS, st.sampled_from(["put", "file", "folder"])), max_size=14))
def test_a_deleted_folder_takes_exactly_the_files_below_it(changes: list[tuple[str, str]]) -> None:
    entry = lfs_entry("0" * 64, 1)
    expected: dict[str, object] | None = {}
    asked: list[Put | Delete] = []
    for path, kind in changes:
        if kind == "put":
            asked.append(Put(path=path, entry=entry))
            expected[path] = entry
            continue
        asked.append(Delete(path=path, folder=kind == "folder"))
        gone = [
            p for p in expected if (p.startswith(f"{path}/") if kind == "folder" else p == path)
        ]
        if not gone:
            expected = None
            break
        expected = {p: e for p, e in expected.items() if p not in gone}
    if expected is None or any(p.startswith(f"{q}/") for p in expected for q in expected):
        with pytest.raises(HubError):
            changed({}, asked)
    else:
        assert changed({}, asked) == expected


def test_a_tree_has_bounds_however_few_files_it_takes_to_reach_them(
    monkeypatch: pytest.MonkeyPatch, model: Repository
) -> None:
    monkeypatch.setattr("hfrun.hub.store.tree.MAX_FOLDERS", 100)
    monkeypatch.setattr("hfrun.hub.store.tree.MAX_FILES", 10)
    monkeypatch.setattr("hfrun.hub.store.tree.MAX_CHARACTERS", 5_000)
    deep = ["/".join([name] * 60) for name in ("a", "b")]
    long = [name * 250 + "/" + name * 250 + "/c" for name in "abcdefg"]
    for paths in (deep, [str(i) for i in range(11)], long):
        added = [Put(path=path, entry=lfs_entry("0" * 64, 1)) for path in paths]
        with pytest.raises(TooLargeError):
            changed({}, added)
        with pytest.raises(TooLargeError):  # a merge or a rewritten history comes this way
            model.write_commit(
                parent=None, title="t", message="", author="alice",
                tree={put.path: put.entry for put in added},
            )  # fmt: skip
    full = changed({}, [Put(path=str(i), entry=lfs_entry("0" * 64, 1)) for i in range(10)])
    swap = [Put(path="new", entry=lfs_entry("0" * 64, 1)), Delete(path="0", folder=False)]
    assert len(changed(full, swap)) == 10


DOT_GITS = (".git", ".GIT", ".git.", ".git ", "git~1", "GIT~1", ".git::$DATA", ".g\u200cit")


@pytest.mark.parametrize("name", [*DOT_GITS, ".git\ufeff"])
def test_no_path_leads_into_the_folder_of_git_on_any_file_system(name: str) -> None:
    for path in (name, f"{name}/hooks/post-checkout", f"a/{name}/config"):
        with pytest.raises(BadPathError):
            checked_path(path)
    for path in (".gitignore", "a.git/b", "git~2"):
        assert checked_path(path) == path


@given(st.text(max_size=20))
def test_accepted_paths_stay_below_the_folder_they_are_joined_to(path: str) -> None:
    try:
        checked_path(path)
    except BadPathError:
        return
    assert os.path.normpath("/root/" + path) == "/root/" + path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize(
    "name",
    ["main", "run/1", "v1.0", "a..b", "a b", "a~1", "/a", "a/", "a//b", ".a", "a/.b", "a.lock",
     "a.lock/b", "a.", "@", "a@{b", "é", "a\\b", "a:b", "a?b", "a*b", "a[b", "x\x01"],
)  # fmt: skip
def test_ref_names_are_those_that_git_accepts(name: str) -> None:
    checked = subprocess.run(["git", "check-ref-format", f"refs/tags/{name}"], check=False)
    # "@" is legal below refs/tags/ but means HEAD wherever a revision is read.
    assert is_ref_name(name) == (checked.returncode == 0 and name != "@")
