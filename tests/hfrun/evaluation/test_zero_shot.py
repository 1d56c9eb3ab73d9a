"""How likely a language model finds each label's words, by hand and against transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from hfrun.errors import ModelError
from hfrun.evaluation.zero_shot import (
    SCORINGS,
    label_log_likelihood,
    label_prior,
    label_probabilities,
)
from hfrun.evaluation.zero_shot_prompts import prompts
from hfrun.evaluation.zero_shot_reader import Reader
from hfrun.models.label_words import LabelTokens, label_tokens
from lob_backtest.book import FloatArray
from tests.hfrun.evaluation.zero_shot_case import (
    TEMPLATE,
    TEXTS,
    WORDS,
    TableModel,
    tiny_model,
    tiny_tokenizer,
)

TOKENIZER = tiny_tokenizer(marks="b")
LABELS = label_tokens(WORDS, TOKENIZER, template=TEMPLATE)
PROMPTS = prompts(TEXTS, TOKENIZER, LABELS, template=TEMPLATE, max_length=64)
LONG_BEGINNING = "Review: No . It was bad Review: An utter joy . It was good Review: {text} It was"
KINDS = ["llama", "gpt2", "mistral", "mamba"]


def one_by_one(model: torch.nn.Module, rows: tuple[tuple[int, ...], ...]) -> FloatArray:
    """Transformers' own loss of each label's tokens, one unpadded sequence at a time."""
    found = np.empty((len(rows), len(LABELS.tokens)))
    for i, prompt in enumerate(rows):
        for c, words in enumerate(LABELS.tokens):
            ids = torch.tensor([[*prompt, *words]])
            target = torch.tensor([[-100] * len(prompt) + list(words)])
            with torch.inference_mode():
                found[i, c] = -model(input_ids=ids, labels=target).loss.item() * len(words)
    return found


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_log_likelihoods_match_the_loss_of_transformers(kind: str, side: str) -> None:
    model = tiny_model(kind)
    found = label_log_likelihood(model, PROMPTS, LABELS, side=side)
    np.testing.assert_allclose(found, one_by_one(model, PROMPTS), rtol=1e-5, atol=1e-5)
    assert np.ptp(found, axis=0).min() > 0.1  # the texts matter


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_common_beginning_changes_nothing(kind: str) -> None:
    model = tiny_model(kind)
    rows = prompts(TEXTS, TOKENIZER, LABELS, template=LONG_BEGINNING, max_length=128)
    shared = next(i for i in range(100) if len({row[i] for row in rows}) > 1)
    assert shared > 16  # long enough to be read once
    found = label_log_likelihood(model, rows, LABELS)
    np.testing.assert_allclose(found, one_by_one(model, rows), rtol=1e-5, atol=1e-5)


def test_the_common_beginning_is_read_once() -> None:
    model = tiny_model()
    lengths: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda _module, _args, kwargs: lengths.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    beginning = tuple(range(20))
    rows = [(*beginning, 30 + i, 40 + i) for i in range(6)]
    label_log_likelihood(model, rows, LABELS, batch_tokens=6)
    # the beginning; then two batches of three prompts, each with two labels of up to six tokens
    assert lengths == [(1, 20), (3, 2), (6, 5), (3, 2), (6, 5)]


def test_texts_that_are_alike_leave_something_to_read() -> None:
    model = tiny_model()
    (row,) = prompts(TEXTS[:1], TOKENIZER, LABELS, template=LONG_BEGINNING, max_length=128)
    found = label_log_likelihood(model, [row, row], LABELS)
    np.testing.assert_allclose(found, one_by_one(model, (row, row)), rtol=1e-5, atol=1e-5)


def test_words_of_one_token_each_need_one_pass() -> None:
    model = tiny_model()
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    words = label_tokens(["good", "bad"], TOKENIZER, template=TEMPLATE)
    label_log_likelihood(model, PROMPTS, words)
    assert len(calls) == 1


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_table_of_pairs_by_hand(side: str) -> None:
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0.25, 0.25, 0.5]])
    words = LabelTokens(written=(" a", " b", " c"), tokens=((0,), (1,), (2, 1, 0)))
    found = label_log_likelihood(
        TableModel(probability.log()), [(2, 0), (1,), (0, 2, 2, 1)], words, side=side
    )
    expected = [
        [0.5, 0.25, 0.25 * 0.25 * 0.125],  # after 0: p(2|0) p(1|2) p(0|1)
        [0.125, 0.5, 0.375 * 0.25 * 0.125],  # after 1
        [0.125, 0.5, 0.375 * 0.25 * 0.125],  # only the last token counts
    ]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(PROMPTS) - 1), min_size=1, max_size=12),
    side=st.sampled_from(["left", "right"]),
    batch_tokens=st.integers(1, 300),
    kind=st.sampled_from(["llama", "gpt2"]),
)
def test_a_text_says_the_same_alone_and_in_any_batch(
    rows: list[int], side: str, batch_tokens: int, kind: str
) -> None:
    model = _MODELS[kind]
    together = label_log_likelihood(
        model, [PROMPTS[i] for i in rows], LABELS, batch_tokens=batch_tokens, side=side
    )
    for scoring in ("sum", "per_token", "per_byte"):
        np.testing.assert_allclose(
            label_probabilities(together, LABELS, scoring=scoring),
            label_probabilities(_ALONE[kind][rows], LABELS, scoring=scoring),
            atol=1e-5,
        )


_MODELS = {kind: tiny_model(kind) for kind in ("llama", "gpt2")}
_ALONE = {
    kind: np.concatenate([label_log_likelihood(model, [row], LABELS) for row in PROMPTS])
    for kind, model in _MODELS.items()
}


def test_the_reader_never_looks_at_what_stands_in_padding() -> None:
    model = _MODELS["llama"]
    reader = Reader(model, (), side="left")
    with torch.inference_mode():
        before = reader.scores(PROMPTS, LABELS)
        reader.collator.pad_id, reader.left.pad_id = 77, 78
        after = reader.scores(PROMPTS, LABELS)
    assert torch.equal(before, after)


def test_dropout_is_off_and_the_mode_is_left_as_it_was() -> None:
    model = tiny_model()
    expected = label_log_likelihood(model, PROMPTS, LABELS)
    model.train()
    assert np.array_equal(label_log_likelihood(model, PROMPTS, LABELS), expected)
    assert model.training


def test_the_sum_is_the_likelihood_of_the_words_whatever_the_others_are() -> None:
    model = _MODELS["llama"]
    all_words = label_log_likelihood(model, PROMPTS, LABELS)
    for c, word in enumerate(WORDS):
        pair = label_tokens([word, "an utter joy"], TOKENIZER, template=TEMPLATE)
        found = label_log_likelihood(model, PROMPTS, pair)
        np.testing.assert_allclose(found[:, 0], all_words[:, c], rtol=1e-5)


def test_scorings_by_hand() -> None:
    words = LabelTokens(written=(" ab", " abcd"), tokens=((1,), (2, 3)))
    found = np.log([[0.4, 0.1], [0.2, 0.2]])
    given = {
        scoring: label_probabilities(found, words, scoring=scoring, prior=np.array([0.8, 0.2]))
        for scoring in SCORINGS
    }
    root, fourth = np.sqrt, lambda x: x**0.25
    expected = {
        "sum": [[0.4, 0.1], [0.2, 0.2]],
        "per_token": [[0.4, root(0.1)], [0.2, root(0.2)]],
        "per_byte": [[root(0.4), fourth(0.1)], [root(0.2), fourth(0.2)]],
        "content_free": [[0.5, 0.5], [0.25, 1.0]],  # divided by the prior
        "train_prior": [[0.5, 0.5], [0.25, 1.0]],
    }
    for scoring, rows in expected.items():
        shares = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
        np.testing.assert_allclose(given[scoring], shares, rtol=1e-12)


def test_the_prior_is_the_mean_of_probabilities() -> None:
    found = np.log([[0.6, 0.2], [0.1, 0.1]])  # shares 3/4, 1/4 and 1/2, 1/2
    np.testing.assert_allclose(label_prior(found), [0.625, 0.375])


def test_a_text_that_is_all_the_prior_knows_of_is_left_undecided() -> None:
    model = _MODELS["llama"]
    found = label_log_likelihood(model, PROMPTS[:1], LABELS)
    prior = label_prior(found)
    corrected = label_probabilities(found, LABELS, scoring="content_free", prior=prior)
    np.testing.assert_allclose(corrected, 1 / 3, rtol=1e-12)


def test_a_scoring_without_its_prior_is_refused() -> None:
    with pytest.raises(ModelError, match="scoring content_free needs the labels' prior"):
        label_probabilities(np.zeros((1, 3)), LABELS, scoring="content_free")
    with pytest.raises(ModelError, match="'best' is unknown; choose one of sum, per_token"):
        label_probabilities(np.zeros((1, 3)), LABELS, scoring="best")


def test_a_prompt_that_leaves_no_room_for_the_words_is_refused() -> None:
    rows = [tuple(range(2, 125))]  # 123 tokens; the words take six of 128
    with pytest.raises(ModelError, match=r"reads at most 128: lower data\.max_length to 122"):
        label_log_likelihood(_MODELS["llama"], rows, LABELS)
    assert np.isfinite(label_log_likelihood(_MODELS["llama"], [rows[0][:122]], LABELS)).all()


def test_a_tokenizer_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="gives piece 360 and the model knows 360; give the model"):
        label_log_likelihood(_MODELS["llama"], [(3, 360)], LABELS)


def test_damaged_weights_end_in_one_message() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(ModelError, match=r"scores of 7 of 7 texts are not finite"):
        label_log_likelihood(model, PROMPTS, LABELS)


def test_real_weights_say_the_same_alone_and_padded_on_either_side(lob_data_dir: Path) -> None:
    source = lob_data_dir / "models" / "stories260K" / "hf"
    model = AutoModelForCausalLM.from_pretrained(source)
    tokenizer = AutoTokenizer.from_pretrained(source)
    lines = (
        (lob_data_dir / "data" / "text" / "sst5" / "sst-dev.txt").read_text("utf-8").splitlines()
    )
    texts = [line.partition(" ||| ")[2] for line in lines[:40]]
    words = label_tokens(["terrible", "bad", "okay", "good", "great"], tokenizer, template=TEMPLATE)
    assert words.n_tokens.tolist() == [5, 2, 3, 3, 3]
    rows = prompts(texts, tokenizer, words, template=TEMPLATE, max_length=128)
    alone = np.concatenate([label_log_likelihood(model, [row], words) for row in rows[:10]])
    for side in ("left", "right"):
        found = label_log_likelihood(model, rows, words, side=side)[:10]
        np.testing.assert_allclose(
            label_probabilities(found, words, scoring="sum"),
            label_probabilities(alone, words, scoring="sum"),
            atol=1e-5,
        )
