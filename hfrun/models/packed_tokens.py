"""The real tokens of a padded batch, laid end to end, so that no layer computes padding.

    input_ids  a b c .      packed   a b c d e        sequence  0 0 0 1 1
               . . d e               (N = 5 tokens)   position  0 1 2 0 1

Padding may stand on either side: a text's tokens, their order and their positions are the same.

A few filling tokens behind them make the sizes of the products few: a CPU's bfloat16 kernels are
made for each size when it is first met, and kept, some 10 MB for every new batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hfrun.errors import ModelError

# Lengths for attention are multiples of this; numbers of tokens are one of 16 in each octave.
_LENGTH_STEP, _SIZES_AN_OCTAVE = 8, 16


@dataclass(frozen=True, kw_only=True)
class PackedTokens:
    """Where the n real tokens of B texts are, and N - n filling ones, which repeat the first.

    Attributes:
        place: ``(N,)`` where each stands in the flattened batch, in the order of the texts.
        sequence: ``(N,)`` the text that it belongs to.
        position: ``(N,)`` its number within the text, from 0.
        length: ``(B,)`` tokens of each text, at least 1.
        real: n; nothing that a real token sees depends on the others.
        longest: T, room for the longest text.
    """

    place: Tensor
    sequence: Tensor
    position: Tensor
    length: Tensor
    real: int
    longest: int

    @property
    def last(self) -> Tensor:
        """``(B,)`` number among the N tokens of each text's last one."""
        return self.length.cumsum(0) - 1

    @property
    def is_full(self) -> bool:
        """Whether every text fills its room."""
        return self.real == self.length.numel() * self.longest

    def spread(self, values: Tensor) -> Tensor:
        """``(N, ...)`` of the tokens to ``(B, T, ...)``, each text from the left, zeros behind."""
        shape = (self.length.numel(), self.longest, *values.shape[1:])
        padded = values.new_zeros((shape[0] * shape[1], *values.shape[1:]))
        real = values[: self.real]
        return padded.index_copy(0, self._spread_place[: self.real], real).reshape(shape)

    def gather(self, padded: Tensor) -> Tensor:
        """``(B, T, ...)`` to ``(N, ...)``: the inverse of ``spread``."""
        return padded.reshape(-1, *padded.shape[2:]).index_select(0, self._spread_place)

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
    real = place.numel()
    filled = torch.arange(_room(real), device=place.device)
    filled = filled.where(filled < real, 0)
    return PackedTokens(
        place=place[filled],
        sequence=sequence[filled],
        position=position[filled],
        length=length,
        real=real,
        longest=-(-int(length.max()) // _LENGTH_STEP) * _LENGTH_STEP,
    )


def _room(tokens: int) -> int:
    """The next of 16 sizes in each octave: at most a sixteenth more.

    >>> [_room(n) for n in (1, 31, 33, 1000, 2100)]
    [1, 31, 34, 1024, 2176]
    """
    step = max(1, 2 ** (tokens.bit_length() - 1) // _SIZES_AN_OCTAVE)
    return -(-tokens // step) * step
