"""The config of the LLaMA classifier: transformers' LLaMA, and how it becomes a classifier."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import LlamaConfig

from hfrun.errors import ModelError

# What a run's YAML may set under model.config beside the sizes of a new model.
CLASSIFIER_KEYS = ("pooling", "hidden_dropout", "classifier_dropout", "attention_dropout")


@strict
class LlamaClassifierConfig(LlamaConfig):
    """transformers' ``LlamaConfig`` with what a classifier adds.

    Attributes:
        pooling: ``last`` reads the hidden state of each text's last real token, ``mean`` the
            mean over its real tokens; padding is never looked at.
        hidden_dropout: probability in every layer, after attention and after the feed-forward
            block, and after the embedding.
        classifier_dropout: probability between the pooled state and the head.

    Raises:
        ModelError: a dropout outside 0 to below 1.
    """

    model_type = "llama_classifier"

    pooling: Literal["last", "mean"] = "last"
    hidden_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        for name in ("hidden_dropout", "classifier_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ModelError(f"{name}={getattr(self, name)}; needs 0 <= dropout < 1")
        super().__post_init__(**kwargs)
