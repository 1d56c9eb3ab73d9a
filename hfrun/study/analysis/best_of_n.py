"""Was the budget enough: the best score to expect of n trials, for every n that was run.

    best |            _____-----      the curve that has gone flat says enough; one that still
         |      __----                climbs says that more trials will find better
         | __---
         +----------------------- n

Exact, over all choices of n of the N trials; drawing them with replacement would be biased.

References: Dodge et al. (2019), Show Your Work, EMNLP. Tang et al. (2020), Showing Your Work
Doesn't Always Work, ACL.
"""

from typing import Any

import numpy as np

from hfrun.study.study_data import StudyData
from lob_backtest.book import FloatArray

RESAMPLES = 1000
_LEAST = 4  # trials with a score, fewer of which say nothing of a budget
_FLAT = 0.1  # share of all that the budget brought, that its last quarter may bring at most


def best_of_n(data: StudyData, rng: np.random.Generator) -> dict[str, Any]:
    """The curve of the exploration, with a 95 % band over which trials were drawn.

    A trial that diverged, was pruned or is infeasible is a draw that wins nothing; one that failed
    is none. ``chance`` is that of at least one that may be chosen, to which ``expected`` and the
    band are conditional.
    """
    sign = 1.0 if data.higher_is_better else -1.0
    trials = [t for t in data.explored if t.phase == "explore" and t.status != "failed"]
    draws = np.array([sign * float(t.score or 0.0) if t.is_feasible else -np.inf for t in trials])
    found = int(np.isfinite(draws).sum())
    empty: dict[str, Any] = {"n": [], "expected": [], "low": [], "high": [], "chance": [],
                             "trials": len(trials), "with_score": found, "last_quarter": None,
                             "total": None, "is_enough": None}  # fmt: skip
    if found == 0:
        return {**empty, "reason": "no trial may be chosen"}
    numbers = range(1, len(draws) + 1)
    expected = expected_bests(draws)
    resampled = np.array([
        expected_bests(rng.choice(draws, size=len(draws))) for _ in range(RESAMPLES)
    ])  # fmt: skip
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    low, high = np.quantile(sign * resampled, [0.025, 0.975], axis=0)
    curve = {
        **empty,
        "n": list(numbers),
        "expected": (sign * expected).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "chance": [1.0 - _none_of(len(draws), found, n) for n in numbers],
    }
    return {**curve, **_enough(expected, resampled, found)}


def _enough(expected: FloatArray, resampled: FloatArray, found: int) -> dict[str, Any]:
    """Whether the last quarter of the budget brought next to nothing, and would again."""
    if found < _LEAST:
        return {"reason": f"{found} trials that may be chosen: too few to judge the budget"}
    at = max(int(np.ceil(0.75 * len(expected))), 1) - 1
    gain, total = float(expected[-1] - expected[at]), float(expected[-1] - expected[0])
    high = float(np.quantile(resampled[:, -1] - resampled[:, at], 0.975))
    held = {"last_quarter": gain, "last_quarter_high": high, "total": total}
    if total <= 0:
        return {**held, "is_enough": None, "reason": "all scores are the same"}
    is_enough = high <= _FLAT * total
    return {
        **held,
        "is_enough": is_enough,
        "reason": f"the last quarter of {len(expected)} trials brought {gain:.4f} of {total:.4f} "
        f"(at most {high:.4f} with 95 % confidence)",
    }


def expected_best(draws: FloatArray, number: int) -> float:
    """Expected best of ``number`` draws without replacement; of draws that have a score."""
    return float(expected_bests(draws)[number - 1]) if 0 < number <= len(draws) else -np.inf


def expected_bests(draws: FloatArray) -> FloatArray:
    """``(N,)`` expected best of n = 1..N of the draws, without replacement.

        E[best of n] = sum_i x_(i) C(i - 1, n - 1) / (C(N, n) - C(N - K, n))

    over the K finite ones, x_(i) the i-th smallest of all N: given that one of the n is finite.
    Minus infinity throughout where none is.
    """
    ordered = np.sort(draws)
    total = len(ordered)
    is_finite = np.isfinite(ordered)
    if not is_finite.any():
        return np.full(total, -np.inf)
    out = np.empty(total)
    # weight of the i-th smallest as the best of n, by n: C(i-1, n-1) / C(N, n), from n = 1 up
    weight = np.full(total, 1.0 / total)
    place = np.arange(total)  # i - 1
    for n in range(1, total + 1):
        kept = np.where(is_finite, weight, 0.0)
        out[n - 1] = float(np.dot(kept, np.where(is_finite, ordered, 0.0)) / kept.sum())
        if n < total:
            weight = weight * np.clip(place - n + 1, 0, None) / n * (n + 1) / (total - n)
    return out


def _none_of(total: int, found: int, number: int) -> float:
    """Chance that none of ``number`` draws has a score: C(N - K, n) / C(N, n)."""
    left = total - found - np.arange(number)
    return float(np.prod(np.clip(left, 0, None) / (total - np.arange(number))))
