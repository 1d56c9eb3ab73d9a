"""Does the model know what nobody can know?

    captured = sum of side * move / sum of |move|     over the decisions at which a side was taken

1 is perfect, 0 a coin. On real books the sides of a good model catch some tenths of the moves that
follow; nearly all of them is knowledge of the future, whatever the label.
"""

import math

from lob_backtest.alarms.alarm import LEAST_LABELS, Alarm, Evidence

MOST_CAPTURED = 0.9


def captured(seen: Evidence) -> float:
    """Share of the moves that the model's sides caught, -1 to 1; NaN where it took none."""
    taken = abs(seen.move_ticks[seen.side != 0]).sum()
    return float((seen.side * seen.move_ticks).sum() / taken) if taken > 0 else math.nan


def foresight(seen: Evidence) -> Alarm:
    """Raised where the sides taken catch nearly everything that perfect ones would."""
    value, sides = captured(seen), int((seen.side != 0).sum())
    if math.isnan(value) or sides / seen.overlap < LEAST_LABELS:
        why = f"not tried: too few sides were taken ({sides:,}, their labels overlapping)"
        return Alarm(name="foresight", raised=None, value=None, limit=MOST_CAPTURED, reason=why)
    return Alarm(
        name="foresight",
        raised=value >= MOST_CAPTURED,
        value=value,
        limit=MOST_CAPTURED,
        reason=f"the sides taken caught {value:.1%} of the moves that followed (perfect foresight "
        "100 %, a coin 0 %)",
    )
