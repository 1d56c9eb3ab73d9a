"""Every figure of a classifier that a report has, at once, as a module of ``evaluate``."""

from typing import Any

import numpy as np

from hfrun.evaluation.metric_modules import base
from lob_backtest import metrics


class LobClassification(base.ProbabilityMetric):
    """Accuracy and what it is against, F1, MCC, ECE, MCE, Brier score and likelihood.

    Of any classes; of an order book's they are 0 down, 1 flat, 2 up.
    """

    def _compute(
        self, *, predictions: Any, references: Any, logits: bool = False
    ) -> dict[str, float]:
        labels = np.asarray(references, dtype=np.int64)
        probabilities = base.probabilities_of(predictions, logits=logits)
        figures = metrics.classification_metrics(labels, probabilities)
        return figures | metrics.calibration_metrics(labels, probabilities)
