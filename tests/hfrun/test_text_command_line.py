"""Runs over texts as they are typed: what a terminal shows, and what bad input gives."""

import json
import re
from pathlib import Path

import pytest

from tests.hfrun.text_run_case import TextHome
from tests.terminal import stderr_on_a_terminal

SHORT = ("training.max_steps=4", "training.eval_strategy=steps", "training.eval_steps=4",
         "training.save_strategy=steps", "training.save_steps=4")  # fmt: skip


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    return TextHome.make(tmp_path_factory.mktemp("typed"))


def test_a_weight_decay_schedule_is_taken_and_logged(texts: TextHome, tmp_path: Path) -> None:
    schedule = "callbacks.weight_decay_schedule={points: {0: 0.25}}"
    assert texts.train(*SHORT, schedule, f"run.output_dir={tmp_path}/run") == 0
    lines = [json.loads(x) for x in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {line["weight_decay"] for line in lines if "weight_decay" in line} == {0.25}


def left_on(shown: str) -> list[str]:
    """The lines that stand on a terminal in the end: what was written over is gone."""
    lines, row = [""], 0
    for move in re.split(r"(\x1b\[A|\r?\n)", shown):
        if move == "\x1b[A":
            row -= 1
        elif move.endswith("\n"):
            row += 1
            lines += [""] * (row == len(lines))
        else:
            for part in move.split("\r"):
                lines[row] = part + lines[row][len(part) :]
    return [line.rstrip() for line in lines if line.strip()]


def test_no_bar_of_loading_or_saving_weights_stays_on_a_terminal(
    texts: TextHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.utils.logging._tqdm_active", True)
    with stderr_on_a_terminal() as shown:
        assert texts.train(*SHORT, f"run.output_dir={tmp_path}/run") == 0
    assert "Loading weights" in shown.text
    assert [line for line in left_on(shown.text) if "eights" in line or "shards" in line] == []
    assert any("step 4/4" in line for line in left_on(shown.text))
