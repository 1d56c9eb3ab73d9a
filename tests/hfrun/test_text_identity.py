"""Which changes make a run over texts another run, and which only move its files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hfrun.data.texts import read_splits
from hfrun.run_folder import run_identity
from tests.hfrun.text_run_case import TextHome


@pytest.fixture
def home(tmp_path: Path) -> TextHome:
    (tmp_path / "texts").mkdir()
    return TextHome.make(tmp_path / "texts")


def identity(home: TextHome, *overrides: str) -> str:
    config = home.load(*overrides)
    return run_identity(config, kind="train", data=list(read_splits(config.data).fingerprints))


OTHER = [
    "run.seed=1", "data.template='{text} It was'", "data.max_length=39", "data.labels=[good, bad]",
    "model.label_words=[awful, fine]", "model.config.pooling=mean", "model.lora={rank: 2}",
    "model.freeze.layers=1", "model.gguf_file=a.gguf", "training.layer_decay=0.9",
    "training.length_grouped=false", "callbacks.dropout_schedule={points: {0: 0.1}}",
]  # fmt: skip


def test_what_a_model_depends_on_makes_another_run(home: TextHome) -> None:
    found = [identity(home, override) for override in OTHER]
    assert len({identity(home), *found}) == len(OTHER) + 1
    same = ["run.name=x", "run.output_dir=y", "gates.f1_lift=0.1", "hub.repo=a/b"]
    assert {identity(home, override) for override in same} == {identity(home)}


def change_json(path: Path, **values: object) -> None:
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, **values}), encoding="utf-8")


def another_weight(home: TextHome) -> None:
    path = home.language_model / "model.safetensors"
    state = load_file(path)
    save_file({**state, "model.norm.weight": state["model.norm.weight"] + 0.1}, path)


def as_torch_file(home: TextHome) -> None:
    path = home.language_model / "model.safetensors"
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()


def another_mark(home: TextHome) -> None:
    change_json(home.language_model / "tokenizer_config.json", bos_token="the")


def another_piece(home: TextHome) -> None:
    (home.language_model / "added_tokens.json").write_text('{"superb fine": 40}', encoding="utf-8")


def another_epsilon(home: TextHome) -> None:
    change_json(home.language_model / "config.json", rms_norm_eps=1e-3)


def one_text_less(home: TextHome) -> None:
    path = home.home / "validation.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]), encoding="utf-8")


CHANGES: list[Callable[[TextHome], None]] = [
    another_weight, as_torch_file, another_mark, another_piece, another_epsilon, one_text_less,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_other_content_under_the_same_names_is_another_run(
    home: TextHome, change: Callable[[TextHome], None]
) -> None:
    before = identity(home)
    change(home)
    assert identity(home) != before


def test_files_that_move_with_their_content_stay_the_same_run(
    home: TextHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity(home)
    own = identity(home, f"model.tokenizer={home.language_model}")
    moved = home.home.parent / "elsewhere"
    shutil.copytree(home.home, moved)
    weights = f"model.pretrained={moved / 'language_model'}"
    texts = [f"data.{part}={moved / part}.txt" for part in ("train", "validation", "test")]
    assert identity(home, weights, *texts) == before
    assert identity(home, f"model.tokenizer={moved / 'language_model'}") == own
    monkeypatch.setenv("WEIGHTS", str(moved / "language_model"))
    assert identity(home, "model.pretrained=${WEIGHTS}") == before
    monkeypatch.setenv("WEIGHTS", str(moved))
    assert identity(home, "model.pretrained=${WEIGHTS}/language_model") == before


def test_a_moved_run_is_judged_with_its_weights_elsewhere(home: TextHome) -> None:
    assert home.train("training.max_steps=2") == 0
    moved = home.home.parent / "elsewhere"
    shutil.move(home.language_model, moved)
    assert home.train("training.max_steps=2", f"model.pretrained={moved}") == 0
