"""How much of a score is chance: of the evaluation set's size, and of choosing among epochs."""

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist, median

# Two values of the same normal distribution lie this many of its standard deviations apart in the
# median: sqrt(2) * 0.6745.
_MEDIAN_DISTANCE = 0.9539


def accuracy_error(accuracy: float, n: int) -> float:
    """Standard error of an accuracy on n independent examples: sqrt(p (1 - p) / n).

    Labels that overlap in time are not independent; theirs is larger.

    >>> accuracy_error(0.5, 100)
    0.05
    """
    return math.sqrt(max(accuracy * (1 - accuracy), 0.0) / n)


def difference_error(one: float, n_one: int, other: float, n_other: int) -> float:
    """Standard error of the difference of two accuracies on different examples.

        sqrt(p (1 - p) (1 / n + 1 / m)),   p: of both together

    Of both together, so that one right answer out of one is no certainty.

    >>> round(difference_error(1.0, 1, 0.0, 1), 3), difference_error(0.5, 100, 0.5, 100)
    (0.707, 0.07071067811865475)
    """
    together = (one * n_one + other * n_other) / (n_one + n_other)
    return math.sqrt(max(together * (1 - together), 0.0) * (1 / n_one + 1 / n_other))


def examples_needed(accuracy: float, gain: float) -> int:
    """Examples for which a gain is two standard errors of the accuracy.

    >>> examples_needed(0.5, 0.01)
    10000
    """
    return math.ceil(round(4 * accuracy * (1 - accuracy) / gain**2, 6))


def epoch_noise(values: Sequence[float]) -> float:
    """Standard deviation of a score from epoch to epoch, whatever its slow trend.

        median |x[i + 1] - x[i]| / 0.9539

    >>> round(epoch_noise([0.40, 0.42, 0.40, 0.42, 0.40]), 4)
    0.021
    """
    steps = [abs(after - before) for before, after in itertools.pairwise(values)]
    return median(steps) / _MEDIAN_DISTANCE if steps else 0.0


def luck_of_the_best(count: int) -> float:
    """Expected maximum of ``count`` standard normal draws, by Blom's approximation.

    >>> [round(luck_of_the_best(count), 2) for count in (1, 2, 10, 36)]
    [0.0, 0.59, 1.55, 2.11]

    References: Blom (1958), Statistical Estimates and Transformed Beta-Variables.
    """
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
