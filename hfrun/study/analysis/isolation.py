"""Isolation: how good each scientific value is once its nuisance hyperparameters are tuned for it.

    score |      o                    each scientific value with its best trial (o), which is what
          |  o   :   o                is compared, and the spread of that best over which trials
          |  :   :   .                happened to be drawn
          +-------------

A best of few trials is luck in part, and a best of more trials is better by number alone. So every
value is judged by the expected best of the same number of its trials, and a lead counts as decided
only where it is larger than what shuffling the trials between the two values gives.

References: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 15.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from hfrun.study.analysis.axis import Axis, by_score, canonical
from hfrun.study.analysis.best_of_n import expected_best
from hfrun.study.grid import cell_label, value_label
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.book import FloatArray

RESAMPLES = 2000
LEVEL = 0.05
TOP = 3
_LEAST = 3  # feasible trials of a value, fewer of which decide nothing


def isolation_plots(
    data: StudyData, axes: Sequence[Axis], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """For each scientific hyperparameter its values, each with its best over everything else.

    With several there is one more, of their combinations, whose ``key`` is None: inside each the
    nuisance hyperparameters were tuned.
    """
    scientific = [axis for axis in axes if axis.role == "scientific"]
    if not scientific:
        return []
    plots = [
        _plot(data, axis.key, axis.name, [{axis.key: value} for value in axis.values], rng)
        for axis in scientific
    ]
    if len(scientific) > 1:
        keys = [axis.key for axis in scientific]
        cells = [dict(zip(keys, values, strict=True))
                 for values in product(*(axis.values for axis in scientific))]  # fmt: skip
        name = " and ".join(axis.name for axis in scientific)
        plots.append(_plot(data, None, name, cells, rng))
    return plots


def _plot(
    data: StudyData,
    key: str | None,
    name: str,
    cells: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    held = [[trial for trial in data.explored if _is_in(trial, cell)] for cell in cells]
    sign = 1.0 if data.higher_is_better else -1.0
    draws = [_draws(trials, sign) for trials in held]
    judged = [len(each) for each in draws if np.isfinite(each).any()]
    number = min(judged, default=0)
    shown = [
        {
            "values": dict(cell),
            "label": value_label(next(iter(cell.values()))) if key else cell_label(cell),
            **_value(trials, draw, number, sign, data, rng),
        }
        for cell, trials, draw in zip(cells, held, draws, strict=True)
    ]
    return {"key": key, "name": name, "compared_at": number, "values": shown,
            "comparison": _comparison(shown, draws, sign, rng)}  # fmt: skip


def _value(
    trials: Sequence[StudyTrial],
    draws: FloatArray,
    number: int,
    sign: float,
    data: StudyData,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """One scientific value: its best trial and how far that depends on the draw."""
    feasible = by_score([trial for trial in trials if trial.is_feasible], data)
    statuses = [trial.status for trial in trials]
    counted: dict[str, Any] = {
        "trials": [trial.number for trial in trials],
        "n": len(trials),
        "done": statuses.count("done"),
        "feasible": len(feasible),
        **{name: statuses.count(name) for name in ("diverged", "pruned", "failed")},
    }
    if not feasible:
        return {**counted, "best": None, "best_trial": None, "low": None, "high": None, "sd": None,
                "expected": None, "top_mean": None, "top_n": 0, "scores": []}  # fmt: skip
    scores = [float(trial.score or 0.0) for trial in feasible]
    best = sign * resampled_best(draws, rng)
    best = best[np.isfinite(best)]
    low, high = np.quantile(best, [0.025, 0.975])
    return {
        **counted,
        "best": scores[0],
        "best_trial": feasible[0].number,
        "low": float(low) if len(feasible) > 1 else None,
        "high": float(high) if len(feasible) > 1 else None,
        "sd": float(best.std(ddof=1)) if len(feasible) > 1 else None,
        "expected": sign * expected_best(draws, number),
        "top_mean": fmean(scores[:TOP]),
        "top_n": len(scores[:TOP]),
        "scores": scores,
    }


def _comparison(
    shown: Sequence[Mapping[str, Any]],
    draws: Sequence[FloatArray],
    sign: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Whether the best value leads by more than luck; ``decided`` is None where nothing compares."""
    there = [index for index, value in enumerate(shown) if value["expected"] is not None]
    none: dict[str, Any] = {"best": None, "second": None, "lead": None, "low": None, "high": None,
                            "p": None, "decided": None, "others": []}  # fmt: skip
    if len(there) < 2:
        names = ", ".join(shown[index]["label"] for index in there)
        reason = (
            f"only {names} has a trial that may be chosen" if there else "no trial may be chosen"
        )
        return {**none, "best": there[0] if there else None, "reason": f"{reason}: no comparison"}
    order = sorted(there, key=lambda index: (-sign * shown[index]["expected"], index))
    best, *rest = order
    others = [_against(shown, draws, best, index, sign, rng) for index in rest]
    _hold_level(others)
    second = others[0]
    return {
        "best": best,
        "second": second["value"],
        "lead": second["lead"],
        "low": second["low"],
        "high": second["high"],
        "p": second["p"],
        "decided": all(other["decided"] for other in others),
        "others": others,
        "reason": _reason(shown, best, others),
    }


def _against(
    shown: Sequence[Mapping[str, Any]],
    draws: Sequence[FloatArray],
    best: int,
    other: int,
    sign: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The lead of the best value over another: its bootstrap interval, and p by shuffling."""
    ours, theirs = draws[best], draws[other]
    number = min(len(ours), len(theirs))
    leads = resampled_best(ours, rng, number) - resampled_best(theirs, rng, number)
    leads = leads[np.isfinite(leads)]
    low, high = np.quantile(leads, [LEVEL / 2, 1 - LEVEL / 2]) if leads.size else (None, None)
    return {
        "value": other,
        "lead": shown[best]["expected"] - shown[other]["expected"],
        "low": None if low is None else float(min(sign * low, sign * high)),
        "high": None if high is None else float(max(sign * low, sign * high)),
        "p": shuffled_p(ours, theirs, number, rng),
        "is_beyond_bootstrap": bool(low is not None and low > 0),
        "enough": bool(min(np.isfinite(ours).sum(), np.isfinite(theirs).sum()) >= _LEAST),
    }


def _hold_level(others: Sequence[dict[str, Any]]) -> None:
    """Holm's step-down over the values that the best is held against."""
    beaten = True
    for place, other in enumerate(sorted(others, key=lambda each: float(each["p"]))):
        beaten = beaten and other["p"] <= LEVEL / (len(others) - place)
        other["decided"] = bool(beaten and other["enough"] and other["is_beyond_bootstrap"])


def _reason(
    shown: Sequence[Mapping[str, Any]], best: int, others: Sequence[Mapping[str, Any]]
) -> str:
    open_ones = [other for other in others if not other["decided"]]
    if not open_ones:
        return f"{shown[best]['label']} leads every other value by more than the draw explains"
    first = open_ones[0]
    name = shown[first["value"]]["label"]
    if not first["enough"]:
        return f"fewer than {_LEAST} trials that may be chosen for {name} or the best: not decided"
    return f"the lead over {name} may be luck of the draw (p = {first['p']:.2g}): not decided"


def resampled_best(
    draws: FloatArray, rng: np.random.Generator, number: int | None = None
) -> FloatArray:
    """``(R,)`` best of trials drawn with replacement; minus infinity where none had a score."""
    size = (RESAMPLES, number or len(draws))
    best: FloatArray = rng.choice(draws, size=size).max(axis=1)
    return best


def shuffled_p(
    ours: FloatArray, theirs: FloatArray, number: int, rng: np.random.Generator
) -> float:
    """Share of relabellings of both values' trials whose best differ at least as much.

    Exact in expectation under "the value makes no difference", whatever the scores' distribution.
    """
    both = np.concatenate([ours, theirs])

    def gap(order: FloatArray) -> float:
        first = expected_best(order[: len(ours)], number)
        second = expected_best(order[len(ours) :], number)
        return abs(first - second) if np.isfinite(first) and np.isfinite(second) else np.inf

    seen = gap(both)
    least = seen - 1e-12 * max(abs(seen), 1.0)
    found = sum(gap(rng.permutation(both)) >= least for _ in range(RESAMPLES))
    return float((1 + found) / (1 + RESAMPLES))


def _draws(trials: Sequence[StudyTrial], sign: float) -> FloatArray:
    """``(N,)`` of which more is better; minus infinity for a trial that may not be chosen.

    One that failed is no draw of its values: it ended by an error, and is run again.
    """
    return np.array([
        sign * float(trial.score or 0.0) if trial.is_feasible else -np.inf
        for trial in trials
        if trial.status != "failed"
    ])  # fmt: skip


def _is_in(trial: StudyTrial, cell: Mapping[str, Any]) -> bool:
    return all(
        key in trial.values and canonical(trial.values[key]) == canonical(value)
        for key, value in cell.items()
    )
