"""What every book model promises, whichever it is: shapes, learning, saving, its input alone."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.book_config import DOWN_FLAT_UP
from hfrun.models.registry import BOOK_MODELS
from hfrun.training.parameter_groups import decayed_parameter_names, is_norm
from hfrun.training.values import DropoutSchedule, ValueSchedule

ROWS, LEVELS = 12, 2
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"frames": 3, "depth": 2, "width": 16, "dropout": 0.2},
    "bilstm": {"frames": 3, "depth": 2, "width": 8, "dropout": 0.2},
    "linear": {"frames": 3, "dropout": 0.2},
}
NORMED = [(name, norm) for name in ("mlp", "bilstm") for norm in ("batch", "layer", "none")]
VARIANTS = [*(pytest.param(n, {"norm": norm}, id=f"{n}-{norm}") for n, norm in NORMED),
            pytest.param("linear", {}, id="linear")]  # fmt: skip
NAMES = list(SMALL)


def small_model(name: str, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    keys = {"levels": LEVELS, "window": ROWS, **SMALL[name], **changes}
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(name, **keys)).eval()


def features(samples: int, rows: int = ROWS, levels: int = LEVELS) -> torch.Tensor:
    return torch.randn(samples, rows, 4 * levels, generator=torch.Generator().manual_seed(1))


def learnable(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows with the class that the first column of the last three rows gives."""
    windows = features(samples)
    score = windows[:, -3:, 0].sum(dim=1)
    return windows, torch.bucketize(score, torch.tensor([-0.7, 0.7]))


def test_these_are_all_the_models_beside_deeplob() -> None:
    assert sorted(BOOK_MODELS) == sorted([*SMALL, "deeplob"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("levels", [1, 5, 10, 20])
@pytest.mark.parametrize("rows", [3, 12, 30])
def test_any_window_of_enough_rows_gives_one_logit_a_class(
    name: str, levels: int, rows: int
) -> None:
    model = small_model(name, levels=levels)
    assert type(model) is BOOK_MODELS[name].model
    output = model(features(4, rows, levels))
    assert (output.logits.shape, output.loss) == ((4, 3), None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((3, 12, 10), "made for 2 levels"),
        ((12, 8), "made for 2 levels"),
        ((3, 1, 12, 8), "made for 2 levels"),
        ((3, 0, 8), "use a longer one"),
    ],
)
def test_features_of_another_shape_are_refused_with_what_was_got_and_needed(
    name: str, shape: tuple[int, ...], why: str
) -> None:
    least = 1 if name == "bilstm" else 3
    with pytest.raises(ModelError, match=rf"needed \(B, T, 8\) with T >= {least}: ") as refusal:
        small_model(name)(torch.zeros(shape))
    assert f"features of shape {shape}" in str(refusal.value)
    assert why in str(refusal.value)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_gradient_reaches_every_parameter(name: str, changes: dict[str, str]) -> None:
    windows, labels = learnable(32)
    model = small_model(name, **changes, dropout=0.0).train()
    model(windows, labels=labels).loss.backward()
    silent = [key for key, held in model.named_parameters() if not held.grad.abs().sum() > 0]
    assert silent == []
    assert all(held.grad.isfinite().all() for held in model.parameters())


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_a_rule_of_the_last_rows_is_learned_and_holds_on_new_windows(
    name: str, changes: dict[str, str]
) -> None:
    windows, labels = learnable(1536)
    model = small_model(name, **changes, dropout=0.0).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(2)
    for _ in range(300):
        chosen = torch.randint(1024, (128,), generator=generator)
        optimizer.zero_grad()
        model(windows[chosen], labels=labels[chosen]).loss.backward()
        optimizer.step()
    with torch.no_grad():
        seen = model.eval()(windows[:1024], labels=labels[:1024])
        unseen = model(windows[1024:], labels=labels[1024:])
    assert seen.loss < 0.4  # log 3 = 1.10 before
    assert (unseen.logits.argmax(1) == labels[1024:]).float().mean() > 0.75  # a third by chance


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_plain_cross_entropy_of_the_logits(name: str) -> None:
    windows, labels = learnable(8)
    output = small_model(name)(windows, labels=labels)
    by_hand = -torch.log_softmax(output.logits, dim=1)[torch.arange(8), labels].mean()
    torch.testing.assert_close(output.loss, by_hand)
    # else the Trainer would multiply it by the number of accumulated batches
    assert not BOOK_MODELS[name].model.accepts_loss_kwargs


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
@pytest.mark.parametrize("hand", [0, 5])
def test_saved_and_loaded_through_the_auto_class_gives_the_same_logits_to_the_bit(
    name: str, changes: dict[str, str], hand: int, tmp_path
) -> None:
    model = small_model(name, **changes, skip=hand > 0, hand_features=hand)
    given = {"features": features(6)} | ({"hand_features": torch.ones(6, hand)} if hand else {})
    model.train()(**given)  # running statistics other than the initial ones
    model.eval().save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert (type(loaded), loaded.training) == (type(model), False)
    saved = AutoConfig.from_pretrained(tmp_path)
    assert (saved.to_diff_dict(), saved.id2label) == (model.config.to_diff_dict(), DOWN_FLAT_UP)
    assert list(loaded.state_dict()) == list(model.state_dict())
    with torch.no_grad():
        assert torch.equal(loaded(**given).logits, model(**given).logits)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_prediction_of_a_window_does_not_depend_on_its_batch(
    name: str, changes: dict[str, str]
) -> None:
    model, windows = small_model(name, **changes), features(5)
    model.train()(windows)
    with torch.no_grad():
        together = model.eval()(windows).logits
        alone = torch.cat([model(window[None]).logits for window in windows])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_a_last_batch_of_one_window_trains(name: str, changes: dict[str, str]) -> None:
    model = small_model(name, **changes).train()
    model(features(8))
    model(features(1), labels=torch.tensor([2])).loss.backward()
    assert all(held.grad.isfinite().all() for held in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_dropout_schedule_sets_every_dropout_of_the_model(name: str) -> None:
    model = small_model(name, dropout=0.0)
    schedule = ValueSchedule(points={0: 0.9})
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    assert torch.equal(model.train()(features(4)).logits, model(features(4)).logits)
    DropoutSchedule(schedule).set_value(0.9, model=model, optimizer=optimizer)
    rates = [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)]
    assert rates == [0.9] * {"mlp": 2, "bilstm": 3, "linear": 1}[name]
    assert not torch.equal(model(features(4)).logits, model(features(4)).logits)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_weight_decay_leaves_out_biases_and_every_norm(name: str, changes: dict[str, str]) -> None:
    model = small_model(name, **changes)
    decayed = set(decayed_parameter_names(model))
    matrices = {key for key, held in model.named_parameters() if held.ndim > 1}
    assert decayed == matrices
    norms = sum(is_norm(module) for module in model.modules())
    count = {"mlp": 2, "bilstm": 3, "linear": 0}[name]
    assert norms == (0 if changes.get("norm") == "none" else count)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_model_again(name: str) -> None:
    first, again = small_model(name).state_dict(), small_model(name).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_weights_start_uniform_within_one_over_the_root_of_the_fan_in(name: str) -> None:
    model = small_model(name, width=64) if name != "linear" else small_model(name, levels=20)
    limit = model.head.in_features**-0.5
    assert model.head.weight.abs().max() <= limit
    assert model.head.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.15)


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_bfloat16_autocast_stays_near_float32(name: str, changes: dict[str, str]) -> None:
    model, windows = small_model(name, **changes), features(4)
    with torch.no_grad():
        exact = model(windows).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model(windows, labels=torch.tensor([0, 1, 2, 1]))
    assert rounded.loss.dtype == torch.float32
    torch.testing.assert_close(rounded.logits.float(), exact, rtol=0, atol=0.03)
