"""From orders to rows: the best L levels of a replayed book, each time that they change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from lob_backtest.book import IntArray
from lob_backtest.io.order_replay import ASK, BID, Ladder, OrderReplay
from lob_backtest.io.stream import Counts, Rows

WARM_UP = "warm-up, too few levels"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderEvent:
    """An order was created or changed, or it is gone."""

    order_id: int
    time_ns: int
    price_ticks: int
    units: int  # of the size that is left
    side: int  # BID or ASK
    is_deletion: bool


class ClosingDeletions:
    """Holds back the deletions of an instant until it is clear that they do not close the file.

    Some recorders end a file by deleting, at its last instant, every order that is still alive. It
    leaves an empty book, which is no row, and until then the book of that instant is only half
    taken apart.
    """

    def __init__(self) -> None:
        self.held: list[OrderEvent] = []
        self._instant_ns = -1
        self._only_deletions = True

    def passed(self, events: Iterable[OrderEvent]) -> Iterator[OrderEvent]:
        """The events in their order, those held back for later left out."""
        for event in events:
            if event.time_ns != self._instant_ns:
                yield from self._released()
                self._instant_ns, self._only_deletions = event.time_ns, True
            if event.is_deletion and self._only_deletions:
                self.held.append(event)
            else:
                self._only_deletions = False
                yield from self._released()
                yield event

    def is_one(self, alive: set[int]) -> bool:
        """Whether what is held at the end of the file deletes every order that is alive."""
        return bool(alive) and alive <= {event.order_id for event in self.held}

    def _released(self) -> Iterator[OrderEvent]:
        held, self.held = self.held, []
        yield from held


class OrderRows:
    """The rows that events make of a book of orders."""

    def __init__(
        self, replay: OrderReplay, levels: int, counts: Counts, *, units_per_size: int
    ) -> None:
        self.has_begun = False
        self._units_per_size = units_per_size
        self._replay, self._levels, self._counts = replay, levels, counts
        self._bid = _Top(replay.ladders[BID], levels)
        self._ask = _Top(replay.ladders[ASK], levels)
        self._time_ns: list[int] = []
        self._bid_rows: list[int] = []
        self._ask_rows: list[int] = []

    def apply(self, event: OrderEvent) -> None:
        """Replay an event, and note a row if it changed the best levels."""
        replay, counts, bid, ask = self._replay, self._counts, self._bid, self._ask
        if event.is_deletion:
            replay.delete(event.order_id, now_ns=event.time_ns)
        else:
            replay.put(
                event.order_id,
                side=event.side,
                price=event.price_ticks,
                size=event.units,
                now_ns=event.time_ns,
            )
        counts.crossed_among += 1
        counts.crossed_events = (counts.crossed_events or 0) + replay.is_crossed_raw()
        bid_changed, ask_changed = bid.update(), ask.update()
        if not (bid_changed or ask_changed):
            return
        if not self.has_begun and (bid.depth < self._levels or ask.depth < self._levels):
            counts.rows_dropped[WARM_UP] += 1
            return
        self.has_begun = True
        self._time_ns.append(event.time_ns)
        self._bid_rows.append(len(bid.versions) - 1)
        self._ask_rows.append(len(ask.versions) - 1)

    def taken(self) -> Rows:
        """The rows since the last call."""
        bid_keys, bid_units = self._bid.taken(self._bid_rows)
        ask_keys, ask_units = self._ask.taken(self._ask_rows)
        rows = Rows(
            time_ns=np.array(self._time_ns, dtype=np.int64),
            ask_ticks=ask_keys,
            ask_size=ask_units / self._units_per_size,
            bid_ticks=-bid_keys,
            bid_size=bid_units / self._units_per_size,
        )
        self._time_ns, self._bid_rows, self._ask_rows = [], [], []
        return rows


class _Top:
    """The best L levels of one side, as they change."""

    def __init__(self, ladder: Ladder, levels: int) -> None:
        self.ladder = ladder
        self.levels = levels
        self.versions: list[list[int]] = [[0] * (2 * levels)]

    @property
    def depth(self) -> int:
        return min(len(self.ladder.keys), self.levels)

    def update(self) -> bool:
        """Note the best levels if they changed since the last call."""
        ladder, levels = self.ladder, self.levels
        touched, ladder.touched_key = ladder.touched_key, None
        if touched is None:
            return False
        keys = ladder.keys[:levels]
        if len(keys) == levels and touched > keys[-1]:
            return False
        sizes = [ladder.sizes[key] for key in keys]
        missing = levels - len(keys)  # of size 0; cleaning gives them a price
        version = [*keys, *repeat(0, missing), *sizes, *repeat(0, missing)]
        if version == self.versions[-1]:
            return False
        self.versions.append(version)
        return True

    def taken(self, chosen: list[int]) -> tuple[IntArray, IntArray]:
        """``(N, L)`` keys and sizes of the chosen versions; the last one stays, as number 0."""
        flat = np.fromiter(chain.from_iterable(self.versions), dtype=np.int64)
        table: npt.NDArray[np.int64] = flat.reshape(-1, 2 * self.levels)[chosen]
        del self.versions[:-1]
        return table[:, : self.levels], table[:, self.levels :]
