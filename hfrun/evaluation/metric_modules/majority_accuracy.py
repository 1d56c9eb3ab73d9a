"""The accuracy of always saying the most frequent class, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.book import IntArray


def largest_share(counts: IntArray) -> float:
    """The most frequent true class of a confusion matrix, as a share of all."""
    return float(counts.sum(axis=1).max() / counts.sum())


class MajorityAccuracy(base.ClassMetric):
    """Accuracy of the most frequent true class, which any model has to beat."""

    of_counts = staticmethod(largest_share)
