"""Sources from rows in memory, and imports cut into chunks of a given size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lob_backtest.book import BookMeta
from lob_backtest.io import Counts, ImportOptions, ImportReport, Rows, open_source
from lob_backtest.io.importing import write_sources
from lob_backtest.io.joining import in_time_order
from tests.lob_backtest.books import META_ALWAYS_OPEN

# time, asks and bids as (ticks, size), best first
Snapshot = tuple[int, Sequence[tuple[int, float]], Sequence[tuple[int, float]]]


def rows_of(snapshots: Sequence[Snapshot], n_levels: int) -> Rows:
    sides = [
        np.array([snapshot[side] for snapshot in snapshots], dtype=np.float64).reshape(
            len(snapshots), n_levels, 2
        )
        for side in (1, 2)
    ]
    (ask, ask_size), (bid, bid_size) = ((side[:, :, 0], side[:, :, 1]) for side in sides)
    return Rows(
        time_ns=np.array([snapshot[0] for snapshot in snapshots], dtype=np.int64),
        ask_ticks=ask.astype(np.int64),
        ask_size=ask_size,
        bid_ticks=bid.astype(np.int64),
        bid_size=bid_size,
    )


@dataclass(kw_only=True)
class RowsSource:
    """Snapshots as if they had been read from a file."""

    snapshots: Sequence[Snapshot]
    n_levels: int
    meta: BookMeta = META_ALWAYS_OPEN
    source_format: str = "made"
    files: tuple[str, ...] = ("made.csv",)
    counts: Counts = field(default_factory=Counts)

    def rows(self, *, chunk_rows: int) -> Iterator[Rows]:
        for start in range(0, len(self.snapshots), chunk_rows):
            chunk = self.snapshots[start : start + chunk_rows]
            self.counts.events += len(chunk)
            yield rows_of(chunk, self.n_levels)


@dataclass(frozen=True, kw_only=True)
class Chunked(ImportOptions):
    """Options that say themselves how many rows a chunk has."""

    n_rows: int

    def chunk_rows(self, n_levels: int) -> int:
        return self.n_rows


def import_chunked(
    name: str, paths: list[Path], out: Path, n_rows: int, *, levels: int | None = None
) -> ImportReport:
    """``import_book`` with chunks of ``n_rows`` rows."""
    options = Chunked(n_rows=n_rows, levels=levels)
    sources = in_time_order(open_source(name), paths, options)
    return write_sources(sources, out, options, show=False)
