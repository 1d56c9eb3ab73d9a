"""Rows of the quality table: figures over windows and seeds, and the lift over the best baseline.

    figure     mean over the windows by their decisions, then mean over the seeds, and the seeds'
               standard deviation (ddof 1)
    lift       weighted F1 minus that of the best baseline on the same windows, which is chosen
               with hindsight by the gates' own code; its interval is of the seeds' mean score
               differences, decision by decision, with labels that overlap
    windows    share of (seed, window) that reach the gate's lift on their own

"mean of N seeds" is a model of its own: the mean of the seeds' probabilities.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np

from hfrun.bench.quality_cells import Made
from lob_backtest.config import GatesConfig
from lob_backtest.figures import classification_over_folds, labelled
from lob_backtest.gates import GATE_NAMES, classification_baseline, judge
from lob_backtest.metrics import CLASSIFICATION_KEYS, classification_metrics, confusion_matrix
from lob_backtest.predictions import Predictions, concatenate
from lob_backtest.uncertainty.lift import mean_test, overlap_counts, score_differences

LEVEL = 0.95
RULES = GatesConfig(
    off=[name for name in GATE_NAMES if name not in ("f1_lift", "window_pass_rate")]
)


@dataclass(frozen=True, kw_only=True)
class Lift:
    """How far a contender is above the best baseline, on the same windows.

    Attributes:
        baseline: the best one's name.
        value, low, high: of weighted F1; the interval is None where the two never differ.
        p_value: chance of such a lift where the truth is none, one-sided, before any correction.
        of_gate: the gate's figure: lift over the baseline or over guesses with the same class
            shares, without the window that carries most; mean over the seeds, None for one window.
        reached, windows: (seed, window) pairs that reach the gate's lift, and all of them.
    """

    baseline: str
    value: float
    low: float | None
    high: float | None
    p_value: float
    of_gate: float | None
    reached: int
    windows: int

    @property
    def is_reached(self) -> bool:
        """The aim: the gate's lift, in as large a share of the windows as the gates ask for."""
        return (
            self.value >= RULES.f1_lift
            and self.reached >= RULES.min_window_pass_rate * self.windows
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """A contender on some windows of a book.

    Attributes:
        figures: mean over the seeds of each figure.
        spread: standard deviation over the seeds; empty for one seed.
        by_window: weighted F1 of each window, mean over the seeds.
        n: labelled decisions.
        seconds: of a window's fit and prediction, mean.
        lift: None for a baseline.
    """

    contender: str
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    n: int
    figures: dict[str, float]
    spread: dict[str, float]
    by_window: dict[int, float]
    seconds: float | None
    lift: Lift | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """The test predictions of a contender: one table a seed, all over the same windows."""

    contender: str
    by_seed: Mapping[int, Predictions]
    seconds: float | None

    @classmethod
    def of(cls, contender: str, cells: Sequence[Made]) -> "Tables":
        """Of what is there: the seeds that have most windows, and among them the same ones."""
        seeds = sorted({made.cell.seed for made in cells})
        own = {s: sorted((c for c in cells if c.cell.seed == s), key=_fold) for s in seeds}
        most = max(len(each) for each in own.values())
        folds = next([_fold(made) for made in each] for each in own.values() if len(each) == most)
        whole = {s: each for s, each in own.items() if [_fold(made) for made in each] == folds}
        return cls(
            contender=contender,
            by_seed={s: concatenate([m.predictions for m in each]) for s, each in whole.items()},
            seconds=fmean(m.record["seconds"] for each in whole.values() for m in each),
        )

    @property
    def folds(self) -> tuple[int, ...]:
        return tuple(next(iter(self.by_seed.values())).folds)

    def on(self, folds: Sequence[int]) -> "Tables":
        """The same, on these windows only."""
        chosen = {
            seed: table.select(np.isin(table.fold, folds)) for seed, table in self.by_seed.items()
        }
        return replace(self, by_seed=chosen)

    def together(self) -> "Tables":
        """The mean of the seeds' probabilities, as a model of its own."""
        tables = list(self.by_seed.values())
        mean = np.mean([table.probability for table in tables], axis=0)
        return Tables(
            contender=f"{self.contender}, mean of {len(tables)} seeds",
            by_seed={0: replace(tables[0], probability=mean)},
            seconds=None if self.seconds is None else self.seconds * len(tables),
        )


def row_of(tables: Tables, baselines: Mapping[str, Predictions] | None = None) -> Row:
    """A contender's row; with ``baselines``, of the same windows, also its lift."""
    each = [classification_over_folds(table) for table in tables.by_seed.values()]
    first = next(iter(tables.by_seed.values()))
    by_window = {
        fold: fmean(_f1(table, fold) for table in tables.by_seed.values()) for fold in first.folds
    }
    several = len(each) > 1
    return Row(
        contender=tables.contender,
        seeds=tuple(tables.by_seed),
        folds=tables.folds,
        n=int(first.is_labelled.sum()),
        figures={key: fmean(figures[key] for figures in each) for key in CLASSIFICATION_KEYS},
        spread={key: stdev(figures[key] for figures in each) for key in CLASSIFICATION_KEYS}
        if several
        else {},
        by_window=by_window,
        seconds=tables.seconds,
        lift=lift_of(tables, baselines) if baselines else None,
    )


def best_baseline(baselines: Mapping[str, Predictions]) -> str:
    """The one with the highest weighted F1 over the windows, by the gates' own code."""
    name = classification_baseline(_aggregate(baselines), "best")
    assert name is not None
    return name


def lift_of(tables: Tables, baselines: Mapping[str, Predictions]) -> Lift:
    """The lift over the best of the baselines, which are of the same windows."""
    name = best_baseline(baselines)
    other = baselines[name]
    differences = np.mean(
        [score_differences(table, other) for table in tables.by_seed.values()], axis=0
    )
    statistic, p_value, degrees = mean_test(
        differences, overlap=overlap_counts(other), side="greater"
    )
    low, high = _interval(float(differences.mean()), statistic, degrees)
    gates = [_gates(table, baselines) for table in tables.by_seed.values()]
    windows = len(tables.folds)
    of_gate = [gate["f1_lift"] for gate in gates if gate["f1_lift"] is not None]
    return Lift(
        baseline=name,
        value=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        of_gate=fmean(of_gate) if of_gate else None,
        reached=sum(round((gate["window_pass_rate"] or 0.0) * windows) for gate in gates),
        windows=windows * len(gates),
    )


def _gates(table: Predictions, baselines: Mapping[str, Predictions]) -> dict[str, float | None]:
    """The figures of the two gates that are about F1, as a report judges them."""
    folds = [
        {
            "fold": fold,
            **_fold_figures(table, fold),
            "baselines": {name: _fold_figures(each, fold) for name, each in baselines.items()},
        }
        for fold in table.folds
    ]
    judged = judge(folds=folds, aggregate=_aggregate(baselines), rules=RULES)
    return {gate.name: gate.value for gate in judged}


def _fold_figures(table: Predictions, fold: int) -> dict[str, Any]:
    labels, probability = labelled(table, fold)
    return {
        "n": labels.size,
        "f1_weighted": classification_metrics(labels, probability)["f1_weighted"],
        "confusion": confusion_matrix(labels, probability).tolist(),
    }


def _aggregate(baselines: Mapping[str, Predictions]) -> dict[str, Any]:
    """As much of a report's aggregate as the gates look at to choose the best baseline."""
    scored = {name: classification_over_folds(table) for name, table in baselines.items()}
    return {
        "baselines": {
            name: {"f1_weighted": {"value": each["f1_weighted"]}} for name, each in scored.items()
        }
    }


def _interval(value: float, statistic: float, degrees: float) -> tuple[float | None, float | None]:
    """Two-sided, by Student's t and the standard error that the statistic was formed with."""
    from scipy.special import ndtri, stdtrit  # imported where it is used

    if not math.isfinite(statistic) or statistic == 0:
        return None, None
    tail = 0.5 + LEVEL / 2
    quantile = float(ndtri(tail) if math.isinf(degrees) else stdtrit(degrees, tail))
    half = quantile * value / statistic
    return value - half, value + half


def _f1(table: Predictions, fold: int) -> float:
    labels, probability = labelled(table, fold)
    return classification_metrics(labels, probability)["f1_weighted"]


def _fold(made: Made) -> int:
    return made.cell.fold
