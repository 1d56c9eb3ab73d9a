"""Isolation: how good each scientific value is once its nuisance hyperparameters are tuned for it.

    score |      o                    each scientific value with its best trial (o), which is what
          |  o   :   o                is compared, and the spread of that best over which nuisance
          |  :   :   .                points happened to be drawn
          +-------------

A best of more trials is better by number alone, so values are ordered by the expected best of
equally many of their trials.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from hfrun.study.analysis.axis import Axis, by_score
from hfrun.study.analysis.best_of_n import expected_best
from hfrun.study.analysis.draws import Draws, draws_of, is_in
from hfrun.study.analysis.leads import hold_level, lead_over, redrawn_best
from hfrun.study.grid import cell_label, value_label
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.book import FloatArray

_OF_THE_SECOND = ("lead", "low", "high", "gain", "p", "test")
TOP = 3  # trials whose mean tells whether the best stands alone


def cells_of(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Every combination of the scientific values; one empty one where there are none."""
    scientific = [axis for axis in axes if axis.role == "scientific"]
    keys = [axis.key for axis in scientific]
    return [dict(zip(keys, values, strict=True))
            for values in product(*(axis.values for axis in scientific))]  # fmt: skip


def isolation_plots(
    data: StudyData, axes: Sequence[Axis], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """For each scientific hyperparameter its values, each with its best over everything else.

    With several there is one more, of their combinations, whose ``key`` is None: inside each of
    them the nuisance hyperparameters were tuned.
    """
    scientific = [axis for axis in axes if axis.role == "scientific"]
    plots = [
        _plot(data, axis.key, axis.name, [{axis.key: value} for value in axis.values], rng)
        for axis in scientific
    ]
    if len(scientific) > 1:
        name = " and ".join(axis.name for axis in scientific)
        plots.append(_plot(data, None, name, cells_of(axes), rng))
    return plots


def _plot(
    data: StudyData,
    key: str | None,
    name: str,
    cells: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    sign = 1.0 if data.higher_is_better else -1.0
    draws = draws_of(data, data.explored, cells)
    columns = [draws.of(place) for place in range(len(cells))]
    number = min((len(each) for each in columns if np.isfinite(each).any()), default=0)
    shown = []
    for cell, column in zip(cells, columns, strict=True):
        trials = [trial for trial in data.explored if is_in(trial, cell)]
        label = cell_label(cell) if key is None else value_label(cell[key])
        held = _value(trials, column, number, sign, data, rng)
        shown.append({"values": dict(cell), "label": label, **held})
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
    """One scientific value: its best trial, and how far that depends on the draw."""
    feasible = by_score([trial for trial in trials if trial.is_feasible], data)
    scores = [float(trial.score or 0.0) for trial in feasible]
    statuses = [trial.status for trial in trials]
    low, high, sd = _spread(draws, sign, rng)
    return {
        "trials": [trial.number for trial in trials],
        "n": len(trials),
        "done": statuses.count("done"),
        "feasible": len(feasible),
        "diverged": statuses.count("diverged"),
        "pruned": statuses.count("pruned"),
        "failed": statuses.count("failed"),
        "best": scores[0] if scores else None,
        "best_trial": feasible[0].number if feasible else None,
        "low": low,
        "high": high,
        "sd": sd,
        "expected": sign * float(expected_best(draws, number)) if scores else None,
        "top_mean": fmean(scores[:TOP]) if scores else None,
        "top_n": len(scores[:TOP]),
        "scores": scores,
    }


def _spread(
    draws: FloatArray, sign: float, rng: np.random.Generator
) -> tuple[float | None, float | None, float | None]:
    """95 % of the bests of redrawn trials, and their standard deviation."""
    if np.isfinite(draws).sum() < 2:
        return None, None, None
    best = redrawn_best(draws, rng)
    best = best[np.isfinite(best)]
    low, high = np.quantile(best, [0.025, 0.975])
    if sign < 0:
        low, high = -high, -low
    return float(low), float(high), float(best.std(ddof=1))


def _comparison(
    shown: Sequence[Mapping[str, Any]], draws: Draws, sign: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Whether the best value leads by more than luck; ``decided`` is None where none compare.

    ``lead``, ``low``, ``high``, ``gain`` and ``p`` are those over the second.
    """
    there = [place for place, value in enumerate(shown) if value["expected"] is not None]
    order = sorted(there, key=lambda place: (-sign * shown[place]["expected"], place))
    if len(order) < 2:
        told = f"only {shown[order[0]]['label']} has a trial" if order else "there is no trial"
        absent = dict.fromkeys(("second", *_OF_THE_SECOND, "decided"))
        return {"best": order[0] if order else None, **absent, "others": [],
                "reason": f"{told} that may be chosen: nothing to compare"}  # fmt: skip
    best, *rest = order
    others = [lead_over(draws, best, other, sign, rng) for other in rest]
    hold_level(others)
    second = others[0]
    return {
        "best": best,
        "second": second["value"],
        **{name: second[name] for name in _OF_THE_SECOND},
        "decided": all(other["decided"] for other in others),
        "others": others,
        "reason": _reason(shown, best, others),
    }


def _reason(
    shown: Sequence[Mapping[str, Any]], best: int, others: Sequence[Mapping[str, Any]]
) -> str:
    open_ones = [other for other in others if not other["decided"]]
    if not open_ones:
        return f"{shown[best]['label']} leads every other value by more than luck explains"
    first = open_ones[0]
    name = shown[first["value"]]["label"]
    if not first["is_enough"]:
        return f"only {first['feasible']} trials of {name} or the best may be chosen: not decided"
    return f"its lead over {name} may be luck (p = {first['p']:.2g}, {first['test']}): not decided"
