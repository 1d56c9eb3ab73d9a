"""Negative log-likelihood, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import negative_log_likelihood


class Nll(base.ProbabilityMetric):
    """Mean of -ln p of the true class, in nats, 0 (best) and up."""

    figure = staticmethod(negative_log_likelihood)
