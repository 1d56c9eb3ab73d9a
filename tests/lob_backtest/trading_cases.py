"""Random decisions, folds and targets on a book, for the tests of orders and portfolio."""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.orders import Orders, Span, fold_spans, orders_from_targets
from lob_backtest.signals import block_bounds


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """What a strategy decided on a book."""

    book: Book
    decided_ns: IntArray
    fold: IntArray
    targets: FloatArray
    latency_ns: int

    @property
    def orders(self) -> Orders:
        return orders_from_targets(
            self.book, self.decided_ns, self.fold, self.targets, latency_ns=self.latency_ns
        )

    @property
    def spans(self) -> list[Span]:
        return fold_spans(self.book, self.decided_ns, self.fold, latency_ns=self.latency_ns)


def random_case(
    rng: np.random.Generator,
    book: Book,
    *,
    n_decisions: int = 30,
    n_folds: int = 3,
    latency_ns: int = 0,
    limit: float = 1.0,
) -> Case:
    """Decisions at rows and between them, in all sessions; targets down, flat or up at random."""
    decided_ns = random_decisions(rng, book, n_decisions)
    n = decided_ns.size
    fold = np.sort(np.arange(n) % n_folds)
    return Case(
        book=book,
        decided_ns=decided_ns,
        fold=fold,
        targets=random_targets(rng, book, decided_ns, fold, limit=limit),
        latency_ns=latency_ns,
    )


def random_decisions(rng: np.random.Generator, book: Book, n: int) -> IntArray:
    rows = rng.integers(0, book.n_rows, n)
    later = np.minimum(rows + 1, book.session_starts[book.session[rows] + 1] - 1)
    gap = book.time_ns[later] - book.time_ns[rows]
    share = np.where(rng.random(n) < 0.5, 0.0, rng.random(n))
    return np.unique(book.time_ns[rows] + (share * gap).astype(np.int64))


def random_targets(
    rng: np.random.Generator, book: Book, decided_ns: IntArray, fold: IntArray, *, limit: float
) -> FloatArray:
    _, ends = block_bounds(fold, book.session[book.row_known_at(decided_ns)])
    return np.where(ends, 0.0, limit * rng.integers(-1, 2, decided_ns.size))
