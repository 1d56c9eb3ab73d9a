"""Macro F1, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import f1_macro


class F1Macro(base.ClassMetric):
    """Plain mean of F1 over the classes that occur, 0 to 1 (best)."""

    of_counts = staticmethod(f1_macro)
