"""Which files are large, which are left out, and how each of them travels to the hub."""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, constants

from hfrun.hub.refusals import BadRequestError
from hfrun.hub.store.path_rules import PathRules
from hfrun.hub.store.tree import git_id
from hfrun.hub.store.upload_mode import (
    GITATTRIBUTES,
    REGULAR_MAX_BYTES,
    is_large,
    travels_in_commit,
)
from tests.hfrun.hub.conftest import HubUnderTest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
FREE_OF_SETTINGS = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def rules_of(files: dict[str, str], gitignore: str | None = None) -> PathRules:
    return PathRules(lambda path: files.get(path, ""), gitignore=gitignore)


def test_large_files_are_those_of_the_default_patterns_or_of_their_size() -> None:
    rules = rules_of({".gitattributes": GITATTRIBUTES})
    large = ["m.safetensors", "a/b/c.pt", "x.tar.gz", "saved_model/1/variables",
             "events.tfevents.1"]  # fmt: skip
    regular = ["config.json", "README.md", "safetensors", "m.safetensors.index.json"]
    assert [is_large(path, 5, rules) for path in large] == [True] * len(large)
    assert [is_large(path, 5, rules) for path in regular] == [False] * len(regular)
    assert is_large("config.json", REGULAR_MAX_BYTES + 1, rules)
    assert not is_large("m.safetensors", 0, rules)  # clients send empty files as regular


@pytest.mark.parametrize(
    ("text", "path", "large"),
    [
        ("*.x filter=lfs", "a/b.x", True),
        ("/a/*.x filter=lfs", "a/b.x", True),
        ("a/*.x filter=lfs", "a/c/b.x", False),
        ("a/** filter=lfs", "a/c/b.x", True),
        ("a filter=lfs", "a/b.x", False),  # a folder's attributes are not its files'
        ("**/b.? filter=lfs", "b.x", True),
        ("*.x filter=lfs\n*.x !filter", "b.x", False),
        ("*.x filter=lfs -text filter=other", "b.x", False),
        ("!*.x filter=lfs", "b.x", False),
        ("# *.x filter=lfs", "b.x", False),
        ("*.x text", "b.x", False),
        ('"my file.x" filter=lfs', "my file.x", True),
        ("my[[:space:]]file.x filter=lfs", "my file.x", True),  # as git lfs track writes it
        ("[attr]big filter=lfs -text\n*.x big", "b.x", True),
        ("[a-", "b.x", False),
        ("", "b.x", False),
    ],
)
def test_patterns_of_gitattributes_mean_what_they_mean_to_git(
    text: str, path: str, large: bool, tmp_path: Path
) -> None:
    assert rules_of({".gitattributes": text}).is_lfs(path) is large
    if shutil.which("git"):
        (tmp_path / ".gitattributes").write_text(text + "\n")
        subprocess.run(["git", "-C", tmp_path, "init", "-q"], check=True)
        asked = ["git", "-C", str(tmp_path), "check-attr", "filter", "--", path]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        assert said.rstrip().endswith(": lfs") is large


def test_the_file_of_rules_that_is_nearest_has_the_last_word() -> None:
    rules = rules_of(
        {
            ".gitattributes": "*.x filter=lfs\n",
            "a/.gitattributes": "*.x -filter\nb/*.y filter=lfs\n",
            "a/b/.gitattributes": "/c.x filter=lfs\n",
        }
    )
    paths = {"c.x": True, "a/c.x": False, "a/b/c.x": True, "a/b/d.x": False, "a/b/c.y": True}
    assert {path: rules.is_lfs(path) for path in paths} == paths


def test_ignored_folders_hide_what_lies_in_them() -> None:
    files = {".gitignore": "*.tmp\nlogs/\n!logs/keep.txt\n!kept.tmp\n", "a/.gitignore": "!b.tmp\n"}
    paths = {"x.tmp": True, "kept.tmp": False, "logs/keep.txt": True, "logs": False,
             "a/b.tmp": False, "a/c.tmp": True, "a/logs/d": True}  # fmt: skip
    assert {path: rules_of(files).is_ignored(path) for path in paths} == paths
    brought = rules_of(files, gitignore="*.log\n")  # in place of the root's own
    assert [brought.is_ignored(path) for path in ("x.tmp", "x.log", "a/c.tmp")] == [
        False, True, False,
    ]  # fmt: skip


def patterns(rng: random.Random) -> str:
    """A pattern, without the runs of * and of / that git's own manual leaves open."""
    letters = ["a", "b", "*", "**", "/", "?", "[ab]", "[!a]", ".x", "\\*", "#"]
    while True:
        found = "".join(rng.choices(letters, [6, 4, 5, 3, 6, 1, 1, 1, 3, 0.3, 0.2], k=4))
        if not re.search(r"\*\*\*|[^/]\*\*|\*\*[^/]|//", found):
            return found


@needs_git
@pytest.mark.parametrize("seed", range(12))
def test_rules_say_of_any_path_what_git_says(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    files: dict[str, str] = {}
    for folder in ("", "a/", "a/b/"):
        ignores = [rng.choice(["", "", "!"]) + patterns(rng) for _ in range(3)]
        attributes = [f"{patterns(rng)} {rng.choice(['filter=lfs', '-filter'])}" for _ in range(3)]
        files[folder + ".gitignore"] = "\n".join(ignores) + "\n"
        files[folder + ".gitattributes"] = "\n".join(attributes) + "\n"
    subprocess.run(["git", "-C", tmp_path, "init", "-q"], check=True)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    segments = ["a", "b", "ab", "a.x", "b.x", "c", ".x", "*a"]
    paths = sorted({"/".join(rng.choices(segments, k=rng.randint(1, 4))) for _ in range(150)})
    paths = [path for path in paths if not (tmp_path / path).is_dir()]

    def git(*words: str) -> list[str]:
        command = ["git", "-C", str(tmp_path), *words, "-z", "--stdin"]
        sent = "".join(path + "\0" for path in paths).encode()
        done = subprocess.run(
            command, input=sent, capture_output=True, env=FREE_OF_SETTINGS, check=False
        )
        return done.stdout.decode().split("\0")[:-1]

    said = git("check-attr", "filter") if seed % 2 else []
    rules = rules_of(files)
    if seed % 2:
        wanted = [path for path, value in zip(said[::3], said[2::3], strict=True) if value == "lfs"]
        assert [path for path in paths if rules.is_lfs(path)] == wanted
    else:
        wanted = git("check-ignore", "--no-index")
        assert [path for path in paths if rules.is_ignored(path)] == wanted


def test_patterns_that_could_take_for_ever_are_left_out_or_refused() -> None:
    path = "a" * 254 + "b"
    assert not rules_of({".gitattributes": "*a*a*a*a*a*a*a*a* filter=lfs"}).is_lfs(path)
    assert rules_of({".gitattributes": "*a*a* filter=lfs"}).is_lfs(path)
    endless = "*" * 300 + "a" * 60_000 + " filter=lfs\n" + "**/" * 300 + "b filter=lfs"
    assert not rules_of({".gitattributes": endless}).is_lfs("a/b")
    costly = rules_of({".gitignore": "\n".join(f"*a*a*{i}" for i in range(500))})
    with pytest.raises(BadRequestError, match="would take too long"):
        costly.is_ignored(path)


def test_many_files_in_one_request_may_take_as_long_as_they_need() -> None:
    rules = rules_of({".gitattributes": GITATTRIBUTES * 20})
    assert not any(rules.is_lfs(f"some/folder/number{i}.json") for i in range(300))


def test_large_files_travel_in_the_commit_up_to_a_size_each_and_together() -> None:
    assert travels_in_commit([90, 100, 30, 101], regular_max_bytes=100) == [
        True, False, True, False,
    ]  # fmt: skip
    assert travels_in_commit([0, 100, 100], regular_max_bytes=100) == [True, True, True]
    assert travels_in_commit([], regular_max_bytes=100) == []


@pytest.fixture
def any_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not say that it has Xet switched off, as the other tests' client does."""
    monkeypatch.setattr(constants, "HF_HUB_USER_AGENT_ORIGIN", None)


def modes(
    hub: HubUnderTest, repo: str, sizes: dict[str, int], agent: str = "any", **body: object
) -> dict[str, str]:
    """How the hub wants each file: its mode, or "ignored"."""
    files = [{"path": path, "size": size, "sample": ""} for path, size in sizes.items()]
    target = f"/api/models/{repo}/preupload/main"
    answer = hub.request(
        "POST",
        target,
        body={"files": files, **body},
        token=hub.alice,
        headers={"User-Agent": agent},
    )
    assert answer.status == 200
    return {
        file["path"]: "ignored" if file["shouldIgnore"] else file["uploadMode"]
        for file in answer.json()["files"]
    }


@pytest.mark.usefixtures("any_client")
def test_a_large_file_within_the_limit_is_sent_as_regular_and_kept_as_large(
    hub: HubUnderTest, repo: str
) -> None:
    limit = 100_000_000
    assert modes(
        hub, repo, {"a.safetensors": 5, "b.bin": limit, "c.bin": limit + 1, "d.csv": limit + 1}
    ) == {"a.safetensors": "regular", "b.bin": "regular", "c.bin": "lfs", "d.csv": "lfs"}
    content = b"weights" * 300_000  # more than a piece of a line
    api = hub.api()
    api.create_commit(
        repo,
        [CommitOperationAdd("a.safetensors", content), CommitOperationAdd("a.txt", content)],
        commit_message="both",
    )
    sha256 = hashlib.sha256(content).hexdigest()
    weights, text = api.get_paths_info(repo, ["a.safetensors", "a.txt"])
    assert (weights.lfs.sha256, weights.lfs.size, text.lfs) == (sha256, len(content), None)
    assert text.blob_id == git_id("blob", content)
    head = hub.request("HEAD", f"/{repo}/resolve/main/a.safetensors")
    assert head.headers["ETag"] == head.headers["X-Linked-Etag"] == f'"{sha256}"'
    assert hub.request("GET", f"/{repo}/resolve/main/a.safetensors").body == content


def test_a_client_that_says_so_sends_every_large_file_apart(hub: HubUnderTest, repo: str) -> None:
    sizes = {"a.safetensors": 5, "a.txt": 5}
    wanted = {"a.safetensors": "lfs", "a.txt": "regular"}
    agent = "unknown/None; hf_hub/2.4.0; python/3.11; origin/plain-lfs"
    assert modes(hub, repo, sizes, agent) == wanted


@pytest.mark.usefixtures("any_client")
def test_a_file_that_has_not_changed_is_skipped_whichever_way_it_would_travel(
    hub: HubUnderTest, repo: str
) -> None:
    api, content = hub.api(), b"the same weights"

    def push(path: str) -> str:
        return api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo).oid

    first = push("m.safetensors")
    assert push("m.safetensors") == first
    target = f"/api/models/{repo}/preupload/main"
    asked = {"files": [{"path": "m.safetensors", "size": len(content), "sample": ""}]}
    inside = hub.request("POST", target, body=asked, token=hub.alice).json()["files"][0]
    assert (inside["uploadMode"], inside["oid"]) == ("regular", git_id("blob", content))
    asked["files"][0]["size"] = 200_000_000
    apart = hub.request("POST", target, body=asked, token=hub.alice).json()["files"][0]
    assert (apart["uploadMode"], apart["oid"]) == ("lfs", hashlib.sha256(content).hexdigest())


@pytest.mark.usefixtures("any_client")
def test_a_large_file_that_came_in_a_commit_can_be_copied_by_its_hash(
    hub: HubUnderTest, repo: str
) -> None:
    api = hub.api()
    api.upload_file(path_or_fileobj=b"copied", path_in_repo="m.bin", repo_id=repo)
    api.create_commit(repo, [CommitOperationCopy("m.bin", "n.bin")], commit_message="copy")
    assert hub.request("GET", f"/{repo}/resolve/main/n.bin").body == b"copied"


@pytest.mark.usefixtures("any_client")
def test_the_rules_of_the_repository_and_of_the_request_decide(
    hub: HubUnderTest, repo: str, tmp_path: Path
) -> None:
    api = hub.api()
    attributes = b"*.csv filter=lfs\nsmall/** -filter\n"
    operations = [
        CommitOperationAdd(".gitattributes", attributes),
        CommitOperationAdd("raw/.gitattributes", b"*.dat filter=lfs\n"),
        CommitOperationAdd(".gitignore", b"*.tmp\n"),
    ]
    api.create_commit(repo, operations, commit_message="rules")
    large = 150_000_000  # beyond what may travel in a commit
    sizes = {"a.csv": large, "x.tmp": 3, "raw/a.dat": large, "a.md": 3}
    wanted = {"a.csv": "lfs", "x.tmp": "ignored", "raw/a.dat": "lfs", "a.md": "regular"}
    assert modes(hub, repo, sizes) == wanted
    assert modes(hub, repo, {"x.tmp": 3, "x.log": 3}, gitIgnore="*.log\n") == {
        "x.tmp": "regular",
        "x.log": "ignored",
    }
    for name in ("a.csv", "small/a.csv", "x.tmp", "raw/b.dat", "b.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1,2")
    api.upload_folder(repo_id=repo, folder_path=tmp_path)
    kept = {
        item.path: item.lfs is not None
        for item in api.list_repo_tree(repo, recursive=True)
        if hasattr(item, "lfs") and not item.path.endswith((".gitattributes", ".gitignore"))
    }
    assert kept == {"a.csv": True, "small/a.csv": False, "raw/b.dat": True, "b.dat": False}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"files": "text"}, 400),
        ({}, 400),
        ({"files": [{"path": "a", "size": -1}]}, 400),
        ({"files": [{"path": "a", "size": True}]}, 400),
        ({"files": [{"path": "a", "size": "5"}]}, 400),
        ({"files": [{"path": "a", "size": 10**12}]}, 413),
        ({"files": [{"path": f"{i}", "size": 1} for i in range(1001)]}, 413),
        ({"files": [], "gitIgnore": 5}, 400),
        ({"files": [], "gitIgnore": "x" * 100_001}, 400),
    ],
)
def test_questions_about_uploads_that_make_no_sense_are_refused(
    hub: HubUnderTest, body: object, status: int
) -> None:
    repo = hub.api().create_repo("alice/asked", exist_ok=True).repo_id
    answer = hub.request("POST", f"/api/models/{repo}/preupload/main", body=body, token=hub.alice)
    assert answer.status == status


HEADER = b'{"key": "header", "value": {"summary": "x"}}\n'


def long_line(content: bytes, before: str = "", after: str = "") -> bytes:
    """A file's line with its content first, as huggingface_hub writes it."""
    text = base64.b64encode(content).decode()
    return f'{{"key": "file", "value": {{{before}"content": "{text}"{after}}}}}\n'.encode()


def test_long_lines_are_read_wherever_the_path_stands(hub: HubUnderTest, repo: str) -> None:
    content = random.Random(0).randbytes(2_500_001)
    strange = json.dumps({"path": 'a"content": "b'})[1:-1]
    body = (
        HEADER
        + long_line(content, before='"path": "first.csv", ')
        + long_line(content[1:], after=', "path": "last.csv", "encoding": "base64"')
        + long_line(content[2:], before=f"{strange}, ")
        + b'{"key": "deletedFile", "value": {"path": ".gitattributes"}}'
    )
    target = f"/api/models/{repo}/commit/main"
    assert hub.request("POST", target, body=body, token=hub.alice).status == 200
    infos = {item.path: item for item in hub.api().list_repo_tree(repo)}
    assert {path: item.blob_id for path, item in infos.items()} == {
        "first.csv": git_id("blob", content),
        "last.csv": git_id("blob", content[1:]),
        'a"content": "b': git_id("blob", content[2:]),
    }


MEGABYTES = base64.b64encode(bytes(1_500_000)).decode()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f'{{"key": "file", "value": {{"path": "a", "content": "{MEGABYTES}', 400),
        (f'{{"key": "file", "value": {{"path": "a", "content": "{MEGABYTES}\n', 400),
        (f'{{"key": "file", "value": {{"path": "a", "content": "A==={MEGABYTES}"}}}}\n', 400),
        (f'{{"key": "file", "value": {{"path": "a", "content": "????{MEGABYTES}"}}}}\n', 400),
        (f'{{"key": "file", "value": {{"path": "a", "content": "{MEGABYTES}A"}}}}\n', 400),
        (f'{{"key": "file", "value": {{"content": "{MEGABYTES}"}}}}\n', 400),
        (f'{{"key": "file", "value": {{"path": "../a", "content": "{MEGABYTES}"}}}}\n', 422),
        (f'{{"key": "file", "value": {{"path": "a", "x": {{"content": "{MEGABYTES}"}}}}}}\n', 400),
        (f'{{"key": "file", "value": {{"path": "a", "content": "{MEGABYTES}", '
         '"content": "AAAA"}}\n', 400),
        (f'{{"key": "deletedFile", "value": {{"path": "a", "content": "{MEGABYTES}"}}}}\n', 413),
        (f'{{"key": "file", "value": {{"path": "{"a" * 1_500_000}", "content": "AAAA"}}}}\n', 413),
        (f'{{"key": "header", "value": {{"description": "{"a" * 1_500_000}"}}}}\n', 413),
    ],
)  # fmt: skip
def test_long_lines_that_are_no_files_are_refused_whole(
    hub: HubUnderTest, line: str, status: int
) -> None:
    repo = hub.api().create_repo("alice/long-lines", exist_ok=True).repo_id
    target = f"/api/models/{repo}/commit/main"
    answer = hub.request("POST", target, body=HEADER + line.encode(), token=hub.alice)
    assert answer.status == status
    assert hub.api().list_repo_files(repo) == [".gitattributes"]
