"""Bitstamp's feed of single orders, replayed into an L-level book.

Two layouts of one csv, gzip and bz2 included, told apart by the header:

    id,timestamp,exchange_timestamp,price,volume,action,direction     volume in coins
    id,timestamp,exchange.timestamp,price,volume,action,direction     volume in 1e-8 coins

``timestamp`` is when the recorder received an event, in ms; that is when it was known, so it is the
time of a row. A recorder that opens with a snapshot got it after some of the events that it applies
to the snapshot; their time is raised to the snapshot's. The file's order is the order of events.

Cleaning (counted in the report, rules in ``order_replay``), all of it causal: marketable orders are
kept out of the book until what is left of them rests, changes that come after an order's deletion
are ignored, and an order through which the market has traded is dropped as a ghost. Sizes are
coins; a row is a change of the best L levels.
"""

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from lob_backtest.book import Book, BookMeta, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import (
    Compression,
    DelimitedFile,
    Lines,
    explained,
    require_file,
)
from lob_backtest.io.importing import read_source
from lob_backtest.io.order_replay import ASK, BID, OrderReplay
from lob_backtest.io.order_rows import WARM_UP, ClosingDeletions, OrderEvent, OrderRows
from lob_backtest.io.report import ImportReport
from lob_backtest.io.stream import Counts, ImportOptions, Rows, to_ticks

_WANTED = (
    "a Bitstamp order csv (id,timestamp,exchange_timestamp,price,volume,action,direction), "
    "plain, .gz or .bz2"
)
_UNITS_PER_COIN = 100_000_000
_UNITS_PER_VOLUME = {"exchange_timestamp": _UNITS_PER_COIN, "exchange.timestamp": 1}
_COMPRESSION: dict[str, Compression] = {".gz": "gzip", ".bz2": "bz2"}
_NS_PER_MS = 1_000_000
_MOST_EVENTS = 50_000  # of a chunk: as Python objects they take some hundred bytes each
_FINEST_DECIMALS = 8
_RAISED = "received before the snapshot, dated at it"
_CLOSING = "recorder's closing deletions, ignored"
_UNKNOWN = "deletions of orders never seen"
_LATE = "changes after an order's deletion, ignored"
_SETTLED = "marketable orders that came to rest"


def open_bitstamp(path: Path, options: ImportOptions) -> "BitstampOrders":
    """A file of Bitstamp orders, 10 levels of BTC/USD unless the options say otherwise.

    Raises:
        FormatError: missing, empty, cut off, or another format.
    """
    return BitstampOrders(path, options, ghost_ms=1000, settle_ms=200)


def read_bitstamp(
    path: Path | str,
    *,
    levels: int = 10,
    tick_size: float | None = None,
    instrument: str = "BTC/USD",
    ghost_ms: int = 1000,
    settle_ms: int = 200,
) -> tuple[Book, ImportReport]:
    """Replay a file of Bitstamp orders in memory.

    Args:
        path: the csv, plain or compressed.
        levels: price levels on each side of the book.
        tick_size: dollars a tick; by default the largest power of ten that divides every price.
        instrument: name for the book's metadata; its last part is the currency.
        ghost_ms: for how long a crossing order must live to be a witness against a ghost.
        settle_ms: for how long a formerly marketable order must be left alone before it rests.

    Raises:
        FormatError: missing, empty, cut off, another format, or a line that is no order event.
    """
    options = ImportOptions(levels=levels, tick_size=tick_size, instrument=instrument)
    return read_source(BitstampOrders(Path(path), options, ghost_ms=ghost_ms, settle_ms=settle_ms))


class BitstampOrders:
    """A feed of orders, replayed while it is read.

    Rows start once both sides have ``levels`` levels: at once after a snapshot, after a warm-up in
    a file that starts empty. In such a file orders older than its start stay unknown.
    """

    source_format = "bitstamp"

    def __init__(
        self, path: Path, options: ImportOptions, *, ghost_ms: int, settle_ms: int
    ) -> None:
        options.refuse("bitstamp", "timezone", "mapping")
        self._path = require_file(path, _WANTED)
        self._table, self._units_per_volume = _table(path)
        self._replay = OrderReplay(ghost_ns=ghost_ms * _NS_PER_MS, settle_ns=settle_ms * _NS_PER_MS)
        self.n_levels = 10 if options.levels is None else options.levels
        tick_size = options.tick_size
        self._tick_size = _coarsest_tick(self._table) if tick_size is None else tick_size
        instrument = options.instrument or "BTC/USD"
        self.meta = options.described(
            BookMeta(
                instrument=instrument,
                tick_size=self._tick_size,
                currency=instrument.rpartition("/")[2],
                timezone="UTC",
                session_open=None,
                session_close=None,
                source=f"Bitstamp orders, {path.name}",
            )
        )
        self.files = (path.name,)
        self.counts = Counts(size=path.stat().st_size, crossed_events=0)
        self.counts.rows_dropped[WARM_UP] = 0
        for kind in (_RAISED, _CLOSING, _UNKNOWN, _LATE, _SETTLED):
            self.counts.events_noted[kind] = 0

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        """The best levels after each event that changed them."""
        replayed = OrderRows(
            self._replay, self.n_levels, self.counts, units_per_size=_UNITS_PER_COIN
        )
        closing = ClosingDeletions()
        known_ms = 0
        for lines in self._table.chunks(min(chunk_rows, _MOST_EVENTS)):
            received_ms = lines.frame["timestamp"].to_numpy(dtype=np.int64)
            times_ms = np.maximum(np.maximum.accumulate(received_ms), known_ms)
            known_ms = int(times_ms[-1])
            self.counts.events += len(lines.frame)
            self.counts.events_noted[_RAISED] += int((times_ms > received_ms).sum())
            for event in closing.passed(self._events(lines, times_ms * _NS_PER_MS)):
                replayed.apply(event)
            self._count(lines.position)
            yield replayed.taken()
        if closing.is_one(self._replay.alive()):
            self.counts.events_noted[_CLOSING] = len(closing.held)
        else:
            for event in closing.held:
                replayed.apply(event)
        self._count(self.counts.size)
        yield replayed.taken()
        if not replayed.has_begun:
            raise FormatError(
                f"{self._path}: the {self.counts.crossed_among} events never fill {self.n_levels} "
                "levels on both sides; ask for fewer levels or use a longer file"
            )

    def _count(self, position: int) -> None:
        counts, replay = self.counts, self._replay
        counts.done = position
        counts.ghost_orders_dropped = replay.n_ghosts
        counts.marketable_orders_kept_out = replay.n_kept_out
        counts.events_noted[_UNKNOWN] = replay.n_unknown
        counts.events_noted[_LATE] = replay.n_late
        counts.events_noted[_SETTLED] = replay.n_settled

    def _events(self, lines: Lines, time_ns: IntArray) -> Iterator[OrderEvent]:
        frame = lines.frame
        actions, directions = frame["action"], frame["direction"]
        is_action = actions.isin(("created", "changed", "deleted")).to_numpy()
        lines.refuse(~is_action, "action is not created, changed or deleted")
        lines.refuse(~directions.isin(("bid", "ask")).to_numpy(), "direction is not bid or ask")
        _refuse_price(lines)
        volume = frame["volume"].to_numpy() * self._units_per_volume
        lines.refuse(~((volume >= 0) & (volume < 2.0**53)), "volume is negative or not finite")
        price_ticks, is_off = to_ticks(frame["price"].to_numpy(), self._tick_size)
        lines.refuse(is_off, f"price is no multiple of the tick {self._tick_size:g}")
        columns = (
            frame["id"].to_numpy(dtype=np.int64),
            time_ns,
            price_ticks,
            np.rint(volume).astype(np.int64),
            np.where(directions.to_numpy() == "bid", BID, ASK),
            actions.to_numpy() == "deleted",
        )
        for values in zip(*(column.tolist() for column in columns), strict=True):
            order_id, now_ns, price, units, side, is_deletion = values
            yield OrderEvent(
                order_id=order_id,
                time_ns=now_ns,
                price_ticks=price,
                units=units,
                side=side,
                is_deletion=is_deletion,
            )


def _table(path: Path) -> tuple[DelimitedFile, int]:
    """The file, and how many 1e-8 coins its volumes are in."""
    compression = _COMPRESSION.get(path.suffix)
    exchange_time = _exchange_time_column(path, compression)
    dtypes: dict[str, type] = {
        "id": int, "timestamp": int, exchange_time: int, "price": float, "volume": float,
        "action": str, "direction": str,
    }  # fmt: skip
    table = DelimitedFile(
        open_file=lambda: path.open("rb"),
        name=path,
        dtypes=dtypes,
        has_header=True,
        wanted=_WANTED,
        compression=compression,
    )
    return table, _UNITS_PER_VOLUME[exchange_time]


def _exchange_time_column(path: Path, compression: Compression | None) -> str:
    with explained(path, _WANTED), _opened(path, compression) as file:
        header = file.readline(10_000).decode().strip()
    for column in _UNITS_PER_VOLUME:
        if header == f"id,timestamp,{column},price,volume,action,direction":
            return column
    raise FormatError(f"{path}, line 1: got {header[:80]!r}; needs {_WANTED}")


def _opened(path: Path, compression: Compression | None) -> IO[bytes]:
    if compression == "gzip":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return bz2.open(path, "rb") if compression == "bz2" else path.open("rb")


def _coarsest_tick(table: DelimitedFile) -> float:
    """The largest power of ten up to 1 that divides every price; needs a reading of its own."""
    decimals = 0
    for lines in table.chunks(_MOST_EVENTS):
        _refuse_price(lines)
        price = lines.frame["price"].to_numpy()
        while decimals < _FINEST_DECIMALS and to_ticks(price, 10.0**-decimals)[1].any():
            decimals += 1
    return float(10.0**-decimals)


def _refuse_price(lines: Lines) -> None:
    price = lines.frame["price"].to_numpy()
    lines.refuse(~((price >= 0) & (price < np.inf)), "price is negative or not finite")
