"""Speed of scoring: against a plain loop of vectorbt portfolios, and as the decisions grow.

    ours    predictions ─► orders ─► one vectorbt call ─► accounts at every cost level ─► figures
    plain   predictions ─► orders ─► for each fold and cost level: Portfolio(...).stats()

Both sides make the same orders and the same classification figures by the same code, whose time is
in both, and must agree on what every fold earns at every level. Positions are held for as long as
labels look ahead; ``with_most_orders`` is the same where every decision stands for itself. Bench is
run by hand (``scripts/bench``): no test asserts on time.
"""

import argparse
import gc
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lob_backtest.book import Book, BookMeta, FloatArray, IntArray
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.config import BacktestConfig, CostsConfig, GatesConfig, SignalConfig
from lob_backtest.contenders import ModelPredictions
from lob_backtest.costs import Costs, costs_of
from lob_backtest.desk import Desk
from lob_backtest.errors import MetricError
from lob_backtest.files import write_json
from lob_backtest.metrics import bars_per_year, classification_metrics, portfolio_metrics
from lob_backtest.portfolio import Leg, simulate
from lob_backtest.predictions import Predictions
from lob_backtest.progress import announce
from lob_backtest.walk_forward import score

FOLDS = 20
WANTED_RATIO = 20
DECISIONS = 1_000_000
SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
CONFIG = BacktestConfig(
    costs=CostsConfig(fee_bps=1.0),
    latency_ns=1_000_000,
    capital=1000.0,
    signal=SignalConfig(threshold=0.45),
    cost_multiples=[0.0, 0.5, 1.0, 2.0, 4.0],
)
_HORIZON = 10  # decisions ahead that labels look
_CASH = 1e6  # of each plain portfolio: far more than a unit costs
_NS_PER_SECOND = 1_000_000_000
_BAR_NS = round(CONFIG.bar_seconds * _NS_PER_SECOND)
_MIB = 2**20

Outcome = dict[tuple[int, int], tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A random walk, a row and a decision a second, and a model that knows a little of it."""

    book: Book
    table: Predictions
    folds: int
    hold_decisions: int

    @property
    def config(self) -> BacktestConfig:
        """How it is traded."""
        return replace(CONFIG, signal=replace(CONFIG.signal, hold_decisions=self.hold_decisions))

    @property
    def fold_edges(self) -> IntArray:
        """Where each fold begins in the table, and the end of the last."""
        return np.searchsorted(self.table.fold, np.arange(self.folds + 1)).astype(np.int64)

    @property
    def levels(self) -> list[Costs]:
        """The cost levels of the comparison."""
        return [costs_of(CONFIG.costs).scaled(multiple) for multiple in CONFIG.cost_multiples]


def made_case(n: int, *, folds: int = FOLDS, hold_decisions: int = _HORIZON) -> Case:
    """``n`` decisions in folds of equal length, and a book that reaches a label horizon further."""
    rng = np.random.default_rng(0)
    n_rows = n + _HORIZON + 1
    time_ns = _NS_PER_SECOND * (1_600_000_000 + np.arange(n_rows, dtype=np.int64))
    bid = 100_000 + np.cumsum(rng.integers(-1, 2, n_rows))
    book = Book(
        meta=BookMeta(instrument="BENCH", tick_size=0.01, currency="USD", timezone="UTC",
                      session_open=None, session_close=None, source="bench"),
        time_ns=time_ns,
        ask_ticks=(bid + 1)[:, None],
        ask_size=np.full((n_rows, 1), 10.0),
        bid_ticks=bid[:, None],
        bid_size=np.full((n_rows, 1), 10.0),
    )  # fmt: skip
    fold = np.arange(n) * folds // n
    label = 1 + np.sign(bid[_HORIZON : n + _HORIZON] - bid[:n])
    probability = rng.random((n, 3))
    probability[np.arange(n), label] += 0.3
    probability /= probability.sum(axis=1, keepdims=True)
    starts = np.searchsorted(fold, np.arange(folds))
    return Case(
        book=book,
        folds=folds,
        hold_decisions=hold_decisions,
        table=Predictions(
            instrument="BENCH",
            fold=fold,
            decided_ns=time_ns[:n],
            label_end_ns=time_ns[_HORIZON : n + _HORIZON],
            train_end_ns=(time_ns[starts] - 1)[fold],
            label=label,
            probability=probability,
        ),
    )


# ------------------------------------------------------------------------- the two sides


def ours(case: Case) -> Outcome:
    """Every fold's figures at every level through this package: net profit, costs and trades."""
    leg = _leg(case)
    _classify(case)
    accounts = simulate({"it": leg}, costs=case.levels, bar_ns=_BAR_NS, capital=1000.0)["it"]
    year = bars_per_year(case.book.meta, bar_ns=_BAR_NS)
    outcome = {}
    for level, account in enumerate(accounts):
        for span in leg.spans:
            figures = portfolio_metrics(account.of_fold(span.fold), periods_per_year=year)
            net = figures["net_return"] * account.capital
            outcome[span.fold, level] = (net, figures["costs_paid"], figures["trades"])
    return outcome


def plain(case: Case) -> Outcome:
    """The same by a loop of portfolios, one a fold and level, each with ``.stats()``.

    Written without waste: costs once a level, prices once a fold.
    """
    leg = _leg(case)
    _classify(case)
    orders, book = leg.orders, case.book
    paid = [orders.fees(costs) + orders.slippage(costs) for costs in case.levels]
    edges = np.searchsorted(orders.fold, np.arange(len(leg.spans) + 1))
    outcome = {}
    for span, (a, b) in zip(leg.spans, pairwise(edges), strict=True):
        first, last = np.searchsorted(book.time_ns, [span.start_ns, span.end_ns])
        rows = slice(int(first), int(last) + 1)
        index = pd.to_datetime(book.time_ns[rows])
        close = pd.Series(book.mid_ticks[rows] * book.meta.tick_size, index=index)
        place = orders.row[a:b] - first
        for level, costs in enumerate(paid):
            of_fold = _plain_portfolio(close, place, orders.size[a:b], costs[a:b])
            outcome[span.fold, level] = of_fold
    return outcome


def _plain_portfolio(
    close: "pd.Series[float]", place: IntArray, units: FloatArray, costs: FloatArray
) -> tuple[float, float, float]:
    import vectorbt

    size, fee = np.full(close.size, np.nan), np.zeros(close.size)
    size[place], fee[place] = units, costs
    portfolio = vectorbt.Portfolio.from_orders(
        close, size=size, price=close, fixed_fees=fee, init_cash=_CASH, freq="1s"
    )
    stats = portfolio.stats()
    net = stats["End Value"] - stats["Start Value"]
    return float(net), float(stats["Total Fees Paid"]), float(stats["Total Trades"])


def check_agreement(one: Outcome, other: Outcome) -> float:
    """Largest difference of a fold's net profit as a share of the capital, at any level.

    Raises:
        MetricError: it is above 1e-9, or costs or numbers of trades differ.
    """
    if one.keys() != other.keys():
        raise MetricError(
            f"{len(one)} figures against {len(other)}; needs the same folds and levels"
        )
    mine = np.array(list(one.values()))
    theirs = np.array([other[key] for key in one])
    net, paid, trades = np.abs(mine - theirs).max(axis=0)
    if max(net, paid) > 1e-9 * 1000.0 or trades > 0:
        raise MetricError(
            f"net profits differ by up to {net}, costs by {paid} and trades by {trades}; needs "
            "equal figures before speeds are compared"
        )
    return float(net / 1000.0)


def _leg(case: Case) -> Leg:
    """The orders of all folds."""
    table = case.table
    desk = Desk.of(
        case.book, case.config, fold=table.fold, decided_ns=table.decided_ns, all_decided_ns=None
    )
    threshold = CONFIG.signal.threshold
    assert not isinstance(threshold, str)
    return desk.model_leg(table.probability, dict.fromkeys(range(case.folds), threshold))


def _classify(case: Case) -> list[dict[str, float]]:
    """The classification figures of every fold."""
    table = case.table
    return [
        classification_metrics(table.label[a:b], table.probability[a:b])
        for a, b in pairwise(case.fold_edges)
    ]


# ------------------------------------------------------------------------- measuring


def compare(n: int, *, repeats: int, hold_decisions: int) -> dict[str, Any]:
    """Seconds of both sides, in turn in this process, after a round that compiles and agrees.

    Args:
        n: decisions.
        repeats: rounds; the medians are compared.
        hold_decisions: how long a signal is kept. The shorter, the more orders: our time grows with
            them, that of the plain portfolios with the decisions.
    """
    case = made_case(n, hold_decisions=hold_decisions)
    orders = _leg(case).orders.n
    announce(f"{n:,} decisions, {orders:,} orders, {FOLDS} folds, {len(case.levels)} cost levels")
    warm = made_case(10_000, hold_decisions=hold_decisions)
    check_agreement(timed(ours, warm)[0], timed(plain, warm)[0])
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(repeats):
        mine, of_ours = timed(ours, case)
        theirs, of_plain = timed(plain, case)
        difference = check_agreement(mine, theirs)
        seconds["ours"].append(of_ours)
        seconds["plain"].append(of_plain)
        announce(f"round {turn + 1}/{repeats}: ours {of_ours:.2f} s, plain {of_plain:.1f} s")
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    return {
        "score_ratio": median["plain"] / median["ours"],
        "decisions": n,
        "folds": FOLDS,
        "cost_levels": len(case.levels),
        "hold_decisions": hold_decisions,
        "orders": orders,
        "seconds": median,
        "rounds": seconds,
        "largest_net_difference": difference,
    }


def grow(sizes: Sequence[int]) -> dict[str, Any]:
    """Our side alone, each size in a process of its own."""
    rows = []
    for n in sizes:
        rows.append(_in_child(n))
        announce(
            f"{n:>12,} decisions: {rows[-1]['seconds']:.2f} s, {rows[-1]['peak_mib']:,.0f} MiB "
            f"({rows[-1]['data_mib']:,.0f} MiB before scoring)"
        )
    decisions = [row["decisions"] for row in rows]
    above = [row["peak_mib"] - row["idle_mib"] for row in rows]
    return {
        "sizes": rows,
        "exponents": {
            "seconds": exponent(decisions, [row["seconds"] for row in rows]),
            "memory": exponent(decisions, above),
        },
        "exponents_are": "slope of log(seconds), and of log(peak memory above an idle process), on "
        "log(decisions); 1 is linear",
    }


def measure_one(n: int) -> dict[str, float]:
    """Seconds and peak memory of our side in this process, which must be a fresh one."""
    ours(made_case(10_000))
    gc.collect()
    _forget_peak()
    idle = _peak_mib()
    case = made_case(n)
    data = _peak_mib()
    seconds = [timed(ours, case)[1] for _ in range(3)]
    return {
        "decisions": n,
        "seconds": float(np.median(seconds)),
        "idle_mib": idle,
        "data_mib": data,
        "peak_mib": _peak_mib(),
    }


def full_score(n: int) -> dict[str, Any]:
    """Seconds of a whole report with intervals, against one baseline; as it is, without a ratio."""
    case = made_case(n)
    guess = np.full_like(case.table.probability, 1 / 3)
    baseline = Predictions(**{**vars(case.table), "probability": guess})
    n_resamples = 1000

    def run(case: Case) -> dict[str, Any]:
        return score(
            case.book,
            ModelPredictions(test=case.table),
            {"guess": ModelPredictions(test=baseline)},
            backtest=case.config,
            gates=GatesConfig(baseline="guess"),
            n_resamples=n_resamples,
        )

    _, seconds = timed(run, case)
    announce(f"a whole report of {n:,} decisions with {n_resamples} resamples: {seconds:.1f} s")
    return {"decisions": n, "n_resamples": n_resamples, "seconds": seconds}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "pandas", "vectorbt")},
    }


def timed(work: Callable[[Case], Any], case: Case) -> tuple[Any, float]:
    """What the work makes of a case, and the seconds it takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vectorbt's stats warn of ratios of a flat stretch
        began = time.perf_counter()
        made = work(case)
        return made, time.perf_counter() - began


def _peak_mib() -> float:
    """Most memory that this process has held; Linux keeps the parent's in ``getrusage``."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
    held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(held.split()[1]) * 1024 / _MIB


def _forget_peak() -> None:
    """Begin the peak anew, where the system allows it: compiling holds more than small cases do."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        announce("cannot reset the peak of memory here: small sizes show that of compiling")


def _in_child(n: int) -> dict[str, float]:
    command = [sys.executable, "-m", "lob_backtest.bench", "one", str(n)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def exponent(decisions: Sequence[float], amounts: Sequence[float]) -> float | None:
    """Least-squares slope in logarithms; None for fewer than two sizes, or nothing to measure."""
    if len(decisions) < 2 or min(amounts) <= 0:
        return None
    slope, _ = np.polyfit(np.log(np.array(decisions)), np.log(np.array(amounts)), 1)
    return float(slope) if math.isfinite(slope) else None


# ------------------------------------------------------------------------- command line


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench``."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure speed and memory.")
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score", help="scoring against a plain loop of portfolios")
    scoring.add_argument("--json", type=Path, required=True, metavar="FILE")
    scoring.add_argument("--decisions", type=int, default=DECISIONS, metavar="N")
    scoring.add_argument("--repeats", type=int, default=3, metavar="R")
    scoring.add_argument("--sizes", type=int, nargs="*", default=SIZES, metavar="N")
    scoring.set_defaults(run=_run_score)
    one = commands.add_parser("one", help="our side alone, once; prints JSON")
    one.add_argument("decisions", type=int)
    one.set_defaults(run=_run_one)
    return run_command(parser, argv)


def _run_score(arguments: argparse.Namespace) -> int:
    n, repeats = arguments.decisions, arguments.repeats
    found = compare(n, repeats=repeats, hold_decisions=_HORIZON)
    found["wanted_ratio"] = WANTED_RATIO
    found["with_most_orders"] = compare(n, repeats=repeats, hold_decisions=1)
    found["growth"] = grow(arguments.sizes)
    found["full_score"] = full_score(n)
    found["machine"] = machine()
    write_json(arguments.json, found)
    announce(f"score_ratio {found['score_ratio']:.1f} (wanted: {WANTED_RATIO}); {arguments.json}")
    return EXIT_DONE


def _run_one(arguments: argparse.Namespace) -> int:
    print(json.dumps(measure_one(arguments.decisions)))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
