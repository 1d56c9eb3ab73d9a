"""From sources to a book: in memory, or through to a Parquet file of any size."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

from lob_backtest.book import Book
from lob_backtest.errors import FormatError
from lob_backtest.io.cleaning import Cleaning, clean
from lob_backtest.io.joining import joined_meta, refuse_overlap
from lob_backtest.io.report import ImportReport, report_of
from lob_backtest.io.stream import ImportOptions, Source
from lob_backtest.io.writing import BookWriter, book_of, joined, writing_book
from lob_backtest.progress import progress

_BYTES_PER_STEP = 10**6
_ROWS_PER_STEP = 1000


def write_sources(
    sources: Sequence[Source], output: Path | str, options: ImportOptions, *, show: bool
) -> ImportReport:
    """Stream sources into one book file.

    Args:
        sources: alike, in time order, not read yet.
        output: the Parquet file; it appears when everything went well.
        options: ``memory_mb`` bounds the chunks.
        show: whether to show how far the work is.

    Raises:
        FormatError: sources that overlap in time or of which no row is left, or what a reader or
            the cleaning refuses.
    """
    meta, n_levels = joined_meta(sources), sources[0].n_levels
    cleanings = [Cleaning() for _ in sources]
    with writing_book(output, meta=meta, n_levels=n_levels) as writer:
        chunks = _write_chunks(sources, cleanings, writer, options.chunk_rows(n_levels))
        for _ in _shown(chunks, sources, cleanings) if show else chunks:
            pass
    return report_of(sources, cleanings)


def read_source(
    source: Source, *, options: ImportOptions | None = None
) -> tuple[Book, ImportReport]:
    """One source, not read yet, as a book in memory."""
    cleaning = Cleaning()
    chunk_rows = (options or ImportOptions()).chunk_rows(source.n_levels)
    chunks = list(clean(source, cleaning, chunk_rows=chunk_rows))
    _refuse_nothing(source, cleaning)
    return book_of(joined(chunks), source.meta), report_of([source], [cleaning])


def _write_chunks(
    sources: Sequence[Source], cleanings: Sequence[Cleaning], writer: BookWriter, chunk_rows: int
) -> Iterator[None]:
    """Write everything, yielding after each chunk."""
    before: Source | None = None
    for source, cleaning in zip(sources, cleanings, strict=True):
        for rows in clean(source, cleaning, chunk_rows=chunk_rows):
            if before is not None and cleaning.n_kept == rows.n:  # the first chunk
                assert writer.last_ns is not None
                refuse_overlap(before, writer.last_ns, source, int(rows.time_ns[0]))
            writer.append(rows)
            yield
        _refuse_nothing(source, cleaning)
        before = source


def _shown(
    chunks: Iterator[None], sources: Sequence[Source], cleanings: Sequence[Cleaning]
) -> Iterator[None]:
    """Show how far the work behind the chunks is: by bytes where every reader knows them."""
    size = sum(source.counts.size for source in sources)
    if all(source.counts.size for source in sources):
        total, unit = -(-size // _BYTES_PER_STEP), "MB"
        steps = _steps(
            chunks, lambda: sum(source.counts.done for source in sources) // _BYTES_PER_STEP, total
        )
        return progress(steps, label="importing", total=total, unit=unit)
    steps = _steps(chunks, lambda: sum(c.n_read for c in cleanings) // _ROWS_PER_STEP, 0)
    return progress(steps, label="importing", unit=f"x {_ROWS_PER_STEP} rows")


def _steps(chunks: Iterator[None], done: Callable[[], int], total: int) -> Iterator[None]:
    """One item for each unit of the work that is done."""
    told = 0
    for _ in chunks:
        yield from repeat(None, done() - told)
        told = max(told, done())
    yield from repeat(None, max(total, done()) - told)


def _refuse_nothing(source: Source, cleaning: Cleaning) -> None:
    if cleaning.n_kept == 0:
        dropped = source.counts.rows_dropped | cleaning.n_dropped
        why = ", ".join(f"{reason} {n:,}" for reason, n in dropped.items() if n)
        raise FormatError(
            f"{source.files[0]}: no row is left of {source.counts.events:,} events "
            f"({why or 'none has a book'}); check the session's hours, the time zone and the "
            "columns, or leave the file out"
        )
