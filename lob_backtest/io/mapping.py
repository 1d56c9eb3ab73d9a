"""Any csv or Parquet table of snapshots, its columns as a ``Mapping`` says.

Every line is a row of the book. Nothing is guessed: not the tick, not the unit of time, not which
level is best.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa

from lob_backtest.book import BookMeta
from lob_backtest.errors import ConfigError, FormatError
from lob_backtest.io.instruments import Chosen
from lob_backtest.io.ladders import FileSource, Side, matrix, needed, texts, to_rows
from lob_backtest.io.mapping_times import time_ns
from lob_backtest.io.mapping_yaml import SIDES, Column, Mapping, load_mapping
from lob_backtest.io.opening import first_rows, opened
from lob_backtest.io.stream import Counts, ImportOptions, Rows
from lob_backtest.io.tables import Place, TextTable, parquet_batches, parquet_file

_NUMBERED = "column {}"


def open_mapped(path: Path, options: ImportOptions) -> FileSource:
    """One instrument of a table.

    Args:
        path: csv, also packed, or Parquet.
        options: ``mapping`` is needed; what else is given goes before what the mapping says.

    Raises:
        ConfigError: a mapping that is none.
        FormatError: no mapping, columns that are not there, an instrument, tick or currency that
            neither says; while reading, a row that is not as told.
    """
    if options.mapping is None:
        needed("mapped", path, [("--mapping", "a YAML file that says what its columns mean")])
    assert options.mapping is not None
    mapping = load_mapping(options.mapping)
    _refuse_zones(mapping, options.mapping)
    instrument = options.instrument or mapping.instrument
    tick_size = options.tick_size or mapping.tick_size
    currency = options.currency or mapping.currency
    said = {"instrument": instrument, "tick-size": tick_size, "currency": currency}
    needed("mapped", path, [(f"--{name}", f"or {name.replace('-', '_')} in the mapping")
                            for name, value in said.items() if value is None])  # fmt: skip
    assert instrument is not None
    assert tick_size is not None
    assert currency is not None
    hours = mapping.hours or (None, None)
    meta = BookMeta(
        instrument=instrument,
        tick_size=tick_size,
        currency=currency,
        timezone=mapping.timezone,
        session_open=hours[0],
        session_close=hours[1],
        source=f"{path.name}, mapped by {options.mapping.name}",
    )
    table = _Table.opened(path, mapping)
    chosen = Chosen(path=path, instrument=instrument, by_user=True)
    counts, n_levels = (
        Counts(size=path.stat().st_size),
        options.kept_levels(mapping.levels.count, path),
    )
    return FileSource(
        source_format="mapped",
        meta=options.described(meta),
        n_levels=n_levels,
        files=(path.name,),
        counts=counts,
        read=lambda chunk_rows: table.rows(chosen, counts, tick_size, n_levels, chunk_rows),
    )


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A table that has the columns of a mapping.

    Attributes:
        path: the file.
        mapping: what they mean.
        text: how its lines are read; None for Parquet.
        wanted: what the file should be, for messages.
    """

    path: Path
    mapping: Mapping
    text: TextTable | None
    wanted: str

    @classmethod
    def opened(cls, path: Path, mapping: Mapping) -> "_Table":
        """Look at the columns of a file.

        Raises:
            FormatError: unreadable, or columns of the mapping that are not there.
        """
        wanted = "a csv or Parquet table with the columns of the mapping"
        with opened(path, wanted) as file:
            is_parquet = file.stream.peek(4)[:4] == b"PAR1" and file.stream is file.raw
        if is_parquet:
            with parquet_file(path, wanted) as parquet:
                there = list(parquet.schema_arrow.names)
            _refuse_missing(path, mapping, there)
            return cls(path=path, mapping=mapping, text=None, wanted=wanted)
        names = _text_columns(path, mapping, wanted)
        _refuse_missing(path, mapping, names)
        return cls(path=path, mapping=mapping, text=_text(mapping, names, wanted), wanted=wanted)

    def rows(
        self, chosen: Chosen, counts: Counts, tick_size: float, n_levels: int, chunk_rows: int
    ) -> Iterator[Rows]:
        """The rows of one instrument."""
        for place, batch in self._batches(counts, chunk_rows):
            counts.events += batch.num_rows
            if self.mapping.instrument_column is not None:
                name = _name(self.mapping.instrument_column)
                is_null = batch.column(name).is_null().to_numpy(zero_copy_only=False)
                place.refuse(is_null, f"{name} is missing")
                column = texts(batch, name)
                names = [str(value) for value in column.dictionary.to_pylist()]
                is_ours = chosen.rows(names, column.indices.to_numpy(), counts)
                place, batch = place.chosen(is_ours), batch.filter(pa.array(is_ours))
            if batch.num_rows:
                yield self._parsed(place, batch, tick_size, n_levels)
        if self.mapping.instrument_column is not None:
            chosen.check()

    def _batches(self, counts: Counts, chunk_rows: int) -> Iterator[tuple[Place, pa.RecordBatch]]:
        if self.text is not None:
            return self.text.batches(self.path, counts, chunk_rows=chunk_rows)
        columns = [_name(column) for column in self.mapping.columns()]
        return parquet_batches(self.path, columns, self.wanted, counts, chunk_rows=chunk_rows)

    def _parsed(self, place: Place, batch: pa.RecordBatch, tick_size: float, n_levels: int) -> Rows:
        time = self.mapping.time
        names = {"time": _name(time.column)}
        if time.date_column is not None:
            names["date"] = _name(time.date_column)
        ask, bid = (self._side(place, batch, side, n_levels) for side in SIDES)
        return to_rows(place, time_ns(place, batch, time, names), ask, bid, tick_size=tick_size)

    def _side(self, place: Place, batch: pa.RecordBatch, side: str, n_levels: int) -> Side:
        levels = self.mapping.levels
        prices = [_name(column) for column in levels.columns(side, "price")[:n_levels]]
        sizes = [_name(column) for column in levels.columns(side, "size")[:n_levels]]
        if self.text is None:
            batch = _as_numbers(place, batch, [*prices, *sizes])
        price, no_price = matrix(batch, prices)
        size, no_size = matrix(batch, sizes)
        if self.text is None and "" not in self.mapping.missing:
            remedy = 'where that means that there is no level, say so in the mapping: missing: [""]'
            place.refuse(no_price | no_size, f"an empty {side} price or size", remedy)
        return Side(
            name=side,
            price=price * self.mapping.price_scale,
            size=size * self.mapping.size_scale,
            is_missing=no_price,
        )


def _text(mapping: Mapping, names: list[str], wanted: str) -> TextTable:
    numbers = {
        _name(column): pa.float64()
        for side in SIDES
        for what in ("price", "size")
        for column in mapping.levels.columns(side, what)
    }
    words = {_name(column): pa.string() for column in mapping.columns()}
    header = 1 if mapping.text.header else 0
    return TextTable(
        names=names,
        types=words | numbers,
        wanted=wanted,
        delimiter=mapping.text.delimiter,
        skip_lines=mapping.text.skip_lines + header,
        missing=mapping.missing,
    )


def _text_columns(path: Path, mapping: Mapping, wanted: str) -> list[str]:
    text = mapping.text
    rows = first_rows(path, wanted, 1, skip=text.skip_lines, delimiter=text.delimiter)
    fields = next(iter(rows), [])
    if not text.header:
        return [_NUMBERED.format(i + 1) for i in range(len(fields))]
    return fields


def _refuse_missing(path: Path, mapping: Mapping, there: list[str]) -> None:
    twice = sorted({name for name in there if there.count(name) > 1} & set(_names(mapping)))
    if twice:
        raise FormatError(f"{path}: {', '.join(twice)} stand more than once in the header")
    problems = []
    for name in _names(mapping):
        if name not in there:
            near = get_close_matches(name, there, n=1)
            problems.append(name + (f" (did you mean {near[0]}?)" if near else ""))
    if problems:
        shown = ", ".join(there[:12]) + (f", ... ({len(there)})" if len(there) > 12 else "")
        raise FormatError(
            f"{path}: no column {', '.join(problems)}; the file has {shown}; "
            "needs the columns that the mapping names"
        )


def _names(mapping: Mapping) -> list[str]:
    return [_name(column) for column in mapping.columns()]


def _name(column: Column) -> str:
    return _NUMBERED.format(column) if isinstance(column, int) else column


def _as_numbers(place: Place, batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    """These columns of a Parquet file as float64, whatever they are stored as."""
    columns = []
    for name in names:
        column = batch.column(name)
        try:
            columns.append(column.cast(pa.float64()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            is_bad = [value.is_valid and not _is_number(value) for value in column]
            place.refuse(np.array(is_bad), f"{name} is no number")
            raise
    return pa.record_batch(columns, names=names)


def _is_number(value: pa.Scalar) -> bool:
    try:
        value.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _refuse_zones(mapping: Mapping, path: Path) -> None:
    for key, zone in (("timezone", mapping.timezone), ("time.timezone", mapping.time.timezone)):
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(
                f"{path}: {key}: got {zone!r}; needs an IANA name such as America/New_York or UTC"
            ) from error
