"""Studies as they come out of real runs, made up: a score with an optimum, noise and accidents."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hfrun.study.study_data import StudyData, StudyTrial

DROPOUT = "model.config.dropout"
RATE = "training.learning_rate"
DECAY = "training.weight_decay"
SCHEDULE = "training.schedule.name"
FLOOR = "training.schedule.floor"


def dropout_study(*, gain: float = 0.02, trials: int = 24, seed: int = 0) -> StudyData:
    """Three dropouts, rate and decay tuned; large rates diverge, a constraint is missed by some."""
    rng = np.random.default_rng(seed)
    # an additive recurrence: spread evenly, as a design is
    places = np.arange(1, math.ceil(trials / 3) + 1)[:, None]
    points = (0.5 + places * np.array([0.7549, 0.5698])) % 1
    held = []
    for number in range(trials):
        dropout = (0.0, 0.3, 0.6)[number % 3]
        rate = 1e-5 * 1000 ** points[number // 3, 0]
        decay = 1e-4 * 3000 ** points[number // 3, 1]
        values = {DROPOUT: dropout, RATE: rate, DECAY: decay}
        level = 0.52 - 0.05 * (math.log10(rate) + 3) ** 2 + gain * (dropout == 0.3)
        held.append(_trial(number, values, level + 0.004 * rng.normal(), rng, diverges=rate > 2e-3))
    return StudyData(
        name="demo_dropout",
        question="Does dropout pay?",
        metric="eval_f1_weighted",
        higher_is_better=True,
        scientific={DROPOUT: [0.0, 0.3, 0.6]},
        nuisance={RATE: {"low": 1e-5, "high": 1e-2, "log": True},
                  DECAY: {"low": 1e-4, "high": 0.3, "log": True}},
        fixed={"training.num_train_epochs": 8},
        budget={"trials": trials, "exploit": 0, "finalists": 0, "stretch": 3.0, "hours": None},
        trials=tuple(held),
    )  # fmt: skip


def diverged_study() -> StudyData:
    """Every trial diverged."""
    rng = np.random.default_rng(1)
    data = dropout_study(trials=9)
    trials = tuple(
        _trial(each.number, each.values, 0.0, rng, diverges=True) for each in data.trials
    )
    return StudyData(**{**vars(data), "trials": trials})


def schedule_study() -> StudyData:
    """A loss by schedules, of which one alone has a floor; unfinished, with every kind of end."""
    rng = np.random.default_rng(2)
    names = ("constant", "cosine", "one_cycle <fast & short>")
    held = []
    for number in range(20):
        rate = 1e-5 * 100 ** rng.random()
        values: dict[str, Any] = {SCHEDULE: names[number % 3], RATE: rate}
        if number % 3 == 1:
            values[FLOOR] = (0.0, 0.1, 0.5)[number // 3 % 3]
        loss = 0.95 + 0.1 * (math.log10(rate) + 3.2) ** 2 + 0.01 * rng.normal()
        loss = 4.0 if number == 7 else loss
        how = {4: "failed", 9: "pruned", 18: "running", 19: "waiting"}.get(number)
        held.append(_trial(number, values, loss, rng, diverges=number == 13, status=how))
    return StudyData(
        name="schedules",
        question="Which schedule?",
        metric="eval_loss",
        higher_is_better=False,
        scientific={},
        nuisance={SCHEDULE: {"values": list(names)},
                  RATE: {"low": 1e-5, "high": 1e-3, "log": True},
                  FLOOR: {"values": [0.0, 0.1, 0.5], "when": {SCHEDULE: ["cosine"]}}},
        budget={"trials": 24, "exploit": 6, "finalists": 2},
        trials=tuple(held),
    )  # fmt: skip


def _trial(
    number: int,
    values: Mapping[str, Any],
    score: float,
    rng: np.random.Generator,
    *,
    diverges: bool,
    status: str | None = None,
) -> StudyTrial:
    status = status or ("diverged" if diverges else "done")
    ended = status in ("done", "diverged", "pruned", "failed")
    curve = _curve(score, rng) if status == "done" else ()
    parameters = 210_000 if number % 7 == 5 else 143_000
    return StudyTrial(
        number=number,
        status=status,
        values=values,
        score=score if status == "done" else None,
        constraints=(
            {"name": "parameters", "value": parameters, "limit": 200_000,
             "direction": "at_most", "met": parameters <= 200_000},
        ) if status == "done" else (),
        folder=f"trials/{number:03d}",
        curve=curve,
        seconds=40.0 + number if ended else None,
        validation={"epoch": 6.0, "step": 600.0, "epochs_trained": 8.0} if curve else {},
        error="the accelerator is on fire" if status == "failed" else None,
    )  # fmt: skip


def _curve(score: float, rng: np.random.Generator) -> tuple[dict[str, float], ...]:
    points = []
    for epoch in range(1, 9):
        rise = 1 - math.exp(-epoch / 2.5)
        late = max(epoch - 4, 0)
        points.append({
            "epoch": float(epoch),
            "step": 100.0 * epoch,
            "train_loss": 1.1 - 0.5 * rise + 0.01 * rng.normal(),
            "train_cross_entropy": 1.08 - 0.5 * rise,
            "train_accuracy": 0.33 + 0.4 * rise,
            "eval_loss": 1.09 - 0.2 * rise + 0.05 * late,
            "eval_accuracy": 0.33 + 0.2 * rise,
            "eval_f1_weighted": 0.3 + (score - 0.3) * rise + 0.003 * rng.normal(),
        })  # fmt: skip
    return tuple(points)
