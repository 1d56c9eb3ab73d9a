"""The class that is said and how confidently."""

import numpy as np

from lob_backtest.book import FloatArray, IntArray


def said_classes(probabilities: FloatArray) -> tuple[IntArray, FloatArray]:
    """``(N,)`` most probable class, the lowest among equals, and ``(N,)`` its probability."""
    # Column by column: numpy's argmax along an axis of three is ten times slower.
    first, second, *others = probabilities.T
    said = (second > first).astype(np.int64)
    confidence = np.maximum(first, second)
    for number, column in enumerate(others, start=2):
        said[column > confidence] = number
        confidence = np.maximum(confidence, column)
    return said, confidence
