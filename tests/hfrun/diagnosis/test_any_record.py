"""Whatever a record holds or lacks, the diagnosis says what it can and does not fall over."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfrun.diagnosis import diagnose
from hfrun.diagnosis.noise import epoch_noise, luck_of_the_best
from hfrun.record import SETTINGS, Course, RunRecord

FIGURES = ("train_loss", "train_accuracy", "eval_loss", "eval_accuracy", "eval_f1_weighted",
           "eval_mcc", "eval_majority_accuracy", "train_dev_accuracy", "grad_norm",
           "train_eval_gap", "learning_rate", "train_cross_entropy")  # fmt: skip
KEYS = [key for keys in SETTINGS.values() for key in keys]
ODD = [0.0, 1.0, -1.0, 50.0, 1e-300, math.nan, math.inf, -math.inf]


def number(rng: random.Random) -> float:
    return rng.choice([rng.random(), rng.random(), 3 * rng.random(), rng.choice(ODD)])


def value(rng: random.Random) -> Any:
    """What a file may hold where a number is meant."""
    other = [None, True, "none", "one_cycle", "1e-5", [1, 2], rng.randint(-3, 300)]
    return rng.choice([number(rng), number(rng), rng.choice(other)])


def figure(rng: random.Random) -> dict[str, Any]:
    return {name: value(rng) for name in ("value", "low", "high")}


def course(rng: random.Random) -> Course:
    first, columns = rng.choice([0, 1]), rng.sample(FIGURES, rng.randint(0, len(FIGURES)))
    entries = [
        {"epoch": float(first + i)} | {name: number(rng) for name in columns if rng.random() < 0.9}
        for i in range(rng.choice([0, 1, 2, 3, 5, 12]))
    ]
    steps = [
        {"epoch": i / 4, "step": float(i), "loss": number(rng), "learning_rate": number(rng)}
        for i in range(rng.choice([0, 3, 20]))
    ]
    sizes = ("validation_texts", "train_texts", "epochs_trained", "train_dev_accuracy")
    return Course(
        label=rng.choice(["", "fold 0", "fold 1"]),
        epochs=tuple(entries),
        steps=tuple(steps),
        grad_norms=tuple(number(rng) for _ in range(rng.choice([0, 5, 40]))),
        figures={name: value(rng) for name in sizes if rng.random() < 0.5},
    )


def record(seed: int) -> RunRecord:
    rng = random.Random(seed)
    folds = [
        {"fold": i, "n": rng.choice([0, 5, 500]), "accuracy": value(rng),
         "baselines": {"boosting": {"accuracy": value(rng)}}}
        for i in range(rng.randint(0, 2))
    ]  # fmt: skip
    gate = {"name": "f1_lift", "passed": rng.choice([True, False, None]), "value": value(rng)}
    return RunRecord(
        name="run",
        kind=rng.choice(["recorded", "train", "walk-forward"]),
        config={key: value(rng) for key in rng.sample(KEYS, rng.randint(0, 14))},
        courses=tuple(course(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))),
        test={name: figure(rng) for name in ("accuracy", "majority_accuracy", "ece")},
        report={"folds": folds, "gates": [gate],
                "calibration": {"folds": [figure(rng) for _ in range(rng.randint(0, 2))]}},
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), parent=st.none() | st.integers(0, 2**32))
def test_findings_of_any_record_are_json_with_evidence(seed: int, parent: int | None) -> None:
    before = None if parent is None else record(parent)
    findings = diagnose(record(seed), before)
    written: list[Any] = [finding.as_dict() for finding in findings]
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert [finding.rule for finding in findings if not finding.evidence] == []
    assert findings == diagnose(record(seed), before)


@settings(max_examples=50, deadline=None)
@given(scores=st.lists(st.floats(0.2, 0.8), min_size=2, max_size=20), shift=st.floats(-0.1, 0.1))
def test_the_scatter_does_not_depend_on_the_level_of_the_score(
    scores: list[float], shift: float
) -> None:
    moved = epoch_noise([score + shift for score in scores])
    assert math.isclose(epoch_noise(scores), moved, abs_tol=1e-12)


@pytest.mark.parametrize("count", [2, 5, 12, 36])
def test_luck_of_the_best_matches_scipy(count: int) -> None:
    """The expected maximum of that many normal draws, by integrating over its density."""
    from scipy import integrate, stats

    def density(x: float) -> float:
        return float(x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1))

    assert luck_of_the_best(count) == pytest.approx(integrate.quad(density, -8, 8)[0], abs=0.03)
