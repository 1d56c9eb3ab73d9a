"""Which figures of two reports may be drawn together, and why the others may not.

Reports pair where they were made on the same test blocks. Figures of classification need the same
labels beside that, and figures of money the same costs, latency, execution, capital and bars:
otherwise a difference would be one of questions or of prices, not one of models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.metrics import N_CLASSES
from lob_backtest.resampling.cells import Cells

CLASSIFICATION_PAIRED = ("f1_weighted", "f1_macro", "accuracy", "mcc", "brier")
MONEY_PAIRED = ("net_return", "gross_return", "sharpe", "volatility")
_FEWEST = 4  # blocks; fewer do not show how they vary
# What trades pay and how they are filled, by its name in the report's backtest section.
_MARKET = {
    "costs": "at other costs",
    "latency_ns": "at another latency",
    "execution": "by another execution",
    "capital": "on another capital",
    "bar_seconds": "in other bars",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairing:
    """What the first report and another have in common.

    Attributes:
        first, other: ``(C,)`` places of the common blocks in the reports' columns.
        n_first, n_other: blocks that the reports have.
        why_not: by kind (``classification``, ``money``), why its figures are not paired.
    """

    first: IntArray
    other: IntArray
    n_first: int
    n_other: int
    why_not: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Whether both reports consist of the common blocks alone."""
        return self.first.size == self.n_first == self.n_other


def pair(first: Mapping[str, Any], other: Mapping[str, Any]) -> Pairing:
    """Match the blocks of two reports by their instants, and say what stands in the way."""
    nothing = np.array([], dtype=np.int64)
    blocks = [report.get("blocks") or {} for report in (first, other)]
    if not all(own.get("start_ns") for own in blocks):
        why = "a report has no blocks; score its predictions again to get them"
        return _unpaired(nothing, blocks, dict.fromkeys(("classification", "money"), why))
    places = [{key: i for i, key in enumerate(_keys(own))} for own in blocks]
    common = [key for key in places[0] if key in places[1]]
    if len(common) < _FEWEST:
        why = f"{len(common)} of {len(places[0])} test blocks are the same; needs {_FEWEST}"
        return _unpaired(nothing, blocks, dict.fromkeys(("classification", "money"), why))
    chosen = [np.array([own[key] for key in common], dtype=np.int64) for own in places]
    whys = {
        "classification": _labels_differ(blocks, chosen),
        "money": _market_differs(first, other) or _bars_differ(blocks, chosen),
    }
    return Pairing(
        first=chosen[0],
        other=chosen[1],
        n_first=len(places[0]),
        n_other=len(places[1]),
        why_not={kind: why for kind, why in whys.items() if why},
    )


def cells_of(blocks: Mapping[str, Any], chosen: IntArray) -> Cells:
    """The chosen blocks as what is drawn, with their folds as parts."""
    fold = np.asarray(blocks["fold"], dtype=np.int64)[chosen]
    # combinatorial splits come back to a fold's blocks, but their columns go fold by fold
    part = np.cumsum(np.diff(fold, prepend=fold[0]) != 0, dtype=np.int64)
    return Cells(start=np.arange(chosen.size, dtype=np.int64), part=part, n=int(chosen.size))


def column(blocks: Mapping[str, Any], name: str, chosen: IntArray) -> FloatArray:
    """Chosen rows of a column of numbers."""
    return np.asarray(blocks[name], dtype=np.float64)[chosen]


def _keys(blocks: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Begin and end of each block, and the how-manieth with these it is (splits that overlap)."""
    seen: dict[tuple[int, int], int] = {}
    keys = []
    for span in zip(blocks["start_ns"], blocks["end_ns"], strict=True):
        seen[span] = seen.get(span, -1) + 1
        keys.append((*span, seen[span]))
    return keys


def _unpaired(
    nothing: IntArray, blocks: Sequence[Mapping[str, Any]], why_not: Mapping[str, str]
) -> Pairing:
    counts = [len(own.get("start_ns") or []) for own in blocks]
    return Pairing(
        first=nothing, other=nothing, n_first=counts[0], n_other=counts[1], why_not=why_not
    )


def _labels_differ(blocks: Sequence[Mapping[str, Any]], chosen: Sequence[IntArray]) -> str:
    """Where the counts of the true classes in a block differ, the labels do."""
    true = [
        column(own, "confusion", rows).reshape(-1, N_CLASSES, N_CLASSES).sum(axis=2)
        for own, rows in zip(blocks, chosen, strict=True)
    ]
    differ = int((true[0] != true[1]).any(axis=1).sum())
    if not differ:
        return ""
    return f"the labels or the decisions differ in {differ} of {chosen[0].size} common blocks"


def _market_differs(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    rules = [report.get("backtest") for report in (first, other)]
    if rules[0] is None or rules[1] is None:
        return "a report has no backtest"
    differ = [words for key, words in _MARKET.items() if rules[0].get(key) != rules[1].get(key)]
    return f"one was traded {', '.join(differ)}" if differ else ""


def _bars_differ(blocks: Sequence[Mapping[str, Any]], chosen: Sequence[IntArray]) -> str:
    bars = [own["bars"] for own in blocks]
    if any(None in own for own in bars):
        return "a report has no money in its blocks"
    counts = [column(own, "bars", rows) for own, rows in zip(blocks, chosen, strict=True)]
    return "" if (counts[0] == counts[1]).all() else "the bars of the blocks differ"
