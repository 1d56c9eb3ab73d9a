"""The labels' words as a language model reads them: tokens that go on after a template.

This movie is │  awful      the head of a classifier may start as these words' rows, and the
              │  okay       zero-shot baseline asks how likely each is
              │  good
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from hfrun.errors import ModelError
from hfrun.text_config import TEXT_PLACE

FloatArray = npt.NDArray[np.float64]

_PROBE = "It works"
# After one of these a word begins with a space; after a space, a line break or an open quote not.
_CLOSING = tuple(".,:;!?)]}%")


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelTokens:
    """Each label's words as tokens that continue a prompt.

    Attributes:
        written: the C labels' words as they stand after the prompt, their space included.
        tokens: of each label, at least one; no two labels have the same.
        borrowed: the last tokens of a prompt that belong to the words: a template that ends in a
            space, which the tokenizer joins to what follows. Mostly none.
    """

    written: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    borrowed: tuple[int, ...] = ()

    @property
    def n_tokens(self) -> FloatArray:
        """``(C,)`` tokens of each label."""
        return np.array([len(each) for each in self.tokens], dtype=np.float64)

    @property
    def n_bytes(self) -> FloatArray:
        """``(C,)`` bytes of UTF-8 of each label's words, without the space before them."""
        return np.array([len(each.strip().encode()) for each in self.written], dtype=np.float64)

    @property
    def longest(self) -> int:
        """Tokens of the longest label."""
        return max(len(each) for each in self.tokens)


def written_words(label_words: Sequence[str], *, template: str) -> tuple[str, ...]:
    """The words with a space before each, where the template's end asks for one.

    Words that begin with a space, and templates that end in one or in a line break, stay as they
    are.

    >>> written_words(["bad", "good"], template="{text} It was")
    (' bad', ' good')
    """
    last = template[-1:]
    joins = last.isalnum() or template.endswith((TEXT_PLACE, *_CLOSING))
    return tuple(f" {word}" if joins and not word[:1].isspace() else word for word in label_words)


def label_tokens(
    label_words: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, template: str
) -> LabelTokens:
    """The tokens that the labels' words have after the template, not those that they have alone.

    Some tokenizers put a mark before the first word of whatever they are given, and many join a
    space to the word after it, so the template is read with the words and without them; what
    differs are the words.

    Args:
        label_words: C of them, in the order of the classes.
        tokenizer: the language model's.
        template: with ``{text}`` in it once.

    Raises:
        ModelError: fewer than two labels, words that give no tokens of their own, or two labels
            that are alike.
    """
    if template.count(TEXT_PLACE) != 1:
        raise ModelError(f"template={template!r} needs {TEXT_PLACE} in it once")
    if len(label_words) < 2:
        raise ModelError(f"label words {list(label_words)}: needs at least two labels")
    written = written_words(label_words, template=template)
    for word in written:
        if not word.strip():
            raise ModelError(f"label words {list(label_words)}: {word!r} says nothing; give a word")
    prompt = _marked(template.replace(TEXT_PLACE, _PROBE), tokenizer)
    whole = [_marked(template.replace(TEXT_PLACE, _PROBE) + word, tokenizer) for word in written]
    shared = min(_shared(prompt, ids) for ids in whole)
    tokens = tuple(tuple(ids[shared:]) for ids in whole)
    _check_tokens(written, tokens, tokenizer)
    return LabelTokens(written=written, tokens=tokens, borrowed=tuple(prompt[shared:]))


def _marked(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The text's tokens with the tokenizer's mark of the beginning, without one of the end."""
    ids: list[int] = list(tokenizer(text, verbose=False)["input_ids"])
    return ids[:-1] if end_mark(tokenizer) is not None else ids


def end_mark(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that the tokenizer puts after every text, if any: no text goes on after it."""
    last = tokenizer(_PROBE)["input_ids"][-1]
    plain = tokenizer(_PROBE, add_special_tokens=False)["input_ids"][-1]
    return int(last) if last != plain else None


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens at the beginning are alike."""
    differ = (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differ, min(len(one), len(other)))


def _check_tokens(
    written: Sequence[str], tokens: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase
) -> None:
    for i, (word, ids) in enumerate(zip(written, tokens, strict=True)):
        if not ids or tokenizer.unk_token_id in ids:
            raise ModelError(
                f"label word {word!r}: the tokenizer has no pieces for it; choose another word in "
                "model.label_words"
            )
        if ids in tokens[:i]:
            raise ModelError(
                f"label words {written[tokens.index(ids)]!r} and {word!r} have the same tokens; "
                "no model can tell these labels apart: choose other words in model.label_words"
            )
