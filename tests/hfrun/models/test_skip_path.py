"""The skip path: a network that starts as a logistic regression of the hand-made features."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from hfrun.errors import ModelError
from hfrun.models.class_order import put_in_order
from hfrun.models.skip_path import start_from_logistic
from lob_backtest.baselines import fit_logistic
from lob_backtest.features import fit_hand_scaler

HAND = 4


def model_with_path(name: str = "mlp", **changes: object) -> PreTrainedModel:
    torch.manual_seed(0)
    keys = {"levels": 1, "window": 10, "skip": True, "hand_features": HAND, **changes}
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(name, **keys)).eval()


@pytest.fixture
def windows() -> torch.Tensor:
    return torch.randn(64, 10, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def hand() -> torch.Tensor:
    return torch.randn(64, HAND, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def labels(hand) -> torch.Tensor:
    """Classes that depend on the first hand-made feature, and on chance."""
    noise = torch.randn(64, generator=torch.Generator().manual_seed(3))
    return torch.bucketize(hand[:, 0] + noise, torch.tensor([-0.5, 0.5]))


def test_path_adds_a_linear_map_of_the_features_to_the_logits(windows, hand) -> None:
    model = model_with_path()
    with torch.no_grad():
        added = model(windows, hand_features=hand).logits - model.head(model.summarize(windows))
    torch.testing.assert_close(added, hand @ model.skip.weight.detach().T, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "bilstm", "linear"])
def test_started_from_scikit_learns_regression_it_gives_its_probabilities(
    name: str, windows, hand, labels
) -> None:
    fitted = LogisticRegression().fit(hand.numpy(), labels.numpy())
    model = model_with_path(name)
    start_from_logistic(model, torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_))
    with torch.no_grad():
        got = model(windows, hand_features=hand).logits.softmax(1)
    np.testing.assert_allclose(got, fitted.predict_proba(hand.numpy()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seen", [[0, 1, 2], [0, 2]], ids=["all classes", "no flat in train"])
def test_started_from_the_logistic_baseline_it_gives_the_baselines_probabilities(
    seen: list[int], windows, hand, labels
) -> None:
    raw = 100.0 + 7.0 * hand.double().numpy()  # features as they are made, not yet standardised
    train = np.flatnonzero(np.isin(labels.numpy(), seen))
    scaler = fit_hand_scaler(raw, train, names=tuple("abcd"))
    fitted = fit_logistic(scaler.transform(raw[train]), labels.numpy()[train])
    model = model_with_path()
    start_from_logistic(model, torch.from_numpy(fitted.weights), torch.from_numpy(fitted.bias))
    scaled = torch.from_numpy(scaler.transform(raw))
    with torch.no_grad():
        got = model(windows, hand_features=scaled).logits.softmax(1)
    np.testing.assert_allclose(got, fitted.probabilities(scaled.numpy()), rtol=0, atol=1e-6)
    assert (got.max(dim=0).values > 1e-6).tolist() == [label in seen for label in range(3)]


def test_autocast_leaves_the_path_in_float32(windows, hand) -> None:
    model = model_with_path()
    start_from_logistic(model, torch.full((3, HAND), 0.1234567), torch.zeros(3))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(windows, hand_features=hand).logits
    want = hand.sum(dim=1, keepdim=True).expand(-1, 3) * 0.1234567
    torch.testing.assert_close(logits, want, rtol=0, atol=1e-6)


def test_from_the_regression_on_the_network_learns_what_the_features_lack(
    windows, hand, labels
) -> None:
    model = model_with_path(dropout=0.0)
    start_from_logistic(model, torch.zeros(3, HAND), torch.zeros(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.train()(windows, labels=labels, hand_features=hand).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(3))
    assert losses[-1] < 0.2  # 64 windows by heart
    assert (model.layers[0][0].weight.grad != 0).any()


def test_a_missing_a_misshapen_and_an_unread_input_are_refused(windows, hand) -> None:
    model = model_with_path()
    with pytest.raises(ModelError, match=r"hand_features of shape None, needed \(B, 4\)"):
        model(windows)
    with pytest.raises(ModelError, match=r"of shape \(64, 3\), needed \(B, 4\)"):
        model(windows, hand_features=hand[:, :3])
    for rows, of in ((hand[:1], windows), (hand, windows[:1])):  # one would be added to all
        with pytest.raises(ModelError, match=f"{len(rows)} rows for {len(of)} windows"):
            model(of, hand_features=rows)
    without = model_with_path(skip=False, hand_features=0)
    assert without.skip is None
    with pytest.raises(ModelError, match=r"of shape \(64, 4\), and the model has no skip path"):
        without(windows, hand_features=hand)


@pytest.mark.parametrize(("skip", "number"), [(True, 0), (False, 3), ("yes", 3), (True, -1)])
def test_the_path_and_the_number_of_its_features_come_together(skip, number) -> None:
    with pytest.raises(ModelError, match=r"skip=|hand_features=-1"):
        AutoConfig.for_model("mlp", skip=skip, hand_features=number)


def test_a_regression_that_does_not_fit_the_path_is_refused() -> None:
    with pytest.raises(ModelError, match=r"weights \(3, 5\) and bias \(3,\).* needs \(3, 4\)"):
        start_from_logistic(model_with_path(), torch.zeros(3, 5), torch.zeros(3))
    without = model_with_path(skip=False, hand_features=0)
    with pytest.raises(ModelError, match="has no skip path to start from a regression"):
        start_from_logistic(without, torch.zeros(3, HAND), torch.zeros(3))


def test_putting_the_classes_in_order_moves_the_path_with_the_head(windows, hand) -> None:
    model = model_with_path(id2label={0: "up", 1: "stationary", 2: "down"})
    with torch.no_grad():
        before = model(windows, hand_features=hand).logits
        put_in_order(model)
        after = model(windows, hand_features=hand).logits
    assert model.config.id2label == {0: "down", 1: "flat", 2: "up"}
    assert torch.equal(after, before[:, [2, 1, 0]])
