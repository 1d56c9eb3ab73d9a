"""Brier score over all classes, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import brier_score


class Brier(base.ProbabilityMetric):
    """Squared distance of the probabilities from what is true, 0 (best) to 2."""

    figure = staticmethod(brier_score)
