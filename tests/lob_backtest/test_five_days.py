"""Five real days of BAC quotes: no window, label or position crosses a night."""

from pathlib import Path

import numpy as np
import pytest

from lob_backtest.book import Book, read_book
from lob_backtest.cli import main
from lob_backtest.config import (
    BacktestConfig,
    CostsConfig,
    DataConfig,
    DecisionsConfig,
    LabelConfig,
    LatencyConfig,
    SignalConfig,
    WalkForwardConfig,
)
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import Costs
from lob_backtest.decisions import Decisions, decide_every_events, decide_every_ns
from lob_backtest.labels import (
    Moves,
    executable_moves,
    mid_moves,
    past_volatility_ticks,
    smoothed_moves,
    triple_barrier_moves,
)
from lob_backtest.predictions import concatenate
from lob_backtest.prepare import prepare
from lob_backtest.trading import trade
from tests.lob_backtest.books import SECOND

MINUTE = 60 * SECOND


@pytest.fixture(scope="module")
def five_days(lob_data_dir: Path, tmp_path_factory) -> tuple[Book, Decisions]:
    files = sorted(str(path) for path in (lob_data_dir / "data/lean").glob("bac_*_quote.zip"))
    path = tmp_path_factory.mktemp("bac") / "bac.parquet"
    assert main(["import", "lean", *files, "-o", str(path)]) == 0
    book = read_book(path)
    return book, decide_every_ns(book, step_ns=5 * SECOND, window=1)


def barriers(book: Book, decisions: Decisions) -> Moves:
    return triple_barrier_moves(
        book, decisions, horizon_ns=MINUTE, barrier_volatilities=1.5, volatility_decisions=100
    )


def test_no_label_of_five_days_crosses_a_night(five_days):
    book, decisions = five_days
    assert book.session_starts.size == 6
    opens_ns = np.append(book.time_ns[book.session_starts[1:-1]], np.iinfo(np.int64).max)
    trading = {"costs": Costs.proportional(0.3), "latency_ns": SECOND, "units": 100.0}
    for moves in (
        mid_moves(book, decisions, horizon_ns=MINUTE),
        smoothed_moves(book, decisions, horizon_ns=MINUTE),
        barriers(book, decisions),
        executable_moves(book, decisions, horizon_ns=MINUTE, **trading),
    ):
        assert (moves.label_end_ns < opens_ns[decisions.session]).all()
        assert (moves.label_end_ns >= decisions.decided_ns).all()
        known = np.isfinite(moves.move_ticks)
        assert set(decisions.session[known].tolist()) == {0, 1, 2, 3, 4}


def test_the_touches_of_five_days_are_those_that_a_scan_finds(five_days):
    book, decisions = five_days
    moves = barriers(book, decisions)
    past = mid_moves(book, decisions, horizon_ns=MINUTE)
    width = 1.5 * past_volatility_ticks(decisions, past, volatility_decisions=100)
    settled = book.is_last_of_instant
    seen = {-1.0: 0, 0.0: 0, 1.0: 0}
    for i in np.flatnonzero(np.isfinite(moves.move_ticks))[::37]:
        end_ns = decisions.decided_ns[i] + MINUTE
        stop = min(
            np.searchsorted(book.time_ns, end_ns, side="right"),
            book.session_starts[decisions.session[i] + 1],
        )
        rows = np.arange(decisions.rows[i] + 1, stop)
        away = book.mid_ticks[rows] - book.mid_ticks[decisions.rows[i]]
        hits = np.flatnonzero((np.abs(away) >= width[i]) & settled[rows])
        assert moves.move_ticks[i] == (away[hits[0]] if hits.size else 0)
        if hits.size:
            assert moves.label_end_ns[i] == book.time_ns[rows[hits[0]]]
        seen[float(np.sign(moves.move_ticks[i]))] += 1
    assert min(seen.values()) > 30


def test_no_window_of_five_days_crosses_a_night(five_days):
    book, _ = five_days
    decisions = decide_every_events(book, step_events=500, window=100)
    first_rows = decisions.rows - 99
    assert (book.session[first_rows] == book.session[decisions.rows]).all()
    assert set(decisions.session.tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("execution", ["walk", "passive"])
def test_no_position_of_five_days_crosses_a_night(five_days, execution):
    book, _ = five_days
    data = DataConfig(
        book="bac.parquet",
        decisions=DecisionsConfig(every_ms=20_000),
        label=LabelConfig(horizon_ms=60_000),
        window=10,
    )
    walk = WalkForwardConfig(mode="expanding", unit="days", train=1, validation=1, test=1)
    prepared = prepare(book, data=data, walk_forward=walk)
    assert len(prepared.folds) == 3
    rng = np.random.default_rng(0)
    guesses = concatenate(
        [
            prepared.predictions(fold, "test", rng.dirichlet([1.0, 1.0, 1.0], fold.test.size))
            for fold in prepared.folds
        ]
    )
    config = BacktestConfig(
        costs=CostsConfig(preset="us_stock_2025"),
        latency_ns=LatencyConfig(median_ns=1_000_000, p99_ns=10_000_000),
        execution=execution,
        position_limit=100.0,
        signal=SignalConfig(threshold=0.4, hold_decisions=3),
    )
    traded = trade(book, {"model": ModelPredictions(test=guesses)}, config)
    for name in ("model", "buy_and_hold"):
        trades, orders = traded.accounts[name].trades, traded.orders[name]
        opened, closed = (book.session[book.row_known_at(at)] for at in
                          (trades.open_ns, trades.close_ns))  # fmt: skip
        assert trades.n >= 3
        assert (opened == closed).all()
        left = np.bincount(book.session[orders.row], orders.size, minlength=5)
        assert left == pytest.approx(np.zeros(5), abs=1e-9)
    assert set(book.session[traded.orders["model"].row].tolist()) == {2, 3, 4}
