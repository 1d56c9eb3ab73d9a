"""DeepLOB: its size, its shapes, its receptive field, its round trip through a folder."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from hfrun.errors import ModelError
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification
from hfrun.models.book_config import DOWN_FLAT_UP


def small_model(**sizes: object) -> DeepLobForSequenceClassification:
    torch.manual_seed(0)
    defaults = {"levels": 2, "window": 20, "conv_channels": 4, "inception_channels": 4}
    config = DeepLobConfig(**{**defaults, "lstm_hidden": 4, **sizes})
    return DeepLobForSequenceClassification(config).eval()


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("levels", "parameters"), [(1, 134_691), (5, 138_787), (10, 143_907), (20, 154_147)]
)
def test_parameter_count_is_the_published_one_and_grows_by_1024_a_level(
    levels: int, parameters: int
) -> None:
    # by hand: only the (1, L) convolution depends on L, with 32 * 32 weights a level
    model = DeepLobForSequenceClassification(DeepLobConfig(levels=levels))
    assert model.num_parameters() == parameters == 143_907 + 1024 * (levels - 10)


@pytest.mark.parametrize("levels", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("rows", [19, 20, 57])
def test_any_window_of_at_least_19_rows_gives_one_logit_a_class(levels: int, rows: int) -> None:
    output = small_model(levels=levels)(features(3, rows, 4 * levels))
    assert output.logits.shape == (3, 3)
    assert output.loss is None


@pytest.mark.parametrize("shape", [(3, 18, 8), (3, 20, 10), (20, 8), (3, 1, 20, 8)])
def test_features_of_another_shape_are_refused_with_what_was_got_and_needed(shape) -> None:
    with pytest.raises(ModelError, match=r"got|needed \(B, T, 8\) with T >= 19") as refusal:
        small_model()(features(*shape))
    assert str(tuple(shape)) in str(refusal.value)


def test_encoder_is_18_rows_shorter_and_three_inception_branches_wide() -> None:
    model = small_model(inception_channels=5)
    rows = model.book_rows(features(2, 30, 8))
    assert rows.shape == (2, model.config.conv_channels, 12, 1)
    assert model.inception(rows).shape == (2, 15, 12, 1)


def test_loss_is_the_plain_cross_entropy_of_the_logits() -> None:
    model, labels = small_model(), torch.tensor([0, 2, 1])
    output = model(features(3, 20, 8), labels=labels)
    by_hand = -torch.log_softmax(output.logits, dim=1)[torch.arange(3), labels].mean()
    torch.testing.assert_close(output.loss, by_hand)


def test_class_names_follow_the_config() -> None:
    assert DeepLobConfig().id2label == {0: "down", 1: "flat", 2: "up"}
    assert DeepLobConfig().label2id == {"down": 0, "flat": 1, "up": 2}
    assert DeepLobConfig(id2label={0: "up", 1: "down"}).label2id == {"up": 0, "down": 1}
    assert small_model(num_labels=5)(features(2, 20, 8)).logits.shape == (2, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"levels": 0}, r"levels=0 \(a whole number of at least 1\)"),
        ({"window": 18}, r"window=18 \(.* at least 19\)"),
        ({"lstm_hidden": 4.5}, r"lstm_hidden=4.5 \(a whole number"),
        ({"conv_channels": "8"}, r"conv_channels='8' \(a whole number"),
        ({"dropout": 1.0}, r"dropout=1.0"),
        ({"dropout": "high"}, r"dropout='high'"),
        ({"id2label": {0: "a"}, "num_labels": 3}, "num_labels=3 beside 1 names"),
    ],
)
def test_sizes_that_make_no_network_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DeepLobConfig(**wrong)


def test_each_row_of_the_window_reaches_the_logits() -> None:
    model = small_model()
    window = features(1, 20, 8).requires_grad_()
    model(window).logits.sum().backward()
    assert (window.grad.abs().sum(dim=2) > 0).all()


def test_first_convolution_pairs_a_price_with_its_own_size_and_then_ask_with_bid() -> None:
    model = small_model()
    window = features(1, 20, 8)
    moved = window.clone()
    moved[..., 3] += 1.0  # bid_size_1: the second pair of the row, the first level
    with torch.no_grad():
        pairs = (model.price_size(moved[:, None]) - model.price_size(window[:, None])).abs()
        levels = model.sides(model.price_size(moved[:, None])) - model.sides(
            model.price_size(window[:, None])
        )
    assert (pairs.amax(dim=(0, 1, 2)) > 0).tolist() == [False, True, False, False]
    assert (levels.abs().amax(dim=(0, 1, 2)) > 0).tolist() == [True, False]


def test_prediction_of_a_window_does_not_depend_on_its_batch() -> None:
    model, windows = small_model(), features(5, 24, 8)
    with torch.no_grad():
        together = model(windows).logits
        alone = torch.cat([model(window[None]).logits for window in windows])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_saved_and_loaded_through_the_auto_class_gives_equal_logits(
    tmp_path, memory_format
) -> None:
    model = small_model(dropout=0.3).to(memory_format=memory_format)
    model.train()(features(8, 20, 8))  # running statistics other than the initial ones
    model.eval().save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is DeepLobForSequenceClassification
    saved = AutoConfig.from_pretrained(tmp_path)
    assert (saved.to_diff_dict(), saved.id2label) == (model.config.to_diff_dict(), DOWN_FLAT_UP)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded(features(4, 20, 8)).logits, model(features(4, 20, 8)).logits, rtol=0, atol=1e-6
        )


def test_channels_last_gives_the_same_logits_and_gradients() -> None:
    plain, last = small_model(), small_model().to(memory_format=torch.channels_last)
    labels = torch.tensor([0, 1, 2, 0])
    for model in (plain, last):
        model.train()(features(4, 20, 8), labels=labels).loss.backward()
    for (name, want), (_, got) in zip(
        plain.named_parameters(), last.named_parameters(), strict=True
    ):
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_weights_start_as_pytorch_defaults() -> None:
    model = small_model(conv_channels=16)
    weight = model.sides[1][0].weight  # fan-in 16 * 4: uniform within 1 / 8
    assert weight.abs().max() <= 0.125
    assert weight.std().item() == pytest.approx(0.125 / 3**0.5, rel=0.1)
    # and a seed gives the same model again
    again = small_model(conv_channels=16)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_bfloat16_autocast_stays_near_float32() -> None:
    model, windows = small_model(), features(4, 20, 8)
    with torch.no_grad():
        exact = model(windows).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model(windows, labels=torch.tensor([0, 1, 2, 1]))
    assert rounded.loss.dtype == torch.float32
    torch.testing.assert_close(rounded.logits.float(), exact, rtol=0, atol=0.03)
