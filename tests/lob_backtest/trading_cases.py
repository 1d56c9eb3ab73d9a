"""Random decisions and targets on a book, and a plain backtest to compare the portfolio with."""

from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.execution import Execution
from lob_backtest.latency import FixedLatency
from lob_backtest.orders import Orders, Span, block_closes, fold_spans, orders_from_targets
from lob_backtest.portfolio import Account, Leg


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """What a strategy decided on a book; ``all_decided_ns`` are its decisions unless given."""

    book: Book
    decided_ns: IntArray
    fold: IntArray
    targets: FloatArray
    latency_ns: int
    all_decided_ns: IntArray | None = None

    @property
    def execution(self) -> Execution:
        return Execution(kind="touch", latency=FixedLatency(ns=self.latency_ns))

    @property
    def closes_ns(self) -> IntArray:
        return block_closes(self.book, self.decided_ns, self.all_decided_ns)

    @property
    def orders(self) -> Orders:
        return orders_from_targets(
            self.book,
            self.decided_ns,
            self.fold,
            self.targets,
            execution=self.execution,
            closes_ns=self.closes_ns,
        )

    @property
    def spans(self) -> list[Span]:
        return fold_spans(
            self.book,
            self.decided_ns,
            self.fold,
            execution=self.execution,
            closes_ns=self.closes_ns,
        )

    @property
    def leg(self) -> Leg:
        return Leg(book=self.book, orders=self.orders, spans=self.spans)


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
        targets=random_targets(rng, n, limit=limit),
        latency_ns=latency_ns,
    )


def random_decisions(rng: np.random.Generator, book: Book, n: int) -> IntArray:
    rows = rng.integers(0, book.n_rows, n)
    later = np.minimum(rows + 1, book.session_starts[book.session[rows] + 1] - 1)
    gap = book.time_ns[later] - book.time_ns[rows]
    share = np.where(rng.random(n) < 0.5, 0.0, rng.random(n))
    return np.unique(book.time_ns[rows] + (share * gap).astype(np.int64))


def random_targets(rng: np.random.Generator, n: int, *, limit: float) -> FloatArray:
    return limit * rng.integers(-1, 2, n)


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A backtest written out: one order after the other, cash and position."""

    net_pnl: list[float]
    gross_pnl: list[float]
    position: list[float]
    trade_pnl: list[float]


def plain_backtest(book: Book, orders: Orders, bars: Account, costs: Costs) -> Plain:
    tick = book.meta.tick_size
    net_pnl, gross_pnl, positions, trade_pnl = [], [], [], []
    cash = free_cash = position = opened_cash = 0.0
    last_net = last_gross = 0.0
    done = 0
    for fold, end_ns in zip(bars.fold, bars.bar_end_ns, strict=True):
        while done < orders.n and orders.fold[done] == fold and orders.time_ns[done] <= end_ns:
            row, size = int(orders.row[done]), float(orders.size[done])
            mid = (book.ask_ticks[row, 0] + book.bid_ticks[row, 0]) / 2 * tick
            touch = (book.ask_ticks if size > 0 else book.bid_ticks)[row, 0] * tick
            price = mid + costs.multiple * (touch - mid)
            fee = costs.multiple * costs.taker_bps / 10_000 * abs(size) * touch
            parts = [size]
            if position != 0 and np.sign(size) != np.sign(position) and abs(size) > abs(position):
                parts = [-position, size + position]  # close, then open the other side
            for part in parts:
                if position == 0:
                    opened_cash = cash
                cash -= part * price + fee * abs(part / size)
                position += part
                if position == 0:
                    trade_pnl.append(cash - opened_cash)
            free_cash -= size * mid
            done += 1
        row = int(book.row_known_at(np.array([end_ns]))[0])
        mark = (book.ask_ticks[row, 0] + book.bid_ticks[row, 0]) / 2 * tick
        net, gross = cash + position * mark, free_cash + position * mark
        net_pnl.append(net - last_net)
        gross_pnl.append(gross - last_gross)
        last_net, last_gross = net, gross
        positions.append(position)
    assert done == orders.n
    return Plain(net_pnl=net_pnl, gross_pnl=gross_pnl, position=positions, trade_pnl=trade_pnl)
