"""What an import has to make of a file, in plain Python and from docs/data.md: ``cleaned``."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from tests.lob_backtest.books import random_book

Side = list[tuple[Decimal, Decimal]]  # price in ticks and size, best first; size 0 is no level
Row = tuple[int, Side, Side]  # nanoseconds, asks, bids
NEW_YORK = ZoneInfo("America/New_York")
NS = 1_000_000_000
OPENING_NS = 34_200 * NS  # 09:30 after midnight
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS = (9 * 60 + 30, 16 * 60)


@dataclass(frozen=True)
class Form:
    """A file of one format.

    Attributes:
        name: of the case.
        source_format: as the command calls it.
        files: by name, unpacked; the first one is imported, others lie beside it.
        spoilt: which of them is spoilt.
        arguments: more of the command.
        read: rows of the files, in the order of the file, not cleaned; None where only a replay
            could tell.
        has_hours: whether rows outside New York's session are dropped.
        pack: what is done to the first file's bytes at last.
        unpack: its inverse.
    """

    name: str
    source_format: str
    files: dict[str, bytes]
    spoilt: str
    arguments: tuple[str, ...]
    read: Callable[[dict[str, bytes]], list[Row]] | None
    has_hours: bool = False
    pack: Callable[[bytes], bytes] = bytes
    unpack: Callable[[bytes], bytes] = bytes


def truth(n_rows: int, n_levels: int, *, seed: int = 5) -> list[tuple[int, Any, Any]]:
    """Rows as ``(nanoseconds since the first, asks, bids)`` of ``(ticks, size)``."""
    book = random_book(np.random.default_rng(seed), n_rows, n_levels, mean_gap_s=0.01)
    elapsed = (book.time_ns - book.time_ns[0]) // 1_000_000 * 1_000_000
    sides = [
        [list(zip(map(int, ticks), map(int, sizes), strict=True)) for ticks, sizes in
         zip(*side, strict=True)]
        for side in ((book.ask_ticks, book.ask_size), (book.bid_ticks, book.bid_size))
    ]  # fmt: skip
    return list(zip(map(int, elapsed), *sides, strict=True))


def cleaned(rows: list[Row], *, has_hours: bool) -> list[tuple[int, Side, Side]]:
    """The rows of the book: docs/data.md, "What every import does".

    Raises:
        ValueError: what no import accepts.
    """
    kept = []
    for place, (time, asks, bids) in enumerate(rows):
        if place and time < rows[place - 1][0]:
            raise ValueError("back in time")
        if any(not 0 <= size <= 2**53 for _, size in asks + bids):
            raise ValueError("no size")
        if has_hours and not _in_session(time):
            continue
        if asks[0][1] == 0 or bids[0][1] == 0 or asks[0][0] <= bids[0][0]:
            continue
        if _is_unordered(asks, 1) or _is_unordered(bids, -1):
            continue
        kept.append((time, _whole(asks, 1), _whole(bids, -1)))
    return kept


def _in_session(time: int) -> bool:
    local = (EPOCH + timedelta(microseconds=time // 1000)).astimezone(NEW_YORK)
    clock = ((local.hour * 60 + local.minute) * 60 + local.second) * NS + time % NS
    return _HOURS[0] * 60 * NS <= clock <= _HOURS[1] * 60 * NS


def _is_unordered(side: Side, outwards: int) -> bool:
    return any(
        size > 0 and (side[i][1] == 0 or outwards * price <= outwards * side[i][0])
        for i, (price, size) in enumerate(side[1:])
    )


def _whole(side: Side, outwards: int) -> Side:
    ladder = [side[0]]
    for price, size in side[1:]:
        ladder.append((price if size > 0 else ladder[-1][0] + outwards, size))
    return ladder


def ticks_of(price: Decimal, tick: str) -> Decimal:
    """A price as whole ticks."""
    ticks = price / Decimal(tick)
    if abs(ticks - round(ticks)) > Decimal("0.0001"):
        raise ValueError("between two ticks")
    return Decimal(round(ticks))


def number_of(text: Any) -> Decimal:
    value = Decimal(str(text))
    if not value.is_finite():
        raise ValueError(text)
    # Files are read in binary numbers: no more than 17 digits count.
    return Decimal(repr(float(value)))


def whole(text: str) -> int:
    """A whole number as readers of csv take it: also ``5.`` and, hexadecimal, ``0x1A``."""
    text = text.strip()
    if text.lower().startswith("0x"):
        return int(text, 16)
    number = Decimal(text)
    if number != number.to_integral_value():
        raise ValueError(text)
    return int(number)


def level_of(price: Any, size: Any, tick: str) -> tuple[Decimal, Decimal]:
    depth = number_of(size)
    if depth == 0:
        return Decimal(0), depth
    value = number_of(price)
    if value <= 0:
        raise ValueError(price)
    return ticks_of(value, tick), depth


def lines_of(data: bytes) -> list[list[str]]:
    text = data.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))


def csv_of(rows: list[list[Any]]) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def write(form: Form, files: dict[str, bytes], folder: Path) -> Path:
    """Write the files, the first one packed; its path."""
    for place, (name, data) in enumerate(files.items()):
        (folder / name).write_bytes(form.pack(data) if place == 0 else data)
    return folder / next(iter(files))
