"""Several files of one instrument as one book: their order, and that they fit together."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

from lob_backtest.book import BookMeta
from lob_backtest.errors import FormatError
from lob_backtest.io.stream import ImportOptions, Source

OpenSource = Callable[[Path, ImportOptions], Source]
_FIRST_ROWS = 1000


def in_time_order(
    open_source: OpenSource, paths: Sequence[Path], options: ImportOptions
) -> list[Source]:
    """One source a file, the earliest first, in whatever order they are given.

    Raises:
        FormatError: no file, another instrument, tick or session, another number of levels, or a
            file without a row.
    """
    if not paths:
        raise FormatError("got no file; name at least one")
    sources = [open_source(path, options) for path in paths]
    for before, after in pairwise(sources):
        _refuse_unlike(before, after)
    if len(sources) == 1:
        return sources
    firsts = [_first_ns(open_source(path, options)) for path in paths]
    order = sorted(range(len(paths)), key=lambda i: (firsts[i], sources[i].files))
    return [sources[i] for i in order]


def joined_meta(sources: Sequence[Source]) -> BookMeta:
    """The first one's, with the sources of all."""
    source = "; ".join(source.meta.source for source in sources)
    return replace(sources[0].meta, source=source)


def refuse_overlap(before: Source, last_ns: int, after: Source, first_ns: int) -> None:
    """Raise where a file begins before the one before it has ended."""
    if first_ns <= last_ns:
        raise FormatError(
            f"{before.meta.source} and {after.meta.source} overlap in time; give each day once"
        )


def _refuse_unlike(a: Source, b: Source) -> None:
    ours, theirs = asdict(a.meta), asdict(b.meta)
    differing = [
        f"{name} {ours[name]!r} and {theirs[name]!r}"
        for name in ours
        if name != "source" and ours[name] != theirs[name]
    ]
    if differing:
        raise FormatError(
            f"cannot join {a.meta.source} and {b.meta.source}: {', '.join(differing)}; needs one "
            "instrument with the same tick and session: import them into books of their own, or "
            "say what they share with --instrument, --tick-size, --currency, --timezone, --session"
        )
    if b.n_levels != a.n_levels:
        raise FormatError(
            f"cannot join {a.n_levels} levels ({a.meta.source}) and {b.n_levels} "
            f"({b.meta.source}); ask for the smaller number with "
            f"--levels {min(a.n_levels, b.n_levels)}"
        )


def _first_ns(source: Source) -> int:
    """The time of a source's first row; the source is used up."""
    rows = source.rows(chunk_rows=_FIRST_ROWS)
    first = next((chunk for chunk in rows if chunk.n), None)
    if isinstance(rows, Generator):
        rows.close()  # the file too, at once
    if first is None:
        raise FormatError(f"{source.files[0]}: no rows in it; leave it out, or fetch it again")
    return int(first.time_ns[0])
