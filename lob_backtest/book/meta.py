"""What the rows of a book are of, and the hours in which its market trades."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lob_backtest.errors import BookError
from lob_backtest.strict_yaml import shown

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NS_PER_DAY = 86_400_000_000_000
# No market's step is outside; products of sizes and prices stay within float64.
_SMALLEST_TICK, _LARGEST_TICK = 1e-15, 1e15
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class BookMeta:
    """What the rows are of.

    Attributes:
        instrument: name, e.g. ``"GOOG"`` or ``"BTC/USD"``.
        tick_size: currency units a tick, e.g. 0.01.
        currency: ISO code or coin, e.g. ``"USD"``.
        timezone: IANA name in which the session times are meant.
        session_open: local ``"HH:MM"``, or None for a market that never closes.
        session_close: local ``"HH:MM"`` after ``session_open``, or None.
        source: where the rows came from, for provenance.
    """

    instrument: str
    tick_size: float
    currency: str
    timezone: str
    session_open: str | None
    session_close: str | None
    source: str

    def __post_init__(self) -> None:
        for what, name in (("instrument", self.instrument), ("currency", self.currency)):
            if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
                raise BookError(
                    f"{what}={shown(name)}: needs a name of 1 to {_LONGEST_NAME} letters"
                )
        if not _SMALLEST_TICK <= self.tick_size <= _LARGEST_TICK:  # not so for NaN
            raise BookError(
                f"tick_size={self.tick_size}: needs a positive price step, from {_SMALLEST_TICK:g} "
                f"to {_LARGEST_TICK:g}"
            )
        local_ns(np.zeros(1, dtype=np.int64), self.timezone)  # raises where there is no such zone
        if (self.session_open is None) != (self.session_close is None):
            raise BookError(
                f"session_open={shown(self.session_open)} and "
                f"session_close={shown(self.session_close)}: give both, or neither for a market "
                "that never closes"
            )
        if self.session_open is not None and self.session_close is not None:
            opening, closing = _clock_ns(self.session_open), _clock_ns(self.session_close)
            if closing <= opening:
                raise BookError(
                    f"session {self.session_open} to {self.session_close}: needs a close after "
                    "the open on the same local day"
                )


def local_ns(time_ns: IntArray, timezone: str) -> IntArray:
    """Wall-clock nanoseconds in ``timezone`` for UTC instants, daylight saving included."""
    try:
        index = pd.DatetimeIndex(time_ns.astype("datetime64[ns]"), tz="UTC").tz_convert(timezone)
    except (LookupError, ValueError, OSError) as error:
        raise BookError(
            f"timezone={shown(timezone)} is no known time zone; use an IANA name such as "
            "America/New_York or UTC"
        ) from error
    return np.asarray(index.tz_localize(None).as_unit("ns").asi8, dtype=np.int64)


def is_outside_session(time_ns: IntArray, meta: BookMeta) -> BoolArray:
    """Which instants lie before the opening or after the close (both belong to the session)."""
    if meta.session_open is None or meta.session_close is None:
        return np.zeros(time_ns.shape[0], dtype=np.bool_)
    clock_ns = local_ns(time_ns, meta.timezone) % NS_PER_DAY
    outside: BoolArray = (clock_ns < _clock_ns(meta.session_open)) | (
        clock_ns > _clock_ns(meta.session_close)
    )
    return outside


def _clock_ns(text: str) -> int:
    hours, _, minutes = text.partition(":")
    is_time = re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text) is not None
    if not is_time or int(hours) * 60 + int(minutes) > 24 * 60 or int(minutes) > 59:
        raise BookError(f"session time {shown(text)}: needs HH:MM between 00:00 and 24:00")
    return (int(hours) * 60 + int(minutes)) * 60_000_000_000
