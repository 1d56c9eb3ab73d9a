"""Studies made by formula, for the tests of the analysis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfrun.study.study_data import StudyData, StudyTrial

DROPOUT = "model.config.dropout"
RATE = "training.learning_rate"
DECAY = "training.weight_decay"
RATES: dict[str, Any] = {"low": 1e-5, "high": 1e-2, "log": True, "integer": False, "values": None,
                         "when": {}}  # fmt: skip
DECAYS: dict[str, Any] = {**RATES, "low": 1e-4, "high": 0.3}


def trial(number: int, score: float | None = None, **held: Any) -> StudyTrial:
    """One that is done where it has a score; ``values`` by keyword."""
    status = held.pop("status", "failed" if score is None else "done")
    return StudyTrial(number=number, status=status, score=score, values=held.pop("values", {}),
                      **held)  # fmt: skip


def study(trials: Sequence[StudyTrial], **held: Any) -> StudyData:
    """A study with these trials; more is better unless it is said otherwise."""
    known: dict[str, Any] = {"name": "case", "metric": "eval_accuracy", "higher_is_better": True}
    return StudyData(**{**known, **held}, trials=tuple(trials))


def by_cell(scores: Mapping[float, Sequence[float | None]], **held: Any) -> StudyData:
    """Scores by dropout, each list at the same rates; None for a trial that diverged."""
    trials = []
    for dropout, found in scores.items():
        for place, score in enumerate(found):
            values = {DROPOUT: dropout, RATE: 1e-5 * 2**place}
            status = "diverged" if score is None else "done"
            trials.append(trial(len(trials), score, status=status, values=values))
    scientific = {DROPOUT: list(scores)}
    return study(trials, **{"scientific": scientific, "nuisance": {RATE: RATES}, **held})


def drawn(
    *, points: int = 8, effect: float = 0.0, noise: float = 0.005, seed: int = 0, sign: float = 1.0
) -> StudyData:
    """A study of dropout 0, 0.3, 0.6 with rate and weight decay drawn anew at each point.

    The score has its best at a rate of 6e-4, grows by ``effect`` with every step of dropout, and
    does not depend on the weight decay; at a rate above 6e-3 a trial diverges.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for _ in range(points):
        rate, decay = float(10 ** rng.uniform(-5, -2)), float(10 ** rng.uniform(-4, -0.5))
        for step, dropout in enumerate((0.0, 0.3, 0.6)):
            score = 0.6 - 0.03 * (np.log10(rate) + 3.2) ** 2 + effect * step
            score = sign * (score + noise * rng.normal())
            diverged = rate > 6e-3
            trials.append(
                trial(
                    len(trials),
                    None if diverged else float(score),
                    status="diverged" if diverged else "done",
                    values={DROPOUT: dropout, RATE: rate, DECAY: decay},
                    seconds=10.0,
                    curve=() if diverged else curve(float(score)),
                )
            )
    return study(
        trials,
        scientific={DROPOUT: [0.0, 0.3, 0.6]},
        nuisance={RATE: RATES, DECAY: DECAYS},
        budget={"trials": 3 * points, "exploit": 0, "finalists": 0},
        higher_is_better=sign > 0,
    )


def curve(best: float) -> tuple[dict[str, float | None], ...]:
    """Eight evaluations whose accuracy is best at epoch 5."""
    return tuple(
        {"epoch": float(n), "step": 10.0 * n, "train_loss": 1.1 * 0.8**n, "eval_loss": 1 - 0.02 * n,
         "eval_accuracy": best - 0.001 * (n - 5) ** 2}
        for n in range(1, 9)
    )  # fmt: skip
