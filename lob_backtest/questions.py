"""When a config asks a model, and about what: the decisions, and the moves after them."""

import numpy as np

from lob_backtest.book import Book, FloatArray
from lob_backtest.config import BacktestConfig, DecisionsConfig, LabelConfig
from lob_backtest.decisions import (
    Decisions,
    decide_every_events,
    decide_every_ns,
    decide_on_mid_change,
)
from lob_backtest.labels import Moves, mid_moves, smoothed_moves

NS_PER_MS = 1_000_000


def decisions_of(book: Book, config: DecisionsConfig, *, window: int) -> Decisions:
    """The decisions that a config asks for."""
    if config.every_ms is not None:
        return decide_every_ns(book, step_ns=round(config.every_ms * NS_PER_MS), window=window)
    if config.every_events is not None:
        return decide_every_events(book, step_events=config.every_events, window=window)
    return decide_on_mid_change(book, window=window)


def moves_of(
    book: Book,
    decisions: Decisions,
    config: LabelConfig,
    backtest: BacktestConfig | None = None,
) -> Moves:
    """The moves that a config's labels are cut from; ``executable`` ones are after these costs."""
    horizon_ns, horizon_events = horizon_ns_of(config), config.horizon_events
    if config.kind == "mid_move":
        return mid_moves(book, decisions, horizon_ns=horizon_ns, horizon_events=horizon_events)
    return smoothed_moves(
        book,
        decisions,
        horizon_ns=horizon_ns,
        horizon_events=horizon_events,
        two_sided=config.kind == "smoothed",
    )


def horizon_ns_of(config: LabelConfig) -> int | None:
    """A clock horizon in nanoseconds; None where the horizon is in events."""
    return None if config.horizon_ms is None else round(config.horizon_ms * NS_PER_MS)


def past_move_ticks(book: Book, decisions: Decisions, config: LabelConfig) -> FloatArray:
    """``(D,)`` mid-price move over the label's horizon, ending at the decision; 0 where the session
    was younger than the horizon.
    """
    start = book.session_starts[decisions.session]
    if config.horizon_events is not None:
        before = decisions.rows - config.horizon_events
    else:
        before = book.row_known_at(decisions.decided_ns - (horizon_ns_of(config) or 0))
    mid = book.mid_ticks
    known = before >= start
    return np.where(known, mid[decisions.rows] - mid[np.maximum(before, 0)], 0.0)
