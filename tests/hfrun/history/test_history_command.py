"""``hfrun history`` as it is typed."""

import argparse
import json
from pathlib import Path

import pytest

from hfrun.commands import history
from lob_backtest.command_line import run_command
from tests.hfrun.history.runs_case import write_run


def typed(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="hfrun")
    history.add_parser(parser.add_subparsers(dest="command", required=True))
    return run_command(parser, ["history", *words])


def recorded_in(folder: Path) -> Path:
    path = folder / "old.jsonl"
    epoch = {"epoch": 0, "train_accuracy": 0.5, "eval_accuracy": 0.25}
    path.write_text(json.dumps({"run": "old", "epochs": [epoch], "test_accuracy": 0.408}) + "\n")
    return path


def test_the_runs_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a")
    assert typed(str(tmp_path)) == 0
    assert capsys.readouterr().out == f"1 run in {tmp_path / 'HISTORY.md'}\n"
    assert typed(str(tmp_path), "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [each["run"] for each in entries] == ["a"]


def test_the_default_folder_is_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed() == 2
    assert "runs: no such folder" in capsys.readouterr().err
    write_run(tmp_path / "runs" / "a")
    assert typed("--language", "zh-TW") == 0
    assert "# 調參日誌" in (tmp_path / "runs" / "HISTORY.md").read_text(encoding="utf-8")


def test_recorded_runs_alone_go_where_they_are_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "a")
    assert typed("--recorded", str(recorded_in(tmp_path)), "-o", "diary") == 0
    lines = (tmp_path / "diary" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["old"]
    assert typed("runs", "--recorded", str(recorded_in(tmp_path))) == 0
    lines = (tmp_path / "runs" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["old", "a"]


def test_a_note_is_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "a")
    assert typed("note", str(run), "before there is a diary") == 0
    assert capsys.readouterr().out == f"noted in {run / 'note.md'}\n"
    assert typed(str(tmp_path)) == 0
    assert typed("note", str(run), "second", "--json") == 0
    assert "before there is a diary\n\nsecond" in (tmp_path / "HISTORY.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["note", "nowhere"], "needs: hfrun history note RUN"),
        (["note", "nowhere", "text"], "nowhere: no run in it"),
        (["one", "two"], "got one two; needs one folder"),
        (["--recorded", "missing.jsonl", "-o", "diary"], "missing.jsonl: cannot be read"),
    ],
)
def test_bad_input_is_one_message(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(*words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
