"""Texts as tokens, and as batches: what a model reads of a text, in which order and how padded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from hfrun.errors import DataError
from hfrun.text_config import TEXT_PLACE

IntArray = npt.NDArray[np.int64]

# Batches whose texts are sorted by length together; more would make epochs alike.
_BATCHES_SORTED_TOGETHER = 50


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Texts as a model reads them.

    Attributes:
        ids: of each text, with the template's words and the tokenizer's own marks.
        full_length: ``(N,)`` tokens that each would have, had it not been cut.
    """

    ids: tuple[list[int], ...]
    full_length: IntArray

    @property
    def length(self) -> IntArray:
        """``(N,)`` tokens of each text."""
        return np.array([len(each) for each in self.ids], dtype=np.int64)


def tokenize(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    template: str,
    max_length: int,
) -> Tokens:
    """Put each text into the template; of one that is too long the end of the text is cut.

    Args:
        texts: N of them.
        tokenizer: the model's; its marks (such as one for the beginning) are added as it does.
        template: with ``{text}`` in it once.
        max_length: most tokens, template and marks included.

    Raises:
        DataError: the template alone is longer.
    """
    before, _, after = template.partition(TEXT_PLACE)
    bare = len(tokenizer(f"{before}{after}")["input_ids"])
    if bare >= max_length:
        raise DataError(
            f"data.template and the tokenizer's own marks have {bare} tokens and data.max_length "
            f"is {max_length}; no text would be read: raise max_length or shorten the template"
        )
    if not texts:
        return Tokens(ids=(), full_length=np.zeros(0, dtype=np.int64))
    # Every text here is cut by ourselves: the tokenizer's warning of its own limit would mislead.
    given = [f"{before}{text}{after}" for text in texts]
    ids = list(tokenizer(given, verbose=False)["input_ids"])
    full_length = np.array([len(each) for each in ids], dtype=np.int64)
    for number in np.flatnonzero(full_length > max_length):
        end = len(before) + len(texts[number])
        ids[number] = _cut(given[number], tokenizer, end_of_text=end, max_length=max_length)
    return Tokens(ids=tuple(ids), full_length=full_length)


def _cut(
    given: str, tokenizer: PreTrainedTokenizerBase, *, end_of_text: int, max_length: int
) -> list[int]:
    """The tokens without as many of the text's last ones as are too many.

    What comes after the text keeps the tokens that it has there, the tokenizer's marks too.
    """
    if not tokenizer.is_fast:
        raise DataError(
            f"{type(tokenizer).__name__} does not say where its tokens stand, so that no text can "
            f"be cut to data.max_length={max_length}; raise it, or take a fast tokenizer"
        )
    found = tokenizer(given, return_offsets_mapping=True, verbose=False)
    ids: list[int] = found["input_ids"]
    stops = np.array([stop for _, stop in found["offset_mapping"]])  # 0 for a mark
    after_text = int(np.flatnonzero((stops > 0) & (stops <= end_of_text)).max(initial=-1)) + 1
    tail = ids[after_text:]
    return ids[: max_length - len(tail)] + tail


def token_dataset(tokens: Tokens, labels: IntArray) -> Dataset:
    """``datasets.Dataset`` of ``input_ids`` and ``labels``."""
    return Dataset.from_dict({"input_ids": list(tokens.ids), "labels": labels})


class TextCollator:
    """Pads a batch's texts to its longest, which no prediction depends on.

    Args:
        pad_id: token that stands in padding; no model of ours reads it.
        side: where padding stands.
    """

    def __init__(self, *, pad_id: int = 0, side: str = "right") -> None:
        self.pad_id = pad_id
        self.side = side

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "TextCollator":
        """Pads as the tokenizer does; without a padding token any is as good."""
        return cls(pad_id=tokenizer.pad_token_id or 0, side=tokenizer.padding_side)

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """``input_ids`` and ``attention_mask`` ``(B, T)``, and ``labels`` ``(B,)`` where given."""
        longest = max(len(sample["input_ids"]) for sample in samples)
        input_ids = torch.full((len(samples), longest), self.pad_id, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for row, sample in enumerate(samples):
            length = len(sample["input_ids"])
            place = slice(0, length) if self.side == "right" else slice(longest - length, longest)
            input_ids[row, place] = torch.tensor(sample["input_ids"], dtype=torch.int64)
            attention_mask[row, place] = 1
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        if "labels" in samples[0]:
            batch["labels"] = torch.tensor([sample["labels"] for sample in samples])
        return batch


class LengthGroupedSampler(Sampler[int]):
    """Every text once an epoch, in batches of texts of about one length, the batches shuffled.

    Texts are drawn at random in groups of 50 batches and sorted within each group. Draws depend
    on the seed and the epoch alone, so that a resumed run and every process of a parallel one see
    the same order. The Trainer calls ``set_epoch``.

    Args:
        length: ``(N,)`` tokens of each text.
        batch: texts of a batch, over all processes.
        seed: of the whole run.
    """

    def __init__(self, length: IntArray, *, batch: int, seed: int) -> None:
        self.length = length
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.length)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, self.epoch]))
        order = rng.permutation(len(self.length))
        size = self.batch * _BATCHES_SORTED_TOGETHER
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        by_length = np.concatenate(
            [group[np.argsort(self.length[group], kind="stable")] for group in groups]
        )
        whole = len(by_length) // self.batch * self.batch
        batches = by_length[:whole].reshape(-1, self.batch)
        yield from batches[rng.permutation(len(batches))].ravel().tolist()
        yield from by_length[whole:].tolist()  # the smaller one, of the longest, comes last
