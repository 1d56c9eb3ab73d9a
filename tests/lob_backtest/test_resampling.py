"""Intervals of the report's figures: drawn figures equal those computed one draw at a time."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lob_backtest.account import Account
from lob_backtest.book import FloatArray, IntArray
from lob_backtest.errors import MetricError
from lob_backtest.metrics import (
    CLASSIFICATION_KEYS,
    TRADING_KEYS,
    classification_metrics,
    max_drawdown,
    portfolio_metrics,
    sharpe,
    sortino,
    volatility,
)
from lob_backtest.predictions import Predictions
from lob_backtest.resampling import (
    Intervals,
    classification_intervals,
    label_overlap,
    lift_section,
    overfitting_section,
    paired_section,
    sharpe_section,
    trading_intervals,
    windows_section,
)
from lob_backtest.resampling.bars import bar_figures, bar_sums, drawdowns, equity_steps
from lob_backtest.resampling.cells import Cells, influence, totals
from lob_backtest.resampling.decisions import decision_figures, decision_sums
from lob_backtest.uncertainty.sharpe_ratio import Moments, deflated_sharpe_ratio
from tests.lob_backtest.coverage import guesses, traded


def pair(n: int = 600, *, seed: int = 0, n_folds: int = 3) -> dict[str, Predictions]:
    rng = np.random.default_rng(seed)
    tables = guesses(n, rng, horizon=4, n_folds=n_folds, skills=(0.5, 0.1, 0.1))
    return dict(zip(("model", "one", "other"), tables, strict=True))


def accounts(n: int = 500, *, seed: int = 0) -> dict[str, Account]:
    rng = np.random.default_rng(seed)
    edges = {"model": 1.0, "one": 0.0, "other": 0.0}
    return {name: traded(n, rng, flat=8, held=4, edge=edge) for name, edge in edges.items()}


def one_at_a_time(table: Predictions, drawn: IntArray) -> list[float]:
    """The report's figures of one draw of the labelled decisions."""
    known = table.select(table.is_labelled)
    fold, labels, probability = known.fold[drawn], known.label[drawn], known.probability[drawn]
    figures = classification_metrics(labels, probability)
    folds = np.unique(fold)
    each = [classification_metrics(labels[fold == f], probability[fold == f]) for f in folds]
    weights = [(fold == f).sum() for f in folds]
    for key in ("majority_accuracy", "f1_weighted", "f1_macro", "mcc"):
        figures[key] = float(np.average([own[key] for own in each], weights=weights))
    return [figures[key] for key in CLASSIFICATION_KEYS]


def rows_of(cells: Cells, drawn: IntArray) -> IntArray:
    """The rows of one draw of cells."""
    ends = np.append(cells.start[1:], cells.n)
    return np.concatenate([np.arange(cells.start[cell], ends[cell]) for cell in drawn])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_cells_are_stretches_of_about_equal_length_within_parts(
    lengths: list[int], most: int
) -> None:
    part = np.repeat(np.arange(len(lengths)) * 7, lengths)
    cells = Cells.of(part, most=most)
    assert cells.count <= most + len(lengths)
    assert cells.length.sum() == cells.n == part.size
    edges = np.append(cells.start, part.size)
    for i in range(cells.count):
        own = part[edges[i] : edges[i + 1]]
        assert own.size >= 1
        assert set(own.tolist()) == {7 * int(cells.part[i])}
    for number in range(len(lengths)):
        inside = cells.length[cells.part == number]
        assert inside.max() - inside.min() <= 1
    if most >= part.size:
        assert (cells.length == 1).all()


@pytest.mark.parametrize("most", [37, 10_000])
def test_classification_figures_of_draws_match_the_plain_metrics(most: int) -> None:
    table = pair()["model"]
    table = replace(table, label=np.where(np.arange(table.n) % 11 == 3, -1, table.label))
    cells = Cells.of(table.fold[table.is_labelled], most=most)
    drawn = np.random.default_rng(1).integers(0, cells.count, (4, cells.count))
    found = decision_figures(totals(cells, decision_sums(table, cells), drawn))
    for figures, row in zip(found, drawn, strict=True):
        assert figures == pytest.approx(one_at_a_time(table, rows_of(cells, row)), abs=1e-12)


@pytest.mark.parametrize("most", [61, 10_000])
def test_trading_figures_of_draws_match_the_plain_metrics(most: int) -> None:
    own = accounts()["model"]
    cells = Cells.of(own.fold, most=most)
    drawn = np.random.default_rng(2).integers(0, cells.count, (4, cells.count))
    decided = np.random.default_rng(3).integers(1, 9, cells.n).astype(np.float64)
    sums = totals(cells, bar_sums(own, decided, cells), drawn)
    figures = bar_figures(sums, n_decisions=decided.sum(), periods_per_year=252.0)
    for found, row in zip(figures, drawn, strict=True):
        bars = rows_of(cells, row)
        returns, closed = own.net_returns[bars], own.closings[bars].sum(axis=0)
        scale = decided.sum() / decided[bars].sum()
        expected = {
            "gross_return": own.gross_pnl[bars].sum() * scale,
            "net_return": returns.sum() * scale,
            "sharpe": sharpe(returns, periods_per_year=252.0),
            "sortino": sortino(returns, periods_per_year=252.0),
            "volatility": volatility(returns, periods_per_year=252.0),
            "turnover": own.traded_notional[bars].sum() * scale,
            "trades": closed[0] * scale,
            "hit_rate": closed[1] / closed[0],
            "costs_paid": (own.fees_paid + own.spread_paid)[bars].sum() * scale,
        }
        assert dict(zip(TRADING_KEYS, found, strict=True)) == pytest.approx(
            expected | {"max_drawdown": np.nan}, rel=1e-9, nan_ok=True
        )


def test_drawdowns_of_draws_match_the_plain_metric() -> None:
    own = accounts()["one"]
    cells = Cells.of(own.fold, most=10_000)
    drawn = np.random.default_rng(3).integers(0, cells.count, (5, cells.count))
    found = drawdowns(equity_steps(own, cells), drawn)
    for value, row in zip(found, drawn, strict=True):
        equity = np.append(1.0, 1 + np.cumsum(own.net_returns[row]))
        assert value == pytest.approx(max_drawdown(equity), abs=1e-12)
    # cells of several bars: never more than the whole path's, and nearly all of it
    coarse = Cells.of(own.fold, most=50)
    whole = drawdowns(equity_steps(own, coarse), np.arange(coarse.count)[None, :])[0]
    assert 0.9 * max_drawdown(own.equity) <= whole <= max_drawdown(own.equity) + 1e-12


def test_figures_of_all_cells_are_the_reports() -> None:
    own, table = accounts()["model"], pair()["model"]
    cells = Cells.of(own.fold, most=70)
    each = partial(bar_figures, n_decisions=cells.n, periods_per_year=252.0)
    value, _ = influence(cells, bar_sums(own, np.ones(cells.n), cells), each)
    expected = portfolio_metrics(own, periods_per_year=252.0) | {"max_drawdown": np.nan}
    assert dict(zip(TRADING_KEYS, value, strict=True)) == pytest.approx(expected, nan_ok=True)
    cells = Cells.of(table.fold, most=70)
    value, _ = influence(cells, decision_sums(table, cells), decision_figures)
    assert value == pytest.approx(one_at_a_time(table, np.arange(table.n)))


def test_influence_is_what_a_cell_adds() -> None:
    values = np.random.default_rng(0).normal(size=(30, 1))
    cells = Cells.of(np.zeros(30, dtype=np.int64))
    value, found = influence(cells, values, lambda sums: sums.sum(axis=1) / 30)
    # without cell i the sum over 30 is smaller by x_i / 30
    assert value == pytest.approx(values.mean(axis=0))
    assert found == pytest.approx(29 * values / 30)


def figures_of(found: Intervals, name: str) -> FloatArray:
    return np.array([found.of[name][key] for key in found.of[name]], dtype=np.float64)


def test_every_figure_lies_in_its_interval() -> None:
    tables, strategies = pair(), accounts()
    of_decisions = classification_intervals(tables, n_resamples=60, rng=np.random.default_rng(0))
    of_bars = trading_intervals(
        strategies, periods_per_year=252.0, n_resamples=60, rng=np.random.default_rng(0)
    )
    for name, table in tables.items():
        low, high = figures_of(of_decisions, name).T
        value = np.array(one_at_a_time(table, np.arange(table.n)))
        assert (low <= value + 1e-12).all()
        assert (value <= high + 1e-12).all()
        assert (low < high).all()
    for name, account in strategies.items():
        low, high = figures_of(of_bars, name).T
        value = np.array(list(portfolio_metrics(account, periods_per_year=252.0).values()))
        assert (low <= value + 1e-12).all()
        assert (value <= high + 1e-12).all()
        assert (low < high).all()
        assert of_bars.of[name]["hit_rate"][1] <= 1.0
        assert of_bars.of[name]["max_drawdown"][0] >= 0.0


def test_the_same_seed_gives_the_same_intervals_and_more_data_narrower_ones() -> None:
    def found(n: int) -> Intervals:
        rng = np.random.default_rng(5)
        return classification_intervals(pair(n), n_resamples=40, rng=rng)

    assert found(600) == found(600)
    narrow, wide = figures_of(found(9600), "model"), figures_of(found(600), "model")
    ratio = (narrow[:, 1] - narrow[:, 0]) / (wide[:, 1] - wide[:, 0])
    assert (ratio < 0.6).all()


def test_cells_give_the_intervals_of_single_decisions() -> None:
    # 3,000 decisions in cells of three, against each on its own: two seeds differ by as much.
    tables = {"model": pair(3000)["model"]}
    coarse = classification_intervals(tables, n_resamples=400, rng=np.random.default_rng(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lob_backtest.resampling.cells.MOST_CELLS", 10_000)
        patch.setattr(Cells.of.__func__, "__kwdefaults__", {"most": 10_000})
        fine = classification_intervals(tables, n_resamples=400, rng=np.random.default_rng(0))
    one, other = figures_of(coarse, "model"), figures_of(fine, "model")
    width = (other[:, 1] - other[:, 0])[:, None]
    assert (one - other) / width == pytest.approx(np.zeros_like(one), abs=0.25)


def test_a_lead_is_the_models_figure_minus_the_baselines() -> None:
    tables, strategies = pair(3000), accounts()
    rng = np.random.default_rng(0)
    of_decisions = classification_intervals(tables, n_resamples=200, rng=rng)
    of_bars = trading_intervals(strategies, periods_per_year=252.0, n_resamples=200, rng=rng)
    section = paired_section(of_decisions, of_bars)
    assert list(section) == ["one", "other"]
    assert list(section["one"]) == [*CLASSIFICATION_KEYS, *TRADING_KEYS]
    ours = one_at_a_time(tables["model"], np.arange(tables["model"].n))
    for name in section:
        theirs = one_at_a_time(tables[name], np.arange(tables[name].n))
        expected = np.subtract(ours, theirs).tolist()
        found = [section[name][key]["difference"] for key in CLASSIFICATION_KEYS]
        assert found == pytest.approx(expected, abs=1e-12)
        figures = portfolio_metrics(strategies["model"], periods_per_year=252.0)
        others = portfolio_metrics(strategies[name], periods_per_year=252.0)
        for key in TRADING_KEYS:
            lead = section[name][key]
            assert lead["difference"] == pytest.approx(figures[key] - others[key])
            assert lead["low"] <= lead["difference"] <= lead["high"]
        f1 = section[name]["f1_weighted"]
        assert f1["low"] > 0
        assert f1["p_value"] <= f1["p_adjusted"] <= 0.05
        assert section[name]["accuracy"]["p_adjusted"] is None
        assert section[name]["net_return"]["p_adjusted"] is not None
    assert paired_section(of_decisions, None)["one"].keys() == set(CLASSIFICATION_KEYS)


def test_a_model_has_no_lead_over_itself() -> None:
    table = pair()["model"]
    found = classification_intervals(
        {"model": table, "twin": table}, n_resamples=30, rng=np.random.default_rng(0)
    )
    for lead in found.leads["twin"].values():
        assert (lead.difference, lead.low, lead.high, lead.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.leads["twin"]["f1_weighted"].p_adjusted == 1.0
    assert found.of["twin"] == found.of["model"]


def flat_account(n: int) -> Account:
    none = traded(n, np.random.default_rng(0), flat=10 * n, held=1, edge=0.0)
    assert none.trades.n == 0
    return none


def test_an_undefined_figure_has_no_interval() -> None:
    strategies = {"model": accounts()["model"], "flat": flat_account(500)}
    found = trading_intervals(
        strategies, periods_per_year=1.0, n_resamples=20, rng=np.random.default_rng(0)
    )
    assert found.of["flat"]["sharpe"] == (None, None)
    assert found.of["flat"]["sortino"] == (None, None)
    assert found.of["flat"]["hit_rate"] == (None, None)
    assert found.of["flat"]["net_return"] == (0.0, 0.0)
    assert found.of["flat"]["max_drawdown"] == (0.0, 0.0)
    assert found.leads["flat"]["sharpe"].difference is None
    own, lead = found.of["model"]["net_return"], found.leads["flat"]["net_return"]
    assert own == pytest.approx((lead.low, lead.high))
    only = trading_intervals(
        {"flat": flat_account(50)},
        periods_per_year=1.0,
        n_resamples=20,
        rng=np.random.default_rng(0),
    )
    assert only.of["flat"]["net_return"] == (0.0, 0.0)


def test_trades_that_all_won_may_still_lose() -> None:
    own = accounts()["model"]
    own = replace(own, trades=replace(own.trades, gross_pnl=own.trades.costs + 1.0))
    found = trading_intervals(
        {"model": own},
        periods_per_year=1.0,
        n_resamples=20,
        rng=np.random.default_rng(0),
    )
    n = own.closings[:, 0].sum()
    assert found.of["model"]["hit_rate"] == pytest.approx((0.025 ** (1 / n), 1.0))


def test_too_few_decisions_have_no_interval() -> None:
    found = classification_intervals(
        {name: table.select(np.arange(table.n) < 3) for name, table in pair().items()},
        n_resamples=5,
        rng=np.random.default_rng(0),
    )
    assert set(found.of["model"].values()) == {(None, None)}
    assert found.leads == {}


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(MetricError, match="n_resamples=0: needs at least 1"):
        classification_intervals(pair(), n_resamples=0, rng=np.random.default_rng(0))


def test_blocks_are_as_long_as_labels_overlap() -> None:
    # a decision a second, each label known 3 s later: with its own, 3 decisions are made by then
    n = 400
    rng = np.random.default_rng(0)
    decided_ns = 10**9 * np.arange(n, dtype=np.int64)
    table = Predictions(
        instrument="TEST",
        fold=np.zeros(n, dtype=np.int64),
        decided_ns=decided_ns,
        label_end_ns=decided_ns + 3 * 10**9,
        train_end_ns=decided_ns - 1,
        label=rng.integers(0, 3, n),
        probability=rng.dirichlet(np.ones(3), n),
    )
    # the last two labels reach beyond the last decision
    assert label_overlap(table) == pytest.approx((3 * (n - 2) + 2 + 1) / n)
    drawn = classification_intervals({"model": table}, n_resamples=5, rng=rng)
    assert drawn.mean_block >= label_overlap(table)


def test_the_sections_say_what_the_tests_say() -> None:
    tables = pair(1200, n_folds=4)
    lift = lift_section(tables["model"], tables["one"], name="one")
    assert lift["baseline"] == "one"
    assert lift["p_value"] < 1e-3
    assert lift["lag"] == 3
    assert lift["effective_labels"] == pytest.approx(300, rel=0.05)
    windows = windows_section(tables["model"], tables["one"])
    assert [row["fold"] for row in windows] == [0, 1, 2, 3]
    assert all(row["p_value"] <= row["p_adjusted"] for row in windows)
    alone = {name: tables[name].select(tables[name].fold == 2) for name in ("model", "one")}
    of_one = lift_section(alone["model"], alone["one"], name="one")
    assert windows[2]["p_value"] == pytest.approx(of_one["p_value"])


def test_the_sharpe_section_is_annualised_and_deflated() -> None:
    own = accounts()["model"]
    found = sharpe_section(own, periods_per_year=252.0, trials=50)
    moments = Moments.of(own.net_returns)
    assert found is not None
    assert moments is not None
    assert found["sharpe"] == pytest.approx(sharpe(own.net_returns, periods_per_year=252.0))
    assert found["dsr"] == pytest.approx(deflated_sharpe_ratio(moments, trials=50))
    assert found["psr"] > found["dsr"]
    assert found["bars"] == 500
    assert found["min_track_record_years"] == pytest.approx(
        found["min_track_record_bars"] / 252, abs=1 / 252
    )
    # trials that differ by more ask for more
    spread = sharpe_section(
        own, periods_per_year=252.0, trials=50, trial_sharpes=np.array([-9.0, 0.0, 9.0])
    )
    assert spread is not None
    assert spread["benchmark_sharpe"] > found["benchmark_sharpe"]
    assert spread["dsr"] < found["dsr"]
    assert sharpe_section(flat_account(50), periods_per_year=1.0, trials=1) is None


def test_the_overfitting_section_needs_candidates_that_differ() -> None:
    rng = np.random.default_rng(0)
    returns = {f"{i}": rng.normal(size=300) for i in range(4)}
    found = overfitting_section(returns)
    assert found is not None
    assert (found["n_splits"], found["strategies"]) == (16, 4)
    assert 0 <= found["pbo"] <= 1
    assert len(found["logits"]) == 200
    assert found["logits"] == sorted(found["logits"])
    short = overfitting_section({name: own[:20] for name, own in returns.items()})
    assert short is not None
    assert short["n_splits"] == 10
    assert len(short["logits"]) == 200
    assert overfitting_section({"a": returns["0"], "b": returns["0"]}) is None
    assert overfitting_section({"a": returns["0"][:7], "b": returns["1"][:7]}) is None
    assert overfitting_section({}) is None


def test_busy_bars_do_not_widen_what_so_many_decisions_earn() -> None:
    # Each decision costs the same; how many fall into a bar is all that varies.
    rng = np.random.default_rng(5)
    decided = rng.integers(1, 20, 400).astype(np.float64)
    calm = traded(400, rng, flat=10, held=1, edge=0.0)
    paid = replace(calm, gross_pnl=-0.01 * decided, fees_paid=0 * decided, spread_paid=0 * decided)
    low, high = trading_intervals(
        {"model": paid}, decided, periods_per_year=1.0, n_resamples=200, rng=rng
    ).of["model"]["net_return"]
    assert low == pytest.approx(high)
    low, high = trading_intervals(
        {"model": paid}, periods_per_year=1.0, n_resamples=200, rng=rng
    ).of["model"]["net_return"]
    assert high - low > 0.05 * abs(low)


@pytest.mark.parametrize(("n", "p_value", "is_shown"), [(4, 0.125, False), (20, 2.0**-19, True)])
def test_a_lead_at_every_decision_says_no_more_than_so_many_tosses(
    n: int, p_value: float, is_shown: bool
) -> None:
    label = np.arange(n) % 3
    decided_ns = np.arange(n) * 10 + 1

    def table(said: IntArray) -> Predictions:
        return Predictions(
            instrument="X",
            fold=np.zeros(n, dtype=np.int64),
            decided_ns=decided_ns,
            label_end_ns=decided_ns + 1,
            train_end_ns=np.zeros(n, dtype=np.int64),
            label=label,
            probability=0.1 + 0.7 * np.eye(3)[said],
        )

    found = classification_intervals(
        {"model": table(label), "wrong": table((label + 1) % 3)},
        n_resamples=50,
        rng=np.random.default_rng(0),
    )
    lead = found.leads["wrong"]["accuracy"]
    assert (lead.difference, lead.p_value) == (1.0, pytest.approx(p_value))
    assert (lead.low, lead.high) == ((1.0, 1.0) if is_shown else (None, None))
