"""LLaMA as a classifier of texts: each text's logits depend on that text alone.

tokens ─► embedding ─► layers ─► norm ─► last real token, or mean of all ─► dropout ─► head
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import LlamaModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from hfrun.errors import ModelError
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig
from hfrun.models.llama_layers import Rotation, layer_forward, rms_norm
from hfrun.models.packed_tokens import PackedTokens, pack


class LlamaClassifier(PreTrainedModel):
    """transformers' ``LlamaModel`` under a linear head, over the real tokens of a batch alone.

    Weights of any LLaMA causal language model load into ``model``; the head is new. Outside
    training it computes in the type of its weights, whatever autocast says: what is predicted
    does not depend on how it learnt.
    """

    config_class = LlamaClassifierConfig
    config: LlamaClassifierConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    # transformers would multiply loss and gradients by the accumulation steps.
    accepts_loss_kwargs = False
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules: ClassVar[list[str]] = ["LlamaDecoderLayer"]
    # The language model's own head, where its weights bring one.
    _keys_to_ignore_on_load_unexpected: ClassVar[list[str]] = ["lm_head.weight"]

    def __init__(self, config: LlamaClassifierConfig) -> None:
        super().__init__(config)
        self.model = LlamaModel(config)
        self.hidden_dropout = nn.Dropout(config.hidden_dropout)
        self.classifier_dropout = nn.Dropout(config.classifier_dropout)
        self.head = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.embed_tokens = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits of each text and, where labels are given, their plain cross-entropy.

        Args:
            input_ids: ``(B, T)`` int64 tokens, padded on either side.
            attention_mask: ``(B, T)`` 1 for tokens, 0 for padding; without it all are tokens.
            labels: ``(B,)`` int64 classes, as in ``config.id2label``.

        Raises:
            ModelError: shapes that differ, a text without tokens or with padding in its midst.
        """
        if input_ids.ndim == 2 and input_ids.shape[1] > self.config.max_position_embeddings:
            raise ModelError(
                f"texts of {input_ids.shape[1]} tokens; the model was made for at most "
                f"{self.config.max_position_embeddings}: set data.max_length to that or less"
            )
        tokens = pack(input_ids, attention_mask)
        with self._precision(input_ids.device.type):
            pooled = self._pooled(input_ids.flatten()[tokens.place], tokens)
        with torch.autocast(input_ids.device.type, enabled=False):
            dropped = self.classifier_dropout(pooled.to(self.head.weight.dtype))
            logits = self.head(dropped)
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _precision(self, device: str) -> AbstractContextManager[Any]:
        return nullcontext() if self.training else torch.autocast(device, enabled=False)

    def _pooled(self, ids: Tensor, tokens: PackedTokens) -> Tensor:
        """``(N,)`` packed tokens to ``(B, H)``, what the head sees."""
        hidden = self.hidden_dropout(self.model.embed_tokens(ids))
        cos, sin = self.model.rotary_emb(hidden, tokens.position[None])
        rotation = Rotation(cos=cos[0], sin=sin[0])
        *lower, top = self.model.layers
        for layer in lower:
            hidden = self._layer(layer, hidden, tokens, rotation)
        is_last = self.config.pooling == "last"
        hidden = self._layer(top, hidden, tokens, rotation, only=tokens.last if is_last else None)
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = rms_norm(self.model.norm, hidden)
        return hidden if is_last else _mean(hidden, tokens)

    def _layer(
        self,
        layer: nn.Module,
        hidden: Tensor,
        tokens: PackedTokens,
        rotation: Rotation,
        only: Tensor | None = None,
    ) -> Tensor:
        given = {"dropout": self.hidden_dropout, "only": only}
        if self.training and self.model.gradient_checkpointing:
            return checkpoint(
                layer_forward, layer, hidden, tokens, rotation, use_reentrant=False, **given
            )
        return layer_forward(layer, hidden, tokens, rotation, **given)


def _mean(hidden: Tensor, tokens: PackedTokens) -> Tensor:
    """Mean over each text's tokens, ``(N, H)`` to ``(B, H)``."""
    summed = hidden.new_zeros((tokens.length.numel(), hidden.shape[1]))
    summed = summed.index_add(0, tokens.sequence[: tokens.real], hidden[: tokens.real])
    return summed / tokens.length[:, None].to(hidden.dtype)
