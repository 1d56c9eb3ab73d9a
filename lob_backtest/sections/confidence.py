"""Accuracy of the decisions that are at least so confident."""

import math
from typing import Any

from lob_backtest.metrics import said_classes
from lob_backtest.predictions import Predictions
from lob_backtest.resampling import label_overlap

# From a third, where every decision is, in steps that a reader can remember.
_THRESHOLDS = (1 / 3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def confidence_section(test: Predictions) -> list[dict[str, Any]]:
    """How many labelled decisions reach each confidence, and how many of them are right.

    The confidence is the probability of the class that is said. Thresholds that no decision
    reaches are left out; the first one is reached by all.
    """
    known = test.is_labelled
    said, confidence = said_classes(test.probability[known])
    right = said == test.label[known]
    overlap = label_overlap(test)
    rows = []
    for threshold in _THRESHOLDS:
        # Three equal probabilities are a third but for the last bit.
        chosen = confidence >= threshold - 1e-9
        n, hits = int(chosen.sum()), int(right[chosen].sum())
        if n == 0:
            break
        low, high = share_interval(hits, n, overlap=overlap)
        rows.append(
            {
                "threshold": threshold,
                "n": n,
                "share": n / confidence.size,
                "accuracy": hits / n,
                "low": low,
                "high": high,
            }
        )
    return rows


def share_interval(hits: int, n: int, *, overlap: float) -> tuple[float, float]:
    """95 % interval of a share of ``n`` decisions whose labels overlap, ``low, high``.

    Wilson's interval for ``n / overlap`` independent draws:
    ``(p + z^2 / 2m +- z sqrt(p (1 - p) / m + z^2 / 4m^2)) / (1 + z^2 / m)``. Decisions that are
    picked from among others overlap less than all of them do, so it is wide rather than narrow.

    Args:
        hits: right ones of them.
        n: at least 1.
        overlap: decisions that share one label's time, on average, at least 1.

    >>> low, high = share_interval(8, 10, overlap=1.0)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)

    References: Wilson (1927), Probable Inference, the Law of Succession, and Statistical
    Inference, JASA 22(158).
    """
    share, m = hits / n, max(n / max(overlap, 1.0), 1.0)
    centre = share + Z95**2 / (2 * m)
    spread = Z95 * math.sqrt(share * (1 - share) / m + Z95**2 / (4 * m**2))
    scale = 1 + Z95**2 / m
    return max((centre - spread) / scale, 0.0), min((centre + spread) / scale, 1.0)
