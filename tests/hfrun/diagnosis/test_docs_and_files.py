"""The documented rules are those of the registry, and findings are written and printed whole."""

import argparse
import json
from pathlib import Path

import pytest

from hfrun.commands import diagnose as command
from hfrun.diagnosis import RULES, diagnose, text_of, write_diagnosis
from hfrun.errors import HfrunError
from tests.hfrun.diagnosis.made_up import recorded

DOCS = Path(__file__).parents[3] / "docs" / "diagnosis.md"


def test_the_table_of_the_docs_is_the_registry() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [f"| `{rule.name}` | {rule.says} | {rule.source} |" for rule in RULES]


def test_names_of_rules_are_told_apart() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name == name.lower() for name in names)


def test_what_is_written_is_what_was_found(tmp_path: Path) -> None:
    findings = diagnose(recorded(train_accuracy=[0.6, 0.8], eval_accuracy=[0.5, 0.5]))
    write_diagnosis(findings, tmp_path)
    written = json.loads((tmp_path / "diagnosis.json").read_text(encoding="utf-8"))
    assert written == [finding.as_dict() for finding in findings] != []


def test_a_run_without_findings_is_said_to_have_none() -> None:
    assert text_of([]).startswith("no findings")


def fake_run(folder: Path, *, name: str, batch: int, parent: Path | None = None) -> Path:
    """A run's folder with what the diagnosis reads of it."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"name": name, "kind": "train"}))
    named = f"  parent: {parent}\n" if parent else ""
    (folder / "config.yaml").write_text(
        f"run:\n  name: {name}\n{named}training:\n  learning_rate: 0.001\n"
        f"  per_device_train_batch_size: {batch}\n"
    )
    events = [
        {"epoch": i + 1, "step": 10 * (i + 1), "eval_loss": loss, "train_accuracy": 0.5 + 0.1 * i}
        for i, loss in enumerate([1.0, 1.1, 1.2])
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def printed(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["diagnose", *typed])
    assert arguments.run(arguments) == 0
    return capsys.readouterr().out


def test_the_command_prints_findings_as_text_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake_run(tmp_path / "run", name="one", batch=64)
    before = sorted(path.name for path in folder.iterdir())
    assert printed(capsys, str(folder)).splitlines()[0] == "warning  overfitting_onset"
    rules = [finding["rule"] for finding in json.loads(printed(capsys, str(folder), "--json"))]
    assert rules == ["overfitting_onset", "best_at_first_evaluation"]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_the_parent_of_the_config_is_compared_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = fake_run(tmp_path / "parent", name="one", batch=64)
    child = fake_run(tmp_path / "child", name="two", batch=128, parent=parent)
    other = fake_run(tmp_path / "other", name="three", batch=256)
    assert "The batch went from 64 to 128" in printed(capsys, str(child))
    assert "The batch went from 256 to 128" in printed(capsys, str(child), "--parent", str(other))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["diagnose", str(tmp_path)])
    with pytest.raises(HfrunError, match=str(tmp_path)):
        arguments.run(arguments)
