"""Made-up predictions whose calibration is known, shared by the tests of calibration."""

import numpy as np

from hfrun.evaluation.metrics import softmax
from lob_backtest.book import FloatArray, IntArray

Drawn = tuple[IntArray, FloatArray]


def drawn(
    seed: int, n: int, *, classes: int = 5, sureness: float = 1.0, spread: float = 1.5
) -> Drawn:
    """Labels that come true with probabilities p, and what a model says: ``softmax(s ln p)``.

    The right temperature of the model is its ``sureness`` s.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * spread
    below = rng.random(n)[:, None]
    labels = (softmax(logits).cumsum(axis=1) < below).sum(axis=1).clip(0, classes - 1)
    return labels, softmax(sureness * logits)
