"""How far a figure could be from what it measures, and whether a difference is more than luck."""

from lob_backtest.uncertainty.bootstrap import (
    Statistic,
    block_length,
    bootstrap,
    stationary_bootstrap_indices,
)
from lob_backtest.uncertainty.intervals import interval

__all__ = [
    "Statistic",
    "block_length",
    "bootstrap",
    "interval",
    "stationary_bootstrap_indices",
]
