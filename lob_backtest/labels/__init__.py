"""Labels: the move after each decision, the instant at which it was known, and its class.

book, decisions ─► Moves (move_ticks, label_end_ns) ─► threshold of the train part ─► classes
"""

from lob_backtest.labels.classes import classify, fit_threshold
from lob_backtest.labels.moves import Moves, mid_moves, smoothed_moves

__all__ = [
    "Moves",
    "classify",
    "fit_threshold",
    "mid_moves",
    "smoothed_moves",
]
