"""The portfolio: what a strategy's orders earn, through vectorbt.

    Orders x cost levels --> one vectorbt portfolio, a column each --> Account: money on clock bars

    gross_pnl          the same orders at the mid, without fee
  - spread_paid        the half-spread of every buy and sale
  - fees_paid          the proportional fee
  = net_pnl            equity = capital + net_pnl so far, positions marked at the mid

Sizes are units, not shares of the equity: profits add up over bars and folds.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.orders import Orders, Span
from lob_backtest.time_line import TimeLine, time_line

Name = TypeVar("Name", bound=Hashable)
# A sum of sizes below this share of the largest order is a closed position, not a remainder.
_FLAT = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """One strategy at one cost level, on clock bars; all money in currency.

    Positions do not grow or shrink with the equity, and nobody stops a strategy that has lost its
    capital: equity may reach 0 and below (``is_bankrupt``), with a drawdown of 1 and above.

    Attributes:
        capital: equity before the first bar; returns are relative to it.
        fold: ``(B,)`` int64 of each bar, never decreasing.
        bar_end_ns: ``(B,)`` int64; what trades or is quoted up to and including it is in the bar.
        gross_pnl: ``(B,)`` profit of the same orders at the mid and without fee.
        net_pnl: ``(B,)`` profit after half-spread and fee: gross minus both costs.
        fees_paid, spread_paid: ``(B,)`` costs, positive.
        traded_notional: ``(B,)`` units bought and sold, times the mid there.
        position: ``(B,)`` units held at the end of the bar.
        trade_fold: ``(M,)`` int64 fold of each round trip: flat to flat, or to the opposite side.
        trade_pnl: ``(M,)`` its net profit.
    """

    capital: float
    fold: IntArray
    bar_end_ns: IntArray
    gross_pnl: FloatArray
    net_pnl: FloatArray
    fees_paid: FloatArray
    spread_paid: FloatArray
    traded_notional: FloatArray
    position: FloatArray
    trade_fold: IntArray
    trade_pnl: FloatArray

    @property
    def equity(self) -> FloatArray:
        """``(B + 1,)`` capital, then capital plus net profit at each bar's end."""
        return self.capital + np.append(0.0, np.cumsum(self.net_pnl))

    @property
    def net_returns(self) -> FloatArray:
        """``(B,)`` net profit of each bar as a share of the capital."""
        return self.net_pnl / self.capital

    @property
    def costs_paid(self) -> float:
        """Fees and half-spreads paid, in currency."""
        return float(self.fees_paid.sum() + self.spread_paid.sum())

    @property
    def is_bankrupt(self) -> bool:
        """Whether the equity was 0 or below at the end of a bar."""
        return bool((self.equity <= 0).any())

    def of_fold(self, fold: int) -> "Account":
        """The bars and round trips of one fold, as if it had begun with the capital."""
        bars, trades = self.fold == fold, self.trade_fold == fold
        if not bars.any():
            raise PortfolioError(f"fold={fold}: this account has the folds {np.unique(self.fold)}")
        return Account(
            capital=self.capital,
            fold=self.fold[bars],
            bar_end_ns=self.bar_end_ns[bars],
            gross_pnl=self.gross_pnl[bars],
            net_pnl=self.net_pnl[bars],
            fees_paid=self.fees_paid[bars],
            spread_paid=self.spread_paid[bars],
            traded_notional=self.traded_notional[bars],
            position=self.position[bars],
            trade_fold=self.trade_fold[trades],
            trade_pnl=self.trade_pnl[trades],
        )


def notional(book: Book, *, units: float, at_ns: int) -> float:
    """Currency value of ``units`` at the mid known at an instant: the default capital."""
    row = max(int(book.row_known_at(np.array([at_ns]))[0]), 0)
    return float(units * book.mid_ticks[row] * book.meta.tick_size)


def simulate(
    book: Book,
    strategies: Mapping[Name, Orders],
    *,
    costs: Sequence[Costs],
    spans: Sequence[Span],
    bar_ns: int,
    capital: float,
) -> dict[Name, list[Account]]:
    """Account of each strategy at each cost level, in the order of ``costs``.

    One call of vectorbt's ``Portfolio.from_orders`` for all of them, on the rows of the orders and
    of the bars' ends (``time_line``). Cash is unlimited there, so that no order is cut.

    Args:
        strategies: orders by name; every order within the span of its fold, flat at its end.
        costs: levels at which the same orders are paid for.
        spans: of all folds, in the order of the orders.
        bar_ns: length of a clock bar.
        capital: equity at the start, in currency; see ``notional``.

    Raises:
        PortfolioError: orders outside their span or left open, a sale at a price that is not
            positive, a capital or bar length that is not positive.
    """
    if not (math.isfinite(capital) and capital > 0):
        raise PortfolioError(f"capital={capital}: needs a positive amount of currency")
    if not strategies:
        return {}
    line = time_line(book, spans, strategies.values(), bar_ns=bar_ns)
    for name, orders in strategies.items():
        _check(name, orders, line, spans, book)
    # Beside the levels that were asked for, each strategy trades for free: its gross profit.
    levels = [Costs.none(), *costs]
    columns = [(orders, level) for orders in strategies.values() for level in levels]
    run = _run_vectorbt(line, columns)
    accounts: dict[Name, list[Account]] = {}
    for i, (name, orders) in enumerate(strategies.items()):
        gross = len(levels) * i
        accounts[name] = [
            _account(line, orders, level, run, gross=gross, net=gross + 1 + j, capital=capital)
            for j, level in enumerate(costs)
        ]
    return accounts


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """What vectorbt made of the columns.

    Attributes:
        profit: ``(B, columns)`` value at each bar's end minus the initial cash.
        position: ``(B, columns)`` units then.
        orders: its order records: col, idx, size, price, fees, side.
        trades: its position records, a reversal being the end of one: col, exit_idx, pnl, ...
    """

    profit: FloatArray
    position: FloatArray
    orders: Any
    trades: Any


def _run_vectorbt(line: TimeLine, columns: Sequence[tuple[Orders, Costs]]) -> _Run:
    import vectorbt  # takes 2 s: imported where it is used

    shape = (line.key.size, len(columns))
    size, cost = np.full(shape, np.nan), np.zeros(shape)
    for j, (orders, level) in enumerate(columns):
        index = line.index(orders)
        size[index, j] = orders.size
        cost[index, j] = orders.slippage(level) + orders.fees(level)
    n_orders = sum(orders.n for orders, _ in columns)
    # Each setting by name: vectorbt's defaults are global and the caller may have changed them.
    portfolio = vectorbt.Portfolio.from_orders(
        close=line.mid[:, None],
        size=size,
        price=line.mid[:, None],  # whatever a fill costs more is among its fees
        fees=0.0,
        size_type="amount",
        direction="both",
        fixed_fees=cost,
        slippage=0.0,
        min_size=0.0,
        max_size=np.inf,
        size_granularity=np.nan,
        reject_prob=0.0,
        lock_cash=False,
        allow_partial=False,
        raise_reject=True,
        log=False,
        val_price=np.inf,
        init_cash="auto",  # unlimited during the run, afterwards what it took
        cash_sharing=False,
        call_seq="default",
        ffill_val_price=True,
        update_value=False,
        max_orders=max(n_orders, 1),
        init_temp_records=False,
        attach_call_seq=False,
        engine="numba",
    )
    filled = portfolio.orders.values
    if filled.size != n_orders:  # it passes over sizes below 1e-12 without a word
        raise PortfolioError(
            f"vectorbt filled {filled.size} of {n_orders} orders; sizes need to be above 1e-12"
        )
    value = _columns(portfolio.value())[line.bar_last]
    return _Run(
        profit=value - np.asarray(portfolio.init_cash, dtype=np.float64).reshape(1, -1),
        position=_columns(portfolio.assets())[line.bar_last],
        orders=filled,
        trades=portfolio.positions.values,
    )


def _columns(frame: Any) -> FloatArray:
    """vectorbt gives a Series for one column."""
    values: FloatArray = np.asarray(frame, dtype=np.float64)
    return values.reshape(values.shape[0], -1)


def _of_column(records: Any, column: int) -> Any:
    """A column's records; they are sorted by column and then by time."""
    first, after = np.searchsorted(records["col"], [column, column + 1])
    return records[first:after]


def _account(
    line: TimeLine,
    orders: Orders,
    level: Costs,
    run: _Run,
    *,
    gross: int,
    net: int,
    capital: float,
) -> Account:
    index = line.index(orders)
    units = np.abs(orders.size)
    trades = _of_column(run.trades, net)
    return Account(
        capital=capital,
        fold=line.bar_fold,
        bar_end_ns=line.bar_end_ns,
        # Each span ends without a position, so the next one's first bar begins at the same profit.
        gross_pnl=np.diff(run.profit[:, gross], prepend=0.0),
        net_pnl=np.diff(run.profit[:, net], prepend=0.0),
        fees_paid=line.per_bar(index, orders.fees(level)),
        spread_paid=line.per_bar(index, orders.slippage(level)),
        traded_notional=line.per_bar(index, units * orders.mid),
        position=run.position[:, net],
        trade_fold=line.bar_fold[line.bar_of(trades["exit_idx"])],
        trade_pnl=np.asarray(trades["pnl"], dtype=np.float64),
    )


def _check(
    name: Hashable, orders: Orders, line: TimeLine, spans: Sequence[Span], book: Book
) -> None:
    if (np.diff(line.index(orders)) <= 0).any():
        raise PortfolioError(f"{name}: orders need to be in the order of the spans and of time")
    place = {span.fold: i for i, span in enumerate(spans)}
    which = np.array([place[int(fold)] for fold in orders.fold], dtype=np.int64)
    start = np.array([span.start_ns for span in spans], dtype=np.int64)[which]
    end = np.array([span.end_ns for span in spans], dtype=np.int64)[which]
    outside = (orders.time_ns < start) | (orders.time_ns > end)
    if outside.any():
        raise PortfolioError(
            f"{name}: {int(outside.sum())} of {orders.n} orders are outside their fold's span, "
            f"first at {orders.time_ns[outside][0]}; make spans and orders with one latency"
        )
    n_sessions = book.session_starts.size - 1
    block = which * n_sessions + book.session[orders.row]
    left = np.bincount(block, orders.size, minlength=1)
    if np.abs(left).max() > _FLAT * np.abs(orders.size).max(initial=0.0):
        worst = int(np.argmax(np.abs(left)))
        raise PortfolioError(
            f"{name}: {left[worst]} units are left open in fold {spans[worst // n_sessions].fold}; "
            "orders need to be flat at the end of each fold and session"
        )
