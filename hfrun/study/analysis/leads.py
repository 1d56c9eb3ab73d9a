"""Whether one scientific value leads another by more than luck.

    1. its best is ahead in at least 97.5 % of the redraws of the nuisance points    (bootstrap)
    2. at the better half of the points it is ahead by more than those points differ (paired t)

Both values were trained at the same points, so point by point their difference is free of what the
point does to both. The better half are the points with the higher score of the two, whichever had
it: a value that only suffers less from bad settings does not win by that. Under "the value makes
no difference" the two scores of a point may be exchanged, the choice of the points does not change
by it, and the test keeps its level. The best alone does not: of two equal values one leads in
most bootstraps of its few best trials in about every fifth study.

Where values were not tried at the same points, the trials are shuffled between them instead.

References: Student (1908), The Probable Error of a Mean, Biometrika 6(1). Efron and Tibshirani
(1993), An Introduction to the Bootstrap, ch. 13 and 15. Holm (1979), A Simple Sequentially
Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfrun.study.analysis.best_of_n import expected_best
from hfrun.study.analysis.draws import Draws
from lob_backtest.book import FloatArray

RESAMPLES = 2000
LEVEL = 0.05
_PAIRS = 5  # points of the better half at the least
_LEAST = 3  # trials that may be chosen, of each value


def lead_over(
    draws: Draws, best: int, other: int, sign: float, rng: np.random.Generator
) -> dict[str, Any]:
    """By how much a value leads another, with what is needed to call it decided.

    Args:
        draws: of all values.
        best: the value that leads, by its place.
        other: the one it is held against.
        sign: -1 where less is better.
        rng: of the redraws.

    Returns:
        ``lead`` (of the expected best of equally many trials) with ``low`` and ``high``, ``gain``
        (mean at the better half of the shared points, with ``pairs`` of them), ``test``, ``p``
        two-sided, in the metric's own direction.
    """
    ours, theirs = draws.of(best), draws.of(other)
    number = min(len(ours), len(theirs))
    shared = draws.shared(best, other)
    low, high = _redrawn_lead(draws, best, other, rng)
    lead = float(expected_best(ours, number) - expected_best(theirs, number))
    half = better_half(shared)
    if len(half) >= _PAIRS:
        difference = half[:, 0] - half[:, 1]
        test, p, gain = "paired t", paired_p(difference), float(difference.mean())
    else:
        test, p, gain = "shuffled trials", shuffled_p(ours, theirs, rng), None
    few = int(min(np.isfinite(ours).sum(), np.isfinite(theirs).sum()))
    held = {
        "value": other,
        "lead": sign * lead,
        "low": None if low is None else sign * low,
        "high": None if high is None else sign * high,
        "gain": None if gain is None else sign * gain,
        "pairs": len(half) if gain is not None else 0,
        "test": test,
        "p": p,
        "feasible": few,
    }
    if sign < 0:
        held["low"], held["high"] = held["high"], held["low"]
    is_ahead = low is not None and low > 0 and (gain is None or gain > 0)
    return {**held, "is_ahead": bool(is_ahead), "is_enough": few >= _LEAST}


def hold_level(others: Sequence[dict[str, Any]]) -> None:
    """Mark which leads are decided: Holm's step-down over the values that are led."""
    beaten = True
    for place, other in enumerate(sorted(others, key=lambda each: float(each["p"]))):
        beaten = beaten and other["p"] <= LEVEL / (len(others) - place)
        other["decided"] = bool(beaten and other["is_enough"] and other["is_ahead"])


def better_half(shared: FloatArray) -> FloatArray:
    """``(n, 2)`` the better half, at least five, of the points at which both may be chosen."""
    known = shared[np.isfinite(shared).all(axis=1)]
    order = np.lexsort((known.min(axis=1), known.max(axis=1)))[::-1]
    half: FloatArray = known[order[: max(_PAIRS, -(-len(known) // 2))]]
    return half


def paired_p(difference: FloatArray) -> float:
    """Two-sided p of Student's t that the mean is 0; of equal differences that of their signs."""
    from scipy import stats

    if np.ptp(difference) <= 1e-12 * max(float(np.abs(difference).max()), 1e-300):
        return 1.0 if difference[0] == 0 else float(2.0 ** (1 - len(difference)))
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def shuffled_p(ours: FloatArray, theirs: FloatArray, rng: np.random.Generator) -> float:
    """Share of exchanges of trials between two values whose bests differ at least as much."""
    number, size = min(len(ours), len(theirs)), len(ours)
    both = np.concatenate([ours, theirs])
    mixed = rng.permuted(np.tile(both, (RESAMPLES, 1)), axis=1)
    mixed = np.vstack([both, mixed])
    first = expected_best(mixed[:, :size], number)
    second = expected_best(mixed[:, size:], number)
    nothing = np.isneginf(first) & np.isneginf(second)
    gaps = np.where(nothing, 0.0, np.abs(np.where(nothing, 0.0, first) - second))
    least = gaps[0] - 1e-12 * max(1.0, abs(gaps[0])) if np.isfinite(gaps[0]) else np.inf
    return float((gaps >= least).mean())


def redrawn_best(draws: FloatArray, rng: np.random.Generator) -> FloatArray:
    """``(R,)`` best of as many trials drawn with replacement; minus infinity where none counts."""
    best: FloatArray = rng.choice(draws, size=(RESAMPLES, len(draws))).max(axis=1)
    return best


def _redrawn_lead(
    draws: Draws, best: int, other: int, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """95 % of the leads over redrawn points, the same for both where both were tried at them."""
    ours, theirs, shared = draws.of(best), draws.of(other), draws.shared(best, other)
    # where one has more trials, those at points of its own would favour it by their number
    rows = draws.either(best, other) if len(ours) == len(theirs) else shared
    if len(shared) >= _PAIRS or len(rows) == len(ours) == len(theirs):
        chosen = rows[rng.integers(0, len(rows), size=(RESAMPLES, len(rows)))]
        first, second = np.where(np.isnan(chosen), -np.inf, chosen).max(axis=1).T
    else:
        size = (RESAMPLES, min(len(ours), len(theirs)))
        first, second = (rng.choice(each, size=size).max(axis=1) for each in (ours, theirs))
    known = np.isfinite(first) & np.isfinite(second)
    if not known.any():
        return None, None
    low, high = np.quantile(first[known] - second[known], [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
