"""What a check finds, and what a repair makes of it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hfrun.errors import HubError
from hfrun.hub.accounts.tokens import Accounts
from hfrun.hub.maintenance.check import check
from hfrun.hub.maintenance.findings import Report
from hfrun.hub.maintenance.repair import repair
from hfrun.hub.store import repository as repository_module
from tests.hfrun.hub.maintenance.conftest import MODEL, WEIGHTS, Sample, commit, small

REPO = "repositories/models/alice/m"


@pytest.fixture(autouse=True)
def _no_cached_trees() -> None:
    repository_module._trees.clear()


def damaged(report: Report) -> list[tuple[str, str]]:
    return sorted((f.place, f.wrong) for f in report.findings if f.severity == "damage")


def overwrite(path: Path, data: bytes) -> None:
    """As a failing disk would: in place, though the file is read-only."""
    path.chmod(0o644)
    path.write_bytes(data)


def quarantined(sample: Sample) -> list[str]:
    """Paths that were set aside, below the root."""
    folders = list((sample.root / "quarantine").glob("*"))
    return sorted(
        p.relative_to(folder).as_posix() for folder in folders for p in folder.rglob("*")
        if p.is_file()
    )  # fmt: skip


def test_a_sound_hub_has_no_findings(sample: Sample) -> None:
    report = check(sample.root)
    assert report.findings == ()
    objects = [p for p in (sample.root / "objects").rglob("*") if p.is_file()]
    assert report.counts == {
        "repositories": 1, "refs": 4, "commits": 4, "trees": 4, "objects": len(objects),
        "bytes": sum(p.stat().st_size for p in objects),
    }  # fmt: skip
    assert len(objects) == 6  # .gitattributes, a, b, A, the weights, p
    assert repair(sample.root).findings == ()
    assert not (sample.root / "quarantine").exists()


def test_a_rotten_object_is_found_set_aside_and_healed_by_the_next_push(sample: Sample) -> None:
    path = sample.object_of(sample.two, "model.bin")
    overwrite(path, WEIGHTS[:-1] + b"X")
    assert check(sample.root, quick=True).is_sound  # its size is as it was
    place = path.relative_to(sample.root).as_posix()
    rotten = [p for p, _ in damaged(check(sample.root))]
    assert rotten == [place, f"{REPO}/uploads/{path.name}"]
    report = repair(sample.root)
    assert [f.place for f in report.mended] == [place, f"{REPO}/uploads/{path.name}"]
    assert damaged(report) == [
        ("models/alice/m: model.bin",
         f"its content is not stored: object {path.name}, {len(WEIGHTS)} bytes")
    ]  # fmt: skip
    assert quarantined(sample) == [place]
    assert not sample.model.has_upload(path.name)
    assert sample.model.head("main") == sample.two  # one lost file takes no commit away
    sample.store.objects.put(WEIGHTS)
    assert check(sample.root).is_sound


@pytest.mark.parametrize("content", [b"", b"longer than one letter"])
def test_a_wrong_size_is_found_without_reading_everything(sample: Sample, content: bytes) -> None:
    path = sample.object_of(sample.one, "a.txt")
    overwrite(path, content)
    assert [p for p, _ in damaged(check(sample.root, quick=True))] == [
        path.relative_to(sample.root).as_posix()
    ]


def test_an_object_under_a_wrong_name_goes_to_the_right_one(sample: Sample) -> None:
    path = sample.object_of(sample.two, "model.bin")
    wrong = sample.store.objects.path("0" * 64)
    wrong.parent.mkdir(parents=True)
    path.rename(wrong)
    assert not check(sample.root, quick=True).is_sound
    report = repair(sample.root)
    assert report.findings == ()
    assert "moved to its right name" in str(report.mended[0].remedy)
    assert (path.read_bytes(), wrong.exists()) == (WEIGHTS, False)


def lose_head_commit(sample: Sample) -> None:
    sample.commit_file(sample.proposal).unlink()


def break_head_commit(sample: Sample) -> None:
    overwrite(sample.commit_file(sample.proposal), b"{")


def falsify_head_commit(sample: Sample) -> None:
    path = sample.commit_file(sample.proposal)
    overwrite(path, path.read_bytes().replace(b"proposal", b"PROPOSAL"))


def falsify_head_tree(sample: Sample) -> None:
    path = sample.tree_file(sample.proposal)
    overwrite(path, path.read_bytes().replace(b"a.txt", b"b.txt"))


def break_head_tree(sample: Sample) -> None:
    overwrite(sample.tree_file(sample.proposal), b'{"../../x": {}}')


def lose_head_tree(sample: Sample) -> None:
    sample.tree_file(sample.proposal).unlink()


@pytest.mark.parametrize(
    "harm", [falsify_head_commit, lose_head_tree, break_head_tree, falsify_head_tree]
)
def test_a_ref_whose_commit_is_damaged_moves_to_the_newest_whole_ancestor(
    sample: Sample, harm: Callable[[Sample], None]
) -> None:
    harm(sample)
    assert f"{REPO}/refs/pr/1" in [place for place, _ in damaged(check(sample.root))]
    report = repair(sample.root)
    assert report.findings == ()
    assert sample.model.head("refs/pr/1") == sample.two
    assert sample.model.head("main") == sample.two
    assert f"{REPO}/refs/pr/1" in quarantined(sample)  # what it said is not lost


@pytest.mark.parametrize("harm", [lose_head_commit, break_head_commit])
def test_a_ref_whose_commit_tells_no_parent_is_set_aside(
    sample: Sample, harm: Callable[[Sample], None]
) -> None:
    harm(sample)
    report = repair(sample.root)
    assert report.findings == ()
    assert sample.model.refs("pr") == {}
    assert f"{REPO}/refs/pr/1" in quarantined(sample)


def test_a_branch_that_lost_its_newest_commits_goes_back_to_what_remains(sample: Sample) -> None:
    newest = commit(sample.model, "three", small(sample.model, "a.txt", b"3"))
    (sample.model.folder / "refs" / "pr" / "1").unlink()
    sample.model.remove_ref("heads", "dev")
    sample.commit_file(sample.proposal).unlink()
    sample.commit_file(newest.id).unlink()
    report = repair(sample.root)
    assert report.findings == ()
    assert sample.model.head("main") == sample.two


def test_of_lines_that_remain_a_lost_branch_gets_what_they_share(sample: Sample) -> None:
    """two <- three (main is lost); two <- x <- y of a branch that was deleted."""
    newest = commit(sample.model, "three", small(sample.model, "a.txt", b"3"))
    sample.model.add_ref("heads", "side", sample.two)
    for title in "xy":
        commit(sample.model, title, to="side")
    sample.model.remove_ref("heads", "side")
    lost = commit(sample.model, "four", small(sample.model, "a.txt", b"4"))
    assert sample.model.commit(lost.id).parent == newest.id
    sample.commit_file(lost.id).unlink()
    assert repair(sample.root).is_sound
    assert sample.model.head("main") == sample.two


def test_a_missing_default_branch_comes_back_where_only_one_line_is_left(sample: Sample) -> None:
    for name in ("heads/main", "heads/dev"):
        (sample.model.folder / "refs" / name).unlink()
    sample.commit_file(sample.proposal).unlink()
    assert not check(sample.root).is_sound
    assert repair(sample.root).is_sound
    assert sample.model.head("main") == sample.two


def test_a_gap_in_the_history_keeps_the_branch_and_is_told(sample: Sample) -> None:
    sample.commit_file(sample.first).unlink()
    report = repair(sample.root)
    assert damaged(report) == [
        (f"{REPO}/commits/{sample.one}.json", f"its history has a gap, at {sample.first}")
    ]
    assert report.mended == ()
    assert sample.model.head("main") == sample.two


def test_broken_commits_that_no_ref_needs_are_set_aside(sample: Sample) -> None:
    """first <- (x is lost) <- y <- z, all of a branch that was deleted."""
    sample.model.add_ref("heads", "side", sample.first)
    made = [commit(sample.model, title, to="side").id for title in "xyz"]
    sample.model.remove_ref("heads", "side")
    sample.commit_file(made[0]).unlink()
    report = repair(sample.root)
    assert report.findings == ()
    assert quarantined(sample) == sorted(f"{REPO}/commits/{i}.json" for i in made[1:])


@pytest.mark.parametrize("folder", ["commits", "trees"])
def test_a_commit_or_tree_under_a_wrong_name_goes_to_the_right_one(
    sample: Sample, folder: str
) -> None:
    files = {"commits": sample.commit_file, "trees": sample.tree_file}
    path = files[folder](sample.two)
    path.rename(path.with_name(f"{'0' * 40}.json"))
    assert not check(sample.root).is_sound
    assert repair(sample.root).findings == ()
    assert path.exists()
    assert sample.model.refs("heads") == {"main": sample.two, "dev": sample.two}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'"size":{len(WEIGHTS)}', '"size":7'),
        ('"lfs":true', '"lfs":false'),
        ('"size":1,', '"size":2,'),
    ],
)
def test_an_entry_that_says_what_its_object_is_not_is_put_right(
    sample: Sample, old: str, new: str
) -> None:
    path = sample.tree_file(sample.two)
    before = path.read_bytes()
    overwrite(path, before.replace(old.encode(), new.encode()))
    assert path.read_bytes() != before
    report = repair(sample.root)
    assert report.findings == ()
    assert "written anew" in str(report.mended[0].remedy)
    assert json.loads(path.read_bytes()) == json.loads(before)


@pytest.mark.parametrize("is_stored", [True, False])
def test_an_entry_that_names_another_object_is_put_right_from_its_git_id(
    sample: Sample, is_stored: bool
) -> None:
    path = sample.tree_file(sample.two)
    before = path.read_bytes()
    tree = json.loads(before)
    other = sample.object_of(sample.one, "a.txt").name if is_stored else "0" * 64
    tree["f/b.txt"]["sha256"] = other
    overwrite(path, json.dumps(tree).encode())
    assert repair(sample.root).findings == ()
    assert json.loads(path.read_bytes()) == json.loads(before)


def test_settings_that_cannot_be_read_are_written_anew_and_private(sample: Sample) -> None:
    overwrite(sample.model.folder / "repo.json", b"[]")
    assert [place for place, _ in damaged(check(sample.root))] == [f"{REPO}/repo.json"]
    assert repair(sample.root).findings == ()
    settings = sample.store.open(MODEL).settings
    assert (str(settings.repo_id), settings.private, settings.sdk) == ("alice/m", True, None)
    assert settings.created_at == sample.model.commit(sample.first).date


def test_a_folder_that_was_moved_by_hand_gets_the_id_of_its_place(sample: Sample) -> None:
    moved = sample.model.folder.rename(sample.model.folder.with_name("n"))
    assert repair(sample.root).findings == ()
    assert json.loads((moved / "repo.json").read_bytes())["repo_id"]["name"] == "n"


def test_what_repair_cannot_do_for_accounts_is_told(sample: Sample) -> None:
    file = sample.root / "accounts.json"
    file.chmod(0o644)
    report = repair(sample.root)
    assert (report.findings, file.stat().st_mode & 0o777) == ((), 0o600)
    accounts = json.loads(file.read_bytes())
    accounts["users"] = {}
    overwrite(file, json.dumps(accounts).encode())
    file.chmod(0o600)
    assert damaged(repair(sample.root)) == [
        ("accounts.json", "a token is of user 'Alice' in role 'write'")
    ]
    overwrite(file, b"{")
    report = repair(sample.root)
    assert "by hand" in report.findings[0].advice
    assert file.exists()


def test_only_leftovers_that_are_old_are_removed(sample: Sample) -> None:
    incoming = sample.root / "incoming"
    strays = [
        incoming / "upload",
        incoming / "grave" / "repo.json",
        sample.model.folder / "refs" / "heads" / ".x.0.partial",
    ]
    for path in strays:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (sample.model.folder / "uploads" / ("0" * 64)).touch()
    young = repair(sample.root)
    assert [f.severity for f in young.mended] == ["leftover"]  # the note of nothing
    assert all(path.exists() for path in strays)
    for path in [*strays, incoming / "grave"]:
        os.utime(path, (0, 0))
    report = check(sample.root)
    assert (report.is_sound, len(report.findings)) == (True, 3)
    assert repair(sample.root).findings == ()
    assert list(incoming.iterdir()) == []
    assert not (sample.root / "quarantine").exists()


def test_links_and_strange_refs_are_set_aside(sample: Sample) -> None:
    (sample.model.folder / "trees" / "x.json").symlink_to("/etc/passwd")
    (sample.model.folder / "refs" / "heads" / "a..b").write_text(sample.one)
    (sample.model.folder / "refs" / "tags" / "v2").write_text("../../secret")
    assert repair(sample.root).findings == ()
    assert sorted(p.name for p in (sample.model.folder / "refs/heads").iterdir()) == ["dev", "main"]
    assert sample.model.refs("tags") == {"v1": sample.one}


def test_with_rewind_a_branch_goes_back_to_the_commit_whose_files_are_all_there(
    sample: Sample,
) -> None:
    sample.object_of(sample.proposal, "f").unlink()
    sample.object_of(sample.two, "model.bin").unlink()
    report = repair(sample.root, rewind=True)
    heads = sample.model.refs("heads") | sample.model.refs("pr")
    assert heads == {"main": sample.one, "dev": sample.one, "1": sample.one}
    assert report.findings == ()
    assert [p for p in quarantined(sample) if "/commits/" in p] == sorted(
        f"{REPO}/commits/{commit_id}.json" for commit_id in (sample.two, sample.proposal)
    )


def test_repair_leaves_what_was_replaced_since_it_looked(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push stores the object again between the check and the repair."""
    from hfrun.hub.maintenance import repair as repair_module

    path = sample.object_of(sample.two, "model.bin")
    overwrite(path, b"rotten")

    def check_then_push(*args: object, **options: object) -> Report:
        report = check(*args, **options)  # type: ignore[arg-type]
        if path.read_bytes() == b"rotten":
            path.unlink()
            sample.store.objects.put(WEIGHTS)
        return report

    monkeypatch.setattr(repair_module, "check", check_then_push)
    report = repair(sample.root)
    assert [f.place for f in report.mended] == [f"{REPO}/uploads/{path.name}"]
    assert path.read_bytes() == WEIGHTS


def test_a_folder_that_is_no_hub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="holds no hub"):
        check(tmp_path)


def test_accounts_and_secret_of_a_hub_in_use_are_sound(sample: Sample) -> None:
    from hfrun.hub.accounts.signing import Secret

    Secret(sample.root)
    Accounts(sample.root).create_organisation("desk", members=["alice"])
    assert check(sample.root).findings == ()
    overwrite(sample.root / "secret", b"no key")
    assert [f.place for f in repair(sample.root).mended] == ["secret"]
    assert Secret(sample.root).is_signed(Secret(sample.root).sign("x"), "x")
