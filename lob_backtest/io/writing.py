"""Writing a book that does not fit in memory: chunk by chunk, whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from lob_backtest.book import Book, BookMeta, book_table, book_writer, row_group_rows
from lob_backtest.errors import BookError
from lob_backtest.files import atomic_path
from lob_backtest.io.stream import Rows


@contextmanager
def writing_book(path: Path | str, *, meta: BookMeta, n_levels: int) -> Iterator["BookWriter"]:
    """Write the file that ``write_book`` would write of all rows together, byte for byte.

        with writing_book(path, meta=meta, n_levels=10) as writer:
            writer.append(rows)

    The file appears under its name when the block ends, and not at all when it fails.

    Raises:
        BookError: rows that are no book, go back in time, or none at all.
    """
    with atomic_path(path) as partial, book_writer(partial, meta, n_levels) as parquet:
        writer = BookWriter(parquet, meta=meta, n_levels=n_levels)
        yield writer
        writer.finish()


class BookWriter:
    """Cuts chunks of any size into the row groups of a book file, checking them as ``Book`` does.

    At most one chunk and one row group wait in memory.
    """

    def __init__(self, parquet: pq.ParquetWriter, *, meta: BookMeta, n_levels: int) -> None:
        self.meta = meta
        self.n_rows = 0
        self.last_ns: int | None = None
        self._parquet = parquet
        self._group = row_group_rows(n_levels)
        self._waiting: list[Rows] = []
        self._n_waiting = 0

    def append(self, rows: Rows) -> None:
        """Add rows that follow those before in time."""
        if rows.n == 0:
            return
        if self.last_ns is not None and rows.time_ns[0] < self.last_ns:
            raise BookError(
                f"{self.meta.instrument}: time_ns goes back in time from {self.last_ns} to "
                f"{rows.time_ns[0]} in row {self.n_rows}; give the rows in time order"
            )
        self.last_ns = int(rows.time_ns[-1])
        self.n_rows += rows.n
        self._n_waiting += rows.n
        self._waiting.append(rows)
        if self._n_waiting >= self._group:
            self._write(keep_rest=True)

    def finish(self) -> None:
        """Write what waits."""
        if self.n_rows == 0:
            raise BookError(f"{self.meta.source}: no row is left; a book needs at least one")
        if self._n_waiting:
            self._write(keep_rest=False)

    def _write(self, *, keep_rest: bool) -> None:
        rows = joined(self._waiting)
        stop = rows.n - rows.n % self._group if keep_rest else rows.n
        for start in range(0, stop, self._group):
            part = rows.chosen(slice(start, min(start + self._group, stop)))
            table = book_table(book_of(part, self.meta))
            self._parquet.write_table(table, row_group_size=self._group)
        self._waiting = [rows.chosen(slice(stop, None))] if stop < rows.n else []
        self._n_waiting = rows.n - stop


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows that follow each other as one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        time_ns=np.concatenate([part.time_ns for part in parts]),
        ask_ticks=np.concatenate([part.ask_ticks for part in parts]),
        ask_size=np.concatenate([part.ask_size for part in parts]),
        bid_ticks=np.concatenate([part.bid_ticks for part in parts]),
        bid_size=np.concatenate([part.bid_size for part in parts]),
    )


def book_of(rows: Rows, meta: BookMeta) -> Book:
    """The rows as a book, checked."""
    return Book(
        meta=meta,
        time_ns=rows.time_ns,
        ask_ticks=rows.ask_ticks,
        ask_size=rows.ask_size,
        bid_ticks=rows.bid_ticks,
        bid_size=rows.bid_size,
    )
