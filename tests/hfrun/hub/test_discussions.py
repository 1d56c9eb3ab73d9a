"""The store of discussions: concurrent writers, crashes, merges by path, and diffs."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.hub.discussions import discussion_files
from hfrun.hub.discussions.diff_text import MAX_CHARACTERS, diff_text
from hfrun.hub.discussions.discussion import Discussion, Edit, Event, decoded_discussion
from hfrun.hub.discussions.discussion_files import MAX_EVENTS
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.names import RepoId
from hfrun.hub.refusals import (
    BadRequestError,
    ConflictError,
    DiscussionNotFoundError,
    EntryNotFoundError,
    ForbiddenError,
    RevisionNotFoundError,
)
from hfrun.hub.store import repository
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.three_way import file_changes, merged
from hfrun.hub.store.tree import Delete, Entry, Put, lfs_entry, regular_entry
from tests.hfrun.hub import discusser

MODEL = RepoId(kind="models", namespace="alice", name="m")


@pytest.fixture
def store(tmp_path: Path) -> HubStore:
    return HubStore(open_root(tmp_path / "hub", create=True))


@pytest.fixture
def model(store: HubStore) -> Repository:
    return store.create(MODEL, private=False, author="alice", sdk=None)


def put(model: Repository, path: str, content: bytes) -> Put:
    return Put(path=path, entry=regular_entry(content, model.objects.put(content)))


def propose(model: Repository, path: str, content: bytes = b"x") -> int:
    opened, _ = Discussions(model).open_with_commit(
        target="main",
        changes=[put(model, path, content)],
        title=f"Add {path}",
        message="",
        author="bob",
        parent=None,
    )
    return opened.number


def push(model: Repository, number: int, path: str, content: bytes = b"x") -> None:
    Discussions(model).commit(
        number,
        changes=[put(model, path, content)],
        title=f"Push {path}",
        message="",
        author="bob",
        parent=None,
    )


def titles(model: Repository, ref: str = "main") -> list[str]:
    return [commit.title for commit in model.history(model.head(ref))]


def files(model: Repository, ref: str = "main") -> set[str]:
    return set(model.tree(model.commit(model.head(ref)))) - {".gitattributes"}


# Several writers


def test_processes_share_numbers_lose_no_comment_and_merge_each_pull_request_once(
    store: HubStore, model: Repository
) -> None:
    n = 10
    for number in range(1, n + 1):
        assert propose(model, f"{number}.txt") == number
    command = [sys.executable, discusser.__file__, str(store.root)]
    others = [
        subprocess.Popen(
            [*command, name, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("p0", "p1")
    ]
    for other in others:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    merges = discusser.discuss(store.root, "t0", n)
    for other in others:
        printed, _ = other.communicate(timeout=60)
        assert other.returncode == 0
        merges += [int(number) for number in printed.split()]
    assert sorted(merges) == list(range(1, n + 1))
    found = list(Discussions(model))
    assert [discussion.number for discussion in found] == list(range(4 * n, 0, -1))
    opened = {discussion.title for discussion in found[: 3 * n]}
    assert opened == {f"of {w}, {i}" for w in ("t0", "p0", "p1") for i in range(1, n + 1)}
    comments = {event.text for event in Discussions(model).get(1).events}
    assert comments >= {f"{w} {i}" for w in ("t0", "p0", "p1") for i in range(1, n + 1)}
    wanted = [f"Add {i}.txt (#{i})" for i in range(1, n + 1)]
    assert sorted(titles(model)) == sorted(["initial commit", *wanted])
    assert files(model) == {f"{i}.txt" for i in range(1, n + 1)}


def test_what_is_pushed_while_it_is_merged_is_merged_or_refused(model: Repository) -> None:
    number = propose(model, "a.txt")
    started = threading.Event()

    def push_all() -> int:
        for i in range(1000):
            try:
                push(model, number, f"{i}.txt")
            except ConflictError:
                return i
            started.set()
        raise AssertionError("nothing was refused")

    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(push_all)
        started.wait(timeout=60)
        Discussions(model).merge(number, author="alice")
        n = pushed.result(timeout=60)
    assert n > 0
    assert files(model) == files(model, "refs/pr/1") == {"a.txt", *(f"{i}.txt" for i in range(n))}


# Crashes


class CrashError(BaseException):
    """The machine stops; nothing of ours may catch it."""


def crash_at_write(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Stop before the n-th file is written, counted from 0."""
    real, left = discussion_files.write_durably, [n]

    def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
        if left[0] == 0:
            raise CrashError
        left[0] -= 1
        real(path, data, mode=mode)

    monkeypatch.setattr(discussion_files, "write_durably", write)
    monkeypatch.setattr(repository, "write_durably", write)


def crashes(model: Repository, act: Callable[[], object], n: int) -> bool:
    """Whether the act was stopped at its n-th write; what it left must be sound."""
    with pytest.MonkeyPatch.context() as patch:
        crash_at_write(patch, n)
        try:
            act()
            stopped = False
        except CrashError:
            stopped = True
    for discussion in Discussions(model):
        again = Discussions(model).get(discussion.number)
        assert discussion.status == again.status
        if again.is_pull_request:
            pushed = [event.commit for event in again.events if event.kind == "commit"]
            history = [commit.id for commit in model.history(model.head(again.ref))]
            assert pushed[::-1] == history[: len(pushed)]
            assert history[len(pushed)] == again.base
            assert (again.status == "merged") == (again.merge_commit is not None)
            assert (again.status == "merged") == (
                f"{again.title} (#{again.number})" in titles(model)
            )
    return stopped


@pytest.mark.parametrize("n", range(4))  # tree, commit, ref, discussion
def test_a_crash_while_one_is_opened_leaves_none_and_the_number_free(
    model: Repository, n: int
) -> None:
    assert crashes(model, lambda: propose(model, "a.txt"), n)
    assert list(Discussions(model)) == []
    assert files(model) == set()
    assert propose(model, "b.txt") == 1
    assert files(model, "refs/pr/1") == {"b.txt"}


def test_a_ref_that_a_crash_has_left_is_no_pull_request(model: Repository) -> None:
    propose(model, "a.txt")
    assert crashes(model, lambda: propose(model, "b.txt"), 3)
    assert set(model.refs("pr")) == {"1", "2"}
    with pytest.raises(DiscussionNotFoundError):
        push(model, 2, "c.txt")
    opened = Discussions(model).open(title="a question", text="", author="bob")
    assert (opened.number, set(model.refs("pr"))) == (2, {"1"})
    assert propose(model, "d.txt") == 3


def test_a_commit_whose_event_was_lost_in_a_crash_is_there_all_the_same(model: Repository) -> None:
    number = propose(model, "a.txt")
    assert crashes(model, lambda: push(model, number, "b.txt"), 3)
    assert files(model, "refs/pr/1") == {"a.txt", "b.txt"}
    kinds = [(e.kind, e.commit_title) for e in Discussions(model).get(number).events]
    assert kinds == [("commit", "Add a.txt"), ("commit", "Push b.txt")]
    push(model, number, "c.txt")
    shown = [e.commit_title for e in Discussions(model).get(number).events]
    assert shown == ["Add a.txt", "Push b.txt", "Push c.txt"]


@pytest.mark.parametrize("n", range(6))
def test_a_merge_that_crashed_anywhere_happened_once_or_can_be_done_again(
    model: Repository, n: int
) -> None:
    number = propose(model, "a.txt")
    discussions = Discussions(model)
    other = [put(model, "other.txt", b"")]
    model.add_commit(
        branch="main", changes=other, title="before", message="", author="alice", parent=None
    )

    def merge() -> None:
        discussions.merge(number, author="alice")

    stopped = crashes(model, merge, n)
    assert stopped == (n < 5)  # tree, commit, what is to be merged, branch, that it was
    happened = n >= 4
    assert (discussions.get(number).status == "merged") == happened
    assert files(model) == {"other.txt", *(["a.txt"] if happened else [])}
    model.add_commit(
        branch="main", changes=[], title="after", message="", author="alice", parent=None
    )
    if happened:
        with pytest.raises(ConflictError, match="is merged and takes no changes"):
            merge()
        with pytest.raises(ConflictError, match="was merged, and stays so"):
            discussions.set_status(number, status="open", author="alice")
    else:
        merge()
    assert titles(model).count("Add a.txt (#1)") == 1
    last = discussions.get(number)
    assert (last.status, [e.status for e in last.events if e.status]) == ("merged", ["merged"])
    discussions.comment(number, text="good", author="bob")
    assert [e.status for e in discussions.get(number).events if e.status] == ["merged"]


# What a merge does


def tree(**names: str) -> dict[str, Entry]:
    """Files by name and content."""
    return {
        name.replace("_", "/"): regular_entry(text.encode(), "0" * 64)
        for name, text in names.items()
    }


def test_a_merge_takes_each_file_from_the_side_that_changed_it() -> None:
    base = tree(same="a", ours="a", theirs="a", alike="a", both="a", gone="a", kept="a")
    ours = tree(same="a", ours="b", theirs="a", alike="c", both="b", gone="a", kept="b", new="n")
    theirs = tree(same="a", ours="a", theirs="c", alike="c", both="c", new_file="n")
    result, conflicts = merged(base, ours, theirs)
    assert conflicts == ["both", "kept", "new"]
    wanted = tree(same="a", ours="b", theirs="c", alike="c", both="b", kept="b", new="n")
    assert result == wanted | tree(new_file="n")


TREES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d/e", "d/f"]), st.sampled_from("xyz"), max_size=5
).map(lambda names: {name: regular_entry(c.encode(), "0" * 64) for name, c in names.items()})


@given(TREES, TREES, TREES)
def test_merging_into_the_base_gives_theirs_and_no_order_matters(
    base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]
) -> None:
    assert merged(base, base, theirs) == (theirs, [])
    assert merged(base, ours, base) == (ours, [])
    assert merged(base, ours, ours) == (ours, [])
    one, conflicts = merged(base, ours, theirs)
    other, same_conflicts = merged(base, theirs, ours)
    assert conflicts == same_conflicts
    if not conflicts:
        assert one == other
        assert merged(base, one, theirs) == (one, [])  # again changes nothing


def test_nothing_to_merge_no_branch_and_a_lost_base_are_said_so(model: Repository) -> None:
    discussions = Discussions(model)
    number = propose(model, "a.txt")
    model.add_commit(
        branch="main",
        changes=[put(model, "a.txt", b"x")],
        title="the same",
        message="",
        author="alice",
        parent=None,
    )
    assert discussions.conflicts(number) == []
    with pytest.raises(ConflictError, match=r"Nothing to merge: main has all that pull request 1"):
        discussions.merge(number, author="alice")
    model.add_ref("heads", "dev", model.head("main"))
    opened, _ = discussions.open_with_commit(
        target="refs/heads/dev",
        changes=[put(model, "b.txt", b"y")],
        title="For dev",
        message="",
        author="bob",
        parent=None,
    )
    assert opened.target == "dev"
    model.remove_ref("heads", "dev")
    assert discussions.conflicts(opened.number) is None
    with pytest.raises(RevisionNotFoundError, match="Invalid rev id: dev"):
        discussions.merge(opened.number, author="alice")
    base = discussions.get(number).base
    (model.folder / "commits" / f"{base}.json").unlink()
    assert discussions.conflicts(number) is None
    with pytest.raises(ConflictError, match="The commit that pull request 1 began at is gone"):
        discussions.merge(number, author="alice")


def test_a_squashed_pull_request_and_a_squashed_branch_can_still_be_merged(
    model: Repository,
) -> None:
    number = propose(model, "a.txt")
    push(model, number, "b.txt")
    for kind, name, ref in (("pr", "1", "refs/pr/1"), ("heads", "main", "main")):
        tree = model.tree(model.commit(model.head(ref)))
        squashed = model.write_commit(
            parent=None, title=f"Squash {ref}", message="", author="alice", tree=tree
        )
        model.set_ref(kind, name, squashed.id)
    shown = [event.commit_title for event in Discussions(model).get(number).events]
    assert shown == ["Add a.txt", "Push b.txt", "Squash refs/pr/1"]
    assert [change.path for change in Discussions(model).diff(number)] == ["a.txt", "b.txt"]
    Discussions(model).merge(number, author="alice")
    assert files(model) == {"a.txt", "b.txt"}
    assert titles(model) == ["Add a.txt (#1)", "Squash main"]


def test_a_refused_commit_opens_nothing_and_leaves_no_ref(model: Repository) -> None:
    with pytest.raises(EntryNotFoundError):
        Discussions(model).open_with_commit(
            target="main",
            changes=[Delete(path="missing", folder=False)],
            title="Delete it",
            message="",
            author="bob",
            parent=None,
        )
    assert (list(Discussions(model)), model.refs("pr")) == ([], {})
    with pytest.raises(BadRequestError, match="needed is a branch"):
        Discussions(model).open(
            title="abc", text="", author="bob", is_pull_request=True, target="refs/pr/1"
        )


def test_a_full_discussion_can_still_be_hidden_closed_and_merged(
    model: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discussion_files, "MAX_EVENTS", 5)
    assert MAX_EVENTS > 1000
    discussions, number = Discussions(model), propose(model, "a.txt")
    comments = [discussions.comment(number, text=f"spam {i}", author="mallory") for i in range(4)]
    acts: list[Callable[[], Any]] = [
        lambda: discussions.comment(number, text="more", author="mallory"),
        lambda: discussions.rename(number, title="spam", author="mallory"),
        lambda: discussions.set_status(number, status="closed", author="alice", text="why"),
    ]
    for act in acts:
        with pytest.raises(ConflictError, match="is full"):
            act()
    discussions.hide(number, comments[0].id, author="alice")
    with pytest.raises(ForbiddenError, match="hidden"):
        discussions.edit(number, comments[0].id, text="again", author="mallory")
    assert discussions.merge(number, author="alice").status == "merged"
    other = discussions.open(title="another", text="", author="bob").number
    for i in range(5):
        discussions.comment(other, text=f"spam {i}", author="mallory")
    assert discussions.set_status(other, status="closed", author="alice").status == "closed"


def test_all_discussions_together_have_a_bound_and_room_can_be_made(
    model: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    discussions = Discussions(model)
    number = discussions.open(title="long", text="", author="mallory").number
    spam = [discussions.comment(number, text="x" * 3000, author="mallory") for _ in range(3)]
    monkeypatch.setattr(discussion_files, "MAX_ALL_BYTES", 8_000)
    with pytest.raises(ConflictError, match="more than 8000 bytes"):
        discussions.comment(number, text="more", author="mallory")
    with pytest.raises(ConflictError, match="more than 8000 bytes"):
        discussions.open(title="another", text="", author="mallory")
    discussions.hide(number, spam[0].id, author="alice")
    assert discussions.open(title="another", text="", author="bob").number == number + 1


def test_discussions_are_read_one_at_a_time(
    model: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    discussions = Discussions(model)
    for i in range(3):
        discussions.open(title=f"number {i}", text="", author="bob")
    read: list[int] = []
    whole = discussion_files.DiscussionFiles.read

    def noted(files: discussion_files.DiscussionFiles, number: int) -> Discussion | None:
        read.append(number)
        return whole(files, number)

    monkeypatch.setattr(discussion_files.DiscussionFiles, "read", noted)
    assert [(d.number, len(read)) for d in discussions] == [(3, 1), (2, 2), (1, 3)]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS = st.builds(
    Event,
    id=WORDS,
    kind=WORDS,
    author=WORDS,
    created_at=WORDS,
    text=WORDS,
    status=WORDS,
    edits=st.lists(st.builds(Edit, text=WORDS, author=WORDS, date=WORDS), max_size=2).map(tuple),
)


@given(
    st.builds(
        Discussion,
        number=st.integers(1, 10**9),
        title=WORDS,
        author=WORDS,
        status=WORDS,
        is_pull_request=st.booleans(),
        created_at=WORDS,
        events=st.lists(EVENTS, max_size=3).map(tuple),
        base=st.none() | WORDS,
    )
)
def test_what_is_written_of_a_discussion_is_read_again(discussion: Discussion) -> None:
    assert decoded_discussion(discussion.encoded()) == discussion


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"events": [1]}', b'{"events": [], "x": 1}'])
def test_damaged_files_are_told_from_discussions(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a discussion|Expecting value"):
        decoded_discussion(data)


# Diffs


LINES = st.lists(
    st.sampled_from(["a", "b", "c", "", "- d", "\x0b e\r", "é\u2028"]), max_size=30
).map("\n".join)
CONTENTS = st.builds(
    lambda text, end: text + end if text else text, LINES, st.sampled_from(["", "\n"])
)
PAIRS = st.tuples(CONTENTS | st.none(), CONTENTS | st.none())


@settings(max_examples=4, deadline=None)
@given(pairs=st.lists(PAIRS, min_size=40, max_size=40))
def test_git_applies_a_diff_and_gets_the_files(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str | None, str | None]]
) -> None:
    """Reference: git apply, on forty files at a time."""
    folder = tmp_path_factory.mktemp("diff")
    objects = ObjectStore(folder)
    names = [f'{"deep/" * (i % 3)}a "b" ünï {i}.txt' for i in range(len(pairs))]
    old, new = (
        {
            name: pair[side].encode()
            for name, pair in zip(names, pairs, strict=True)
            if pair[side] is not None
        }  # type: ignore[union-attr]
        for side in (0, 1)
    )
    work = folder / "work"
    for name, data in old.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    changes = file_changes(entries(objects, old), entries(objects, new))
    text = diff_text(objects, changes)
    work.mkdir(exist_ok=True)
    command = ["git", "apply", "--allow-empty", "--whitespace=nowarn", "-"]
    # Without the ceiling, git would look for a repository above.
    ceiling = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder)}
    subprocess.run(command, cwd=work, input=text.encode(), check=True, env=ceiling)
    found = {str(p.relative_to(work)): p.read_bytes() for p in work.rglob("*") if p.is_file()}
    assert found == new


def entries(objects: ObjectStore, contents: dict[str, bytes]) -> dict[str, Entry]:
    return {name: regular_entry(data, objects.put(data)) for name, data in contents.items()}


def test_a_diff_shows_pointers_of_large_files_and_only_names_what_is_no_text(
    tmp_path: Path,
) -> None:
    objects = ObjectStore(tmp_path)
    before = entries(objects, {"a.bin": b"\xff\xfe", "b.txt": b"one\ntwo", "c.txt": b"\0"})
    after = {
        **entries(objects, {"a.bin": b"\xff", "b.txt": b"one\n2\n"}),
        "w": lfs_entry("e" * 64, 7),
    }
    ids = {name: entry.oid for name, entry in {**before, **after}.items()}
    assert diff_text(objects, file_changes(before, after)) == (
        "diff --git a/a.bin b/a.bin\n"
        f"index {before['a.bin'].oid}..{ids['a.bin']} 100644\n"
        "Binary files a/a.bin and b/a.bin differ\n"
        "diff --git a/b.txt b/b.txt\n"
        f"index {before['b.txt'].oid}..{ids['b.txt']} 100644\n"
        "--- a/b.txt\n"
        "+++ b/b.txt\n"
        "@@ -1,2 +1,2 @@\n"
        " one\n"
        "-two\n"
        "\\ No newline at end of file\n"
        "+2\n"
        "diff --git a/c.txt b/c.txt\n"
        "deleted file mode 100644\n"
        f"index {ids['c.txt']}..{'0' * 40}\n"
        "Binary files a/c.txt and b/c.txt differ\n"
        "diff --git a/w b/w\n"
        "new file mode 100644\n"
        f"index {'0' * 40}..{ids['w']}\n"
        "--- /dev/null\n"
        "+++ b/w\n"
        "@@ -0,0 +1,3 @@\n"
        "+version https://git-lfs.github.com/spec/v1\n"
        f"+oid sha256:{'e' * 64}\n"
        "+size 7\n"
    )


def test_a_diff_has_a_limit_however_much_changed(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    entry = entries(objects, {"x": b"line of a file\n" * 20_000})["x"]
    after = {f"{i:05}.txt": entry for i in range(20_000)}
    text = diff_text(objects, file_changes({}, after))
    assert text.count("+line of a file\n") == 60_000  # the first three are within the limit
    assert len(text) < MAX_CHARACTERS + 1000
    assert text.endswith(" more files\n")
    # Lines that are alike in both take no time; what differs widely is replaced as a whole.
    old = b"".join(b"%d\n" % i for i in range(60_000))
    new = old.replace(b"30000\n", b"changed\n")
    shown = diff_text(
        objects, file_changes(entries(objects, {"f": old}), entries(objects, {"f": new}))
    )
    assert "@@ -29998,7 +29998,7 @@\n" in shown
    assert shown.count("\n") == 13
    other = b"".join(b"%d\n" % (i * 7 % 2000) for i in range(2000))
    much = diff_text(
        objects, file_changes(entries(objects, {"f": old}), entries(objects, {"f": other}))
    )
    assert much.count("\n+") == 2000  # the first line is alike
