"""A llama2.c checkpoint and its tokenizer, written as a folder that the Auto classes load."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor
from transformers import LlamaConfig

from hfrun.errors import ModelError
from hfrun.models.llama2c_file import TABLES, Llama2cHeader, read_llama2c
from hfrun.models.llama2c_tokenizer import BOS_ID, EOS_ID, read_llama2c_tokenizer
from hfrun.models.llama_folder import ImportedLlama, write_llama

ROPE_THETA = 10_000.0  # llama2.c computes with it and does not write it down
_NORM_EPS = 1e-5  # likewise


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
    _check_tables([tensors.pop(name, None) for name in TABLES], header, rope_theta, Path(file))
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
