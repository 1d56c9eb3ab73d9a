"""A tiny LLaMA, batches of texts of different lengths, and what transformers makes of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hfrun.models import LlamaClassifier, LlamaClassifierConfig

VOCABULARY = 97


def tiny_llama(**overrides: Any) -> LlamaClassifier:
    """Three layers with grouped keys; weights large enough that attention matters."""
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        "num_labels": 5,
        "classifier_dropout": 0.0,
        "pad_token_id": None,
    }
    torch.manual_seed(0)
    return LlamaClassifier(LlamaClassifierConfig(**(sizes | overrides))).eval()


def random_texts(lengths: Sequence[int], *, seed: int = 0) -> list[list[int]]:
    """Token ids of one text for each length."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, VOCABULARY, (n,), generator=generator).tolist() for n in lengths]


def padded(
    texts: Sequence[Sequence[int]], *, side: str = "right", to: int = 0
) -> dict[str, Tensor]:
    """A batch of texts with padding of token 0 up to the longest, or further."""
    longest = max(to, *(len(text) for text in texts))
    ids, mask = [], []
    for text in texts:
        room = longest - len(text)
        before, after = (room, 0) if side == "left" else (0, room)
        ids.append([0] * before + list(text) + [0] * after)
        mask.append([0] * before + [1] * len(text) + [0] * after)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def reference_states(model: LlamaClassifier, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """``(T, H)`` last hidden states of each text alone, by ``transformers.LlamaModel``."""
    return [model.model(input_ids=torch.tensor([text])).last_hidden_state[0] for text in texts]


def reference_logits(model: LlamaClassifier, texts: Sequence[Sequence[int]]) -> Tensor:
    """``(B, C)`` by transformers, one text at a time, pooled by definition."""
    states = reference_states(model, texts)
    is_last = model.config.pooling == "last"
    pooled = [state[-1] if is_last else state.mean(0) for state in states]
    return model.head(torch.stack(pooled))
