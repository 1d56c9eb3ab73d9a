"""What a language model is asked: the label words' tokens, and the prompts before them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from hfrun.data.text_batches import tokenize
from hfrun.errors import DataError, ModelError
from hfrun.evaluation.zero_shot_prompts import prompts
from hfrun.models.label_words import label_tokens, written_words
from tests.hfrun.evaluation.zero_shot_case import TEMPLATE, TEXTS, WORDS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def asked(template: str, words: list[str], text: str, tokenizer: Any = TOKENIZER) -> list[str]:
    """Prompt and words of each label, decoded from their tokens."""
    found = label_tokens(words, tokenizer, template=template)
    (prompt,) = prompts([text], tokenizer, found, template=template, max_length=64)
    return [tokenizer.decode([*prompt, *ids]) for ids in found.tokens]


def test_each_label_gives_the_template_its_text_and_its_words() -> None:
    assert asked(TEMPLATE, ["bad", "good"], "Dull .") == [
        "Review: Dull . It was bad",
        "Review: Dull . It was good",
    ]


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{text} It was", " bad"),
        ("{text} It was ", "bad"),
        ("{text}\n", "bad"),
        ("Review: {text} Verdict:", " bad"),
        ("{text}", " bad"),
        ('{text} They called it "', "bad"),
        ("It was bad (or good): {text}.", " bad"),
    ],
)
def test_a_space_joins_words_to_a_template_that_ends_in_a_word_or_a_closing_mark(
    template: str, written: str
) -> None:
    assert written_words(["bad"], template=template) == (written,)
    assert written_words([" bad"], template=template) == (" bad",)


def test_a_space_at_the_end_of_the_template_belongs_to_the_words() -> None:
    plain = label_tokens(WORDS, TOKENIZER, template="{text} It was")
    spaced = label_tokens(WORDS, TOKENIZER, template="{text} It was ")
    assert spaced.tokens == plain.tokens
    assert TOKENIZER.decode(spaced.borrowed) == " "
    for template, words in (("{text} It was", plain), ("{text} It was ", spaced)):
        found = prompts(TEXTS, TOKENIZER, words, template=template, max_length=64)
        assert [TOKENIZER.decode(ids) for ids in found] == [f"{text} It was" for text in TEXTS]


def test_the_mark_that_ends_every_text_is_not_put_between_prompt_and_words() -> None:
    tokenizer = tiny_tokenizer(marks="be")
    assert asked(TEMPLATE, ["bad", "good"], "Dull .", tokenizer) == [
        "<s>Review: Dull . It was bad",
        "<s>Review: Dull . It was good",
    ]


def test_one_label_may_begin_like_another() -> None:
    found = label_tokens(["good", "good good"], TOKENIZER, template=TEMPLATE)
    good = found.tokens[0]
    assert found.tokens == (good, good + good)
    assert found.n_tokens.tolist() == [1, 2]
    assert found.n_bytes.tolist() == [4, 9]


def test_bytes_are_those_of_utf_8_without_the_space_before_the_word() -> None:
    found = label_tokens(["bad", " caf\u00e9"], TOKENIZER, template=TEMPLATE)
    assert found.n_bytes.tolist() == [3, 5]


def test_a_prompt_has_the_tokens_that_the_classifier_reads() -> None:
    tokenizer = tiny_tokenizer(marks="b")
    words = label_tokens(WORDS, tokenizer, template=TEMPLATE)
    found = prompts(TEXTS, tokenizer, words, template=TEMPLATE, max_length=12)
    read = tokenize(TEXTS, tokenizer, template=TEMPLATE, max_length=12)
    assert [list(ids) for ids in found] == list(read.ids)
    assert np.flatnonzero(read.full_length > 12).tolist() == [1, 3, 5]  # these were cut


def test_a_cut_text_keeps_the_words_of_the_template() -> None:
    words = label_tokens(WORDS, TOKENIZER, template=TEMPLATE)
    (prompt,) = prompts([TEXTS[1]], TOKENIZER, words, template=TEMPLATE, max_length=9)
    assert len(prompt) == 9
    decoded = TOKENIZER.decode(prompt)
    assert decoded.startswith("Review: Dull ,")
    assert decoded.endswith(" It was")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["good"], "needs at least two labels"),
        (["good", ""], "says nothing; give a word"),
        (["good", "  "], "says nothing; give a word"),
        (["good", "bad", "good"], "' good' and ' good' have the same tokens"),
        (["good", " good"], "' good' and ' good' have the same tokens"),
    ],
)
def test_words_that_cannot_tell_labels_apart_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        label_tokens(words, TOKENIZER, template=TEMPLATE)


@pytest.mark.parametrize("template", ["It was", "{text} and {text}", ""])
def test_a_template_without_exactly_one_text_is_refused(template: str) -> None:
    with pytest.raises(ModelError, match=r"needs \{text\} in it once"):
        label_tokens(WORDS, TOKENIZER, template=template)


def test_a_word_that_the_tokenizer_does_not_know_is_refused() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = {"<unk>": 0, "It": 1, "was": 2, "good": 3, "works": 4}
    words_alone = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    words_alone.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words_alone, unk_token="<unk>")
    with pytest.raises(ModelError, match="label word ' dire': the tokenizer has no pieces for it"):
        label_tokens(["good", "dire"], tokenizer, template="{text} It was")


def test_a_prompt_without_tokens_is_refused() -> None:
    words = label_tokens(WORDS, TOKENIZER, template="{text}")
    with pytest.raises(DataError, match="the text '' gives a prompt without tokens"):
        prompts(["good", ""], TOKENIZER, words, template="{text}", max_length=64)


def test_a_template_longer_than_the_limit_is_refused() -> None:
    words = label_tokens(WORDS, TOKENIZER, template=TEMPLATE)
    with pytest.raises(
        DataError, match=r"data\.template and the tokenizer.s own marks have \d+ tokens"
    ):
        prompts(TEXTS, TOKENIZER, words, template=TEMPLATE, max_length=3)


def test_words_of_a_sentencepiece_tokenizer_have_no_mark_of_a_beginning(
    lob_data_dir: Path,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(lob_data_dir / "models" / "stories260K" / "hf")
    template = "{text} It was"
    found = label_tokens(["good", "bad"], tokenizer, template=template)
    text = "One day, Lily met a dog."
    (prompt,) = prompts([text], tokenizer, found, template=template, max_length=64)
    for word, ids in zip(("good", "bad"), found.tokens, strict=True):
        assert [*prompt, *ids] == tokenizer(f"{text} It was {word}")["input_ids"]
    alone = tokenizer(" good", add_special_tokens=False)["input_ids"]
    assert list(found.tokens[0]) == alone[1:]  # alone it has one more: a space before the space
