"""What a sweep takes, and that it never takes what somebody needs."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hfrun.errors import HubError
from hfrun.hub.maintenance import gc
from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.gc import Swept, collect
from hfrun.hub.maintenance.repair import repair
from hfrun.hub.store.hub_store import HubStore
from tests.hfrun.hub.maintenance import pusher
from tests.hfrun.hub.maintenance.conftest import MODEL, Sample, build, commit, large, small

ROOT = Path(__file__).parents[4]
DAY = 24 * 3600.0


def age(root: Path) -> None:
    """Let everything be two days old."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)


def objects(root: Path) -> set[str]:
    return {path.name for path in (root / "objects").rglob("*") if path.is_file()}


@pytest.fixture
def littered(sample: Sample) -> Sample:
    """The sample with a branch of two commits that was deleted, and an upload never committed."""
    sample.model.add_ref("heads", "side", sample.first)
    commit(sample.model, "x", small(sample.model, "x.txt", b"x" * 100), to="side")
    commit(sample.model, "y", large(sample.model, b"y" * 1000), to="side")
    sample.model.remove_ref("heads", "side")
    large(sample.model, b"z" * 10)
    age(sample.root)
    return sample


def test_only_what_nothing_needs_goes(littered: Sample) -> None:
    model, before = littered.model, objects(littered.root)
    kept_commits = {littered.first, littered.one, littered.two, littered.proposal}
    dry = collect(littered.root, grace_seconds=DAY, dry_run=True)
    assert objects(littered.root) == before
    swept = collect(littered.root, grace_seconds=DAY)
    assert swept.as_dict() == {**dry.as_dict(), "dry_run": False}
    assert (swept.commits, swept.trees, swept.notes, swept.objects) == (2, 2, 2, 3)
    assert (swept.objects_kept, swept.bytes_freed > 1110) == (len(before) - 3, True)
    assert {p.stem for p in (model.folder / "commits").iterdir()} == kept_commits
    assert check(littered.root).findings == ()
    assert collect(littered.root, grace_seconds=DAY).bytes_freed == 0


def test_what_is_young_stays_with_all_it_needs(littered: Sample) -> None:
    """The younger of two commits on no branch keeps the older one, and both keep their files."""
    before = objects(littered.root)
    newest = max(
        (littered.commit_file(path.stem) for path in (littered.model.folder / "commits").iterdir()),
        key=lambda path: littered.model.commit(path.stem).title,
    )
    assert littered.model.commit(newest.stem).title == "y"
    os.utime(newest)
    swept = collect(littered.root, grace_seconds=DAY)
    assert (swept.commits, swept.trees, swept.notes, swept.objects) == (0, 0, 1, 1)
    assert len(before - objects(littered.root)) == 1
    assert check(littered.root).findings == ()


def test_objects_that_another_repository_needs_stay(littered: Sample) -> None:
    other = littered.store.create(
        type(MODEL)(kind="datasets", namespace="bob", name="d"),
        private=False, author="bob", sdk=None,
    )  # fmt: skip
    commit(other, "the same", large(other, b"y" * 1000), small(other, "x.txt", b"x" * 100))
    littered.store.delete(MODEL)
    age(littered.root)
    swept = collect(littered.root, grace_seconds=DAY)
    assert (swept.commits, swept.objects_kept) == (0, 3)  # with the first commit's .gitattributes
    assert check(littered.root).findings == ()


def test_content_that_was_deleted_for_good_goes(sample: Sample) -> None:
    path = sample.object_of(sample.two, "model.bin")
    sample.model.remove_content(path.name)
    age(sample.root)
    assert collect(sample.root, grace_seconds=DAY).objects == 1
    assert not path.exists()
    assert check(sample.root).findings == ()


def test_broken_off_uploads_go(sample: Sample) -> None:
    grave = sample.root / "incoming" / "grave"
    grave.mkdir()
    (grave / "file").write_bytes(b"x" * 50)
    assert collect(sample.root, grace_seconds=0).abandoned == 0  # it may be running
    age(sample.root)
    assert collect(sample.root, grace_seconds=DAY).as_dict() == {
        **Swept(dry_run=False).as_dict(), "abandoned": 1, "bytes_freed": 50 + 4096,
        "objects_kept": 6, "bytes_kept": sum(
            p.stat().st_size for p in (sample.root / "objects").rglob("*") if p.is_file()),
    }  # fmt: skip


def test_a_damaged_hub_is_not_swept(littered: Sample) -> None:
    before = objects(littered.root)
    littered.tree_file(littered.one).unlink()
    with pytest.raises(HubError, match=r"missing or unreadable.*check --repair"):
        collect(littered.root, grace_seconds=DAY)
    assert objects(littered.root) == before
    repair(littered.root)
    with pytest.raises(HubError, match="quarantine"):
        collect(littered.root, grace_seconds=DAY)
    assert objects(littered.root) == before


@pytest.mark.parametrize("survivors", range(8))
def test_a_sweep_that_is_killed_leaves_a_sound_hub(
    littered: Sample, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    """Killed after each of its nine removals but the last."""
    taken = []

    def take_then_die(sweep: gc._Sweep, path: Path) -> bool:
        if len(taken) == survivors + 1:
            raise KeyboardInterrupt
        taken.append(path)
        return original(sweep, path)

    original = gc._Sweep._take
    monkeypatch.setattr(gc._Sweep, "_take", take_then_die)
    with pytest.raises(KeyboardInterrupt):
        collect(littered.root, grace_seconds=DAY)
    monkeypatch.undo()
    assert check(littered.root).findings == ()
    assert len(taken) + sum(
        getattr(collect(littered.root, grace_seconds=DAY), name)
        for name in ("commits", "trees", "notes", "objects")
    ) >= len(taken)
    assert check(littered.root).findings == ()


def test_an_upload_that_ends_while_its_old_object_goes_is_kept(
    littered: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is old when it is listed, and young once nobody can reach it any more."""
    content = b"y" * 1000
    original = gc._Sweep._take

    def push_then_take(sweep: gc._Sweep, path: Path) -> bool:
        if path.parent.parent.parent.name == "objects":
            with littered.store.objects.receive(max_bytes=len(content)) as writer:
                writer.write(content)
                writer.finish(path.name if path.name == digest else digest)
        return original(sweep, path)

    digest = next(
        name for name in objects(littered.root)
        if littered.store.objects.path(name).read_bytes() == content
    )  # fmt: skip
    monkeypatch.setattr(gc._Sweep, "_take", push_then_take)
    assert collect(littered.root, grace_seconds=DAY).objects == 2
    assert littered.store.objects.path(digest).read_bytes() == content


def test_no_commit_loses_anything_while_sweeps_run_without_pause(tmp_path: Path) -> None:
    """Pushers use old objects again and delete branches; the sweep gives no grace at all."""
    sample = build(tmp_path / "hub")
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", pusher.__name__, sample.root, str(number), "25"], cwd=ROOT
        )
        for number in range(2)
    ]
    swept = []
    while any(worker.poll() is None for worker in workers):
        swept.append(collect(sample.root, grace_seconds=0))
    assert [worker.wait() for worker in workers] == [0, 0]
    assert sum(one.objects for one in swept) > 0
    assert sum(one.commits for one in swept) > 0
    assert check(sample.root).findings == ()
    model = HubStore(sample.root).open(MODEL)
    titles = [c.title for c in model.history(model.head("main"))]
    assert sorted(t for t in titles if "/" in t) == sorted(
        f"{w}/{i}" for w in "01" for i in range(25)
    )


def test_a_repository_that_is_deleted_meanwhile_is_no_damage(
    littered: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = gc.Marks._line

    def delete_then_mark(marks: gc.Marks, folder: Path, commit_id: str | None) -> None:
        if folder.exists():
            littered.store.delete(MODEL)
        original(marks, folder, commit_id)

    monkeypatch.setattr(gc.Marks, "_line", delete_then_mark)
    collect(littered.root, grace_seconds=DAY)
    assert not (littered.root / "repositories/models/alice/m").exists()
    shutil.rmtree(littered.root)


def test_commits_that_a_branch_takes_up_again_before_they_go_stay(
    littered: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = littered.model
    listed = [path.stem for path in (model.folder / "commits").iterdir()]
    y = next(commit_id for commit_id in listed if model.commit(commit_id).title == "y")
    original = gc._Sweep._remove

    def branch_then_remove(sweep: gc._Sweep, *arguments: Any) -> int:
        if "again" not in model.refs("heads"):
            model.add_ref("heads", "again", y)
        return original(sweep, *arguments)

    monkeypatch.setattr(gc._Sweep, "_remove", branch_then_remove)
    swept = collect(littered.root, grace_seconds=DAY)
    assert (swept.commits, swept.trees, swept.notes, swept.objects) == (0, 0, 1, 1)
    assert check(littered.root).findings == ()
