"""Runs over texts as they are typed: what a terminal shows, and what bad input gives."""

import json
import re
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hfrun.cli import main as hfrun
from hfrun.config import StudyConfig
from lob_backtest.errors import ConfigError
from tests.hfrun.text_run_case import TextHome
from tests.terminal import stderr_on_a_terminal

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_sweep_refuses_a_seed_that_no_run_could_have() -> None:
    with pytest.raises(ConfigError, match=r"seed=-3 needs to be from 0 to 4294967295"):
        StudyConfig(grid={"dropout": [0.1]}, seeds=[0, -3])


WRONG = {
    "run.seed=-1": "run: seed=-1 needs to be from 0 to 4294967295",
    "run.seed=4294967296": "run: seed=4294967296 needs to be from 0 to 4294967295",
    "training.per_device_eval_batch_size=0": "training.per_device_eval_batch_size: got 0; needs",
    "training.per_device_train_batch_size=-8": "train_batch_size: got -8; needs",
    "training.gradient_accumulation_steps=0": "training.gradient_accumulation_steps: got 0; needs",
    "training.max_grad_norm=-1": "training.max_grad_norm: got -1.0; needs at least 0",
    "model.config.pooling=max": "model.config.pooling: Field 'pooling' expected one of",
    "model.config.hidden_dropout=much": "model.config.hidden_dropout: Field 'hidden_dropout'",
    "model.pretrained=/no/where": "/no/where: there is no such folder",
    "model.pretrained=./nowhere": "./nowhere: there is no such folder",
    "model.pretrained=hfrun/nowhere": "hfrun/nowhere: there is no such folder",
    "model.pretrained=README.md": "README.md: is a file; name the folder that it is in",
}


@pytest.mark.parametrize("override", WRONG)
def test_wrong_values_are_one_message_before_anything_is_made(
    texts: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, override: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(ROOT)
    assert texts.train(f"run.output_dir={tmp_path}/run", override) == 2
    assert WRONG[override] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def damaged(texts: TextHome, folder: Path, how: str) -> None:
    """A copy of the language model, spoilt."""
    shutil.copytree(texts.language_model, folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    if how == "cut":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif how == "without a tokenizer":
        for path in folder.glob("*token*"):
            path.unlink()
    elif how == "narrower by its config":
        known = json.loads(config.read_text())
        config.write_text(json.dumps({**known, "hidden_size": 8}))
    elif how == "not finite":
        held = load_file(weights)
        held["model.norm.weight"][3] = np.nan
        save_file(held, weights, metadata={"format": "pt"})


DAMAGED = {
    "cut": "its weights are cut off or damaged",
    "without a tokenizer": "it has no tokenizer.json); name a folder",
    "narrower by its config": "its weights have other sizes than its config says",
    "not finite": "1 of its weights hold values that are not finite, such as model.norm.weight",
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_model_is_refused_with_what_is_wrong_and_what_to_do(
    texts: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    damaged(texts, tmp_path / "model", how)
    given = (f"run.output_dir={tmp_path}/run", f"model.pretrained={tmp_path}/model")
    assert texts.train(*given) == 2
    errors = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert len(errors) == 1
    assert DAMAGED[how] in errors[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [
    ("train", "run.output_dir=FILE/in"), ("lr-find", "-o", "FILE"), ("audit", "-o", "FILE/in"),
    ("zero-shot", "-o", "FILE/in"), ("sweep", "run.output_dir=FILE/in", "study.grid.dropout=[0.1]"),
], ids=lambda words: words[0])  # fmt: skip
def test_a_file_in_place_of_a_folder_is_named_before_any_work(
    texts: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    name, *rest = (word.replace("FILE", str(file)) for word in command)
    assert hfrun([name, str(texts.config), *rest]) == 2
    captured = capsys.readouterr()
    assert f"{file} is a file; " in captured.err
    assert len(captured.err.splitlines()) == 1
    assert (captured.out, file.read_text()) == ("", "mine")


@pytest.mark.parametrize("room", [12_000, 40_000], ids=["model", "optimizer"])
def test_a_full_disk_is_one_message_and_the_run_goes_on_once_there_is_room(
    texts: TextHome, tmp_path: Path, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    given = (*SHORT, f"run.output_dir={tmp_path}/run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        code = texts.train(*given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err
    assert (code, "Traceback" in error) == (2, False)
    assert "free space on the disk" in error.splitlines()[-1]
    assert texts.train(*given) == 0
