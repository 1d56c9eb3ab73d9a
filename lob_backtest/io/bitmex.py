"""BitMEX orderBook10: the ten best levels of each side after every change, as csv without header.

    seconds, ms, symbol, ask price 1-10, ask size 1-10, bid price 1-10, bid size 1-10

    2020-03-03 21:45:14,129,XBTUSD,8737.5,8738,...,79015,2556,...,8737,8736.5,...,2023324,36632,...

Seconds are UTC and the milliseconds of a row stand beside them. Symbols are padded with NUL or
blanks, fields may be quoted. Several symbols are interleaved; a book has one. Sizes are contracts.
The market never closes.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from lob_backtest.book import BookMeta
from lob_backtest.io.instruments import Chosen
from lob_backtest.io.ladders import FileSource, Side, integers, matrix, needed, texts, to_rows
from lob_backtest.io.opening import first_rows
from lob_backtest.io.stream import Counts, ImportOptions, Rows
from lob_backtest.io.tables import Place, TextTable

_LEVELS = 10
_WANTED = (
    "BitMEX orderBook10 lines: seconds, ms, symbol, then 10 each of ask prices, ask sizes, "
    "bid prices, bid sizes (43 fields, no header)"
)
# Price step and quote currency of the contracts of 2020, from the exchange's instrument page.
_KNOWN = {"XBTUSD": (0.5, "USD"), "ETHUSD": (0.05, "USD")}
_PADDING = "\0 "
_GROUPS = ("ask_price", "ask_size", "bid_price", "bid_size")
_COLUMNS = {group: [f"{group}_{level + 1}" for level in range(_LEVELS)] for group in _GROUPS}


def open_bitmex(path: Path, options: ImportOptions) -> FileSource:
    """One instrument of an orderBook10 file.

    Args:
        path: csv, also packed (gzip, bzip2, zstandard, zip).
        options: ``instrument`` is needed where the file has several; ``tick_size`` and ``currency``
            where it is none of those known here (XBTUSD, ETHUSD).

    Raises:
        FormatError: options that are missing; while reading, a line that is not as told.
    """
    options.refuse("bitmex", "mapping")
    symbol = options.instrument or _first_symbol(path)
    tick_size, currency = _KNOWN.get(symbol, (options.tick_size, options.currency))
    asked = [("--tick-size", f"the price step of {symbol}, e.g. 0.5")] if tick_size is None else []
    asked += [] if currency else [("--currency", f"what {symbol} is quoted in, e.g. USD")]
    needed("bitmex", path, asked)
    tick_size = options.tick_size or tick_size
    assert tick_size is not None
    assert currency is not None
    meta = BookMeta(
        instrument=symbol,
        tick_size=tick_size,
        currency=currency,
        timezone="UTC",
        session_open=None,
        session_close=None,
        source=f"BitMEX orderBook10, {path.name}",
    )
    chosen = Chosen(path=path, instrument=symbol, by_user=options.instrument is not None)
    counts, n_levels = Counts(size=path.stat().st_size), options.kept_levels(_LEVELS, path)
    return FileSource(
        source_format="bitmex",
        meta=options.described(meta),
        n_levels=n_levels,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: _rows(path, chosen, tick_size, n_levels, counts, chunk_rows),
    )


def _rows(
    path: Path, chosen: Chosen, tick_size: float, n_levels: int, counts: Counts, chunk_rows: int
) -> Iterator[Rows]:
    for place, batch in _table(n_levels).batches(path, counts, chunk_rows=chunk_rows):
        counts.events += batch.num_rows
        symbols = texts(batch, "symbol")
        names = [name.strip(_PADDING) for name in symbols.dictionary.to_pylist()]
        is_ours = chosen.rows(names, symbols.indices.to_numpy(), counts)
        if is_ours.any():
            ours = batch.filter(pa.array(is_ours))
            yield _parsed(place.chosen(is_ours), ours, n_levels, tick_size)
    chosen.check()


def _parsed(place: Place, batch: pa.RecordBatch, n_levels: int, tick_size: float) -> Rows:
    ms = integers(place, batch, "ms")
    place.refuse((ms < 0) | (ms > 999), "milliseconds that are not 0 to 999")
    seconds = integers(place, batch, "seconds")
    ask_price, ask_size, bid_price, bid_size = (
        matrix(batch, _COLUMNS[group][:n_levels])[0] for group in _GROUPS
    )
    return to_rows(
        place,
        seconds * 1_000_000_000 + ms * 1_000_000,
        Side(name="ask", price=ask_price, size=ask_size),
        Side(name="bid", price=bid_price, size=bid_size),
        tick_size=tick_size,
    )


def _first_symbol(path: Path) -> str:
    fields = next(iter(first_rows(path, _WANTED, 1)), [])
    return fields[2].strip(_PADDING) if len(fields) > 2 else ""


def _table(n_levels: int) -> TextTable:
    names = ("seconds", "ms", "symbol", *(name for group in _GROUPS for name in _COLUMNS[group]))
    types = {"seconds": pa.timestamp("s"), "ms": pa.int64(), "symbol": pa.string()}
    types |= {name: pa.float64() for group in _GROUPS for name in _COLUMNS[group][:n_levels]}
    return TextTable(names=names, types=types, wanted=_WANTED)
