"""What a strategy made of its orders: money on clock bars, and its round trips.

    gross_pnl          the orders at the mid, without any cost
  - spread_paid        what their fills lost against the mid
  - fees_paid          commission and tax
  = net_pnl            equity = capital + net_pnl so far, positions marked at the mid

Sizes are units, not shares of the equity: profits add up over bars, folds and instruments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import PortfolioError

Item = TypeVar("Item", "Account", "Trades")
# A profit below this share of what was bought and sold is what rounding leaves of none.
_ROUNDING = 1e-11


@dataclass(frozen=True, kw_only=True, eq=False)
class Trades:
    """Round trips of one strategy at one cost level: flat to flat, or to the opposite side.

    An order that turns a long position into a short one ends a trade and begins another; its cost
    is shared between them by the units.

    Attributes:
        fold: ``(M,)`` int64, never decreasing; trades of a fold are in the order of time.
        open_ns, close_ns: ``(M,)`` int64 of the first and of the last order.
        side: ``(M,)`` int64, 1 long, -1 short.
        size: ``(M,)`` units opened, all orders that added to the position together.
        open_price, close_price: ``(M,)`` average price of the fills, in currency.
        gross_pnl: ``(M,)`` profit at the mids, before any cost.
        costs: ``(M,)`` paid for its orders, negative where rebates are larger.
    """

    fold: IntArray
    open_ns: IntArray
    close_ns: IntArray
    side: IntArray
    size: FloatArray
    open_price: FloatArray
    close_price: FloatArray
    gross_pnl: FloatArray
    costs: FloatArray

    @property
    def n(self) -> int:
        return int(self.fold.shape[0])

    @property
    def net_pnl(self) -> FloatArray:
        """``(M,)`` profit after costs; exactly 0 where a trade breaks even: that is no win."""
        net = self.gross_pnl - self.costs
        traded = self.size * (np.abs(self.open_price) + np.abs(self.close_price))
        return np.where(np.abs(net) <= _ROUNDING * traded, 0.0, net)

    def of_fold(self, fold: int) -> "Trades":
        return _select(self, _of_fold(self.fold, fold))


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """One strategy at one cost level, on clock bars; all money in currency.

    Positions do not grow or shrink with the equity, and nobody stops a strategy that has lost its
    capital: equity may reach 0 and below (``is_bankrupt``), with a drawdown of 1 and above.

    Attributes:
        capital: equity before the first bar; returns are relative to it.
        fold: ``(B,)`` int64 of each bar, never decreasing.
        bar_end_ns: ``(B,)`` int64; what trades or is quoted up to and including it is in the bar.
        gross_pnl: ``(B,)`` profit of the orders at the mid and without cost.
        fees_paid: ``(B,)`` commission and tax; negative where rebates are larger.
        spread_paid: ``(B,)`` what the fills lost against the mid; negative where orders rested.
        traded_notional: ``(B,)`` units bought and sold, times the mid there.
        position: ``(B,)`` units held at the end of the bar; of several instruments, all together.
        trades: its round trips.
    """

    capital: float
    fold: IntArray
    bar_end_ns: IntArray
    gross_pnl: FloatArray
    fees_paid: FloatArray
    spread_paid: FloatArray
    traded_notional: FloatArray
    position: FloatArray
    trades: Trades

    @property
    def net_pnl(self) -> FloatArray:
        """``(B,)`` profit after all costs."""
        return self.gross_pnl - (self.fees_paid + self.spread_paid)

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
        """Everything paid for trading, in currency."""
        return float(self.fees_paid.sum() + self.spread_paid.sum())

    @property
    def trade_fold(self) -> IntArray:
        """``(M,)`` fold of each round trip."""
        return self.trades.fold

    @property
    def trade_pnl(self) -> FloatArray:
        """``(M,)`` net profit of each round trip."""
        return self.trades.net_pnl

    @property
    def closings(self) -> FloatArray:
        """``(B, 2)`` round trips that closed in each bar, and how many of them won."""
        trades, n_bars = self.trades, self.bar_end_ns.size
        bar = np.empty(trades.n, dtype=np.int64)
        for fold in np.unique(trades.fold):
            bars, own = _of_fold(self.fold, int(fold)), _of_fold(trades.fold, int(fold))
            bar[own] = bars.start + np.searchsorted(self.bar_end_ns[bars], trades.close_ns[own])
        won = (trades.net_pnl > 0).astype(np.float64)
        closed = np.bincount(bar, minlength=n_bars)
        return np.column_stack([closed, np.bincount(bar, won, minlength=n_bars)])

    def decisions_per_bar(self, fold: IntArray, decided_ns: IntArray) -> FloatArray:
        """``(B,)`` how many decisions were made in each bar.

        Args:
            fold, decided_ns: ``(D,)`` of each decision, by fold and time.
        """
        counts = np.zeros(self.bar_end_ns.size)
        for number in np.unique(fold):
            bars = _of_fold(self.fold, int(number))
            made = np.searchsorted(self.bar_end_ns[bars], decided_ns[fold == number])
            made = np.minimum(made, bars.stop - bars.start - 1)
            counts[bars] = np.bincount(made, minlength=bars.stop - bars.start)
        return counts

    @property
    def is_bankrupt(self) -> bool:
        """Whether the equity was 0 or below at the end of a bar."""
        return bool((self.equity <= 0).any())

    def of_fold(self, fold: int) -> "Account":
        """The bars and round trips of one fold, as if it had begun with the capital."""
        bars = _of_fold(self.fold, fold)
        if bars.start == bars.stop:
            raise PortfolioError(f"fold={fold}: this account has the folds {np.unique(self.fold)}")
        own = replace(self, trades=self.trades.of_fold(fold))
        return _select(own, bars)


def combine(accounts: Sequence[Account], *, bar_ns: int) -> Account:
    """One account of several instruments that are traded side by side.

    Each instrument trades with its own capital, the whole with their sum, and profits add up. Bars
    are the union of the instruments' bars of a fold. An end less than half a bar before another one
    (``time_line`` ends bars at multiples of the clock, so it is that of a session or fold) is left
    out, and its amounts are booked at the end that follows.

        one   |----|----|--|           |  |
        two   |----|----|---|    ->    |----|----|---|

    Args:
        accounts: of one strategy at one cost level, in one currency; a fold number means the same
            time in all of them.
        bar_ns: length of a clock bar.

    Raises:
        PortfolioError: no accounts.
    """
    if not accounts:
        raise PortfolioError("got no accounts to combine; needs at least one")
    joint = JointBars.of(accounts, bar_ns=bar_ns)

    def summed(name: str) -> FloatArray:
        return joint.summed([getattr(account, name) for account in accounts])

    return Account(
        capital=float(sum(account.capital for account in accounts)),
        fold=joint.fold,
        bar_end_ns=joint.bar_end_ns,
        gross_pnl=summed("gross_pnl"),
        fees_paid=summed("fees_paid"),
        spread_paid=summed("spread_paid"),
        traded_notional=summed("traded_notional"),
        position=joint.last([account.position for account in accounts]),
        trades=_joined([account.trades for account in accounts]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class JointBars:
    """The bars of several accounts as one, see ``combine``.

    Attributes:
        fold, bar_end_ns: ``(B,)`` of the joint bars.
        own_fold: of each account's bars.
        places: of each account's bars, the joint bar that it is booked in, never decreasing.
    """

    fold: IntArray
    bar_end_ns: IntArray
    own_fold: list[IntArray]
    places: list[IntArray]

    @classmethod
    def of(cls, accounts: Sequence[Account], *, bar_ns: int) -> "JointBars":
        pairs = np.concatenate([np.stack([own.fold, own.bar_end_ns]) for own in accounts], axis=1)
        fold, end_ns = np.unique(pairs, axis=1)
        is_near = (np.diff(fold) == 0) & (np.diff(end_ns) < bar_ns / 2)
        kept = np.append(~is_near, True)
        fold, end_ns = fold[kept], end_ns[kept]
        return cls(
            fold=fold,
            bar_end_ns=end_ns,
            own_fold=[account.fold for account in accounts],
            places=[_places(account, fold, end_ns) for account in accounts],
        )

    def summed(self, amounts: Sequence[FloatArray]) -> FloatArray:
        """``(B, ...)`` sum of what each account has on its own bars."""
        total = np.zeros((self.fold.size, *amounts[0].shape[1:]))
        for place, amount in zip(self.places, amounts, strict=True):
            np.add.at(total, place, amount)
        return total

    def last(self, levels: Sequence[FloatArray]) -> FloatArray:
        """``(B,)`` sum of the levels that each account had reached in the fold by then."""
        total = np.zeros(self.fold.size)
        for place, own_fold, level in zip(self.places, self.own_fold, levels, strict=True):
            at = np.searchsorted(place, np.arange(self.fold.size), side="right") - 1
            has_begun = (at >= 0) & (own_fold[np.maximum(at, 0)] == self.fold)
            total += np.where(has_begun, level[np.maximum(at, 0)], 0.0)
        return total


def _places(account: Account, fold: IntArray, end_ns: IntArray) -> IntArray:
    """``(B,)`` combined bar of each of the account's bars."""
    places = []
    for number in np.unique(account.fold):
        combined, own = _of_fold(fold, int(number)), _of_fold(account.fold, int(number))
        place = np.searchsorted(end_ns[combined], account.bar_end_ns[own])
        places.append(combined.start + place)
    return np.concatenate(places).astype(np.int64)


def _joined(parts: Sequence[Trades]) -> Trades:
    joined = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(Trades)
    }
    order = np.lexsort((joined["close_ns"], joined["fold"]))
    return Trades(**{name: values[order] for name, values in joined.items()})


def _select(item: Item, rows: slice) -> Item:
    """The rows of every array, as views."""
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    own: dict[str, Any] = {k: v[rows] for k, v in values.items() if isinstance(v, np.ndarray)}
    return replace(item, **own)


def _of_fold(fold: IntArray, number: int) -> slice:
    """Where a fold is among folds that never decrease."""
    first, after = np.searchsorted(fold, [number, number + 1])
    return slice(int(first), int(after))
