"""What a report does not show: said on its page, with the report's own figures."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.report.words import duration

_FEW_FOLDS, _FEW_BARS = 10, 250


def limits_of(report: Mapping[str, Any]) -> list[str]:
    """Sentences about what must not be read into the report."""
    data, folds = report["data"], report["folds"]
    tested = sum(fold["end_ns"] - fold["start_ns"] for fold in folds)
    limits = [
        f"Other times and other instruments. The test blocks cover {duration(tested)} of "
        f"{data['instrument']}; nothing here says that it goes on.",
        "The number of attempts. Whoever tries many configs on the same test blocks and reports "
        "the best one will pass a gate by luck; the report sees only this run.",
    ]
    if len(folds) < _FEW_FOLDS:
        limits.append(
            f"Much about stability: {len(folds)} fold{'s' if len(folds) != 1 else ''} give a rough "
            "pass rate and a rough spread."
        )
    if report["backtest"] is not None:
        limits += _trading_limits(report)
    limits.append(
        "Certainty beyond the intervals. They come from resampling these decisions and bars in "
        "blocks, so they know the noise of this period and no change of regime."
    )
    return limits


def _trading_limits(report: Mapping[str, Any]) -> list[str]:
    backtest = report["backtest"]
    limits = [
        f"Market impact. Orders of up to {2 * backtest['position_limit']:g} units fill whole at "
        f"the touch; {backtest['orders_above_touch']} of {backtest['orders']} were larger than the "
        "size that stood there, so their price flatters. The book goes on as recorded.",
        "Everything around a trade: queue position (no passive orders are modelled), rejects, "
        "funding, borrowing, taxes, and a venue's minimum sizes.",
    ]
    if backtest["bars"] < _FEW_BARS:
        limits.append(
            f"A Sharpe ratio to compare with others: it is annualised from {backtest['bars']} bars "
            f"of {backtest['bar_seconds']:g} s. Read its interval, not its size."
        )
    if backtest["costs"] == "none":
        limits.append("What is left after costs: this run was asked to trade for free.")
    return limits
