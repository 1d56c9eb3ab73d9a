"""What a language model is asked of a text: the template around it, and each label's words after.

    Review: An utter joy .\\nThis movie is │  awful
    └ what is read, the same for all labels │  okay
                                            │  good     how likely is each, given what was read?

A prompt has the same tokens as the text of a classifier with the same template
(``hfrun.data.text_batches``), so both read the same.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from hfrun.data.text_batches import tokenize
from hfrun.errors import DataError
from hfrun.models.label_words import LabelTokens, end_mark
from hfrun.text_config import TEXT_PLACE

# Texts without content: what a model says of them is its bias (Zhao et al., 2021).
CONTENT_FREE = ("N/A", "[MASK]", "")


def prompts(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    words: LabelTokens,
    *,
    template: str,
    max_length: int,
) -> tuple[tuple[int, ...], ...]:
    """The tokens before the labels' words of each text; of one that is too long the end is cut.

    Args:
        texts: N of them.
        tokenizer: as for ``words``.
        words: from ``label_tokens``.
        template: as for ``words``.
        max_length: most tokens of a prompt; the words come on top.

    Raises:
        DataError: the template alone is longer, or a prompt has no tokens.
    """
    read = tokenize(texts, tokenizer, template=template, max_length=max_length)
    end = end_mark(tokenizer)
    found = []
    for text, marked in zip(texts, read.ids, strict=True):
        ids = tuple(marked[:-1] if end is not None and marked[-1:] == [end] else marked)
        kept = len(ids) - len(words.borrowed)
        if ids[kept:] != words.borrowed:
            raise DataError(
                f"the text {text[:60]!r} joins its last letters to the label's words; put words "
                f"after {TEXT_PLACE} in data.template, such as '{TEXT_PLACE} It was'"
            )
        if kept < 1:
            raise DataError(
                f"the text {text[:60]!r} gives a prompt without tokens, after which nothing can "
                f"be asked; put words before or after {TEXT_PLACE} in data.template"
            )
        found.append(ids[:kept])
    return tuple(found)
