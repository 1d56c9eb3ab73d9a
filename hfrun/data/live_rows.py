"""Book rows of a feed as model input, each when it comes: what a Normalizer makes of a whole book.

    level                         the row, the slow mean so far, and the row before it
    (ask price, ask size,    ─►   relative to the slow mean, the mid or nothing; or the order flow
     bid price, bid size)         ─► standardised ─► (4 L,) float32

Rows of one session are equal to those of :meth:`lob_backtest.normalize.Normalizer.transform`.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from hfrun.errors import DataError
from lob_backtest.book import FloatArray, IntArray, local_ns
from lob_backtest.book.meta import NS_PER_DAY
from lob_backtest.normalize import MOST_DEVIATIONS, Normalizer, side_flow

# No zone's offset from UTC, now or since 1970, is finer: within it the local day stays the same.
_NS_PER_OFFSET_STEP = 30_000_000_000
_END_OF_TIME = 2**62  # of a book table too


@dataclass(frozen=True, kw_only=True, eq=False)
class BookRow:
    """The state of a book after one event; level 1 is best.

    Attributes:
        time_ns: nanoseconds since the epoch, UTC.
        ask_ticks, bid_ticks: ``(L,)`` int64 prices in ticks.
        ask_size, bid_size: ``(L,)`` float64 sizes; 0 for a level that does not exist, whose price
            continues the ladder one tick outwards, as in a book table.

    Raises:
        DataError: a side has another number of levels, prices that are not whole ticks, levels out
            of order, a size that no level has, or the touch is crossed.
    """

    time_ns: int
    ask_ticks: IntArray
    ask_size: FloatArray
    bid_ticks: IntArray
    bid_size: FloatArray

    def __post_init__(self) -> None:
        shapes = {getattr(self, field.name).shape for field in fields(self)[1:]}
        if len(shapes) != 1 or self.ask_ticks.ndim != 1 or self.ask_ticks.size == 0:
            raise DataError(f"the sides of a row have the shapes {sorted(shapes)}; needs one (L,)")
        wrong = _wrong_with(self)
        if wrong:
            raise DataError(
                f"the row at {self.time_ns} ns has {wrong} (ask {self.ask_ticks[0]} x "
                f"{self.ask_size[0]}, bid {self.bid_ticks[0]} x {self.bid_size[0]}); leave it out"
            )


def _wrong_with(row: BookRow) -> str | None:
    """What makes it no row of a book; as ``lob_backtest.book`` checks whole tables."""
    ask, bid = row.ask_ticks, row.bid_ticks
    if not isinstance(row.time_ns, int | np.integer) or not 0 <= row.time_ns < _END_OF_TIME:
        return f"time_ns={row.time_ns!r}, needed nanoseconds since the epoch, UTC, up to 2116"
    if ask.dtype.kind not in "iu" or bid.dtype.kind not in "iu":
        return f"prices of {ask.dtype} and {bid.dtype}, needed whole ticks"
    if ask[0] <= bid[0]:
        return "best ask <= best bid"
    if (ask[1:] <= ask[:-1]).any() or (bid[1:] >= bid[:-1]).any():
        return "levels out of order"
    for side, size in (("ask", row.ask_size), ("bid", row.bid_size)):
        if not ((size >= 0) & (size < np.inf)).all() or size[0] == 0:  # not so for NaN
            return f"an {side} size that is negative, not finite, or zero at the touch"
    return None


class SessionClock:
    """Tells where a session begins: with a new local day, or never.

    Args:
        timezone: IANA name of the zone whose days are the sessions; None for a market that never
            closes, whose feed is one session.

    Raises:
        BookError: there is no such zone.
    """

    def __init__(self, timezone: str | None) -> None:
        self._timezone = timezone
        self._step = self._day = self._last_ns = -1
        self._local_day(0)

    def begins_session(self, time_ns: int) -> bool:
        """Whether the row at ``time_ns`` is a session's first.

        Raises:
            DataError: it lies before the last row.
        """
        if time_ns < self._last_ns:
            raise DataError(
                f"a row at {time_ns} ns came after one at {self._last_ns} ns; push rows in the "
                "order of time, or reset where the feed begins anew"
            )
        is_first = self._last_ns < 0
        self._last_ns = time_ns
        step = time_ns // _NS_PER_OFFSET_STEP
        if step == self._step:
            return is_first
        day, self._step = self._local_day(time_ns), step
        is_new, self._day = day != self._day, day
        return is_first or is_new

    def reset(self) -> None:
        """Forget the time: the next row is a session's first."""
        self._step = self._day = self._last_ns = -1

    def _local_day(self, time_ns: int) -> int:
        if self._timezone is None:
            return 0
        local = local_ns(np.array([time_ns], dtype=np.int64), self._timezone)
        return int(local[0]) // NS_PER_DAY


class LiveRows:
    """The rows of one session as model input, one at a time.

    Args:
        normalizer: as it was fitted on the training rows.
    """

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer
        self._weight = 2 / (normalizer.slow_mean_rows + 1)
        self._mean = np.array(normalizer.mean).reshape(-1, 4)
        self._scale = np.array(normalizer.scale).reshape(-1, 4)
        self.reset()

    def reset(self) -> None:
        """A session starts: no slow mean yet, and no row before."""
        self._slow_mean: float | None = None
        self._before: BookRow | None = None

    def check(self, row: BookRow) -> None:
        """Refuse a row of other levels than the training book's.

        Raises:
            DataError: it has more or fewer.
        """
        if row.ask_ticks.size != self.normalizer.n_levels:
            raise DataError(
                f"the row at {row.time_ns} ns has {row.ask_ticks.size} levels and the model was "
                f"trained on {self.normalizer.n_levels}; give it as many"
            )

    def push(self, row: BookRow) -> npt.NDArray[np.float32]:
        """``(4 L,)`` the row as model input, in contract column order.

        Raises:
            DataError: the row has another number of levels than the training book.
        """
        self.check(row)
        is_flow = self.normalizer.inputs == "order_flow"
        raw = self._flows(row) if is_flow else self._levels(row)
        scaled = (raw - self._mean) / self._scale
        if is_flow:
            scaled = np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        figures: npt.NDArray[np.float32] = scaled.astype(np.float32).ravel()
        return figures

    def _levels(self, row: BookRow) -> FloatArray:
        """``(L, 4)`` prices relative to the reference, and sizes."""
        reference = self._reference((row.ask_ticks[0] + row.bid_ticks[0]) / 2)
        raw = np.empty(self._mean.shape)
        raw[:, 0] = row.ask_ticks - reference
        raw[:, 1] = self._shown(row.ask_size)
        raw[:, 2] = row.bid_ticks - reference
        raw[:, 3] = self._shown(row.bid_size)
        return raw

    def _reference(self, mid: float) -> float:
        if self.normalizer.prices == "absolute":
            return 0.0
        if self.normalizer.prices == "mid":
            return mid
        before = mid if self._slow_mean is None else self._slow_mean
        self._slow_mean = before + self._weight * (mid - before)
        return self._slow_mean

    def _flows(self, row: BookRow) -> FloatArray:
        """``(L, 4)`` price changes and order flows against the row before, 0 without one."""
        before, self._before = self._before, row
        raw = np.zeros(self._mean.shape)
        if before is None:
            return raw
        for column, better, prices, sizes in (
            (0, -1, (before.ask_ticks, row.ask_ticks), (before.ask_size, row.ask_size)),
            (2, 1, (before.bid_ticks, row.bid_ticks), (before.bid_size, row.bid_size)),
        ):
            price = np.stack(prices).astype(np.int64)
            flow = side_flow(better * price, np.stack(sizes).astype(np.float64))[0]
            raw[:, column] = price[1] - price[0]
            raw[:, column + 1] = np.sign(flow) * self._shown(np.abs(flow))
        return raw

    def _shown(self, size: FloatArray) -> FloatArray:
        return np.log1p(size) if self.normalizer.sizes == "log" else size
