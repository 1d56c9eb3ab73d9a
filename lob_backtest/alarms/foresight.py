"""Does the model know what nobody can know?

    captured = sum of side * move / sum of |move|     over the decisions at which a side was taken
    timely   = share of them with side * move > 0     where nothing moved, the side was not right

Which way is not enough. Where the spread is one tick and queues are long, the imbalance alone says
it nearly always, for whoever waits long enough: on five real days of BAC, sides against the shorter
queue catch 93 to 100 % of the moves of the next 100 events, and yet are right in 5 to 35 of 100
decisions. Both which way and when, nearly always, is knowledge of the future, whatever the label.
"""

import math

from lob_backtest.alarms.alarm import LEAST_LABELS, Alarm, Evidence

MOST_CAPTURED, MOST_TIMELY = 0.92, 0.85


def captured(seen: Evidence) -> float:
    """Share of the moves that the model's sides caught, -1 to 1; NaN where it took none."""
    taken = abs(seen.move_ticks[seen.side != 0]).sum()
    return float((seen.side * seen.move_ticks).sum() / taken) if taken > 0 else math.nan


def timely(seen: Evidence) -> float:
    """Share of the model's sides that were right, 0 to 1; NaN where it took none."""
    taken = seen.side != 0
    return float((seen.side * seen.move_ticks > 0)[taken].mean()) if taken.any() else math.nan


def foresight(seen: Evidence) -> Alarm:
    """Raised where the sides taken catch nearly every move, and nearly none is taken in vain."""
    caught, right, sides = captured(seen), timely(seen), int((seen.side != 0).sum())
    if math.isnan(caught) or sides / seen.overlap < LEAST_LABELS:
        why = f"not tried: too few sides were taken ({sides:,}, their labels overlapping)"
        return Alarm(name="foresight", raised=None, value=None, limit=MOST_CAPTURED, reason=why)
    return Alarm(
        name="foresight",
        raised=caught >= MOST_CAPTURED and right >= MOST_TIMELY,
        value=caught,
        limit=MOST_CAPTURED,
        reason=f"the sides taken caught {caught:.1%} of the moves that followed (perfect foresight "
        f"100 %, a coin 0 %), and {right:.1%} of them were right",
    )
