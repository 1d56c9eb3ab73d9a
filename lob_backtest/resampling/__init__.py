"""Intervals for every figure of a walk-forward, and for what the model is ahead of the baselines.

Decisions are drawn in blocks for the classification figures, clock bars for those of the portfolio,
because neighbours are alike: labels overlap, and positions last. One draw serves all strategies, so
their figures vary together, and what moves two of them alike cancels in their difference.

    rows       d d d d d d | d d d d d d | ...      decisions or bars, in cells
    resample 0 | c d e  a  b g h a |                figures of each strategy, with their errors
    resample 1 | b c  d e f  h a b |                figures of each strategy, with their errors
    ...                                             intervals: uncertainty.intervals

A drawdown is a maximum over time and has no standard error: its interval is the middle 95 % of the
resampled ones, what other periods of the same kind might show.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from lob_backtest.account import Account
from lob_backtest.book import FloatArray
from lob_backtest.metrics import CLASSIFICATION_KEYS, TRADING_KEYS, max_drawdown
from lob_backtest.predictions import Predictions
from lob_backtest.resampling.bars import DRAWDOWN, bar_figures, bar_sums, drawdowns, equity_steps
from lob_backtest.resampling.cells import Cells
from lob_backtest.resampling.decisions import decision_figures, decision_sums, hits
from lob_backtest.resampling.draw import (
    LEVEL,
    METHOD,
    Draw,
    Interval,
    Intervals,
    Lead,
    intervals_of,
)
from lob_backtest.resampling.sections import (
    lift_section,
    overfitting_section,
    sharpe_section,
    windows_section,
)
from lob_backtest.uncertainty.lift import overlap_counts

__all__ = [
    "LEVEL",
    "METHOD",
    "Interval",
    "Intervals",
    "Lead",
    "classification_intervals",
    "label_overlap",
    "lift_section",
    "overfitting_section",
    "paired_section",
    "sharpe_section",
    "trading_intervals",
    "windows_section",
]


def classification_intervals(
    tables: Mapping[str, Predictions], *, n_resamples: int, rng: np.random.Generator
) -> Intervals:
    """Intervals of the classification figures over the labelled decisions of all folds.

    Args:
        tables: by strategy; the same decisions and labels. The first one sets the block length, by
            how its hits follow each other (never shorter than its labels overlap), and leads.
        n_resamples: at least 1.
        rng: randomness.
    """
    first = next(iter(tables.values()))
    cells = Cells.of(first.fold[first.is_labelled])
    sums = [decision_sums(table, cells) for table in tables.values()]
    overlap = label_overlap(first)
    draw = Draw(
        names=list(tables),
        keys=CLASSIFICATION_KEYS,
        cells=cells,
        sums=sums,
        figures=decision_figures,
        overlap=overlap,
        pace=hits(sums[0]) / cells.length,
        shares={"accuracy": [cells.n / overlap] * len(tables)},
    )
    return intervals_of(draw, n_resamples=n_resamples, rng=rng)


def label_overlap(table: Predictions) -> float:
    """How many decisions, on average, are made before a decision's label is known, itself included.

    Labels of neighbours share that much of the future, so blocks must not be shorter: hits would
    look more independent than they are.
    """
    return float(overlap_counts(table).mean())


def trading_intervals(
    accounts: Mapping[str, Account],
    decisions: FloatArray | None = None,
    *,
    periods_per_year: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Intervals:
    """Intervals of the portfolio's figures over the clock bars of all folds.

    Args:
        accounts: by strategy, on the same bars. The first one's returns set the block length, and
            it leads.
        decisions: ``(B,)`` test decisions in each bar, ``account.decisions_per_bar``: what adds up
            is of so many decisions; None takes as many in each bar.
        periods_per_year: bars in a year.
        n_resamples: at least 1.
        rng: randomness.
    """
    cells = Cells.of(next(iter(accounts.values())).fold)
    made = np.ones(cells.n) if decisions is None else decisions
    sums = [bar_sums(account, made, cells) for account in accounts.values()]
    draw = Draw(
        names=list(accounts),
        keys=TRADING_KEYS,
        cells=cells,
        sums=sums,
        figures=partial(
            bar_figures, n_decisions=float(made.sum()), periods_per_year=periods_per_year
        ),
        overlap=1.0,
        pace=sums[0][:, 2] / cells.length,
        paths={
            DRAWDOWN: [
                (max_drawdown(account.equity), partial(drawdowns, equity_steps(account, cells)))
                for account in accounts.values()
            ]
        },
        shares={"hit_rate": [float(account.closings[:, 0].sum()) for account in accounts.values()]},
    )
    return intervals_of(draw, n_resamples=n_resamples, rng=rng)


def paired_section(
    of_decisions: Intervals, of_bars: Intervals | None
) -> dict[str, dict[str, dict[str, float | None]]]:
    """``{baseline: {figure: {difference, low, high, p_value, p_adjusted}}}`` for report.json."""
    both: dict[str, dict[str, dict[str, float | None]]] = {}
    for found in (of_decisions, of_bars):
        for name, leads in ({} if found is None else found.leads).items():
            both.setdefault(name, {}).update({key: vars(lead) for key, lead in leads.items()})
    return both
