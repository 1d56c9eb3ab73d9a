"""Accuracy, as a module of ``evaluate``."""

import numpy as np

from hfrun.evaluation.metric_modules import base
from lob_backtest.book import IntArray


def share_of_hits(counts: IntArray) -> float:
    """The diagonal of a confusion matrix, as a share of all."""
    return float(np.trace(counts) / counts.sum())


class Accuracy(base.ClassMetric):
    """Share of samples whose said class is the true one, 0 to 1 (best)."""

    of_counts = staticmethod(share_of_hits)
