"""A calibration is fitted on validation, judged on test, and claims no more than its intervals."""

import json

import numpy as np
import pytest

from hfrun.errors import DataError
from hfrun.evaluation.calibration import Calibration, calibrate
from hfrun.evaluation.calibration_bins import EQUAL_WIDTH_EDGES, chance_ece
from hfrun.evaluation.calibration_intervals import compare
from hfrun.evaluation.calibration_words import calibration_text
from hfrun.evaluation.temperature import fit_temperature, scaled
from lob_backtest.book import IntArray
from lob_backtest.metrics import calibration_metrics, classification_metrics, reliability_bins
from tests.hfrun.evaluation.calibration_cases import drawn


@pytest.fixture(scope="module")
def too_sure() -> Calibration:
    return calibrate(*drawn(0, 1100, sureness=1.8), *drawn(1, 2200, sureness=1.8), seed=0)


def test_the_figures_are_those_of_the_metrics_before_and_after(too_sure: Calibration) -> None:
    validation, test = drawn(0, 1100, sureness=1.8), drawn(1, 2200, sureness=1.8)
    temperature = fit_temperature(*validation).value
    assert too_sure.temperature == temperature
    for labels, probabilities, found in (
        (*test, too_sure.before.figures),
        (test[0], scaled(test[1], temperature), too_sure.after.figures),
        (*validation, too_sure.validation_before),
        (validation[0], scaled(validation[1], temperature), too_sure.validation_after),
    ):
        accuracy = classification_metrics(labels, probabilities)["accuracy"]
        assert found == {"accuracy": accuracy} | calibration_metrics(labels, probabilities)
    bins = reliability_bins(*test)
    assert [each.n for each in too_sure.before.bins] == [each["n"] for each in bins]
    for key in ("nll", "brier", "ece", "adaptive_ece"):
        compared = too_sure.compared[key]
        before, after = too_sure.before.figures[key], too_sure.after.figures[key]
        assert (compared.before, compared.after) == (before, after)
        assert compared.difference == after - before
        low, high = compared.low, compared.high
        assert low is not None
        assert high is not None
        assert low < compared.difference < high


def test_an_overconfident_model_is_improved_and_keeps_its_accuracy(too_sure: Calibration) -> None:
    assert too_sure.claim == "improved"
    assert too_sure.compared["ece"].verdict == too_sure.compared["nll"].verdict == "better"
    assert too_sure.before.figures["accuracy"] == too_sure.after.figures["accuracy"]
    assert too_sure.before.figures["ece"] > too_sure.before.chance_ece_high
    assert too_sure.after.figures["ece"] < too_sure.after.chance_ece_high


def test_a_calibrated_model_is_not_said_to_improve() -> None:
    found = calibrate(*drawn(2, 1100), *drawn(3, 2200), seed=0)
    assert found.claim == "no difference"
    assert found.reason.count("which may be chance") == 2
    assert found.compared["ece"].before_low == 0.0  # chance alone would show as much
    assert "No improvement can be claimed" in calibration_text(found)


def test_a_temperature_of_another_kind_of_data_is_said_to_be_worse() -> None:
    found = calibrate(*drawn(0, 1100, sureness=2.0), *drawn(1, 2200, sureness=0.8), seed=0)
    assert found.claim == "worse"
    assert "makes the calibration worse" in calibration_text(found)


def test_few_rows_claim_nothing() -> None:
    found = calibrate(*drawn(0, 300, sureness=3.0), *drawn(1, 3, sureness=3.0), seed=0)
    assert found.claim == "no difference"
    assert found.compared["ece"].low is None
    assert "too few rows for an interval" in found.reason


def test_the_same_seed_gives_the_same_calibration_and_the_order_of_texts_hardly_matters() -> None:
    validation, (labels, probabilities) = drawn(0, 400), drawn(1, 900, sureness=1.5)
    found = calibrate(*validation, labels, probabilities, seed=5)
    assert calibrate(*validation, labels, probabilities, seed=5).as_dict() == found.as_dict()
    # A file that is sorted by its labels would look dependent if it were drawn in blocks.
    order = np.argsort(labels, kind="stable")
    by_label = calibrate(*validation, labels[order], probabilities[order], seed=5)
    for key, figure in found.compared.items():
        lengths = [(x.high or 0.0) - (x.low or 0.0) for x in (figure, by_label.compared[key])]
        assert lengths[1] == pytest.approx(lengths[0], rel=0.5), key


def test_rows_of_unknown_labels_count_for_nothing(too_sure: Calibration) -> None:
    parts = []
    for seed, n in ((0, 1100), (1, 2200)):
        labels, probabilities = drawn(seed, n, sureness=1.8)
        unknown = np.full((7, 5), 0.2)
        parts += [np.append(labels, [-1] * 7), np.concatenate([probabilities, unknown])]
    assert calibrate(*parts, seed=0).as_dict() == too_sure.as_dict()


def folds_of(n: int) -> IntArray:
    return np.repeat(np.arange(3, dtype=np.int64), n // 3)


def test_each_fold_of_a_walk_forward_is_scaled_by_its_own_validation() -> None:
    parts = [(drawn(i, 300, sureness=s), drawn(9 + i, 600, sureness=s))
             for i, s in enumerate((0.7, 1.4, 2.5))]  # fmt: skip
    validation, test = (
        tuple(np.concatenate([part[which][k] for part in parts]) for k in (0, 1))
        for which in (0, 1)
    )
    found = calibrate(
        *validation, *test, seed=0, overlap=1.0,
        validation_folds=folds_of(900), test_folds=folds_of(1800),
    )  # fmt: skip
    expected = [fit_temperature(*own) for own, _ in parts]
    assert found.folds == tuple(enumerate(expected))
    assert found.temperature == expected[-1].value
    after = np.concatenate(
        [scaled(own[1], t.value) for (_, own), t in zip(parts, expected, strict=True)]
    )
    assert found.after.figures["nll"] == calibration_metrics(test[0], after)["nll"]
    assert "Temperature of fold 2" in calibration_text(found)


def test_later_validation_does_not_reach_an_earlier_fold() -> None:
    validation, test = drawn(0, 900), drawn(1, 1800)
    probabilities = validation[1].copy()
    probabilities[600:] = np.roll(probabilities[600:], 1, axis=1)
    whole, changed = (
        calibrate(
            validation[0], each, *test, seed=0, overlap=1.0,
            validation_folds=folds_of(900), test_folds=folds_of(1800),
        )
        for each in (validation[1], probabilities)
    )  # fmt: skip
    assert changed.folds[:2] == whole.folds[:2]
    assert changed.folds[2] != whole.folds[2]


def test_a_test_fold_without_validation_is_refused() -> None:
    with pytest.raises(DataError, match=r"fold 2 has no labelled validation rows.*\[0, 1\]"):
        calibrate(
            *drawn(0, 600), *drawn(1, 900), seed=0,
            validation_folds=np.repeat([0, 1], 300), test_folds=folds_of(900),
        )  # fmt: skip


def test_what_cannot_be_calibrated_is_refused() -> None:
    labels, probabilities = drawn(0, 20)
    with pytest.raises(DataError, match="validation has 20 rows and no known label"):
        calibrate(np.full(20, -1), probabilities, labels, probabilities, seed=0)
    with pytest.raises(DataError, match="validation has 5 classes and test 3"):
        calibrate(labels, probabilities, *drawn(0, 20, classes=3), seed=0)
    for wrong in (3 * probabilities, np.full_like(probabilities, np.nan), -probabilities):
        with pytest.raises(DataError, match="test has 20 of 20 rows that are no probabilities"):
            calibrate(labels, probabilities, labels, wrong, seed=0)
    with pytest.raises(DataError, match=r"labels of shape \(20,\) and probabilities of \(19, 5\)"):
        calibrate(labels, probabilities[1:], labels, probabilities, seed=0)


def test_decisions_that_share_their_labels_have_longer_intervals() -> None:
    labels, before = drawn(1, 1500, sureness=1.6)
    # each decision four times: as many rows, a quarter of the news
    labels, before = np.repeat(labels, 4), np.repeat(before, 4, axis=0)
    rng, one_fold = np.random.default_rng(0), np.zeros(labels.size, dtype=np.int64)

    def length(overlap: float | None) -> float:
        found = compare(
            labels, before, scaled(before, 1.6), folds=one_fold, overlap=overlap, rng=rng
        )["nll"]
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert length(4.0) > 1.5 * length(None)


def test_chance_alone_shows_what_calibrated_models_show() -> None:
    found = [calibration_metrics(*drawn(seed, 500))["ece"] for seed in range(200)]
    confidence = drawn(0, 500)[1].max(axis=1)
    rng = np.random.default_rng(0)
    mean, high = chance_ece(confidence, EQUAL_WIDTH_EDGES, overlap=1.0, rng=rng)
    assert mean == pytest.approx(np.mean(found), rel=0.1)
    assert high == pytest.approx(np.quantile(found, 0.95), rel=0.1)


def test_the_calibration_is_json_without_nan(too_sure: Calibration) -> None:
    plain = json.loads(json.dumps(too_sure.as_dict(), allow_nan=False))
    assert plain["folds"][0]["value"] == plain["temperature"]
    assert len(plain["before"]["bins"]) == 15
    empty = [each for each in plain["before"]["bins"] if each["n"] == 0]
    assert empty
    assert all(each["accuracy"] is None for each in empty)


def test_the_table_in_the_terminal_has_the_figures(too_sure: Calibration) -> None:
    text = calibration_text(too_sure)
    ece = too_sure.compared["ece"]
    line = next(line for line in text.splitlines() if line.startswith("  ECE, 15 equal bins"))
    for value in (ece.before, ece.before_low, ece.before_high, ece.after, ece.difference):
        assert f"{value:.4f}" in line
    assert line.endswith("better")
    assert sum(line.startswith("  0.") for line in text.splitlines()) == sum(
        each.n > 0 for each in too_sure.before.bins
    )


@pytest.mark.slow
def test_intervals_hold_the_truth_in_nearly_95_of_100_tests() -> None:
    rounds, held, improved = 100, dict.fromkeys(("T", "ece", "nll", "nll_difference"), 0), 0
    truth_of = drawn(10_000, 200_000)
    true_nll = calibration_metrics(*truth_of)["nll"]
    for seed in range(rounds):
        found = calibrate(*drawn(2 * seed, 1100), *drawn(2 * seed + 1, 2200), seed=seed)
        own, ece, nll = found.folds[0][1], found.compared["ece"], found.compared["nll"]
        true_after = calibration_metrics(truth_of[0], scaled(truth_of[1], own.value))["nll"]
        held["T"] += own.low < 1 < own.high  # type: ignore[operator]
        held["ece"] += ece.before_low == 0.0  # which it is
        held["nll"] += nll.before_low < true_nll < nll.before_high  # type: ignore[operator]
        held["nll_difference"] += nll.low <= true_after - true_nll <= nll.high  # type: ignore[operator]
        improved += found.claim == "improved"
    assert min(held.values()) >= 88, held
    assert improved <= 5  # nothing can be improved here
