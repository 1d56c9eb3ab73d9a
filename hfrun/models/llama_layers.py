"""The layers of transformers' LLaMA over packed tokens, computing only what is asked for.

The weights, names and results are those of ``transformers.LlamaModel``; what differs is the way:

- No layer computes padding (``PackedTokens``).
- In the top layer only the tokens that are pooled go beyond their keys and values.
- In bfloat16 on a CPU attention is two plain products and a softmax in float32: the backward
  pass of PyTorch's fused kernel is several times slower there for texts of some dozen tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm

from hfrun.models.packed_tokens import PackedTokens

# Longer texts would hold too many scores (T x T a head) at once.
_LONGEST_FOR_PRODUCTS = 512


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Cosine and sine ``(N, D)`` of each token's position, for rotary embeddings."""

    cos: Tensor
    sin: Tensor

    def apply(self, heads: Tensor) -> Tensor:
        """Rotate ``(N, h, D)`` by position (Su et al., 2021), in the order of halves."""
        cos, sin = (values[:, None].to(heads.dtype) for values in (self.cos, self.sin))
        first, second = heads.chunk(2, dim=-1)
        turned = torch.cat((-second, first), dim=-1)
        return heads * cos + turned * sin


def layer_forward(
    layer: LlamaDecoderLayer,
    hidden: Tensor,
    tokens: PackedTokens,
    rotation: Rotation,
    *,
    dropout: nn.Module,
    only: Tensor | None = None,
) -> Tensor:
    """One decoder layer.

    Args:
        layer: transformers' module, whose weights are used.
        hidden: ``(N, H)`` of the packed tokens, filling ones too.
        tokens: where they are.
        rotation: of their positions.
        dropout: on what attention and the feed-forward block add.
        only: ``(B,)`` the one token of each text, its last, that is asked for.

    Returns:
        ``(N, H)``, or ``(B, H)`` with ``only``.
    """
    normed = rms_norm(layer.input_layernorm, hidden)
    attended = _attention(layer.self_attn, normed, tokens, rotation, only=only)
    if only is not None:
        hidden = hidden.index_select(0, only)
    hidden = hidden + dropout(layer.self_attn.o_proj(attended))
    normed = rms_norm(layer.post_attention_layernorm, hidden)
    return hidden + dropout(layer.mlp(normed))


def rms_norm(norm: LlamaRMSNorm, hidden: Tensor) -> Tensor:
    """Root mean square norm (Zhang and Sennrich, 2019) in float32, in the type of the next product.

    Under autocast that is its type: cast once here instead of in each of three products.
    """
    values = hidden.float()
    scale = torch.rsqrt(values.square().mean(-1, keepdim=True) + norm.variance_epsilon)
    device = hidden.device.type
    out = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    return (values * scale * norm.weight).to(out)


def _attention(
    attention: nn.Module,
    normed: Tensor,
    tokens: PackedTokens,
    rotation: Rotation,
    *,
    only: Tensor | None,
) -> Tensor:
    """Causal self-attention within each text: ``(N, h D)``, or ``(B, h D)`` with ``only``."""
    width = attention.head_dim
    asking = normed if only is None else normed.index_select(0, only)
    of_asking = rotation
    if only is not None:
        of_asking = Rotation(cos=rotation.cos[only], sin=rotation.sin[only])
    query = of_asking.apply(attention.q_proj(asking).unflatten(-1, (-1, width)))
    key = rotation.apply(attention.k_proj(normed).unflatten(-1, (-1, width)))
    value = attention.v_proj(normed).unflatten(-1, (-1, width))
    query = query[:, None] if only is not None else tokens.spread(query)
    mixed = _mix(
        query.transpose(1, 2),
        tokens.spread(key).transpose(1, 2),
        tokens.spread(value).transpose(1, 2),
        tokens,
        groups=attention.num_key_value_groups,
        scaling=attention.scaling,
        dropout=attention.attention_dropout if attention.training else 0.0,
    ).transpose(1, 2)
    mixed = mixed[:, 0] if only is not None else tokens.gather(mixed)
    return mixed.flatten(-2)


def _mix(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    tokens: PackedTokens,
    *,
    groups: int,
    scaling: float,
    dropout: float,
) -> Tensor:
    """softmax(q k') v over ``(B, h, Q, D)`` queries, of one last token or of all.

    Every text begins at the left: a token that is no padding never looks at any, as it looks at
    nothing behind itself; a last token alone needs the lengths.
    """
    one = query.shape[2] == 1 and tokens.longest > 1
    mask = None
    if one and not tokens.is_full:
        columns = torch.arange(tokens.longest, device=key.device)
        mask = (columns < tokens.length[:, None])[:, None, None]
    if groups > 1:
        key, value = (values.repeat_interleave(groups, dim=1) for values in (key, value))
    is_plain = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if not is_plain or tokens.longest > _LONGEST_FOR_PRODUCTS:
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout, is_causal=not one, scale=scaling
        )
    if not one:
        side = tokens.longest
        mask = torch.ones(side, side, dtype=torch.bool, device=key.device).tril()
    scores = (query * scaling) @ key.transpose(-1, -2)
    scores = scores.float()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = functional.dropout(torch.softmax(scores, -1), dropout)
    return weights.to(value.dtype) @ value
