"""A llama2.c checkpoint file: its sizes, and its tensors under transformers' names.

References: https://github.com/karpathy/llama2.c, export.py and run.c, for the two layouts.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hfrun.errors import ModelError

TABLES = ("rotary.cos", "rotary.sin")
_MAGIC = b"24ka"
_HEADER_BYTES = {0: 28, 1: 256}
_SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
_FOREIGN = {
    b"GGUF": "a GGUF file: use hfrun import gguf",
    b"PK\x03\x04": "a PyTorch checkpoint: export it with llama2.c's export.py first",
}


@dataclass(frozen=True, kw_only=True)
class Llama2cHeader:
    """Sizes of a checkpoint; ``is_tied`` where the head is the token embedding."""

    version: int
    is_tied: bool
    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.n_heads


class Stack(NamedTuple):
    """``n`` tensors of one shape that follow each other, one a layer where ``name`` has ``{}``."""

    name: str
    shape: tuple[int, ...]
    n: int = 1

    @property
    def size(self) -> int:
        """Values in one tensor."""
        return math.prod(self.shape)


def read_llama2c(file: Path) -> tuple[Llama2cHeader, dict[str, Tensor]]:
    """The sizes and the tensors of a checkpoint, under transformers' names and in its row order.

    A version 0 file also has ``rotary.cos`` and ``rotary.sin``, each ``(seq_len, head_dim / 2)``.

    Raises:
        ModelError: the file is missing, cut off, quantized or of another format.
    """
    header = _read_header(file)
    layout = _layout(header)
    n_bytes = _HEADER_BYTES[header.version] + 4 * sum(stack.n * stack.size for stack in layout)
    if file.stat().st_size != n_bytes:
        sizes = ", ".join(f"{name} {getattr(header, name)}" for name in _SIZES)
        raise ModelError(
            f"{file} has {file.stat().st_size:,} bytes and its header ({sizes}) needs {n_bytes:,}: "
            "it is cut off, or no llama2.c checkpoint; fetch or export it again"
        )
    values = np.memmap(file, dtype="<f4", mode="r", offset=_HEADER_BYTES[header.version])
    tensors: dict[str, Tensor] = {}
    start = 0
    for stack in layout:
        for layer in range(stack.n):
            part = np.array(values[start : start + stack.size], dtype=np.float32)
            tensors[stack.name.format(layer)] = torch.from_numpy(part.reshape(stack.shape))
            start += stack.size
    for name, held in tensors.items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensors[name] = halves_from_pairs(held, head_dim=header.head_dim)
    return header, tensors


def halves_from_pairs(weight: Tensor, *, head_dim: int) -> Tensor:
    """Reorder the rows of a query or key matrix from llama2.c's rotation to transformers'.

    Within each head, both turn pairs of rows by the same angles: llama2.c neighbours, transformers
    rows that are half a head apart::

        llama2.c      a0 b0 a1 b1 a2 b2
        transformers  a0 a1 a2 b0 b1 b2

    Args:
        weight: ``(heads * head_dim, dim)``.
        head_dim: even.
    """
    pairs = weight.view(-1, head_dim // 2, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape).contiguous()


def _read_header(file: Path) -> Llama2cHeader:
    if not file.is_file():
        raise ModelError(f"no file {file}; name a llama2.c checkpoint (.bin)")
    with file.open("rb") as stream:
        start = stream.read(_HEADER_BYTES[1])
    for magic, told in _FOREIGN.items():
        if start.startswith(magic):
            raise ModelError(f"{file} is no llama2.c checkpoint but {told}")
    version = 1 if start.startswith(_MAGIC) else 0
    if len(start) < _HEADER_BYTES[version]:
        raise ModelError(
            f"{file} has {len(start)} bytes and a llama2.c header {_HEADER_BYTES[version]}: it is "
            "cut off, or no llama2.c checkpoint; fetch or export it again"
        )
    header = _header_1(start, file) if version else _header_0(start)
    is_sound = (
        min(getattr(header, name) for name in _SIZES) > 0
        and header.dim % (2 * header.n_heads) == 0  # a head's rows are turned in pairs
        and header.n_heads % header.n_kv_heads == 0
    )
    if not is_sound:
        sizes = ", ".join(f"{name} {getattr(header, name)}" for name in _SIZES)
        raise ModelError(
            f"{file} is no llama2.c checkpoint: its header reads as {sizes}; name a .bin that "
            "llama2.c's export.py wrote"
        )
    return header


def _header_0(start: bytes) -> Llama2cHeader:
    """Seven sizes; a negative vocabulary says that the head has weights of its own."""
    sizes = dict(zip(_SIZES, struct.unpack("<7i", start[:28]), strict=True))
    is_tied = sizes["vocab_size"] > 0
    sizes["vocab_size"] = abs(sizes["vocab_size"])
    return Llama2cHeader(version=0, is_tied=is_tied, **sizes)


def _header_1(start: bytes, file: Path) -> Llama2cHeader:
    """A magic number, the version, seven sizes and whether the head is tied, in 256 bytes."""
    version, *values, tied = struct.unpack("<8iB", start[4:37])
    if version != 1:
        raise ModelError(
            f"{file} is a llama2.c checkpoint of version {version}, which is rounded to 8 bits or "
            "newer than known; export the model again with --version 0 or 1"
        )
    return Llama2cHeader(version=1, is_tied=bool(tied), **dict(zip(_SIZES, values, strict=True)))


def _layout(header: Llama2cHeader) -> list[Stack]:
    """What a file holds, in its order: each matrix of all layers before the next one."""
    dim, hidden = header.dim, header.hidden_dim
    key_rows = header.n_kv_heads * header.head_dim
    embedding = Stack("model.embed_tokens.weight", (header.vocab_size, dim))
    norm = Stack("model.norm.weight", (dim,))
    heads = [] if header.is_tied else [Stack("lm_head.weight", (header.vocab_size, dim))]

    def layers(part: str, *shape: int) -> Stack:
        return Stack(f"model.layers.{{}}.{part}.weight", shape, header.n_layers)

    attention_norm = layers("input_layernorm", dim)
    feed_norm = layers("post_attention_layernorm", dim)
    attention = [
        layers("self_attn.q_proj", dim, dim),
        layers("self_attn.k_proj", key_rows, dim),
        layers("self_attn.v_proj", key_rows, dim),
        layers("self_attn.o_proj", dim, dim),
    ]
    feed = [
        layers("mlp.gate_proj", hidden, dim),
        layers("mlp.down_proj", dim, hidden),
        layers("mlp.up_proj", hidden, dim),
    ]
    if header.version == 1:
        return [attention_norm, feed_norm, norm, embedding, *attention, *feed, *heads]
    tables = [Stack(name, (header.seq_len, header.head_dim // 2)) for name in TABLES]
    return [embedding, attention_norm, *attention, feed_norm, *feed, norm, *tables, *heads]
