"""Maximum calibration error, as a module of ``evaluate``."""

from hfrun.evaluation.metric_modules import base
from lob_backtest.metrics import maximum_calibration_error


class Mce(base.ProbabilityMetric):
    """Largest gap of confidence and accuracy in 15 equal-width bins, 0 (best) to 1."""

    figure = staticmethod(maximum_calibration_error)
