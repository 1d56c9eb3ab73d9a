"""Databento MBP-10 (and MBP-1): the best levels after every event, as csv or DBN.

    ts_recv, ts_event, rtype, publisher_id, instrument_id, action, side, depth, price, size, flags,
    ts_in_delta, sequence, bid_px_00, ask_px_00, bid_sz_00, ask_sz_00, bid_ct_00, ask_ct_00,
    bid_px_01, ..., symbol

What time means: ``ts_recv``, when the record reached Databento beside the venue, which is the
earliest that anyone outside could have known it; ``ts_event``, the venue's own clock, is before
that. A csv without ``ts_recv`` gives ``ts_event``; the book's source says which it was.

Csv may be packed, with times as text or as nanoseconds and prices as decimals or in units of 1e-9;
an undefined price (a level that is not there) is an empty field or the largest int64. Which records
are rows: ``databento_records``. DBN: ``dbn``.

Reference: https://databento.com/docs/schemas/mbp-10
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from lob_backtest.book import BookMeta
from lob_backtest.errors import FormatError
from lob_backtest.io.databento_records import Records, event_rows
from lob_backtest.io.dbn import DbnFile, is_dbn, open_dbn
from lob_backtest.io.instruments import Chosen
from lob_backtest.io.ladders import FileSource, Side, integers, matrix, needed, texts
from lob_backtest.io.opening import first_rows
from lob_backtest.io.stream import Counts, ImportOptions
from lob_backtest.io.tables import Place, TextTable

_WANTED = (
    "a Databento csv of mbp-10 or mbp-1 (ts_recv or ts_event, flags, bid_px_00, ask_px_00, ...)"
)
_UNDEFINED = str(2**63 - 1)
_UNITS = 1e9  # raw prices are whole numbers of 1e-9
_LINES_LOOKED_AT = 50
# publisher_id of US equity venues and their combinations; between them stand options (OPRA) and
# futures. From Databento's list of publishers.
_US_EQUITIES = frozenset(
    [*range(2, 20), *range(38, 57), 59, 60, *range(62, 84), *range(86, 97), *range(111, 136)]
)


@dataclass(frozen=True, kw_only=True)
class CsvFile:
    """A csv file and how its columns are written.

    Attributes:
        path: the file.
        names: of its columns, each once.
        clock: ``"ts_recv"`` or ``"ts_event"``.
        clock_is_text, prices_are_raw: how times and prices are written.
        levels: how many it has.
        first_row: the fields of the first line.
    """

    path: Path
    names: tuple[str, ...]
    clock: str
    clock_is_text: bool
    prices_are_raw: bool
    levels: int
    first_row: tuple[str, ...]

    def first(self) -> tuple[str, int | None]:
        """Instrument and publisher of the first line."""
        row = dict(zip(self.names, self.first_row, strict=True))
        publisher = row.get("publisher_id", "")
        return row.get(self._name_column() or "", ""), (
            int(publisher) if publisher.isdigit() else None
        )

    def batches(self, n_levels: int, counts: Counts, chunk_rows: int) -> Iterator[Records]:
        """The lines in their order, at most ``chunk_rows`` at a time."""
        types: dict[str, pa.DataType] = {
            self.clock: pa.timestamp("ns", "UTC") if self.clock_is_text else pa.int64(),
            "flags": pa.int64(),
        }
        types |= {name: pa.int64() for name in self.names if name == "publisher_id"}
        types |= {name: pa.string() for name in [self._name_column()] if name}
        for side in ("ask", "bid"):
            types |= dict.fromkeys(_columns(side, "px", n_levels), pa.float64())
            types |= dict.fromkeys(_columns(side, "sz", n_levels), pa.float64())
        table = TextTable(
            names=self.names, types=types, wanted=_WANTED, skip_lines=1, missing=("", _UNDEFINED)
        )
        for place, batch in table.batches(self.path, counts, chunk_rows=chunk_rows):
            yield self._records(place, batch, n_levels)

    def _records(self, place: Place, batch: pa.RecordBatch, n_levels: int) -> Records:
        n, name_column = batch.num_rows, self._name_column()
        if name_column:
            column = texts(batch, name_column)
            names, which = column.dictionary.to_pylist(), column.indices.to_numpy()
        else:
            names, which = [""], np.zeros(n, dtype=np.int64)
        has_publisher = "publisher_id" in self.names
        return Records(
            place=place,
            time_ns=integers(place, batch, self.clock),
            flags=integers(place, batch, "flags"),
            publisher=integers(place, batch, "publisher_id") if has_publisher else np.zeros(n, int),
            names=np.array(names),
            which=which.astype(np.int64),
            ask=self._side(batch, "ask", n_levels),
            bid=self._side(batch, "bid", n_levels),
        )

    def _side(self, batch: pa.RecordBatch, side: str, n_levels: int) -> Side:
        price, is_missing = matrix(batch, _columns(side, "px", n_levels))
        size, _ = matrix(batch, _columns(side, "sz", n_levels))
        if self.prices_are_raw:
            price = price / _UNITS
        return Side(name=side, price=price, size=size, is_missing=is_missing)

    def _name_column(self) -> str | None:
        return next((name for name in ("symbol", "instrument_id") if name in self.names), None)


def open_databento(path: Path, options: ImportOptions) -> FileSource:
    """One instrument of an MBP-10 or MBP-1 file.

    Args:
        path: csv, also packed, or DBN.
        options: ``instrument`` is needed where the file has several. US equities are USD, a cent a
            tick and New York's 09:30 to 16:00 unless told otherwise; of anything else ``tick_size``
            and ``currency`` are needed, and the market never closes unless ``session`` is given.

    Raises:
        FormatError: options that are missing, another file; while reading, as ``event_rows``.
    """
    options.refuse("databento", "mapping")
    file: CsvFile | DbnFile = open_dbn(path) if is_dbn(path) else _open_csv(path)
    first_instrument, publisher = file.first()
    instrument = options.instrument or first_instrument
    is_us = publisher in _US_EQUITIES
    tick_size = options.tick_size or (0.01 if is_us else None)
    currency = options.currency or ("USD" if is_us else None)
    asked = [] if instrument else [("--instrument", "its symbol; the file has no column symbol")]
    asked += [] if tick_size else [("--tick-size", "the price step, e.g. 0.25")]
    asked += [] if currency else [("--currency", "of the prices, e.g. USD")]
    needed("databento", path, asked)
    assert tick_size is not None
    assert currency is not None
    clock = file.clock if isinstance(file, CsvFile) else "ts_recv"
    meta = BookMeta(
        instrument=instrument,
        tick_size=tick_size,
        currency=currency,
        timezone="America/New_York" if is_us else "UTC",
        session_open="09:30" if is_us else None,
        session_close="16:00" if is_us else None,
        source=f"Databento, {path.name}, time is {clock}",
    )
    has_names = bool(first_instrument)
    chosen = Chosen(
        path=path,
        instrument=instrument if has_names else "",
        by_user=has_names and options.instrument is not None,
    )
    counts, n_levels = Counts(size=path.stat().st_size), options.kept_levels(file.levels, path)
    return FileSource(
        source_format="databento",
        meta=options.described(meta),
        n_levels=n_levels,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: event_rows(
            file.batches(n_levels, counts, chunk_rows), chosen, counts, tick_size=tick_size
        ),
    )


def _open_csv(path: Path) -> CsvFile:
    header, *rows = first_rows(path, _WANTED, _LINES_LOOKED_AT) or [[]]
    names = _unique(header)
    levels = 0
    while {f"{side}_{what}_{levels:02}" for side in ("ask", "bid") for what in ("px", "sz")} <= set(
        names
    ):
        levels += 1
    clock = next((name for name in ("ts_recv", "ts_event") if name in names), None)
    if not levels or clock is None or "flags" not in names:
        shown = ", ".join(header[:8]) + (", ..." if len(header) > 8 else "")
        raise FormatError(f"{path}: got the columns {shown}; needs {_WANTED}")
    if not rows or len(rows[0]) != len(names):
        raise FormatError(f"{path}: no whole line of data; needs {_WANTED}; fetch the file again")
    price_columns = [names.index(name) for side in ("ask", "bid")
                     for name in _columns(side, "px", levels)]  # fmt: skip
    prices = [row[i] for row in rows if len(row) == len(names) for i in price_columns if row[i]]
    return CsvFile(
        path=path,
        names=names,
        clock=clock,
        clock_is_text=not rows[0][names.index(clock)].isdigit(),
        prices_are_raw=bool(prices) and not any("." in price for price in prices),
        levels=levels,
        first_row=tuple(rows[0]),
    )


def _columns(side: str, what: str, n_levels: int) -> list[str]:
    return [f"{side}_{what}_{level:02}" for level in range(n_levels)]


def _unique(header: Sequence[str]) -> tuple[str, ...]:
    """The names, those that came before with a number behind: exports write ts_event twice."""
    names: list[str] = []
    for name in header:
        names.append(name if name not in names else f"{name} {len(names)}")
    return tuple(names)
