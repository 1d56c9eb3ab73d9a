"""Thresholds from validation, orders from the same rule for all, and the break-even cost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest import thresholds
from lob_backtest.book import Book, FloatArray
from lob_backtest.config import BacktestConfig, CostsConfig, SignalConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError, SignalError
from lob_backtest.execution import Execution
from lob_backtest.latency import FixedLatency
from lob_backtest.metrics import portfolio_metrics
from lob_backtest.orders import Span, orders_from_targets
from lob_backtest.portfolio import Account, Leg, Trades, simulate
from lob_backtest.predictions import Predictions
from lob_backtest.trading import Market, break_even, trade, trade_many
from tests.lob_backtest.books import (
    META,
    META_ALWAYS_OPEN,
    SECOND,
    START,
    book_from_mids,
    random_book,
    seconds,
)
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
    chosen = trade(made.book, {"model": blind}, fixed).thresholds["model"]
    assert set(chosen.values()) == {0.4}


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


def test_the_last_position_is_closed_at_the_next_decision_of_the_book():
    book = book_from_mids([1000.0 + i for i in range(60)])
    config = replace(BACKTEST, signal=SignalConfig(threshold=0.5, hold_decisions=5))
    model = ModelPredictions(test=certain(book.time_ns[10:15]))
    later = trade(book, {"model": model}, config, all_decided_ns=book.time_ns[::5])
    assert later.orders["model"].decided_ns[-1] == book.time_ns[15]
    alone = trade(book, {"model": model}, config)
    assert alone.orders["model"].decided_ns[-1] == book.time_ns[-1]


# ------------------------------------------------------------------- candidates on test


def test_each_candidates_returns_are_those_of_trading_at_it():
    made = walk()
    traded = trade(made.book, {"model": made.model, "guesses": made.guesses}, BACKTEST)
    candidates = BACKTEST.signal.candidates
    assert traded.candidate_returns.shape == (
        traded.accounts["model"].bar_end_ns.size,
        len(candidates),
    )
    for candidate, found in zip(candidates, traded.candidate_returns.T, strict=True):
        fixed = replace(BACKTEST, signal=replace(BACKTEST.signal, threshold=candidate))
        account = trade(made.book, {"model": made.model}, fixed).accounts["model"]
        assert found.tolist() == account.net_returns.tolist()
    assert len(np.unique(traded.candidate_returns, axis=1).T) > 1


def test_a_threshold_that_was_given_has_no_candidates():
    made = walk()
    fixed = replace(BACKTEST, signal=SignalConfig(threshold=0.4))
    assert trade(made.book, {"model": made.model}, fixed).candidate_returns is None


def test_candidates_simulated_in_batches_give_the_same(monkeypatch):
    made = walk()
    models = {"model": made.model, "guesses": made.guesses}
    at_once = trade(made.book, models, BACKTEST)
    sizes = []
    simulate_all = thresholds.simulate
    monkeypatch.setattr(
        thresholds, "simulate", lambda legs, **k: sizes.append(len(legs)) or simulate_all(legs, **k)
    )
    trade(made.book, models, BACKTEST)
    assert sizes == [6, 3]  # two models and three candidates on validation, one model on test
    monkeypatch.setattr(thresholds, "_MOST_ORDERS", 1)
    in_batches = trade(made.book, models, BACKTEST)
    assert sizes[2:] == [1] * 9
    assert in_batches.thresholds == at_once.thresholds
    assert in_batches.candidate_returns.tolist() == at_once.candidate_returns.tolist()


# -------------------------------------------------------------------------- instruments

EDGES = [0, 100, 200, 300, 400]


def market(seed, *, instrument="TEST", meta=META_ALWAYS_OPEN, edges=EDGES) -> Market:
    """Guesses on a random book; fold k is tested from edge k + 1 to the next, in seconds."""
    rng = np.random.default_rng(seed)
    book = random_book(rng, 1200, meta=replace(meta, instrument=instrument))
    decided_ns = np.unique(book.time_ns)[::3]
    edges_ns = START + SECOND * np.array(edges)

    def table(first):
        parts = [
            decided_ns[(decided_ns >= a) & (decided_ns < b)]
            for a, b in zip(edges_ns[first:-1], edges_ns[first + 1 :], strict=True)
        ]
        fold = np.repeat(np.arange(len(parts)), [part.size for part in parts])
        n = fold.size
        return Predictions(
            instrument=instrument,
            fold=fold,
            decided_ns=np.concatenate(parts),
            label_end_ns=np.concatenate(parts),
            train_end_ns=np.full(n, START - 1),
            label=rng.integers(0, 3, n),
            probability=rng.dirichlet([2.0, 2.0, 2.0], n),
        )

    validation = table(0)
    model = ModelPredictions(
        test=table(1), validation=validation.select(validation.fold < len(edges) - 2)
    )
    return Market(book=book, models={"model": model}, all_decided_ns=decided_ns)


MARKETS = {"one": market(0, instrument="one"), "two": market(1, instrument="two")}


def test_an_instrument_earns_the_same_alone_as_among_others():
    both = trade_many(MARKETS, BACKTEST)
    assert list(both.each) == ["one", "two"]
    for name, own in both.each.items():
        it = MARKETS[name]
        alone = trade(it.book, it.models, BACKTEST, all_decided_ns=it.all_decided_ns)
        assert own.thresholds == alone.thresholds
        assert own.capital == alone.capital
        assert own.net_at_multiples == alone.net_at_multiples
        assert own.candidate_returns.tolist() == alone.candidate_returns.tolist()
        for strategy, account in own.accounts.items():
            assert account.net_pnl.tolist() == alone.accounts[strategy].net_pnl.tolist()
            assert account.trade_pnl.tolist() == alone.accounts[strategy].trade_pnl.tolist()


def test_together_they_have_the_sum_of_capitals_profits_and_trades():
    both = trade_many(MARKETS, BACKTEST)
    one, two, all_of_it = *both.each.values(), both.together
    assert all_of_it.capital == one.capital + two.capital
    for name, account in all_of_it.accounts.items():
        parts = one.accounts[name], two.accounts[name]
        net = sum(part.net_pnl.sum() for part in parts)
        assert account.net_pnl.sum() == pytest.approx(net, abs=1e-9)
        assert account.trades.n == sum(part.trades.n for part in parts)
        assert all_of_it.orders[name].n == one.orders[name].n + two.orders[name].n
        assert (np.diff(account.fold) >= 0).all()
        at = all_of_it.net_at_multiples[name]
        free = sum(part.gross_pnl.sum() for part in parts) / all_of_it.capital
        assert at[0] == pytest.approx(free, abs=1e-12)
        assert at == sorted(at, reverse=True)
    bars = all_of_it.accounts["model"].bar_end_ns.size
    assert all_of_it.candidate_returns.shape == (bars, len(BACKTEST.signal.candidates))
    each = [own.candidate_returns.sum(axis=0) * own.capital for own in (one, two)]
    expected = sum(each) / all_of_it.capital
    assert all_of_it.candidate_returns.sum(axis=0) == pytest.approx(expected, abs=1e-12)
    assert [span.fold for span in all_of_it.spans] == [0, 1, 2]
    for whole, *parts in zip(all_of_it.spans, one.spans, two.spans, strict=True):
        assert whole.start_ns == min(part.start_ns for part in parts)
        assert whole.end_ns == max(part.end_ns for part in parts)


def test_two_of_the_same_are_one_with_twice_the_capital():
    twice = trade_many({"a": MARKETS["one"], "b": MARKETS["one"]}, BACKTEST)
    alone, together = twice.each["a"], twice.together
    figures = [
        portfolio_metrics(own.accounts["model"], periods_per_year=own.periods_per_year)
        for own in (alone, together)
    ]
    doubled = {
        name: value * (2 if name in ("trades", "costs_paid") else 1)
        for name, value in figures[0].items()
    }
    assert figures[1] == pytest.approx(doubled, rel=1e-9)
    assert together.candidate_returns == pytest.approx(alone.candidate_returns, abs=1e-15)


def test_one_instrument_is_its_own_portfolio():
    only = trade_many({"one": MARKETS["one"]}, BACKTEST)
    assert only.together is only.each["one"]


def test_a_capital_that_is_given_is_split_equally():
    both = trade_many(MARKETS, replace(BACKTEST, capital=1000.0))
    assert [own.capital for own in both.each.values()] == [500.0, 500.0]
    assert both.together.capital == 1000.0


def test_instruments_that_are_no_portfolio_are_refused():
    def run(**other):
        trade_many({"one": MARKETS["one"], "two": market(1, instrument="two", **other)}, BACKTEST)

    with pytest.raises(PortfolioError, match="got no instruments"):
        trade_many({}, BACKTEST)
    with pytest.raises(PortfolioError, match="two has currency=EUR, one has USD"):
        run(meta=replace(META_ALWAYS_OPEN, currency="EUR"))
    with pytest.raises(PortfolioError, match=r"two has session_open=09:30, one has None"):
        run(meta=META)
    with pytest.raises(PortfolioError, match=r"fold 1 of one begins at \d+, before that of fold 0"):
        run(edges=[0, 100, 260, 330, 400])
    others = replace(MARKETS["two"], models={"other": MARKETS["two"].models["model"]})
    with pytest.raises(PortfolioError, match=r"two has the models \['other'\]; needs \['model'\]"):
        trade_many({"one": MARKETS["one"], "two": others}, BACKTEST)
