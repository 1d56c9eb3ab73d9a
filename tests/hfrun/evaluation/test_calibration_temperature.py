"""The temperature is that of the least negative log-likelihood, and says when there is none."""

import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from hfrun.evaluation import temperature
from hfrun.evaluation.metrics import softmax
from hfrun.evaluation.temperature import HIGHEST, LOWEST, fit_temperature, scaled
from lob_backtest.errors import MetricError
from lob_backtest.metrics import negative_log_likelihood, said_classes
from tests.hfrun.evaluation.calibration_cases import drawn


def test_the_examples_in_the_docstrings_run() -> None:
    results = doctest.testmod(temperature)
    assert (results.failed, results.attempted > 0) == (0, True)


def test_a_model_that_is_right_in_three_of_four_is_given_that_confidence() -> None:
    # Always 0.9 against 0.1 and right in 3 of 4: best is ln 3 = ln 9 / T, so T = 2.
    labels, probabilities = np.array([0, 0, 0, 1]), np.tile([0.9, 0.1], (4, 1))
    found = fit_temperature(labels, probabilities)
    assert found.value == pytest.approx(2.0, abs=1e-9)
    assert scaled(probabilities, found.value) == pytest.approx(np.tile([0.75, 0.25], (4, 1)))


@pytest.mark.parametrize(("classes", "sureness"), [(2, 0.4), (3, 1.0), (5, 1.7), (60, 3.0)])
def test_the_temperature_equals_scipys_minimum_of_the_likelihood(
    classes: int, sureness: float
) -> None:
    labels, probabilities = drawn(3, 800, classes=classes, sureness=sureness)

    def loss(log_temperature: float) -> float:
        at = softmax(np.log(probabilities) / math.exp(log_temperature))
        return negative_log_likelihood(labels, at)

    best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert fit_temperature(labels, probabilities).value == pytest.approx(math.exp(best.x), rel=1e-5)


def test_the_temperature_of_probabilities_is_that_of_the_logits() -> None:
    # torch's LBFGS over the logits, as the method is published
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(500, 4)) * 3, rng.integers(0, 4, 500)
    logits[np.arange(500), labels] += 3
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=200, tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            torch.tensor(logits) / log_temperature.exp(), torch.tensor(labels)
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = float(log_temperature.detach().exp())
    assert fit_temperature(labels, softmax(logits)).value == pytest.approx(expected, rel=1e-5)


def test_the_sureness_of_a_model_is_found_within_its_interval() -> None:
    for sureness in (0.6, 1.0, 2.0):
        found = fit_temperature(*drawn(1, 20_000, sureness=sureness))
        assert found.low is not None
        assert found.high is not None
        assert found.low < sureness < found.high
        assert found.high / found.low < 1.1
        assert found.bound is None


def test_rows_that_share_their_labels_make_the_interval_longer() -> None:
    labels, probabilities = drawn(1, 2_000)
    alone = fit_temperature(labels, probabilities)
    sharing = fit_temperature(labels, probabilities, overlap=4.0)
    assert sharing.value == alone.value
    assert math.log(sharing.high / sharing.low) == pytest.approx(  # type: ignore[operator]
        2 * math.log(alone.high / alone.low)  # type: ignore[operator]
    )


def test_a_model_that_is_always_right_ends_at_the_lowest_temperature() -> None:
    found = fit_temperature(np.array([0, 1]), np.array([[0.6, 0.4], [0.1, 0.9]]))
    assert (found.value, found.bound, found.low, found.high) == (LOWEST, "lowest", None, None)


def test_a_model_that_knows_the_opposite_ends_at_the_highest_temperature() -> None:
    found = fit_temperature(np.array([0, 1]), np.array([[0.4, 0.6], [0.9, 0.1]]))
    assert (found.value, found.bound, found.low, found.high) == (HIGHEST, "highest", None, None)


def test_uniform_rows_have_nothing_to_scale() -> None:
    probabilities = np.full((3, 4), 0.25)
    found = fit_temperature(np.array([0, 1, 3]), probabilities)
    assert (found.value, found.bound, found.low, found.high) == (1.0, None, None, None)


def test_a_true_class_without_probability_is_counted_and_does_not_end_in_infinity() -> None:
    labels, probabilities = drawn(0, 300)
    probabilities[0] = np.roll([1.0, 0.0, 0.0, 0.0, 0.0], labels[0] + 1)
    found = fit_temperature(labels, probabilities)
    assert found.without_probability == 1
    assert found.bound is None
    assert np.isfinite(scaled(probabilities, found.value)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 7]), st.floats(0.02, 50.0))
def test_a_temperature_keeps_the_rows_probabilities_and_what_they_say(
    seed: int, classes: int, value: float
) -> None:
    _, probabilities = drawn(seed, 40, classes=classes)
    after = scaled(probabilities, value)
    assert after.sum(axis=1) == pytest.approx(np.ones(40))
    assert (after >= 0).all()
    assert said_classes(after)[0].tolist() == said_classes(probabilities)[0].tolist()
    assert (said_classes(after)[1] <= said_classes(probabilities)[1] + 1e-12).all() == (value >= 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 5]), st.floats(0.3, 3.0))
def test_no_other_temperature_fits_better(seed: int, classes: int, sureness: float) -> None:
    labels, probabilities = drawn(seed, 60, classes=classes, sureness=sureness)
    found = fit_temperature(labels, probabilities)
    best = negative_log_likelihood(labels, scaled(probabilities, found.value))
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        other = min(max(found.value * factor, LOWEST), HIGHEST)
        assert best <= negative_log_likelihood(labels, scaled(probabilities, other)) + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.4, 5.0))
def test_scaling_first_scales_the_temperature(seed: int, first: float) -> None:
    labels, probabilities = drawn(seed, 200)
    alone = fit_temperature(labels, probabilities).value
    after = fit_temperature(labels, scaled(probabilities, first)).value
    assert after * first == pytest.approx(alone, rel=1e-6)


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(MetricError, match=r"1 of 2 labels are not 0 or 1 \(first -1\)"):
        fit_temperature(np.array([0, -1]), np.full((2, 2), 0.5))
