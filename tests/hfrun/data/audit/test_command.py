"""`hfrun audit CONFIG`: what it prints, writes and returns."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hfrun.commands.audit import add_parser
from lob_backtest.command_line import run_command
from tests.hfrun.data.audit.cases import TEST, TRAIN, VALIDATION


def audit(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="hfrun")
    add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["audit", *words])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A config over texts, of which one of test stands in train too; its model is not there."""
    parts = {"train": [*TRAIN, TEST[0]], "validation": VALIDATION, "test": TEST}
    data: dict[str, Any] = {"labels": ["bad", "good"]}
    for part, lines in parts.items():
        path = tmp_path / f"{part}.txt"
        path.write_text(
            "".join(f"{i % 2} ||| {line}\n" for i, line in enumerate(lines)), encoding="utf-8"
        )
        data[part] = str(path)
    return written(tmp_path, data, model={"pretrained": str(tmp_path / "no_model")})


@pytest.fixture
def book(tmp_path: Path) -> Path:
    data = {
        "book": {"days": 2, "rows_per_day": 1500, "levels": 2},
        "decisions": {"every_events": 5},
        "label": {"horizon_events": 10},
        "window": 20,
    }
    return written(tmp_path, data, walk_forward={"train": 150, "validation": 50, "test": 50})


def written(folder: Path, data: dict[str, Any], **sections: Any) -> Path:
    config = {
        "run": {"name": "audited", "output_dir": str(folder / "run")},
        "data": data,
        "training": {"num_train_epochs": 1},
        **sections,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def test_an_error_is_shown_and_stops_with_what_to_do(
    texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(str(texts)) == 2
    said = capsys.readouterr()
    assert "error     duplicates_across_splits  1  (train, test)" in said.out
    assert "data.audit.accept.duplicates_across_splits=1" in said.err
    assert "truncation is not looked at, for want of a tokenizer" in said.err
    assert "Traceback" not in said.err


def test_what_is_accepted_lets_a_training_begin(
    texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accepting = "data.audit.accept.duplicates_across_splits=1"
    assert audit(str(texts), accepting, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["stops"] == []
    assert report["accepted"] == {"duplicates_across_splits": 1}
    assert [f["name"] for f in report["findings"]] == [
        "duplicates_across_splits",
        "few_texts_of_class",
    ]


def test_the_audit_is_written_where_it_is_asked_for_and_nowhere_else(
    texts: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    audit(str(texts))
    assert set(tmp_path.rglob("*")) == before
    assert audit(str(texts), "-o", str(tmp_path / "out")) == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"audit.json", "audit.txt"}


def test_a_name_that_no_finding_has_is_bad_input(
    texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(str(texts), "data.audit.accept.duplicates=1") == 2
    assert "did you mean duplicates_" in capsys.readouterr().err


def test_a_book_is_audited_on_the_folds_of_its_walk_or_on_the_split_of_a_training(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(str(book), "--json") == 0
    walk = json.loads(capsys.readouterr().out)
    assert audit(str(book), "--json", "--folds", "holdout") == 0
    holdout = json.loads(capsys.readouterr().out)
    assert (walk["kind"], holdout["kind"]) == ("book", "book")
    assert walk["sizes"] != holdout["sizes"]
    assert 0.55 < holdout["sizes"]["train"] / sum(holdout["sizes"].values()) < 0.65


def test_folds_of_texts_are_bad_input(texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(str(texts), "--folds", "holdout") == 2
    assert "texts have no folds" in capsys.readouterr().err


def test_a_walk_that_the_config_lacks_is_bad_input(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = yaml.safe_load(book.read_text("utf-8"))
    del raw["walk_forward"]
    book.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert audit(str(book)) == 0
    assert audit(str(book), "--folds", "walk-forward") == 2
    assert "walk_forward: missing" in capsys.readouterr().err
