"""Expected calibration error over bins of equal mass, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import adaptive_calibration_error


class AdaptiveEce(base.ProbabilityMetric):
    """ECE over 15 bins that hold equally many samples, 0 (best) to 1."""

    figure = staticmethod(adaptive_calibration_error)
