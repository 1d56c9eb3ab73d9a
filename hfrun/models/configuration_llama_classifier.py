"""The config of the LLaMA classifier: transformers' LLaMA, and how it becomes a classifier."""

from collections.abc import Mapping
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import LlamaConfig

from hfrun.errors import ModelError
from lob_backtest.strict_yaml import unknown_keys

# What a run's YAML may set under model.config: always, and of a new model without weights.
CLASSIFIER_KEYS = ("pooling", "hidden_dropout", "classifier_dropout", "attention_dropout")
SIZE_KEYS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
             "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
             "rms_norm_eps", "rope_parameters", "attention_bias", "mlp_bias",
             "initializer_range")  # fmt: skip


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
        ModelError: a dropout outside 0 to below 1, or rotary embeddings (``longrope``) by which a
            text would be read as the longest one of its batch is.
    """

    model_type = "llama_classifier"

    pooling: Literal["last", "mean"] = "last"
    hidden_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        for name in ("hidden_dropout", "classifier_dropout", "attention_dropout"):
            if not 0.0 <= (getattr(self, name) or 0.0) < 1.0:
                raise ModelError(f"{name}={getattr(self, name)}; needs 0 <= dropout < 1")
        super().__post_init__(**kwargs)
        if (self.rope_parameters or {}).get("rope_type") == "longrope":
            raise ModelError(
                "rope_type=longrope: what a text says would depend on the longest text of its "
                "batch; needs rotary embeddings that do not: choose another model"
            )


def wrong_keys(given: Mapping[str, Any], *, has_weights: bool) -> list[str]:
    """Keys of ``model.config`` that would be kept and change nothing, each with what to do."""
    fixed = [key for key in given if has_weights and key in SIZE_KEYS]
    rest = {key: value for key, value in given.items() if key not in fixed}
    known = CLASSIFIER_KEYS if has_weights else (*CLASSIFIER_KEYS, *SIZE_KEYS)
    return [
        *(f"model.config.{key}: comes from the weights of model.pretrained" for key in fixed),
        *unknown_keys(rest, known, "model.config"),
    ]
