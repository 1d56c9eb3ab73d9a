"""The marks on curves: overfitting, past its best, unsteady, still improving."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfrun.study.analysis.courses import courses, noise
from tests.hfrun.study.analysis_case import curve, study, trial

METRIC = "eval_accuracy"


def flags_of(**series: Any) -> dict[str, Any]:
    """The marks of one trial with these series, by their names."""
    count = len(next(iter(series.values())))
    points = tuple(
        {"epoch": float(n + 1), **{name: values[n] for name, values in series.items()}}
        for n in range(count)
    )
    (found,) = courses(study([trial(0, 0.5, curve=points)]), [])
    return {flag["name"]: flag for flag in found["flags"]}


def test_a_validation_loss_a_tenth_above_its_minimum_at_the_end_is_overfitting() -> None:
    found = flags_of(eval_loss=[1.0, 0.5, 0.6, 0.556])
    assert found["overfitting"]["epoch"] == 2.0
    assert found["overfitting"]["value"] == pytest.approx(0.112)
    assert "0.5 at epoch 2, 0.556 at the end: 11% above its minimum" in found["overfitting"]["text"]
    assert flags_of(eval_loss=[1.0, 0.5, 0.6, 0.55]) == {}
    assert flags_of(eval_loss=[1.0, 0.8, 0.6, 0.5]) == {}


def test_a_metric_that_has_fallen_by_more_than_it_jumps_is_past_its_best() -> None:
    rise_and_fall = [0.40, 0.50, 0.60, 0.65, 0.64, 0.62, 0.58, 0.53]
    found = flags_of(eval_accuracy=rise_and_fall)
    assert (found["past_its_best"]["epoch"], set(found)) == (4.0, {"past_its_best"})
    assert found["past_its_best"]["value"] == pytest.approx(0.65 - 0.555)
    assert flags_of(eval_accuracy=[0.60, 0.62, 0.59, 0.63, 0.60, 0.62, 0.59, 0.61]) == {}


def test_a_metric_that_still_climbs_at_the_end_asks_for_longer_runs() -> None:
    climbing = [0.6 - 0.3 * math.exp(-n / 4) for n in range(8)]
    found = flags_of(eval_accuracy=climbing)
    assert (found["still_improving"]["epoch"], set(found)) == (8.0, {"still_improving"})
    flat = [0.6 - 0.3 * math.exp(-n) for n in range(40)]
    assert "still_improving" not in flags_of(eval_accuracy=[*flat[:20], *flat[19::-1]])


def test_where_less_is_better_the_marks_turn_round() -> None:
    falling = [1.0 + 0.3 * math.exp(-n / 4) for n in range(8)]
    points = tuple({"epoch": float(n), "eval_loss": loss} for n, loss in enumerate(falling))
    data = study([trial(0, 1.0, curve=points)], metric="eval_loss", higher_is_better=False)
    (found,) = courses(data, [])
    assert [flag["name"] for flag in found["flags"]] == ["still_improving"]


def test_a_training_loss_that_jumps_by_more_than_a_quarter_of_its_fall_is_unsteady() -> None:
    down = np.linspace(1.0, 0.6, 10)
    jump = (-1.0) ** np.arange(10)
    assert set(flags_of(train_loss=list(down + 0.1 * jump))) == {"unsteady"}
    assert flags_of(train_loss=list(down + 0.01 * jump)) == {}
    jumps = flags_of(train_loss=list(down), train_loss_sd=[0.2] * 10)
    assert jumps["unsteady"]["value"] == 0.2


@pytest.mark.parametrize("length", [8, 20, 50])
def test_noise_about_a_level_is_rarely_marked(length: int) -> None:
    rng = np.random.default_rng(7)
    marked = sum(
        bool(flags_of(eval_accuracy=list(0.6 + 0.01 * rng.normal(size=length)))) for _ in range(100)
    )
    assert marked <= 10


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-1, 1))
def test_a_parabola_has_no_noise(level: float, slope: float, bend: float) -> None:
    at = np.arange(12.0)
    assert noise(level + slope * at + bend * at**2) == pytest.approx(0.0, abs=1e-9)


def test_noise_is_the_standard_deviation_of_what_is_no_course() -> None:
    rng = np.random.default_rng(0)
    at = np.linspace(0, 1, 5000)
    assert noise(np.exp(-at) + 0.02 * rng.normal(size=5000)) == pytest.approx(0.02, rel=0.03)


def test_figures_that_are_missing_or_not_finite_are_passed_over() -> None:
    losses = [1.0, None, 0.5, math.nan, 0.6]
    assert flags_of(eval_loss=losses)["overfitting"]["epoch"] == 3.0
    assert flags_of(eval_loss=[None] * 5) == {}
    assert flags_of(eval_accuracy=[0.5]) == {}


def test_the_best_three_short_trials_and_the_best_three_finalists_are_shown() -> None:
    trials = [trial(n, 0.1 * n, curve=curve(0.1 * n)) for n in range(5)]
    trials += [trial(5 + n, 0.3 + 0.1 * n, curve=curve(0.5), phase="finalist") for n in range(4)]
    trials.append(trial(9, 0.99))  # a walk-forward has no curve of its own
    assert [each["trial"] for each in courses(study(trials), [])] == [8, 7, 6, 4, 3]


def test_the_course_of_a_walk_forward_is_told_to_be_its_first_folds() -> None:
    points = tuple(
        {"epoch": float(n + 1), "eval_loss": loss} for n, loss in enumerate([1.0, 0.5, 0.9])
    )
    one, walked = (trial(n, 0.5, curve=points, folds=folds, validation={"epoch": 2.0})
                   for n, folds in enumerate([(), (0.4, 0.6)]))  # fmt: skip
    found = {each["trial"]: each for each in courses(study([one, walked]), [])}
    assert (found[0]["chosen_epoch"], found[1]["chosen_epoch"]) == (2.0, None)
    assert found[0]["flags"][0]["text"].startswith("validation loss 0.5 at epoch 2")
    assert found[1]["flags"][0]["text"].startswith("in its first fold validation loss 0.5")
