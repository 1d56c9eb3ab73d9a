"""The book table on disk: Parquet, written and read some rows at a time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lob_backtest.book.mapped import empty_mapped
from lob_backtest.book.meta import BookMeta
from lob_backtest.book.rows import Book
from lob_backtest.errors import FormatError
from lob_backtest.files import atomic_path
from lob_backtest.strict_yaml import shown

_META_KEY = b"lob_backtest.book"
_ROW_GROUP_BYTES = 2**23  # of numbers, before compression: what a writer holds at once
_ROWS_AT_ONCE = 4096  # few enough for the processor's cache


def book_columns(n_levels: int) -> list[str]:
    """The column names of the book table, in contract order."""
    names = ["time_ns"]
    for level in range(1, n_levels + 1):
        names += [f"{side}_{what}_{level}" for side in ("ask", "bid") for what in ("price", "size")]
    return names


def row_group_rows(n_levels: int) -> int:
    """Rows of a Parquet row group: a part of a book that always fits into memory."""
    return max(1, _ROW_GROUP_BYTES // (8 * (1 + 4 * n_levels)))


@contextmanager
def book_writer(path: Path, meta: BookMeta, n_levels: int) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer for ``book_table`` of books with this metadata."""
    schema = book_table_schema(meta, n_levels)
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        yield writer


def book_table_schema(meta: BookMeta, n_levels: int) -> pa.Schema:
    """Columns, types and metadata of the book table."""
    typed = [(name, _type_of(name)) for name in book_columns(n_levels)]
    return pa.schema(typed, metadata={_META_KEY: json.dumps(asdict(meta)).encode()})


def book_table(book: Book) -> pa.Table:
    """The rows as an Arrow table (a copy)."""
    columns: list[npt.NDArray[Any]] = [book.time_ns]
    for level in range(book.n_levels):
        for side in (book.ask_ticks, book.ask_size, book.bid_ticks, book.bid_size):
            columns.append(np.ascontiguousarray(side[:, level]))
    return pa.table(columns, schema=book_table_schema(book.meta, book.n_levels))


def write_book(book: Book, path: Path | str) -> None:
    """Write the book table as Parquet, whole or not at all."""
    step = row_group_rows(book.n_levels)
    with (
        atomic_path(path) as partial,
        book_writer(partial, book.meta, book.n_levels) as writer,
    ):
        for start in range(0, book.n_rows, step):
            writer.write_table(book_table(book.rows(start, start + step)), row_group_size=step)


def read_book(path: Path | str, *, mapped: bool = False) -> Book:
    """Read a book table that ``write_book`` or an equal writer made.

    Args:
        path: the table.
        mapped: keep the rows, and what follows from each of them, in files without a name that the
            system reads from the disk as they are looked at, so that a book may be larger than
            memory. They take ``8 (4 L + 1)`` bytes a row in TMPDIR, or in /var/tmp without one.
            Every value is the same either way.

    Raises:
        FormatError: no such file, no Parquet, columns or metadata missing or in another order.
        BookError: the rows are no order book.
        LobBacktestError: the disk has no room for the rows.
    """
    file = BookFile(path)
    empty = empty_mapped if mapped else np.empty
    shape = (file.n_rows, file.n_levels)
    time_ns = empty(file.n_rows, np.int64)
    ask_ticks, bid_ticks = empty(shape, np.int64), empty(shape, np.int64)
    ask_size, bid_size = empty(shape, np.float64), empty(shape, np.float64)
    start = 0
    for columns in file.batches(_ROWS_AT_ONCE):
        rows = slice(start, start + columns[0].shape[0])
        time_ns[rows] = columns[0]
        for level in range(file.n_levels):
            ask_ticks[rows, level], ask_size[rows, level] = columns[1 + 4 * level : 3 + 4 * level]
            bid_ticks[rows, level], bid_size[rows, level] = columns[3 + 4 * level : 5 + 4 * level]
        start = rows.stop
    pa.default_memory_pool().release_unused()  # what decoding took
    return Book(
        meta=file.meta,
        time_ns=time_ns,
        ask_ticks=ask_ticks,
        ask_size=ask_size,
        bid_ticks=bid_ticks,
        bid_size=bid_size,
    )


class BookFile:
    """A book table on disk: what it is of at once, its rows batch by batch.

    Raises:
        FormatError: no such file, no Parquet, columns or metadata missing or in another order.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self._opened() as file, self._explained():
            schema, names = file.schema_arrow, file.schema_arrow.names
            written = file.metadata.metadata or {}
            self.n_rows = int(file.metadata.num_rows)
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self.n_levels = _levels_of(schema, names, self.path)
        self.meta = _meta_of(schema, self.path)
        self._refuse_other_meta(schema, written)
        self._refuse_other_length(sum(groups), least=min(groups, default=0))

    def batches(
        self, batch_rows: int, *, levels: int | None = None
    ) -> Iterator[list[npt.NDArray[Any]]]:
        """The columns in contract order (of the best ``levels``), some rows at a time."""
        names = book_columns(self.n_levels if levels is None else levels)
        n_read = 0
        with self._opened() as file:
            batches = file.iter_batches(batch_size=batch_rows, columns=names, use_threads=False)
            while True:
                with self._explained():
                    batch = next(batches, None)
                if batch is None:
                    return self._refuse_other_length(n_read)
                n_read += batch.num_rows
                if n_read > self.n_rows:
                    self._refuse_other_length(n_read)
                yield [_column(batch, name, self.path) for name in names]

    def _refuse_other_length(self, n_rows: int, *, least: int = 0) -> None:
        if n_rows != self.n_rows or least < 0:
            raise FormatError(
                f"{self.path}: {n_rows} rows where the file says that it has {self.n_rows}; it is "
                "damaged: make the book table again with: lob-backtest import"
            )

    def _refuse_other_meta(self, schema: pa.Schema, written: dict[bytes, bytes]) -> None:
        """The file has its metadata twice, and no checksum over either."""
        if written.get(_META_KEY) != (schema.metadata or {}).get(_META_KEY):
            raise FormatError(
                f"{self.path}: the file contradicts itself about its instrument, tick size or "
                "session; it is damaged: make the book table again with: lob-backtest import"
            )

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        path = self.path
        if not path.is_file():
            raise FormatError(
                f"{path}: no such file; make it with: lob-backtest import or synthetic"
            )
        if path.stat().st_size == 0:
            raise FormatError(
                f"{path}: the file is empty; make a book table with: lob-backtest import"
            )
        with self._explained():
            # Buffering ahead would hold the file's columns in memory for nothing.
            file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        with file:
            yield file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise FormatError(
                f"{self.path}: not a Parquet file, or a damaged one ({reason}); make a book table "
                "with: lob-backtest import"
            ) from error


def _levels_of(schema: pa.Schema, names: list[str], path: Path) -> int:
    n_levels = (len(names) - 1) // 4
    if n_levels < 1 or names != book_columns(n_levels):
        raise FormatError(
            f"{path}: got the columns {_shorten(names)}; a book table has "
            f"{_shorten(book_columns(max(n_levels, 1)))} in this order; "
            "make one with: lob-backtest import FORMAT FILE -o BOOK"
        )
    for name in names:
        if schema.field(name).type != _type_of(name):
            raise FormatError(
                f"{path}: column {name} is {schema.field(name).type}; needs {_type_of(name)}"
            )
    return n_levels


def _meta_of(schema: pa.Schema, path: Path) -> BookMeta:
    raw = (schema.metadata or {}).get(_META_KEY)
    if raw is None:
        raise FormatError(
            f"{path}: no book metadata (instrument, tick_size, ...) in the Parquet file; "
            "make it with: lob-backtest import FORMAT FILE -o BOOK"
        )
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: the book metadata are no JSON ({error}); import it anew"
        ) from error
    known = {field.name for field in fields(BookMeta)}
    if not isinstance(values, dict) or set(values) != known:
        got = sorted(values) if isinstance(values, dict) else values
        raise FormatError(f"{path}: book metadata has {shown(got)}; needs {sorted(known)}")
    for name, value in values.items():
        may_be_none = name.startswith("session_") and value is None
        wanted = (int, float) if name == "tick_size" else str
        if not may_be_none and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise FormatError(
                f"{path}: book metadata has {name}={shown(value)}; import the book anew"
            )
    return BookMeta(**values)


def _type_of(name: str) -> pa.DataType:
    return pa.float64() if "size" in name else pa.int64()


def _column(batch: pa.RecordBatch, name: str, path: Path) -> npt.NDArray[Any]:
    column = batch.column(name)
    if column.null_count:
        raise FormatError(f"{path}: {column.null_count} empty values in {name}; a book has none")
    values: npt.NDArray[Any] = column.to_numpy()
    return values


def _shorten(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown + (f", ... ({len(names)} in all)" if len(names) > 6 else "")
