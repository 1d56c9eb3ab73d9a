"""Weighted F1, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import f1_weighted


class F1Weighted(base.ClassMetric):
    """F1 of each class, weighted by its number of true labels, 0 to 1 (best)."""

    of_counts = staticmethod(f1_weighted)
