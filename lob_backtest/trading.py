"""From probabilities to accounts: thresholds chosen on validation, then one simulation of all.

    validation ─► accounts at each candidate ─► threshold of each fold ┐
    test ─────────────────────────────────────► targets ─► orders ─────┴─► accounts at each cost

The model, every baseline, buy and hold and flat go through the same rule, costs and latency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lob_backtest.book import Book, BoolArray, FloatArray, IntArray
from lob_backtest.config import BacktestConfig, SignalConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import costs_of
from lob_backtest.errors import SignalError
from lob_backtest.execution import execution_of, execution_rows
from lob_backtest.latency import latency_of
from lob_backtest.metrics import bars_per_year
from lob_backtest.orders import Orders, Span, block_closes, fold_spans, orders_from_targets
from lob_backtest.portfolio import Account, notional, simulate
from lob_backtest.predictions import Predictions
from lob_backtest.signals import (
    block_bounds,
    buy_and_hold_targets,
    choose_threshold,
    target_positions,
)

BUY_AND_HOLD, FLAT = "buy_and_hold", "flat"
_BPS = 10_000
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Traded:
    """What every strategy made of the test blocks.

    Attributes:
        accounts: by strategy, at the configured cost.
        orders: by strategy; the same at every cost.
        net_at_multiples: by strategy, net return at each of ``multiples`` of the whole cost.
        multiples: as configured.
        thresholds: by strategy and fold, the confidence threshold; none for buy and hold and flat.
        spans: of the test folds.
        capital: currency that returns are relative to.
        bar_ns, periods_per_year: length of a bar, and how many make a year.
    """

    accounts: Mapping[str, Account]
    orders: Mapping[str, Orders]
    net_at_multiples: Mapping[str, list[float]]
    multiples: tuple[float, ...]
    thresholds: Mapping[str, Mapping[int, float]]
    spans: list[Span]
    capital: float
    bar_ns: int
    periods_per_year: float


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
        book: where the decisions were made.
        models: by name; their test predictions share folds and decisions.
        config: costs, latency, signal rule, capital and bars.
        all_decided_ns: every decision of the book: a fold's last position is closed at the next of
            them. By default the decisions of the tables themselves.

    Raises:
        SignalError: thresholds are to be chosen, and a model has no validation predictions.
        PortfolioError: the decisions are not of this book.
    """
    costs = costs_of(config.costs)
    test = next(iter(models.values())).test
    spans = _spans(book, test, config, all_decided_ns)
    capital = config.capital or notional(
        book, units=config.position_limit, at_ns=int(test.decided_ns[0])
    )
    bar_ns = round(config.bar_seconds * _NS_PER_SECOND)
    thresholds = _thresholds(book, models, config, all_decided_ns, capital=capital, bar_ns=bar_ns)
    orders = {
        name: _orders(book, model.test, thresholds[name], config, all_decided_ns)
        for name, model in models.items()
    }
    orders |= _plain_strategies(book, test, config, all_decided_ns)
    levels = [costs, *(costs.scaled(multiple) for multiple in config.cost_multiples)]
    accounts = simulate(
        book, orders, costs=levels, spans=spans, bar_ns=bar_ns, capital=capital
    )  # fmt: skip
    return Traded(
        accounts={name: at_levels[0] for name, at_levels in accounts.items()},
        orders=orders,
        net_at_multiples={
            name: [float(account.net_pnl.sum()) / capital for account in at_levels[1:]]
            for name, at_levels in accounts.items()
        },
        multiples=tuple(config.cost_multiples),
        thresholds=thresholds,
        spans=spans,
        capital=capital,
        bar_ns=bar_ns,
        periods_per_year=bars_per_year(book.meta, bar_ns=bar_ns),
    )


def check_threshold(config: BacktestConfig | None, name: str, model: ModelPredictions) -> None:
    """Refuse to choose a threshold by what is not there; cheap, so do it before the long work."""
    if config is None or not isinstance(config.signal.threshold, str):
        return
    if model.validation is None:
        raise SignalError(
            f"{name}: threshold: validation needs predictions on the validation blocks, got none; "
            "give --validation FILE, or a fixed backtest.signal.threshold"
        )


def closings_per_bar(orders: Orders, account: Account) -> FloatArray:
    """``(B, 2)`` round trips that closed in each bar, and how many of them won."""
    after = np.cumsum(orders.size)
    largest = np.abs(orders.size).max(initial=0.0)
    after[np.abs(after) <= 1e-9 * largest] = 0.0
    before = np.append(0.0, after[:-1])
    closes = (before != 0) & (np.sign(after) != np.sign(before))
    assert closes.sum() == account.trade_pnl.size
    bar = np.empty(orders.n, dtype=np.int64)
    for fold in np.unique(orders.fold):
        bars, own = np.flatnonzero(account.fold == fold), orders.fold == fold
        bar[own] = bars[np.searchsorted(account.bar_end_ns[bars], orders.time_ns[own])]
    n_bars = account.bar_end_ns.size
    won = (account.trade_pnl > 0).astype(np.float64)
    return np.column_stack(
        [
            np.bincount(bar[closes], minlength=n_bars),
            np.bincount(bar[closes], won, minlength=n_bars),
        ]
    )


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


def _thresholds(
    book: Book,
    models: Mapping[str, ModelPredictions],
    config: BacktestConfig,
    all_decided_ns: IntArray | None,
    *,
    capital: float,
    bar_ns: int,
) -> dict[str, dict[int, float]]:
    """The confidence threshold of every model and fold: given, or chosen on validation."""
    fixed = config.signal.threshold
    if not isinstance(fixed, str):
        return {name: dict.fromkeys(model.test.folds, fixed) for name, model in models.items()}
    validation = {name: _before_test(book, name, model, config) for name, model in models.items()}
    known = {name: _known(model, all_decided_ns) for name, model in models.items()}
    orders = {
        (name, candidate): _orders(
            book, table, dict.fromkeys(table.folds, candidate), config, known[name]
        )
        for name, table in validation.items()
        for candidate in config.signal.candidates
    }
    spans = [_spans(book, table, config, known[name]) for name, table in validation.items()]
    accounts = simulate(
        book,
        orders,
        costs=[costs_of(config.costs)],
        spans=[_around(of_fold) for of_fold in zip(*spans, strict=True)],
        bar_ns=bar_ns,
        capital=capital,
    )
    return {
        name: {
            fold: _best(fold, {c: accounts[name, c][0] for c in config.signal.candidates},
                        config.signal)
            for fold in table.folds
        }
        for name, table in validation.items()
    }  # fmt: skip


def _best(fold: int, accounts: Mapping[float, Account], signal: SignalConfig) -> float:
    of_fold = [account.of_fold(fold) for account in accounts.values()]
    return choose_threshold(
        list(accounts),
        [float(account.net_pnl.sum()) for account in of_fold],
        [account.trade_pnl.size for account in of_fold],
        min_trades=signal.min_trades,
    )


def _before_test(
    book: Book, name: str, model: ModelPredictions, config: BacktestConfig
) -> Predictions:
    """The validation decisions that have traded, and were closed, before the test block begins.

    The last of them only sends the closing order of those before it.
    """
    check_threshold(config, name, model)
    assert model.validation is not None
    table = model.validation.select(np.isin(model.validation.fold, model.test.folds))
    folds, first = np.unique(model.test.fold, return_index=True)
    test_start_ns: IntArray = model.test.decided_ns[first][np.searchsorted(folds, table.fold)]
    row = execution_rows(book, table.decided_ns, latency=latency_of(config.latency_ns))
    traded = np.maximum(book.time_ns[row], table.decided_ns) < test_start_ns
    last_of_fold = np.append((np.diff(table.fold) != 0) | ~traded[1:], True) & traded
    traded &= ~last_of_fold
    empty = sorted(set(model.test.folds) - {int(fold) for fold in table.fold[traded]})
    if empty:
        raise SignalError(
            f"{name}: no two validation decisions of fold {empty[0]} trade before its test block "
            f"begins (latency_ns={config.latency_ns}); needs some to choose a threshold by; give "
            "predictions of the validation blocks, or a fixed backtest.signal.threshold"
        )
    return table.select(traded)


def _known(model: ModelPredictions, all_decided_ns: IntArray | None) -> IntArray:
    """Every decision that a validation block's closing order may be sent at."""
    assert model.validation is not None
    given = np.empty(0, dtype=np.int64) if all_decided_ns is None else all_decided_ns
    return np.union1d(model.validation.decided_ns, given)


def _around(spans: tuple[Span, ...]) -> Span:
    """The span that holds one fold's spans of all models."""
    return Span(
        fold=spans[0].fold,
        start_ns=min(span.start_ns for span in spans),
        end_ns=max(span.end_ns for span in spans),
    )


def _spans(
    book: Book, table: Predictions, config: BacktestConfig, all_decided_ns: IntArray | None
) -> list[Span]:
    return fold_spans(
        book,
        table.decided_ns,
        table.fold,
        execution=execution_of(config),
        closes_ns=block_closes(book, table.decided_ns, all_decided_ns),
    )


def _orders(
    book: Book,
    table: Predictions,
    thresholds: Mapping[int, float],
    config: BacktestConfig,
    all_decided_ns: IntArray | None,
) -> Orders:
    starts, limit = _starts(book, table, config), _unit_limit(book, table, config)
    targets: FloatArray = np.zeros(table.n)
    for fold, threshold in thresholds.items():
        here = table.fold == fold
        targets[here] = target_positions(
            table.probability[here],
            threshold=threshold,
            hold_decisions=config.signal.hold_decisions,
            position_limit=config.position_limit,
            starts=starts[here],
            sizing=config.signal.sizing,
            size_steps=config.signal.size_steps,
            unit_limit=None if limit is None else limit[here],
        )
    return _executed(book, table, targets, config, all_decided_ns)


def _plain_strategies(
    book: Book, test: Predictions, config: BacktestConfig, all_decided_ns: IntArray | None
) -> dict[str, Orders]:
    bought = buy_and_hold_targets(
        _starts(book, test, config),
        position_limit=config.position_limit,
        unit_limit=_unit_limit(book, test, config),
    )
    targets = {BUY_AND_HOLD: bought, FLAT: np.zeros(test.n)}
    return {
        name: _executed(book, test, wanted, config, all_decided_ns)
        for name, wanted in targets.items()
    }


def _executed(
    book: Book,
    table: Predictions,
    targets: FloatArray,
    config: BacktestConfig,
    all_decided_ns: IntArray | None,
) -> Orders:
    return orders_from_targets(
        book,
        table.decided_ns,
        table.fold,
        targets,
        execution=execution_of(config),
        closes_ns=block_closes(book, table.decided_ns, all_decided_ns),
    )


def _starts(book: Book, table: Predictions, config: BacktestConfig) -> BoolArray:
    """First decision of each block; positions that are carried over night have one a fold."""
    session = book.session[book.row_known_at(table.decided_ns)]
    starts, _ = block_bounds(table.fold, session * config.flat_at_session_end)
    return starts


def _unit_limit(book: Book, table: Predictions, config: BacktestConfig) -> FloatArray | None:
    """Units that the notional limit allows at the mid known at each decision."""
    if config.notional_limit is None:
        return None
    mid = book.mid_ticks[book.row_known_at(table.decided_ns)] * book.meta.tick_size
    return np.asarray(config.notional_limit / mid)
