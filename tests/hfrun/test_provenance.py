"""Provenance: the command can be typed again, and the commit is the source's or none."""

import importlib.metadata
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hfrun.provenance import command, git_state, provenance, versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with one committed file."""
    folder = tmp_path / "source"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.py").write_text("a = 1\n", encoding="utf-8")
    git(folder, "add", "a.py")
    git(folder, "commit", "-qm", "First")
    return folder


def test_outside_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None


def test_a_clean_tree_is_its_commit(source: Path) -> None:
    assert git_state(source) == {"commit": git(source, "rev-parse", "HEAD"), "dirty": False}


def test_a_changed_file_makes_the_tree_dirty_and_an_untracked_one_does_not(source: Path) -> None:
    commit = git(source, "rev-parse", "HEAD")
    (source / "notes.txt").write_text("x", encoding="utf-8")
    assert git_state(source) == {"commit": commit, "dirty": False}
    (source / "a.py").write_text("a = 2\n", encoding="utf-8")
    assert git_state(source) == {"commit": commit, "dirty": True}


def test_a_package_installed_within_somebody_elses_repository_has_no_commit(source: Path) -> None:
    installed = source / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "a.py").write_text("a = 1\n", encoding="utf-8")
    assert git_state(installed) is None


def test_a_repository_without_a_commit_and_a_machine_without_git_have_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert git_state(empty) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(source) is None


def test_the_recorded_command_gives_the_same_words_to_a_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = ["train", "my config.yaml", "model.config={dropout: 0.1}"]
    monkeypatch.setattr(sys, "argv", ["/home/me/.venv/bin/hfrun", *typed])
    assert shlex.split(command()) == ["hfrun", *typed]


def test_versions_are_those_that_are_installed() -> None:
    found = versions()
    assert {"hfrun", "torch", "transformers", "numpy", "vectorbt"} <= found.keys()
    assert found == {name: importlib.metadata.version(name) for name in found}


def test_provenance_holds_what_it_was_given_and_when() -> None:
    data = [{"path": "book.parquet", "sha256": "aa", "rows": 1, "instrument": "X"}]
    found = provenance(seed=7, data=data)
    assert (found["seed"], found["data"]) == (7, data)
    age = datetime.now(UTC) - datetime.fromisoformat(found["created_at"])
    assert timedelta(seconds=-1) < age < timedelta(minutes=5)
    assert found["machine"].keys() == {"python", "system", "cpus"}
