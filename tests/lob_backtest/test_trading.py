"""Thresholds from validation, orders from the same rule for all, and the break-even cost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, FloatArray
from lob_backtest.config import BacktestConfig, CostsConfig, SignalConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import Costs
from lob_backtest.errors import SignalError
from lob_backtest.execution import Execution
from lob_backtest.latency import FixedLatency
from lob_backtest.metrics import portfolio_metrics
from lob_backtest.orders import Span, orders_from_targets
from lob_backtest.portfolio import Account, Leg, Trades, simulate
from lob_backtest.predictions import Predictions
from lob_backtest.trading import break_even, trade
from tests.lob_backtest.books import SECOND, book_from_mids, seconds
from tests.lob_backtest.judged import BACKTEST, walk

AT_ONCE = Execution(kind="touch", latency=FixedLatency(ns=0))


def account(*, gross: float, spread: float, fees: float, traded: float) -> Account:
    """One bar, one round trip."""
    one = np.array([0], dtype=np.int64)
    return Account(
        capital=100.0,
        fold=one,
        bar_end_ns=one,
        gross_pnl=np.array([gross]),
        fees_paid=np.array([fees]),
        spread_paid=np.array([spread]),
        traded_notional=np.array([traded]),
        position=np.array([0.0]),
        trades=Trades(
            fold=one,
            open_ns=one,
            close_ns=one,
            side=one + 1,
            size=np.array([1.0]),
            open_price=np.array([traded / 2]),
            close_price=np.array([traded / 2 + gross]),
            gross_pnl=np.array([gross]),
            costs=np.array([spread + fees]),
        ),
    )


def leg_of(book: Book, wanted: FloatArray) -> Leg:
    """Targets at every row of a book, traded at once."""
    fold = np.zeros(book.n_rows, dtype=np.int64)
    orders = orders_from_targets(book, book.time_ns, fold, wanted, execution=AT_ONCE)
    span = Span(fold=0, start_ns=int(book.time_ns[0]), end_ns=int(book.time_ns[-1]))
    return Leg(book=book, orders=orders, spans=[span])


def test_break_even_is_gross_over_cost_by_hand():
    # Half-spreads of 4 and a fee of 1 (10 bps of 1000) against 15 earned: three times the cost.
    at = break_even(account(gross=15.0, spread=4.0, fees=1.0, traded=1000.0))
    assert at.multiple == pytest.approx(3.0)
    assert at.bps == pytest.approx(150.0)
    assert at.cost_bps == pytest.approx(50.0)


@pytest.mark.parametrize(("gross", "multiple", "bps"), [(0.0, 0.0, 0.0), (-1.0, None, None)])
def test_trades_that_earn_nothing_break_even_at_no_cost_or_never(gross, multiple, bps):
    at = break_even(account(gross=gross, spread=4.0, fees=1.0, traded=1000.0))
    assert (at.multiple, at.bps) == (multiple, bps)


def test_free_trading_has_a_break_even_in_bps_and_no_multiple():
    at = break_even(account(gross=15.0, spread=0.0, fees=0.0, traded=1000.0))
    assert (at.multiple, at.bps, at.cost_bps) == (None, pytest.approx(150.0), 0.0)


def test_without_trades_there_is_no_break_even():
    at = break_even(account(gross=0.0, spread=0.0, fees=0.0, traded=0.0))
    assert (at.multiple, at.bps, at.cost_bps) == (None, None, None)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 50), st.integers(2, 30))
def test_at_the_break_even_multiple_the_simulated_net_profit_is_nothing(seed, fee_bps, n_trades):
    rng = np.random.default_rng(seed)
    mids = 1000.0 + np.cumsum(rng.integers(-3, 4, 60))
    book = book_from_mids(mids)
    wanted = np.zeros(60)
    wanted[: 2 * n_trades : 2] = rng.choice([-1.0, 1.0, 2.0], n_trades)
    wanted[-1] = 0.0
    costs = Costs.proportional(fee_bps)
    legs, run = {"a": leg_of(book, wanted)}, {"bar_ns": 10 * SECOND, "capital": 10.0}
    (at_once,) = simulate(legs, costs=[costs], **run)["a"]
    multiple = break_even(at_once).multiple
    gross = float(at_once.gross_pnl.sum())
    if multiple is None:
        assert gross < 0
        return
    (scaled,) = simulate(legs, costs=[costs.scaled(multiple)], **run)["a"]
    assert float(scaled.net_pnl.sum()) == pytest.approx(0, abs=1e-9 * max(1.0, abs(gross)))


def test_figures_of_a_bar_by_hand():
    figures = portfolio_metrics(
        account(gross=15.0, spread=4.0, fees=1.0, traded=1000.0), periods_per_year=252
    )
    undefined = [figures.pop(name) for name in ("sharpe", "sortino", "volatility")]
    assert np.isnan(undefined).all()
    assert figures == {
        "gross_return": 0.15,
        "net_return": 0.10,
        "max_drawdown": 0.0,
        "turnover": 10.0,
        "trades": 1.0,
        "hit_rate": 1.0,
        "costs_paid": 5.0,
    }


def test_the_threshold_is_the_candidate_with_the_best_validation_profit():
    made = walk()
    traded = trade(made.book, {"model": made.model}, BACKTEST)
    nets = {}
    for candidate in BACKTEST.signal.candidates:
        fixed = replace(BACKTEST, signal=replace(BACKTEST.signal, threshold=candidate))
        on_validation = ModelPredictions(test=made.model.validation)
        run = trade(made.book, {"model": on_validation}, fixed).accounts["model"]
        for fold in made.model.test.folds:
            part = run.of_fold(fold)
            if part.trade_pnl.size >= BACKTEST.signal.min_trades:
                nets.setdefault(fold, {})[candidate] = part.net_pnl.sum()
    assert len(nets) == len(made.model.test.folds)
    expected = {
        fold: max(found, key=lambda c: (found[c], c)) for fold, found in nets.items()
    }  # fmt: skip
    assert traded.thresholds == {"model": expected}


def test_thresholds_do_not_look_at_test():
    made = walk()
    rng = np.random.default_rng(1)
    shuffled = made.model.test.probability.copy()
    rng.shuffle(shuffled)
    other = ModelPredictions(
        test=replace(made.model.test, probability=shuffled), validation=made.model.validation
    )
    before = trade(made.book, {"model": made.model}, BACKTEST).thresholds
    assert trade(made.book, {"model": other}, BACKTEST).thresholds == before


def test_validation_decisions_that_trade_after_the_test_block_began_are_not_chosen_by():
    book = book_from_mids([1000.0 + (i % 7) for i in range(60)])
    long_latency = BacktestConfig(
        costs="none",
        latency_ns=25 * SECOND,
        bar_seconds=10,
        signal=SignalConfig(candidates=[0.4, 0.6], min_trades=1),
    )
    model = ModelPredictions(
        test=certain(book.time_ns[40:50]), validation=certain(book.time_ns[5:15])
    )
    assert trade(book, {"model": model}, long_latency).thresholds["model"].keys() == {0}
    late = ModelPredictions(
        test=certain(book.time_ns[40:50]), validation=certain(book.time_ns[20:30])
    )
    with pytest.raises(SignalError, match="no two validation decisions of fold 0 trade before"):
        trade(book, {"model": late}, long_latency)


def certain(decided_ns) -> Predictions:
    """Up and down in turn, at 0.8."""
    n = decided_ns.size
    up = np.arange(n) % 2 == 0
    return Predictions(
        instrument="TEST",
        fold=np.zeros(n, dtype=np.int64),
        decided_ns=decided_ns,
        label_end_ns=decided_ns,
        train_end_ns=np.full(n, seconds([-10])[0]),
        label=np.ones(n, dtype=np.int64),
        probability=np.where(up[:, None], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]),
    )


def test_without_validation_a_fixed_threshold_is_needed():
    made = walk()
    blind = ModelPredictions(test=made.model.test)
    with pytest.raises(SignalError, match=r"--validation FILE, or a fixed backtest\.signal"):
        trade(made.book, {"model": blind}, BACKTEST)
    fixed = replace(BACKTEST, signal=SignalConfig(threshold=0.4))
    thresholds = trade(made.book, {"model": blind}, fixed).thresholds["model"]
    assert set(thresholds.values()) == {0.4}


def test_strategies_are_the_models_buy_and_hold_and_flat():
    made = walk()
    traded = trade(made.book, {"model": made.model, "guesses": made.guesses}, BACKTEST)
    assert list(traded.accounts) == ["model", "guesses", "buy_and_hold", "flat"]
    flat = traded.accounts["flat"]
    assert (flat.net_pnl.any(), flat.costs_paid, flat.trade_pnl.size) == (False, 0.0, 0)
    hold = traded.accounts["buy_and_hold"]
    # One round trip in each fold and session: the test blocks do not straddle sessions.
    assert hold.trade_fold.tolist() == made.model.test.folds


def test_capital_is_the_notional_at_the_first_mid_unless_given():
    made = walk()
    traded = trade(made.book, {"model": made.model}, BACKTEST)
    row = made.book.row_known_at(made.model.test.decided_ns[:1])[0]
    assert traded.capital == pytest.approx(made.book.mid_ticks[row] * 0.01)
    given_capital = replace(BACKTEST, capital=500.0)
    assert trade(made.book, {"model": made.model}, given_capital).capital == 500.0


def test_doubling_the_cost_never_raises_the_net_return():
    made = walk()
    config = replace(
        BACKTEST,
        costs=CostsConfig(fee_bps=3.0),
        cost_multiples=[0.0, 1.0, 2.0, 4.0],
    )
    traded = trade(made.book, {"model": made.model, "guesses": made.guesses}, config)
    for name, nets in traded.net_at_multiples.items():
        assert nets == sorted(nets, reverse=True)
        own = traded.accounts[name]
        assert nets[0] == pytest.approx(own.gross_pnl.sum() / traded.capital, abs=1e-12)
        assert nets[1] == pytest.approx(own.net_pnl.sum() / traded.capital, abs=1e-12)


def test_round_trips_are_counted_in_the_bar_in_which_they_close():
    # Bars end at 10, 20 and 29 s: long from 1 to 12 s, short from 12 to 25 s, both closed by 25 s.
    book = book_from_mids([1000.0 + i for i in range(30)])
    wanted = np.zeros(30)
    wanted[1:12], wanted[12:25] = 1.0, -1.0
    legs = {"a": leg_of(book, wanted)}
    (own,) = simulate(legs, costs=[Costs.none()], bar_ns=10 * SECOND, capital=10.0)["a"]
    assert ((own.bar_end_ns - book.time_ns[0]) // SECOND).tolist() == [10, 20, 29]
    assert own.closings.tolist() == [[0, 0], [1, 1], [1, 0]]
