"""Baselines: rules by hand, classifiers on planted structure, and no look at test labels."""

import logging

import numpy as np
import pytest

from lob_backtest.baselines import BASELINES, BaselineInputs, fit_logistic, fit_predict
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import LabelError
from lob_backtest.features import HandFeatures, fit_hand_scaler


def inputs_of(imbalance: list[float] | FloatArray, past: list[float] | FloatArray | None = None):
    column = np.asarray(imbalance, dtype=np.float64)
    return BaselineInputs(
        features=HandFeatures(values=column[:, None], names=("imbalance_1",)),
        past_move_ticks=np.zeros(column.size) if past is None else np.asarray(past, dtype=float),
    )


def planted(n: int = 3_000, *, classes: int = 3) -> tuple[BaselineInputs, IntArray]:
    """Labels that follow the imbalance in two of three cases; the past move follows it too."""
    rng = np.random.default_rng(0)
    imbalance = rng.uniform(-1, 1, n)
    state = np.digitize(imbalance, [-1 / 3, 1 / 3]) if classes == 3 else 2 * (imbalance > 0)
    labels = np.where(rng.random(n) < 2 / 3, state, rng.choice(np.unique(state), n))
    values = np.column_stack([imbalance, rng.normal(size=(n, 3)), np.full(n, 7.0)])
    features = HandFeatures(values=values, names=("imbalance_1", "a", "b", "c", "constant"))
    return BaselineInputs(features=features, past_move_ticks=state - 1.0), labels


def test_the_majority_baseline_gives_the_train_frequencies():
    labels = np.array([0, 0, 0, 1, 1, 2, -1, -1, 2, 2])
    train, wanted = np.arange(8), np.array([8, 9])
    # 3, 2 and 1 known labels, with one imagined decision a class: 4, 3 and 2 ninths.
    probability = fit_predict(
        "majority", inputs_of([0.0] * 10), labels=labels, train=train, wanted=wanted,
        threshold_ticks=0.5,
    )  # fmt: skip
    np.testing.assert_allclose(probability, [[4 / 9, 3 / 9, 2 / 9]] * 2, rtol=1e-15)


def test_the_last_move_baseline_by_hand():
    # After a past move up came up, up and flat; after flat came down; none went down before.
    past = [1, 1, 1, 0.5, 2, 0.2, -3, np.nan]
    labels = np.array([2, 2, 1, 0, -1, -1, -1, -1])
    probability = fit_predict(
        "last_move", inputs_of([0.0] * 8, past), labels=labels, train=np.arange(4),
        wanted=np.arange(4, 8), threshold_ticks=0.5,
    )  # fmt: skip
    up, flat, unseen = [1 / 6, 2 / 6, 3 / 6], [2 / 4, 1 / 4, 1 / 4], [1 / 3] * 3
    np.testing.assert_allclose(probability, [up, flat, unseen, flat], rtol=1e-15)


def test_the_imbalance_baseline_by_hand():
    # Five regimes; the middle one reaches from -0.2 to 0.2.
    imbalance = [-0.9, -0.7, 0.0, 0.1, 0.9, -0.61, -0.19, 0.99, 0.5]
    labels = np.array([0, 0, 1, 2, 2, -1, -1, -1, -1])
    probability = fit_predict(
        "imbalance", inputs_of(imbalance), labels=labels, train=np.arange(5),
        wanted=np.arange(5, 9), threshold_ticks=0.5,
    )  # fmt: skip
    low, middle, high = [3 / 5, 1 / 5, 1 / 5], [1 / 5, 2 / 5, 2 / 5], [1 / 4, 1 / 4, 2 / 4]
    np.testing.assert_allclose(probability, [low, middle, high, [1 / 3] * 3], rtol=1e-15)


@pytest.mark.parametrize("name", BASELINES)
def test_probabilities_are_probabilities_and_repeat(name: str):
    inputs, labels = planted()
    train, wanted = np.arange(2_000), np.arange(2_000, 3_000)
    one, other = (
        fit_predict(name, inputs, labels=labels, train=train, wanted=wanted, threshold_ticks=0.5)
        for _ in range(2)
    )
    assert one.shape == (1_000, 3)
    assert one.dtype == np.float64
    assert one.min() >= 0
    np.testing.assert_allclose(one.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "majority"])
def test_a_baseline_finds_structure_that_is_there(name: str):
    inputs, labels = planted()
    train, wanted = np.arange(2_000), np.arange(2_000, 3_000)
    probability = fit_predict(
        name, inputs, labels=labels, train=train, wanted=wanted, threshold_ticks=0.5
    )
    # 2/3 + 1/3 * 1/3 = 0.78 of the labels follow the state. Five regimes do not cut where the
    # state does, and a linear model rarely calls the middle one.
    accuracy = np.mean(probability.argmax(axis=1) == labels[wanted])
    assert accuracy > (0.70 if name in ("last_move", "boosting") else 0.55)
    # And its probabilities are right on average.
    shares = np.bincount(labels[wanted], minlength=3) / wanted.size
    np.testing.assert_allclose(probability.mean(axis=0), shares, atol=0.05)


@pytest.mark.parametrize("name", BASELINES)
def test_only_train_labels_are_looked_at(name: str):
    inputs, labels = planted()
    train, wanted = np.arange(500, 2_000), np.arange(2_000, 3_000)
    shuffled = labels.copy()
    for outside in (slice(0, 500), slice(2_000, None)):
        np.random.default_rng(1).shuffle(shuffled[outside])
    assert np.any(shuffled != labels)
    one, other = (
        fit_predict(name, inputs, labels=some, train=train, wanted=wanted, threshold_ticks=0.5)
        for some in (labels, shuffled)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", BASELINES)
def test_other_decisions_features_do_not_change_a_prediction(name: str):
    inputs, labels = planted()
    train = np.arange(2_000)
    changed = inputs.features.values.copy()
    changed[2_500:] = 0.99
    past = inputs.past_move_ticks.copy()
    past[2_500:] = 50
    other = BaselineInputs(
        features=HandFeatures(values=changed, names=inputs.features.names), past_move_ticks=past
    )
    together, alone = (
        fit_predict(name, some, labels=labels, train=train, wanted=wanted, threshold_ticks=0.5)
        for some, wanted in ((inputs, np.arange(2_000, 3_000)), (other, np.arange(2_000, 2_500)))
    )
    np.testing.assert_allclose(together[:500], alone, rtol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_a_class_absent_from_train_gets_probability_zero(name: str):
    inputs, labels = planted(classes=2)
    probability = fit_predict(
        name, inputs, labels=labels, train=np.arange(2_000), wanted=np.arange(2_000, 3_000),
        threshold_ticks=0.5,
    )  # fmt: skip
    assert np.all(probability[:, 1] == 0)
    assert np.all(probability[:, [0, 2]] > 0)
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_unknown_labels_are_left_out_of_train(name: str):
    inputs, labels = planted()
    hidden = labels.copy()
    hidden[::3] = -1
    known = np.flatnonzero(hidden[:2_000] >= 0)
    with_unknown, without = (
        fit_predict(
            name, inputs, labels=hidden, train=train, wanted=np.arange(2_000, 3_000),
            threshold_ticks=0.5,
        )
        for train in (np.arange(2_000), known)
    )  # fmt: skip
    np.testing.assert_array_equal(with_unknown, without)


@pytest.mark.parametrize("name", BASELINES)
def test_one_class_in_train_is_an_error(name: str):
    labels = np.array([1] * 30 + [0, 2, -1, -1])
    with pytest.raises(LabelError, match=r"one class only among 30 .* \(0 down, 30 flat, 0 up\)"):
        fit_predict(
            name, inputs_of([0.0] * 34), labels=labels, train=np.r_[:30, 32:34],
            wanted=np.array([31]), threshold_ticks=0.5,
        )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
def test_the_logistic_baseline_is_a_linear_layer_on_scaled_features(classes: int):
    inputs, labels = planted(classes=classes)
    train, wanted = np.arange(2_000), np.arange(2_000, 3_000)
    probability = fit_predict(
        "logistic", inputs, labels=labels, train=train, wanted=wanted, threshold_ticks=0.5
    )
    values, names = inputs.features.values, inputs.features.names
    scaler = fit_hand_scaler(values, train, names=names)
    layer = fit_logistic(scaler.transform(values[train]), labels[train])
    logits = scaler.transform(values[wanted]).astype(np.float64) @ layer.weights.T + layer.bias
    odds = np.exp(logits)
    np.testing.assert_allclose(probability, odds / odds.sum(axis=1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(layer.probabilities(scaler.transform(values[wanted])), probability,
                               atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_layer_matches_the_logistic_regression_of_scikit_learn(classes: int):
    from sklearn.linear_model import LogisticRegression

    inputs, labels = planted(classes=classes)
    scaled = fit_hand_scaler(
        inputs.features.values, np.arange(2_000), names=inputs.features.names
    ).transform(inputs.features.values)
    layer = fit_logistic(scaled[:2_000], labels[:2_000])
    reference = LogisticRegression(C=0.01, tol=1e-3, max_iter=300)  # scikit-learn 1.9
    reference.fit(scaled[:2_000].astype(np.float64), labels[:2_000])
    expected = np.zeros((1_000, 3))
    expected[:, reference.classes_] = reference.predict_proba(scaled[2_000:].astype(np.float64))
    np.testing.assert_allclose(layer.probabilities(scaled[2_000:]), expected, atol=1e-12)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_absent_from_train_has_its_row_in_the_linear_layer(absent: int):
    rng = np.random.default_rng(3)
    scaled = rng.normal(size=(500, 4)).astype(np.float32)
    present = [label for label in range(3) if label != absent]
    labels = np.where(scaled[:, 0] + rng.normal(size=500) > 0, *present[::-1])
    layer = fit_logistic(scaled, labels)
    assert layer.weights.shape == (3, 4)
    assert layer.bias.shape == (3,)
    assert np.all(layer.weights[absent] == 0)
    assert np.all(np.abs(layer.weights[present]).max(axis=1) > 0.01)
    # No input that the scaler lets through makes it likely, and its loss stays finite.
    far = np.full((2, 4), 5, dtype=np.float32) * [[1], [-1]]
    probability = layer.probabilities(far.astype(np.float32))
    assert 0 < probability[:, absent].max() < 1e-12
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-15)


def test_the_logits_of_the_classes_that_occur_sum_to_zero():
    inputs, labels = planted()
    values = inputs.features.values
    scaler = fit_hand_scaler(values, np.arange(2_000), names=inputs.features.names)
    layer = fit_logistic(scaler.transform(values[:2_000]), labels[:2_000])
    np.testing.assert_allclose(layer.weights.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(layer.bias.sum(), 0, atol=1e-9)


def test_a_linear_layer_needs_known_labels_of_two_classes():
    scaled = np.zeros((4, 2), dtype=np.float32)
    with pytest.raises(LabelError, match=r"unknown labels \(-1\) to fit a logistic regression"):
        fit_logistic(scaled, np.array([0, 1, -1, 2]))
    with pytest.raises(LabelError, match=r"logistic: got one class only among 4"):
        fit_logistic(scaled, np.array([1, 1, 1, 1]))


def test_features_in_float32_give_the_baselines_next_to_the_same_probabilities():
    inputs, labels = planted()
    single = HandFeatures(
        values=inputs.features.values.astype(np.float32), names=inputs.features.names
    )
    other = BaselineInputs(features=single, past_move_ticks=inputs.past_move_ticks)
    for name in BASELINES:
        one, two = (
            fit_predict(
                name, some, labels=labels, train=np.arange(2_000),
                wanted=np.arange(2_000, 3_000), threshold_ticks=0.5,
            )
            for some in (inputs, other)
        )  # fmt: skip
        # A tree may see a decision on the other side of a cut.
        assert np.mean(np.abs(one - two).max(axis=1) > 1e-5) < 0.01


def test_a_logistic_regression_that_does_not_converge_says_so_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lob_backtest.baselines._LOGISTIC_STEPS", 1)
    inputs, labels = planted()
    with caplog.at_level(logging.WARNING, logger="lob_backtest.baselines"):
        fit_predict(
            "logistic", inputs, labels=labels, train=np.arange(2_000), wanted=np.arange(10),
            threshold_ticks=0.5,
        )  # fmt: skip
    assert "baseline logistic had not converged after 1 steps" in caplog.text


def test_an_unknown_baseline_and_unequal_inputs_are_refused():
    labels = np.array([0, 1, 2])
    with pytest.raises(LabelError, match="baseline 'oracle' is unknown; choose from majority"):
        fit_predict(
            "oracle", inputs_of([0.0] * 3), labels=labels, train=labels, wanted=labels,
            threshold_ticks=0.5,
        )  # fmt: skip
    with pytest.raises(LabelError, match=r"has shape \(2,\); needs one for each of the 3"):
        inputs_of([0.0] * 3, [0.0] * 2)
