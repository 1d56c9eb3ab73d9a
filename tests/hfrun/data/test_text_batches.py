"""Texts as tokens and batches: nothing but the text is cut, none is left out or read twice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hfrun.data.text_batches import LengthGroupedSampler, TextCollator, token_dataset, tokenize
from hfrun.errors import DataError

WORDS = ["<s>", "</s>", "It", "was", "Review", ":", *(f"w{i}" for i in range(30))]


def word_tokenizer(*, marks: bool) -> PreTrainedTokenizerFast:
    """A token a word; with ``marks`` one at the beginning and one at the end."""
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="It"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if marks:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def words(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(ids))


@pytest.mark.parametrize(("marks", "first", "last"), [(False, "", ""), (True, "<s> ", " </s>")])
def test_of_a_long_text_the_end_is_cut_and_never_the_template_or_a_mark(
    marks: bool, first: str, last: str
) -> None:
    tokenizer = word_tokenizer(marks=marks)
    tokens = tokenize(
        ["w1 w2 w3 w4 w5 w6", "w7"], tokenizer, template="Review : {text} It was",
        max_length=8 if marks else 6,
    )  # fmt: skip
    assert [words(tokenizer, ids) for ids in tokens.ids] == [
        f"{first}Review : w1 w2 It was{last}",
        f"{first}Review : w7 It was{last}",
    ]
    assert tokens.full_length.tolist() == [12, 7] if marks else [10, 5]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(0, 29), max_size=20), min_size=1, max_size=5),
    marks=st.booleans(),
    template=st.sampled_from(["{text}", "Review : {text}", "{text} It was", ": {text} It"]),
    max_length=st.integers(5, 24),
)
def test_every_text_keeps_its_template_and_as_much_as_there_is_room_for(
    texts: list[list[int]], marks: bool, template: str, max_length: int
) -> None:
    tokenizer = word_tokenizer(marks=marks)
    given = [" ".join(f"w{number}" for number in text) for text in texts]
    tokens = tokenize(given, tokenizer, template=template, max_length=max_length)
    around = [tokenizer.convert_tokens_to_ids(part.split()) for part in template.split("{text}")]
    around = [[0, *around[0]], [*around[1], 1]] if marks else around
    room = max_length - len(around[0]) - len(around[1])
    for text, ids, full in zip(texts, tokens.ids, tokens.full_length, strict=True):
        kept = [6 + number for number in text[:room]]
        assert ids == [*around[0], *kept, *around[1]]
        assert full == len(text) + len(around[0]) + len(around[1])


def test_a_template_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(DataError, match=r"have 4 tokens and data\.max_length is 4"):
        tokenize(["w1"], word_tokenizer(marks=True), template="{text} It was", max_length=4)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_is_padded_on_its_side_to_its_longest(side: str) -> None:
    batch = TextCollator(pad_id=9, side=side)(
        [{"input_ids": [1, 2, 3], "labels": 1}, {"input_ids": [4], "labels": 0}]
    )
    short = [4, 9, 9] if side == "right" else [9, 9, 4]
    assert batch["input_ids"].tolist() == [[1, 2, 3], short]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [int(token == 4) for token in short]]
    assert batch["labels"].tolist() == [1, 0]


def test_the_dataset_holds_every_text_with_its_label() -> None:
    tokens = tokenize(["w1 w2", "w3"], word_tokenizer(marks=False), template="{text}", max_length=9)
    dataset = token_dataset(tokens, np.array([1, 0]))
    assert [dict(row) for row in dataset] == [
        {"input_ids": [7, 8], "labels": 1},
        {"input_ids": [9], "labels": 0},
    ]


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    batch=st.integers(1, 9),
    seed=st.integers(0, 3),
)
def test_an_epoch_has_every_text_once_in_an_order_of_seed_and_epoch(
    lengths: list[int], batch: int, seed: int
) -> None:
    def order(epoch: int) -> list[int]:
        sampler = LengthGroupedSampler(np.array(lengths), batch=batch, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    first, second = order(0), order(1)
    assert sorted(first) == sorted(second) == list(range(len(lengths)))
    assert order(0) == first
    if len(lengths) > 20 * batch:
        assert first != second


def test_batches_are_of_about_one_length_and_their_order_is_not_that_of_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 61, size=8000)
    sampler = LengthGroupedSampler(lengths, batch=80, seed=0)
    batches = lengths[list(sampler)].reshape(100, 80)
    padded = (batches.max(axis=1) * 80).sum()
    assert padded < 1.04 * lengths.sum()  # at random it is nearly twice that
    assert abs(np.corrcoef(batches.mean(axis=1), np.arange(100))[0, 1]) < 0.3


def test_the_last_smaller_batch_comes_last() -> None:
    sampler = LengthGroupedSampler(np.arange(1, 12), batch=4, seed=0)
    assert list(sampler)[-3:] == [8, 9, 10]


def test_tokens_are_whole_numbers_that_a_model_takes() -> None:
    tokens = tokenize(["w1"], word_tokenizer(marks=False), template="{text}", max_length=9)
    batch = TextCollator()([{"input_ids": tokens.ids[0]}])
    assert batch["input_ids"].dtype == torch.int64
    assert "labels" not in batch
