"""Leak alarms: attempts to show that a result is too good, on the result's own data.

    foresight         the sides taken catch nearly every move, and are hardly ever taken in vain
    shuffled_labels   the lift survives labels shuffled within blocks
    shuffled_sides    the profit survives sides shuffled within blocks
    late_by_one       predictions are better one decision late
    late_by_horizon   ... or a horizon late
    features_delayed  ... or the logistic baseline is, on features one decision old
    features_future   the baselines' features change with the future
    canary            a model made to peek is not caught by the first one

A table of predictions cannot prove that its model was honest: a model that sees one row too far
looks like one that is a little better. What can be proved needs the model at hand: ``causality``.
"""

import numpy as np

from lob_backtest.alarms.alarm import Alarm, Evidence, evidence
from lob_backtest.alarms.canary import canary, peeking
from lob_backtest.alarms.causality import Answers, feature_answers, look_ahead, other_future
from lob_backtest.alarms.foresight import captured, foresight, timely
from lob_backtest.alarms.shifted import features_delayed, late_by_horizon, late_by_one
from lob_backtest.alarms.shuffled import shuffled_labels, shuffled_sides
from lob_backtest.book import Book
from lob_backtest.predictions import Predictions
from lob_backtest.prepare import Prepared

__all__ = [
    "Alarm",
    "Answers",
    "Evidence",
    "canary",
    "captured",
    "evidence",
    "feature_answers",
    "features_delayed",
    "foresight",
    "late_by_horizon",
    "late_by_one",
    "look_ahead",
    "other_future",
    "peeking",
    "run_alarms",
    "shuffled_labels",
    "shuffled_sides",
    "timely",
]


def run_alarms(
    book: Book,
    model: Predictions,
    baseline: Predictions | None,
    *,
    prepared: Prepared | None,
    f1_lift: float,
    passes: bool,
    seed: int,
) -> list[Alarm]:
    """Every alarm on the test decisions of a model.

    Args:
        book: where the decisions were made.
        model: the judged predictions.
        baseline: those that its F1 is measured against, on the same decisions.
        prepared: where the decisions came from; None leaves out what needs it.
        f1_lift: limit of that gate.
        passes: whether the result passes its gates, so that there is something to survive.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    seen = evidence(book, model)
    other = None if baseline is None else evidence(book, baseline)
    alarms = [
        foresight(seen),
        shuffled_labels(seen, other, limit=f1_lift, passes=passes, rng=rng),
        shuffled_sides(seen, passes=passes, rng=rng),
        late_by_one(seen),
        late_by_horizon(seen),
    ]
    if prepared is not None:
        answers = feature_answers(prepared.data)
        alarms += [
            features_delayed(book, prepared, seed=seed),
            other_future(answers, book, name="features_future", rng=rng),
        ]
    return [*alarms, canary(seen, rng=rng)]
