"""Order-by-order replay: from created, changed and deleted orders to the best L levels.

A feed of single orders is no order book yet. Three things have to be kept apart:

    resting     orders in the book; never crossed or locked among themselves
    outside     marketable orders: at arrival their limit reaches the opposite touch. The exchange
                matches them at once, but the feed shows them for some milliseconds. They are kept
                out of the book; what is left of one rests as soon as it no longer reaches the
                opposite touch and nothing has happened to it for ``settle_ns``.
    ghosts      resting orders whose deletion was never sent. A later order that reaches the touch
                and is itself still alive ``ghost_ns`` after its arrival proves that it or the order
                first in line there is not real, because the exchange would have matched them. The
                second such witness convicts the order in line: it is dropped from then on.

Every rule uses events up to the present one only, so the book at a row is one that could have been
kept live. The price of that: for up to about ``ghost_ns`` a new ghost still holds the touch.

Prices are integer ticks and sizes integer units, so sums of sizes are exact.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

BID, ASK = 1, -1
_REMEMBERED = 250_000  # deletions; what comes after one comes within seconds
_WITNESSES = 2  # one crossing order may be a ghost itself; two that agree are believed


@dataclass(kw_only=True, slots=True)
class Order:
    """A living order; ``key`` is the price in ticks times -side, so the best price is the least."""

    side: int
    key: int
    size: int
    arrived_ns: int
    touched_ns: int
    witnesses: int = 0


@dataclass(slots=True)
class Ladder:
    """One side's price levels: ``sizes[key]`` over ``keys``, kept sorted, best first.

    ``touched_key`` is the best level touched since a reader last set it to None.
    """

    keys: list[int] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    touched_key: int | None = None

    def add(self, key: int, size: int) -> None:
        self._touch(key)
        if key in self.sizes:
            self.sizes[key] += size
        else:
            self.sizes[key] = size
            insort(self.keys, key)

    def remove(self, key: int, size: int) -> None:
        self._touch(key)
        left = self.sizes[key] - size
        if left:
            self.sizes[key] = left
        else:
            del self.sizes[key]
            del self.keys[bisect_left(self.keys, key)]

    def _touch(self, key: int) -> None:
        if self.touched_key is None or key < self.touched_key:
            self.touched_key = key


class _RecentIds:
    """Ids of deleted orders, the last ones at least: all of a year would not fit into memory."""

    def __init__(self, at_least: int = _REMEMBERED) -> None:
        self._at_least = at_least
        self._new: set[int] = set()
        self._old: set[int] = set()

    def add(self, order_id: int) -> None:
        if len(self._new) >= self._at_least:
            self._old, self._new = self._new, set()
        self._new.add(order_id)

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._new or order_id in self._old


class OrderReplay:
    """The state of the book while a feed of orders is read, under the rules above.

    Args:
        ghost_ns: for how long a crossing order must have lived to be a witness against the order
            first in line; longer than the feed takes to report a large order's matches.
        settle_ns: for how long a formerly marketable order must have been left alone to rest.
    """

    def __init__(self, *, ghost_ns: int, settle_ns: int) -> None:
        self.ghost_ns = ghost_ns
        self.settle_ns = settle_ns
        self.ladders = {BID: Ladder(), ASK: Ladder()}
        self.resting: dict[int, Order] = {}
        self.outside: dict[int, Order] = {}
        self.ghosts: dict[int, Order] = {}
        self.n_ghosts = 0
        self.n_kept_out = 0
        self.n_unknown = 0
        self.n_settled = 0
        self.n_late = 0
        self._deleted = _RecentIds()
        self._waiting: deque[tuple[int, int]] = deque()

    def put(self, order_id: int, *, side: int, price: int, size: int, now_ns: int) -> None:
        """An order was created or changed: it now has this price and what is left is ``size``.

        Feeds send some changes after the deletion that they led to; the dead stay dead.
        """
        if order_id in self._deleted:
            self.n_late += 1
            return
        if size <= 0:
            self.delete(order_id, now_ns=now_ns)
            return
        self._advance(now_ns)
        self.ghosts.pop(order_id, None)  # a sign of life
        known = self.outside.get(order_id)
        if known is not None:
            known.side, known.key = side, -side * price
            known.size, known.touched_ns = size, now_ns
        else:
            self._put_in(order_id, side, -side * price, size, now_ns)
        self._settle(now_ns)

    def delete(self, order_id: int, *, now_ns: int) -> None:
        """An order was filled or cancelled."""
        self._advance(now_ns)
        self._deleted.add(order_id)
        resting = self.resting.pop(order_id, None)
        if resting is not None:
            self.ladders[resting.side].remove(resting.key, resting.size)
        elif self.outside.pop(order_id, None) is None and self.ghosts.pop(order_id, None) is None:
            self.n_unknown += 1
        self._settle(now_ns)

    def alive(self) -> set[int]:
        """The orders that the feed has neither filled nor cancelled, ghosts included."""
        return {*self.resting, *self.outside, *self.ghosts}

    def is_crossed_raw(self) -> bool:
        """Whether the feed taken at its word, with every order in the book, is crossed."""
        best = {side: ladder.keys[0] for side, ladder in self.ladders.items() if ladder.keys}
        for orders in (self.outside, self.ghosts):
            for order in orders.values():
                best[order.side] = min(order.key, best.get(order.side, order.key))
        return len(best) == 2 and best[BID] + best[ASK] <= 0

    def _put_in(self, order_id: int, side: int, key: int, size: int, now_ns: int) -> None:
        old = self.resting.pop(order_id, None)
        if old is not None:
            self.ladders[old.side].remove(old.key, old.size)
        order = Order(side=side, key=key, size=size, arrived_ns=now_ns, touched_ns=now_ns)
        if old is not None and (old.side, old.key) == (side, key):  # partly filled where it stands
            order.arrived_ns = old.arrived_ns
        if self._is_marketable(order):
            self.outside[order_id] = order
            self._waiting.append((now_ns, order_id))
            self.n_kept_out += 1
        else:
            self._rest(order_id, order)

    def _rest(self, order_id: int, order: Order) -> None:
        self.resting[order_id] = order
        self.ladders[order.side].add(order.key, order.size)

    def _is_marketable(self, order: Order) -> bool:
        opposite = self.ladders[-order.side].keys
        # Keys are ask ticks and minus bid ticks: their sum is the spread.
        return bool(opposite) and order.key + opposite[0] <= 0

    def _advance(self, now_ns: int) -> None:
        """Hear the witnesses whose time has come, and drop the orders that they convict."""
        waiting = self._waiting
        while waiting and now_ns - waiting[0][0] >= self.ghost_ns:
            arrived_ns, order_id = waiting.popleft()
            witness = self.outside.get(order_id)
            if witness is not None and witness.arrived_ns == arrived_ns:
                self._hear(witness)

    def _hear(self, witness: Order) -> None:
        """Count a witness against the order with which it would have been matched first."""
        ladder = self.ladders[-witness.side]
        if not self._is_marketable(witness):
            return
        first_id, first = min(
            (
                (order_id, order)
                for order_id, order in self.resting.items()
                if order.side != witness.side and order.key == ladder.keys[0]
            ),
            key=lambda item: item[1].arrived_ns,
        )
        if first.arrived_ns > witness.arrived_ns:
            return
        first.witnesses += 1
        if first.witnesses >= _WITNESSES:
            del self.resting[first_id]
            ladder.remove(first.key, first.size)
            self.ghosts[first_id] = first
            self.n_ghosts += 1

    def _settle(self, now_ns: int) -> None:
        """Let rest what is outside, has been left alone, and no longer reaches the touch."""
        if not self.outside:
            return
        settled = [
            (order_id, order)
            for order_id, order in self.outside.items()
            if now_ns - order.touched_ns >= self.settle_ns and not self._is_marketable(order)
        ]
        for order_id, order in settled:
            if not self._is_marketable(order):  # an earlier one of this batch may stand against it
                del self.outside[order_id]
                self._rest(order_id, order)
                self.n_settled += 1
