"""A hub's repository as plain git: read back by git itself and by dulwich."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hfrun.errors import HubError
from hfrun.hub.maintenance import git as git_module
from hfrun.hub.maintenance.export import chosen, empty_folder, export
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import lfs_pointer
from tests.hfrun.hub.maintenance.conftest import WEIGHTS, Sample, commit, large, small

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def rich(sample: Sample) -> Sample:
    """The sample with a second beginning, odd paths, an empty file, and no file at all."""
    model = sample.model
    odd = ['"quoted"', "with space/ö.txt", "a'b", "-x", "f.txt/x/y"]
    commit(model, "odd", *(small(model, path, path.encode()) for path in odd))
    commit(model, "", small(model, "empty", b""), small(model, "README.md", b"line\n" * 9))
    with model.exclusive():
        squashed = model.write_commit(
            parent=None, title="Ünder\none", message="a\n\nb", author="Alice",
            tree=model.tree(model.commit(model.head("main"))),
        )  # fmt: skip
        model.set_ref("heads", "squash/ed", squashed.id)
        nothing = model.write_commit(
            parent=squashed.id, title="none", message="", author="Bob-2", tree={}
        )
        model.set_ref("heads", "empty", nothing.id)
    return sample


def test_git_reads_all_refs_under_the_same_ids_and_finds_no_fault(
    rich: Sample, tmp_path: Path
) -> None:
    model = rich.model
    done = export(model, empty_folder(tmp_path / "out"))
    assert done.folder == tmp_path / "out/models/Alice/M.git"
    wanted = {
        f"refs/{kind}/{name}": commit_id
        for kind in ("heads", "tags", "pr")
        for name, commit_id in model.refs(kind).items()
    }
    listed = git(done.folder, "for-each-ref", "--format=%(refname) %(objectname)")
    assert dict(line.split(" ") for line in listed.splitlines()) == wanted
    assert git(done.folder, "fsck", "--strict", "--full") == ""
    history = git(done.folder, "log", "--format=%H", "main").split()
    assert history == [c.id for c in model.history(model.head("main"))]
    assert (done.commits, done.refs, done.large_files) == (8, len(wanted), 1)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["models"]


def test_a_clone_has_the_files_and_pointers_to_the_large_ones(rich: Sample, tmp_path: Path) -> None:
    folder = export(rich.model, tmp_path).folder
    git(tmp_path, "clone", "-q", f"file://{folder}", "clone")
    clone = tmp_path / "clone"
    tree = rich.model.tree(rich.model.commit(rich.model.head("main")))
    found = {
        path.relative_to(clone).as_posix(): path.read_bytes()
        for path in clone.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(clone).parts
    }
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert found == {
        path: rich.model.content(entry).read_bytes() for path, entry in tree.items()
    } | {"model.bin": lfs_pointer(sha256, len(WEIGHTS))}
    kept = folder / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
    assert kept.read_bytes() == WEIGHTS
    assert kept.samefile(rich.object_of(rich.two, "model.bin"))  # no second copy


def test_dulwich_reads_it_back(rich: Sample, tmp_path: Path) -> None:
    from dulwich.repo import Repo

    with Repo(str(export(rich.model, tmp_path).folder)) as repo:
        entries = [entry.commit for entry in repo.get_walker([repo.head()])]
        assert [e.id.decode() for e in entries] == [
            c.id for c in rich.model.history(rich.model.head("main"))
        ]
        assert [e.message.decode() for e in entries[-3:]] == [
            "two\n\nwith weights\n", "one\n", "initial commit\n"
        ]  # fmt: skip
        assert entries[0].author == b"Alice <Alice@hub>"


def test_large_files_are_copied_where_they_cannot_be_shared(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    folder = export(sample.model, tmp_path).folder
    copies = [p for p in (folder / "lfs").rglob("*") if p.is_file()]
    assert [p.read_bytes() for p in copies] == [WEIGHTS]
    assert copies[0].stat().st_nlink == 1


def test_content_that_was_deleted_for_good_is_left_out(sample: Sample, tmp_path: Path) -> None:
    sample.model.remove_content(hashlib.sha256(WEIGHTS).hexdigest())
    done = export(sample.model, tmp_path)
    assert (done.large_files, git(done.folder, "rev-parse", "main")) == (0, sample.two)


@pytest.mark.parametrize(
    ("path", "harm", "message"),
    [
        ("model.bin", b"short", "no object .* of 8000 bytes"),
        ("f/b.txt", b"x", "git refuses the history"),  # another content of the same size
        ("f/b.txt", None, "no object .* of 1 bytes"),
    ],
)
def test_a_damaged_repository_is_not_exported(
    sample: Sample, tmp_path: Path, path: str, harm: bytes | None, message: str
) -> None:
    victim = sample.object_of(sample.two, path)
    victim.unlink()
    if harm is not None:
        victim.write_bytes(harm)
    with pytest.raises(HubError, match=message):
        export(sample.model, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_commit_that_is_not_what_its_id_says_is_not_exported(
    sample: Sample, tmp_path: Path
) -> None:
    path = sample.commit_file(sample.one)
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"eno"'))
    with pytest.raises(HubError, match="other ids"):
        export(sample.model, tmp_path / "out")


def test_refs_that_git_cannot_hold_at_once_are_refused(sample: Sample, tmp_path: Path) -> None:
    with sample.model.exclusive():
        sample.model.set_ref("heads", "dev/x", sample.one)
    with pytest.raises(HubError, match="refs/heads/dev and refs/heads/dev/x"):
        export(sample.model, tmp_path / "out")


def test_settings_of_the_user_and_of_a_surrounding_repository_do_not_matter(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[core]\nautocrlf = true\n[init]\ndefaultBranch = trunk\n[x\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    folder = export(sample.model, tmp_path / "out").folder
    assert git_module.git("rev-parse", "HEAD", at=folder).strip() == sample.two


def test_a_folder_that_is_not_empty_and_a_missing_git_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(HubError, match="not empty"):
        empty_folder(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HubError, match="no git on this machine"):
        empty_folder(tmp_path / "new")


def test_repositories_are_named_as_in_addresses(sample: Sample) -> None:
    def ids(names: list[str]) -> list[str]:
        return [repository.settings.repo_id.address for repository in chosen(sample.store, names)]

    assert ids([]) == ids(["alice/m"]) == ids(["models/Alice/M"]) == ["Alice/M"]
    for name in ("alice/n", "datasets/alice/m", "m", "", "a/b/c"):
        with pytest.raises(HubError, match="does not have"):
            ids([name])


def test_what_git_holds_is_shared_between_files(sample: Sample, tmp_path: Path) -> None:
    """A regular file and a large one of the same content are two things in git."""
    model: Repository = sample.model
    commit(model, "twice", small(model, "copy.txt", b"A"), large(model, b"A", "large.bin"))
    folder = export(model, tmp_path).folder
    assert git(folder, "show", "main:copy.txt") == git(folder, "show", "main:a.txt") == "A"
    assert git(folder, "show", "main:large.bin").startswith("version https://git-lfs")
