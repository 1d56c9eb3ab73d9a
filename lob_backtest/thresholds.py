"""Confidence thresholds: chosen on validation, and what every candidate would have made of test.

validation ─► accounts at each candidate ─► threshold of each fold
test       ─► accounts at each candidate ─► (B, N) net returns: was the choice luck?
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.config import BacktestConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import costs_of
from lob_backtest.desk import Desk
from lob_backtest.errors import SignalError
from lob_backtest.execution import execution_rows
from lob_backtest.latency import latency_of
from lob_backtest.portfolio import Account, Leg, simulate
from lob_backtest.predictions import Predictions
from lob_backtest.signals import choose_threshold

Name = TypeVar("Name", bound=Hashable)
Kept = TypeVar("Kept")
# Candidates are simulated together up to this many orders, so that memory does not grow with them.
_MOST_ORDERS = 2_000_000


def check_threshold(config: BacktestConfig | None, name: str, model: ModelPredictions) -> None:
    """Refuse to choose a threshold by what is not there; cheap, so do it before the long work."""
    if config is None or not isinstance(config.signal.threshold, str):
        return
    if model.validation is None:
        raise SignalError(
            f"{name}: threshold: validation needs predictions on the validation blocks, got none; "
            "give --validation FILE, or a fixed backtest.signal.threshold"
        )


def choose_thresholds(
    book: Book,
    models: Mapping[str, ModelPredictions],
    config: BacktestConfig,
    *,
    all_decided_ns: IntArray | None,
    bar_ns: int,
) -> dict[str, dict[int, float]]:
    """The confidence threshold of every model and fold: given, or chosen on validation.

    Args:
        all_decided_ns: every decision of the book; by default those of each validation table.

    Raises:
        SignalError: a model without validation decisions that trade before the test block begins.
    """
    fixed = config.signal.threshold
    if not isinstance(fixed, str):
        return {name: dict.fromkeys(model.test.folds, fixed) for name, model in models.items()}
    folds = {name: model.test.folds for name, model in models.items()}
    made = _in_batches(
        _candidate_legs(book, models, config, all_decided_ns),
        lambda account: {fold: _profit(account, fold) for fold in np.unique(account.fold)},
        config=config,
        bar_ns=bar_ns,
        capital=1.0,  # profits are compared, not returns
    )
    candidates = config.signal.candidates
    return {
        name: {
            fold: choose_threshold(
                candidates,
                [made[name, candidate][fold][0] for candidate in candidates],
                [made[name, candidate][fold][1] for candidate in candidates],
                min_trades=config.signal.min_trades,
            )
            for fold in folds[name]
        }
        for name in models
    }


def candidate_returns(
    desk: Desk, probability: FloatArray, *, bar_ns: int, capital: float
) -> FloatArray | None:
    """``(B, N)`` net return of a model in each test bar at each candidate threshold.

    None where the threshold is given: nothing was chosen then.
    """
    signal = desk.config.signal
    if not isinstance(signal.threshold, str):
        return None
    folds = [span.fold for span in desk.spans]
    legs = (
        (place, desk.model_leg(probability, dict.fromkeys(folds, candidate)))
        for place, candidate in enumerate(signal.candidates)
    )
    found = _in_batches(
        legs,
        lambda account: account.net_returns,
        config=desk.config,
        bar_ns=bar_ns,
        capital=capital,
    )
    return np.column_stack([found[place] for place in range(len(signal.candidates))])


def _candidate_legs(
    book: Book,
    models: Mapping[str, ModelPredictions],
    config: BacktestConfig,
    all_decided_ns: IntArray | None,
) -> Iterator[tuple[tuple[str, float], Leg]]:
    desk: Desk | None = None
    before = np.empty(0, dtype=np.int64)
    for name, model in models.items():
        table = _before_test(book, name, model, config)
        known = _known(model, all_decided_ns)
        if desk is None or not (_is_desk_of(desk, table) and np.array_equal(known, before)):
            desk = Desk.of(
                book, config, fold=table.fold, decided_ns=table.decided_ns, all_decided_ns=known
            )
            before = known
        for candidate in config.signal.candidates:
            thresholds = dict.fromkeys(table.folds, candidate)
            yield (name, candidate), desk.model_leg(table.probability, thresholds)


def _is_desk_of(desk: Desk, table: Predictions) -> bool:
    return np.array_equal(desk.decided_ns, table.decided_ns) and np.array_equal(
        desk.fold, table.fold
    )


def _in_batches(
    legs: Iterable[tuple[Name, Leg]],
    keep: Callable[[Account], Kept],
    *,
    config: BacktestConfig,
    bar_ns: int,
    capital: float,
) -> dict[Name, Kept]:
    """What is kept of each leg's account, at the configured cost."""
    kept: dict[Name, Kept] = {}
    batch: dict[Name, Leg] = {}

    def run() -> None:
        costs = [costs_of(config.costs)]
        accounts = simulate(batch, costs=costs, bar_ns=bar_ns, capital=capital)
        kept.update({name: keep(at_cost[0]) for name, at_cost in accounts.items()})
        batch.clear()

    for name, leg in legs:
        batch[name] = leg
        if sum(own.orders.n for own in batch.values()) > _MOST_ORDERS:
            run()
    if batch:
        run()
    return kept


def _profit(account: Account, fold: int) -> tuple[float, int]:
    """Net profit and number of round trips of one fold."""
    own = account.of_fold(fold)
    return float(own.net_pnl.sum()), own.trades.n


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
    return np.concatenate([model.validation.decided_ns, given])
