"""Whether cells of a study differ by more than their seeds do.

    score(cell, seed) = mean + cell + seed + rest

A seed draws the same initial weights and the same order of samples in every cell, so cells are
compared seed by seed: a two-way analysis of variance with the seeds as blocks. Which cell is best
was seen on the same scores; Tukey's honest significant difference takes account of that, as its
intervals hold for all pairs of cells at once. For two cells both are the paired t-test.

References: Fisher (1925), Statistical Methods for Research Workers. Tukey (1949), Comparing
Individual Means in the Analysis of Variance, Biometrics 5(2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray, IntArray

LEVEL = 0.95
# Below this share of the scores' size, what is left over is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How much of the spread a factor explains: its F with its degrees of freedom and p-value."""

    name: str
    df: int
    df_rest: int
    f_value: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A cell's mean score minus the best one's, with Tukey's simultaneous interval."""

    cell: int
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """What can be said of a study's cells.

    Args:
        seed_sd: standard deviation over seeds within a cell, pooled over the cells; None for one
            seed.
        cells: indices of the cells that were tested, those with a score for every seed.
        effects: of all cells together (``cells``), and of each factor of a whole grid.
        differences: of every tested cell to the best tested one.
        reason: why there is no test; None where there is.
    """

    seed_sd: float | None
    cells: tuple[int, ...] = ()
    effects: tuple[Effect, ...] = ()
    differences: tuple[Difference, ...] = ()
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "cells": list(self.cells),
            "effects": [vars(effect) for effect in self.effects],
            "differences": [vars(difference) for difference in self.differences],
        }


def seed_spread(
    scores: FloatArray, *, levels: Mapping[str, Sequence[int]], higher_is_better: bool = True
) -> SeedSpread:
    """Test a study's cells against the spread over its seeds.

    Args:
        scores: ``(K, S)`` score of K cells by S seeds; NaN for a trial without one.
        levels: for each factor the level of every cell, K of them.
        higher_is_better: which cell is the best.
    """
    cells = np.flatnonzero(np.isfinite(scores).all(axis=1))
    seed_sd = _pooled_sd(scores)
    tested = tuple(int(cell) for cell in cells)
    if scores.shape[1] < 2:
        reason = "one seed: no spread over seeds to hold a difference against"
        return SeedSpread(seed_sd=seed_sd, cells=tested, reason=reason)
    if len(cells) < 2:
        reason = "fewer than two cells have a score for every seed"
        return SeedSpread(seed_sd=seed_sd, cells=tested, reason=reason)
    whole = scores[cells]
    rest = whole - whole.mean(axis=1, keepdims=True) - whole.mean(axis=0) + whole.mean()
    df_rest = (len(cells) - 1) * (scores.shape[1] - 1)
    rest_ms = float((rest**2).sum() / df_rest)
    if rest_ms <= (_ROUNDING * np.abs(whole).max()) ** 2:
        reason = "the seeds change every cell alike: there is no spread to hold against"
        return SeedSpread(seed_sd=seed_sd, cells=tested, reason=reason)
    chosen = {name: np.asarray(found)[cells] for name, found in levels.items()}
    return SeedSpread(
        seed_sd=seed_sd,
        cells=tested,
        effects=_effects(whole, chosen, rest_ms=rest_ms, df_rest=df_rest),
        differences=_differences(
            whole, cells, rest_ms=rest_ms, df_rest=df_rest, sign=1 if higher_is_better else -1
        ),
    )


def _pooled_sd(scores: FloatArray) -> float | None:
    """Of a score within a cell, over all cells that have at least two."""
    found = [row[np.isfinite(row)] for row in scores]
    within = [((row - row.mean()) ** 2).sum() for row in found if row.size > 1]
    df = sum(row.size - 1 for row in found if row.size > 1)
    return float(np.sqrt(sum(within) / df)) if df else None


def _effects(
    scores: FloatArray, levels: Mapping[str, IntArray], *, rest_ms: float, df_rest: int
) -> tuple[Effect, ...]:
    """F of all cells, and in a whole grid of each factor and of what they do together."""
    from scipy import stats

    means, n_seeds = scores.mean(axis=1), scores.shape[1]

    def effect(name: str, squares: float, df: int) -> Effect:
        f_value = squares / df / rest_ms
        p_value = float(stats.f.sf(f_value, df, df_rest))
        return Effect(name=name, df=df, df_rest=df_rest, f_value=float(f_value), p_value=p_value)

    whole = n_seeds * float(((means - means.mean()) ** 2).sum())
    found = [effect("cells", whole, len(means) - 1)]
    varied = {name: level for name, level in levels.items() if len(set(level.tolist())) > 1}
    sizes = [len(set(level.tolist())) for level in varied.values()]
    if len(varied) < 2 or int(np.prod(sizes)) != len(means):
        return tuple(found)
    left, df_left = whole, len(means) - 1
    for name, level in varied.items():
        of_level = np.array([means[level == value].mean() for value in level])
        squares, df = n_seeds * float(((of_level - means.mean()) ** 2).sum()), len(set(level)) - 1
        found.append(effect(name, squares, df))
        left, df_left = left - squares, df_left - df
    found.append(effect("interaction", max(left, 0.0), df_left))
    return tuple(found)


def _differences(
    scores: FloatArray, cells: IntArray, *, rest_ms: float, df_rest: int, sign: int
) -> tuple[Difference, ...]:
    from scipy.stats import studentized_range

    means, n_cells = scores.mean(axis=1), len(cells)
    best = int(np.argmax(sign * means))
    error = np.sqrt(rest_ms / scores.shape[1])
    half = float(studentized_range.ppf(LEVEL, n_cells, df_rest)) * error
    found = []
    for index in range(n_cells):
        if index == best:
            continue
        difference = float(means[index] - means[best])
        p_value = float(studentized_range.sf(abs(difference) / error, n_cells, df_rest))
        found.append(
            Difference(
                cell=int(cells[index]), difference=difference, low=difference - half,
                high=difference + half, p_value=min(max(p_value, 0.0), 1.0),
            )
        )  # fmt: skip
    return tuple(found)
