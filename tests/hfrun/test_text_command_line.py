"""Runs over texts as they are typed: what a terminal shows, and what bad input gives."""

import json
from pathlib import Path

import pytest

from tests.hfrun.text_run_case import TextHome

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
