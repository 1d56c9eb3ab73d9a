"""Accounts by fold and by bar, and several instruments as one."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.account import Account, JointBars, Trades, combine
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.metrics import portfolio_metrics
from lob_backtest.orders import Orders, Span
from lob_backtest.portfolio import Leg, simulate
from tests.lob_backtest.books import SECOND, book_from_mids, random_book
from tests.lob_backtest.trading_cases import COSTS, random_orders

BAR = 10


def account(
    bars: list[tuple[int, int, float, float]],
    *,
    capital: float = 100.0,
    trades: Trades | None = None,
) -> Account:
    """Bars of fold, end, gross profit and position; each pays 1 of fees and 0.5 of spread."""
    fold, end_ns, gross, position = (np.array(column) for column in zip(*bars, strict=True))
    n = fold.size
    return Account(
        capital=capital,
        fold=fold,
        bar_end_ns=end_ns,
        gross_pnl=gross.astype(np.float64),
        fees_paid=np.ones(n),
        spread_paid=np.full(n, 0.5),
        traded_notional=np.full(n, 10.0),
        position=position.astype(np.float64),
        trades=round_trips([]) if trades is None else trades,
    )


def round_trips(rows: list[tuple[int, int, float]]) -> Trades:
    """Round trips of fold, closing time and gross profit, with costs of 1."""
    n = len(rows)
    fold, close_ns, gross = np.array(rows, dtype=np.float64).reshape(n, 3).T
    return Trades(
        fold=fold.astype(np.int64),
        open_ns=close_ns.astype(np.int64) - 1,
        close_ns=close_ns.astype(np.int64),
        side=np.ones(n, dtype=np.int64),
        size=np.ones(n),
        open_price=np.full(n, 5.0),
        close_price=5.0 + gross,
        gross_pnl=gross,
        costs=np.ones(n),
    )


def test_round_trips_are_counted_in_the_bar_in_which_they_close_and_in_its_fold() -> None:
    trades = round_trips([(0, 10, 3.0), (0, 11, 0.5), (0, 20, 2.0), (1, 15, 9.0)])
    own = account([(0, 10, 0, 0), (0, 20, 0, 0), (1, 12, 0, 0), (1, 22, 0, 0)], trades=trades)
    # Of the two that close in the second bar one earns 0.5 and costs 1.
    assert own.closings.tolist() == [[1, 1], [2, 1], [0, 0], [1, 1]]


def test_a_fold_is_a_part_of_the_whole() -> None:
    trades = round_trips([(0, 10, 3.0), (1, 15, 9.0)])
    own = account([(0, 10, 1, 0), (1, 12, 2, 5), (1, 22, 3, 0)], trades=trades).of_fold(1)
    assert own.bar_end_ns.tolist() == [12, 22]
    assert own.equity.tolist() == [100.0, 100.5, 102.0]
    assert own.trades.net_pnl.tolist() == [8.0]
    assert (own.trade_fold.tolist(), own.trade_pnl.tolist()) == ([1], [8.0])


# -------------------------------------------------------------------------- instruments


def test_two_instruments_add_up_on_the_union_of_their_bars_by_hand() -> None:
    #     one   10   20  26 |  30   39        26 is 6 after 20: a bar of its own
    #     two   10   20     |  30   42        39 is 3 before 42: booked there
    one = account([(0, 10, 1, 2), (0, 20, 2, -1), (0, 26, 4, 0), (1, 30, 8, 3), (1, 39, 16, 0)])
    two = account([(0, 10, 32, 0), (0, 20, 64, 5), (1, 30, 128, 7), (1, 42, 256, 0)], capital=300.0)
    both = combine([one, two], bar_ns=BAR)
    assert both.capital == 400.0
    assert both.fold.tolist() == [0, 0, 0, 1, 1]
    assert both.bar_end_ns.tolist() == [10, 20, 26, 30, 42]
    assert both.gross_pnl.tolist() == [33.0, 66.0, 4.0, 136.0, 272.0]
    assert both.fees_paid.tolist() == [2.0, 2.0, 1.0, 2.0, 2.0]
    assert both.spread_paid.tolist() == [1.0, 1.0, 0.5, 1.0, 1.0]
    assert both.traded_notional.tolist() == [20.0, 20.0, 10.0, 20.0, 20.0]
    # At 26 the second still holds what it held at 20.
    assert both.position.tolist() == [2.0, 4.0, 5.0, 10.0, 0.0]
    assert both.equity[-1] == 400 + 33 + 66 + 4 + 136 + 272 - 9 * 1.5


def test_what_was_held_in_another_fold_is_not_held_in_this_one() -> None:
    one = account([(0, 10, 0, 4), (1, 30, 0, 1)])
    two = account([(0, 10, 0, 1), (1, 20, 0, 2), (1, 30, 0, 3)])
    assert combine([one, two], bar_ns=BAR).position.tolist() == [5.0, 2.0, 4.0]


def test_trades_of_all_instruments_stand_in_the_order_of_folds_and_time() -> None:
    one = account([(0, 50, 0, 0), (1, 90, 0, 0)], trades=round_trips([(0, 40, 1.0), (1, 60, 2.0)]))
    two = account([(0, 50, 0, 0), (1, 90, 0, 0)], trades=round_trips([(0, 30, 3.0), (0, 45, 4.0)]))
    both = combine([one, two], bar_ns=BAR).trades
    assert both.gross_pnl.tolist() == [3.0, 1.0, 4.0, 2.0]
    assert both.fold.tolist() == [0, 0, 0, 1]


def test_an_account_alone_is_itself() -> None:
    alone = account(
        [(0, 10, 1, 2), (0, 20, 2, -1), (1, 30, 3, 0)], trades=round_trips([(0, 9, 1.0)])
    )
    both = combine([alone], bar_ns=BAR)
    for item in fields(Account):
        if item.name not in ("trades", "capital"):
            assert getattr(both, item.name).tolist() == getattr(alone, item.name).tolist()
    assert both.trades.net_pnl.tolist() == alone.trades.net_pnl.tolist()


@given(seed=st.integers(0, 2**16), n=st.integers(1, 4), bar_seconds=st.sampled_from([1, 10, 60]))
@settings(max_examples=20, deadline=None)
def test_nothing_is_lost_or_made_up_between_instruments(
    seed: int, n: int, bar_seconds: int
) -> None:
    rng = np.random.default_rng(seed)
    legs = {i: random_orders(rng, random_book(rng, 100, n_sessions=2), n_folds=2) for i in range(n)}
    bar_ns = bar_seconds * SECOND
    made = simulate(legs, costs=[COSTS["rebate"]], bar_ns=bar_ns, capital=5.0)
    each = [accounts[0] for accounts in made.values()]
    both = combine(each, bar_ns=bar_ns)
    for fold in (0, 1):
        whole, parts = both.of_fold(fold), [own.of_fold(fold) for own in each]
        for name in ("gross_pnl", "net_pnl", "fees_paid", "spread_paid", "traded_notional"):
            expected = sum(getattr(part, name).sum() for part in parts)
            assert getattr(whole, name).sum() == pytest.approx(expected, abs=1e-9)
        assert whole.trades.n == sum(part.trades.n for part in parts)
        assert whole.closings.sum(axis=0) == pytest.approx(
            sum(part.closings.sum(axis=0) for part in parts)
        )
        assert whole.position[-1] == 0.0
        assert (np.diff(whole.bar_end_ns) >= bar_ns / 2).all()
    figures = portfolio_metrics(both, periods_per_year=1)
    nets = [portfolio_metrics(own, periods_per_year=1)["net_return"] for own in each]
    assert figures["net_return"] == pytest.approx(np.mean(nets), abs=1e-12)


def test_two_that_lose_in_turn_fall_less_than_each_alone() -> None:
    one = account([(0, 10, -8.5, 0), (0, 20, 11.5, 0)])
    two = account([(0, 10, 11.5, 0), (0, 20, -8.5, 0)])
    falls = [
        portfolio_metrics(own, periods_per_year=1)["max_drawdown"]
        for own in (one, two, combine([one, two], bar_ns=BAR))
    ]
    assert falls == pytest.approx([0.1, 10 / 110, 0.0], abs=1e-12)


def test_series_of_each_instrument_are_booked_on_the_joint_bars() -> None:
    one = account([(0, 10, 0, 0), (0, 18, 0, 0)])
    two = account([(0, 10, 0, 0), (0, 20, 0, 0)])
    joint = JointBars.of([one, two], bar_ns=BAR)
    summed = joint.summed(
        [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0, 20.0], [30.0, 40.0]])]
    )
    assert summed.tolist() == [[11.0, 22.0], [33.0, 44.0]]


def test_no_accounts_cannot_be_combined() -> None:
    with pytest.raises(PortfolioError, match="no accounts to combine"):
        combine([], bar_ns=BAR)


def test_a_negative_equity_is_bankrupt() -> None:
    own = account([(0, 10, -200.0, 0), (0, 20, 500.0, 0)])
    assert own.is_bankrupt
    assert not replace(own, capital=300.0).is_bankrupt


def test_a_trade_that_breaks_even_is_no_win_whatever_rounding_leaves_of_it() -> None:
    # Buys at the ask of 1.02, sells at the bid of 1.02: half a spread each way, and the mid's gain.
    mids = np.array([101.0, 103.0])
    legs, units = {}, (0.1, 0.3, 0.7, 1.0, 3.0, 7.0)
    book = book_from_mids(np.tile(mids, 10))
    row = np.arange(book.n_rows)
    for size in units:
        sizes = np.where(row % 2 == 0, size, -size)
        mid, no = book.mid_ticks * book.meta.tick_size, np.zeros(row.size, dtype=np.bool_)
        orders = Orders(
            fold=np.zeros_like(row), row=row, time_ns=book.time_ns, decided_ns=book.time_ns,
            size=sizes, mid=mid, price=mid + np.sign(sizes) * 0.01,
            is_maker=no, above_touch=no, beyond_book=no, forced=no,
        )  # fmt: skip
        span = Span(fold=0, start_ns=int(book.time_ns[0]), end_ns=int(book.time_ns[-1]))
        legs[size] = Leg(book=book, orders=orders, spans=[span])
    costs = [Costs(taker_bps=0.0, maker_bps=0.0)]
    for [made] in simulate(legs, costs=costs, bar_ns=SECOND, capital=1.0).values():
        assert made.trades.net_pnl.tolist() == [0.0] * 10
        assert portfolio_metrics(made, periods_per_year=1)["hit_rate"] == 0.0
        assert made.closings.sum(axis=0).tolist() == [10, 0]
