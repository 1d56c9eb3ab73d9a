"""Checks of what lies beside a repository's history: discussions, gates, names that were left."""

import json
from pathlib import Path

import pytest

from hfrun.hub.accounts.gating import Gate
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.findings import Report
from hfrun.hub.maintenance.gc import collect
from hfrun.hub.maintenance.repair import repair
from hfrun.hub.names import RepoId
from tests.hfrun.hub.maintenance.conftest import MODEL, Sample, small
from tests.hfrun.hub.maintenance.test_gc import age

NEW_NAME = RepoId(kind="models", namespace="Alice", name="Renamed")


@pytest.fixture
def talked(sample: Sample) -> Sample:
    """The sample with a discussion, a merged pull request and an open one, and a gate."""
    talks = Discussions(sample.model)
    talks.open(title="A question", text="why?", author="Bob")
    for content in (b"2", b"3"):
        number = talks.open_with_commit(
            target="main", changes=[small(sample.model, "pr.txt", content)], title="A change",
            message="", author="Bob", parent=None,
        )[0].number  # fmt: skip
        if content == b"2":
            talks.merge(number, author="Alice")
    sample.model.change_settings(gated="manual")
    Gate(sample.store.open(MODEL)).ask("bob")
    return sample


def places(report: Report) -> list[str]:
    return [
        finding.place.removeprefix("repositories/models/alice/m/") for finding in report.findings
    ]


def test_discussions_and_gates_in_use_are_sound_and_survive_a_sweep(talked: Sample) -> None:
    assert check(talked.root).findings == ()
    age(talked.root)
    collect(talked.root, grace_seconds=3600)
    assert check(talked.root).findings == ()
    assert [d.status for d in Discussions(talked.model)] == ["open", "merged", "open"]
    assert len(Discussions(talked.model).diff(3)) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("discussions/1.json", b"{"),
        ("discussions/1.json", b'{"number": 2, "events": []}'),
        ("gate.json", b"[]"),
        ("gate.json", b'{"bob": {"id": "1"}}'),
    ],
)
def test_a_file_that_would_end_a_listing_is_set_aside(
    talked: Sample, name: str, data: bytes
) -> None:
    (talked.model.folder / name).write_bytes(data)
    assert places(check(talked.root)) == [name]
    assert repair(talked.root).findings == ()
    assert not (talked.model.folder / name).exists()
    list(Discussions(talked.model))
    assert not Gate(talked.store.open(MODEL)).allows("bob")


def test_a_pull_request_that_lost_its_commits_goes_back_to_where_it_began(talked: Sample) -> None:
    ref = talked.model.folder / "refs" / "pr" / "3"
    commit_id = ref.read_text().strip()
    base = Discussions(talked.model).get(3).base
    for harm in (ref, talked.commit_file(commit_id)):
        harm.unlink()
        assert places(check(talked.root)) == ["refs/pr/3"]
        assert repair(talked.root).findings == ()
        assert talked.model.head("refs/pr/3") == base
        assert Discussions(talked.model).diff(3) == []
        ref.write_text(commit_id)


@pytest.fixture
def moved(sample: Sample) -> Sample:
    sample.store.move(MODEL, NEW_NAME)
    return sample


def redirect_files(root: Path) -> list[str]:
    folder = root / "moved"
    return sorted(p.relative_to(folder).parts[0] for p in folder.rglob("*") if p.is_file())


def test_a_moved_repository_is_sound_and_its_old_name_survives(moved: Sample) -> None:
    age(moved.root)
    assert check(moved.root).findings == ()
    collect(moved.root, grace_seconds=3600)
    found = list(moved.store.successors("models", "alice", "m"))
    assert [repository.settings.repo_id for repository in found] == [NEW_NAME]


def test_a_move_that_was_cut_off_is_no_damage(moved: Sample) -> None:
    """After the folder was renamed and before its settings say so."""
    file = moved.root / "repositories/models/alice/renamed/repo.json"
    settings = json.loads(file.read_bytes())
    settings["moving_to"], settings["repo_id"] = settings["repo_id"], vars(MODEL)
    file.write_text(json.dumps(settings))
    assert check(moved.root).findings == ()


def test_names_that_lead_nowhere_are_left_over_and_unreadable_ones_damage(moved: Sample) -> None:
    places_file = next((moved.root / "moved" / "places").iterdir())
    whole = places_file.read_bytes()
    places_file.write_bytes(b"?")
    report = repair(moved.root)
    assert [f.severity for f in report.mended] == ["damage"]
    places_file.write_bytes(whole)
    moved.store.open(NEW_NAME).folder.rename(moved.root / "gone")
    assert check(moved.root).findings == ()  # its deletion may be going on
    age(moved.root)
    assert [f.severity for f in check(moved.root).findings] == ["leftover"] * 2
    assert repair(moved.root).findings == ()
    assert redirect_files(moved.root) == []
