"""Whether the best trials crowd a bound: then better ones may lie beyond it.

    1e-5 |------------------o-o-oo| 1e-2     best three within a tenth of the upper bound: widen

Crowding is held against luck: of points spread evenly, a tenth lie within a tenth of a bound. A
nuisance point counts once, with its best trial, however many scientific values were run at it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.study.analysis.axis import Axis, by_score
from hfrun.study.analysis.draws import nuisance_points
from hfrun.study.study_data import StudyData

NEAR = 0.1  # of the range, on its own scale
LEVEL = 0.05
_FEWEST, _MOST = 3, 10
_LUMPY = 1000  # whole numbers, more of which are as good as a continuous range
# Shares, for which a bound above 1 means nothing.
_SHARES = ("dropout", "beta1", "beta2", "momentum", "smoothing", "factor", "floor", "ratio",
           "share")  # fmt: skip


def boundaries(
    data: StudyData, axes: Sequence[Axis], isolation: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """For each hyperparameter whose best trials crowd a bound: which, and what to set.

    Of a nuisance one nothing where fewer than six trials may be chosen, or the best scores are all
    the same. Of a scientific one where its comparison is decided for the last value of the list.
    """
    found = [
        _crowding(axis, _best_places(data, axis), side)
        for axis in axes
        if axis.role == "nuisance" and axis.is_ordered
        for side in ("low", "high")
    ]
    of_key = {plot["key"]: plot["comparison"] for plot in isolation}
    found += [_at_the_end(axis, of_key[axis.key]) for axis in axes if axis.key in of_key]
    return [each for each in found if each is not None]


def _at_the_end(axis: Axis, comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """A scientific value that leads for certain and has none beyond it."""
    best, last = comparison["best"], len(axis.values) - 1
    if not comparison["decided"] or not axis.is_ordered or best not in _ends(axis):
        return None
    side = "high" if axis.values[best] == max(axis.values) else "low"
    suggested = _beyond(axis, side)
    told = f"the best {axis.name}, {axis.values[best]:g}, is the {side}est of {last + 1}"
    return {
        "key": axis.key,
        "name": axis.name,
        "role": axis.role,
        "side": side,
        "bound": axis.values[best],
        "near": [],
        "k": 0,
        "p": comparison["p"],
        "suggested": suggested,
        "yaml": None,
        "text": told if suggested is None else f"{told}: try {suggested:g} too",
    }


def _ends(axis: Axis) -> tuple[int, int]:
    values = list(axis.values)
    return values.index(min(values)), values.index(max(values))


def _best_places(data: StudyData, axis: Axis) -> list[tuple[int, float]]:
    """Best trial and place of the best fifth of the nuisance points, at least three."""
    trials = by_score([trial for trial in data.explored if trial.is_feasible
                       and axis.place(trial.values) is not None], data)  # fmt: skip
    points = nuisance_points(data, trials)
    firsts = [trials[points.index(point)] for point in dict.fromkeys(points)]
    k = min(max(math.ceil(len(firsts) / 5), _FEWEST), _MOST)
    while k < len(firsts) and firsts[k].score == firsts[k - 1].score:
        k += 1  # which of equal ones are the best is not known
    if len(firsts) < 2 * k:
        return []
    return [(trial.number, float(axis.place(trial.values) or 0.0)) for trial in firsts[:k]]


def _crowding(axis: Axis, best: Sequence[tuple[int, float]], side: str) -> dict[str, Any] | None:
    near = [number for number, place in best if _is_near(place, side)]
    p = _at_least(len(near), len(best), _share_near(axis, side))
    if 2 * len(near) <= len(best) or p > LEVEL:
        return None
    low, high = axis.bounds
    bound, suggested = low if side == "low" else high, _beyond(axis, side)
    return {
        "key": axis.key,
        "name": axis.name,
        "role": axis.role,
        "side": side,
        "bound": bound,
        "near": near,
        "k": len(best),
        "p": p,
        "suggested": suggested,
        "yaml": None if suggested is None else _yaml(axis, side, suggested),
        "text": _text(axis, side, len(near), len(best), suggested),
    }


def _is_near(place: float, side: str) -> bool:
    # a place is a ratio of logarithms: 1e-12 is rounding
    return (place if side == "low" else 1 - place) <= NEAR + 1e-12


def _share_near(axis: Axis, side: str) -> float:
    """Share of evenly spread points near a bound; whole numbers and listed values are lumps."""
    low, high = axis.bounds
    if axis.is_range and (not axis.integer or high - low > _LUMPY):
        return NEAR
    if not axis.is_range:
        levels, widths = [float(place) for place in range(len(axis.values))], None
    else:
        levels = [float(number) for number in range(int(low), int(high) + 1)]
        widths = [math.log((n + 0.5) / (n - 0.5)) if axis.log else 1.0 for n in levels]
    widths = widths or [1.0] * len(levels)
    values = axis.values or levels
    near = [width for value, width in zip(values, widths, strict=True)
            if _is_near(axis.place({axis.key: value}) or 0.0, side)]  # fmt: skip
    return sum(near) / sum(widths)


def _beyond(axis: Axis, side: str) -> float | None:
    """A decade further on a log scale, the same width on a linear, of a list one more step.

    None where there is nothing further.
    """
    low, high = axis.bounds
    bound, away = (low, -1) if side == "low" else (high, 1)
    if axis.log:
        wider = bound * 10.0**away
    elif axis.is_range:
        wider = bound + away * (high - low)
    else:
        wider = _next_of_list(sorted(axis.values), side)
    if low >= 0 >= wider:
        wider = low / 2  # no negative rates, sizes or shares where none was asked for
    if high <= 1 < wider and axis.key.endswith(_SHARES):
        wider = (high + 1) / 2
    if axis.integer or (not axis.is_range and all(isinstance(v, int) for v in axis.values)):
        wider = math.floor(wider) if side == "low" else math.ceil(wider)
        wider = max(wider, 1) if low >= 1 else wider
    else:
        wider = float(f"{wider:.6g}")
    return None if wider == bound else wider


def _next_of_list(values: Sequence[Any], side: str) -> float:
    """One step further; by the same factor where the list spans a decade."""
    if len(values) < 2:
        return float(values[0])
    bound, inner = (values[0], values[1]) if side == "low" else (values[-1], values[-2])
    if values[0] > 0 and values[-1] / values[0] >= 10:
        return float(bound * bound / inner)
    return float(2 * bound - inner)


def _text(axis: Axis, side: str, near: int, k: int, suggested: float | None) -> str:
    low, high = axis.bounds
    ends = {"low": ("lower", "lowest", "down", low), "high": ("upper", "highest", "up", high)}
    word, most, way, bound = ends[side]
    told = f"{near} of the best {k} points "
    if axis.is_range:
        told += f"lie within a tenth of the {word} bound of {axis.name}, {bound:g}"
    else:
        told += f"have the {most} {axis.name}, {bound:g}"
    if suggested is None:
        return f"{told}; it cannot go further"
    return f"{told}: try {way} to {suggested:g}"


def _yaml(axis: Axis, side: str, suggested: float) -> str:
    """The line of the study's ``nuisance`` that widens it, under the same condition."""
    when = f", when: {json.dumps(dict(axis.conditions))}" if axis.conditions else ""
    if not axis.is_range:
        values = [suggested, *axis.values] if side == "low" else [*axis.values, suggested]
        listed = f"[{', '.join(_number(value) for value in values)}]"
        return f"{axis.key}: {{values: {listed}{when}}}" if when else f"{axis.key}: {listed}"
    low, high = (suggested, axis.high) if side == "low" else (axis.low, suggested)
    parts = [f"low: {_number(low)}", f"high: {_number(high)}"]
    parts += ["log: true"] if axis.log else []
    parts += ["integer: true"] if axis.integer else []
    return f"{axis.key}: {{{', '.join(parts)}{when}}}"


def _number(value: Any) -> str:
    """YAML 1.1 reads 1e-4 as text: an exponent needs a dot before it."""
    mantissa, found, exponent = repr(value).partition("e")
    return f"{mantissa}.0e{exponent}" if found and "." not in mantissa else repr(value)


def _at_least(found: int, of: int, chance: float) -> float:
    """Probability of at least ``found`` of ``of`` independent ones."""
    return math.fsum(
        math.comb(of, n) * chance**n * (1 - chance) ** (of - n) for n in range(found, of + 1)
    )
