"""What several commands are asked in the same words: which book, and which baselines."""

import argparse

from lob_backtest.baselines import BASELINES
from lob_backtest.book import Book, read_book
from lob_backtest.config import JudgeConfig, SyntheticConfig
from lob_backtest.errors import ConfigError
from lob_backtest.open_book import open_book

BookSource = str | SyntheticConfig


def book_of(arguments: argparse.Namespace, config: JudgeConfig) -> Book:
    """The book of ``--book``, otherwise the config's."""
    return open_book(config.data.book) if arguments.book is None else read_book(arguments.book)


def books_of(arguments: argparse.Namespace, config: JudgeConfig) -> list[tuple[BookSource, Book]]:
    """Every book of ``--book A --book B``, with where it came from; otherwise the config's.

    Raises:
        ConfigError: two books of one instrument.
    """
    if not arguments.book:
        return [(config.data.book, open_book(config.data.book))]
    books: list[tuple[BookSource, Book]] = [(str(path), read_book(path)) for path in arguments.book]
    names = [book.meta.instrument for _, book in books]
    if len(set(names)) < len(names):
        raise ConfigError(f"--book: got books of {', '.join(names)}; needs one an instrument")
    return books


def baseline_names(text: str | None) -> list[str]:
    """The names in ``--baselines a,b``, each once; all where it was not given.

    Raises:
        ConfigError: a name that is none of the baselines, or no name at all.
    """
    if text is None:
        return list(BASELINES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown or not names:
        raise ConfigError(
            f"--baselines {text}: {', '.join(unknown) or 'nothing'} is none of the baselines "
            f"{', '.join(BASELINES)}; name some of them, with commas between"
        )
    return list(dict.fromkeys(names))
