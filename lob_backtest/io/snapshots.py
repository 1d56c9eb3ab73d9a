"""Snapshots with lists of levels, as recorders of Binance and its like keep them, most in Parquet.

    ts_ms          bids_px                 bids_qty           asks_px                 asks_qty
    1771214400145  [68424.81, 68424.8 ..]  [0.80633, 8e-05..] [68424.82, 68424.83..]  [1.27764, ..]

Of any depth, best level first; the best levels are kept. Prices and sizes may be text or numbers.
JSON lines with the same content: ``json_lines``.

What time means: ``ts_ms`` (or ``ts_us``, ``ts_ns``, ``ts_s``), the clock of the recorder, which is
when the snapshot was known. Every snapshot is a row, repeated or not; the market never closes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lob_backtest.book import BookMeta, FloatArray, IntArray
from lob_backtest.errors import FormatError
from lob_backtest.io.instruments import Chosen
from lob_backtest.io.json_lines import JsonFile
from lob_backtest.io.ladders import FileSource, Side, instants_ns, integers, needed, texts, to_rows
from lob_backtest.io.level_lists import FirstSnapshot, SnapshotFile, Snapshots, refuse_worst_first
from lob_backtest.io.opening import opened
from lob_backtest.io.stream import Counts, ImportOptions, Rows
from lob_backtest.io.tables import Place, parquet_batches, parquet_file

_DEFAULT_LEVELS = 10
_WANTED = (
    "Parquet with ts_ms (or ts_us, ts_ns, ts_s) and the lists bids_px, bids_qty, asks_px, asks_qty,"
    ' or JSON lines with "ts" (or "E", "T"), "bids" and "asks"'
)
_NS = {"ts_ns": 1, "ts_us": 10**3, "ts_ms": 10**6, "ts_s": 10**9}
_LISTS = ("asks_px", "asks_qty", "bids_px", "bids_qty")


def open_snapshots(path: Path, options: ImportOptions) -> FileSource:
    """One instrument's snapshots.

    Args:
        path: Parquet, or JSON lines, also packed.
        options: ``tick_size`` and ``currency`` are needed (the currency not where a column
            ``quote`` says it), ``instrument`` where the file names none or several; ``levels`` is
            10 unless given.

    Raises:
        FormatError: options that are missing, another file; while reading, a row that is none.
    """
    options.refuse("snapshots", "mapping")
    with opened(path, _WANTED) as packed:
        is_parquet = packed.stream.peek(4)[:4] == b"PAR1" and packed.stream is packed.raw
    file: SnapshotFile = _open_parquet(path) if is_parquet else JsonFile(path=path)
    first = file.first()
    instrument = options.instrument or first.instrument
    currency = options.currency or first.currency
    asked = [] if instrument else [("--instrument", "its name, e.g. BTCUSDT")]
    hint = f"the price step; the first prices lie on {first.step()}"
    asked += [] if options.tick_size else [("--tick-size", hint)]
    asked += [] if currency else [("--currency", "of the prices, e.g. USDT")]
    needed("snapshots", path, asked)
    assert options.tick_size is not None
    meta = BookMeta(
        instrument=instrument,
        tick_size=options.tick_size,
        currency=currency,
        timezone="UTC",
        session_open=None,
        session_close=None,
        source=f"snapshots, {path.name}",
    )
    has_names = bool(first.instrument)
    chosen = Chosen(
        path=path,
        instrument=instrument if has_names else "",
        by_user=has_names and options.instrument is not None,
    )
    counts, n_levels = Counts(size=path.stat().st_size), options.levels or _DEFAULT_LEVELS
    tick_size = options.tick_size
    return FileSource(
        source_format="snapshots",
        meta=options.described(meta),
        n_levels=n_levels,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: _rows(
            file.batches(n_levels, counts, chunk_rows), chosen, counts, tick_size
        ),
    )


def _rows(
    batches: Iterator[Snapshots], chosen: Chosen, counts: Counts, tick_size: float
) -> Iterator[Rows]:
    for found in batches:
        counts.events += found.time_ns.size
        ours = chosen.rows(found.names, found.which, counts)
        if ours.any():
            yield to_rows(found.place.chosen(ours), found.time_ns[ours], found.ask.chosen(ours),
                          found.bid.chosen(ours), tick_size=tick_size)  # fmt: skip
    chosen.check()


@dataclass(frozen=True, kw_only=True)
class ParquetFile:
    """A Parquet file of lists.

    Attributes:
        path: the file.
        time: name of the column of times.
        has_symbol, has_quote: whether there is a column of instruments, of currencies.
        depth: levels a list has on average.
    """

    path: Path
    time: str
    has_symbol: bool
    has_quote: bool
    depth: int

    def first(self) -> FirstSnapshot:
        """What the first row says."""
        columns = ["asks_px", "bids_px"]
        columns += ["symbol"] if self.has_symbol else []
        columns += ["quote"] if self.has_quote else []
        _, batch = next(iter(parquet_batches(self.path, columns, _WANTED, Counts(), chunk_rows=1)))
        row = batch.to_pylist()[0]
        prices = [*(row["asks_px"] or [])[:20], *(row["bids_px"] or [])[:20]]
        return FirstSnapshot(
            instrument=str(row.get("symbol") or ""),
            currency=str(row.get("quote") or ""),
            prices=tuple(map(str, prices)),
        )

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Snapshots]:
        """The rows in their order; fewer than ``chunk_rows`` at a time where lists are long."""
        rows = max(1, chunk_rows * (1 + n_levels) // (1 + n_levels + self.depth))
        columns = [self.time, *_LISTS, *(["symbol"] if self.has_symbol else [])]
        for place, batch in parquet_batches(self.path, columns, _WANTED, counts, chunk_rows=rows):
            names, which = self._names(place, batch)
            yield Snapshots(
                place=place,
                time_ns=_time_ns(place, batch, self.time),
                names=names,
                which=which,
                ask=_side(place, batch, "ask", n_levels),
                bid=_side(place, batch, "bid", n_levels),
            )

    def _names(self, place: Place, batch: pa.RecordBatch) -> tuple[npt.NDArray[np.str_], IntArray]:
        if not self.has_symbol:
            return np.array([""]), np.zeros(batch.num_rows, dtype=np.int64)
        is_null = batch.column("symbol").is_null().to_numpy(zero_copy_only=False)
        place.refuse(is_null, "symbol is missing")
        column = texts(batch, "symbol")
        names = np.array([str(name) for name in column.dictionary.to_pylist()])
        return names, column.indices.to_numpy().astype(np.int64)


def _open_parquet(path: Path) -> ParquetFile:
    with parquet_file(path, _WANTED) as file:
        schema, metadata = file.schema_arrow, file.metadata
    time = next((name for name in _NS if name in schema.names), None)
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise FormatError(
            f"{path}: the columns {', '.join(twice[:12])} are there more than once; needs {_WANTED}"
        )
    is_list = {
        name: pa.types.is_list(schema.field(name).type)
        or pa.types.is_large_list(schema.field(name).type)
        for name in _LISTS
        if name in schema.names
    }
    if time is None or len(is_list) < len(_LISTS) or not all(is_list.values()):
        shown = ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:12])
        raise FormatError(f"{path}: got the columns {shown}; needs {_WANTED}")
    group = metadata.row_group(0) if metadata.num_row_groups else None
    values = [group.column(i).num_values for i in range(group.num_columns)] if group else [0]
    return ParquetFile(
        path=path,
        time=time,
        has_symbol="symbol" in schema.names,
        has_quote="quote" in schema.names,
        depth=max(values) // max(group.num_rows, 1) if group else 0,
    )


def _time_ns(place: Place, batch: pa.RecordBatch, name: str) -> IntArray:
    column = batch.column(name)
    if pa.types.is_timestamp(column.type):
        return instants_ns(place, column, name)
    values = integers(place, batch, name)
    most = (2**63 - 1) // _NS[name]
    place.refuse((values < 0) | (values > most), f"{name} is no time since 1970")
    return values * _NS[name]


def _side(place: Place, batch: pa.RecordBatch, name: str, n_levels: int) -> Side:
    prices, sizes = batch.column(f"{name}s_px"), batch.column(f"{name}s_qty")
    for column in (prices, sizes):
        place.refuse(column.is_null().to_numpy(zero_copy_only=False), f"no list of {name}s")
    starts, stops = _bounds(prices)
    size_starts, size_stops = _bounds(sizes)
    is_uneven = stops - starts != size_stops - size_starts
    place.refuse(is_uneven, f"{name} lists of prices and sizes of different lengths")
    ends = np.stack([starts, np.maximum(stops - 1, starts)], axis=1)
    is_empty = stops == starts
    first_last = _taken(place, prices, ends, np.broadcast_to(~is_empty[:, None], ends.shape))
    refuse_worst_first(place, name, first_last[:, 0], first_last[:, 1])
    levels = np.arange(n_levels)
    is_there = levels < (stops - starts)[:, None]
    return Side(
        name=name,
        price=_taken(place, prices, starts[:, None] + levels, is_there),
        size=_taken(place, sizes, size_starts[:, None] + levels, is_there),
    )


def _bounds(column: pa.ListArray) -> tuple[IntArray, IntArray]:
    offsets = np.asarray(column.offsets.to_numpy(), dtype=np.int64)
    return offsets[:-1], offsets[1:]


def _taken(
    place: Place, column: pa.ListArray, index: IntArray, is_there: npt.NDArray[np.bool_]
) -> FloatArray:
    """``index.shape`` numbers out of the lists' values; 0 where there is none."""
    numbers = np.zeros(index.shape)
    taken = column.values.take(pa.array(index[is_there]))
    if taken.null_count:
        is_null = np.zeros(index.shape, dtype=np.bool_)
        is_null[is_there] = taken.is_null().to_numpy(zero_copy_only=False)
        place.refuse(is_null, "an empty value in a list")
    try:
        numbers[is_there] = taken.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        is_bad = np.zeros(index.shape, dtype=np.bool_)
        is_bad[is_there] = [not _is_number(value) for value in taken.to_pylist()]
        place.refuse(is_bad, "a value in a list is no number")
        raise
    return numbers


def _is_number(value: object) -> bool:
    try:
        pa.scalar(str(value)).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
