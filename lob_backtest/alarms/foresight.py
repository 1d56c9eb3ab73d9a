"""Does the model know what nobody can know? Two figures of a prediction against the future.

    captured      sum of side * move  over  sum of |move|, where a side was taken: 1 is perfect
    stops_at_end  knowledge of the mid that is even up to the label's end and nothing after it

                honest: fades             peeking: stops where the label stops
    knowledge   |#                        |# # # #
                |# # # . .                |# # # # . . . .
                +-------|------> time     +-------|------> time
                      label's end               label's end

The label's end is an instant that nothing in the market marks. What fades passes it smoothly; what
was copied from the label ends there. That holds for labels of one fixed horizon that compare two
prices; a mean over the horizon fades by itself, and a barrier's end depends on the path.
"""

import math

import numpy as np

from lob_backtest.alarms.alarm import LEAST_LABELS, Alarm, Evidence, sign_of
from lob_backtest.book import FloatArray

MOST_CAPTURED = 0.9
MOST_ALIKE = 0.95
_STRONG = 0.3  # share of the label's own knowledge from which the shape is looked at
_CERTAIN = 4.0  # standard errors
ENDPOINT_KINDS = ("mid_move", "executable")


def captured(seen: Evidence) -> float:
    """Share of the moves that the model's sides caught, -1 to 1; NaN where it took none."""
    taken = np.abs(seen.move_ticks[seen.side != 0]).sum()
    return float((seen.side * seen.move_ticks).sum() / taken) if taken > 0 else math.nan


def foresight(seen: Evidence) -> Alarm:
    """Raised where the model catches nearly everything that a perfect one would."""
    value = captured(seen)
    sides = int((seen.side != 0).sum())
    if math.isnan(value) or sides / seen.overlap < LEAST_LABELS:
        return _silent("foresight", MOST_CAPTURED, f"too few sides were taken ({sides})")
    return Alarm(
        name="foresight",
        raised=value >= MOST_CAPTURED,
        value=value,
        limit=MOST_CAPTURED,
        reason=f"the sides taken caught {value:.1%} of the moves that followed "
        f"(perfect foresight 100 %, a coin 0 %)",
    )


def stops_at_end(seen: Evidence, *, kind: str | None) -> Alarm:
    """Raised where the model's knowledge has the label's own shape: even, and then nothing.

    ``shape_k = mean(lean * move over part k)`` for the four parts of the label's interval and four
    after it, for the model's lean ``p_up - p_down`` and for the label itself. Raised where the two
    shapes are alike (cosine), the model's is a good part of the label's, and not by luck.
    """
    if kind not in ENDPOINT_KINDS:
        return _silent("stops_at_end", MOST_ALIKE, f"not for labels of kind {kind}")
    if seen.n / seen.overlap < LEAST_LABELS:
        return _silent("stops_at_end", MOST_ALIKE, f"too few labels ({seen.n})")
    lean = _unit(seen.probability[:, 2] - seen.probability[:, 0])
    own, true = _shape(lean, seen.later_ticks), _shape(_unit(sign_of(seen.label)), seen.later_ticks)
    if not own.any() or not true.any():
        return _silent("stops_at_end", MOST_ALIKE, "the model never leans, or the mid never moves")
    alike = float(own @ true / math.sqrt((own @ own) * (true @ true)))
    strength = float(own @ true / (true @ true))
    z = _standard_errors(lean * (seen.later_ticks @ true), seen.overlap)
    raised = alike >= MOST_ALIKE and strength >= _STRONG and z >= _CERTAIN
    return Alarm(
        name="stops_at_end",
        raised=raised,
        value=alike,
        limit=MOST_ALIKE,
        reason=f"what the model knows of the mid over time is {alike:.2f} like the label's own "
        f"shape, at {strength:.0%} of its strength"
        + (": it knows where the label ends, which nothing in the market marks" if raised else ""),
    )


def _shape(lean: FloatArray, later_ticks: FloatArray) -> FloatArray:
    shape: FloatArray = lean @ later_ticks / lean.size
    return shape


def _unit(values: FloatArray | np.ndarray) -> FloatArray:
    centred = np.asarray(values, dtype=np.float64) - np.mean(values)
    size = math.sqrt(float((centred**2).mean()))
    return centred / size if size > 0 else np.zeros_like(centred)


def _standard_errors(contribution: FloatArray, overlap: float) -> float:
    """The mean's distance from 0 in standard errors; blocks of two overlaps are independent."""
    length = max(1, math.ceil(2 * overlap))
    n_blocks = contribution.size // length
    if n_blocks < 2:
        return 0.0
    sums = contribution[: n_blocks * length].reshape(n_blocks, length).sum(axis=1)
    error = sums.std(ddof=1) / math.sqrt(n_blocks)
    return float(sums.mean() / error) if error > 0 else 0.0


def _silent(name: str, limit: float, why: str) -> Alarm:
    return Alarm(name=name, raised=None, value=None, limit=limit, reason=f"not tried: {why}")
