"""The sections that say what was judged and how: data, trading rules, annualisation."""

from typing import Any

import numpy as np

from lob_backtest.book import Book
from lob_backtest.config import BacktestConfig
from lob_backtest.contenders import MODEL
from lob_backtest.orders import Orders
from lob_backtest.predictions import Predictions
from lob_backtest.strict_yaml import as_dict
from lob_backtest.trading import Traded

_MOST_SESSIONS = 1000


def data_section(book: Book, test: Predictions) -> dict[str, Any]:
    """What was judged on: instrument, units, time range, and how many decisions had no label."""
    return {
        "instrument": book.meta.instrument,
        "source": book.meta.source,
        "currency": book.meta.currency,
        "tick_size": book.meta.tick_size,
        "timezone": book.meta.timezone,
        "levels": book.n_levels,
        "rows": book.n_rows,
        "sessions": book.session_starts.size - 1,
        "session_spans_ns": _session_spans(book),
        "start_ns": int(book.time_ns[0]),
        "end_ns": int(book.time_ns[-1]),
        "decisions": test.n,
        "unlabelled": int((~test.is_labelled).sum()),
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
    own = traded.accounts[MODEL]
    return {
        **{key: value for key, value in as_dict(config).items() if key != "signal"},
        **signal,
        "capital": traded.capital,
        "bars": int(own.bar_end_ns.size),
        "orders": traded.orders[MODEL].n,
        "orders_above_touch": _orders_above_touch(book, traded.orders[MODEL]),
        "forced_orders": int(traded.orders[MODEL].forced.sum()),
        "is_bankrupt": own.is_bankrupt,
        "trades_are": "A trade is a round trip: from flat to flat, or to the opposite side.",
    }


def _orders_above_touch(book: Book, orders: Orders) -> int:
    """Orders larger than the size at the touch that they trade at: their price flatters."""
    touch = np.where(orders.size > 0, book.ask_size[orders.row, 0], book.bid_size[orders.row, 0])
    return int((np.abs(orders.size) > touch).sum())


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
