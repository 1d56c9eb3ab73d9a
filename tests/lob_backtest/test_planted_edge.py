"""An edge of known size is planted in a book, and the break-even cost says how large it is."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from lob_backtest.book import Book
from lob_backtest.config import BacktestConfig, CostsConfig, SignalConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.predictions import Predictions
from lob_backtest.trading import Traded, break_even, trade
from tests.lob_backtest.books import META_ALWAYS_OPEN, SECOND, START

CONFIG = BacktestConfig(
    costs=CostsConfig(fee_bps=0.5),
    latency_ns=SECOND // 2,
    bar_seconds=60.0,
    signal=SignalConfig(threshold=0.5),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """A book and a model that knows what was planted in it."""

    book: Book
    model: ModelPredictions


def planted(
    edge_bps: float, *, seed: int = 0, n_trades: int = 4000, noise_bps: float = 4.0
) -> Planted:
    """A trade earns ``edge_bps`` of every unit of notional that it buys or sells, on average.

        decided at    0        1        2        3           side, then flat
        at the market     0.5      1.5      2.5              trades at rows 1, 2, 3
        mid               x  ---+  x        x  ---+          side * 2 edge + noise, from 1 to 2

    A round trip trades its notional twice, so what is planted from entry to exit is twice the edge.
    """
    rng = np.random.default_rng(seed)
    n_rows = 2 * n_trades + 2
    side = np.zeros(n_rows)
    side[0 : 2 * n_trades : 2] = rng.choice([-1.0, 1.0], n_trades)
    bps = rng.normal(0.0, noise_bps, n_rows)
    bps[2:] += 2 * edge_bps * side[:-2]  # decided at row 0, held from row 1 to row 2
    mid = np.round(1_000_000 * np.exp(np.cumsum(bps) / 10_000)).astype(np.int64)
    time_ns = START + SECOND * np.arange(n_rows, dtype=np.int64)
    size = np.full((n_rows, 1), 5.0)
    book = Book(
        meta=META_ALWAYS_OPEN,
        time_ns=time_ns,
        ask_ticks=(mid + 10)[:, None],
        ask_size=size,
        bid_ticks=(mid - 10)[:, None],
        bid_size=size,
    )
    n = 2 * n_trades
    fold = np.arange(n) * 4 // n
    label = 1 + side[:n].astype(np.int64)
    return Planted(
        book=book,
        model=ModelPredictions(
            test=Predictions(
                instrument="TEST",
                fold=fold,
                decided_ns=time_ns[:n],
                label_end_ns=time_ns[2 : n + 2],
                train_end_ns=np.full(n, START - 1),
                label=label,
                probability=np.full((n, 3), 0.1) + 0.7 * np.eye(3)[label],
            )
        ),
    )


def traded(edge_bps: float, *, seed: int = 0, **changes: object) -> Traded:
    made = planted(edge_bps, seed=seed)
    return trade(made.book, {"model": made.model}, replace(CONFIG, **changes))


def recovered_bps(edge_bps: float, *, seed: int = 0, **changes: object) -> float:
    """The cost in basis points of what is traded at which the trades earn nothing."""
    at = break_even(traded(edge_bps, seed=seed, **changes).accounts["model"])
    assert at.multiple is not None
    assert at.cost_bps is not None
    return at.multiple * at.cost_bps


@pytest.mark.parametrize("edge_bps", [1.0, 2.0, 5.0])
def test_the_break_even_cost_is_the_planted_edge_within_a_tenth(edge_bps: float) -> None:
    assert recovered_bps(edge_bps) == pytest.approx(edge_bps, rel=0.1)


@pytest.mark.parametrize(
    "costs",
    [
        CostsConfig(fee_bps=0.1),
        CostsConfig(fee_bps=20.0),
        CostsConfig(fee_bps=1.0, sell_tax_bps=30.0),
        CostsConfig(fee_per_unit=0.5, minimum_fee=2.0),
    ],
)
def test_what_is_recovered_does_not_depend_on_what_is_charged(costs: CostsConfig) -> None:
    assert recovered_bps(2.0, costs=costs) == pytest.approx(recovered_bps(2.0), rel=1e-9)


def test_trades_earn_below_the_break_even_cost_and_lose_above_it() -> None:
    # Half a spread is 10 of 1,000,000 ticks, 0.1 bps: a fee of 1.9 or so is the most to bear.
    at_cost = {
        fee: float(traded(2.0, costs=CostsConfig(fee_bps=fee)).accounts["model"].net_pnl.sum())
        for fee in (1.6, 2.2)
    }
    assert at_cost[1.6] > 0 > at_cost[2.2]


def test_every_planted_trade_is_one_round_trip() -> None:
    account = traded(2.0).accounts["model"]
    assert account.trades.n == 4000
    assert (account.trades.close_ns - account.trades.open_ns == SECOND).all()


def test_without_an_edge_nothing_is_recovered() -> None:
    at = break_even(traded(0.0).accounts["model"])
    # What 4,000 trades earn by luck: a deviation of 4 bps / 2 / sqrt(4000), three times.
    assert at.bps is None or at.bps < 0.1


@pytest.mark.slow
def test_the_planted_edge_is_recovered_on_every_seed() -> None:
    edges = np.random.default_rng(1).uniform(1.0, 8.0, 200)
    found = np.array([recovered_bps(edge, seed=seed) for seed, edge in enumerate(edges)])
    assert np.abs(found / edges - 1).max() < 0.1
    assert np.mean(found / edges) == pytest.approx(1.0, abs=0.005)
