"""``hfrun hub check | gc | export`` as they are typed: output and exit codes."""

import json
import shutil
from pathlib import Path

import pytest

from hfrun.cli import main
from tests.hfrun.hub.maintenance.conftest import Sample
from tests.hfrun.hub.maintenance.test_gc import age


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["hub", *map(str, words)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_check_exits_with_0_or_1_and_repair_with_0_once_all_is_sound(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(capsys, "check", "--root", sample.root)
    assert (code, text.startswith("sound, 0 left over: 1 repositories, 4 refs")) == (0, True)
    sample.commit_file(sample.proposal).write_bytes(b"{")
    code, text, _ = run(capsys, "check", "--root", sample.root, "--quick")
    assert code == 1
    assert "with --repair: moved to quarantine" in text
    assert text.splitlines()[-1].startswith("2 damaged, 0 left over")
    code, text, _ = run(capsys, "check", "--root", sample.root, "--json")
    report = json.loads(text)
    assert (code, report["sound"], len(report["findings"])) == (1, False, 2)
    assert set(report["findings"][0]) == {"severity", "place", "wrong", "repair", "advice"}
    code, text, _ = run(capsys, "check", "--root", sample.root, "--repair")
    assert (code, text.splitlines()[-1].startswith("sound, 2 repaired")) == (0, True)
    assert run(capsys, "check", "--root", sample.root)[0] == 0


def test_what_cannot_be_repaired_is_told_with_what_to_do(
    sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.object_of(sample.one, "f/b.txt").unlink()
    code, text, _ = run(capsys, "check", "--root", sample.root, "--repair")
    assert code == 1
    assert "cannot be repaired here: delete the file and push it again" in text


def test_bad_input_exits_with_2(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in [
        (("check", "--root", tmp_path / "none"), "holds no hub"),
        (("check", "--root", sample.root, "--rewind"), "without --repair"),
        (("gc", "--root", tmp_path), "holds no hub"),
        (("gc", "--root", sample.root, "--grace", "nan"), "got --grace nan"),
        (("gc", "--root", sample.root, "--grace", "-1"), "got --grace -1.0"),
        (("export", "--root", sample.root, "-o", tmp_path / "o"), "--all"),
        (("export", "--root", sample.root, "x/y", "-o", tmp_path / "o"), "'x/y'"),
        (("export", "--root", sample.root, "--all", "-o", sample.root), "not empty"),
    ]:
        code, _, error = run(capsys, *words)
        assert (code, message in error) == (2, True), error


def test_gc_says_what_it_freed(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    (sample.model.folder / "refs" / "pr" / "1").unlink()
    age(sample.root)
    dry = json.loads(run(capsys, "gc", "--root", sample.root, "--dry-run", "--json")[1])
    code, text, _ = run(capsys, "gc", "--root", sample.root)
    assert (code, dry["commits"], dry["trees"], dry["objects"]) == (0, 1, 1, 1)
    assert text.startswith("removed 1 commits, 1 trees, 0 notes of uploads, 1 objects and 0 ")
    assert f"{dry['bytes_freed']} bytes; kept 5 objects" in text


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_export_lists_what_it_wrote(
    sample: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, text, _ = run(capsys, "export", "--root", sample.root, "--all", "-o", out, "--json")
    assert (code, json.loads(text)) == (
        0,
        [
            {
                "repo": "Alice/M", "folder": f"{out}/models/Alice/M.git", "commits": 4, "refs": 4,
                "large_files": 1,
            }
        ],
    )  # fmt: skip
