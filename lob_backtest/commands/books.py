"""Commands that make a book: import, synthetic."""

import argparse

from lob_backtest.book import write_book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show
from lob_backtest.errors import FormatError
from lob_backtest.io import ImportOptions, import_book
from lob_backtest.synthetic import synthetic_book


def import_files(arguments: argparse.Namespace) -> int:
    """Stream files of one format into a book, and tell what was left out."""
    names = ("levels", "instrument", "tick_size", "currency", "timezone", "mapping", "memory_mb")
    options = ImportOptions(
        session=_session(arguments.session), **{name: getattr(arguments, name) for name in names}
    )
    report = import_book(arguments.format, arguments.files, arguments.output, options=options)
    text = f"{report.as_text()}\n\nwritten to {arguments.output}"
    show({**report.as_dict(), "book": str(arguments.output)}, text, as_json=arguments.json)
    return EXIT_DONE


def _session(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    session_open, dash, session_close = text.partition("-")
    if not dash:
        raise FormatError(f"--session {text}: needs local times as 09:30-16:00")
    return session_open, session_close


def synthetic(arguments: argparse.Namespace) -> int:
    """Make a synthetic book from its seed."""
    recipe = {name: getattr(arguments, name)
              for name in ("days", "rows_per_day", "levels", "signal", "seed")}  # fmt: skip
    book = synthetic_book(**recipe)
    write_book(book, arguments.output)
    text = f"{book.n_rows:,} rows of {book.n_levels} levels written to {arguments.output}"
    show({**recipe, "rows": book.n_rows, "book": str(arguments.output)}, text,
         as_json=arguments.json)  # fmt: skip
    return EXIT_DONE
