"""``hfrun replay``: JSON for programs, a table for people, one message for what cannot be."""

import argparse
import json
from pathlib import Path

import pytest

from hfrun.commands import replay
from lob_backtest.command_line import run_command

RUN = {
    "run": "made up | 測試",
    "config": {"lr": 1e-4},
    "epochs": [
        {"epoch": epoch, "eval_accuracy": score, "grad_norm": norm}
        for epoch, score, norm in [(0, 0.4, 1.0), (1, 0.5, 6.0), (2, 0.45, 7.0), (3, 0.6, "NaN")]
    ],
}
RULES = "stop_rules:\n  - {rule: above, metric: grad_norm, limit: 5.0, consecutive: 2}\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    runs, rules = tmp_path / "runs.jsonl", tmp_path / "rules.yaml"
    runs.write_text(json.dumps(RUN, ensure_ascii=False) + '\n\n{"run": "bare"}\n', encoding="utf-8")
    rules.write_text(RULES, encoding="utf-8")
    return runs, rules


def typed(*words: object) -> int:
    parser = argparse.ArgumentParser()
    replay.add_parser(parser.add_subparsers())
    return run_command(parser, ["replay", *map(str, words)])


def test_json_has_an_entry_for_every_run_with_what_is_missing_as_null(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, rules = files
    assert typed(runs, "--rules", rules, "--json") == 0
    first, bare = json.loads(capsys.readouterr().out)
    assert (first["run"], first["stop_epoch"], first["rule"]) == (
        "made up | 測試", 2, "above grad_norm",
    )  # fmt: skip
    assert (first["best_epoch"], first["chosen_epoch"], first["epochs_saved"]) == (3, 1, 1)
    assert first["score_lost"] == 0.1
    assert first["fired"]["value"] == 7.0
    assert {name: bare[name] for name in ("stop_epoch", "rule", "best_epoch", "score_lost")} == {
        "stop_epoch": None, "rule": None, "best_epoch": None, "score_lost": None,
    }  # fmt: skip
    assert (bare["epochs_saved"], bare["findings"]) == (0, [])


def test_the_table_says_why_and_what_was_saved(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, rules = files
    assert typed(runs, "--rules", rules) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "epochs", "stop", "by", "best", "at", "chosen", "saved",
                                "lost", "failed", "gates", "findings"]  # fmt: skip
    assert "- made up | 測試: after epoch 2, grad_norm 7 is above 5, 2 times in a row" in lines
    assert lines[-1] == (
        "1 of 2 stopped; 1 of 4 epochs saved; 1 lost score, at most 0.1 eval_accuracy "
        "(made up | 測試)."
    )


@pytest.mark.parametrize(
    ("runs", "rules", "words"),
    [
        ('{"run": "a"}\n{"epochs": []}\n', RULES, "line 2: needs an object with"),
        ("", RULES, "no runs in it"),
        ('{"run": "a"}\n', "stop_rules: []\n", "stop_rules: got []; needs a list of at least one"),
        ('{"run": "a"}\n', "- {rule: fast}\n", "stop_rules[0].rule: got 'fast'"),
        ('{"run": "a"}\n', "stop_rules: {\n", "not valid YAML"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: str, rules: str, words: str
) -> None:
    (tmp_path / "runs.jsonl").write_text(runs, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    assert typed(tmp_path / "runs.jsonl", "--rules", tmp_path / "rules.yaml") == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_files_that_are_not_there_are_named(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, rules = files
    assert typed(runs.with_name("none.jsonl"), "--rules", rules) == 2
    assert "none.jsonl: cannot be read" in capsys.readouterr().err
    assert typed(runs.parent, "--rules", rules) == 2
    assert "no run.json in it" in capsys.readouterr().err
    assert typed(runs, "--rules", rules.with_name("none.yaml")) == 2
    assert "none.yaml: no such rules file" in capsys.readouterr().err
