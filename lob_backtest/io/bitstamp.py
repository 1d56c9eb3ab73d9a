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
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from lob_backtest.book import Book, BookMeta, BoolArray, FloatArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.delimited import (
    Compression,
    explained,
    read_columns,
    refuse_lines,
    require_file,
)
from lob_backtest.io.order_replay import ASK, BID, Ladder, OrderReplay
from lob_backtest.io.report import ImportReport
from lob_backtest.progress import progress

_WANTED = (
    "a Bitstamp order csv (id,timestamp,exchange_timestamp,price,volume,action,direction), "
    "plain, .gz or .bz2"
)
_UNITS_PER_COIN = 100_000_000
_UNITS_PER_VOLUME = {"exchange_timestamp": _UNITS_PER_COIN, "exchange.timestamp": 1}
_COMPRESSION: dict[str, Compression] = {".gz": "gzip", ".bz2": "bz2"}
_NS_PER_MS = 1_000_000
_EVENTS_PER_STEP = 10_000
_FINEST_DECIMALS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class _Events:
    order_id: IntArray
    time_ns: IntArray
    price_ticks: IntArray
    units: IntArray  # 1e-8 coins
    side: IntArray  # BID or ASK
    is_deletion: BoolArray
    tick_size: float
    n_raised: int  # events whose time was raised to the snapshot's


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    time_ns: IntArray
    ask_ticks: IntArray
    ask_units: IntArray
    bid_ticks: IntArray
    bid_units: IntArray
    n_warm_up: int
    n_one_sided: int
    n_crossed: int
    crossed_share_before: float


def read_bitstamp(
    path: Path | str,
    *,
    levels: int = 10,
    tick_size: float | None = None,
    instrument: str = "BTC/USD",
    ghost_ms: int = 1000,
    settle_ms: int = 200,
) -> tuple[Book, ImportReport]:
    """Replay a file of Bitstamp orders.

    Rows start once both sides have ``levels`` levels: at once after a snapshot, after a warm-up in
    a file that starts empty. In such a file orders older than its start stay unknown.

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
    if levels < 1:
        raise FormatError(f"levels={levels}: needs at least 1")
    path = require_file(path, _WANTED)
    events = _read_events(path, tick_size)
    kept = events.order_id.shape[0] - _n_closing_deletions(events)
    replay = OrderReplay(ghost_ns=ghost_ms * _NS_PER_MS, settle_ns=settle_ms * _NS_PER_MS)
    rows = _replay(events, kept, replay, levels)
    if rows.time_ns.size == 0:
        raise FormatError(
            f"{path}: the {kept} events never fill {levels} levels on both sides; "
            "ask for fewer levels or use a longer file"
        )
    book = Book(
        meta=BookMeta(
            instrument=instrument,
            tick_size=events.tick_size,
            currency=instrument.rpartition("/")[2],
            timezone="UTC",
            session_open=None,
            session_close=None,
            source=f"Bitstamp orders, {path.name}",
        ),
        time_ns=rows.time_ns,
        ask_ticks=rows.ask_ticks,
        ask_size=rows.ask_units / _UNITS_PER_COIN,
        bid_ticks=rows.bid_ticks,
        bid_size=rows.bid_units / _UNITS_PER_COIN,
    )
    return book, _report(path, events, kept, replay, rows)


def _report(
    path: Path, events: _Events, kept: int, replay: OrderReplay, rows: _Rows
) -> ImportReport:
    n_events, n_rows = events.order_id.shape[0], rows.time_ns.shape[0]
    return ImportReport(
        source_format="bitstamp",
        files=(path.name,),
        events=n_events,
        rows=n_rows,
        levels=rows.ask_ticks.shape[1],
        ghost_orders_dropped=replay.n_ghosts,
        marketable_orders_kept_out=replay.n_kept_out,
        rows_dropped={
            "warm-up, too few levels": rows.n_warm_up,
            "one side empty": rows.n_one_sided,
            "still crossed": rows.n_crossed,
        },
        events_noted={
            "received before the snapshot, dated at it": events.n_raised,
            "recorder's closing deletions, ignored": n_events - kept,
            "deletions of orders never seen": replay.n_unknown,
            "changes after an order's deletion, ignored": replay.n_late,
            "marketable orders that came to rest": replay.n_settled,
        },
        crossed_share_before=rows.crossed_share_before,
        crossed_share_after=rows.n_crossed / (n_rows + rows.n_crossed),
    )


def _read_events(path: Path, tick_size: float | None) -> _Events:
    compression = _COMPRESSION.get(path.suffix)
    exchange_time = _exchange_time_column(path, compression)
    dtypes = {"id": int, "timestamp": int, exchange_time: int, "price": float, "volume": float,
              "action": str, "direction": str}  # fmt: skip
    frame = read_columns(lambda: path.open("rb"), path, dtypes=dtypes, has_header=True,
                         wanted=_WANTED, compression=compression)  # fmt: skip

    def refuse(bad: BoolArray, got: str) -> None:
        refuse_lines(bad, path, got, has_header=True, wanted=_WANTED)

    actions, directions = frame["action"], frame["direction"]
    refuse(~actions.isin(("created", "changed", "deleted")).to_numpy(),
           "action is not created, changed or deleted")  # fmt: skip
    refuse(~directions.isin(("bid", "ask")).to_numpy(), "direction is not bid or ask")
    price, volume = frame["price"].to_numpy(), frame["volume"].to_numpy()
    refuse(~(np.isfinite(price) & (price >= 0)), "price is negative or not finite")
    refuse(~(np.isfinite(volume) & (volume >= 0)), "volume is negative or not finite")
    tick = tick_size if tick_size is not None else _coarsest_tick(price)
    price_ticks = np.rint(price / tick)
    refuse(np.abs(price / tick - price_ticks) > 1e-4, f"price is no multiple of the tick {tick}")
    received_ms = frame["timestamp"].to_numpy(dtype=np.int64)
    known_ms = np.maximum.accumulate(received_ms)
    return _Events(
        order_id=frame["id"].to_numpy(dtype=np.int64),
        time_ns=known_ms * _NS_PER_MS,
        price_ticks=price_ticks.astype(np.int64),
        units=np.rint(volume * _UNITS_PER_VOLUME[exchange_time]).astype(np.int64),
        side=np.where(directions.to_numpy() == "bid", BID, ASK).astype(np.int64),
        is_deletion=actions.to_numpy() == "deleted",
        tick_size=tick,
        n_raised=int((known_ms > received_ms).sum()),
    )


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


def _coarsest_tick(price: FloatArray) -> float:
    for decimals in range(_FINEST_DECIMALS):
        scaled = price * 10**decimals
        if np.all(np.abs(scaled - np.rint(scaled)) < 1e-4):
            return float(10.0**-decimals)
    return float(10.0**-_FINEST_DECIMALS)


def _n_closing_deletions(events: _Events) -> int:
    """Events at the last instant, if together they delete every order that is still alive.

    Recorders close a file so. It leaves an empty book, which is no row, and until then the book of
    that instant is only half taken apart.
    """
    at_end = events.time_ns == events.time_ns[-1]
    if not events.is_deletion[at_end].all():
        return 0
    deleted_before = events.order_id[events.is_deletion & ~at_end]
    alive = np.setdiff1d(events.order_id[~at_end], deleted_before)
    gone = np.isin(alive, events.order_id[at_end]).all()
    return int(at_end.sum()) if gone and alive.size else 0


def _replay(events: _Events, kept: int, replay: OrderReplay, levels: int) -> _Rows:
    tops = {BID: _Top(replay.ladders[BID], levels), ASK: _Top(replay.ladders[ASK], levels)}
    bid, ask = tops[BID], tops[ASK]
    row_time: list[int] = []
    row_bid: list[int] = []
    row_ask: list[int] = []
    n_warm_up = n_one_sided = n_raw_crossed = 0
    order_id, time_ns = events.order_id.tolist(), events.time_ns.tolist()
    price, units = events.price_ticks.tolist(), events.units.tolist()
    side, is_deletion = events.side.tolist(), events.is_deletion.tolist()
    steps = range(0, kept, _EVENTS_PER_STEP)
    for start in progress(steps, label="replaying orders", unit=f"x {_EVENTS_PER_STEP} events"):
        for i in range(start, min(start + _EVENTS_PER_STEP, kept)):
            now_ns = time_ns[i]
            if is_deletion[i]:
                replay.delete(order_id[i], now_ns=now_ns)
            else:
                replay.put(order_id[i], side=side[i], price=price[i], size=units[i], now_ns=now_ns)
            n_raw_crossed += replay.is_crossed_raw()
            bid_changed, ask_changed = bid.update(), ask.update()
            if not (bid_changed or ask_changed):
                continue
            if not row_time and (bid.depth < levels or ask.depth < levels):
                n_warm_up += 1
            elif bid.depth == 0 or ask.depth == 0:
                n_one_sided += 1
            else:
                row_time.append(now_ns)
                row_bid.append(len(bid.versions) - 1)
                row_ask.append(len(ask.versions) - 1)
    bid_ticks, bid_units = bid.rows(row_bid)
    ask_ticks, ask_units = ask.rows(row_ask)
    sound = ask_ticks[:, 0] > -bid_ticks[:, 0]
    return _Rows(
        time_ns=np.array(row_time, dtype=np.int64)[sound],
        ask_ticks=ask_ticks[sound],
        ask_units=ask_units[sound],
        bid_ticks=-bid_ticks[sound],
        bid_units=bid_units[sound],
        n_warm_up=n_warm_up,
        n_one_sided=n_one_sided,
        n_crossed=int((~sound).sum()),
        crossed_share_before=n_raw_crossed / max(kept, 1),
    )


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
        missing = levels - len(keys)
        if missing:  # a missing level continues the ladder one tick outwards with size 0
            last = keys[-1] if keys else 0
            keys += range(last + 1, last + 1 + missing)
            sizes += [0] * missing
        version = keys + sizes
        if version == self.versions[-1]:
            return False
        self.versions.append(version)
        return True

    def rows(self, chosen: Iterable[int]) -> tuple[IntArray, IntArray]:
        """``(N, L)`` keys and sizes of the chosen versions."""
        flat = np.fromiter(chain.from_iterable(self.versions), dtype=np.int64)
        index = np.fromiter(chosen, dtype=np.int64)
        table: npt.NDArray[np.int64] = flat.reshape(-1, 2 * self.levels)[index]
        return table[:, : self.levels], table[:, self.levels :]
