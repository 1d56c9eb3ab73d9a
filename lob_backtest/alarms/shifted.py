"""Predictions that come late: a decision answered with what was said one step, or a horizon, ago.

    on time        say_i     against label_i
    late by one    say_(i-1) against label_i          within a session

Stale predictions are worse, or at best a little better where the model looks at what is long past.
Late ones that are much better than those on time mean that rows do not belong together:
probabilities and labels have slid against each other, or the labels describe what is past.
"""

import math
from dataclasses import replace

import numpy as np

from lob_backtest.alarms.alarm import LEAST_LABELS, Alarm, Evidence
from lob_backtest.baselines import BaselineInputs, fit_predict
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.features import hand_features
from lob_backtest.prepare import Prepared
from lob_backtest.questions import past_move_ticks
from lob_backtest.uncertainty.long_run import lag_variance

_DELAYED = "logistic"  # the quickest baseline that learns from the features
_CERTAIN = 3.0  # standard errors
# Of accuracy. A model that is slow to see what is new answers a later label better, a little.
_MATERIAL = 0.05


def late_by_one(seen: Evidence) -> Alarm:
    """Raised where the prediction made one decision earlier is right more often."""
    before = np.arange(seen.n) - 1
    return _late(seen, before, name="late_by_one", words="by one decision")


def late_by_horizon(seen: Evidence) -> Alarm:
    """Raised where the last prediction whose label was already known is right more often."""
    length = seen.label_end_ns - seen.decided_ns
    before = np.searchsorted(seen.decided_ns, seen.decided_ns - length, side="right") - 1
    return _late(seen, before, name="late_by_horizon", words="by the horizon")


def features_delayed(book: Book, prepared: Prepared, *, seed: int) -> Alarm:
    """Raised where the logistic baseline, fitted again, is better on features one decision old."""
    decisions = prepared.decisions
    features = hand_features(book, decisions)
    before = np.maximum(np.arange(decisions.n) - 1, 0)
    before = np.where(decisions.session[before] == decisions.session, before, before + 1)
    past = past_move_ticks(book, decisions, prepared.data.label)
    fresh, old = (
        _right(prepared, BaselineInputs(features=used, past_move_ticks=past), seed=seed)
        for used in (features, replace(features, values=features.values[before]))
    )
    tested = np.concatenate([fold.test for fold in prepared.folds])
    z = _standard_errors(old - fresh, lag=math.ceil(2 * _open_labels(prepared, tested)))
    return Alarm(
        name="features_delayed",
        raised=z > _CERTAIN and float((old - fresh).mean()) >= _MATERIAL,
        value=float((old - fresh).mean()),
        limit=_MATERIAL,
        reason=f"accuracy of the {_DELAYED} baseline {fresh.mean():.1%}, on features one decision "
        f"old {old.mean():.1%} ({z:+.1f} standard errors)",
    )


def _right(prepared: Prepared, inputs: BaselineInputs, *, seed: int) -> FloatArray:
    """Whether the baseline is right at each labelled test decision, 0 or 1."""
    parts = []
    for fold in prepared.folds:
        labels = prepared.labels(fold)
        known = fold.test[labels[fold.test] >= 0]
        probability = fit_predict(
            _DELAYED,
            inputs,
            labels=labels,
            train=fold.train,
            wanted=known,
            threshold_ticks=prepared.threshold(fold),
            seed=seed,
        )
        parts.append(np.argmax(probability, axis=1) == labels[known])
    return np.concatenate(parts).astype(np.float64)


def _open_labels(prepared: Prepared, rows: IntArray) -> float:
    decided_ns = prepared.decisions.decided_ns
    ends = np.searchsorted(decided_ns, prepared.moves.label_end_ns[rows], side="left")
    return float(np.maximum(ends - rows, 1).mean())


def _late(seen: Evidence, before: IntArray, *, name: str, words: str) -> Alarm:
    inside = (before >= 0) & (seen.session[np.maximum(before, 0)] == seen.session)
    if inside.sum() / seen.overlap < LEAST_LABELS:
        why = f"not tried: too few decisions have one {words} before them"
        return Alarm(name=name, raised=None, value=None, limit=_MATERIAL, reason=why)
    said = seen.said
    label, late = seen.label[inside], said[before[inside]]
    on_time = said[inside]
    gain = (late == label).astype(np.float64) - (on_time == label)
    z = _standard_errors(gain, lag=math.ceil(2 * seen.overlap))
    return Alarm(
        name=name,
        raised=z > _CERTAIN and float(gain.mean()) >= _MATERIAL,
        value=float(gain.mean()),
        limit=_MATERIAL,
        reason=f"accuracy {(on_time == label).mean():.1%} on time, {(late == label).mean():.1%} "
        f"late {words} ({z:+.1f} standard errors)",
    )


def _standard_errors(gain: FloatArray, *, lag: int) -> float:
    """The mean over its Newey-West standard error; 0 where nothing varies."""
    variance = lag_variance(gain, min(lag, gain.size - 1))
    return float(gain.mean() / math.sqrt(variance / gain.size)) if variance > 0 else 0.0
