"""What makes rows an order book; every ``Book`` is checked when it is made."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lob_backtest.book.meta import BoolArray, is_outside_session
from lob_backtest.errors import BookError

if TYPE_CHECKING:
    from lob_backtest.book.rows import Book

_BYTES_AT_ONCE = 2**21
_LARGEST_TICKS = 2**53  # beyond, a price in float64 is another price
LARGEST_SIZE = 2.0**53  # beyond, a whole number cannot be told from its neighbours
_END_OF_TIME = 2**62  # in 2116; leaves room to add a horizon


def check_book(book: "Book") -> None:
    """Raise a BookError that says what is wrong, in how many rows and first where."""
    n_rows, n_levels = book.time_ns.shape[0], book.ask_ticks.shape[1]
    if n_rows == 0 or n_levels == 0:
        raise BookError(f"got {n_rows} rows of {n_levels} levels; needs at least one of each")
    for name in ("ask_ticks", "ask_size", "bid_ticks", "bid_size"):
        shape = getattr(book, name).shape
        if shape != (n_rows, n_levels):
            raise BookError(f"{name} has shape {shape}; needs {(n_rows, n_levels)}")
    for name in ("time_ns", "ask_ticks", "ask_size", "bid_ticks", "bid_size"):
        wanted = np.dtype(np.float64 if name.endswith("size") else np.int64)
        if getattr(book, name).dtype != wanted:
            raise BookError(f"{name} is of {getattr(book, name).dtype}; needs {wanted}")
    _check_rows(book)


def _check_rows(book: "Book") -> None:
    """Look at some rows at a time, so that the checks take no memory to speak of."""
    step = max(1, _BYTES_AT_ONCE // (8 * book.n_levels))
    n_bad: dict[str, int] = {}
    first: dict[str, int] = {}
    remedies: dict[str, str] = {}
    for start in range(0, book.n_rows, step):
        for got, remedy, bad in _problems(book, start, min(start + step, book.n_rows)):
            n_bad[got] = n_bad.get(got, 0) + int(bad.sum())
            remedies[got] = remedy
            if bad.any():
                first.setdefault(got, start + int(np.argmax(bad)))
    for got, count in n_bad.items():
        if count:
            row = first[got]
            bid = f"bid {book.bid_ticks[row, 0]} x {book.bid_size[row, 0]}"
            ask = f"ask {book.ask_ticks[row, 0]} x {book.ask_size[row, 0]}"
            raise BookError(
                f"{book.meta.instrument}: {got} in {count} of {book.n_rows} rows, first in row "
                f"{row} (time_ns={book.time_ns[row]}, {bid}, {ask}); {remedies[got]}"
            )


def _problems(book: "Book", start: int, stop: int) -> Iterator[tuple[str, str, BoolArray]]:
    """What can be wrong with a row, what to do about it, and the rows that are so."""
    rows = slice(start, stop)
    time_ns, ask, bid = book.time_ns[rows], book.ask_ticks[rows], book.bid_ticks[rows]
    before = np.append(book.time_ns[max(start - 1, 0)], time_ns[:-1])
    yield "time_ns goes back in time", "sort the rows by time", time_ns < before
    yield (
        "time_ns before 1970 or after 2116", "give nanoseconds since the epoch, UTC",
        (time_ns < 0) | (time_ns >= _END_OF_TIME),
    )  # fmt: skip
    yield (
        "best ask <= best bid (crossed or locked)",
        "drop or clean these rows before building the book",
        ask[:, 0] <= bid[:, 0],
    )
    unsorted = (ask[:, 1:] <= ask[:, :-1]) | (bid[:, 1:] >= bid[:, :-1])
    yield (
        "levels out of order", "level 1 is best, and prices do not repeat",
        np.any(unsorted, axis=1),
    )  # fmt: skip
    yield (
        "a price beyond 2**53 ticks", "give prices in ticks of the market's own size",
        (ask[:, -1] > _LARGEST_TICKS) | (bid[:, -1] < -_LARGEST_TICKS)
        | (bid[:, 0] > _LARGEST_TICKS) | (ask[:, 0] < -_LARGEST_TICKS),
    )  # fmt: skip
    for side, sizes in (("ask", book.ask_size), ("bid", book.bid_size)):
        size = sizes[rows]
        sound = (size >= 0) & (size < np.inf)  # not so for NaN
        yield (
            f"{side} size negative, not finite, or zero at the touch",
            "sizes are positive; 0 only marks a missing deeper level",
            ~np.all(sound, axis=1) | (size[:, 0] == 0),
        )
        yield (
            f"an {side} size beyond 2**53", "give sizes in larger units",
            np.any((size > LARGEST_SIZE) & (size < np.inf), axis=1),
        )  # fmt: skip
        holes = (size[:, :-1] == 0) & (size[:, 1:] > 0)
        yield (
            f"an {side} level behind a missing one", "missing levels (size 0) stand last",
            np.any(holes, axis=1),
        )  # fmt: skip
    hours = f"{book.meta.session_open} to {book.meta.session_close} {book.meta.timezone}"
    yield (
        f"time outside the session ({hours})",
        "drop these rows, or give the session's real hours",
        is_outside_session(time_ns, book.meta),
    )
