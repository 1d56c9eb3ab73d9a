"""The sections of money over time and at other costs: equity, drawdown, sensitivity."""

from typing import Any

import numpy as np

from lob_backtest.config import BacktestConfig
from lob_backtest.contenders import MODEL
from lob_backtest.trading import Traded, break_even

_MOST_POINTS = 1000


def series_section(traded: Traded | None) -> dict[str, Any] | None:
    """Equity and drawdown of every strategy, thinned to at most a thousand points."""
    if traded is None:
        return None
    equity = {name: account.equity for name, account in traded.accounts.items()}
    peaks = {name: np.maximum.accumulate(values) for name, values in equity.items()}
    drawdown = {name: (peaks[name] - values) / peaks[name] for name, values in equity.items()}
    bar_end_ns = traded.accounts[MODEL].bar_end_ns
    time_ns = np.append(traded.spans[0].start_ns, bar_end_ns)
    kept = np.linspace(0, time_ns.size - 1, min(time_ns.size, _MOST_POINTS)).round().astype(int)
    if kept.size < time_ns.size:  # the model's deepest point stays
        deepest = int(np.argmax(drawdown[MODEL]))
        kept[np.argmin(np.abs(kept - deepest))] = deepest
    kept = np.unique(kept)
    return {
        "capital": traded.capital,
        "bars": int(bar_end_ns.size),
        "time_ns": time_ns[kept].tolist(),
        "equity": {name: values[kept].tolist() for name, values in equity.items()},
        "drawdown": {name: values[kept].tolist() for name, values in drawdown.items()},
    }


def sensitivity_section(
    traded: Traded | None, backtest: BacktestConfig | None
) -> dict[str, Any] | None:
    """Net return of the same trades at other costs, and the cost at which it is nothing."""
    if traded is None or backtest is None:
        return None
    strategies = {}
    for name, account in traded.accounts.items():
        at = break_even(account)
        strategies[name] = {
            "net_return": traded.net_at_multiples[name],
            "break_even_multiple": at.multiple,
            "break_even_bps": at.bps,
            "cost_bps": at.cost_bps,
        }
    return {"multiples": list(traded.multiples), "strategies": strategies}
