"""From columns of decimal prices and sizes to rows of ticks, refusing what is none.

Shared by the readers of snapshots in decimal numbers, so that each refuses the same things in the
same words: what is no number, negative sizes, prices that are not positive, prices between ticks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lob_backtest.book import BookMeta, BoolArray, FloatArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.stream import Counts, Rows, to_ticks
from lob_backtest.io.tables import Place

_MOST_TICKS = 2.0**40  # beyond it float64 cannot tell a price on a tick from one beside it
_MOST_SIZE = 2.0**53
_LARGEST_WHOLE = 2.0**53  # beyond, a float64 may be the rounding of another whole number
_PARTS_OF_A_TICK = (2, 4, 5, 10, 20, 50, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One side of some snapshots as the file has it.

    Attributes:
        name: ``"ask"`` or ``"bid"``.
        price: ``(n, L)`` currency units.
        size: ``(n, L)``; 0 marks a missing level.
        is_missing: ``(n, L)`` levels whose price the file marks as missing, or None where it has no
            such mark.
    """

    name: str
    price: FloatArray
    size: FloatArray
    is_missing: BoolArray | None = None

    def chosen(self, rows: BoolArray) -> "Side":
        """These rows only."""
        return Side(
            name=self.name,
            price=self.price[rows],
            size=self.size[rows],
            is_missing=None if self.is_missing is None else self.is_missing[rows],
        )


@dataclass(kw_only=True)
class FileSource:
    """A source whose rows one function reads."""

    source_format: str
    meta: BookMeta
    n_levels: int
    files: tuple[str, ...]
    counts: Counts
    read: Callable[[int], Iterator[Rows]]

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        """The snapshots in file order, at most ``chunk_rows`` at a time."""
        return self.read(max(1, chunk_rows))


def to_rows(place: Place, time_ns: IntArray, ask: Side, bid: Side, *, tick_size: float) -> Rows:
    """Checked rows of integer ticks.

    Args:
        place: where the snapshots stand in the file.
        time_ns: ``(n,)`` UTC.
        ask, bid: the two sides, level 1 first.
        tick_size: currency units a tick.

    Raises:
        FormatError: naming the first row with a value that is no price or no size.
    """
    ask_ticks, ask_size = _in_ticks(place, ask, tick_size)
    bid_ticks, bid_size = _in_ticks(place, bid, tick_size)
    return Rows(
        time_ns=time_ns,
        ask_ticks=ask_ticks,
        ask_size=ask_size,
        bid_ticks=bid_ticks,
        bid_size=bid_size,
    )


def matrix(batch: pa.RecordBatch, names: Sequence[str]) -> tuple[FloatArray, BoolArray]:
    """Columns of numbers side by side, ``(n, len(names))``, and which values are null (given as 0).

    NaN stays NaN: it is for the caller to refuse.
    """
    values = np.empty((batch.num_rows, len(names)))
    is_null = np.zeros((batch.num_rows, len(names)), dtype=np.bool_)
    for i, name in enumerate(names):
        column = batch.column(name)
        if column.null_count:
            is_null[:, i] = column.is_null().to_numpy(zero_copy_only=False)
            column = column.fill_null(0)
        values[:, i] = column.to_numpy(zero_copy_only=False)
    return values, is_null


def integers(place: Place, batch: pa.RecordBatch, name: str) -> IntArray:
    """``(n,)`` a column of whole numbers (or instants in their unit), none of them missing."""
    column = batch.column(name)
    place.refuse(column.is_null().to_numpy(zero_copy_only=False), f"{name} is missing")
    if pa.types.is_boolean(column.type) or pa.types.is_duration(column.type):
        every = np.ones(len(column), dtype=np.bool_)
        place.refuse(every, f"{name} is a column of {column.type}, not of whole numbers")
    if pa.types.is_floating(column.type):
        values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        place.refuse(~(np.abs(values) <= _LARGEST_WHOLE), f"{name} is no whole number below 2^53")
    try:
        whole = column.cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        every = np.ones(len(column), dtype=np.bool_)
        place.refuse(every, f"{name} is no column of whole numbers ({error})")
        raise
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.int64)


def instants_ns(place: Place, column: pa.Array, name: str) -> IntArray:
    """``(n,)`` nanoseconds since 1970 of a column of timestamps, none of which may be missing."""
    try:
        exact = column.cast(pa.timestamp("ns", column.type.tz))
    except pa.ArrowInvalid as error:
        every = np.ones(len(column), dtype=np.bool_)
        place.refuse(every, f"{name} is beyond the times that nanoseconds reach ({error})")
        raise
    return integers(place, pa.record_batch([exact], names=[name]), name)


def texts(batch: pa.RecordBatch, name: str) -> pa.DictionaryArray:
    """A column of few different texts: ``.indices`` and ``.dictionary``."""
    column = batch.column(name)
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def needed(source_format: str, name: object, missing: Sequence[tuple[str, str]]) -> None:
    """Raise where the user has to say what the file does not.

    Args:
        source_format, name: for the message.
        missing: flags and what each is, e.g. ``("--tick-size", "the price step, e.g. 0.5")``.
    """
    if missing:
        asked = "; ".join(f"{flag} ({what})" for flag, what in missing)
        raise FormatError(f"{name}: a {source_format} file does not say everything; give {asked}")


def _in_ticks(place: Place, side: Side, tick_size: float) -> tuple[IntArray, FloatArray]:
    price, size, name = side.price, side.size, side.name
    if side.is_missing is not None:
        _refuse(place, side.is_missing & (size > 0), f"{name} size", size, "without a price")
        size, price = np.where(side.is_missing, 0, size), np.where(side.is_missing, 0, price)
    _refuse(place, ~np.isfinite(price), f"{name} price", price, "no finite number")
    _refuse(place, ~np.isfinite(size), f"{name} size", size, "no finite number")
    _refuse(place, size < 0, f"{name} size", size, "negative")
    _refuse(place, size > _MOST_SIZE, f"{name} size", size, "too large to be a size")
    is_there = size > 0
    _refuse(place, is_there & (price <= 0), f"{name} price", price, "not positive")
    too_high = is_there & (price > _MOST_TICKS * tick_size)
    _refuse(place, too_high, f"{name} price", price, f"more than 2^40 ticks of {tick_size}")
    price = np.where(is_there, price, 0)
    ticks, is_between = to_ticks(price, tick_size)
    if is_between.any():
        finer = _finer(price[is_between], tick_size)
        _refuse(place, is_between, f"{name} price", price, f"between two ticks of {tick_size}",
                f"give the price step of this market: --tick-size {finer}")  # fmt: skip
    return ticks, np.ascontiguousarray(size)


def _refuse(
    place: Place, bad: BoolArray, what: str, values: FloatArray, why: str, remedy: str | None = None
) -> None:
    if bad.any():
        row, level = np.unravel_index(int(np.argmax(bad)), bad.shape)
        value = f"{what} {values[row, level]:.12g} of level {int(level) + 1} is {why}"
        place.refuse(bad, value, remedy)


def _finer(price: FloatArray, tick_size: float) -> str:
    """A price step on which these prices do lie, as text; ``"STEP"`` where none was found."""
    for parts in _PARTS_OF_A_TICK:
        step = float(f"{tick_size / parts:.12g}")
        if (price <= _MOST_TICKS * step).all() and not to_ticks(price, step)[1].any():
            return f"{step:.12g}"
    return "STEP"
