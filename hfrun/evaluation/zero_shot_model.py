"""The language model that is asked, as it is published: whole, with its own head."""

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.llama_weights import source_of, unloaded
from hfrun.models.model_folder import let_bars_pass
from hfrun.text_config import TextModelConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, SafetensorError)


def load_language_model(model: TextModelConfig, *, dtype: str = "float32") -> PreTrainedModel:
    """``model.pretrained`` with the head that says the next token, on the accelerator if any.

    Any causal language model of transformers will do, not LLaMA alone.

    Args:
        model: the run's section.
        dtype: ``float32``; or ``bfloat16``, faster where the processor has it, and then the last
            of two or three digits depends on the batch.

    Raises:
        ModelError: no pretrained weights, ones that cannot be loaded, or ones without such a head.
    """
    if model.pretrained is None:
        raise ModelError(
            "model.pretrained: missing; zero-shot asks a language model that has been trained"
        )
    source = source_of(model.pretrained)
    options: dict[str, Any] = {"output_loading_info": True, "dtype": DTYPES[dtype]}
    if model.gguf_file is not None:
        options["gguf_file"] = model.gguf_file
    let_bars_pass()
    try:
        pair: Any = AutoModelForCausalLM.from_pretrained(source, **options)
    except _UNREADABLE as error:
        raise ModelError(
            f"model.pretrained={source}: no causal language model that can be loaded: "
            f"{unloaded(error)}"
        ) from error
    found, loaded = pair
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    wrong = sorted(str(key) for kind in kinds for key in loaded.get(kind) or ())
    if wrong:
        raise ModelError(
            f"model.pretrained={source}: {len(wrong)} of its weights are missing or belong to "
            f"something else, such as {wrong[0]}; zero-shot needs a whole causal language model, "
            "not a classifier made of one"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen: PreTrainedModel = found.to(device).eval()
    return chosen
