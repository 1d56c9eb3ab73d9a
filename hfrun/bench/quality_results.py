"""From the cells that are there to the table's rows, book by book and horizon by horizon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np

from hfrun.bench.quality_cells import Made
from hfrun.bench.quality_figures import Row, Tables, row_of
from hfrun.bench.quality_plan import BookPlan, Cell, Contender, Horizon
from lob_backtest.baselines import BASELINES
from lob_backtest.uncertainty.comparisons import holm


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Cells that are not there, and why."""

    what: str
    cells: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Deep models of one horizon on the windows that they share, with the baselines on the same.

    Attributes:
        baselines: rows of the baselines on these windows.
        models: rows of the deep models, each with its lift, and of their means over seeds.
        adjusted: Holm's p-value of each row of ``models``, over all comparisons of the page.
    """

    folds: tuple[int, ...]
    baselines: tuple[Row, ...]
    models: tuple[Row, ...]
    adjusted: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AtHorizon:
    """One horizon of a book: the baselines on every window, and the deep models' comparisons."""

    horizon: Horizon
    windows: dict[int, dict[str, Any]]
    baselines: tuple[Row, ...]
    compared: tuple[Compared, ...]
    trainings: tuple[dict[str, Any], ...]

    @property
    def best(self) -> str | None:
        """The best baseline over all windows."""
        rows = [row for row in self.baselines if len(row.folds) == len(self.windows)]
        return max(rows, key=lambda row: row.figures["f1_weighted"]).contender if rows else None


@dataclass(frozen=True, kw_only=True)
class BookResult:
    """All that the page says of a book.

    Attributes:
        alarms: the leak alarms that were raised, in words.
        alarms_tried: how many could be tried, over all cells.
        facts: what made each cell.
    """

    plan: BookPlan
    at: tuple[AtHorizon, ...]
    missing: tuple[Missing, ...] = ()
    alarms: tuple[str, ...] = ()
    alarms_tried: int = 0
    facts: tuple[dict[str, Any], ...] = field(default=(), repr=False)


def book_result(
    plan: BookPlan,
    cells: Sequence[Made],
    models: Sequence[Contender],
    missing: Sequence[Missing] = (),
) -> BookResult:
    """A book's rows from its cells, in the order of the plan."""
    at = []
    for horizon in plan.horizons:
        here = [made for made in cells if made.cell.horizon == horizon.words]
        if here:
            at.append(_at_horizon(horizon, here, models))
    facts = tuple(made.record["made"] for made in cells)
    alarms = [(made.cell, alarm) for made in cells for alarm in made.record["alarms"]]
    return BookResult(
        plan=plan,
        at=tuple(at),
        missing=tuple(missing),
        alarms=tuple(_alarm(cell, alarm) for cell, alarm in alarms if alarm["raised"]),
        alarms_tried=sum(alarm["raised"] is not None for _, alarm in alarms),
        facts=facts,
    )


def with_adjusted(results: Sequence[BookResult]) -> list[BookResult]:
    """The same with Holm's p-values: over every comparison with a baseline that is shown."""
    groups = [compared for result in results for at in result.at for compared in at.compared]
    p_values = [row.lift.p_value for each in groups for row in each.models if row.lift]
    adjusted = iter(holm(np.array(p_values)).tolist() if p_values else [])

    def corrected(compared: Compared) -> Compared:
        own = tuple(next(adjusted) for row in compared.models if row.lift)
        return replace(compared, adjusted=own)

    return [
        replace(
            result,
            at=tuple(
                replace(at, compared=tuple(corrected(each) for each in at.compared))
                for at in result.at
            ),
        )
        for result in results
    ]


def _at_horizon(horizon: Horizon, cells: Sequence[Made], models: Sequence[Contender]) -> AtHorizon:
    by_name: dict[str, list[Made]] = {}
    for made in cells:
        by_name.setdefault(made.cell.contender, []).append(made)
    baselines = {name: Tables.of(name, by_name[name]) for name in BASELINES if name in by_name}
    deep = [Tables.of(each.name, by_name[each.name]) for each in models if each.name in by_name]
    return AtHorizon(
        horizon=horizon,
        windows={made.cell.fold: made.record["window"] for made in sorted(cells, key=_place)},
        baselines=tuple(row_of(tables) for tables in baselines.values()),
        compared=tuple(
            _compared(folds, [each for each in deep if each.folds == folds], baselines)
            for folds in dict.fromkeys(tables.folds for tables in deep)
            if all(set(folds) <= set(each.folds) for each in baselines.values()) and baselines
        ),
        trainings=tuple(_training(by_name[each.name], each) for each in models
                        if each.name in by_name),
    )  # fmt: skip


def _compared(
    folds: tuple[int, ...], deep: Sequence[Tables], baselines: Mapping[str, Tables]
) -> Compared:
    same = {name: each.on(folds) for name, each in baselines.items()}
    tables = {name: each.by_seed[0] for name, each in same.items()}
    rows = []
    for each in deep:
        rows.append(row_of(each, tables))
        if len(each.by_seed) > 1:
            rows.append(row_of(each.together(), tables))
    return Compared(
        folds=folds,
        baselines=tuple(row_of(each) for each in same.values()),
        models=tuple(rows),
    )


def _training(cells: Sequence[Made], contender: Contender) -> dict[str, Any]:
    """How a deep model's fits went, as means over its cells."""
    trainings = [made.record["training"] for made in cells]
    gaps = [
        made.record["training"]["train_accuracy"] - made.record["figures"]["accuracy"]
        for made in cells
    ]
    norms = [each["grad_norm_p95"] for each in trainings if each["grad_norm_p95"] is not None]
    return {
        "contender": contender.name,
        "words": contender.words,
        "overrides": list(contender.overrides),
        "cells": len(cells),
        "parameters": trainings[0]["parameters"],
        "epochs": fmean(each["epochs_trained"] for each in trainings),
        "chosen_epoch": fmean(each["epoch"] for each in trainings),
        "train_test_gap": fmean(gaps),
        "grad_norm_p95": fmean(norms) if norms else None,
        "seconds": fmean(each["seconds"] for each in trainings),
    }


def _alarm(cell: Cell, alarm: dict[str, Any]) -> str:
    where = f"{cell.contender} at {cell.horizon}, seed {cell.seed}, window {cell.fold}"
    return f"{alarm['name']} of {where}: {alarm['reason']}"


def _place(made: Made) -> Cell:
    return made.cell


def best_of(compared: Compared) -> str:
    """The best baseline on a comparison's windows, as the rows' lifts have it."""
    lift = next(row.lift for row in compared.models if row.lift)
    return lift.baseline
