"""The portfolio: what strategies' orders earn, through one vectorbt call.

    orders of every strategy, instrument, threshold and fold, one block after another
        --> vectorbt --> fills and positions --> cash and position on clock bars
        --> less the costs of each level --> Account

vectorbt fills every order at the mid and for nothing. Cost levels share these fills and differ in
what is taken off, so a level is subtracted rather than simulated again: vectorbt would also refuse
a sale whose costs exceed its proceeds, as a minimum fee on a small order does. No column needs a
time axis: with unlimited cash an order depends on the position alone, so rows are orders, and every
block begins and ends without a position.
"""

import gc
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from lob_backtest.account import Account, Trades, combine
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.orders import Orders, Span
from lob_backtest.time_line import TimeLine, time_line

__all__ = ["Account", "Leg", "Trades", "combine", "notional", "simulate"]

Name = TypeVar("Name", bound=Hashable)
# A sum of sizes below this share of the largest order is a closed position, not a remainder.
_FLAT = 1e-9
# vectorbt's portfolios are cycles of references: those of many orders are freed at once.
_MANY_ORDERS = 1_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Leg:
    """What one strategy trades on one instrument.

    Attributes:
        book: of the instrument.
        orders: every order within the span of its fold, flat at its end; several may share a row.
        spans: of all folds, in the order of the orders.
    """

    book: Book
    orders: Orders
    spans: Sequence[Span]


def notional(book: Book, *, units: float, at_ns: int) -> float:
    """Currency value of ``units`` at the mid known at an instant: the default capital."""
    row = max(int(book.row_known_at(np.array([at_ns]))[0]), 0)
    return float(units * book.mid_ticks[row] * book.meta.tick_size)


def simulate(
    legs: Mapping[Name, Leg],
    *,
    costs: Sequence[Costs],
    bar_ns: int,
    capital: float | Mapping[Name, float],
) -> dict[Name, list[Account]]:
    """Account of each leg at each cost level, in the order of ``costs``.

    One call of vectorbt's ``Portfolio.from_orders`` for all of them. Cash is unlimited there, so
    that no order is cut.

    Args:
        legs: by name, for instance by strategy, by strategy and instrument, or by threshold.
        costs: levels at which the same orders are paid for.
        bar_ns: length of a clock bar.
        capital: equity at the start in currency, of all legs or of each; see ``notional``.

    Raises:
        PortfolioError: orders outside their span, out of order or left open, a capital or bar
            length that is not positive.
    """
    capitals = {name: _capital(capital, name) for name in legs}
    lines = _lines(legs.values(), bar_ns)
    for (name, leg), line in zip(legs.items(), lines, strict=True):
        _check(name, leg.orders, line)
    fills = _fill([leg.orders for leg in legs.values()])
    return {
        name: _accounts(leg, line, own, costs=costs, capital=capitals[name])
        for (name, leg), line, own in zip(legs.items(), lines, fills, strict=True)
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fills:
    """What vectorbt made of a leg's orders: K fills and M positions.

    Attributes:
        size: ``(K,)`` units, positive bought.
        cash: ``(K,)`` currency received.
        opened, closed: ``(M,)`` places among the orders at which each position began and ended; a
            reversal is both.
        side: ``(M,)`` 1 long, -1 short.
        units: ``(M,)`` opened, all orders that added to the position together.
        profit: ``(M,)`` currency.
    """

    size: FloatArray
    cash: FloatArray
    opened: IntArray
    closed: IntArray
    side: IntArray
    units: FloatArray
    profit: FloatArray

    def part(self, orders: slice, positions: slice) -> "_Fills":
        return _Fills(
            size=self.size[orders],
            cash=self.cash[orders],
            opened=self.opened[positions] - orders.start,
            closed=self.closed[positions] - orders.start,
            side=self.side[positions],
            units=self.units[positions],
            profit=self.profit[positions],
        )


def _fill(each: Sequence[Orders]) -> list[_Fills]:
    """Fill the orders of all legs, one leg after another."""
    counts = [orders.n for orders in each]
    start = np.cumsum([0, *counts])
    fills = _run_vectorbt(
        np.concatenate([np.empty(0), *(orders.size for orders in each)]),
        np.concatenate([np.empty(0), *(orders.mid for orders in each)]),
    )
    leg = np.repeat(np.arange(len(each)), counts)
    fold = np.concatenate([np.empty(0, dtype=np.int64), *(orders.fold for orders in each)])
    opened, closed = fills.opened, fills.closed
    if ((leg[opened] != leg[closed]) | (fold[opened] != fold[closed])).any():
        raise PortfolioError(
            "vectorbt left a position open; sizes need to add up to 0 in each fold"
        )
    cut = np.searchsorted(opened, start)
    return [
        fills.part(slice(a, b), slice(m, n))
        for a, b, m, n in zip(start[:-1], start[1:], cut[:-1], cut[1:], strict=True)
    ]


def _run_vectorbt(size: FloatArray, price: FloatArray) -> _Fills:
    """Fill one column of orders, a row each."""
    if not size.size:
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        return _Fills(size=nothing, cash=nothing, opened=none, closed=none, side=none,
                      units=nothing, profit=nothing)  # fmt: skip
    import vectorbt  # takes 2 s: imported where it is used

    # Each setting by name: vectorbt's defaults are global and the caller may have changed them.
    portfolio = vectorbt.Portfolio.from_orders(
        close=price,
        size=size,
        price=price,
        fees=0.0,
        size_type="amount",
        direction="both",
        fixed_fees=0.0,
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
        init_cash="auto",  # unlimited; a number would have to be a float: integers mean modes
        cash_sharing=False,
        call_seq="default",
        ffill_val_price=True,
        update_value=False,
        max_orders=size.size,
        init_temp_records=False,
        attach_call_seq=False,
        engine="numba",
    )
    fills = _recorded(portfolio.orders.values, portfolio.positions.values, n=size.size)
    if size.size > _MANY_ORDERS:
        del portfolio
        gc.collect()
    return fills


def _recorded(orders: Any, positions: Any, *, n: int) -> _Fills:
    """vectorbt's records as arrays.

    A position record is a whole position: a reversal ends one and begins another.
    """
    if orders.size != n:  # it passes over sizes below 1e-12 without a word
        raise PortfolioError(
            f"vectorbt filled {orders.size} of {n} orders; sizes need to be above 1e-12"
        )
    if (positions["status"] == 0).any():
        raise PortfolioError(
            "vectorbt left a position open; sizes need to add up to 0 in each fold"
        )
    size = orders["size"] * (1 - 2 * orders["side"])  # 0 buys, 1 sells
    return _Fills(
        size=size,
        cash=-size * orders["price"],
        opened=positions["entry_idx"].copy(),
        closed=positions["exit_idx"].copy(),
        side=1 - 2 * positions["direction"],  # 0 long, 1 short
        units=positions["size"].copy(),
        profit=positions["pnl"].copy(),
    )


def _accounts(
    leg: Leg, line: TimeLine, fills: _Fills, *, costs: Sequence[Costs], capital: float
) -> list[Account]:
    orders, bar = leg.orders, line.bar_of(leg.orders)

    def per_bar(amount: FloatArray) -> FloatArray:
        return np.bincount(bar, amount, minlength=line.n_bars).astype(np.float64)

    position = np.cumsum(per_bar(fills.size))
    position[np.abs(position) <= _FLAT * np.abs(fills.size).max(initial=0.0)] = 0.0
    shares = _Shares.of(fills)
    free = Account(
        capital=capital,
        fold=line.bar_fold,
        bar_end_ns=line.bar_end_ns,
        # Each span ends without a position, so the next one's first bar is marked against nothing.
        gross_pnl=per_bar(fills.cash) + np.diff(position * line.bar_mid, prepend=0.0),
        fees_paid=np.zeros(line.n_bars),
        spread_paid=np.zeros(line.n_bars),
        traded_notional=per_bar(np.abs(fills.cash)),
        position=position,
        trades=_free_trades(orders, fills, shares),
    )
    # Levels of one cost are multiples of each other: its sums are made once.
    once = {replace(level, multiple=1.0): None for level in costs}
    paid = {whole: _paid(orders, whole, shares, per_bar) for whole in once}
    return [_charged(free, paid[replace(level, multiple=1.0)], level.multiple) for level in costs]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Paid:
    """One cost's sums over bars, ``fees, spread`` ``(B,)``, and over round trips, ``(M,)``."""

    fees: FloatArray
    spread: FloatArray
    of_trades: FloatArray


def _paid(
    orders: Orders,
    costs: Costs,
    shares: "_Shares",
    per_bar: Callable[[FloatArray], FloatArray],
) -> _Paid:
    fees, slippage = orders.fees(costs), orders.slippage(costs)
    return _Paid(
        fees=per_bar(fees), spread=per_bar(slippage), of_trades=shares.per_trade(fees + slippage)
    )


def _charged(free: Account, paid: _Paid, multiple: float) -> Account:
    """The account after ``multiple`` times a cost."""
    return replace(
        free,
        fees_paid=multiple * paid.fees,
        spread_paid=multiple * paid.spread,
        trades=replace(free.trades, costs=multiple * paid.of_trades),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shares:
    """How orders are shared among round trips.

    Attributes:
        n: number of round trips.
        trade: ``(K,)`` the round trip that each order belongs to; of a reversal, the one it ends.
        reversal: ``(R,)`` places of the orders that also open the round trip after it.
        opens: ``(R,)`` share of a reversal's units that does so.
    """

    n: int
    trade: IntArray
    reversal: IntArray
    opens: FloatArray

    @classmethod
    def of(cls, fills: _Fills) -> "_Shares":
        reversal = fills.opened[1:][fills.opened[1:] == fills.closed[:-1]]
        is_opening = np.zeros(fills.size.size, dtype=np.int64)
        is_opening[fills.opened] = 1
        trade = np.cumsum(is_opening) - 1
        trade[reversal] -= 1
        held = np.abs(np.cumsum(fills.size)[reversal])
        return cls(
            n=fills.opened.size,
            trade=trade,
            reversal=reversal,
            opens=held / np.abs(fills.size[reversal]),
        )

    def per_trade(self, amount: FloatArray) -> FloatArray:
        """``(M,)`` sum of the orders' amounts, those of reversals shared by the units."""
        summed = np.bincount(self.trade, amount, self.n).astype(np.float64)
        after = amount[self.reversal] * self.opens
        ended = self.trade[self.reversal]
        summed[ended] -= after
        summed[ended + 1] += after
        return summed


def _free_trades(orders: Orders, fills: _Fills, shares: _Shares) -> Trades:
    """The round trips before costs."""
    value = np.abs(fills.size) * orders.price
    reduces = np.sign(fills.size) != fills.side[shares.trade]  # so do reversals, on the whole
    traded = shares.per_trade(value)
    closing = np.bincount(shares.trade, value * reduces, shares.n).astype(np.float64)
    closing[shares.trade[shares.reversal]] -= value[shares.reversal] * shares.opens
    return Trades(
        fold=orders.fold[fills.opened],
        open_ns=orders.time_ns[fills.opened],
        close_ns=orders.time_ns[fills.closed],
        side=fills.side,
        size=fills.units,
        open_price=(traded - closing) / fills.units,
        close_price=closing / fills.units,
        gross_pnl=fills.profit,
        costs=np.zeros(shares.n),
    )


def _capital(capital: float | Mapping[Name, float], name: Name) -> float:
    own = capital[name] if isinstance(capital, Mapping) else capital
    if not (math.isfinite(own) and own > 0):
        raise PortfolioError(f"capital={own}: needs a positive amount of currency")
    return float(own)


def _lines(legs: Iterable[Leg], bar_ns: int) -> list[TimeLine]:
    """The clock bars of each leg; made once for those that share a book and spans."""
    made: dict[tuple[int, tuple[Span, ...]], TimeLine] = {}
    lines = []
    for leg in legs:
        key = (id(leg.book), tuple(leg.spans))
        if key not in made:
            made[key] = time_line(leg.book, leg.spans, bar_ns=bar_ns)
        lines.append(made[key])
    return lines


def _check(name: Hashable, orders: Orders, line: TimeLine) -> None:
    worthless = (orders.mid <= 0) | (orders.price <= 0)
    if worthless.any():
        which = int(np.argmax(worthless))
        raise PortfolioError(
            f"{name}: {int(worthless.sum())} of {orders.n} orders trade at prices of 0 or below, "
            f"first at {orders.price[which]:g} with the mid at {orders.mid[which]:g} at "
            f"time_ns={orders.time_ns[which]}; fees on them and returns mean nothing: leave these "
            "rows out of the book"
        )
    span = line.span_of(orders)
    if (np.diff(span * line.stride + orders.row) < 0).any():
        raise PortfolioError(f"{name}: orders need to be in the order of the spans and of time")
    start, end = np.array([(it.start_ns, it.end_ns) for it in line.spans], dtype=np.int64).T
    outside = (orders.time_ns < start[span]) | (orders.time_ns > end[span])
    if outside.any():
        raise PortfolioError(
            f"{name}: {int(outside.sum())} of {orders.n} orders are outside their fold's span, "
            f"first at {orders.time_ns[outside][0]}; make spans and orders with one latency"
        )
    left = np.bincount(span, orders.size, minlength=1)
    if np.abs(left).max() > _FLAT * np.abs(orders.size).max(initial=0.0):
        worst = int(np.argmax(np.abs(left)))
        raise PortfolioError(
            f"{name}: {left[worst]} units are left open in fold {line.spans[worst].fold}; orders "
            "need to be flat at the end of each fold"
        )
