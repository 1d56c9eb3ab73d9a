"""A canary: predictions that peek into the future on purpose, on the judged decisions.

The alarms must catch it on this very data; where they do not, their silence about the judged model
means nothing.
"""

from dataclasses import replace

import numpy as np

from lob_backtest.alarms.alarm import Alarm, Evidence
from lob_backtest.alarms.foresight import foresight, stops_at_end
from lob_backtest.book import FloatArray

_NOISE = 0.3  # of a typical move: it peeks through a dirty window


def peeking(seen: Evidence, *, rng: np.random.Generator) -> Evidence:
    """The same decisions, answered by someone who sees the move, with some noise."""
    move = seen.move_ticks
    scale = max(float(np.abs(move).mean()), 1e-12)
    glimpse = (move + _NOISE * scale * rng.standard_normal(seen.n)) / scale
    lean: FloatArray = np.column_stack([-glimpse, np.zeros(seen.n), glimpse])
    weight = np.exp(lean - lean.max(axis=1, keepdims=True))
    return replace(seen, probability=weight / weight.sum(axis=1, keepdims=True))


def canary(seen: Evidence, *, kind: str | None, rng: np.random.Generator) -> Alarm:
    """Raised where the alarms miss the canary."""
    cheat = peeking(seen, rng=rng)
    outcomes = [foresight(cheat), stops_at_end(cheat, kind=kind)]
    caught = [each.name for each in outcomes if each.raised]
    return Alarm(
        name="canary",
        raised=not caught,
        value=float(len(caught)),
        limit=1.0,
        reason=f"a model made to peek into the future was caught by {', '.join(caught)}"
        if caught
        else f"a model made to peek into the future was not caught on these {seen.n:,} decisions: "
        "there are too few independent ones to tell",
    )
