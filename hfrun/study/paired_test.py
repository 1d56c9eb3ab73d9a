"""Whether a candidate is better than the incumbent by more than their seeds are apart.

    look      1            2            3            with seeds=5, most_seeds=15
    pairs     5           10           15
    level     1/14         4/14         9/14         of the whole, by the square of the pairs
              adopt ◄──────┼────────────┤            p <= the look's level
              refuse ◄─────┼────────────┤            no gain at all
                           └─► more     └─► refuse

Both are trained with the same seeds, so seed by seed their difference is free of what a seed does
to both; the differences' mean is held against its standard error by Student's t, one-sided. One
may look more than once since the looks' levels add up to the whole (Bonferroni), whatever the
scores' distribution over looks: on noise the chance to adopt is at most ``level``.

A tie is more than "not significant": the looks' two-sided interval holds 0 and lies within the
spread, the standard deviation of the difference of two trainings, one of each config with a seed
of its own. Then the one with fewer parameters is preferred.

References: Student (1908), The Probable Error of a Mean, Biometrika 6(1). O'Brien and Fleming
(1979), A Multiple Testing Procedure for Clinical Trials, Biometrics 35(3): little is spent early.
Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15(6): two one-sided tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hfrun.errors import HfrunError
from lob_backtest.book import FloatArray

Verdict = Literal["adopt", "refuse", "more_seeds"]
# Below this share of the scores' size a spread is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the scores so far say.

    Args:
        verdict: "more_seeds" while the answer is open.
        reason: a sentence with the numbers.
        gain: mean over seeds of how much better the candidate is; above 0 is better, also of a
            metric of which less is better.
        standard_error: of the gain, over seeds.
        interval: two-sided, at 1 - 2 ``level``.
        p: one-sided, of a gain of 0.
        level: of this look alone.
        test: by name.
        pairs: how many seeds were looked at.
        look: which of ``looks`` it was, from 1.
        looks: pairs at each look.
        spread: standard deviation of the difference of two trainings, one of each config.
        is_tie: the interval holds 0 and lies within the spread.
        simpler: which has fewer parameters; None where they have as many, or it is not known.
    """

    verdict: Verdict
    reason: str
    gain: float
    standard_error: float
    interval: tuple[float, float]
    p: float
    level: float
    test: str
    pairs: int
    look: int
    looks: tuple[int, ...]
    spread: float
    is_tie: bool
    simpler: Literal["candidate", "incumbent"] | None

    @property
    def next_look(self) -> int | None:
        """With how many pairs it can be decided; None where it is."""
        return self.looks[self.look] if self.verdict == "more_seeds" else None

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "interval": list(self.interval), "looks": list(self.looks)}


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How often a plan adopts, and with how many pairs, where the true gain is known."""

    gain: float
    adopted: float
    pairs: float
    repetitions: int


def decide(
    incumbent: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    higher_is_better: bool,
    level: float,
    seeds: int,
    most_seeds: int,
    incumbent_cost: float | None = None,
    candidate_cost: float | None = None,
) -> Decision:
    """Adopt, refuse, or ask for more seeds.

    The looks are made again in their order, so a decision stands however many pairs came later.

    Args:
        incumbent: ``(S,)`` scores by seed, or ``(S, F)`` by seed and fold, of which a seed's mean
            over its folds is taken; NaN is an error.
        candidate: the same of the candidate, with the same seeds and folds.
        higher_is_better: of the scores.
        level: chance to adopt a candidate that is no better.
        seeds: pairs before the first look; S must be at least that.
        most_seeds: pairs before the last look.
        incumbent_cost: its number of parameters, by which a tie is broken.
        candidate_cost: that of the candidate.

    Raises:
        HfrunError: scores that do not pair, are not finite, or are too few for a first look.

    >>> decide([0.40, 0.41, 0.39, 0.42, 0.40], [0.45, 0.46, 0.45, 0.47, 0.44],
    ...        higher_is_better=True, level=0.025, seeds=5, most_seeds=10).verdict
    'adopt'
    """
    old, new = _by_seed(incumbent, "incumbent"), _by_seed(candidate, "candidate")
    looks = looks_of(seeds, most_seeds)
    if old.shape != new.shape or len(old) < looks[0]:
        raise HfrunError(
            f"{len(old)} scores of the incumbent and {len(new)} of the candidate; needs as many "
            f"of both, the same seeds, and at least {looks[0]} for a first look"
        )
    sign = 1.0 if higher_is_better else -1.0
    levels = look_levels(looks, level)
    simpler = _simpler(incumbent_cost, candidate_cost)
    for number, (pairs, share) in enumerate(zip(looks, levels, strict=True), start=1):
        if pairs > len(old):
            break
        both = sign * old[:pairs], sign * new[:pairs]
        decision = _decided(_look(*both, level=share, look=number, looks=looks, simpler=simpler))
        if decision.verdict != "more_seeds":
            break
    return decision


@lru_cache
def looks_of(seeds: int, most_seeds: int) -> tuple[int, ...]:
    """How many pairs each look has: ``seeds``, about as many more each time, ``most_seeds``.

    >>> looks_of(5, 15), looks_of(5, 12), looks_of(5, 5)
    ((5, 10, 15), (5, 12), (5,))
    """
    if not 2 <= seeds <= most_seeds:
        raise HfrunError(f"seeds={seeds}, most_seeds={most_seeds}: needs 2 <= seeds <= most_seeds")
    steps = most_seeds // seeds - 1 or int(most_seeds > seeds)
    more = most_seeds - seeds
    return tuple(seeds + round(more * step / max(steps, 1)) for step in range(steps + 1))


def look_levels(looks: Sequence[int], level: float) -> tuple[float, ...]:
    """The part of the level that each look may spend: by the square of its pairs."""
    whole = sum(pairs**2 for pairs in looks)
    return tuple(level * pairs**2 / whole for pairs in looks)


def adoption_rates(
    gain: float,
    *,
    level: float,
    seeds: int,
    most_seeds: int,
    repetitions: int = 4000,
    seed: int = 0,
) -> Rates:
    """Simulate what a plan does where the scores are normal: its level at 0, else its power.

    Args:
        gain: the true one, in standard errors of the mean difference at the first look.
        level: as of ``decide``, and so are ``seeds`` and ``most_seeds``.
        repetitions: how many incumbents meet a candidate.
        seed: of the scores.
    """
    rng = np.random.default_rng(seed)
    shift = gain * math.sqrt(2 / seeds)
    adopted = pairs = 0
    for _ in range(repetitions):
        old, new = rng.standard_normal((2, most_seeds))
        found = decide(
            old, new + shift, higher_is_better=True, level=level, seeds=seeds, most_seeds=most_seeds
        )
        adopted += found.verdict == "adopt"
        pairs += found.pairs
    return Rates(
        gain=gain,
        adopted=adopted / repetitions,
        pairs=pairs / repetitions,
        repetitions=repetitions,
    )


def _by_seed(scores: npt.ArrayLike, name: str) -> FloatArray:
    found = np.asarray(scores, dtype=np.float64)
    if found.ndim == 2 and found.shape[1] > 0:
        found = found.mean(axis=1)
    if found.ndim != 1:
        raise HfrunError(f"{name}: got scores of shape {found.shape}; needs (S,) or (S, F)")
    if not np.isfinite(found).all():
        raise HfrunError(f"{name}: not every score is finite: {found.tolist()}")
    return found


def _simpler(
    incumbent: float | None, candidate: float | None
) -> Literal["candidate", "incumbent"] | None:
    if incumbent is None or candidate is None or incumbent == candidate:
        return None
    return "candidate" if candidate < incumbent else "incumbent"


def _look(
    old: FloatArray,
    new: FloatArray,
    *,
    level: float,
    look: int,
    looks: tuple[int, ...],
    simpler: Literal["candidate", "incumbent"] | None,
) -> Decision:
    """The figures of one look; nothing is decided yet. Scores of which more is better."""
    from scipy.special import stdtr, stdtrit

    pairs, scores = len(old), np.stack([old, new, new - old])
    gain = float(scores[2].mean())
    of_old, of_new, of_gain = scores.var(axis=1, ddof=1).tolist()
    error = math.sqrt(of_gain / pairs)
    size = float(np.abs(scores).max())
    if error <= _ROUNDING * size:  # every seed has the same difference
        gain = 0.0 if abs(gain) <= _ROUNDING * size else gain
        error, half, test = 0.0, 0.0, "sign test over seeds"
        p = 0.5**pairs if gain > 0 else 1.0
    else:
        half = -float(stdtrit(pairs - 1, level)) * error
        p, test = float(stdtr(pairs - 1, -gain / error)), "paired t over seeds"
    spread = math.sqrt(of_old + of_new)
    low, high = gain - half, gain + half
    return Decision(
        verdict="more_seeds", reason="", gain=gain, standard_error=error, interval=(low, high),
        p=p, level=level, test=test, pairs=pairs, look=look, looks=looks, spread=spread,
        is_tie=low <= 0 <= high and -spread <= low and high <= spread, simpler=simpler,
    )  # fmt: skip


def _decided(seen: Decision) -> Decision:
    """With the verdict and its reason."""
    measured = (
        f"the gain is {seen.gain:+.4g} with a standard error of {seen.standard_error:.2g} over "
        f"{seen.pairs} seeds ({seen.test}, one-sided p {seen.p:.2g} against {seen.level:.2g} at "
        f"look {seen.look} of {len(seen.looks)})"
    )
    verdict, told = _verdict(seen)
    return replace(seen, verdict=verdict, reason=f"{measured}: {told}")


def _verdict(seen: Decision) -> tuple[Verdict, str]:
    low, high = seen.interval
    range_ = f"{low:+.3g} to {high:+.3g}, where two trainings differ by {seen.spread:.2g}"
    if seen.gain > 0 and seen.p <= seen.level:
        dearer = ", with more parameters" if seen.simpler == "incumbent" else ""
        return "adopt", f"it exceeds the spread over seeds{dearer}"
    if seen.simpler == "candidate":
        if seen.is_tie:
            return "adopt", f"a tie ({range_}), and the candidate has fewer parameters"
        if high < 0:
            return "refuse", f"the candidate has fewer parameters, and is worse ({range_})"
    elif seen.gain <= 0:
        return "refuse", "there is none"
    if seen.look < len(seen.looks):
        return "more_seeds", f"open until {seen.looks[seen.look]} seeds"
    if seen.is_tie:
        return "refuse", f"a tie ({range_}), and the candidate is no simpler"
    return "refuse", f"it does not exceed the spread over seeds ({range_})"
