"""Random decisions and targets on a book, and a plain backtest to compare the portfolio with."""

from dataclasses import dataclass

import numpy as np
import pytest

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.execution import Execution, Kind
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
    kind: Kind = "touch"
    flat_at_session_end: bool = True

    @property
    def execution(self) -> Execution:
        return Execution(
            kind=self.kind,
            latency=FixedLatency(ns=self.latency_ns),
            flat_at_session_end=self.flat_at_session_end,
        )

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
    kind: Kind = "touch",
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
        kind=kind,
    )


def random_decisions(rng: np.random.Generator, book: Book, n: int) -> IntArray:
    rows = rng.integers(0, book.n_rows, n)
    later = np.minimum(rows + 1, book.session_starts[book.session[rows] + 1] - 1)
    gap = book.time_ns[later] - book.time_ns[rows]
    share = np.where(rng.random(n) < 0.5, 0.0, rng.random(n))
    return np.unique(book.time_ns[rows] + (share * gap).astype(np.int64))


def random_targets(rng: np.random.Generator, n: int, *, limit: float) -> FloatArray:
    return limit * rng.integers(-1, 2, n)


def random_orders(
    rng: np.random.Generator, book: Book, *, n_folds: int = 2, n_orders: int = 12
) -> Leg:
    """Orders of many sizes at random rows, several of them at one row, taken and rested ones.

    Positions grow in steps, shrink in steps and turn round; each fold ends flat.
    """
    parts = []
    for fold, rows in enumerate(np.array_split(np.arange(book.n_rows), n_folds)):
        row = np.sort(rng.choice(rows, n_orders))
        held = np.append(rng.integers(-4, 5, n_orders - 1) * 0.3, 0.0)
        parts.append((np.full(n_orders, fold), row, np.diff(held, prepend=0.0)))
    fold, row, size = (np.concatenate(part) for part in zip(*parts, strict=True))
    fold, row, size = fold[size != 0], row[size != 0], size[size != 0]
    mid = book.mid_ticks[row] * book.meta.tick_size
    rested = rng.random(row.size) < 0.4
    away = rng.exponential(0.02, row.size) * np.where(rested, -1, 1)
    no = np.zeros(row.size, dtype=np.bool_)
    orders = Orders(
        fold=fold,
        row=row,
        time_ns=book.time_ns[row],
        decided_ns=book.time_ns[row],
        size=size,
        mid=mid,
        price=mid + np.sign(size) * away,
        is_maker=rested,
        above_touch=no,
        beyond_book=no,
        forced=no,
    )
    pieces = np.array_split(book.time_ns, n_folds)
    spans = [
        Span(fold=fold, start_ns=int(piece[0]), end_ns=int(piece[-1]))
        for fold, piece in enumerate(pieces)
    ]
    return Leg(book=book, orders=orders, spans=spans)


COSTS = {
    "free": Costs.none(),
    "proportional": Costs.proportional(2.5),
    "half": Costs.proportional(2.5).scaled(0.5),
    "double": Costs.proportional(2.5).scaled(2.0),
    "minimum": Costs(taker_bps=1.0, maker_bps=1.0, minimum_fee=0.4),
    "more than a sale brings": Costs(taker_bps=1.0, maker_bps=1.0, minimum_fee=500.0),
    "sold with tax": Costs(taker_bps=14.25, maker_bps=14.25, minimum_fee=0.2, sell_tax_bps=30.0),
    "rebate": Costs(taker_bps=5.0, maker_bps=-2.0),
    "rebate, four times": Costs(taker_bps=5.0, maker_bps=-2.0, multiple=4.0),
    "a share": Costs(
        taker_bps=0.0,
        maker_bps=0.0,
        taker_per_unit=0.003,
        maker_per_unit=-0.002,
        sell_per_unit=0.0002,
        sell_tax_bps=0.3,
        minimum_fee=0.001,
    ),
}


@dataclass(kw_only=True)
class PlainTrade:
    """A round trip as it is being made."""

    fold: int
    side: int
    open_ns: int
    close_ns: int = -1
    opened: float = 0.0
    closed: float = 0.0
    paid_to_open: float = 0.0
    got_to_close: float = 0.0
    gross_pnl: float = 0.0
    costs: float = 0.0

    def figures(self) -> dict[str, float]:
        return {
            "fold": self.fold,
            "side": self.side,
            "open_ns": self.open_ns,
            "close_ns": self.close_ns,
            "size": self.opened,
            "open_price": self.paid_to_open / self.opened,
            "close_price": self.got_to_close / self.closed,
            "gross_pnl": self.gross_pnl,
            "costs": self.costs,
            "net_pnl": self.gross_pnl - self.costs,
        }


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A backtest written out: one order after the other, cash and position."""

    net_pnl: list[float]
    gross_pnl: list[float]
    fees_paid: list[float]
    spread_paid: list[float]
    traded_notional: list[float]
    position: list[float]
    trades: list[dict[str, float]]


def plain_fee(costs: Costs, size: float, price: float, is_maker: bool) -> float:
    """Commission and tax of one order."""
    bps = costs.maker_bps if is_maker else costs.taker_bps
    per_unit = costs.maker_per_unit if is_maker else costs.taker_per_unit
    commission = abs(size) * price * bps / 10_000 + abs(size) * per_unit
    if 0 <= commission < costs.minimum_fee:
        commission = costs.minimum_fee
    if size < 0:
        commission += abs(size) * (price * costs.sell_tax_bps / 10_000 + costs.sell_per_unit)
    return costs.multiple * commission


def plain_backtest(book: Book, orders: Orders, bars: Account, costs: Costs) -> Plain:
    """What vectorbt and the accounts of ``bars`` have to agree with."""
    tick = book.meta.tick_size
    found: dict[str, list[float]] = {
        name: []
        for name in ("net_pnl", "gross_pnl", "fees_paid", "spread_paid", "traded_notional",
                     "position")
    }  # fmt: skip
    trades: list[PlainTrade] = []
    cash = free_cash = position = last_net = last_gross = 0.0
    done = 0
    for fold, end_ns in zip(bars.fold, bars.bar_end_ns, strict=True):
        fees = slippage = traded = 0.0
        while done < orders.n and orders.fold[done] == fold and orders.time_ns[done] <= end_ns:
            row, size = int(orders.row[done]), float(orders.size[done])
            price, is_maker = float(orders.price[done]), bool(orders.is_maker[done])
            mid = (book.ask_ticks[row, 0] + book.bid_ticks[row, 0]) / 2 * tick
            fee = plain_fee(costs, size, price, is_maker)
            lost = costs.multiple * size * (price - mid)
            turns = position * (position + size) < 0 and abs(position + size) > 1e-9
            for part in [-position, size + position] if turns else [size]:
                if position == 0:
                    trades.append(
                        PlainTrade(
                            fold=int(fold), side=int(np.sign(part)), open_ns=_time(orders, done)
                        )
                    )
                _book(trades[-1], part, price, mid, (fee + lost) * part / size)
                position += part
                if abs(position) < 1e-9:
                    position, trades[-1].close_ns = 0.0, _time(orders, done)
            cash -= size * mid + lost + fee
            free_cash -= size * mid
            fees, slippage, traded = fees + fee, slippage + lost, traded + abs(size) * mid
            done += 1
        row = int(book.row_known_at(np.array([end_ns]))[0])
        mark = (book.ask_ticks[row, 0] + book.bid_ticks[row, 0]) / 2 * tick
        net, gross = cash + position * mark, free_cash + position * mark
        amounts = (net - last_net, gross - last_gross, fees, slippage, traded, position)
        for column, amount in zip(found.values(), amounts, strict=True):
            column.append(float(amount))
        last_net, last_gross = net, gross
    assert done == orders.n
    return Plain(**found, trades=[trade.figures() for trade in trades])


def _time(orders: Orders, place: int) -> int:
    return int(orders.time_ns[place])


def _book(trade: PlainTrade, part: float, price: float, mid: float, cost: float) -> None:
    if np.sign(part) == trade.side:
        trade.opened += abs(part)
        trade.paid_to_open += abs(part) * price
    else:
        trade.closed += abs(part)
        trade.got_to_close += abs(part) * price
    trade.gross_pnl -= part * mid
    trade.costs += cost


def assert_equals_plain(leg: Leg, account: Account, costs: Costs) -> None:
    """Every figure of an account against the plain backtest of the same orders, to 1e-9."""
    plain = plain_backtest(leg.book, leg.orders, account, costs)
    for name in ("net_pnl", "gross_pnl", "fees_paid", "spread_paid", "traded_notional", "position"):
        expected = getattr(plain, name)
        assert getattr(account, name) == pytest.approx(expected, rel=1e-9, abs=1e-9), name
    assert account.trades.n == len(plain.trades)
    for name in plain.trades[0] if plain.trades else ():
        expected = [trade[name] for trade in plain.trades]
        assert getattr(account.trades, name) == pytest.approx(expected, rel=1e-9, abs=1e-9), name
