"""Matthews correlation, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import mcc


class Mcc(base.ClassMetric):
    """Matthews correlation of true and said classes, -1 to 1 (best), 0 by chance."""

    of_counts = staticmethod(mcc)
