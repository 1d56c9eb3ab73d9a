"""Expected calibration error, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import expected_calibration_error


class Ece(base.ProbabilityMetric):
    """Mean gap of confidence and accuracy over 15 equal-width bins, 0 (best) to 1."""

    figure = staticmethod(expected_calibration_error)
