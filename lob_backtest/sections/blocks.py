"""Sufficient statistics of the model in blocks of equal time: what two reports are compared by.

    fold 0  |  b0  |  b1  | ... |  b19  |    fold 1  |  b0  | ...

A block holds sums, so that figures of any set of blocks follow: counts of (true, said), squared
errors, and the bars' profits. Reports over the same test blocks can then be drawn anew together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lob_backtest.book import Book, IntArray
from lob_backtest.metrics import N_CLASSES, said_classes
from lob_backtest.portfolio import Account
from lob_backtest.sections.parts import Part

N_BLOCKS = 20


def blocks_section(
    parts: Sequence[Part], account: Account | None, *, n_blocks: int = N_BLOCKS
) -> dict[str, list[Any]]:
    """Columns over the blocks of all folds, in the order of folds and time.

    ``fold, start_ns, end_ns`` (the block holds ``start_ns <= t < end_ns``), ``n`` labelled
    decisions, ``confusion`` counts of true and said (row by row), ``brier`` sum of the squared
    errors, ``gross``, ``net`` and ``square_net`` sums of the bars' returns on capital and of their
    squares, ``bars`` how many. The time between sessions does not count in a block's length.

    Args:
        parts: one an instrument; their decisions of a fold share its blocks.
        account: the model's; None leaves money null.
        n_blocks: in each fold.
    """
    names = ("fold", "start_ns", "end_ns", "n", "confusion", "brier", "gross", "net",
             "square_net", "bars")  # fmt: skip
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for fold in sorted({fold for part in parts for fold in part.test.folds}):
        edges = _edges(parts, fold, n_blocks)
        columns["fold"] += [fold] * n_blocks
        columns["start_ns"] += edges[:-1].tolist()
        columns["end_ns"] += edges[1:].tolist()
        for name, values in (_decided(parts, fold, edges) | _earned(account, fold, edges)).items():
            columns[name] += values
    return columns


def _edges(parts: Sequence[Part], fold: int, n_blocks: int) -> IntArray:
    """``(n_blocks + 1,)`` instants that cut the fold's trading time into equal lengths."""
    own = [part.test.decided_ns[part.test.fold == fold] for part in parts]
    own = [decided_ns for decided_ns in own if decided_ns.size]
    start, stop = min(int(d[0]) for d in own), max(int(d[-1]) for d in own) + 1
    opens, closes = _trading_time(parts[0].book, start, stop)
    passed = np.append(0, np.cumsum(closes - opens))
    wanted = passed[-1] * np.arange(n_blocks + 1, dtype=object) // n_blocks  # no overflow
    wanted = wanted.astype(np.int64)
    session = np.clip(np.searchsorted(passed, wanted, side="right") - 1, 0, opens.size - 1)
    edges = opens[session] + wanted - passed[session]
    edges[-1] = stop
    return np.asarray(edges, dtype=np.int64)


def _trading_time(book: Book, start: int, stop: int) -> tuple[IntArray, IntArray]:
    """Begin and end of each session's part of ``start <= t < stop``."""
    first = book.time_ns[book.session_starts[:-1]]
    last = book.time_ns[book.session_starts[1:] - 1] + 1
    opens, closes = np.maximum(first, start), np.minimum(last, stop)
    open_at_all = closes > opens
    if not open_at_all.any():  # another instrument's hours
        return np.array([start], dtype=np.int64), np.array([stop], dtype=np.int64)
    return opens[open_at_all], closes[open_at_all]


def _decided(parts: Sequence[Part], fold: int, edges: IntArray) -> dict[str, list[Any]]:
    n_blocks = edges.size - 1
    counts = np.zeros((n_blocks, N_CLASSES**2), dtype=np.int64)
    squared = np.zeros(n_blocks)
    for part in parts:
        known = (part.test.fold == fold) & part.test.is_labelled
        label, probability = part.test.label[known], part.test.probability[known]
        block = _block_of(part.test.decided_ns[known], edges)
        cell = N_CLASSES * label + said_classes(probability)[0]
        error = ((probability - np.eye(N_CLASSES)[label]) ** 2).sum(axis=1)
        flat = np.bincount(block * N_CLASSES**2 + cell, minlength=counts.size)
        counts += flat.reshape(counts.shape)
        squared += np.bincount(block, error, minlength=n_blocks)
    return {
        "n": counts.sum(axis=1).tolist(),
        "confusion": counts.tolist(),
        "brier": squared.tolist(),
    }


def _earned(account: Account | None, fold: int, edges: IntArray) -> dict[str, list[Any]]:
    n_blocks = edges.size - 1
    if account is None:
        return {name: [None] * n_blocks for name in ("gross", "net", "square_net", "bars")}
    bars = account.fold == fold
    block = _block_of(account.bar_end_ns[bars], edges)
    gross, net = account.gross_pnl[bars] / account.capital, account.net_returns[bars]

    def sums(values: Any) -> list[Any]:
        return [float(v) for v in np.bincount(block, values, minlength=n_blocks)]

    return {
        "gross": sums(gross),
        "net": sums(net),
        "square_net": sums(net**2),
        "bars": np.bincount(block, minlength=n_blocks).tolist(),
    }


def _block_of(time_ns: IntArray, edges: IntArray) -> IntArray:
    """Block of each instant; what trades after the last decision belongs to the last block."""
    place = np.searchsorted(edges, time_ns, side="right") - 1
    return np.clip(place, 0, edges.size - 2).astype(np.int64)
