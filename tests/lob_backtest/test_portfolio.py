"""The portfolio against hand computation and against a plain loop over orders and bars."""

import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.book import Book, FloatArray
from lob_backtest.costs import Costs
from lob_backtest.errors import PortfolioError
from lob_backtest.execution import Kind
from lob_backtest.metrics import portfolio_metrics
from lob_backtest.orders import Orders, Span
from lob_backtest.portfolio import Account, Leg, notional, simulate
from tests.lob_backtest.books import (
    META,
    META_ALWAYS_OPEN,
    SECOND,
    book_from_mids,
    books,
    random_book,
    seconds,
    spliced,
)
from tests.lob_backtest.trading_cases import (
    COSTS,
    Case,
    assert_equals_plain,
    random_case,
    random_orders,
    random_targets,
)

CAPITAL = 50.0
LEVELS = [Costs.none(), *(Costs.proportional(2.5).scaled(m) for m in (0.5, 1.0, 2.0))]
latencies = st.sampled_from([0, SECOND // 3, 5 * SECOND])
seeds = st.integers(0, 2**16)


def account_of(
    case: Case, costs: Costs, *, bar_seconds: float = 10.0, capital: float = CAPITAL
) -> Account:
    accounts = simulate(
        {"it": case.leg}, costs=[costs], bar_ns=int(bar_seconds * SECOND), capital=capital
    )
    return accounts["it"][0]


# ---------------------------------------------------------------------------- by hand

#            second   0      1      2      3      4      5      6      7      8      9
BID = np.array([10000, 10001, 10003, 10005, 10006, 10004, 10002, 9999, 9998, 9997])
ASK = np.array([10002, 10003, 10004, 10007, 10009, 10006, 10003, 10001, 9999, 9998])


@pytest.fixture(scope="module")
def ten_rows() -> Case:
    """Decided each second, known at the market half a second later: the next row.

    decided at 0 s: buy 100    trades at 1 s, ask 100.03    10,003.00   fee of 1 bp 1.0003
    decided at 3 s: sell 200   trades at 4 s, bid 100.06    20,012.00               2.0012
    decided at 6 s: buy 100    trades at 7 s, ask 100.01    10,001.00               1.0001
    """
    book = Book(
        meta=META,
        time_ns=seconds(range(10)),
        ask_ticks=ASK[:, None],
        ask_size=np.full((10, 1), 5.0),
        bid_ticks=BID[:, None],
        bid_size=np.full((10, 1), 5.0),
    )
    return Case(
        book=book,
        decided_ns=seconds(range(8)),
        fold=np.zeros(8, dtype=np.int64),
        targets=np.array([100.0, 100, 100, -100, -100, -100, 0, 0]),
        latency_ns=SECOND // 2,
        all_decided_ns=seconds([*range(8), 7.5]),  # the block is closed, and marked, at 8 s
    )


def test_ten_rows_earn_to_the_cent_what_they_earn_by_hand(ten_rows: Case) -> None:
    account = account_of(ten_rows, Costs.proportional(1), bar_seconds=3, capital=10_000)
    # Cash: - 10,003.00 + 20,012.00 - 10,001.00 = 8.00, less 4.0016 of fees.
    assert round(account.net_pnl.sum(), 2) == 4.00
    assert account.net_pnl.sum() == pytest.approx(3.9984, abs=1e-9)
    # At the mids of 100.02, 100.075 and 100.00: - 10,002 + 20,015 - 10,000.
    assert account.gross_pnl.sum() == pytest.approx(13.00, abs=1e-9)
    # Half-spreads: 100 x 0.01 + 200 x 0.015 + 100 x 0.01.
    assert account.spread_paid.sum() == pytest.approx(5.00, abs=1e-9)
    assert account.fees_paid.sum() == pytest.approx(4.0016, abs=1e-9)
    # Long from 100.03 to 100.06 less fees of 1.0003 + 1.0006; short from 100.06 to 100.01 less
    # 1.0006 + 1.0001.
    assert account.trade_pnl == pytest.approx([0.9991, 2.9993], abs=1e-9)


def test_ten_rows_are_marked_at_the_mid_at_the_end_of_each_bar(ten_rows: Case) -> None:
    account = account_of(ten_rows, Costs.proportional(1), bar_seconds=3, capital=10_000)
    assert account.bar_end_ns.tolist() == seconds([3, 6, 8]).tolist()
    assert account.position.tolist() == [100.0, -100.0, 0.0]
    # At 3 s: 100 x (100.06 - 100.03) - 1.0003. At 6 s, mid 100.025: 10,009 - 10,002.50 - 3.0015.
    assert account.equity == pytest.approx([10_000, 10_001.9997, 10_003.4985, 10_003.9984])
    assert account.fees_paid == pytest.approx([1.0003, 2.0012, 1.0001], abs=1e-9)
    assert account.spread_paid == pytest.approx([1, 3, 1], abs=1e-9)
    assert account.traded_notional == pytest.approx([10_002, 20_015, 10_000], abs=1e-9)
    figures = portfolio_metrics(account, periods_per_year=100)
    returns = np.array([1.9997, 1.4988, 0.4999]) / 10_000
    assert figures == pytest.approx(
        {
            "gross_return": 0.0013,
            "net_return": 0.00039984,
            "max_drawdown": 0.0,
            "sharpe": 10 * returns.mean() / returns.std(ddof=1),
            "sortino": np.nan,
            "volatility": 10 * returns.std(ddof=1),
            "turnover": 4.0017,
            "trades": 2,
            "hit_rate": 1.0,
            "costs_paid": 9.0016,
        },
        abs=1e-9,
        nan_ok=True,
    )


def test_capital_defaults_to_the_notional_at_the_mid_then_known(ten_rows: Case) -> None:
    at_ns = int(seconds([3.9])[0])
    assert notional(ten_rows.book, units=20, at_ns=at_ns) == pytest.approx(20 * 100.06)


# -------------------------------------------------------------------------- reference


@given(
    book=books(),
    latency_ns=latencies,
    seed=seeds,
    n_folds=st.integers(1, 4),
    bar_seconds=st.sampled_from([1, 10, 100]),
    kind=st.sampled_from(["touch", "walk", "passive"]),
    limit=st.sampled_from([0.37, 1.0, 200.0]),
)
@settings(max_examples=25, deadline=None)
def test_every_figure_equals_a_plain_loop_over_orders_and_bars(
    book: Book,
    latency_ns: int,
    seed: int,
    n_folds: int,
    bar_seconds: int,
    kind: Kind,
    limit: float,
) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(
        rng, book, latency_ns=latency_ns, n_folds=n_folds, kind=kind, limit=limit
    )  # fmt: skip
    other = replace(case, targets=random_targets(rng, case.fold.size, limit=0.37))
    legs = {"one": case.leg, "other": other.leg}
    run = {"bar_ns": bar_seconds * SECOND, "capital": CAPITAL}
    accounts = simulate(legs, costs=list(COSTS.values()), **run)
    assert list(accounts) == ["one", "other"]
    for name, levels in accounts.items():
        for costs, account in zip(COSTS.values(), levels, strict=True):
            assert_equals_plain(legs[name], account, costs)


@given(book=books(), seed=seeds, n_folds=st.integers(1, 3), n_orders=st.integers(2, 40))
@settings(max_examples=25, deadline=None)
def test_orders_that_share_rows_add_up_and_turn_round_equal_a_plain_loop(
    book: Book, seed: int, n_folds: int, n_orders: int
) -> None:
    leg = random_orders(np.random.default_rng(seed), book, n_folds=n_folds, n_orders=n_orders)
    accounts = simulate({"it": leg}, costs=list(COSTS.values()), bar_ns=SECOND, capital=CAPITAL)
    for costs, account in zip(COSTS.values(), accounts["it"], strict=True):
        assert_equals_plain(leg, account, costs)


def test_one_call_for_many_legs_equals_a_call_for_each() -> None:
    rng = np.random.default_rng(0)
    legs = {}
    for instrument in ("one", "two"):
        book = random_book(rng, 200, n_sessions=2)
        for n_folds in (1, 2):
            legs[instrument, n_folds] = random_orders(rng, book, n_folds=n_folds)
    legs["one", 3] = replace(legs["one", 2], orders=changed_size(legs["one", 2].orders, 0.0))
    capital = {name: 10.0 + i for i, name in enumerate(legs)}
    levels = list(COSTS.values())
    together = simulate(legs, costs=levels, bar_ns=10 * SECOND, capital=capital)
    assert list(together) == list(legs)
    for name, leg in legs.items():
        alone = simulate({name: leg}, costs=levels, bar_ns=10 * SECOND, capital=capital[name])
        for one, other in zip(alone[name], together[name], strict=True):
            assert one.capital == other.capital
            for key in ("fold", "bar_end_ns", "gross_pnl", "net_pnl", "fees_paid", "position"):
                assert getattr(one, key).tolist() == getattr(other, key).tolist()
            for item in fields(one.trades):
                pair = (getattr(account.trades, item.name).tolist() for account in (one, other))
                assert next(pair) == next(pair)
    assert together["one", 3][0].trades.n == 0


def changed_size(orders: Orders, factor: float) -> Orders:
    """The orders at another size; none at all for 0."""
    kept = np.full(orders.n, factor != 0)
    arrays = {item.name: getattr(orders, item.name)[kept] for item in fields(orders)}
    return Orders(**arrays | {"size": factor * arrays["size"]})


@pytest.mark.parametrize("name", ["proportional", "minimum", "sold with tax", "rebate", "a share"])
def test_trades_equal_vectorbts_own_position_records_at_each_cost(name: str) -> None:
    import vectorbt

    book = random_book(np.random.default_rng(2), 400)
    leg = random_orders(np.random.default_rng(3), book, n_folds=1, n_orders=200)
    orders, costs = leg.orders, COSTS[name]
    (account,) = simulate({"it": leg}, costs=[costs], bar_ns=SECOND, capital=CAPITAL)["it"]
    portfolio = vectorbt.Portfolio.from_orders(
        close=orders.mid,
        size=orders.size,
        price=orders.mid,
        fixed_fees=orders.fees(costs) + orders.slippage(costs),
        init_cash=1e9,
    )
    records = portfolio.positions.values
    trades = account.trades
    assert trades.n == records.size > 20
    assert trades.net_pnl == pytest.approx(records["pnl"], abs=1e-9)
    assert trades.costs == pytest.approx(records["entry_fees"] + records["exit_fees"], abs=1e-9)
    assert trades.size == pytest.approx(records["size"], abs=1e-9)
    assert trades.open_ns.tolist() == orders.time_ns[records["entry_idx"]].tolist()
    assert trades.close_ns.tolist() == orders.time_ns[records["exit_idx"]].tolist()
    assert trades.side.tolist() == np.where(records["direction"] == 0, 1, -1).tolist()


def test_a_sale_may_cost_more_than_it_brings(ten_rows: Case) -> None:
    # vectorbt refuses a sale that brings less than its fee: 100 units at 100.06 against 30,000.
    flat_fee = Costs(taker_bps=0.0, maker_bps=0.0, minimum_fee=30_000.0)
    account = account_of(ten_rows, flat_fee, capital=10_000)
    assert account.fees_paid.sum() == 3 * 30_000.0
    assert account.net_pnl.sum() == pytest.approx(13.00 - 5.00 - 90_000.0, abs=1e-9)


@given(book=books(), latency_ns=latencies, seed=seeds)
@settings(max_examples=25, deadline=None)
def test_gross_profit_less_the_costs_paid_is_net_profit_in_every_bar(
    book: Book, latency_ns: int, seed: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    for costs in LEVELS:
        account = account_of(case, costs)
        costs_paid = account.fees_paid + account.spread_paid
        assert account.gross_pnl - costs_paid == pytest.approx(account.net_pnl, abs=1e-9)
        assert account.gross_pnl.sum() - account.costs_paid == pytest.approx(
            account.net_pnl.sum(), abs=1e-9
        )
        assert account.trade_pnl.sum() == pytest.approx(account.net_pnl.sum(), abs=1e-9)


# --------------------------------------------------------------------------- property


@given(book=books(), seed=seeds, fee_bps=st.floats(0, 500), latency_ns=latencies)
@settings(max_examples=25, deadline=None)
def test_doubling_the_fee_never_raises_the_net_return(
    book: Book, seed: int, fee_bps: float, latency_ns: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    accounts = simulate(
        {"it": case.leg},
        costs=[Costs.proportional(fee_bps * factor) for factor in (1, 2, 4)],
        bar_ns=10 * SECOND,
        capital=CAPITAL,
    )["it"]
    returns = [account.net_pnl.sum() for account in accounts]
    assert returns[0] >= returns[1] >= returns[2]
    assert accounts[0].position.tolist() == accounts[2].position.tolist()
    if case.orders.n and fee_bps > 0.01:
        assert returns[0] > returns[1]


def test_zero_signal_gives_zero_trades_zero_cost_and_flat_equity() -> None:
    book = random_book(np.random.default_rng(0), 300, n_sessions=2)
    case = random_case(np.random.default_rng(0), book, limit=0.0)
    account = account_of(case, Costs.proportional(10))
    figures = portfolio_metrics(account, periods_per_year=252)
    assert account.equity.tolist() == [CAPITAL] * (account.bar_end_ns.size + 1)
    undefined = {name: figures.pop(name) for name in ("sharpe", "sortino", "hit_rate")}
    assert np.isnan(list(undefined.values())).all()
    assert figures == {
        "gross_return": 0.0,
        "net_return": 0.0,
        "max_drawdown": 0.0,
        "volatility": 0.0,
        "turnover": 0.0,
        "trades": 0,
        "costs_paid": 0.0,
    }


@given(book=books(), seed=seeds, cut=st.floats(0, 1), latency_ns=latencies)
@settings(max_examples=25, deadline=None)
def test_changing_the_book_changes_no_profit_made_before(
    book: Book, seed: int, cut: float, latency_ns: int
) -> None:
    first_changed = int(cut * (book.n_rows - 1))
    other = random_book(
        np.random.default_rng(seed + 1), book.n_rows, book.n_levels, meta=META_ALWAYS_OPEN
    )
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    changed = replace(case, book=spliced(book, other, first_changed))
    before, after = (account_of(it, LEVELS[2]) for it in (case, changed))
    assert after.bar_end_ns.tolist() == before.bar_end_ns.tolist()
    n_past = int(np.argmax(np.append(before.bar_end_ns >= book.time_ns[first_changed], True)))
    for name in ("net_pnl", "gross_pnl", "fees_paid", "spread_paid", "position"):
        old, new = getattr(before, name)[:n_past], getattr(after, name)[:n_past]
        # Unlimited cash is counted from what was needed, so the last bits may differ.
        assert new == pytest.approx(old, abs=1e-9)


@given(book=books(), latency_ns=latencies, seed=seeds, n_folds=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_no_position_is_left_at_the_end_of_a_fold_or_session(
    book: Book, latency_ns: int, seed: int, n_folds: int
) -> None:
    case = random_case(
        np.random.default_rng(seed), book, latency_ns=latency_ns, n_folds=n_folds, limit=0.1
    )
    account = account_of(case, LEVELS[2])
    session = book.session[book.row_known_at(account.bar_end_ns)]
    ends = (np.diff(account.fold, append=-1) != 0) | (np.diff(session, append=-1) != 0)
    assert account.position[ends].tolist() == [0.0] * int(ends.sum())


@given(book=books(), latency_ns=latencies, seed=seeds)
@settings(max_examples=15, deadline=None)
def test_a_fold_earns_the_same_alone_as_among_others(
    book: Book, latency_ns: int, seed: int
) -> None:
    case = random_case(np.random.default_rng(seed), book, latency_ns=latency_ns)
    account = account_of(case, LEVELS[2])
    parts = [account.of_fold(span.fold) for span in case.spans]
    joined = np.concatenate([part.net_pnl for part in parts])
    assert joined.tolist() == account.net_pnl.tolist()
    assert sum(part.trade_pnl.size for part in parts) == account.trade_pnl.size
    for part, span in zip(parts, case.spans, strict=True):
        is_own = case.fold == span.fold
        alone = account_of(
            replace(
                case,
                decided_ns=case.decided_ns[is_own],
                all_decided_ns=case.decided_ns,
                fold=case.fold[is_own],
                targets=case.targets[is_own],
            ),
            LEVELS[2],
        )
        assert part.net_pnl == pytest.approx(alone.net_pnl, abs=1e-9)
        assert part.trade_pnl == pytest.approx(alone.trade_pnl, abs=1e-9)
        assert part.equity[0] == CAPITAL


def test_folds_that_overlap_in_time_are_kept_apart() -> None:
    # As validation blocks of neighbouring rolling folds do.
    book = random_book(np.random.default_rng(3), 400)
    one = random_case(np.random.default_rng(4), book, n_folds=1)
    two = random_case(np.random.default_rng(5), book, n_folds=1)
    decided_ns = np.concatenate([one.decided_ns, two.decided_ns])
    both = Case(
        book=book,
        decided_ns=decided_ns,
        fold=np.repeat([0, 1], [one.fold.size, two.fold.size]),
        targets=np.concatenate([one.targets, two.targets]),
        latency_ns=0,
    )
    account = account_of(both, LEVELS[2])
    for fold, case in enumerate((one, two)):
        alone = account_of(replace(case, all_decided_ns=decided_ns), LEVELS[2])
        assert account.of_fold(fold).net_pnl == pytest.approx(alone.net_pnl, abs=1e-9)
        assert account.of_fold(fold).trade_pnl == pytest.approx(alone.trade_pnl, abs=1e-9)


# -------------------------------------------------------------------------- invariant


def test_overlapping_labels_of_one_position_are_one_trade() -> None:
    # The mid rises one tick a second; every second a label of 5 seconds says "up".
    book = book_from_mids(range(1000, 1030))
    n = 20
    case = Case(
        book=book,
        decided_ns=seconds(range(n)),
        fold=np.zeros(n, dtype=np.int64),
        targets=np.where(np.arange(n) == n - 1, 0.0, 1.0),
        latency_ns=0,
    )
    account = account_of(case, Costs.none())
    # Twenty labels of 5 ticks add up to 1.00; the one position earns the 19 ticks from 0 to 19 s.
    assert account.gross_pnl.sum() == pytest.approx(0.19, abs=1e-12)
    assert account.trade_pnl == pytest.approx([0.19], abs=1e-12)
    assert account.position.max() == 1.0


def test_what_is_held_over_night_earns_the_gap_in_the_next_mornings_first_bar() -> None:
    # One unit from 10 s of the first day to 20 s of the second; the market opens 0.50 higher.
    book = book_from_mids(
        [1000, 1010, 1020, 1070, 1080, 1090], at_seconds=[0, 10, 20, 86400, 86410, 86420]
    )
    case = Case(
        book=book,
        decided_ns=book.time_ns[[1, 4]],
        fold=np.zeros(2, dtype=np.int64),
        targets=np.array([1.0, 1.0]),
        latency_ns=0,
        all_decided_ns=book.time_ns,
        flat_at_session_end=False,
    )
    account = account_of(case, Costs.proportional(0))
    assert account.bar_end_ns.tolist() == seconds([20, 86410, 86420]).tolist()
    assert account.gross_pnl == pytest.approx([0.10, 0.60, 0.10], abs=1e-12)
    assert account.position.tolist() == [1.0, 1.0, 0.0]
    assert account.trades.n == 1
    assert account.net_pnl.sum() == pytest.approx(0.80 - 0.02, abs=1e-12)
    # With the position closed each evening the gap is nobody's.
    flat = account_of(replace(case, flat_at_session_end=True), Costs.none())
    assert flat.gross_pnl.sum() == pytest.approx(0.10 + 0.10, abs=1e-12)
    assert flat.trades.n == 2


def test_rows_that_share_an_instant_never_trade_at_a_price_before_the_decision() -> None:
    # Three events in one packet: the ask goes from 101 to 111. Known at 1 s is only the last.
    book = book_from_mids([100, 100, 105, 110, 110], at_seconds=[0, 1, 1, 1, 2])
    case = Case(
        book=book,
        decided_ns=seconds([1, 2]),
        fold=np.zeros(2, dtype=np.int64),
        targets=np.array([1.0, 0.0]),
        latency_ns=0,
    )
    assert case.orders.mid.tolist() == [1.1, 1.1]
    assert account_of(case, Costs.none()).gross_pnl.sum() == 0.0


def test_what_the_caller_set_in_vectorbt_changes_nothing() -> None:
    import vectorbt

    case = random_case(np.random.default_rng(1), random_book(np.random.default_rng(1), 200))
    expected = account_of(case, LEVELS[2])
    settings_before = dict(vectorbt.settings.portfolio)
    try:
        for name, value in {
            "fees": 0.5,
            "fixed_fees": 1.0,
            "slippage": 0.5,
            "init_cash": 1.0,
            "lock_cash": True,
            "max_size": 0.1,
            "size_type": "targetamount",
            "fillna_close": False,
        }.items():
            if name in settings_before:
                vectorbt.settings.portfolio[name] = value
        account = account_of(case, LEVELS[2])
    finally:
        for name, value in settings_before.items():
            vectorbt.settings.portfolio[name] = value
    assert account.net_pnl.tolist() == expected.net_pnl.tolist()
    assert account.trade_pnl.tolist() == expected.trade_pnl.tolist()


def test_a_ruined_strategy_goes_on_and_says_so() -> None:
    book = book_from_mids([1000, 990, 900, 950], at_seconds=[0, 10, 20, 30])
    case = Case(
        book=book,
        decided_ns=seconds([0, 30]),
        fold=np.zeros(2, dtype=np.int64),
        targets=np.array([1.0, 0.0]),
        latency_ns=0,
    )
    account = account_of(case, Costs.none(), capital=0.5)
    assert account.equity == pytest.approx([0.5, 0.4, -0.5, 0.0], abs=1e-12)
    assert account.is_bankrupt
    figures = portfolio_metrics(account, periods_per_year=1)
    assert figures["max_drawdown"] == pytest.approx(2.0, abs=1e-12)
    assert not account_of(case, Costs.none(), capital=5.0).is_bankrupt


def test_no_strategies_give_no_accounts() -> None:
    accounts: dict[str, list[Account]] = simulate({}, costs=LEVELS, bar_ns=SECOND, capital=1.0)
    assert accounts == {}


# ------------------------------------------------------------------------------ memory


def test_memory_grows_with_the_orders_and_with_nothing_else() -> None:
    rng = np.random.default_rng(0)
    book = random_book(rng, 4000)
    costs = [COSTS["proportional"].scaled(multiple) for multiple in (0, 0.5, 1, 2, 4)]

    def peak(n_orders: int, *, n_folds: int, bar_seconds: int) -> int:
        leg = random_orders(rng, book, n_folds=n_folds, n_orders=n_orders // n_folds)
        tracemalloc.start()
        simulate({"it": leg}, costs=costs, bar_ns=bar_seconds * SECOND, capital=CAPITAL)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1000, n_folds=1, bar_seconds=60)  # imports and compiles
    once = peak(50_000, n_folds=1, bar_seconds=600)
    assert peak(200_000, n_folds=1, bar_seconds=600) < 4.4 * once
    assert peak(50_000, n_folds=50, bar_seconds=600) < 1.1 * once
    assert once < 50_000 * 400  # bytes an order


# ------------------------------------------------------------------------- what is refused


def changed_orders(case: Case, **changes: FloatArray) -> Orders:
    return replace(case.orders, **changes)  # type: ignore[arg-type]


def test_orders_that_cannot_be_settled_are_refused(ten_rows: Case) -> None:
    orders = ten_rows.orders
    span = ten_rows.spans[0]

    def run(orders: Orders, *, span: Span = span, capital: float = 1.0) -> None:
        leg = Leg(book=ten_rows.book, orders=orders, spans=[span])
        simulate({"it": leg}, costs=[Costs.proportional(0)], bar_ns=SECOND, capital=capital)

    with pytest.raises(PortfolioError, match=r"capital=0: needs a positive amount"):
        run(orders, capital=0)
    with pytest.raises(PortfolioError, match=r"it: 100\.0 units are left open in fold 0"):
        run(changed_orders(ten_rows, size=np.array([100.0, -200.0, 200.0])))
    with pytest.raises(PortfolioError, match="it: 1 of 3 orders are outside their fold's span"):
        run(orders, span=replace(span, end_ns=int(seconds([6])[0])))
    with pytest.raises(PortfolioError, match="in the order of the spans and of time"):
        run(replace(orders, row=orders.row[::-1].copy()))
    tiny = changed_orders(ten_rows, size=np.array([1e-13, -2e-13, 1e-13]))
    with pytest.raises(PortfolioError, match="vectorbt filled 0 of 3 orders"):
        run(tiny)
    # Within the tolerance of the sum over a fold, beyond what vectorbt takes for nothing.
    remainder = changed_orders(ten_rows, size=np.array([1e6, -1e6 - 2.0, 2.0 + 1e-4]))
    with pytest.raises(PortfolioError, match="vectorbt left a position open"):
        run(remainder)


def test_a_fold_that_was_not_traded_is_refused(ten_rows: Case) -> None:
    account = account_of(ten_rows, Costs.none())
    with pytest.raises(PortfolioError, match="fold=7: this account has the folds"):
        account.of_fold(7)
