"""A causal language model that reads prompts in batches and says how likely words after them are.

Keys and values of what has been read are kept and branched: from the beginning that all prompts
share into each prompt, and from each prompt into each label's words.
"""

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from hfrun.data.text_batches import TextCollator
from hfrun.models.label_words import LabelTokens

# A shorter common beginning is not worth copying.
_LEAST_BEGINNING = 16


class Reader:
    """A model that has read what all prompts begin with.

    Attributes:
        beginning: the tokens that it has read; each prompt is given without them.

    Args:
        model: in evaluation mode; any whose output has ``logits``. One that keeps something else
            than keys and values (a state space, a sliding window) reads prompts again for each
            label of several tokens.
        beginning: what all prompts begin with.
        side: where padding stands, ``left`` or ``right``.
    """

    def __init__(self, model: PreTrainedModel, beginning: Sequence[int], *, side: str) -> None:
        self.model = model
        self.known = inspect.signature(model.forward).parameters
        self.collator = TextCollator(side=side)
        self.left = TextCollator(side="left")
        self.beginning: tuple[int, ...] = ()
        self.cache: DynamicCache | None = None
        if len(beginning) >= _LEAST_BEGINNING:
            ids = torch.tensor([list(beginning)], device=model.device)
            last = torch.tensor([ids.shape[1] - 1], device=model.device)
            _, cache = self._ask(ids, torch.ones_like(ids), keep=last, goes_on=True)
            if cache is not None:
                self.beginning, self.cache = tuple(beginning), cache

    def scores(self, own: Sequence[Sequence[int]], words: LabelTokens) -> Tensor:
        """``(B, C)`` log-likelihoods of the words after prompts that go on with ``own``."""
        longer = [c for c, each in enumerate(words.tokens) if len(each) > 1]
        ids, mask = self._padded(own, self.collator)
        cache = None
        if self.cache is not None:
            cache = copy.deepcopy(self.cache)
            cache.batch_repeat_interleave(len(own))
            mask = torch.cat((mask.new_ones(len(own), len(self.beginning)), mask), dim=1)
        places = torch.arange(ids.shape[1], device=ids.device)
        last = (places * mask[:, -ids.shape[1] :]).argmax(dim=1)
        keep, column = torch.unique(last, return_inverse=True)
        logits, cache = self._ask(ids, mask, keep=keep, cache=cache, goes_on=bool(longer))
        logits = logits[torch.arange(len(own), device=ids.device), column]
        first = torch.tensor([each[0] for each in words.tokens], device=ids.device)
        found = logits[:, first] - logits.logsumexp(dim=-1, keepdim=True)
        if longer:
            tails = [words.tokens[c] for c in longer]
            found[:, longer] += self._rest(own, tails, mask, cache)
        return found

    def _rest(
        self,
        own: Sequence[Sequence[int]],
        tails: Sequence[Sequence[int]],
        mask: Tensor,
        cache: DynamicCache | None,
    ) -> Tensor:
        """``(B, K)`` log-likelihoods of the tokens of K labels after their first ones."""
        width = max(len(tail) for tail in tails) - 1
        if cache is not None:
            cache.batch_repeat_interleave(len(tails))
            ids, of_tails = self._padded([t[:-1] for _ in own for t in tails], self.left)
            mask = torch.cat((mask.repeat_interleave(len(tails), dim=0), of_tails), dim=1)
        else:  # a model whose state cannot be branched reads the prompts again
            ids, mask = self._padded([[*o, *t[:-1]] for o in own for t in tails], self.left)
        keep = torch.arange(ids.shape[1] - width, ids.shape[1], device=ids.device)
        logits, _ = self._ask(ids, mask, keep=keep, cache=cache)
        target, is_real = self._padded([tail[1:] for tail in tails], self.left)
        logits = logits.reshape(len(own), len(tails), width, -1)
        index = target.expand(len(own), -1, -1)[..., None]
        found = logits.gather(-1, index)[..., 0] - logits.logsumexp(dim=-1)
        summed: Tensor = (found * is_real).sum(dim=-1)
        return summed

    def _ask(
        self,
        ids: Tensor,
        mask: Tensor,
        *,
        keep: Tensor,
        cache: DynamicCache | None = None,
        goes_on: bool = False,
    ) -> tuple[Tensor, DynamicCache | None]:
        """Float32 logits ``(R, keep, V)`` after the tokens in columns ``keep``, and the new cache.

        Args:
            ids: ``(R, T)`` tokens, which follow those in the cache.
            mask: ``(R, cached + T)`` 1 for tokens, 0 for padding.
            keep: columns of ``ids``, increasing.
            cache: of what came before; it is added to.
            goes_on: whether the new cache is wanted.
        """
        given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        optional = {
            "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :],
            "logits_to_keep": keep,  # the rest of a whole vocabulary's logits is never made
            "past_key_values": cache,
            "use_cache": goes_on or cache is not None,
        }
        given |= {name: value for name, value in optional.items() if name in self.known}
        output = self.model(**given)
        logits = output.logits.float()
        if "logits_to_keep" not in self.known:
            logits = logits[:, keep]
        return logits, _branchable(getattr(output, "past_key_values", None))

    def _padded(
        self, rows: Sequence[Sequence[int]], collator: TextCollator
    ) -> tuple[Tensor, Tensor]:
        batch = collator([{"input_ids": list(row)} for row in rows])
        device = self.model.device
        return batch["input_ids"].to(device), batch["attention_mask"].to(device)


def _branchable(cache: object) -> DynamicCache | None:
    """The cache where it can be repeated for several continuations: all keys, and all values."""
    if isinstance(cache, DynamicCache) and all(type(each) is DynamicLayer for each in cache.layers):
        return cache
    return None
