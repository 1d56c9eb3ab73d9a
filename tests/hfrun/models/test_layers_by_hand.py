"""The layers of the book models against arithmetic by hand and against PyTorch's own."""

import math

import pytest
import torch
from torch import nn

from hfrun.models import (
    BiLstmConfig,
    BiLstmForSequenceClassification,
    LinearConfig,
    LinearForSequenceClassification,
    MlpConfig,
    MlpForSequenceClassification,
)
from hfrun.models.bilstm import FrameProjection
from hfrun.models.norms import BatchNorm


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def reaching_rows(model: nn.Module, rows: int) -> list[bool]:
    """Which rows of a window the logits depend on."""
    window = features(1, rows, 4).requires_grad_()
    model.eval()(window).logits.square().sum().backward()
    return (window.grad.abs().sum(dim=2)[0] > 0).tolist()


def test_linear_model_weighs_the_last_rows_oldest_first() -> None:
    model = LinearForSequenceClassification(LinearConfig(levels=1, window=3, frames=2)).eval()
    with torch.no_grad():
        model.head.weight.copy_(torch.arange(24.0).reshape(3, 8))
        model.head.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
        window = torch.tensor([[[9.0] * 4, [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]]])
        # weights 0 and 7 of each class: 0 + 2 * 7, 8 + 2 * 15 + 1, 16 + 2 * 23 + 2
        assert model(window).logits.tolist() == [[14.0, 39.0, 64.0]]


def test_perceptron_is_linear_gelu_linear() -> None:
    config = MlpConfig(levels=1, window=2, frames=2, depth=1, width=2, norm="none")
    model = MlpForSequenceClassification(config).eval()
    hidden = model.layers[0][0]
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[0.125] * 8, [-0.125] * 8]))
        hidden.bias.copy_(torch.tensor([0.5, 0.5]))
        model.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        model.head.bias.zero_()
        got = model(torch.ones(1, 2, 4)).logits[0].tolist()
    # x times the share of a standard normal below x, at 0.5 + 1 and at 0.5 - 1
    up, down = (x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in (1.5, -0.5))
    assert got == pytest.approx([up, down, up + down], abs=1e-6)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_perceptron_has_as_many_parameters_as_its_sizes_say(norm: str, depth: int) -> None:
    config = MlpConfig(levels=5, window=20, frames=7, depth=depth, width=30, norm=norm)
    a_norm = 0 if norm == "none" else 2 * 30
    by_hand = (140 * 30 + 30) + (depth - 1) * (30 * 30 + 30) + depth * a_norm + (30 * 3 + 3)
    assert MlpForSequenceClassification(config).num_parameters() == by_hand


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_lstm_has_as_many_parameters_as_its_sizes_say(depth: int) -> None:
    config = BiLstmConfig(levels=5, window=20, frames=3, depth=depth, width=6)
    project = 60 * 6 + 6 + 2 * 6
    # each direction has 4 gates of 6, from its input and from its own state, and two biases
    first, later = 2 * 4 * 6 * (6 + 6 + 2), 2 * 4 * 6 * (12 + 6 + 2)
    by_hand = project + first + (depth - 1) * later + depth * 2 * 12 + (24 * 3 + 3)
    assert BiLstmForSequenceClassification(config).num_parameters() == by_hand


@pytest.mark.parametrize(("frames", "rows"), [(1, 6), (3, 6), (5, 6), (5, 1), (9, 2)])
def test_projection_is_that_of_the_rows_around_each_with_the_ends_repeated(
    frames: int, rows: int
) -> None:
    torch.manual_seed(0)
    project, window = FrameProjection(8, frames, 5), features(2, rows, 8)
    beside = frames // 2
    around = torch.tensor(
        [[min(max(t + k, 0), rows - 1) for k in range(-beside, beside + 1)] for t in range(rows)]
    )
    concatenated = window[:, around].flatten(2)  # (B, T, n x 8)
    weight = project.weigh.weight.transpose(1, 2).flatten(1)  # (5, n x 8)
    by_hand = concatenated @ weight.T + project.weigh.bias
    torch.testing.assert_close(project(window), by_hand, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_stack_without_norms_is_pytorchs_own_stacked_lstm(bidirectional: bool) -> None:
    torch.manual_seed(0)
    config = BiLstmConfig(
        levels=2, window=9, depth=3, width=5, norm="none", bidirectional=bidirectional
    )
    model = BiLstmForSequenceClassification(config).eval()
    stacked = nn.LSTM(5, 5, num_layers=3, batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for layer, block in enumerate(model.layers):
            for key, held in block.lstm.named_parameters():
                getattr(stacked, key.replace("_l0", f"_l{layer}")).copy_(held)
        window = features(4, 9, 8)
        steps, _ = stacked(model.project(window))
        want = model.head(torch.cat([steps[:, -1], steps.mean(dim=1)], dim=1))
        torch.testing.assert_close(model(window).logits, want, rtol=0, atol=1e-6)


def test_forward_lstm_at_a_row_knows_no_later_row() -> None:
    torch.manual_seed(0)
    config = BiLstmConfig(levels=1, window=8, width=4, bidirectional=False)
    model = BiLstmForSequenceClassification(config).eval()
    window = features(1, 8, 4)
    moved = window.clone()
    moved[:, 5] += 1.0
    with torch.no_grad():
        change = model.layers(model.project(moved)) - model.layers(model.project(window))
    assert (change.abs().sum(dim=2)[0] > 0).tolist() == [False] * 5 + [True] * 3


def test_perceptron_and_linear_model_see_the_last_rows_and_the_lstm_all() -> None:
    mlp = MlpForSequenceClassification(MlpConfig(levels=1, window=6, frames=2, norm="none"))
    linear = LinearForSequenceClassification(LinearConfig(levels=1, window=6, frames=4))
    lstm = BiLstmForSequenceClassification(BiLstmConfig(levels=1, window=6, width=4))
    assert reaching_rows(mlp, 6) == [False] * 4 + [True] * 2
    assert reaching_rows(linear, 6) == [False] * 2 + [True] * 4
    assert reaching_rows(lstm, 6) == [True] * 6


def test_batch_norm_of_several_samples_is_pytorchs_and_of_one_that_of_evaluation() -> None:
    ours, torchs = BatchNorm(3).train(), nn.BatchNorm1d(3).train()
    batch = 2.0 + features(16, 3)
    torch.testing.assert_close(ours(batch), torchs(batch), rtol=0, atol=0)
    before = {key: held.clone() for key, held in ours.state_dict().items()}
    alone = ours(batch[:1])
    assert all(torch.equal(before[key], held) for key, held in ours.state_dict().items())
    torch.testing.assert_close(alone, ours.eval()(batch[:1]), rtol=0, atol=0)
    by_hand = (batch[:1] - ours.running_mean) / (ours.running_var + 1e-5).sqrt()
    torch.testing.assert_close(alone, by_hand)


def test_batch_norm_of_an_lstm_counts_every_row_of_every_window() -> None:
    config = BiLstmConfig(levels=1, window=7, depth=1, width=3, norm="batch", dropout=0.0)
    model = BiLstmForSequenceClassification(config).train()
    steps = model.layers(model.after_projection(model.project(features(5, 7, 4))))
    samples = steps.detach().flatten(0, 1)  # (35, 6)
    torch.testing.assert_close(samples.mean(0), torch.zeros(6), rtol=0, atol=1e-6)
    torch.testing.assert_close(samples.var(0, correction=0), torch.ones(6), rtol=0, atol=0.01)
