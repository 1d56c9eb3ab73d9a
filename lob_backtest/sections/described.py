"""The sections that say what was judged and how: data, trading rules, annualisation."""

from collections.abc import Sequence
from typing import Any

from lob_backtest.book import Book
from lob_backtest.config import BacktestConfig
from lob_backtest.contenders import MODEL
from lob_backtest.predictions import Predictions
from lob_backtest.strict_yaml import as_dict
from lob_backtest.trading import Traded
from lob_backtest.venues import outside_validity

_MOST_SESSIONS = 1000


def data_section(books: Sequence[Book], test: Predictions) -> dict[str, Any]:
    """What was judged on: instrument, units, time range, and how many decisions had no label.

    Of several instruments, currency, time zone and sessions are common; ``levels`` and
    ``tick_size`` are the first one's, and ``books`` has those of each.
    """
    each = [_book(book) for book in books]
    longest = max(books, key=lambda book: book.session_starts.size)
    return {
        **each[0],
        "instrument": test.instrument,
        "source": "; ".join(book["source"] for book in each),
        "currency": books[0].meta.currency,
        "timezone": books[0].meta.timezone,
        "rows": sum(book["rows"] for book in each),
        "sessions": longest.session_starts.size - 1,
        "session_spans_ns": _session_spans(longest),
        "start_ns": min(book["start_ns"] for book in each),
        "end_ns": max(book["end_ns"] for book in each),
        "decisions": test.n,
        "unlabelled": int((~test.is_labelled).sum()),
        "books": each if len(each) > 1 else None,
    }


def _book(book: Book) -> dict[str, Any]:
    return {
        "instrument": book.meta.instrument,
        "source": book.meta.source,
        "tick_size": book.meta.tick_size,
        "levels": book.n_levels,
        "rows": book.n_rows,
        "start_ns": int(book.time_ns[0]),
        "end_ns": int(book.time_ns[-1]),
    }


def _session_spans(book: Book) -> list[list[int]] | None:
    """First and last instant of each session, so that a drawing can leave out the nights."""
    starts = book.session_starts
    if starts.size - 1 > _MOST_SESSIONS:
        return None
    first, last = book.time_ns[starts[:-1]], book.time_ns[starts[1:] - 1]
    return [[int(a), int(b)] for a, b in zip(first, last, strict=True)]


def backtest_section(
    book: Book, config: BacktestConfig | None, traded: Traded | None
) -> dict[str, Any] | None:
    """The trading rules as configured, the capital, and how many orders a block's end forced."""
    if config is None or traded is None:
        return None
    signal = as_dict(config.signal)
    own, orders = traded.accounts[MODEL], traded.orders[MODEL]
    return {
        **{key: value for key, value in as_dict(config).items() if key != "signal"},
        **signal,
        "capital": traded.capital,
        "bars": int(own.bar_end_ns.size),
        "orders": orders.n,
        "orders_above_touch": int(orders.above_touch.sum()),
        "orders_beyond_book": int(orders.beyond_book.sum()),
        "maker_orders": int(orders.is_maker.sum()),
        "forced_orders": int(orders.forced.sum()),
        "is_bankrupt": own.is_bankrupt,
        "presets_validity": outside_validity(config.costs, book),
        "trades_are": "A trade is a round trip: from flat to flat, or to the opposite side.",
    }


def annualisation_section(book: Book, traded: Traded | None) -> dict[str, Any] | None:
    """How many bars a year the Sharpe ratio assumes, as a number and in words."""
    if traded is None:
        return None
    meta = book.meta
    days = (
        "365 days of 24 h"
        if meta.session_open is None
        else f"252 sessions from {meta.session_open} to {meta.session_close}"
    )
    return {
        "periods_per_year": traded.periods_per_year,
        "words": f"{days}, in bars of {traded.bar_ns / 1e9:g} s",
    }
