"""Books, decisions, labels and folds once more, in plain Python and from the documents.

No arrays and nothing of the package: lists and loops. It knows mid moves and walks of decisions.
Definitions: docs/labels.md, docs/predictions.md.
"""

import json
import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

SECOND = 1_000_000_000
DOWN, FLAT, UP = 0, 1, 2


@dataclass
class PlainBook:
    """Rows as lists: ``ask[row]`` is ``[(price in ticks, size), ...]``, best level first."""

    meta: dict[str, Any]
    time: list[int]
    ask: list[list[tuple[int, float]]]
    bid: list[list[tuple[int, float]]]
    session: list[int]

    @classmethod
    def read(cls, path: Path) -> "PlainBook":
        table = pq.ParquetFile(path).read()
        columns = {name: column.to_pylist() for name, column in zip(
            table.column_names, table.columns, strict=True)}  # fmt: skip
        levels = range(1, (len(columns) - 1) // 4 + 1)

        def side(name: str) -> list[list[tuple[int, float]]]:
            prices = [columns[f"{name}_price_{level}"] for level in levels]
            sizes = [columns[f"{name}_size_{level}"] for level in levels]
            rows = zip(zip(*prices, strict=True), zip(*sizes, strict=True), strict=True)
            return [list(zip(price, size, strict=True)) for price, size in rows]

        meta = json.loads(table.schema.metadata[b"lob_backtest.book"])
        time = columns["time_ns"]
        return cls(
            meta=meta, time=time, ask=side("ask"), bid=side("bid"), session=_sessions(time, meta)
        )

    def mid(self, row: int) -> float:
        """In ticks."""
        return (self.ask[row][0][0] + self.bid[row][0][0]) / 2

    def known(self, instant: int) -> int:
        """The last row up to an instant."""
        return bisect_right(self.time, instant) - 1

    def first(self, row: int) -> int:
        """First row of a row's session."""
        return bisect_left(self.session, self.session[row])

    def last(self, row: int) -> int:
        """Last row of a row's session."""
        return bisect_right(self.session, self.session[row]) - 1


def _sessions(time: list[int], meta: dict[str, Any]) -> list[int]:
    if meta["session_open"] is None:
        return [0] * len(time)
    zone = ZoneInfo(meta["timezone"])
    days = [datetime.fromtimestamp(t // SECOND, tz=UTC).astimezone(zone).date() for t in time]
    numbers = {day: number for number, day in enumerate(sorted(set(days)))}
    return [numbers[day] for day in days]


@dataclass
class Question:
    """A test decision and what came true: what a predictions table has to hold."""

    fold: int
    decided: int
    label: int
    label_end: int


@dataclass
class Plan:
    """All decisions of a book, and the folds' test and validation questions."""

    decided: list[int]
    test: list[Question]
    validation: list[Question]
    train_labels: dict[int, list[int]]


def plan(book: PlainBook, config: dict[str, Any]) -> Plan:
    """Decisions, labels and folds of a config."""
    data, walk = config["data"], config["walk_forward"]
    rows, decided = _decisions(book, data)
    moves, ends = _moves(book, data["label"], rows, decided)
    session = [book.session[row] for row in rows]
    n_train, n_val, n_test = (int(walk[key]) for key in ("train", "validation", "test"))
    embargo = round(walk.get("embargo_ms", 0) * 1_000_000)
    found = Plan(decided=decided, test=[], validation=[], train_labels={})
    start, fold = n_train + n_val, 0
    while start < len(decided):
        stop = min(start + n_test, bisect_right(session, session[start]))
        if 2 * (stop - start) >= n_test:
            cut = start - n_val
            begin = 0 if walk.get("mode") == "expanding" else cut - n_train
            limit = decided[start] - embargo
            train_limit = min(limit, decided[cut])
            train = [i for i in range(begin, cut) if ends[i] < train_limit and _known(moves[i])]
            val = [i for i in range(cut, start) if ends[i] < limit and _known(moves[i])]
            threshold = _threshold([moves[i] for i in train], data["label"])

            def asked(places: Any, fold: int = fold, cut: float = threshold) -> list[Question]:
                return [Question(fold, decided[i], _class(moves[i], cut), ends[i]) for i in places]

            found.test += asked(range(start, stop))
            found.validation += asked(val)
            found.train_labels[fold] = [_class(moves[i], threshold) for i in train]
            fold += 1
        start = stop
    return found


def _decisions(book: PlainBook, data: dict[str, Any]) -> tuple[list[int], list[int]]:
    when, window = data["decisions"], data.get("window", 100)
    n = len(book.time)
    instants: set[int] = set()
    if "every_events" in when:
        for row in range(n):
            if (row - book.first(row) + 1) % int(when["every_events"]) == 0:
                instants.add(book.time[row])
    elif "every_ms" in when:
        step = round(when["every_ms"] * 1_000_000)
        for number in sorted(set(book.session)):
            low = book.time[bisect_left(book.session, number)]
            high = book.time[bisect_right(book.session, number) - 1]
            instants.update(range(-(-low // step) * step, high + 1, step))
    else:
        settled = [row for row in range(n) if row + 1 == n or book.time[row + 1] > book.time[row]]
        for before, row in pairwise(settled):
            if book.session[before] == book.session[row] and book.mid(before) != book.mid(row):
                instants.add(book.time[row])
    kept = [(book.known(t), t) for t in sorted(instants)]
    kept = [(row, t) for row, t in kept if row - book.first(row) + 1 >= window]
    return [row for row, _ in kept], [t for _, t in kept]


def _moves(
    book: PlainBook, label: dict[str, Any], rows: list[int], decided: list[int]
) -> tuple[list[float], list[int]]:
    assert label.get("kind", "mid_move") == "mid_move"
    moves, ends = [], []
    for row, t in zip(rows, decided, strict=True):
        last = book.last(row)
        if "horizon_events" in label:
            end = row + int(label["horizon_events"])
            held, end_ns = end <= last, book.time[min(end, last)]
        else:
            end_ns = t + round(label["horizon_ms"] * 1_000_000)
            held, end = end_ns <= book.time[last], book.known(end_ns)
        moves.append(book.mid(end) - book.mid(row) if held else math.nan)
        ends.append(end_ns if held else book.time[last])
    return moves, ends


def _known(move: float) -> bool:
    return not math.isnan(move)


def _threshold(moves: list[float], label: dict[str, Any]) -> float:
    given = label.get("threshold_ticks")
    if given is not None:
        return float(given)
    sizes, share = [abs(move) for move in moves], label.get("flat_share", 1 / 3)
    candidates = sorted({0.0, *sizes})

    def miss(candidate: float) -> float:
        return abs(sum(size <= candidate for size in sizes) / len(sizes) - share)

    return min(candidates, key=miss)


def _class(move: float, threshold: float) -> int:
    if math.isnan(move):
        return -1
    return UP if move > threshold else DOWN if move < -threshold else FLAT
