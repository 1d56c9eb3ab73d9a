"""The LLaMA classifier: transformers' numbers, and a prediction that is each text's own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from hfrun.errors import ModelError
from hfrun.models import LlamaClassifier, LlamaClassifierConfig
from tests.hfrun.models.text_case import (
    padded,
    random_texts,
    reference_logits,
    tiny_llama,
)

LENGTHS = [7, 1, 12, 12, 3, 30]
VARIANTS = {
    "last": {},
    "mean": {"pooling": "mean"},
    "one layer": {"num_hidden_layers": 1},
    "every head its keys": {"num_key_value_heads": 4},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "wide heads": {"head_dim": 16},
    "scaled rotation": {
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
        }
    },
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_transformers_for_each_text_alone(variant: str) -> None:
    model, texts = tiny_llama(**VARIANTS[variant]).double(), random_texts(LENGTHS)
    with torch.no_grad():
        want = reference_logits(model, texts)
        assert want.std() > 0.1  # texts differ, so that equality says something
        for side in ("right", "left"):
            got = model(**padded(texts, side=side)).logits
            torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", ["last", "mean", "biases"])
def test_gradients_are_those_of_transformers(variant: str) -> None:
    model, texts = tiny_llama(**VARIANTS[variant]).double(), random_texts(LENGTHS)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    model.train()
    model(**padded(texts, side="left"), labels=labels).loss.backward()
    got = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    functional.cross_entropy(reference_logits(model, texts).float(), labels).backward()
    for name, weight in model.named_parameters():
        assert weight.grad.abs().max() > 0
        torch.testing.assert_close(got[name], weight.grad, rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 24), min_size=2, max_size=6),
    side=st.sampled_from(["left", "right"]),
    more=st.integers(0, 5),
    pooling=st.sampled_from(["last", "mean"]),
)
def test_a_prediction_is_the_same_alone_in_any_batch_and_padded_on_either_side(
    lengths: list[int], side: str, more: int, pooling: str
) -> None:
    model, texts = tiny_llama(pooling=pooling), random_texts(lengths, seed=len(lengths))
    with torch.inference_mode():
        together = model(**padded(texts, side=side, to=max(lengths) + more)).logits
        for text, got in zip(texts, together, strict=True):
            torch.testing.assert_close(model(**padded([text])).logits[0], got, rtol=0, atol=1e-5)


def test_what_stands_in_padding_is_never_read() -> None:
    model, batch = tiny_llama(), padded(random_texts([3, 9]))
    other = batch["input_ids"].where(batch["attention_mask"] == 1, 55)
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, model(other, batch["attention_mask"]).logits)


def test_a_later_token_never_changes_an_earlier_state() -> None:
    model, (text,) = tiny_llama(), random_texts([9])
    with torch.inference_mode():
        short = model(**padded([text[:5]])).logits
        # the same five tokens at the left of a longer text, whose last token is another
        assert not torch.allclose(short, model(**padded([text])).logits)
        states = model.model(input_ids=torch.tensor([text])).last_hidden_state
        torch.testing.assert_close(short, model.head(states[:, 4]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_training_in_bfloat16_stays_near_float32_in_loss_and_gradients(pooling: str) -> None:
    model = tiny_llama(pooling=pooling, initializer_range=0.05).train()
    given = {**padded(random_texts(LENGTHS)), "labels": torch.tensor([0, 1, 2, 3, 4, 0])}
    losses, gradients = [], []
    for is_on in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_on):
            loss = model(**given).loss
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
    assert losses[0] != losses[1]  # bfloat16 was really on
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)
    exact, rounded = gradients
    assert functional.cosine_similarity(exact, rounded, dim=0) > 0.999


def test_evaluation_does_not_depend_on_autocast() -> None:
    model, batch = tiny_llama(), padded(random_texts(LENGTHS))
    with torch.inference_mode():
        want = model(**batch).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(model(**batch).logits, want)


def test_hidden_dropout_acts_in_training_alone_and_in_every_layer() -> None:
    model, batch = tiny_llama(hidden_dropout=0.5), padded(random_texts(LENGTHS))
    without = tiny_llama()
    with torch.no_grad():
        assert torch.equal(model(**batch).logits, without(**batch).logits)
        model.train()
        zeroed = []
        model.hidden_dropout.register_forward_hook(
            lambda module, inputs, output: zeroed.append((output == 0).float().mean().item())
        )
        assert not torch.equal(model(**batch).logits, model(**batch).logits)
    # after the embedding, and after attention and feed-forward block of each of three layers
    assert len(zeroed) == 2 * (1 + 2 * 3)
    assert all(0.3 < share < 0.7 for share in zeroed)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = tiny_llama(hidden_dropout=0.3).train()
    given = {**padded(random_texts(LENGTHS)), "labels": torch.tensor([0, 1, 2, 3, 4, 0])}
    found = []
    for is_on in (False, True):
        if is_on:
            model.activation_checkpointing_enable()
        model.zero_grad()
        torch.manual_seed(7)
        loss = model(**given).loss
        loss.backward()
        found.append((loss.item(), model.model.embed_tokens.weight.grad.clone()))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[1][1], found[0][1])


def test_saved_and_loaded_by_the_auto_class_it_is_the_same(tmp_path: Path) -> None:
    model, batch = tiny_llama(pooling="mean", hidden_dropout=0.2), padded(random_texts(LENGTHS))
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert isinstance(again, LlamaClassifier)
    assert (again.config.pooling, again.config.hidden_dropout) == ("mean", 0.2)
    with torch.inference_mode():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attention_mask": torch.tensor([[1, 1], [0, 0]])}, "1 of 2 texts have no token"),
        ({"attention_mask": torch.tensor([[1, 1]])}, r"attention_mask of shape \(1, 2\)"),
        ({"input_ids": torch.zeros(2, dtype=torch.int64)}, r"input_ids of shape \(2,\)"),
        ({"input_ids": torch.zeros(1, 65, dtype=torch.int64), "attention_mask": None},
         "65 tokens; the model was made for at most 64: set data.max_length"),
        ({"input_ids": torch.zeros(1, 3, dtype=torch.int64),
          "attention_mask": torch.tensor([[1, 0, 1]])}, "padding between tokens"),
    ],
)  # fmt: skip
def test_input_that_no_text_has_is_refused(given: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        tiny_llama()(**{"input_ids": torch.zeros(2, 2, dtype=torch.int64), **given})


@pytest.mark.parametrize("name", ["hidden_dropout", "classifier_dropout", "attention_dropout"])
@pytest.mark.parametrize("value", [1.0, -0.5])
def test_a_dropout_that_is_no_share_below_one_is_refused(name: str, value: float) -> None:
    with pytest.raises(ModelError, match=rf"{name}={value}; needs 0 <= dropout < 1"):
        LlamaClassifierConfig(**{name: value})


def rotary(kind: str, **given: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, "factor": 4.0, **given}}


RESCALED = {
    "linear": rotary("linear"),
    "dynamic": rotary("dynamic"),
    "yarn": rotary("yarn", original_max_position_embeddings=16),
    "llama3": rotary("llama3", low_freq_factor=1.0, high_freq_factor=4.0,
                     original_max_position_embeddings=16),
}  # fmt: skip


@pytest.mark.parametrize("kind", RESCALED)
def test_rescaled_rotary_embeddings_do_not_look_at_the_batch_up_to_the_models_limit(
    kind: str,
) -> None:
    model, texts = tiny_llama(**RESCALED[kind]), random_texts([64, 3, 17, 63, 1])
    with torch.inference_mode():
        together = model(**padded(texts)).logits
        torch.testing.assert_close(together, reference_logits(model, texts), rtol=0, atol=1e-4)


def test_rotary_embeddings_of_the_longest_text_of_a_batch_are_refused() -> None:
    given = rotary("longrope", short_factor=[1.0] * 4, long_factor=[4.0] * 4,
                   original_max_position_embeddings=16)  # fmt: skip
    with pytest.raises(ModelError, match="depend on the longest text of its batch"):
        tiny_llama(**given)
