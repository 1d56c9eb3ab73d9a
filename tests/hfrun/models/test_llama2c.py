"""A llama2.c checkpoint becomes the same model in transformers; other files are refused."""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from hfrun.commands.import_weights import add_parser
from hfrun.errors import ModelError
from hfrun.models.llama2c import import_llama2c
from hfrun.models.llama2c_file import halves_from_pairs
from hfrun.models.llama_folder import greedy_text
from lob_backtest.command_line import run_command
from tests.hfrun.models.llama_files import arrays, llama2c_bytes, tiny_llama, write_llama2c

# What run.c prints for stories260K at temperature 0 in 256 steps; llama2.c, doc/stories260K.md
PUBLISHED = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. "
    'She said, "I want to play with your ball, but I can\'t find it."\n'
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\nLily didn't want to help her mom, so she said, \"I'm sorry, mom. I didn't know what "
    'to do." Her mom said, "Don\'t worry, Lily. We can help you.'
)


@pytest.fixture
def stories(lob_data_dir: Path) -> Path:
    folder = lob_data_dir / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("no stories260K in LOB_DATA_DIR/models")
    return folder


def hfrun_import(*words: object) -> int:
    parser = argparse.ArgumentParser(prog="hfrun")
    add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["import", *map(str, words)])


def test_rows_that_turn_together_move_half_a_head_apart() -> None:
    rows = torch.tensor([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0], [12.0], [13.0]])
    moved = halves_from_pairs(rows, head_dim=4)
    assert moved.flatten().tolist() == [0, 2, 1, 3, 10, 12, 11, 13]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("tied", [True, False])
def test_the_imported_model_is_the_written_one_bit_for_bit(
    version: int, tied: bool, tmp_path: Path
) -> None:
    model = tiny_llama(tied=tied)
    imported = import_llama2c(*write_llama2c(tmp_path, model, version=version), tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    wanted = model.state_dict()
    assert sorted(loaded.state_dict()) == sorted(wanted)
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, wanted[name]), name
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == tied
    tokens = torch.randint(model.config.vocab_size, (3, 40))
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert imported.parameters == model.num_parameters()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "out", "tok.bin"]


def by_hand(held: dict[str, np.ndarray], tokens: list[int], *, heads: int) -> np.ndarray:
    """Logits of the last token as run.c computes them, neighbours turned together, in float64."""

    def normal(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return weight * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)

    n, dim = len(tokens), held["embedding"].shape[1]
    head_dim = dim // heads
    rates = 10_000.0 ** (-np.arange(0, head_dim, 2) / head_dim)
    turns = np.exp(1j * np.outer(np.arange(n), rates))[:, None]  # (n, 1, head_dim / 2)

    def turned(x: np.ndarray) -> np.ndarray:
        pairs = x.reshape(n, -1, head_dim // 2, 2)
        spun = (pairs[..., 0] + 1j * pairs[..., 1]) * turns
        return np.stack([spun.real, spun.imag], -1).reshape(n, -1, head_dim)

    x = held["embedding"][tokens].astype(np.float64)
    for layer in range(len(held["wq"])):
        inner = normal(x, held["att_norm"][layer])
        q = turned(inner @ held["wq"][layer].T)
        k = turned(inner @ held["wk"][layer].T)
        v = (inner @ held["wv"][layer].T).reshape(n, -1, head_dim)
        shared = heads // k.shape[1]
        k, v = np.repeat(k, shared, 1), np.repeat(v, shared, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(head_dim)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", weights, v).reshape(n, dim) @ held["wo"][layer].T
        inner = normal(x, held["ffn_norm"][layer])
        gate = inner @ held["w1"][layer].T
        gate = gate / (1 + np.exp(-gate)) * (inner @ held["w3"][layer].T)
        x = x + gate @ held["w2"][layer].T
    return np.asarray(normal(x[-1], held["norm"]) @ held["head"].T)


def test_logits_are_those_of_the_computation_that_the_format_is_made_for(tmp_path: Path) -> None:
    model = tiny_llama(tied=False, seed=1)
    import_llama2c(*write_llama2c(tmp_path, model), tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokens = [1, 262, 270, 5, 263, 270, 271, 259]
    with torch.no_grad():
        logits = loaded(torch.tensor([tokens])).logits[0, -1].numpy()
    wanted = by_hand(arrays(model), tokens, heads=4)
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=2e-5)


def test_stories260k_is_its_published_form_and_tells_the_published_story(
    stories: Path, tmp_path: Path
) -> None:
    imported = import_llama2c(stories / "stories260K.bin", stories / "tok512.bin", tmp_path / "out")
    assert (imported.parameters, imported.layers, imported.vocab_size) == (260_032, 5, 512)
    assert imported.text == PUBLISHED[: len(imported.text)]
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    theirs = AutoModelForCausalLM.from_pretrained(stories / "hf")
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name
    tokens = torch.randint(512, (2, 512), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(tokens).logits, theirs(tokens).logits)
    assert greedy_text(tmp_path / "out", prompt="", new_tokens=256) == PUBLISHED


@pytest.mark.parametrize("version", [0, 1])
def test_a_file_that_is_cut_off_anywhere_or_too_long_is_refused(
    version: int, tmp_path: Path
) -> None:
    whole = llama2c_bytes(tiny_llama(tied=True), version=version)
    checkpoint, tokenizer = write_llama2c(tmp_path, tiny_llama(tied=True))
    for n_bytes in (0, 3, 27, 28, 200, 256, len(whole) // 2, len(whole) - 1):
        checkpoint.write_bytes(whole[:n_bytes])
        with pytest.raises(ModelError, match=rf"has {n_bytes:,} bytes .*cut off"):
            import_llama2c(checkpoint, tokenizer, tmp_path / "out")
    checkpoint.write_bytes(whole + b"\0")
    with pytest.raises(ModelError, match=f"has {len(whole) + 1:,} bytes .* needs {len(whole):,}"):
        import_llama2c(checkpoint, tokenizer, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"GGUF" + bytes(300), "a GGUF file: use hfrun import gguf"),
        (b"PK\x03\x04" + bytes(300), "a PyTorch checkpoint: export it"),
        (b"24ka" + struct.pack("<i", 2) + bytes(300), "version 2, which is rounded to 8 bits"),
        (b"once upon a time there was no model at all", "its header reads as dim 1701015151"),
        (struct.pack("<7i", 64, 172, 5, 7, 4, 512, 512), "n_heads 7"),
        (struct.pack("<7i", 64, 172, 5, 8, 3, 512, 512), "n_kv_heads 3"),
        (struct.pack("<7i", 64, 172, 0, 8, 4, 512, 512), "n_layers 0"),
        (
            struct.pack("<7i", *([2**30] * 3), 1, 1, 2**30, 2**30),
            "needs 34,662,321,118,437,391,775,179,997,212",
        ),
    ],
)
def test_files_of_other_formats_are_told_apart(start: bytes, told: str, tmp_path: Path) -> None:
    checkpoint, tokenizer = write_llama2c(tmp_path, tiny_llama(tied=True))
    checkpoint.write_bytes(start)
    with pytest.raises(ModelError, match=told):
        import_llama2c(checkpoint, tokenizer, tmp_path / "out")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file .*model\.bin"):
        import_llama2c(tmp_path / "model.bin", tmp_path / "tok.bin", tmp_path / "out")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = tiny_llama(tied=True)
    model.state_dict()["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    with pytest.raises(ModelError, match=r"1 tensors such as model\.layers\.1\.mlp\.up_proj"):
        import_llama2c(*write_llama2c(tmp_path, model), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_made_for_other_rotary_angles_needs_their_base(tmp_path: Path) -> None:
    files = write_llama2c(tmp_path, tiny_llama(tied=True), theta=500_000.0)
    with pytest.raises(ModelError, match=r"not that of rope_theta 10000 but of about (49|50)\d{4}"):
        import_llama2c(*files, tmp_path / "out")
    import_llama2c(*files, tmp_path / "out", rope_theta=500_000.0)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert loaded.config.rope_parameters["rope_theta"] == 500_000.0


def test_an_empty_table_of_angles_says_nothing(tmp_path: Path) -> None:
    model = tiny_llama(tied=True)
    checkpoint, tokenizer = write_llama2c(tmp_path, model)
    whole = checkpoint.read_bytes()
    n_table = 2 * 40 * 4 * 4  # cos and sin, 40 positions, half a head of 8, float32
    checkpoint.write_bytes(whole[:-n_table] + bytes(n_table))
    import_llama2c(checkpoint, tokenizer, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    files = write_llama2c(tmp_path, tiny_llama(tied=True))
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists and is no model folder"):
        import_llama2c(*files, tmp_path / "diary")
    assert [path.name for path in (tmp_path / "diary").iterdir()] == ["notes.txt"]


def test_an_import_again_replaces_the_model_and_a_failed_one_leaves_it(tmp_path: Path) -> None:
    files = write_llama2c(tmp_path, tiny_llama(tied=True))
    import_llama2c(*files, tmp_path / "out")
    first = (tmp_path / "out" / "model.safetensors").read_bytes()
    files = write_llama2c(tmp_path, tiny_llama(tied=True, seed=5))
    with pytest.raises(ModelError, match="no file"):
        import_llama2c(files[0], tmp_path / "none.bin", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == first
    import_llama2c(*files, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() != first


def test_the_command_prints_what_it_imported(tmp_path: Path, capsys) -> None:
    model = tiny_llama(tied=True)
    checkpoint, tokenizer = write_llama2c(tmp_path, model)
    words = ("llama2c", checkpoint, "--tokenizer", tokenizer, "-o", tmp_path / "out")
    assert hfrun_import(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("text").startswith("Once")
    assert told == {
        "folder": str(tmp_path / "out"),
        "stored": "llama2.c version 0, float32",
        "parameters": model.num_parameters(),
        "layers": 2,
        "hidden_size": 32,
        "vocab_size": 284,
        "max_tokens": 40,
    }
    assert hfrun_import(*words) == 0
    assert "AutoModelForCausalLM.from_pretrained(" in capsys.readouterr().out
    checkpoint.write_bytes(b"")
    assert hfrun_import(*words) == 2
    assert "cut off" in capsys.readouterr().err
