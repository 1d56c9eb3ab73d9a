"""One draw for all strategies: figures, their errors, intervals, and leads over each baseline."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.resampling.cells import Cells, Figures, influence, totals
from lob_backtest.uncertainty.bootstrap import block_length
from lob_backtest.uncertainty.comparisons import romano_wolf
from lob_backtest.uncertainty.intervals import Studentized, studentize, unanimous_interval
from lob_backtest.uncertainty.lift import unanimous_p_value
from lob_backtest.uncertainty.long_run import n_cosines

LEVEL = 0.95
METHOD = "studentized stationary bootstrap"
# Figures whose leads over all baselines are also judged together.
ADJUSTED_KEYS = ("f1_weighted", "net_return")

Interval = tuple[float | None, float | None]
# A figure that depends on the order: its value, and from drawn cells (r, C) its values (r,).
Path = tuple[float, Callable[[IntArray], FloatArray]]
# Where a figure can be; an interval that reaches beyond says nothing more.
_RANGES = {
    "accuracy": (0.0, 1.0), "majority_accuracy": (0.0, 1.0), "f1_weighted": (0.0, 1.0),
    "f1_macro": (0.0, 1.0), "mcc": (-1.0, 1.0), "ece": (0.0, 1.0), "brier": (0.0, 2.0),
    "max_drawdown": (0.0, math.inf), "volatility": (0.0, math.inf), "turnover": (0.0, math.inf),
    "trades": (0.0, math.inf), "hit_rate": (0.0, 1.0),
}  # fmt: skip
_FEWEST_CELLS = 4  # fewer do not show how they vary


@dataclass(frozen=True, kw_only=True)
class Lead:
    """By how much the model is ahead of a baseline in one figure: model minus baseline.

    Attributes:
        difference: of the figures; None where one of them is undefined, like the rest.
        low, high: its interval.
        p_value: two-sided, of no difference.
        p_adjusted: the same for all baselines together; None for figures that are not in
            ``ADJUSTED_KEYS``.
    """

    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """What one draw says of every strategy.

    Attributes:
        of: by strategy and figure, low and high; None, None where the figure is undefined or there
            is too little data.
        mean_block: mean length of the blocks, in decisions or bars.
        leads: by strategy (all but the first) and figure: the first one's lead.
    """

    of: Mapping[str, Mapping[str, Interval]]
    mean_block: float
    leads: Mapping[str, Mapping[str, Lead]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """What is drawn from.

    Attributes:
        names: S strategies; the first one leads.
        keys: M figures.
        cells: that are drawn.
        sums: ``(C, K)`` of each strategy.
        figures: from sums to figures; NaN for those in ``paths``.
        overlap: rows that share a part of the same label.
        pace: ``(C,)`` of the first strategy; how it follows itself sets the block length.
        paths: by figure, of each strategy: figures that depend on the order of the cells.
        shares: by figure, of each strategy: how many independent trials the figure is the share of
            successes of; 0 where there is none.
    """

    names: Sequence[str]
    keys: Sequence[str]
    cells: Cells
    sums: Sequence[FloatArray]
    figures: Figures
    overlap: float
    pace: FloatArray
    paths: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    shares: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def mean_block(self) -> float:
        """In cells: as the pace asks for, and no shorter than labels overlap."""
        wanted = max(block_length(self.pace), self.cell_overlap)
        return min(wanted, float(self.cells.count))

    @property
    def cell_overlap(self) -> float:
        """Cells that share a part of the same label."""
        return max(1.0, self.overlap * self.cells.count / self.cells.n)


def intervals_of(draw: Draw, *, n_resamples: int, rng: np.random.Generator) -> Intervals:
    """Intervals of every figure of every strategy, and of the first one's leads.

    Args:
        draw: at least one strategy.
        n_resamples: at least 1.
        rng: randomness.
    """
    mean_block = draw.mean_block
    in_rows = mean_block * draw.cells.n / draw.cells.count
    n_keys, others = len(draw.keys), range(1, len(draw.names))
    if draw.cells.count < _FEWEST_CELLS:
        nothing = dict.fromkeys(draw.keys, (None, None))
        return Intervals(of=dict.fromkeys(draw.names, nothing), mean_block=in_rows)
    found = _studentized(draw, mean_block=mean_block, n_resamples=n_resamples, rng=rng)
    of = {
        name: {key: _interval(draw, found, i, j, i * n_keys + j) for j, key in enumerate(draw.keys)}
        for i, name in enumerate(draw.names)
    }
    # After the figures of all strategies come the leads, baseline by baseline.
    first_lead = len(draw.names) * n_keys
    leads = {
        draw.names[i]: {
            key: _lead(draw, found, first_lead + (i - 1) * n_keys + j)
            for j, key in enumerate(draw.keys)
        }
        for i in others
    }
    for key in set(ADJUSTED_KEYS) & set(draw.keys):
        columns = [first_lead + (i - 1) * n_keys + draw.keys.index(key) for i in others]
        _adjust(leads, key, found, columns)
    return Intervals(of=of, mean_block=in_rows, leads=leads)


def _studentized(
    draw: Draw, *, mean_block: float, n_resamples: int, rng: np.random.Generator
) -> Studentized:
    n_keys = len(draw.keys)
    each = [influence(draw.cells, sums, draw.figures) for sums in draw.sums]
    value = np.concatenate([own for own, _ in each])
    influences = np.column_stack([own for _, own in each])
    for key, paths in draw.paths.items():
        value[draw.keys.index(key) :: n_keys] = [own for own, _ in paths]
    own = np.arange(n_keys)
    differences = np.array(
        [(j, i * n_keys + j) for i in range(1, len(draw.names)) for j in own], dtype=np.int64
    ).reshape(-1, 2)

    def resample(drawn: IntArray) -> FloatArray:
        figures = [draw.figures(totals(draw.cells, sums, drawn)) for sums in draw.sums]
        for key, paths in draw.paths.items():
            for columns, (_, of_drawn) in zip(figures, paths, strict=True):
                columns[:, draw.keys.index(key)] = of_drawn(drawn)
        return np.column_stack(figures)

    leads = influences[:, differences[:, 0]] - influences[:, differences[:, 1]]
    return studentize(
        value,
        influences,
        resample,
        n_terms=_terms(draw, np.column_stack([influences, leads])),
        mean_block=mean_block,
        n_resamples=n_resamples,
        rng=rng,
        differences=differences,
    )


def _terms(draw: Draw, influences: FloatArray) -> IntArray:
    """How many cosines measure the error of each figure, by how its own influence forgets."""
    n = draw.cells.count
    blocks = [block_length(column) if np.isfinite(column).all() else 1.0 for column in influences.T]
    return np.array([n_cosines(n, mean_block=block, overlap=draw.cell_overlap) for block in blocks])


def _interval(draw: Draw, found: Studentized, i: int, j: int, column: int) -> Interval:
    key, value = draw.keys[j], float(found.value[column])
    if math.isnan(value):
        return None, None
    low, high = found.interval(column, confidence=LEVEL)
    if key in draw.shares and found.error[column] == 0:
        low, high = unanimous_interval(value, draw.shares[key][i], confidence=LEVEL)
    least, most = _RANGES.get(key, (-math.inf, math.inf))
    # The value itself may be beyond by a rounding.
    return max(low, min(least, value)), min(high, max(most, value))


def _lead(draw: Draw, found: Studentized, column: int) -> Lead:
    difference = float(found.value[column])
    if math.isnan(difference):
        return Lead()
    if found.error[column] == 0:  # ahead by the same everywhere
        p_value = unanimous_p_value(difference, draw.cells.n / draw.overlap)
        if difference != 0 and p_value > 1 - LEVEL:
            return Lead(difference=difference, p_value=p_value)  # too few to show how it varies
        return Lead(difference=difference, low=difference, high=difference, p_value=p_value)
    low, high = found.interval(column, confidence=LEVEL)
    return Lead(difference=difference, low=low, high=high, p_value=found.p_value(column))


def _adjust(
    leads: dict[str, dict[str, Lead]], key: str, found: Studentized, columns: list[int]
) -> None:
    """Put the p-values of one figure's leads, for all baselines together, into them.

    Those of Romano and Wolf, from the scores of the same resamples; never below the plain ones.
    """
    names = list(leads)
    tested = [i for i, column in enumerate(columns) if found.error[column] > 0]
    adjusted = {name: leads[name][key].p_value for name in names}
    if tested:
        chosen = [columns[i] for i in tested]
        scores = np.abs(found.value[chosen] / found.error[chosen])
        stepped = romano_wolf(scores, np.nan_to_num(np.abs(found.scores[:, chosen])))
        for i, p_value in zip(tested, stepped, strict=True):
            adjusted[names[i]] = max(float(p_value), leads[names[i]][key].p_value or 0.0)
    for name in names:
        if leads[name][key].difference is not None:
            leads[name][key] = replace(leads[name][key], p_adjusted=adjusted[name])
