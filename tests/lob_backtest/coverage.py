"""How often intervals cover what they claim to, on series whose truth is known.

python -m tests.lob_backtest.coverage            print the tables of docs/uncertainty.md
python -m tests.lob_backtest.coverage --write    and put them into it (some minutes)
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.signal import lfilter
from scipy.special import stdtrit

from lob_backtest.account import Account, Trades
from lob_backtest.book import FloatArray
from lob_backtest.metrics import CLASSIFICATION_KEYS, TRADING_KEYS, portfolio_metrics
from lob_backtest.predictions import Predictions
from lob_backtest.resampling import Intervals, classification_intervals, trading_intervals
from lob_backtest.resampling.cells import Cells, totals
from lob_backtest.resampling.decisions import decision_figures, decision_sums
from lob_backtest.uncertainty import block_length
from lob_backtest.uncertainty.intervals import Studentized, interval, studentize
from lob_backtest.uncertainty.lift import mean_test, overlap_counts, score_differences
from lob_backtest.uncertainty.long_run import n_cosines

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "uncertainty.md"
N_RESAMPLES = 400
METHODS = ("percentile", "Student", "bootstrap-t", "used")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of series with a known mean, and how many neighbours share a label in it."""

    draw: Callable[[int, np.random.Generator], FloatArray]
    mean: float = 0.0
    overlap: int = 1


def autoregressive(coefficient: float) -> Callable[[int, np.random.Generator], FloatArray]:
    """Series that forget as ``coefficient^k``."""

    def draw(n: int, rng: np.random.Generator) -> FloatArray:
        return np.asarray(lfilter([1.0], [1.0, -coefficient], rng.normal(size=n + 100))[100:])

    return draw


def overlapping_hits(horizon: int) -> Callable[[int, np.random.Generator], FloatArray]:
    """Hits of a guess that lasts, against labels that share ``horizon - 1`` steps."""

    def draw(n: int, rng: np.random.Generator) -> FloatArray:
        walk = np.append(0.0, np.cumsum(rng.normal(size=n + horizon)))
        came_true = np.sign(walk[horizon : horizon + n] - walk[:n])
        return np.equal(np.sign(autoregressive(0.95)(n, rng)), came_true).astype(np.float64)

    return draw


# Costs at either end of a position, in deviations of a bar: mean exp(0.7^2 / 2).
_COST = float(np.exp(0.245))
_FLAT_STEPS, _HELD_STEPS = 20.0, 10 / 3


def mostly_flat(n: int, rng: np.random.Generator) -> FloatArray:
    """Net profit of positions that are seldom held and pay at both ends, as a stationary series."""
    series = np.zeros(n)
    for begin, end in positions(n, rng, flat=_FLAT_STEPS, held=_HELD_STEPS):
        inside = np.arange(max(begin, 0), min(end, n))
        series[inside] += rng.normal(size=inside.size)
        for place in (begin, end - 1):
            cost = rng.lognormal(0, 0.7)
            if 0 <= place < n:
                series[place] -= cost
    return series


def positions(
    n: int, rng: np.random.Generator, *, flat: float, held: float
) -> Iterator[tuple[int, int]]:
    """First bar and the one after the last of positions of random length, from long before 0."""
    t = -int(20 * (flat + held))
    while True:
        begin = t + int(rng.geometric(1 / flat))
        t = begin + int(rng.geometric(1 / held))
        if begin >= n:
            return
        if t > 0:
            yield begin, t


CASES = {
    "independent": Case(draw=lambda n, rng: rng.normal(size=n)),
    "AR(1) 0.3": Case(draw=autoregressive(0.3)),
    "AR(1) 0.6": Case(draw=autoregressive(0.6)),
    "AR(1) 0.9": Case(draw=autoregressive(0.9)),
    "heavy tails (t, 3 df)": Case(draw=lambda n, rng: rng.standard_t(3, size=n)),
    "skewed (log-normal)": Case(draw=lambda n, rng: rng.lognormal(size=n), mean=float(np.exp(0.5))),
    "mostly flat, costs": Case(draw=mostly_flat, mean=-2 * _COST / (_FLAT_STEPS + _HELD_STEPS)),
    "hits, labels overlap 10": Case(draw=overlapping_hits(10), mean=0.5, overlap=10),
    "hits, labels overlap 50": Case(draw=overlapping_hits(50), mean=0.5, overlap=50),
}


def studentized_mean(
    series: FloatArray, *, overlap: int, n_resamples: int, rng: np.random.Generator
) -> Studentized:
    """The mean as ``resampling`` treats a figure, each value a cell of its own."""
    block = block_length(series)
    return studentize(
        np.array([series.mean()]),
        (series - series.mean())[:, None],
        lambda drawn: series[drawn].mean(axis=1, keepdims=True),
        n_terms=np.array([n_cosines(series.size, mean_block=block, overlap=overlap)]),
        mean_block=min(max(block, float(overlap)), series.size),
        n_resamples=n_resamples,
        rng=rng,
    )


def intervals_by_method(found: Studentized) -> dict[str, tuple[float, float]]:
    """Of one figure: the interval that is used, and those that it could have been."""
    value, error = float(found.value[0]), float(found.error[0])
    student = float(stdtrit(found.degrees[0], 0.975))
    least, most = interval(found.scores[:, 0])
    return {
        "percentile": interval(found.resampled[:, 0]),
        "Student": (value - student * error, value + student * error),
        "bootstrap-t": (value - most * error, value - least * error),
        "used": found.interval(0),
    }


def mean_coverage(case: Case, n: int, *, n_series: int, seed: int) -> dict[str, float]:
    """Share of series whose 95 % interval of the mean covers it, by method."""
    rng = np.random.default_rng(seed)
    covered = dict.fromkeys(METHODS, 0)
    for _ in range(n_series):
        series = case.draw(n, rng)
        if np.ptp(series) == 0:  # no position at all: nothing is known, and nothing is covered
            continue
        found = studentized_mean(series, overlap=case.overlap, n_resamples=N_RESAMPLES, rng=rng)
        for method, (low, high) in intervals_by_method(found).items():
            covered[method] += low <= case.mean <= high
    return {method: count / n_series for method, count in covered.items()}


def guesses(
    n: int, rng: np.random.Generator, *, horizon: int, n_folds: int, skills: tuple[float, ...]
) -> list[Predictions]:
    """Tables of models that know some of the future, on one walk with overlapping labels."""
    walk = np.append(0.0, np.cumsum(rng.normal(size=n + horizon)))
    move = (walk[horizon : horizon + n] - walk[:n]) / horizon**0.5
    decided_ns = 10 * np.arange(n, dtype=np.int64)
    tables = []
    for skill in skills:
        noise = autoregressive(0.9)(n, rng) * (1 - 0.9**2) ** 0.5
        view = skill * move + (1 - skill**2) ** 0.5 * noise
        odds = np.exp(np.column_stack([-1.2 * view, 0.3 - 0.8 * view**2, 1.2 * view]))
        tables.append(
            Predictions(
                instrument="WALK",
                fold=np.arange(n) * n_folds // n,
                decided_ns=decided_ns,
                label_end_ns=decided_ns + 10 * horizon,
                train_end_ns=decided_ns - 1,
                label=np.digitize(move, [-0.5, 0.5]),
                probability=odds / odds.sum(axis=1, keepdims=True),
            )
        )
    return tables


def traded(n: int, rng: np.random.Generator, *, flat: float, held: float, edge: float) -> Account:
    """An account of random positions in a heavy-tailed walk, at half-spreads that vary."""
    step = 1e-3 * rng.standard_t(5, size=n)
    spans = [span for span in positions(n, rng, flat=flat, held=held) if 0 <= span[0] < span[1] < n]
    gross, paid = np.zeros(n), np.zeros(n)
    first = np.array([begin for begin, _ in spans], dtype=np.int64)
    last = np.array([end - 1 for _, end in spans], dtype=np.int64)
    side = rng.choice([-1, 1], size=len(spans))
    costs = 5e-4 * rng.lognormal(0, 0.7, size=(len(spans), 2))
    for way, (begin, end) in zip(side, spans, strict=True):
        gross[begin:end] = way * step[begin:end] + edge * 1e-3
    earned = np.array([gross[begin:end].sum() for begin, end in spans])
    for bar, cost in zip((first, last), costs.T, strict=True):
        np.add.at(paid, bar, cost)
    notional = np.bincount(first, minlength=n) + np.bincount(last, minlength=n)
    fold = np.arange(n) * 4 // n
    return Account(
        capital=1.0,
        fold=fold,
        bar_end_ns=np.arange(n, dtype=np.int64),
        gross_pnl=gross,
        fees_paid=np.zeros(n),
        spread_paid=paid,
        traded_notional=notional.astype(np.float64),
        position=np.zeros(n),
        trades=Trades(
            fold=fold[last],
            open_ns=first,
            close_ns=last,
            side=side,
            size=np.ones(len(spans)),
            open_price=np.ones(len(spans)),
            close_price=np.ones(len(spans)),
            gross_pnl=earned,
            costs=costs.sum(axis=1),
        ),
    )


def decision_coverage(
    n: int, *, horizon: int, n_folds: int, n_tables: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Of the classification figures: coverage of the expected figure, and of no lead by a twin."""

    def draw(rng: np.random.Generator) -> list[Predictions]:
        return guesses(n, rng, horizon=horizon, n_folds=n_folds, skills=(0.3, 0.3))

    def figures(tables: list[Predictions]) -> dict[str, float]:
        cells = Cells.of(tables[0].fold)
        whole = totals(cells, decision_sums(tables[0], cells), np.arange(cells.count)[None, :])
        return dict(zip(CLASSIFICATION_KEYS, decision_figures(whole)[0].tolist(), strict=True))

    def intervals(tables: list[Predictions], rng: np.random.Generator) -> Intervals:
        named = dict(zip(("model", "twin"), tables, strict=True))
        return classification_intervals(named, n_resamples=N_RESAMPLES, rng=rng)

    return _coverage(CLASSIFICATION_KEYS, draw, figures, intervals, n_sets=n_tables, seed=seed)


def bar_coverage(
    n: int, *, flat: float, held: float, edge: float, n_accounts: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Of the portfolio's figures: coverage of the expected figure, and of no lead by a twin."""

    def draw(rng: np.random.Generator) -> list[Account]:
        return [traded(n, rng, flat=flat, held=held, edge=edge) for _ in range(2)]

    def figures(accounts: list[Account]) -> dict[str, float]:
        return portfolio_metrics(accounts[0], periods_per_year=1.0)

    def intervals(accounts: list[Account], rng: np.random.Generator) -> Intervals:
        named = dict(zip(("model", "twin"), accounts, strict=True))
        return trading_intervals(named, periods_per_year=1.0, n_resamples=N_RESAMPLES, rng=rng)

    return _coverage(TRADING_KEYS, draw, figures, intervals, n_sets=n_accounts, seed=seed)


Set = TypeVar("Set")


def _coverage(
    keys: tuple[str, ...],
    draw: Callable[[np.random.Generator], Set],
    figures: Callable[[Set], dict[str, float]],
    intervals: Callable[[Set, np.random.Generator], Intervals],
    *,
    n_sets: int,
    seed: int,
) -> tuple[dict[str, float], dict[str, float]]:
    """Shares of the sets with an interval; the expectation is the mean of four times as many."""
    rng = np.random.default_rng(seed)
    others = [figures(draw(rng)) for _ in range(4 * n_sets)]
    truth = {key: np.nanmean([each[key] for each in others]) for key in keys}
    own, lead = {key: [] for key in keys}, {key: [] for key in keys}
    for _ in range(n_sets):
        found = intervals(draw(rng), rng)
        for key in keys:
            low, high = found.of["model"][key]
            if low is not None:
                own[key].append(low <= truth[key] <= high)
            ahead = found.leads["twin"][key]
            if ahead.low is not None:
                lead[key].append(ahead.low <= 0 <= ahead.high)
    return (
        {key: float(np.mean(each)) for key, each in own.items()},
        {key: float(np.mean(each)) for key, each in lead.items()},
    )


def rejection_rates(
    n: int, *, horizon: int, skills: tuple[float, float], n_tables: int, seed: int
) -> dict[str, float]:
    """Share of pairs of tables whose lift test rejects at 5 %, one-sided, by method."""
    rng = np.random.default_rng(seed)
    rejected = dict.fromkeys(("cosines", "newey_west", "diebold_mariano"), 0)
    for _ in range(n_tables):
        model, baseline = guesses(n, rng, horizon=horizon, n_folds=4, skills=skills)
        differences, overlap = score_differences(model, baseline), overlap_counts(model)
        for method in rejected:
            _, p_value, _ = mean_test(differences, overlap=overlap, method=method, side="greater")
            rejected[method] += p_value <= 0.05
    return {method: count / n_tables for method, count in rejected.items()}


def mean_table(n_series: int) -> str:
    rows = ["| series | n | " + " | ".join(METHODS) + " |", "|---|---:|" + "---:|" * len(METHODS)]
    for name, case in CASES.items():
        for n in (100, 300, 1000, 3000):
            found = mean_coverage(case, n, n_series=n_series, seed=n)
            shares = " | ".join(f"{found[method]:.3f}" for method in METHODS)
            rows.append(f"| {name} | {n} | {shares} |")
    return "\n".join(rows)


def figure_table(n_sets: int) -> str:
    """Coverage of every figure in four settings of decisions and four of bars."""
    decisions = {
        f"{n} decisions, overlap {horizon}, {folds} folds": decision_coverage(
            n, horizon=horizon, n_folds=folds, n_tables=n_sets, seed=n + horizon
        )
        for n, horizon, folds in ((300, 1, 4), (1000, 10, 4), (3000, 10, 20), (3000, 50, 4))
    }
    bars = {
        f"{n} bars, {round(n / (flat + held))} trades": bar_coverage(
            n, flat=flat, held=held, edge=edge, n_accounts=n_sets, seed=n
        )
        for n, flat, held, edge in (
            (300, 20, 3, 0.0), (1000, 100, 3, 0.0), (1000, 20, 3, 0.0), (3000, 5, 10, 0.3)
        )
    }  # fmt: skip
    return _figures(decisions, CLASSIFICATION_KEYS) + "\n\n" + _figures(bars, TRADING_KEYS)


def _figures(
    found: dict[str, tuple[dict[str, float], dict[str, float]]], keys: tuple[str, ...]
) -> str:
    rows = ["| figure | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for key in keys:
        shares = [f"{own[key]:.3f} ({lead[key]:.3f})" for own, lead in found.values()]
        rows.append(f"| {key} | " + " | ".join(shares) + " |")
    return "\n".join(rows)


def lift_table(n_tables: int) -> str:
    rows = [
        "| decisions | overlap | skill of model and baseline | cosines | newey_west | "
        "diebold_mariano |",
        "|---:|---:|---|---:|---:|---:|",
    ]
    for n, horizon in ((300, 10), (1000, 10), (1000, 50), (3000, 50), (10_000, 50)):
        for skills in ((0.3, 0.3), (0.3, 0.1)):
            found = rejection_rates(n, horizon=horizon, skills=skills, n_tables=n_tables, seed=n)
            shares = " | ".join(f"{share:.3f}" for share in found.values())
            rows.append(f"| {n} | {horizon} | {skills[0]}, {skills[1]} | {shares} |")
    return "\n".join(rows)


TABLES: dict[str, Callable[[int], str]] = {
    "means": mean_table,
    "figures": figure_table,
    "lift tests": lift_table,
}


def main(arguments: list[str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        made = table(1000 if name != "figures" else 500)
        print(made, end="\n\n")
        block = re.compile(f"(<!-- coverage: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = block.sub(lambda found, made=made: found[1] + made + "\n" + found[2], text)
    if "--write" in arguments:
        DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
