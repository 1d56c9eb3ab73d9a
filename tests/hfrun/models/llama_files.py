"""LLaMA weights written as files of other programs, by their descriptions, without our readers."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

SPACE = "▁"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# merges in the order they were learnt, then the single characters, as sentencepiece trains them
LEARNT = [" t", "he", " the", " c", "at", " cat", "er", " a", "nd", " and", "the", "an"]
CHARACTERS = [*" thecadnrsb.", "é"]
VOCAB_SIZE = 3 + 256 + len(LEARNT) + len(CHARACTERS)


def tiny_llama(*, tied: bool, seed: int = 0, **sizes: Any) -> LlamaForCausalLM:
    """A random LLaMA with grouped heads, whose logits are far from equal."""
    told = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 40,
        "rms_norm_eps": 1e-5,
        "initializer_range": 0.3,
        "tie_word_embeddings": tied,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**(told | sizes))).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    return model


def pieces() -> list[tuple[str, float]]:
    """Text and score of every token, as a ``tokN.bin`` has them."""
    special = [("<unk>", 0.0), ("\n<s>\n", 0.0), ("\n</s>\n", 0.0)]
    scored = [(text, -float(rank)) for rank, text in enumerate([*LEARNT, *CHARACTERS])]
    return [*special, *((text, 0.0) for text in BYTES), *scored]


def tokenizer_bytes(tokens: list[tuple[str, float]]) -> bytes:
    """The bytes of a ``tokN.bin``."""
    raw = [(text.encode(), score) for text, score in tokens]
    parts = [struct.pack("<i", max(len(text) for text, _ in raw))]
    parts += [struct.pack("<fi", score, len(text)) + text for text, score in raw]
    return b"".join(parts)


def neighbours(weight: torch.Tensor, *, head_dim: int) -> np.ndarray:
    """Query or key rows with the rows that turn together side by side, one row at a time."""
    rows = weight.numpy()
    turned = np.empty_like(rows)
    half = head_dim // 2
    for head in range(len(rows) // head_dim):
        for pair in range(half):
            turned[head * head_dim + 2 * pair] = rows[head * head_dim + pair]
            turned[head * head_dim + 2 * pair + 1] = rows[head * head_dim + half + pair]
    return turned


def arrays(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    """Weights under Meta's short names, rotated pairs side by side, layers stacked."""
    state, config = model.state_dict(), model.config
    head_dim = config.hidden_size // config.num_attention_heads

    def stack(part: str) -> np.ndarray:
        held = [state[f"model.layers.{i}.{part}.weight"] for i in range(config.num_hidden_layers)]
        if part in ("self_attn.q_proj", "self_attn.k_proj"):
            return np.stack([neighbours(weight, head_dim=head_dim) for weight in held])
        return np.stack([weight.numpy() for weight in held])

    named = {
        "att_norm": "input_layernorm",
        "wq": "self_attn.q_proj",
        "wk": "self_attn.k_proj",
        "wv": "self_attn.v_proj",
        "wo": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "w1": "mlp.gate_proj",
        "w2": "mlp.down_proj",
        "w3": "mlp.up_proj",
    }
    return {
        "embedding": state["model.embed_tokens.weight"].numpy(),
        "norm": state["model.norm.weight"].numpy(),
        "head": state["lm_head.weight"].numpy(),
        **{short: stack(part) for short, part in named.items()},
    }


def llama2c_bytes(model: LlamaForCausalLM, *, version: int, theta: float = 10_000.0) -> bytes:
    """The bytes of a llama2.c checkpoint of version 0 or 1."""
    config, held = model.config, arrays(model)
    tied = config.tie_word_embeddings
    vocab = config.vocab_size if tied or version == 1 else -config.vocab_size
    sizes = struct.pack(
        "<7i",
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        vocab,
        config.max_position_embeddings,
    )
    attention, feed = ["wq", "wk", "wv", "wo"], ["w1", "w2", "w3"]
    if version == 0:
        head = sizes
        order = ["embedding", "att_norm", *attention, "ffn_norm", *feed, "norm", "cos", "sin"]
    else:
        head = (b"24ka" + struct.pack("<i", 1) + sizes + bytes([tied])).ljust(256, b"\0")
        order = ["att_norm", "ffn_norm", "norm", "embedding", *attention, *feed]
    head_dim = config.hidden_size // config.num_attention_heads
    rates = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.outer(np.arange(config.max_position_embeddings), rates)
    held |= {"cos": np.cos(angles), "sin": np.sin(angles)}
    order += [] if tied else ["head"]
    return head + b"".join(held[name].astype("<f4").tobytes() for name in order)


def write_llama2c(
    folder: Path, model: LlamaForCausalLM, *, version: int = 0, theta: float = 10_000.0
) -> tuple[Path, Path]:
    """A checkpoint and its tokenizer in a folder."""
    checkpoint, tokenizer = folder / "model.bin", folder / "tok.bin"
    checkpoint.write_bytes(llama2c_bytes(model, version=version, theta=theta))
    tokenizer.write_bytes(tokenizer_bytes(pieces()))
    return checkpoint, tokenizer
