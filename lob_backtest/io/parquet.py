"""Book tables of our own, read again: to check one, join several, or keep fewer levels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lob_backtest.book import Book, BookFile
from lob_backtest.io.importing import read_source
from lob_backtest.io.report import ImportReport
from lob_backtest.io.stream import Counts, ImportOptions, Rows


def open_parquet(path: Path, options: ImportOptions) -> "BookTable":
    """A book table.

    Raises:
        FormatError: no such file, no Parquet, or no book table.
    """
    options.refuse("parquet", "tick_size", "mapping")
    return BookTable(path, options)


def read_parquet(path: Path | str, *, levels: int | None = None) -> tuple[Book, ImportReport]:
    """A book table in memory, cleaned and checked; ``levels`` keeps the best ones only."""
    return read_source(open_parquet(Path(path), ImportOptions(levels=levels)))


class BookTable:
    """A book table, some rows at a time."""

    source_format = "parquet"

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self._file = BookFile(path)
        self.n_levels = options.kept_levels(self._file.n_levels, path)
        self.meta = options.described(self._file.meta)
        self.files = (path.name,)
        self.counts = Counts()

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        """The rows as they stand in the file."""
        for time_ns, *columns in self._file.batches(chunk_rows, levels=self.n_levels):
            ask, ask_size, bid, bid_size = (columns[first::4] for first in range(4))
            self.counts.events += time_ns.shape[0]
            yield Rows(
                time_ns=time_ns,
                ask_ticks=np.column_stack(ask),
                ask_size=np.column_stack(ask_size),
                bid_ticks=np.column_stack(bid),
                bid_size=np.column_stack(bid_size),
            )
