"""A LLaMA in a GGUF file, read through transformers once into an ordinary folder."""

import importlib.util
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from hfrun.errors import ModelError
from hfrun.models.gguf_tokenizer import TokenizerFacts, read_gguf_tokenizer
from hfrun.models.llama_folder import ImportedLlama, write_llama

_ARCHITECTURE = "llama"
_NEEDED = (
    "llama.context_length",
    "llama.embedding_length",
    "llama.block_count",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.layer_norm_rms_epsilon",
    "tokenizer.ggml.model",
    "tokenizer.ggml.tokens",
)
_TRANSFORMERS_ONLY = frozenset({"quantization_config", "_name_or_path", "_model_name_or_path"})


@dataclass(frozen=True, kw_only=True)
class GgufFacts:
    """What decides whether transformers reads a file whole.

    ``kinds`` counts the tensors of each stored type; ``obstacles`` are what transformers would
    silently leave out.
    """

    kinds: Mapping[str, int]
    obstacles: tuple[str, ...]
    tokenizer: TokenizerFacts

    @property
    def stored(self) -> str:
        """The stored types, the most frequent first."""
        ranked = sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))
        return "GGUF, " + ", ".join(f"{n} {kind}" for kind, n in ranked)


def import_gguf(file: Path | str, out: Path | str) -> ImportedLlama:
    """Write a GGUF file's LLaMA as an ordinary LlamaForCausalLM folder in float32.

    Rounded weights become the float32 values that they stand for; nothing is rounded again.

    Args:
        file: GGUF file of architecture ``llama``, tokenizer included.
        out: folder to write; one that exists is replaced only when it holds a model.

    Raises:
        ModelError: the package ``gguf`` is missing; the file is missing, cut off, of another format
            or architecture, or holds what transformers would leave out.
    """
    file = Path(file)
    facts = read_facts(file)
    tokenizer = read_gguf_tokenizer(file, facts.tokenizer)
    config, state = _weights(file)
    if sum(facts.kinds.values()) != len(state):
        raise ModelError(
            f"{file} holds {sum(facts.kinds.values())} tensors and transformers took {len(state)}; "
            "it is no plain LLaMA: use the model's folder from a hub"
        )
    return write_llama(
        config,
        state,
        tokenizer,
        Path(out),
        end_ids=[] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id],
        stored=facts.stored,
    )


def read_facts(file: Path) -> GgufFacts:
    """Look into a file before it is loaded.

    Raises:
        ModelError: as ``import_gguf``.
    """
    if not file.is_file():
        raise ModelError(f"no file {file}; name a GGUF file")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ModelError(f"{file} is no GGUF file: it does not begin with GGUF")
    if importlib.util.find_spec("gguf") is None:
        raise ModelError("GGUF files need the package gguf: pip install gguf")
    reader = _reader(file)
    architecture = _value(reader, "general.architecture")
    if architecture != _ARCHITECTURE:
        raise ModelError(f"{file} holds a model of architecture {architecture}; needs llama")
    missing = [key for key in _NEEDED if _value(reader, key) is None]
    if missing:
        raise ModelError(f"{file} does not state {', '.join(missing)}; convert the model again")
    facts = GgufFacts(
        kinds=Counter(tensor.tensor_type.name for tensor in reader.tensors),
        obstacles=_obstacles(reader),
        tokenizer=_tokenizer_facts(reader),
    )
    if facts.obstacles:
        raise ModelError(
            f"{file} has {', '.join(facts.obstacles)}, which transformers does not take from GGUF "
            "and the model would be another one; use the model's folder from a hub"
        )
    return facts


def _reader(file: Path) -> Any:
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        ends = [tensor.data_offset + tensor.n_bytes for tensor in reader.tensors]
    except (ValueError, IndexError, KeyError, OverflowError, OSError) as error:
        raise ModelError(f"{file} is cut off or damaged ({error}); fetch it again") from error
    n_bytes, needed = file.stat().st_size, max(ends, default=0)
    if not ends or needed > n_bytes:
        raise ModelError(
            f"{file} has {n_bytes:,} bytes and its {len(ends)} tensors need {needed:,}: it is cut "
            "off or holds no weights; fetch it again"
        )
    return reader


def _value(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    return None if field is None else field.contents()


def _tokenizer_facts(reader: Any) -> TokenizerFacts:
    adds_space = _value(reader, "tokenizer.ggml.add_space_prefix")
    return TokenizerFacts(
        kind=str(_value(reader, "tokenizer.ggml.model")),
        words=_value(reader, "tokenizer.ggml.pre"),
        adds_space=adds_space is None or bool(adds_space),
        n_tokens=len(_value(reader, "tokenizer.ggml.tokens")),
        max_tokens=int(_value(reader, "llama.context_length")),
    )


def _obstacles(reader: Any) -> tuple[str, ...]:
    """What the file says about the model that transformers would silently drop."""
    found = []
    scaling = _value(reader, "llama.rope.scaling.type")
    if scaling not in (None, "none"):
        found.append(f"rotary scaling {scaling}")
    if any(tensor.name == "rope_freqs.weight" for tensor in reader.tensors):
        found.append("rotary factors (rope_freqs.weight)")
    if _value(reader, "llama.expert_count"):
        found.append("experts")
    return tuple(found)


def _weights(file: Path) -> tuple[LlamaConfig, dict[str, Tensor]]:
    """The config without traces of the file's rounding, and the tensors in float32."""
    try:
        pair: Any = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{file}: transformers cannot read it ({error})") from error
    model, loaded = pair
    if loaded["missing_keys"] or loaded["mismatched_keys"]:
        names = sorted(map(str, [*loaded["missing_keys"], *loaded["mismatched_keys"]]))
        raise ModelError(f"{file} lacks {len(names)} tensors such as {names[0]}; fetch it again")
    if model.config.model_type != _ARCHITECTURE:
        raise ModelError(f"{file}: transformers reads it as {model.config.model_type}, no LLaMA")
    told = {
        key: value for key, value in model.config.to_dict().items() if key not in _TRANSFORMERS_ONLY
    }
    told["rms_norm_eps"] = _shortest(told["rms_norm_eps"])
    state = model.state_dict()
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    return LlamaConfig.from_dict(told), dict(state)


def _shortest(value: float) -> float:
    """The decimal that a float32 was written from: 1e-05 and not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
