"""Was the budget enough: the best score to expect of n trials, for every n that was run.

    best |            _____-----      the curve that has gone flat says enough; one that still
         |      __----                climbs says that more trials will find better
         | __---
         +----------------------- n

Exact, over all choices of nuisance points among those that were tried: drawing them with
replacement would be biased. A point counts with all its scientific values, as the design runs it;
its trials are alike, and counted singly they would let the curve look flat too soon. A peak too
narrow to have been hit by any point cannot be seen here.

References: Dodge et al. (2019), Show Your Work, EMNLP. Tang et al. (2020), Showing Your Work
Doesn't Always Work, ACL.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfrun.study.analysis.draws import draws_of
from hfrun.study.study_data import StudyData
from lob_backtest.book import FloatArray

RESAMPLES = 1000
FLAT = 0.1  # share of all that the budget brought, that its last quarter may bring at most
_LEAST = 6  # points with a score, fewer of which say nothing of a budget


def best_of_n(
    data: StudyData, cells: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> dict[str, Any]:
    """The curve of the exploration, with a 95 % band over which points were drawn.

    A trial that diverged, was pruned or is infeasible wins nothing; one that failed is left out.
    ``n`` counts trials, ``chance`` is that of at least one that may be chosen, to which
    ``expected``, ``low`` and ``high`` are conditional.
    """
    sign = 1.0 if data.higher_is_better else -1.0
    wins = draws_of(data, [t for t in data.explored if t.phase == "explore"], cells).wins
    drawn = int((~np.isnan(wins)).sum())
    best = np.where(np.isnan(wins), -np.inf, wins).max(axis=1) if wins.size else np.array([])
    found = int(np.isfinite(best).sum())
    empty: dict[str, Any] = {
        "n": [], "expected": [], "low": [], "high": [], "chance": [], "trials": drawn,
        "points": len(best), "points_with_score": found, "last_quarter": None,
        "last_quarter_high": None, "total": None, "is_enough": None,
    }  # fmt: skip
    if found == 0:
        return {**empty, "reason": "no trial may be chosen"}
    expected = expected_bests(best)
    resampled = expected_bests(rng.choice(best, size=(RESAMPLES, len(best))))
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    if sign < 0:
        low, high = -high, -low
    size = len(best)
    curve = {
        **empty,
        "n": [_whole(drawn * n / size) for n in range(1, size + 1)],
        "expected": (sign * expected).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "chance": [1.0 - _none_of(size, found, n) for n in range(1, size + 1)],
    }
    return {**curve, **_enough(expected, resampled, found, drawn)}


def _enough(expected: FloatArray, resampled: FloatArray, found: int, drawn: int) -> dict[str, Any]:
    """Whether the last quarter of the budget brought next to nothing, and would again."""
    if found < _LEAST:
        return {"reason": f"{found} nuisance points may be chosen: {_LEAST} are needed to judge "
                          "the budget"}  # fmt: skip
    at = int(np.ceil(0.75 * len(expected))) - 1
    gain, total = float(expected[-1] - expected[at]), float(expected[-1] - expected[0])
    if total <= 0:
        return {"reason": "all scores are the same"}
    high = float(np.quantile(resampled[:, -1] - resampled[:, at], 0.975))
    return {
        "last_quarter": gain,
        "last_quarter_high": high,
        "total": total,
        "is_enough": high <= FLAT * total,
        "reason": f"the last quarter of its {drawn} trials brought {gain:.4f} of the {total:.4f} "
        f"that the best gained over one point (up to {high:.4f} in 97.5 % of redraws; up to "
        f"{FLAT:.0%} counts as flat)",
    }


def expected_bests(draws: FloatArray) -> FloatArray:
    """Expected best of n = 1..N draws without replacement, along the last axis.

        E[best of n] = sum_i x_(i) C(i - 1, n - 1) / sum_i C(i - 1, n - 1)

    over the finite x_(i), the i-th smallest of all N: given that one of the n is finite. Minus
    infinity where none is.

    Args:
        draws: ``(..., N)`` of which more is better.

    Returns:
        ``(..., N)``.
    """
    ordered = np.sort(draws, axis=-1)
    is_finite = np.isfinite(ordered)
    weights = _weights(draws.shape[-1])
    held = is_finite @ weights.T
    sums = np.where(is_finite, ordered, 0.0) @ weights.T
    with np.errstate(invalid="ignore", divide="ignore"):
        means: FloatArray = np.where(is_finite.any(axis=-1, keepdims=True), sums / held, -np.inf)
    return means


def expected_best(draws: FloatArray, number: int) -> FloatArray:
    """``(...,)`` the expected best of one number of draws; minus infinity where there is none."""
    if not 0 < number <= draws.shape[-1]:
        return np.full(draws.shape[:-1], -np.inf)
    found: FloatArray = expected_bests(draws)[..., number - 1]
    return found


def _whole(number: float) -> float:
    """A number of trials; whole except where some points lack a trial."""
    return int(number) if number == int(number) else number


def _weights(total: int) -> FloatArray:
    """``(n, i)`` chance that the i-th smallest of ``total`` is the best of n drawn."""
    weights = np.zeros((total, total))
    weights[0] = 1.0 / total
    place = np.arange(total)
    for n in range(1, total):
        # C(i - 1, n) / C(N, n + 1) from C(i - 1, n - 1) / C(N, n), places counted from 0
        weights[n] = weights[n - 1] * np.clip(place - n + 1, 0, None) / n * (n + 1) / (total - n)
    return weights


def _none_of(total: int, found: int, number: int) -> float:
    """Chance that none of ``number`` draws has a score: C(N - K, n) / C(N, n)."""
    places = np.arange(number)
    return float(np.prod(np.clip(total - found - places, 0, None) / (total - places)))
