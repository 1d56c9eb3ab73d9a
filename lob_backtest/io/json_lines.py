"""Snapshots as JSON lines, one object a line, as recorders of Binance's depth streams write them.

    {"ts": 1771214400145, "bids": [["68424.81", "0.8"], ...], "asks": [["68424.82", "1.2"], ...]}

The time is ``"ts"`` (the recorder's clock), else ``"E"`` (the exchange's, when it sent), else
``"T"``; the instrument ``"s"`` or ``"symbol"``. An object within ``"data"``, as combined streams
have it, is taken out. Lines of changes (``"b"`` and ``"a"`` without ``"bids"`` and ``"asks"``) are
no snapshots.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import FormatError
from lob_backtest.io.ladders import Side
from lob_backtest.io.level_lists import Clock, FirstSnapshot, Snapshots, refuse_worst_first
from lob_backtest.io.opening import Opened, opened, readable
from lob_backtest.io.stream import Counts
from lob_backtest.io.tables import Place

_WANTED = 'JSON lines of snapshots: {"ts": ..., "bids": [[price, size], ...], "asks": [...]}'
_TIMES = ("ts", "E", "T")
_NAMES = ("s", "symbol")
_LONGEST_LINE = 1 << 26


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    time: int
    name: str
    asks: list[tuple[float, float]]
    bids: list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class JsonFile:
    """A file of JSON lines, maybe packed."""

    path: Path

    def first(self) -> FirstSnapshot:
        """What the first line says."""
        with opened(self.path, _WANTED) as file:
            number, line = next(_lines(file), (1, b""))
            name = file.name
        found = _parsed(name, number, line)
        item = _object(name, number, line)
        prices = [level[0] for side in ("asks", "bids") for level in _levels(item, side)[:20]]
        return FirstSnapshot(instrument=found.name, currency="", prices=tuple(map(str, prices)))

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Snapshots]:
        """The lines in their order, at most ``chunk_rows`` at a time."""
        clock = Clock()
        with opened(self.path, _WANTED) as file:
            lines = _lines(file)
            while chunk := list(islice(lines, chunk_rows)):
                counts.done = file.position()
                found = [_parsed(file.name, number, line) for number, line in chunk]
                numbers = np.array([number for number, _ in chunk], dtype=np.int64)
                place = Place(name=file.name, numbers=numbers, unit="line", wanted=_WANTED)
                yield _snapshots(place, found, n_levels, clock)


def _snapshots(place: Place, found: Sequence[_Snapshot], n_levels: int, clock: Clock) -> Snapshots:
    names, which = np.unique([item.name for item in found], return_inverse=True)
    values = np.array([item.time for item in found], dtype=np.int64)
    return Snapshots(
        place=place,
        time_ns=clock.time_ns(place, values),
        names=names,
        which=which.astype(np.int64),
        ask=_side(place, "ask", [item.asks for item in found], n_levels),
        bid=_side(place, "bid", [item.bids for item in found], n_levels),
    )


def _side(
    place: Place, name: str, lists: Sequence[list[tuple[float, float]]], n_levels: int
) -> Side:
    ends = np.array([(levels[0][0], levels[-1][0]) if levels else (0, 0) for levels in lists])
    refuse_worst_first(place, name, ends[:, 0], ends[:, 1])
    cells: FloatArray = np.zeros((len(lists), n_levels, 2))
    for row, levels in zip(cells, lists, strict=True):
        if levels:
            row[: len(levels)] = levels[:n_levels]
    return Side(name=name, price=cells[:, :, 0], size=cells[:, :, 1])


def _lines(file: Opened) -> Iterator[tuple[int, bytes]]:
    """The lines that have something in them, and their numbers."""
    number = 0
    while True:
        with readable(file.name, _WANTED):
            line = file.stream.readline(_LONGEST_LINE)
        if not line:
            return
        number += 1
        if len(line) == _LONGEST_LINE:
            raise FormatError(f"{file.name}, line {number}: longer than 64 MiB; needs {_WANTED}")
        if line.strip():
            yield number, line


def _parsed(name: str, number: int, line: bytes) -> _Snapshot:
    item = _object(name, number, line)
    try:
        value = next((item[key] for key in _TIMES if key in item), None)
        if not _is_whole(value):
            raise ValueError(f"the time is {value!r}, needs a whole number in ts, E or T")
        if len(str(value)) > 19 or int(value) >= 2**63:
            raise ValueError(f"the time {value} is too large")
        return _Snapshot(
            time=int(value),
            name=str(next((item[key] for key in _NAMES if key in item), "")),
            asks=[_pair(level) for level in _levels(item, "asks")],
            bids=[_pair(level) for level in _levels(item, "bids")],
        )
    except (ValueError, OverflowError) as error:
        raise FormatError(
            f"{name}, line {number}: {error}; needs {_WANTED}; mend or leave out this line"
        ) from error


def _is_whole(value: object) -> TypeGuard[int | str]:
    is_kind = isinstance(value, int | str) and not isinstance(value, bool)
    return is_kind and str(value).isascii() and str(value).isdecimal()


def _object(name: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{name}, line {number}: no JSON ({error}); needs {_WANTED}; "
            "fetch the file again if it was cut off"
        ) from error
    if isinstance(item, dict) and isinstance(item.get("data"), dict):
        item = item["data"]
    if not isinstance(item, dict) or not {"bids", "asks"} <= set(item):
        changes = isinstance(item, dict) and {"b", "a"} <= set(item)
        why = "changes of the book, no snapshot" if changes else 'no "bids" and "asks"'
        raise FormatError(f"{name}, line {number}: {why}; needs {_WANTED}")
    return item


def _levels(item: dict[str, Any], side: str) -> list[Any]:
    levels = item[side]
    if not isinstance(levels, list) or not all(
        isinstance(level, list) and len(level) >= 2 for level in levels
    ):
        raise ValueError(f"{side} is no list of [price, size]")
    return levels


def _pair(level: list[Any]) -> tuple[float, float]:
    price, size = level[:2]
    for value in (price, size):
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"{value!r} is no number")
    return float(price), float(size)
