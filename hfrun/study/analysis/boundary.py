"""Whether the best trials crowd a bound: then better ones may lie beyond it.

    1e-5 |------------------o-o-oo| 1e-2     best three within a tenth of the upper bound: widen

Crowding is held against luck: of points spread evenly, a tenth lie within a tenth of a bound.
"""

import math
from collections.abc import Sequence
from typing import Any

from hfrun.study.analysis.axis import Axis, by_score
from hfrun.study.study_data import StudyData

NEAR = 0.1  # of the range, on its own scale
LEVEL = 0.05
_FEWEST, _MOST = 3, 10
# Shares, for which a bound above 1 means nothing.
_SHARES = ("dropout", "beta1", "beta2", "momentum", "smoothing", "factor", "floor", "ratio",
           "share")  # fmt: skip


def boundaries(data: StudyData, axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """For each nuisance hyperparameter whose best trials crowd a bound, which and what to set.

    Nothing where fewer than six trials may be chosen, or the best scores are all the same.
    """
    found = []
    for axis in axes:
        if axis.role != "nuisance" or not axis.is_ordered:
            continue
        best = _best_places(data, axis)
        for side in ("low", "high"):
            held = _crowding(axis, best, side)
            if held is not None:
                found.append(held)
    return found


def _best_places(data: StudyData, axis: Axis) -> list[tuple[int, float]]:
    """Trial and place of the best fifth of those in which it is set, at least three."""
    trials = by_score([trial for trial in data.explored if trial.is_feasible
                       and axis.place(trial.values) is not None], data)  # fmt: skip
    k = min(max(math.ceil(len(trials) / 5), _FEWEST), _MOST)
    while k < len(trials) and trials[k].score == trials[k - 1].score:
        k += 1  # which of equal ones are the best is not known
    if len(trials) < 2 * k:
        return []
    return [(trial.number, float(axis.place(trial.values) or 0.0)) for trial in trials[:k]]


def _crowding(axis: Axis, best: Sequence[tuple[int, float]], side: str) -> dict[str, Any] | None:
    near = [number for number, place in best
            if (place if side == "low" else 1 - place) <= NEAR]  # fmt: skip
    by_luck = NEAR if axis.is_range else 1 / len(axis.values)
    p = _at_least(len(near), len(best), by_luck)
    if not near or 2 * len(near) <= len(best) or p > LEVEL:
        return None
    bound = axis.low if side == "low" else axis.high
    if not axis.is_range:
        bound = axis.values[0 if side == "low" else -1]
    suggested = _beyond(axis, side)
    return {
        "key": axis.key,
        "name": axis.name,
        "side": side,
        "bound": bound,
        "near": near,
        "k": len(best),
        "p": p,
        "suggested": suggested,
        "yaml": None if suggested is None else _yaml(axis, side, suggested),
        "text": _text(axis, side, bound, len(near), len(best), suggested),
    }


def _beyond(axis: Axis, side: str) -> float | None:
    """A decade further on a log scale, the same width on a linear; None where there is nothing."""
    low, high = axis.bounds
    if axis.log:
        wider = low / 10 if side == "low" else high * 10
    else:
        wider = low - (high - low) if side == "low" else high + (high - low)
    if side == "low" and low >= 0 and wider <= 0:
        wider = low / 2  # no negative rates, sizes or shares where none was asked for
    if side == "high" and high <= 1 < wider and _is_share(axis.key):
        wider = (high + 1) / 2
    if axis.integer or (not axis.is_range and all(isinstance(v, int) for v in axis.values)):
        wider = max(math.floor(wider), min(1, low)) if side == "low" else math.ceil(wider)
    wider = float(f"{wider:.6g}")
    return None if wider == (low if side == "low" else high) else wider


def _is_share(key: str) -> bool:
    return any(key.endswith(name) for name in _SHARES)


def _text(axis: Axis, side: str, bound: Any, near: int, k: int, suggested: float | None) -> str:
    word = "lower" if side == "low" else "upper"
    told = (
        f"{near} of the best {k} trials lie within a tenth of the {word} bound of {axis.name}, "
        f"{bound:g}"
        if axis.is_range
        else f"{near} of the best {k} trials have the {'lowest' if side == 'low' else 'highest'} "
        f"{axis.name}, {bound:g}"
    )
    if suggested is None:
        return f"{told}; it cannot go further"
    return f"{told}: try {'down' if side == 'low' else 'up'} to {suggested:g}"


def _yaml(axis: Axis, side: str, suggested: float) -> str:
    """The line of the study's ``nuisance`` that widens it."""
    if not axis.is_range:
        values = [suggested, *axis.values] if side == "low" else [*axis.values, suggested]
        return f"{axis.key}: [{', '.join(_number(value) for value in values)}]"
    low = suggested if side == "low" else axis.low
    high = suggested if side == "high" else axis.high
    parts = [f"low: {_number(low)}", f"high: {_number(high)}"]
    parts += ["log: true"] if axis.log else []
    parts += ["integer: true"] if axis.integer else []
    return f"{axis.key}: {{{', '.join(parts)}}}"


def _number(value: Any) -> str:
    """YAML 1.1 reads 1e-4 as text: an exponent needs a dot before it."""
    told = format(value, "g")
    mantissa, found, exponent = told.partition("e")
    if found and "." not in mantissa:
        return f"{mantissa}.0e{exponent}"
    return told


def _at_least(found: int, of: int, chance: float) -> float:
    """Probability of at least ``found`` of ``of`` independent ones."""
    return sum(
        math.comb(of, n) * chance**n * (1 - chance) ** (of - n) for n in range(found, of + 1)
    )
