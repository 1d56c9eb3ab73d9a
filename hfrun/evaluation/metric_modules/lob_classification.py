"""Every figure of a classifier that a report has, at once, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest import metrics
from lob_backtest.book import FloatArray, IntArray


class LobClassification(base.ProbabilityMetric):
    """Accuracy and what it is against, F1, MCC, ECE, MCE, Brier score and likelihood.

    Of any classes; of an order book's they are 0 down, 1 flat, 2 up.
    """

    def figures(self, labels: IntArray, probabilities: FloatArray) -> dict[str, float]:
        """The result: every figure under its own name."""
        of_classes = metrics.classification_metrics(labels, probabilities)
        return of_classes | metrics.calibration_metrics(labels, probabilities)
