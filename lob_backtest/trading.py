"""From probabilities to accounts: thresholds chosen on validation, then one simulation of all.

    validation ─► accounts at each candidate ─► threshold of each fold ┐
    test ─────────────────────────────────────► targets ─► orders ─────┴─► accounts at each cost

The model, every baseline, buy and hold and flat go through the same rule, costs and latency, on one
instrument or on several side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from lob_backtest.account import Account, JointBars, combine
from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import costs_of
from lob_backtest.desk import Desk
from lob_backtest.errors import PortfolioError
from lob_backtest.metrics import bars_per_year
from lob_backtest.orders import Orders, Span
from lob_backtest.portfolio import Leg, notional, simulate
from lob_backtest.thresholds import candidate_returns, check_threshold, choose_thresholds
from lob_backtest.venues import check_venue

__all__ = [
    "BUY_AND_HOLD",
    "FLAT",
    "BreakEven",
    "Market",
    "Traded",
    "TradedMarkets",
    "break_even",
    "check_threshold",
    "trade",
    "trade_many",
]

BUY_AND_HOLD, FLAT = "buy_and_hold", "flat"
_BPS = 10_000
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Market:
    """One instrument and what is to be traded on it.

    Attributes:
        book: where the decisions were made.
        models: by name; their test predictions share folds and decisions.
        all_decided_ns: every decision of the book: a fold's last position is closed at the next of
            them. By default the decisions of the tables themselves.
    """

    book: Book
    models: Mapping[str, ModelPredictions]
    all_decided_ns: IntArray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Traded:
    """What every strategy made of the test blocks.

    Attributes:
        accounts: by strategy, at the configured cost.
        orders: by strategy; the same at every cost. Of several instruments all orders in the order
            of time, the rows being those of each one's own book.
        net_at_multiples: by strategy, net return at each of ``multiples`` of the whole cost.
        multiples: as configured.
        thresholds: by strategy and fold, the confidence threshold; none for buy and hold and flat,
            and none of several instruments together, which have one each.
        candidate_returns: ``(B, N)`` net return of the first model in each bar at each of the
            configured candidate thresholds; None where the threshold was given.
        spans: of the test folds.
        capital: currency that returns are relative to.
        bar_ns, periods_per_year: length of a bar, and how many make a year.
    """

    accounts: Mapping[str, Account]
    orders: Mapping[str, Orders]
    net_at_multiples: Mapping[str, list[float]]
    multiples: tuple[float, ...]
    thresholds: Mapping[str, Mapping[int, float]]
    candidate_returns: FloatArray | None
    spans: list[Span]
    capital: float
    bar_ns: int
    periods_per_year: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TradedMarkets:
    """Instruments traded side by side: each on its own, and all of them as one portfolio."""

    each: Mapping[str, Traded]
    together: Traded


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """At which cost the net return of the same trades is 0.

    Attributes:
        multiple: largest multiple of the configured cost with a net profit >= 0; None where the
            trades lose before any cost, or nothing is paid.
        bps: gross profit in basis points of the traded notional; None without trades or profit.
        cost_bps: configured cost in basis points of the traded notional; None without trades.
    """

    multiple: float | None
    bps: float | None
    cost_bps: float | None


def trade(
    book: Book,
    models: Mapping[str, ModelPredictions],
    config: BacktestConfig,
    *,
    all_decided_ns: IntArray | None = None,
) -> Traded:
    """Trade the test blocks of every model, and buy and hold and flat beside them.

    Args:
        book, models, all_decided_ns: see ``Market``.
        config: costs, latency, signal rule, capital and bars.

    Raises:
        SignalError: thresholds are to be chosen, and a model has no validation predictions.
        PortfolioError: the decisions are not of this book.
    """
    market = Market(book=book, models=models, all_decided_ns=all_decided_ns)
    return trade_many({book.meta.instrument: market}, config).together


def trade_many(markets: Mapping[str, Market], config: BacktestConfig) -> TradedMarkets:
    """Trade several instruments side by side, each by the same rule, limits and costs.

    Thresholds are chosen for each instrument. A capital that is given is split equally among them;
    otherwise each has the notional of its own limit. Together they have the sum, and profits add up
    in each fold (``account.combine``).

    Args:
        markets: by instrument, with the same strategies; at least one.
        config: costs, latency, signal rule, capital and bars.

    Raises:
        SignalError: thresholds are to be chosen, and a model has no validation predictions.
        CostError: costs of a venue that a book is not of.
        PortfolioError: decisions that are not of their book, currencies or sessions that differ, or
            folds of several instruments that overlap in time.
    """
    _check_markets(markets)
    for market in markets.values():
        check_venue(config.costs, market.book.meta, flat_at_session_end=config.flat_at_session_end)
    bar_ns = _bar_ns(config)
    desks = {name: _desk(market, config) for name, market in markets.items()}
    capitals = {name: _capital(desk, config, len(desks)) for name, desk in desks.items()}
    thresholds = {
        name: choose_thresholds(
            market.book, market.models, config, all_decided_ns=market.all_decided_ns, bar_ns=bar_ns
        )
        for name, market in markets.items()
    }
    legs = {
        (name, strategy): leg
        for name, desk in desks.items()
        for strategy, leg in _legs(desk, markets[name].models, thresholds[name]).items()
    }
    costs = costs_of(config.costs)
    accounts = simulate(
        legs,
        costs=[costs, *(costs.scaled(multiple) for multiple in config.cost_multiples)],
        bar_ns=bar_ns,
        capital={(name, strategy): capitals[name] for name, strategy in legs},
    )
    each = {
        name: _traded(
            desk,
            next(iter(markets[name].models.values())),
            {strategy: leg for (market, strategy), leg in legs.items() if market == name},
            {strategy: own for (market, strategy), own in accounts.items() if market == name},
            thresholds[name],
        )
        for name, desk in desks.items()
    }
    return TradedMarkets(each=each, together=_together(list(each.values())))


def break_even(account: Account) -> BreakEven:
    """The cost at which the account's trades would earn nothing: gross profit over costs paid.

    Costs scale as a whole, ``net(m) = gross - m * costs``, so the root is exact.

    Args:
        account: at the configured cost, which ``m = 1`` means.
    """
    gross, paid = float(account.gross_pnl.sum()), account.costs_paid
    traded = float(account.traded_notional.sum())
    if traded == 0:
        return BreakEven(multiple=None, bps=None, cost_bps=None)
    return BreakEven(
        multiple=gross / paid if gross >= 0 and paid > 0 else None,
        bps=_BPS * gross / traded if gross >= 0 else None,
        cost_bps=_BPS * paid / traded,
    )


def _desk(market: Market, config: BacktestConfig) -> Desk:
    test = next(iter(market.models.values())).test
    return Desk.of(
        market.book,
        config,
        fold=test.fold,
        decided_ns=test.decided_ns,
        all_decided_ns=market.all_decided_ns,
    )


def _capital(desk: Desk, config: BacktestConfig, n_markets: int) -> float:
    if config.capital is not None:
        return config.capital / n_markets
    first_ns = int(desk.decided_ns[0])
    return notional(desk.book, units=config.position_limit, at_ns=first_ns)


def _legs(
    desk: Desk,
    models: Mapping[str, ModelPredictions],
    thresholds: Mapping[str, Mapping[int, float]],
) -> dict[str, Leg]:
    legs = {
        name: desk.model_leg(model.test.probability, thresholds[name])
        for name, model in models.items()
    }
    return legs | {BUY_AND_HOLD: desk.buy_and_hold_leg(), FLAT: desk.flat_leg()}


def _traded(
    desk: Desk,
    model: ModelPredictions,
    legs: Mapping[str, Leg],
    accounts: Mapping[str, list[Account]],
    thresholds: Mapping[str, Mapping[int, float]],
) -> Traded:
    """One instrument's part; ``model`` is the one whose candidate thresholds are looked into."""
    config, bar_ns = desk.config, _bar_ns(desk.config)
    capital = next(iter(accounts.values()))[0].capital
    return Traded(
        accounts={name: at_levels[0] for name, at_levels in accounts.items()},
        orders={name: leg.orders for name, leg in legs.items()},
        net_at_multiples={name: _nets(at_levels[1:]) for name, at_levels in accounts.items()},
        multiples=tuple(config.cost_multiples),
        thresholds=thresholds,
        candidate_returns=candidate_returns(
            desk, model.test.probability, bar_ns=bar_ns, capital=capital
        ),
        spans=desk.spans,
        capital=capital,
        bar_ns=bar_ns,
        periods_per_year=bars_per_year(desk.book.meta, bar_ns=bar_ns),
    )


def _bar_ns(config: BacktestConfig) -> int:
    return round(config.bar_seconds * _NS_PER_SECOND)


def _nets(accounts: list[Account]) -> list[float]:
    return [float(account.net_pnl.sum()) / account.capital for account in accounts]


def _together(each: list[Traded]) -> Traded:
    """Several instruments as one portfolio; one instrument is its own."""
    first = each[0]
    if len(each) == 1:
        return first
    capital = sum(traded.capital for traded in each)
    share = [traded.capital / capital for traded in each]
    joint = JointBars.of([next(iter(own.accounts.values())) for own in each], bar_ns=first.bar_ns)
    candidates = [
        own.candidate_returns * part
        for own, part in zip(each, share, strict=True)
        if own.candidate_returns is not None
    ]
    return Traded(
        accounts={
            name: combine([own.accounts[name] for own in each], bar_ns=first.bar_ns)
            for name in first.accounts
        },
        orders={name: _in_time([own.orders[name] for own in each]) for name in first.orders},
        net_at_multiples={
            name: np.average([own.net_at_multiples[name] for own in each], axis=0, weights=share)
            .tolist()
            for name in first.accounts
        },
        multiples=first.multiples,
        thresholds={},
        candidate_returns=joint.summed(candidates) if candidates else None,
        spans=_around([own.spans for own in each]),
        capital=capital,
        bar_ns=first.bar_ns,
        periods_per_year=first.periods_per_year,
    )  # fmt: skip


def _in_time(parts: list[Orders]) -> Orders:
    """The orders of several instruments, fold by fold in the order of time."""
    joined = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(Orders)
    }
    order = np.lexsort((joined["time_ns"], joined["fold"]))
    return Orders(**{name: values[order] for name, values in joined.items()})


def _around(each: list[list[Span]]) -> list[Span]:
    """For each fold, the span that holds the spans of all instruments."""
    folds = sorted({span.fold for spans in each for span in spans})
    together = [[span for spans in each for span in spans if span.fold == fold] for fold in folds]
    return [
        Span(
            fold=fold,
            start_ns=min(span.start_ns for span in of_fold),
            end_ns=max(span.end_ns for span in of_fold),
        )
        for fold, of_fold in zip(folds, together, strict=True)
    ]


def _check_markets(markets: Mapping[str, Market]) -> None:
    if not markets:
        raise PortfolioError("got no instruments to trade; needs at least one")
    first, *others = markets.values()
    for name, market in zip(list(markets)[1:], others, strict=True):
        if list(market.models) != list(first.models):
            raise PortfolioError(
                f"{name} has the models {list(market.models)}; needs {list(first.models)}, the "
                "same for all instruments"
            )
        for key in ("currency", "session_open", "session_close"):
            got, needed = getattr(market.book.meta, key), getattr(first.book.meta, key)
            if got != needed:
                raise PortfolioError(
                    f"{name} has {key}={got}, {next(iter(markets))} has {needed}; instruments of "
                    "one portfolio need the same: score them apart"
                )
    if others:
        _check_folds(markets)


def _check_folds(markets: Mapping[str, Market]) -> None:
    """Refuse test blocks of different numbers that overlap in time, of whichever instruments."""
    blocks = []
    for name, market in markets.items():
        test = next(iter(market.models.values())).test
        first = np.flatnonzero(np.diff(test.fold, prepend=test.fold[0] - 1))
        last = np.append(first[1:], test.n) - 1
        blocks += [
            (int(test.fold[a]), int(test.decided_ns[a]), int(test.decided_ns[b]), name)
            for a, b in zip(first, last, strict=True)
        ]
    folds = sorted({block[0] for block in blocks})
    for fold, following in pairwise(folds):
        ends = max((block[2], block[3]) for block in blocks if block[0] == fold)
        begins = min((block[1], block[3]) for block in blocks if block[0] == following)
        if begins[0] <= ends[0]:
            raise PortfolioError(
                f"the test block of fold {following} of {begins[1]} begins at {begins[0]}, before "
                f"that of fold {fold} of {ends[1]} ends at {ends[0]}; a fold number has to mean "
                "the same time for all instruments: use walk_forward.unit days or seconds"
            )
