"""A canary: predictions that peek into the future on purpose, on the judged decisions.

The alarms must catch it on this very data; where they do not, their silence about the judged model
means nothing.
"""

from dataclasses import replace

import numpy as np

from lob_backtest.alarms.alarm import Alarm, Evidence
from lob_backtest.alarms.foresight import foresight
from lob_backtest.book import FloatArray

# Of a typical move: it peeks through a dirty window, and keeps still where it sees nothing clearly.
_NOISE, _CLEAR = 0.1, 0.4


def peeking(seen: Evidence, *, rng: np.random.Generator) -> Evidence:
    """The same decisions, answered by someone who sees the move, with some noise."""
    move = seen.move_ticks
    moved = np.abs(move[move != 0])  # elsewhere there is nothing to see
    scale = float(moved.mean()) if moved.size else 1.0
    glimpse = (move + _NOISE * scale * rng.standard_normal(seen.n)) / scale
    lean: FloatArray = np.column_stack([-glimpse, np.full(seen.n, _CLEAR), glimpse])
    weight = np.exp(lean - lean.max(axis=1, keepdims=True))
    return replace(seen, probability=weight / weight.sum(axis=1, keepdims=True))


def canary(seen: Evidence, *, rng: np.random.Generator) -> Alarm:
    """Raised where ``foresight`` misses the canary."""
    outcome = foresight(peeking(seen, rng=rng))
    caught = outcome.raised is True
    return Alarm(
        name="canary",
        raised=not caught,
        value=outcome.value,
        limit=outcome.limit,
        reason="a model made to peek into the future was "
        + ("caught by foresight" if caught else f"not caught by foresight: {outcome.reason}"),
    )
