"""From raw snapshots to rows of a book: what is dropped, in one place for every format.

    dropped, by the first reason that holds          kept as they are
      outside the session                              several rows of one instant
      one side empty                                   rows that repeat the one before (counted)
      crossed or locked (ask <= bid)
      levels out of order: prices that repeat or turn back, or a level behind a missing one

A missing level (size 0) of a kept row continues the ladder one tick outwards, as ``Book`` wants
it. Time that goes backwards, and sizes that are none, are no market but a broken file: refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from lob_backtest.book import BookMeta, BoolArray, FloatArray, IntArray, is_outside_session
from lob_backtest.errors import FormatError
from lob_backtest.io.stream import Rows, Source

CROSSED = "crossed or locked"
_LARGEST_SIZE = 2.0**53  # beyond, a whole number cannot be told from its neighbours
REASONS = ("outside the session", "one side empty", CROSSED, "levels out of order")


@dataclass(kw_only=True)
class Cleaning:
    """What cleaning has done so far to one source.

    Attributes:
        n_read, n_kept: rows that came in and went out.
        n_dropped: rows left out, by reason.
        n_crossed: rows that came in with two sides, crossed or locked, in the session or not.
        n_repeated: kept rows with the prices and sizes of the kept row before.
    """

    n_read: int = 0
    n_kept: int = 0
    n_dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    n_crossed: int = 0
    n_repeated: int = 0


def clean(source: Source, cleaning: Cleaning, *, chunk_rows: int) -> Iterator[Rows]:
    """The rows of a source that are a book, counting the others in ``cleaning``.

    Raises:
        FormatError: time that goes backwards, a size that is negative or not finite, or what the
            reader refuses.
    """
    last_ns = -(2**63)
    last_kept: Rows | None = None
    for rows in source.rows(chunk_rows=chunk_rows):
        if rows.n == 0:
            continue
        _refuse_broken(rows, last_ns, f"{source.files[0]}", first_row=cleaning.n_read + 1)
        last_ns = int(rows.time_ns[-1])
        cleaning.n_read += rows.n
        kept = _kept(rows, source.meta, cleaning)
        if kept.n:
            kept = _with_whole_ladders(kept)
            cleaning.n_kept += kept.n
            cleaning.n_repeated += _n_repeated(kept, last_kept)
            last_kept = kept.chosen(slice(-1, None))
            yield kept


def _refuse_broken(rows: Rows, last_ns: int, name: str, *, first_row: int) -> None:
    before = np.append(last_ns, rows.time_ns[:-1])
    backwards = rows.time_ns < before
    if backwards.any():
        row = int(np.argmax(backwards))
        raise FormatError(
            f"{name}, row {first_row + row}: time_ns={rows.time_ns[row]} comes after "
            f"{before[row]}; needs rows in time order: sort the file by time"
        )
    for side, size in (("ask", rows.ask_size), ("bid", rows.bid_size)):
        sound = np.all((size >= 0) & (size <= _LARGEST_SIZE), axis=1)  # not so for NaN
        if not sound.all():
            row = int(np.argmin(sound))
            raise FormatError(
                f"{name}, row {first_row + row}: {side} sizes {size[row, :5]} at the best levels; "
                "needs sizes of 0 or more, up to 2**53: mend the file, or fetch it again"
            )


def _kept(rows: Rows, meta: BookMeta, cleaning: Cleaning) -> Rows:
    crossed = rows.ask_ticks[:, 0] <= rows.bid_ticks[:, 0]
    one_sided = (rows.ask_size[:, 0] == 0) | (rows.bid_size[:, 0] == 0)
    unordered = _is_unordered(rows.ask_ticks, rows.ask_size)
    unordered |= _is_unordered(-rows.bid_ticks, rows.bid_size)
    cleaning.n_crossed += int((crossed & ~one_sided).sum())
    kept = np.ones(rows.n, dtype=np.bool_)
    reasons = (is_outside_session(rows.time_ns, meta), one_sided, crossed, unordered)
    for reason, is_so in zip(REASONS, reasons, strict=True):
        cleaning.n_dropped[reason] += int((kept & is_so).sum())
        kept &= ~is_so
    return rows if kept.all() else rows.chosen(kept)


def _is_unordered(outwards: IntArray, size: FloatArray) -> BoolArray:
    """Rows in which a level does not lie beyond the one before it; prices grow outwards."""
    there = size[:, 1:] > 0
    misplaced = there & ((size[:, :-1] == 0) | (outwards[:, 1:] <= outwards[:, :-1]))
    unordered: BoolArray = np.any(misplaced, axis=1)
    return unordered


def _with_whole_ladders(rows: Rows) -> Rows:
    if rows.ask_size.all() and rows.bid_size.all():
        return rows
    ask, bid = rows.ask_ticks.copy(), rows.bid_ticks.copy()
    for level in range(1, rows.n_levels):
        ask[:, level] = np.where(rows.ask_size[:, level] == 0, ask[:, level - 1] + 1, ask[:, level])
        bid[:, level] = np.where(rows.bid_size[:, level] == 0, bid[:, level - 1] - 1, bid[:, level])
    return replace(rows, ask_ticks=ask, bid_ticks=bid)


def _n_repeated(rows: Rows, before: Rows | None) -> int:
    parts = (rows.ask_ticks, rows.ask_size, rows.bid_ticks, rows.bid_size)
    repeats = np.ones(rows.n - 1, dtype=np.bool_)
    for part in parts:
        repeats &= np.all(part[1:] == part[:-1], axis=1)
    n = int(repeats.sum())
    if before is not None:
        ends = (before.ask_ticks, before.ask_size, before.bid_ticks, before.bid_size)
        n += all(np.array_equal(end[0], part[0]) for end, part in zip(ends, parts, strict=True))
    return n
