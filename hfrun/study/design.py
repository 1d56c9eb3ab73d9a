"""The trials of the exploration, all made at once before the first of them runs.

    round 1   point (0.21, 0.83)   in every cell, in a seeded order
    round 2   point (0.71, 0.33)   in every cell ...
    last      as many cells of it as the budget has left, drawn by lot

Every cell gets the same nuisance points and their turns alternate, so wherever a study is stopped
no scientific value has been searched better than another by more than one trial. The points are a
low-discrepancy sequence: every stretch of it covers the space evenly, with no plan of how long it
will be.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hfrun.study.space import Parameter, Space, canonical
from lob_backtest.errors import ConfigError

Kind = Literal["sobol", "halton", "random", "grid"]
_MOST_COUNTED = 100_000  # combinations of a grid that is too large
_MOST_REPEATS = 256  # points in a row that bring nothing new before all values are gone through


def design(space: Space, *, trials: int, kind: Kind, seed: int) -> list[dict[str, Any]]:
    """The values of each trial, in the order in which they are to be run.

    Args:
        space: what is varied.
        trials: of all cells together.
        kind: "sobol" (scrambled, the start of a sequence of the next power of 2 points), "halton"
            (scrambled), "random" or "grid" (all listed values, and evenly spaced ones of ranges,
            bounds included, as many as the budget carries).
        seed: of the scrambling and of the order.

    Returns:
        Scientific values and the nuisance ones that are set. No trial twice: there are fewer than
        ``trials`` where the next larger grid does not fit in them, or where a cell has no more
        values to try (its turns are left unused). With more trials the list begins in the same
        way; only a grid becomes another one.

    Raises:
        ConfigError: fewer trials than cells, or a grid of the listed values alone that the budget
            does not carry.

    References: Sobol' (1967); Matousek (1998), On the L2-discrepancy for anchored boxes, J.
    Complexity 14 (the scrambling, with a digital shift); Owen (2017), A randomized Halton
    algorithm in R, arXiv:1706.02808.
    """
    # numbers, not a SeedSequence: scipy would take new ones from it for every cell
    for_points, for_order = np.random.SeedSequence(seed).generate_state(2, np.uint64).tolist()
    order = np.random.default_rng(for_order)
    cells = space.cells()
    if trials < len(cells):
        raise ConfigError(
            f"study.budget.trials={trials}: there are {len(cells)} combinations of scientific "
            "values, and each needs a trial; raise it, or leave out values"
        )
    if kind == "grid":
        return _grid(space, trials, order)
    share = -(-trials // len(cells))
    turns = [_of_cell(space, cell, kind=kind, seed=for_points, first=share) for cell in cells]
    rounds = [
        [next(turns[index], None) for index in order.permutation(len(cells))] for _ in range(share)
    ]
    return [values for one in rounds for values in one if values is not None][:trials]


def _of_cell(
    space: Space,
    cell: Mapping[str, Any],
    *,
    kind: Literal["sobol", "halton", "random"],
    seed: int,
    first: int,
) -> Iterator[dict[str, Any]]:
    """A cell's trials one after the other, none of them twice, until it has no more values."""
    drawn: set[str] = set()
    repeats = 0
    ahead = sequence(len(space.nuisance), kind=kind, seed=seed, first=first)
    few = itertools.takewhile(lambda _: repeats < _MOST_REPEATS, ahead)
    for point in itertools.chain(few, every_point(space, cell)):
        values = space.values(cell, point)
        repeats += 1
        if canonical(values) not in drawn:
            drawn.add(canonical(values))
            repeats = 0
            yield values


def sequence(
    dimensions: int,
    *,
    kind: Literal["sobol", "halton", "random"],
    seed: int,
    first: int,
) -> Iterator[Sequence[float]]:
    """Endless positions ``(D,)``; the same ones however many are ``first`` drawn in one go."""
    draw = _drawer(dimensions, kind, seed)
    total, drawn = 1 << max(first - 1, 0).bit_length(), 0
    while True:
        # whole powers of 2: only so is Sobol's sequence balanced, and scipy warns of anything else
        yield from draw(total - drawn).tolist()
        total, drawn = 2 * total, total


def every_point(space: Space, cell: Mapping[str, Any]) -> Iterator[Sequence[float]]:
    """A position ``(D,)`` for each combination of a cell's values; none if one is continuous.

    Combinations that differ only in what is not set beside the others are there more than once.
    """
    reached = {each.key for each in space.reachable(cell)}
    held = [_middles(each) if each.key in reached else [0.5] for each in space.nuisance]
    yield from itertools.product(*held)


def _middles(parameter: Parameter) -> list[float]:
    """The position of each of its values; none where it is continuous."""
    if parameter.values is not None:
        return [parameter.unit(value) for value in parameter.values]
    if parameter.levels is None or parameter.low is None:
        return []
    return [parameter.unit(parameter.low + place) for place in range(parameter.levels)]


def _drawer(
    dimensions: int, kind: Literal["sobol", "halton", "random"], seed: int
) -> Callable[[int], npt.NDArray[np.float64]]:
    """A function of n that draws the next n points ``(n, D)``."""
    rng = np.random.default_rng(seed)
    if kind == "random" or not dimensions:
        return lambda n: rng.random((n, dimensions))
    from scipy.stats import qmc

    engine = qmc.Halton if kind == "halton" else qmc.Sobol
    held: Callable[[int], npt.NDArray[np.float64]] = engine(
        dimensions, scramble=True, rng=rng
    ).random
    return held


# ---- grid ----


def _grid(space: Space, trials: int, order: np.random.Generator) -> list[dict[str, Any]]:
    """Whole grids only: as many levels of each range as fit, the fewest first."""
    counts = {each.key: 1 for each in space.nuisance if each.values is None}
    held = _combinations(space, counts, trials)
    if held is None:
        whole = _combinations(space, counts, _MOST_COUNTED)
        needs = f"more than {_MOST_COUNTED}" if whole is None else sum(len(each) for each in whole)
        raise ConfigError(
            f"study.budget.trials={trials}: a grid of the listed values needs {needs}; raise it, "
            "leave out values, or choose design: sobol"
        )
    growing = list(counts)
    levels = {each.key: each.levels for each in space.nuisance}
    while growing:
        key = min(growing, key=lambda name: counts[name])
        larger = {**counts, key: counts[key] + 1}
        most = levels[key]
        more = None
        if most is None or larger[key] <= most:
            more = _combinations(space, larger, trials)
        if more is None or (most is None and larger[key] > trials):
            growing.remove(key)
        else:
            counts, held = larger, more
    return _by_rounds(space, held, order)


def _combinations(
    space: Space, counts: Mapping[str, int], most: int
) -> list[list[dict[str, Any]]] | None:
    """For each cell all combinations of those that are set; None where they are too many."""
    levels = {each.key: _levels(each, counts.get(each.key, 0)) for each in space.nuisance}
    found: list[list[dict[str, Any]]] = []
    for cell in space.cells():
        held = [dict(cell)]
        for parameter in space.nuisance:
            held = [
                {**values, parameter.key: level} if level is not _NOT_SET else values
                for values in held
                for level in (
                    levels[parameter.key] if space.is_set(parameter, values) else [_NOT_SET]
                )
            ]
            if len(held) > most:
                return None
        found.append(held)
    return found if sum(len(held) for held in found) <= most else None


_NOT_SET = object()


def _levels(parameter: Parameter, count: int) -> list[Any]:
    """Evenly spaced values on its own scale, both bounds among them; one alone is the middle."""
    if parameter.values is not None:
        return list(parameter.values)
    if parameter.levels is not None and count >= parameter.levels:
        assert parameter.low is not None
        return [int(parameter.low) + place for place in range(parameter.levels)]
    places: npt.NDArray[np.float64] = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    held = [parameter.at(place) for place in places.tolist()]
    return list(dict.fromkeys(held))


def _by_rounds(
    space: Space, held: Sequence[Sequence[Mapping[str, Any]]], order: np.random.Generator
) -> list[dict[str, Any]]:
    """The same nuisance values in every cell that has them, then the next, in a seeded order."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    for cell in held:
        for values in cell:
            own = {key: value for key, value in values.items() if key not in space.scientific}
            rounds.setdefault(canonical(own), []).append(dict(values))
    texts = list(rounds)
    turns = [rounds[texts[place]] for place in order.permutation(len(texts))]
    return [turn[place] for turn in turns for place in order.permutation(len(turn))]
