"""An imported LLaMA as an ordinary folder of transformers, checked by loading it again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from hfrun.errors import ModelError
from hfrun.models.model_folder import let_bars_pass, whole_model_folder

PROMPT = "Once upon a time"
_NEW_TOKENS = 24


@dataclass(frozen=True, kw_only=True)
class ImportedLlama:
    """What an import wrote.

    ``stored`` tells how the file held the weights; ``text`` is ``PROMPT`` and its greedy
    continuation by the model as it was loaded again, for a person to look at.
    """

    folder: Path
    stored: str
    parameters: int
    layers: int
    hidden_size: int
    vocab_size: int
    max_tokens: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The fields with the folder as text, for JSON."""
        return asdict(self) | {"folder": str(self.folder)}


def write_llama(
    config: LlamaConfig,
    state: dict[str, Tensor],
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    end_ids: Sequence[int],
    stored: str,
) -> ImportedLlama:
    """Write config, weights and tokenizer as one folder, load it again and let it speak.

    Args:
        config: sizes and constants of the model.
        state: every tensor under transformers' names; without ``lm_head.weight`` where it is tied.
        tokenizer: saved beside the weights; its ids need to be within the vocabulary.
        out: folder to write; one that exists is replaced only when it holds a model.
        end_ids: tokens that end a text.
        stored: how the file held the weights.

    Raises:
        ModelError: tensors that the config does not ask for or that are not finite; a tokenizer of
            another vocabulary; logits that are not finite; ``out`` is no place for a model.
    """
    broken = sorted(name for name, held in state.items() if not torch.isfinite(held).all())
    if broken:
        raise ModelError(
            f"{len(broken)} tensors such as {broken[0]} hold values that are not finite; the file "
            "is damaged, fetch it again"
        )
    if len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"the tokenizer has {len(tokenizer)} tokens and the model knows {config.vocab_size}; "
            "name the tokenizer that belongs to the model"
        )
    model = _assembled(config, state)
    told = {"bos_token_id": config.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.generation_config = GenerationConfig.from_dict(
        told | {"eos_token_id": list(end_ids) or None}
    )
    let_bars_pass()
    with whole_model_folder(out) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        text = greedy_text(partial, prompt=PROMPT, new_tokens=_NEW_TOKENS)
    return ImportedLlama(
        folder=out,
        stored=stored,
        parameters=model.num_parameters(),
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        max_tokens=config.max_position_embeddings,
        text=text,
    )


def greedy_text(folder: Path, *, prompt: str, new_tokens: int) -> str:
    """``prompt`` and the most likely next tokens, one after another, by the model of a folder.

    Raises:
        ModelError: the folder cannot be loaded, or a logit is not finite.
    """
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the imported model does not load: {error}") from error
    asked = tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**asked).logits
        if not torch.isfinite(logits).all():
            raise ModelError("the imported model's logits are not finite; the file is damaged")
        told = model.generate(**asked, max_new_tokens=new_tokens, do_sample=False)
    return str(tokenizer.decode(told[0], skip_special_tokens=True))


def _assembled(config: LlamaConfig, state: dict[str, Tensor]) -> LlamaForCausalLM:
    """The model around the tensors themselves: nothing is drawn at random, nothing copied."""
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    wanted = model.state_dict()
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    faults = {
        "missing": sorted(wanted.keys() - state.keys() - tied),
        "unexpected": sorted(state.keys() - wanted.keys()),
        "of another shape": sorted(
            f"{name} {tuple(held.shape)} not {tuple(wanted[name].shape)}"
            for name, held in state.items()
            if name in wanted and held.shape != wanted[name].shape
        ),
    }
    found = [f"{len(names)} {fault} such as {names[0]}" for fault, names in faults.items() if names]
    if found:
        raise ModelError(f"the weights do not fit the config: {'; '.join(found)}")
    model.load_state_dict(state, assign=True, strict=False)  # strict would ask for a tied head
    model.tie_weights()
    return model
