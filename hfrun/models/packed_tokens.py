"""The real tokens of a padded batch, laid end to end, so that no layer computes padding.

    input_ids  a b c .      packed   a b c d e        sequence  0 0 0 1 1
               . . d e               (N = 5 tokens)   position  0 1 2 0 1

Padding may stand on either side: a text's tokens, their order and their positions are the same.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hfrun.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class PackedTokens:
    """Where the N real tokens of B texts are.

    Attributes:
        place: ``(N,)`` where each stands in the flattened batch, in the order of the texts.
        sequence: ``(N,)`` the text that it belongs to.
        position: ``(N,)`` its number within the text, from 0.
        length: ``(B,)`` tokens of each text, at least 1.
        longest: of them.
    """

    place: Tensor
    sequence: Tensor
    position: Tensor
    length: Tensor
    longest: int

    @property
    def is_rectangular(self) -> bool:
        """Whether all texts are of one length."""
        return self.place.numel() == self.length.numel() * self.longest

    @property
    def last(self) -> Tensor:
        """``(B,)`` number among the N tokens of each text's last one."""
        return self.length.cumsum(0) - 1

    def spread(self, values: Tensor) -> Tensor:
        """``(N, ...)`` of the tokens to ``(B, T, ...)``, each text from the left, zeros behind."""
        shape = (self.length.numel(), self.longest, *values.shape[1:])
        if self.is_rectangular:
            return values.reshape(shape)
        padded = values.new_zeros((shape[0] * shape[1], *values.shape[1:]))
        return padded.index_copy(0, self._spread_place, values).reshape(shape)

    def gather(self, padded: Tensor) -> Tensor:
        """The inverse of ``spread``."""
        flat = padded.reshape(-1, *padded.shape[2:])
        return flat if self.is_rectangular else flat.index_select(0, self._spread_place)

    @property
    def _spread_place(self) -> Tensor:
        return self.sequence * self.longest + self.position


def pack(input_ids: Tensor, attention_mask: Tensor | None) -> PackedTokens:
    """Find the real tokens of ``(B, T)`` ids; without a mask all of them are.

    Raises:
        ModelError: another shape, a text without a token, or padding between tokens.
    """
    if input_ids.ndim != 2 or (
        attention_mask is not None and attention_mask.shape != input_ids.shape
    ):
        mask_shape = None if attention_mask is None else tuple(attention_mask.shape)
        raise ModelError(
            f"input_ids of shape {tuple(input_ids.shape)} and attention_mask of shape "
            f"{mask_shape}; needs both (texts, tokens)"
        )
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
    length = mask.sum(1)
    if not bool((length > 0).all()):
        raise ModelError(
            f"{int((length == 0).sum())} of {len(length)} texts have no token; leave them out"
        )
    place = mask.flatten().nonzero().squeeze(1)
    sequence = place // mask.shape[1]
    position = (mask.cumsum(1) - 1).flatten()[place]
    first = mask.argmax(1)
    if not torch.equal(place - sequence * mask.shape[1], position + first[sequence]):
        raise ModelError("attention_mask has padding between tokens; pad on one side")
    return PackedTokens(
        place=place,
        sequence=sequence,
        position=position,
        length=length,
        longest=int(length.max()),
    )
