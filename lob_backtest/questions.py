"""When a config asks a model, and about what: the decisions, and the moves after them."""

from typing import Any

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray, silence_warning
from lob_backtest.config import BacktestConfig, DecisionsConfig, LabelConfig, LatencyConfig
from lob_backtest.costs import costs_of
from lob_backtest.decisions import (
    Decisions,
    decide_every_events,
    decide_every_ns,
    decide_on_mid_change,
)
from lob_backtest.errors import ConfigError
from lob_backtest.labels import (
    Moves,
    executable_moves,
    label_statistics,
    mid_moves,
    smoothed_moves,
    triple_barrier_moves,
)

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
    """The moves that a config's labels are cut from.

    Args:
        backtest: the costs, latency and size that ``executable`` moves are after; other kinds do
            not look at it. Of a latency that is drawn, the median.

    Raises:
        ConfigError: ``executable`` without a backtest section.
    """
    horizon_ns, horizon_events = horizon_ns_of(config), config.horizon_events
    if config.kind == "mid_move":
        return mid_moves(book, decisions, horizon_ns=horizon_ns, horizon_events=horizon_events)
    if config.kind == "triple_barrier":
        return triple_barrier_moves(
            book,
            decisions,
            horizon_ns=horizon_ns,
            horizon_events=horizon_events,
            barrier_volatilities=config.barrier_volatilities,
            volatility_decisions=config.volatility_decisions,
        )
    if config.kind == "executable":
        if backtest is None:
            raise ConfigError(
                "data.label.kind: executable is after the costs of trading, got no backtest "
                "section; add backtest: {costs: ..., latency_ns: ...}, or take another kind"
            )
        return executable_moves(
            book,
            decisions,
            horizon_ns=horizon_ns,
            horizon_events=horizon_events,
            costs=costs_of(backtest.costs),
            latency_ns=usual_latency_ns(backtest),
            units=backtest.position_limit,
        )
    return smoothed_moves(
        book,
        decisions,
        horizon_ns=horizon_ns,
        horizon_events=horizon_events,
        two_sided=config.kind == "smoothed",
    )


def statistics_of(
    book: Book,
    decisions: Decisions,
    labels: IntArray,
    label_end_ns: IntArray,
    config: LabelConfig,
    backtest: BacktestConfig | None = None,
) -> dict[str, Any]:
    """:func:`label_statistics` of labels that a config asks for, against what it lets trades cost.

    The move that is held against the round trip is the mid's from the decision to the horizon; for
    a triple barrier, to the instant at which it was touched.

    Args:
        decisions: those of the labels.
        labels: ``(D,)`` classes, -1 unknown.
        label_end_ns: ``(D,)`` as the moves have it.
        backtest: the costs; None leaves the round trip out.
    """
    if config.kind == "triple_barrier":
        # The mid known when the label ended: at the touch its, otherwise the label is flat anyway.
        ended = book.row_known_at(label_end_ns)
        mid_move = book.mid_ticks[ended] - book.mid_ticks[decisions.rows]
    else:
        mid_move = mid_moves(
            book,
            decisions,
            horizon_ns=horizon_ns_of(config),
            horizon_events=config.horizon_events,
        ).move_ticks
    statistics = label_statistics(
        book,
        decisions,
        labels,
        label_end_ns,
        mid_move_ticks=mid_move,
        costs=None if backtest is None else costs_of(backtest.costs),
        units=1.0 if backtest is None else backtest.position_limit,
    )
    silence = silence_warning(book)
    return {
        **statistics,
        "warnings": [*statistics["warnings"], *([] if silence is None else [silence])],
    }


def usual_latency_ns(backtest: BacktestConfig) -> int:
    """The fixed latency, or the median of one that is drawn."""
    latency = backtest.latency_ns
    return latency.median_ns if isinstance(latency, LatencyConfig) else latency


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
