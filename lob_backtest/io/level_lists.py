"""Snapshots whose levels are lists of any length, and what tells the unit of their times."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lob_backtest.book import BoolArray, FloatArray, IntArray
from lob_backtest.io.ladders import Side
from lob_backtest.io.stream import Counts
from lob_backtest.io.tables import Place

# Whole numbers since 1970 by their size: from 1973 to 5138 the ranges do not meet.
_RANGES = ((10**8, 10**11, 10**9), (10**11, 10**14, 10**6), (10**14, 10**17, 10**3))
_NANOSECONDS = (10**17, 2**63 - 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshots:
    """Some snapshots in file order.

    Attributes:
        place: where they stand.
        time_ns: ``(n,)`` UTC.
        names, which: instruments (``""`` where the file names none), and ``(n,)`` the index of each
            snapshot's.
        ask, bid: ``(n, L)`` the best levels; size 0 where a list was shorter.
    """

    place: Place
    time_ns: IntArray
    names: npt.NDArray[np.str_]
    which: IntArray
    ask: Side
    bid: Side


@dataclass(frozen=True, kw_only=True)
class FirstSnapshot:
    """What the first snapshot says about the file.

    Attributes:
        instrument: ``""`` where it has none.
        currency: ``""`` where it has none.
        prices: its prices as text.
    """

    instrument: str
    currency: str
    prices: tuple[str, ...]

    def step(self) -> str:
        """The smallest power of ten on which the prices lie, a hint at the tick: ``"0.01"``."""
        fractions = [price.partition(".")[2].rstrip("0") for price in self.prices]
        decimals = max(map(len, fractions), default=0)
        return "1" if decimals == 0 else f"0.{'0' * (decimals - 1)}1"


class SnapshotFile(Protocol):
    """A file of snapshots."""

    def first(self) -> FirstSnapshot:
        """What the first snapshot says."""

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Snapshots]:
        """The snapshots in their order, at most ``chunk_rows`` at a time."""


@dataclass(kw_only=True)
class Clock:
    """Turns whole numbers since 1970 into nanoseconds; the first tells the unit of all."""

    ns: int | None = None

    def time_ns(self, place: Place, values: IntArray) -> IntArray:
        """``(n,)`` nanoseconds; refuses what is no time, or of another unit than the first."""
        unit = np.zeros(values.size, dtype=np.int64)
        for low, high, ns in (*_RANGES, _NANOSECONDS):
            unit[(values >= low) & (values < high)] = ns
        place.refuse(unit == 0, "a time that is no number since 1970")
        if self.ns is None and unit.size:
            self.ns = int(unit[0])
        place.refuse(unit != self.ns, "a time in another unit than the first one")
        return values * unit


def refuse_worst_first(place: Place, name: str, first: FloatArray, last: FloatArray) -> None:
    """Refuse lists that run from the worst level to the best.

    Args:
        place: where the rows stand.
        name: ``"ask"`` or ``"bid"``.
        first, last: ``(n,)`` prices at the ends of each list, the same where it has one level.
    """
    is_worst_first: BoolArray = first > last if name == "ask" else first < last
    place.refuse(is_worst_first, f"{name}s that do not run from the best price outwards")
