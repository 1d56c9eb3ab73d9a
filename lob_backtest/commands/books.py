"""Commands that make a book: import, synthetic."""

import argparse

from lob_backtest.book import write_book
from lob_backtest.command_line import EXIT_DONE
from lob_backtest.commands.tables import show
from lob_backtest.io import import_book
from lob_backtest.synthetic import synthetic_book


def import_files(arguments: argparse.Namespace) -> int:
    """Read files of one format, write the book, and tell what was left out."""
    book, report = import_book(arguments.format, arguments.files, levels=arguments.levels)
    write_book(book, arguments.output)
    text = f"{report.as_text()}\n\nwritten to {arguments.output}"
    show({**report.as_dict(), "book": str(arguments.output)}, text, as_json=arguments.json)
    return EXIT_DONE


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
