"""Labels: the move after each decision, the instant at which it was known, and its class.

book, decisions ─► Moves (move_ticks, label_end_ns) ─► threshold of the train part ─► classes
"""

from lob_backtest.labels.barriers import past_volatility_ticks, triple_barrier_moves
from lob_backtest.labels.classes import classify, fit_threshold
from lob_backtest.labels.executable import executable_moves
from lob_backtest.labels.moves import Moves, mid_moves, smoothed_moves
from lob_backtest.labels.overlap import (
    average_uniqueness,
    effective_labels,
    label_concurrency,
    mean_overlap,
)
from lob_backtest.labels.statistics import (
    below_round_trip_share,
    class_shares,
    label_statistics,
    round_trip_ticks,
)

__all__ = [
    "Moves",
    "average_uniqueness",
    "below_round_trip_share",
    "class_shares",
    "classify",
    "effective_labels",
    "executable_moves",
    "fit_threshold",
    "label_concurrency",
    "label_statistics",
    "mean_overlap",
    "mid_moves",
    "past_volatility_ticks",
    "round_trip_ticks",
    "smoothed_moves",
    "triple_barrier_moves",
]
