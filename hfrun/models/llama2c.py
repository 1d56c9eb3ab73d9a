"""A llama2.c checkpoint, read into a folder that the Auto classes load.

References: https://github.com/karpathy/llama2.c, export.py and run.c, for the two layouts.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import LlamaConfig

from hfrun.errors import ModelError
from hfrun.models.llama2c_tokenizer import BOS_ID, EOS_ID, read_llama2c_tokenizer
from hfrun.models.llama_folder import ImportedLlama, write_llama

ROPE_THETA = 10_000.0  # llama2.c computes with it and does not write it down
_NORM_EPS = 1e-5  # likewise
_MAGIC = b"24ka"
_HEADER_BYTES = {0: 28, 1: 256}
_SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
_FOREIGN = {
    b"GGUF": "a GGUF file: use hfrun import gguf",
    b"PK\x03\x04": "a PyTorch checkpoint: export it with llama2.c's export.py first",
}
_TABLES = ("rotary.cos", "rotary.sin")


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


def import_llama2c(
    file: Path | str, tokenizer_file: Path | str, out: Path | str, *, rope_theta: float = ROPE_THETA
) -> ImportedLlama:
    """Write a llama2.c checkpoint and its tokenizer as an ordinary LlamaForCausalLM folder.

    The weights keep their values; only rows of the query and key matrices change places.

    Args:
        file: ``.bin`` of version 0 (no magic number) or 1, both float32.
        tokenizer_file: ``tokN.bin`` that run.c reads beside it.
        out: folder to write; one that exists is replaced only when it holds a model.
        rope_theta: base of the rotary angles; a version 0 file, which has a table of them, must
            agree.

    Raises:
        ModelError: a file that is missing, cut off, quantized, of another format or of another
            vocabulary; a rotary table of another base; weights that are not finite.
    """
    header, tensors = read_llama2c(Path(file))
    _check_tables([tensors.pop(name, None) for name in _TABLES], header, rope_theta, Path(file))
    tokenizer = read_llama2c_tokenizer(
        Path(tokenizer_file), vocab_size=header.vocab_size, max_tokens=header.seq_len
    )
    # the models of llama2.c end a text where the next would begin, those of Meta with </s>
    return write_llama(
        _config(header, rope_theta),
        tensors,
        tokenizer,
        Path(out),
        end_ids=(EOS_ID, BOS_ID),
        stored=f"llama2.c version {header.version}, float32",
    )


def read_llama2c(file: Path) -> tuple[Llama2cHeader, dict[str, Tensor]]:
    """The sizes and the tensors of a checkpoint, under transformers' names and in its row order.

    A version 0 file also has ``rotary.cos`` and ``rotary.sin``, each ``(seq_len, head_dim / 2)``.

    Raises:
        ModelError: as ``import_llama2c``.
    """
    header = _read_header(file)
    layout = _layout(header)
    n_bytes = _HEADER_BYTES[header.version] + 4 * sum(_count(shape) for _, shape in layout)
    if file.stat().st_size != n_bytes:
        sizes = ", ".join(f"{name} {getattr(header, name)}" for name in _SIZES)
        raise ModelError(
            f"{file} has {file.stat().st_size:,} bytes and its header ({sizes}) needs {n_bytes:,}: "
            "it is cut off, or no llama2.c checkpoint; fetch or export it again"
        )
    values = np.memmap(file, dtype="<f4", mode="r", offset=_HEADER_BYTES[header.version])
    tensors: dict[str, Tensor] = {}
    start = 0
    for name, shape in layout:
        part = np.array(values[start : start + _count(shape)], dtype=np.float32)
        tensors[name] = torch.from_numpy(part.reshape(shape))
        start += _count(shape)
    for name in tensors:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensors[name] = halves_from_pairs(tensors[name], head_dim=header.head_dim)
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
    if len(start) < _HEADER_BYTES[0]:
        raise ModelError(
            f"{file} has {len(start)} bytes, less than a llama2.c header; fetch it again"
        )
    header = _header_1(start, file) if start.startswith(_MAGIC) else _header_0(start)
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
    if len(start) < _HEADER_BYTES[1]:
        raise ModelError(
            f"{file} has {len(start)} bytes, less than a llama2.c header; fetch it again"
        )
    version, *values, tied = struct.unpack("<8iB", start[4:37])
    if version != 1:
        raise ModelError(
            f"{file} is a llama2.c checkpoint of version {version}, which is rounded to 8 bits or "
            "newer than known; export the model again with --version 0 or 1"
        )
    return Llama2cHeader(version=1, is_tied=bool(tied), **dict(zip(_SIZES, values, strict=True)))


def _layout(header: Llama2cHeader) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor, in the order of the file."""
    dim, hidden = header.dim, header.hidden_dim
    key_rows = header.n_kv_heads * header.head_dim
    embedding = [("model.embed_tokens.weight", (header.vocab_size, dim))]
    norm = [("model.norm.weight", (dim,))]
    head = [] if header.is_tied else [("lm_head.weight", (header.vocab_size, dim))]
    attention_norm = _every(header, "input_layernorm", (dim,))
    feed_norm = _every(header, "post_attention_layernorm", (dim,))
    attention = [
        *_every(header, "self_attn.q_proj", (dim, dim)),
        *_every(header, "self_attn.k_proj", (key_rows, dim)),
        *_every(header, "self_attn.v_proj", (key_rows, dim)),
        *_every(header, "self_attn.o_proj", (dim, dim)),
    ]
    feed = [
        *_every(header, "mlp.gate_proj", (hidden, dim)),
        *_every(header, "mlp.down_proj", (dim, hidden)),
        *_every(header, "mlp.up_proj", (hidden, dim)),
    ]
    if header.version == 1:
        return [*attention_norm, *feed_norm, *norm, *embedding, *attention, *feed, *head]
    tables = [(name, (header.seq_len, header.head_dim // 2)) for name in _TABLES]
    return [*embedding, *attention_norm, *attention, *feed_norm, *feed, *norm, *tables, *head]


def _every(
    header: Llama2cHeader, part: str, shape: tuple[int, ...]
) -> list[tuple[str, tuple[int, ...]]]:
    return [(f"model.layers.{layer}.{part}.weight", shape) for layer in range(header.n_layers)]


def _count(shape: tuple[int, ...]) -> int:
    n = 1  # a Python integer: a foreign header's product can exceed 64 bits
    for size in shape:
        n *= size
    return n


def _check_tables(
    tables: list[Tensor | None], header: Llama2cHeader, rope_theta: float, file: Path
) -> None:
    """A file's own table of angles tells whether it was made for this base."""
    cos, sin = (None if table is None else table.numpy() for table in tables)
    if cos is None or sin is None or not (cos.any() or sin.any()):  # run.c has long ignored it
        return
    steps = np.arange(0, header.head_dim, 2, dtype=np.float32) / header.head_dim
    rates = np.float32(rope_theta) ** -steps
    n = min(header.seq_len, 512)  # further on float32 angles are coarse
    angles = np.outer(np.arange(n, dtype=np.float32), rates)
    if np.allclose(np.cos(angles), cos[:n], atol=1e-3) and np.allclose(
        np.sin(angles), sin[:n], atol=1e-3
    ):
        return
    raise ModelError(
        f"{file}: its table of rotary angles is not that of rope_theta {rope_theta:g}"
        f"{_fitting_base(cos, sin, header)}"
    )


def _fitting_base(
    cos: npt.NDArray[np.float32], sin: npt.NDArray[np.float32], header: Llama2cHeader
) -> str:
    """What to do about a table of another base: the second rate is base ** (-2 / head_dim)."""
    if header.seq_len > 1 and header.head_dim > 2:
        rate = float(np.arctan2(sin[1, 1], cos[1, 1]))
        if 0 < rate < 1:
            return f" but of about {rate ** (-header.head_dim / 2):.6g}; give it as --rope-theta"
    return "; the file is damaged, fetch or export it again"


def _config(header: Llama2cHeader, rope_theta: float) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=header.vocab_size,
        hidden_size=header.dim,
        intermediate_size=header.hidden_dim,
        num_hidden_layers=header.n_layers,
        num_attention_heads=header.n_heads,
        num_key_value_heads=header.n_kv_heads,
        head_dim=header.head_dim,
        max_position_embeddings=header.seq_len,
        rms_norm_eps=_NORM_EPS,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        tie_word_embeddings=header.is_tied,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        dtype="float32",
    )
