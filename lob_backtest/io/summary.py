"""What a book is like, in a few figures."""

from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import Book

_QUANTILES = (0.0, 0.5, 0.9, 0.99, 1.0)


def inspect_book(book: Book) -> dict[str, Any]:
    """Figures about a book, JSON-able.

    ``mid_moves_share`` is the share of rows whose mid differs from the row before in the same
    session: it says how many events a horizon needs so that not nearly every label is flat.
    ``events_per_second`` is rows over the time that the sessions' rows span.
    """
    starts = book.session_starts
    first, last = starts[:-1], starts[1:] - 1
    seconds = float((book.time_ns[last] - book.time_ns[first]).sum()) / 1e9
    moved = np.diff(book.mid_ticks) != 0
    moved[first[1:] - 1] = False  # from one session to the next
    within = max(book.n_rows - first.shape[0], 1)
    spread = np.quantile(book.spread_ticks, _QUANTILES)
    return {
        "instrument": book.meta.instrument,
        "source": book.meta.source,
        "currency": book.meta.currency,
        "tick_size": book.meta.tick_size,
        "rows": book.n_rows,
        "levels": book.n_levels,
        "sessions": [
            {"session": i, "start": _utc(book.time_ns[a]), "end": _utc(book.time_ns[b]),
             "rows": int(b - a + 1)}
            for i, (a, b) in enumerate(zip(first, last, strict=True))
        ],
        "mid_price": {
            "first": float(book.mid_ticks[0]) * book.meta.tick_size,
            "last": float(book.mid_ticks[-1]) * book.meta.tick_size,
        },
        "spread_ticks": {
            f"p{share * 100:g}": float(ticks)
            for share, ticks in zip(_QUANTILES, spread, strict=True)
        },
        "mid_moves_share": float(moved.sum()) / within,
        "events_per_second": book.n_rows / seconds if seconds > 0 else None,
        "repeated_instants_share": 1.0 - float(book.is_last_of_instant.mean()),
        "mean_depth": {
            "ask_touch": float(book.ask_size[:, 0].mean()),
            "bid_touch": float(book.bid_size[:, 0].mean()),
            "ask_all_levels": float(book.ask_size.sum(axis=1).mean()),
            "bid_all_levels": float(book.bid_size.sum(axis=1).mean()),
        },
        "missing_levels_share": float(np.mean([book.ask_size == 0, book.bid_size == 0])),
    }  # fmt: skip


def _utc(time_ns: np.int64) -> str:
    return pd.Timestamp(int(time_ns), unit="ns", tz="UTC").isoformat()
