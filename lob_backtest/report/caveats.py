"""What a report does not show: said on its page, with the report's own figures."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.report.words import duration, many

_FEW_FOLDS, _FEW_BARS = 10, 250


def limits_of(report: Mapping[str, Any]) -> list[str]:
    """Sentences about what must not be read into the report."""
    data, folds = report.get("data") or {}, report["folds"]
    tested = sum(fold["end_ns"] - fold["start_ns"] for fold in folds)
    several = report.get("instruments") or {}
    what = f"{len(several)} instruments" if len(several) > 1 else data.get("instrument", "one book")
    limits = [
        f"Other times and other instruments. The test blocks cover {duration(tested)} of {what}; "
        "nothing here says that it goes on.",
        _attempts(report),
    ]
    if not report.get("alarms"):
        limits.append(
            "That nothing leaked. The leak alarms were not run; whoever predicts may have seen "
            "what only came later."
        )
    if len(folds) < _FEW_FOLDS:
        limits.append(
            f"Much about stability: {many(len(folds), 'fold')} give a rough pass rate and a rough "
            "spread."
        )
    if report.get("backtest"):
        limits += _trading_limits(report)
    limits.append(
        "Certainty beyond the intervals. They come from resampling these decisions and bars in "
        "blocks, so they know the noise of this period and no change of regime."
    )
    return limits


def _attempts(report: Mapping[str, Any]) -> str:
    words = (
        "The number of attempts. Whoever tries many configs on the same test blocks and reports "
        "the best one will pass a gate by luck; the report sees only this run"
    )
    trials = (report.get("backtest") or {}).get("trials")
    return words + (
        "." if not trials else f", and that the config owns to {many(trials, 'trial')}."
    )


def _trading_limits(report: Mapping[str, Any]) -> list[str]:
    backtest = report["backtest"]
    limits = [_impact(backtest), _EXECUTION.get(backtest.get("execution", "touch"), "")]
    limits.append(
        "Everything around a trade: rejects, funding, borrowing, and a venue's minimum sizes. "
        "Taxes and fees are those that the costs name."
    )
    if backtest["bars"] < _FEW_BARS:
        limits.append(
            f"A Sharpe ratio to compare with others: it is annualised from {backtest['bars']} bars "
            f"of {backtest['bar_seconds']:g} s. Read its interval, not its size."
        )
    if backtest["costs"] == "none":
        limits.append("What is left after costs: this run was asked to trade for free.")
    return [words for words in limits if words]


def _impact(backtest: Mapping[str, Any]) -> str:
    words = "Market impact. The book goes on as recorded, whatever is taken from it."
    above, orders = backtest.get("orders_above_touch"), backtest.get("orders")
    if above is None or orders is None:
        return words
    largest = f"Orders of up to {2 * backtest['position_limit']:g} units"
    words = f"{words} {largest}: {above:,} of {orders:,} were larger than the size at the touch"
    beyond = backtest.get("orders_beyond_book")
    return f"{words}, {beyond:,} than all that the book showed." if beyond else f"{words}."


_EXECUTION = {
    "touch": "The price of a large order: orders fill whole at the touch, whatever stands there.",
    "walk": "Hidden and cancelled size: a large order pays the levels that the book showed, and "
            "what it would need beyond them.",
    "passive": "The queue: a resting order fills when the other side trades through its price. "
               "That is meant to be conservative; what stood ahead of it is not known.",
}  # fmt: skip
