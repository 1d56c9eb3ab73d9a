"""Windows inside stretches give what windows of their own give."""

import copy

import pytest
import torch
from torch import Tensor, nn

from hfrun.errors import ModelError
from hfrun.models import DeepLobConfig, DeepLobForSequenceClassification, MlpConfig
from hfrun.models.deeplob_shared import window_sites
from hfrun.models.mlp import MlpForSequenceClassification
from hfrun.models.recurrence import last_hidden

# From the shortest window, where every inception output touches an end, to the published one.
SHAPES = [(19, 1), (20, 5), (21, 10), (22, 1), (23, 20), (24, 5), (50, 20), (100, 1), (100, 10)]


def deeplob(*, window: int, levels: int, seed: int = 0) -> DeepLobForSequenceClassification:
    """With batch norms that have seen rows, some of them turning the sign.

    So that the logits of two windows differ: of a fresh model they agree to 1e-5 by themselves.
    """
    torch.manual_seed(seed)
    model = DeepLobForSequenceClassification(DeepLobConfig(levels=levels, window=window))
    for norm in norms(model):
        norm.weight.data.uniform_(-1, 1.5)
        norm.bias.data.normal_(0, 0.3)
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(features=torch.randn(50, window, 4 * levels))
        model.lstm.weight_ih_l0 *= 2
        model.head.weight *= 2
    for norm in norms(model):
        norm.momentum = 0.1
    return model


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def windows(rows: Tensor, ends: Tensor, *, window: int) -> Tensor:
    """``(W, T, 4 L)`` the windows of rows ``(R, 4 L)``, each by itself."""
    return torch.stack([rows[end - window + 1 : end + 1] for end in ends.tolist()])


def plain_logits(
    model: DeepLobForSequenceClassification, rows: Tensor, ends: Tensor, *, window: int
) -> Tensor:
    return model(features=windows(rows, ends, window=window)).logits


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("window", "levels"), SHAPES)
def test_prediction_equals_the_plain_path_for_every_window(
    window: int, levels: int, memory_format: torch.memory_format
) -> None:
    model = deeplob(window=window, levels=levels).eval().to(memory_format=memory_format)
    rows = torch.randn(window + 90, 4 * levels)
    every_row = torch.arange(window - 1, window + 50)  # the first window of a session among them
    apart = torch.tensor([window + 63, window + 63, window + 89])  # with a gap, one twice
    ends = torch.cat([every_row, apart])
    with torch.inference_mode():
        shared = model(features=rows[None], ends=ends).logits
        plain = plain_logits(model, rows, ends, window=window)
    assert shared.shape == (len(ends), 3)
    torch.testing.assert_close(shared, plain, atol=1e-5, rtol=0)
    assert plain.std(dim=0).min() > 0.01  # not one answer for all windows


def test_prediction_in_several_stretches_equals_the_plain_path() -> None:
    model = deeplob(window=30, levels=5).eval()
    stretches = torch.randn(3, 40, 20)
    ends = torch.tensor([29, 39, 40 + 33, 80 + 29, 80 + 30, 80 + 39])
    with torch.inference_mode():
        shared = model(features=stretches, ends=ends).logits
        plain = plain_logits(model, stretches.flatten(0, 1), ends, window=30)
    torch.testing.assert_close(shared, plain, atol=1e-5, rtol=0)


def test_prediction_does_not_depend_on_the_order_or_company_of_windows() -> None:
    model = deeplob(window=40, levels=1).eval()
    rows, ends = torch.randn(1, 120, 4), torch.arange(39, 120)
    shuffled = torch.randperm(len(ends))
    with torch.inference_mode():
        together = model(features=rows, ends=ends).logits
        mixed = model(features=rows, ends=ends[shuffled]).logits
        alone = model(features=rows[:, 10:70], ends=torch.tensor([45])).logits  # ends at row 55
    torch.testing.assert_close(mixed, together[shuffled], atol=1e-6, rtol=0)
    torch.testing.assert_close(alone[0], together[55 - 39], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("window", "levels"), SHAPES)
def test_training_on_windows_that_share_no_row_is_the_plain_training(
    window: int, levels: int
) -> None:
    plain = deeplob(window=window, levels=levels).double().train()
    shared = copy.deepcopy(plain)
    features = torch.randn(4, window, 4 * levels, dtype=torch.double)
    labels = torch.tensor([0, 1, 2, 1])
    ends = torch.arange(4) * window + window - 1
    of_plain = plain(features=features).logits
    of_shared = shared(features=features, ends=ends).logits
    torch.testing.assert_close(of_shared, of_plain, atol=1e-10, rtol=0)
    for logits in (of_plain, of_shared):
        nn.functional.cross_entropy(logits, labels).backward()
    for (name, one), other in zip(plain.named_parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, atol=1e-9, rtol=1e-7, msg=name)
    for one, other in zip(plain.buffers(), shared.buffers(), strict=True):
        torch.testing.assert_close(other, one)  # what the batch norms remember


@pytest.mark.parametrize(("window", "levels"), [(22, 1), (40, 5), (100, 10)])
def test_training_on_overlapping_windows_equals_the_plain_path_given_the_same_statistics(
    window: int, levels: int
) -> None:
    model = deeplob(window=window, levels=levels).double().train()
    for norm in norms(model):
        norm.momentum = 1.0  # remember this batch alone
    stretches = torch.randn(3, window + 12, 4 * levels, dtype=torch.double)
    starts = torch.arange(3)[:, None] * (window + 12) + window - 1
    ends = (starts + torch.tensor([0, 4, 12])).flatten()
    logits = model(features=stretches, ends=ends).logits
    for norm in norms(model):  # running variances are unbiased, those of a batch are not
        n = norm.seen
        norm.running_var *= (n - 1) / n
    model.eval()
    plain = plain_logits(model, stretches.flatten(0, 1), ends, window=window)
    torch.testing.assert_close(logits, plain, atol=1e-8, rtol=0)


@pytest.fixture(autouse=True)
def _count_what_norms_see(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = nn.BatchNorm2d.forward

    def counted(self: nn.BatchNorm2d, values: Tensor) -> Tensor:
        self.seen = values.numel() // values.shape[1]
        return forward(self, values)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", counted)


def test_batch_norms_see_each_value_of_overlapping_windows_once() -> None:
    model = deeplob(window=30, levels=2).train()
    model(features=torch.randn(2, 40, 8), ends=torch.tensor([29, 34, 39, 40 + 39]))
    # 12 hidden rows a window, 8 of them shared: rows 2-9, 7-14 and 12-19 of the first stretch
    # are 18, 8 of the second; and four edges a window.
    sites = 18 + 8 + 4 * 4
    assert model.price_size[0][2].seen == 2 * 40 * 4
    assert model.levels[2][2].seen == 2 * 22
    assert model.inception.short[0][2].seen == 2 * 22
    assert [branch[-1][2].seen for branch in (model.inception.short, model.inception.long)] == [
        sites,
        sites,
    ]
    assert model.inception.pooled[2].seen == sites


def test_the_recurrence_equals_torch_lstm() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(6, 5, batch_first=True)
    encoded, of_window = torch.randn(50, 6), torch.randint(0, 50, (2100, 9))
    with torch.inference_mode():
        steps, _ = lstm(encoded[of_window])
        ours = last_hidden(lstm, encoded, of_window)
    torch.testing.assert_close(ours, steps[:, -1], atol=1e-6, rtol=0)


def test_the_recurrence_is_exact_where_gates_saturate() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, batch_first=True)
    encoded, of_window = 40 * torch.randn(30, 3), torch.randint(0, 30, (20, 60))
    with torch.inference_mode():
        steps, _ = lstm(encoded[of_window])
        ours = last_hidden(lstm, encoded, of_window)
    torch.testing.assert_close(ours, steps[:, -1], atol=2e-6, rtol=0)


def test_evaluation_is_in_float32_under_autocast_and_training_is_not() -> None:
    model = deeplob(window=30, levels=1).eval()
    rows, ends = torch.randn(1, 60, 4), torch.arange(29, 60)
    own = windows(rows[0], ends, window=30)
    for given in ({"features": rows, "ends": ends}, {"features": own}):
        with torch.inference_mode():
            wanted = model.eval()(**given).logits
            with torch.autocast("cpu", torch.bfloat16):
                assert torch.equal(model(**given).logits, wanted)
        exact = copy.deepcopy(model).train()(**given).logits
        with torch.autocast("cpu", torch.bfloat16):
            rounded = copy.deepcopy(model).train()(**given).logits
        assert 1e-4 < (rounded - exact).abs().max() < 0.3


def test_the_windows_of_a_stretch_share_their_sites() -> None:
    model = deeplob(window=100, levels=1).eval()
    ends = torch.arange(99, 199)
    sites = window_sites(model, torch.randn(1, 199, 4), ends, window=100)
    # windows of 82 sites: 78 shared ones of each, over 100 windows 177 different rows
    assert sites.of_window.shape == (100, 82)
    assert len(sites.encoded) == 177 + 4 * 100


def test_a_model_of_single_windows_refuses_stretches() -> None:
    model = MlpForSequenceClassification(MlpConfig(levels=1, frames=2, depth=1, width=4))
    with pytest.raises(ModelError, match="reads one window at a time"):
        model(features=torch.zeros(1, 30, 4), ends=torch.tensor([29]))


@pytest.mark.parametrize(
    ("ends", "wrong"),
    [([29, 28], 28), ([29, 40 + 28], 68), ([-1], -1), ([80], 80)],
    ids=["too early", "into the stretch before", "negative", "after the last"],
)
def test_a_window_that_leaves_its_stretch_is_refused(ends: list[int], wrong: int) -> None:
    model = deeplob(window=30, levels=1).eval()
    with pytest.raises(ModelError, match=f"ends at row {wrong} of 2 stretches of 40 rows"):
        model(features=torch.zeros(2, 40, 4), ends=torch.tensor(ends))
