"""From resampled figures to an interval."""

import math

import numpy as np

from lob_backtest.book import FloatArray
from lob_backtest.errors import MetricError


def interval(samples: FloatArray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrapped figures, ``low, high``.

    NaN figures (a Sharpe ratio of a resample without deviation) are left out; NaN, NaN where none
    is left.

    Args:
        samples: ``(R,)`` from ``bootstrap``.
        confidence: share of the samples inside, within 0 and 1.
    """
    if not 0 < confidence < 1:
        raise MetricError(f"confidence={confidence}: needs to be within 0 and 1")
    known = samples[~np.isnan(samples)]
    if known.size == 0:
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
