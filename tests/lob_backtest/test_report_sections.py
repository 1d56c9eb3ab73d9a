"""Slices, confidence, trades and blocks: they add up, look only back, and equal plain loops."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from lob_backtest.book import Book, FloatArray, IntArray
from lob_backtest.contenders import MODEL
from lob_backtest.costs import costs_of
from lob_backtest.metrics import brier_score, confusion_matrix, sharpe
from lob_backtest.orders import Orders
from lob_backtest.predictions import Predictions
from lob_backtest.sections import (
    Part,
    blocks_section,
    confidence_section,
    slices_section,
    trades_section,
)
from lob_backtest.sections.confidence import share_interval
from lob_backtest.sections.regimes import decision_of, past_volatility, spread_regime
from lob_backtest.trading import Traded
from tests.lob_backtest.books import META, META_ALWAYS_OPEN, book_from_mids
from tests.lob_backtest.full_report import traded_walk
from tests.lob_backtest.judged import BACKTEST, walk

KINDS = ("time_of_day", "spread", "volatility", "session")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trips:
    """Round trips, counted by hand from a strategy's orders."""

    fold: IntArray
    open_ns: IntArray
    close_ns: IntArray
    side: IntArray
    size: FloatArray
    open_price: FloatArray
    close_price: FloatArray
    gross_pnl: FloatArray
    costs: FloatArray
    net_pnl: FloatArray


def trips_of(orders: Orders, fees: FloatArray) -> Trips:
    """Walk through the orders one by one; a reversal is split at zero, its fee by size."""
    rows: list[tuple[Any, ...]] = []
    held: list[tuple[float, float, float, float]] = []  # units, price, mid, fee
    opened = 0
    for i in range(orders.n):
        left, fee = float(orders.size[i]), float(fees[i])
        position = sum(units for units, *_ in held)
        closing = -position if position * left < 0 and abs(left) >= abs(position) else 0.0
        for part in (closing, left - closing):
            if abs(part) < 1e-12:
                continue
            if not held:
                opened = i
            share = fee * abs(part) / abs(left)
            held.append((part, float(orders.price[i]), float(orders.mid[i]), share))
            if abs(sum(units for units, *_ in held)) < 1e-12:
                rows.append(_row(orders, opened, i, held))
                held = []
    assert not held
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    whole = {"fold", "open_ns", "close_ns", "side"}
    return Trips(
        **{
            name: np.array(column, dtype=np.int64 if name in whole else np.float64)
            for name, column in zip(Trips.__dataclass_fields__, columns, strict=True)
        }
    )


def _row(orders: Orders, first: int, last: int, held: list[tuple[float, ...]]) -> tuple[Any, ...]:
    side = int(np.sign(held[0][0]))
    into = [part for part in held if part[0] * side > 0]
    out = [part for part in held if part[0] * side < 0]
    size = sum(abs(units) for units, *_ in into)
    gross = -sum(units * mid for units, _, mid, _ in held)
    net = -sum(units * price + fee for units, price, _, fee in held)
    return (
        int(orders.fold[first]), int(orders.time_ns[first]), int(orders.time_ns[last]), side, size,
        sum(abs(u) * p for u, p, *_ in into) / size, sum(abs(u) * p for u, p, *_ in out) / size,
        gross, gross - net, net,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made() -> tuple[Traded, Part]:
    return traded_walk(walk())


@pytest.fixture(scope="module")
def sliced(made) -> dict[str, Any]:
    traded, part = made
    return slices_section([part], capital=traded.capital)


@pytest.mark.parametrize("kind", KINDS)
def test_slices_of_a_kind_add_up_to_the_whole(made, sliced, kind):
    traded, part = made
    rows, account = sliced[kind], traded.accounts[MODEL]
    known = part.test.is_labelled
    right = (part.test.probability.argmax(axis=1) == part.test.label)[known]
    assert sum(row["n"] for row in rows) == known.sum()
    assert sum(row["trades"] for row in rows) == account.trades.n
    total = sum(row["net_return"] for row in rows)
    assert total == pytest.approx(account.net_pnl.sum() / traded.capital, abs=1e-12)
    hits = sum(row["n"] * row["accuracy"] for row in rows if row["n"])
    assert hits == pytest.approx(right.sum())
    for row in rows:
        assert row["down_share"] + row["flat_share"] + row["up_share"] == pytest.approx(1.0)
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
    assert len({row["name"] for row in rows}) == len(rows)


def test_spread_and_volatility_equal_a_plain_loop_over_past_rows(made):
    _, part = made
    book, test = part.book, part.test
    mid = (book.ask_ticks[:, 0] + book.bid_ticks[:, 0]) / 2
    horizon = int(np.median(test.label_end_ns - test.decided_ns))
    spread, volatility = [], []
    for at in test.decided_ns:
        past = np.flatnonzero(book.time_ns <= at)
        spread.append(book.ask_ticks[past[-1], 0] - book.bid_ticks[past[-1], 0])
        here = past[book.session[past] == book.session[past[-1]]]
        covered = min(10 * horizon, at - book.time_ns[here[0]])
        moves = [
            (mid[j] / mid[j - 1] - 1) ** 2 for j in here[1:] if book.time_ns[j] > at - 10 * horizon
        ]
        volatility.append(
            1e4 * np.sqrt(sum(moves) * horizon / covered) if covered >= horizon else np.nan
        )
    np.testing.assert_allclose(past_volatility(book, test), volatility, rtol=1e-6)
    code = spread_regime(book, test, with_limits=True).code
    assert [list(np.unique(np.array(spread)[code == c])) for c in range(3)] == [[1], [2], [3]]


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(30, 1400), seed=st.integers(0, 2**16))
def test_no_regime_value_changes_with_the_future(cut, seed):
    made, rng = walk(), np.random.default_rng(seed)
    book, test = made.book, made.model.test
    step = rng.integers(-3, 4, book.n_rows - cut)
    ask, bid = book.ask_ticks.copy(), book.bid_ticks.copy()
    ask[cut:] += np.abs(step)[:, None] + 7
    bid[cut:] -= np.abs(step)[:, None]
    other = replace(book, ask_ticks=ask, bid_ticks=bid)
    past = test.decided_ns < book.time_ns[cut]
    assert np.array_equal(past_volatility(other, test)[past], past_volatility(book, test)[past],
                          equal_nan=True)  # fmt: skip
    rows = book.row_known_at(test.decided_ns)
    assert np.array_equal(other.spread_ticks[rows][past], book.spread_ticks[rows][past])


def test_volatility_is_not_known_at_the_beginning_of_a_session(made):
    _, part = made
    values = past_volatility(part.book, part.test)
    opened = part.book.time_ns[part.book.session_starts[:-1]]
    horizon = np.median(part.test.label_end_ns - part.test.decided_ns)
    since = part.test.decided_ns - opened[part.book.session[part.book.row_known_at(
        part.test.decided_ns)]]  # fmt: skip
    assert np.array_equal(np.isnan(values), since < horizon)
    assert np.isnan(values).any()


def test_a_quiet_market_is_calm_and_its_next_row_is_not_looked_at():
    book = in_new_york(clock(["14:31", "14:32", "20:00"]))
    test = decisions([0, 0], clock(["14:32", "20:30"]).tolist())
    late = replace(test, label_end_ns=test.decided_ns + 10**9)
    assert past_volatility(book, late).tolist() == [0.0, 0.0]


def test_a_trade_belongs_to_the_last_decision_before_it():
    test = decisions([0, 0, 0, 1, 1], [10, 20, 30, 5, 15])
    place = decision_of(test, np.array([0, 0, 0, 1, 1, 1]), np.array([9, 10, 25, 99, 14, 4]))
    assert place.tolist() == [-1, 0, 1, 4, 3, -1]


def test_slices_of_time_of_day_and_days_are_local_and_counted_from_the_open():
    book = in_new_york(clock(["14:31", "15:05", "15:31", "20:59"]))
    test = decisions([0] * 4, book.time_ns.tolist())
    rows = slices_section([Part(book=book, test=test)])
    assert [(row["name"], row["n"]) for row in rows["time_of_day"]] == [
        ("09:30 to 10:30", 2), ("10:30 to 11:30", 1), ("15:30 to 16:30", 1),
    ]  # fmt: skip
    assert [row["name"] for row in rows["session"]] == ["2024-01-02"]
    assert "America/New_York" in rows["words"]["time_of_day"]
    assert rows["spread"][0]["net_return"] is None


def in_new_york(time_ns: IntArray) -> Book:
    """A book whose touch never changes, from 09:30 to 16:00 in New York."""
    plain = book_from_mids([99.5] * time_ns.size, meta=META_ALWAYS_OPEN)
    return replace(plain, time_ns=time_ns, meta=replace(META, timezone="America/New_York"))


def clock(times: list[str]) -> IntArray:
    return np.array([np.datetime64(f"2024-01-02T{t}", "ns") for t in times]).astype(np.int64)


def decisions(fold: list[int], decided_ns: list[int]) -> Predictions:
    """Decisions that always say up and are right every other time."""
    n = len(fold)
    at = np.array(decided_ns, dtype=np.int64)
    return Predictions(
        instrument="TEST",
        fold=np.array(fold, dtype=np.int64),
        decided_ns=at,
        label_end_ns=at + 1,
        train_end_ns=np.full(n, -1, dtype=np.int64),
        label=np.where(np.arange(n) % 2 == 0, 2, 0),
        probability=np.tile([0.2, 0.2, 0.6], (n, 1)),
    )


def test_two_instruments_are_sliced_by_terciles_of_their_own_and_added(made):
    traded, part = made
    one = slices_section([part], capital=traded.capital)
    two = slices_section([part, part], capital=traded.capital)
    for kind in KINDS:
        assert [row["n"] for row in two[kind]] == [2 * row["n"] for row in one[kind]]
        for row, alone in zip(two[kind], one[kind], strict=True):
            assert row["net_return"] == pytest.approx(2 * alone["net_return"])
    assert [row["name"] for row in two["spread"]] == ["narrow", "middle", "wide"]


def test_confidence_counts_the_decisions_from_each_threshold_on(made):
    _, part = made
    test = part.test
    rows = confidence_section(test)
    for row in rows:
        hits = [p.argmax() == label
                for p, label in zip(test.probability, test.label, strict=True)
                if label >= 0 and p.max() >= row["threshold"]]  # fmt: skip
        assert (row["n"], row["accuracy"]) == (len(hits), pytest.approx(np.mean(hits)))
        assert row["low"] <= row["accuracy"] <= row["high"]
    assert rows[0]["share"] == 1.0
    assert rows[-1]["n"] > 0


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (5, 9), (400, 1000), (30, 30)])
def test_the_interval_of_a_share_is_wilsons_and_wider_where_labels_overlap(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")  # scipy 1.17
    low, high = share_interval(hits, n, overlap=1.0)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    wide = share_interval(hits, n, overlap=6.0)
    assert wide[0] <= low
    assert wide[1] >= high


def test_trades_equal_a_walk_through_the_orders_one_by_one(made):
    traded, part = made
    orders = traded.orders[MODEL]
    expected = trips_of(orders, orders.fees(costs_of(BACKTEST.costs)))
    section = trades_section({"TEST": part.trades})
    assert section["n"] == section["shown"] == expected.fold.size > 20
    for name in Trips.__dataclass_fields__:
        got = np.array([row[name] for row in section["rows"]])
        np.testing.assert_allclose(got, getattr(expected, name), rtol=1e-9, atol=1e-9)
    net = expected.net_pnl
    summary = section["summary"]
    assert summary["net_pnl"] == pytest.approx(traded.accounts[MODEL].net_pnl.sum())
    assert summary["without_best"] == pytest.approx(np.sort(net)[:-5].sum())
    assert summary["hit_rate"] == pytest.approx((net > 0).mean())
    assert summary["profit_factor"] == pytest.approx(net[net > 0].sum() / -net[net <= 0].sum())
    run = max(len(part) for part in "".join("l" if x <= 0 else "w" for x in net).split("w"))
    assert summary["longest_losing_run"] == run
    both = summary["long"]["n"] + summary["short"]["n"]
    assert both == section["n"]


def trips(net: FloatArray) -> "Trips":
    n = net.size
    at = 1000 * np.arange(n, dtype=np.int64)
    ones = np.ones(n)
    return Trips(
        fold=np.zeros(n, dtype=np.int64), open_ns=at, close_ns=at + 500,
        side=np.where(np.arange(n) % 3 == 0, 1, -1), size=ones, open_price=100 * ones,
        close_price=100 * ones, gross_pnl=net + 0.1, costs=0.1 * ones, net_pnl=net,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 400), most=st.sampled_from([4, 10, 100]), seed=st.integers(0, 99))
def test_the_shown_trades_are_the_best_the_worst_and_a_sample_in_time_order(n, most, seed):
    net = np.random.default_rng(seed).normal(0, 1, n)
    section = trades_section({"A": trips(net)}, most=most)
    rows = section["rows"]
    assert section["n"] == n
    assert section["shown"] == len(rows) <= most
    assert len(rows) == n or len(rows) >= most - 1
    opened = [row["open_ns"] for row in rows]
    assert opened == sorted(set(opened))
    if n > most:
        for why, wanted in (("best", np.sort(net)[-(most // 4) :]),
                            ("worst", np.sort(net)[: most // 4])):  # fmt: skip
            own = sorted(row["net_pnl"] for row in rows if row["why"] == why)
            assert own == pytest.approx(sorted(wanted))
    assert all(type(value) in (int, float, str) for row in rows for value in row.values())


def test_no_trade_is_an_empty_table_and_no_money_is_none():
    assert trades_section(None) is None
    section = trades_section({"A": trips(np.array([]))})
    assert (section["n"], section["rows"], section["summary"]) == (0, [], None)


def test_trades_of_two_instruments_are_merged_in_time():
    rows = trades_section({"B": trips(np.array([1.0, 2.0])), "A": trips(np.array([3.0]))})["rows"]
    assert [(row["instrument"], row["net_pnl"]) for row in rows] == [
        ("A", 3.0), ("B", 1.0), ("B", 2.0),
    ]  # fmt: skip


def test_blocks_hold_the_sums_that_figures_are_made_of(made):
    traded, part = made
    account, test = traded.accounts[MODEL], part.test
    blocks = blocks_section([part], account)
    assert len(blocks["fold"]) == 20 * len(test.folds)
    known = test.is_labelled
    for fold in test.folds:
        here = [i for i, own in enumerate(blocks["fold"]) if own == fold]
        own = known & (test.fold == fold)
        counts = np.sum([blocks["confusion"][i] for i in here], axis=0).reshape(3, 3)
        assert counts.tolist() == confusion_matrix(test.label[own], test.probability[own]).tolist()
        assert sum(blocks["n"][i] for i in here) == own.sum() == counts.sum()
    error = brier_score(test.label[known], test.probability[known])
    assert sum(blocks["brier"]) / known.sum() == pytest.approx(error)
    net, square, bars = (sum(blocks[name]) for name in ("net", "square_net", "bars"))
    assert bars == account.bar_end_ns.size
    assert net == pytest.approx(account.net_returns.sum())
    assert sum(blocks["gross"]) == pytest.approx(account.gross_pnl.sum() / account.capital)
    deviation = np.sqrt((square - net**2 / bars) / (bars - 1))
    year = traded.periods_per_year
    assert np.sqrt(year) * net / bars / deviation == pytest.approx(
        sharpe(account.net_returns, periods_per_year=year)
    )


def test_blocks_follow_each_other_in_equal_trading_time(made):
    _, part = made
    blocks = blocks_section([part], None)
    start, end = np.array(blocks["start_ns"]), np.array(blocks["end_ns"])
    fold = np.array(blocks["fold"])
    assert (start < end).all()
    for number in part.test.folds:
        own = fold == number
        assert np.array_equal(start[own][1:], end[own][:-1])
        length = (end - start)[own]  # these folds stay within a session
        assert np.ptp(length) <= 2
    assert blocks["net"] == [None] * fold.size


def test_the_night_does_not_count_in_a_blocks_length():
    day = 86_400_000_000_000
    times = np.concatenate([clock(["14:30", "21:00"]), clock(["14:30", "21:00"]) + day])
    book = in_new_york(times)
    test = decisions([0] * 4, times.tolist())
    blocks = blocks_section([Part(book=book, test=test)], None, n_blocks=4)
    half = (times[1] - times[0]) // 2
    edges = [times[0], times[0] + half, times[2], times[2] + half, times[3]]
    assert np.abs(np.array([*blocks["start_ns"], blocks["end_ns"][-1]]) - edges).max() <= 2
    assert blocks["n"] == [1, 1, 1, 1]
