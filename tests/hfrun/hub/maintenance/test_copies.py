"""A hub's folder copied with plain tools, at rest and while others push to it."""

import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.repair import repair
from hfrun.hub.names import RepoId
from hfrun.hub.serve import running_hub
from hfrun.hub.store.hub_store import HubStore
from tests.hfrun.hub.maintenance import pusher
from tests.hfrun.hub.maintenance.conftest import MODEL, WEIGHTS, Sample

ROOT = Path(__file__).parents[4]


@contextmanager
def pushed_to(sample: Sample, *words: str) -> Iterator[None]:
    """While the block runs, another process commits to the hub: to main, and to other branches."""
    worker = subprocess.Popen(
        [sys.executable, "-m", pusher.__name__, sample.root, "0", "100000", *words], cwd=ROOT
    )
    try:
        while sample.model.head("main") == sample.two:  # it has begun
            assert worker.poll() is None
        yield
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()


def copy(source: Path, target: Path) -> None:
    """Like ``cp -a``, which minds neither files nor folders that vanish."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], capture_output=True, check=False)


def line(root: Path) -> list[str]:
    model = HubStore(root).open(MODEL)
    return [commit.id for commit in model.history(model.head("main"))]


def test_a_copy_is_sound_and_serves_the_same_files(sample: Sample, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    copy(sample.root, elsewhere)
    assert check(elsewhere).findings == ()
    token = create_token(elsewhere, "alice", role="read")
    with running_hub(elsewhere) as hub:
        request = urllib.request.Request(
            f"{hub.endpoint}/alice/m/resolve/{sample.two}/model.bin",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == WEIGHTS


@pytest.mark.parametrize("words", [("main",), ()])
def test_a_copy_taken_while_others_push_can_be_mended(
    sample: Sample, tmp_path: Path, words: tuple[str, ...]
) -> None:
    copies = [tmp_path / f"copy{i}" for i in range(2)]
    with pushed_to(sample, *words):
        for target in copies:
            copy(sample.root, target)
    final = line(sample.root)
    for target in copies:
        assert repair(target, rewind=True).findings == ()
        kept = line(target)
        assert sample.two in kept
        # Of what is left of several lines nobody can tell for sure which was main's.
        assert kept == final[-len(kept) :] or not words


def test_a_copy_in_the_order_of_the_manual_needs_no_mending(sample: Sample, tmp_path: Path) -> None:
    """Refs before commits, commits before trees, these before objects: readers' order."""
    target = tmp_path / "copy"
    model, models = sample.model.folder, target / sample.model.folder.relative_to(sample.root)
    with pushed_to(sample):
        for name in ("discussions", "refs", "commits", "trees", "uploads"):
            copy(model / name, models / name)
        shutil.copy2(model / "repo.json", models)
        copy(sample.root / "objects", target / "objects")
        shutil.copy2(sample.root / "hub.json", target)
    assert [f for f in check(target).findings if f.severity == "damage"] == []
    final = line(sample.root)
    assert line(target) == final[-len(line(target)) :]


def test_a_check_beside_pushes_moves_and_deletions_finds_nothing(sample: Sample) -> None:
    names = [RepoId(kind="models", namespace="alice", name=name) for name in ("y", "z")]
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            sample.store.create(names[0], private=False, author="Alice", sdk=None)
            sample.store.move(*names)
            sample.store.delete(names[1])

    with pushed_to(sample), ThreadPoolExecutor(1) as pool:
        going = pool.submit(come_and_go)
        try:
            for _ in range(8):
                assert check(sample.root).findings == ()
        finally:
            ended.set()
        going.result()
