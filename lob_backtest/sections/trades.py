"""The table of trades: the best, the worst and a regular sample, and what all of them are like."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lob_backtest.book import FloatArray, IntArray
from lob_backtest.sections.parts import RoundTrips

_MOST = 100
_FEW = 5
_COLUMNS = (
    "fold", "open_ns", "close_ns", "side", "size", "open_price", "close_price", "gross_pnl",
    "costs", "net_pnl",
)  # fmt: skip


def trades_section(
    by_instrument: Mapping[str, RoundTrips] | None, *, most: int = _MOST
) -> dict[str, Any] | None:
    """At most ``most`` trades in time order, and figures of all of them.

    A quarter are those that earned most, a quarter those that lost most, the rest every so many-th
    in time, so that a reader sees the ordinary ones too. ``why`` says which it is.

    Args:
        by_instrument: the model's trades; None where nothing was traded.
        most: rows at the most.
    """
    if by_instrument is None:
        return None
    table: dict[str, Any] = {
        key: np.concatenate([getattr(trades, key) for trades in by_instrument.values()])
        for key in _COLUMNS
    }
    name = np.concatenate(
        [np.full(trades.net_pnl.size, name) for name, trades in by_instrument.items()]
    )
    order = np.lexsort((name, table["open_ns"], table["fold"]))
    table = {"instrument": name[order], **{key: table[key][order] for key in _COLUMNS}}
    why = _chosen(table["net_pnl"], most)
    rows = [
        {**{key: values[i].item() for key, values in table.items()}, "why": words}
        for i, words in why.items()
    ]
    return {"n": int(order.size), "shown": len(rows), "rows": rows, "summary": _summary(table)}


def _chosen(net: FloatArray, most: int) -> dict[int, str]:
    """Places of the trades that are shown, in time order, each with why."""
    if net.size <= most:
        return dict.fromkeys(range(net.size), "all")
    ranked = np.argsort(net, kind="stable")
    quarter = max(most // 4, 1)
    why = dict.fromkeys(ranked[-quarter:].tolist(), "best")
    why |= dict.fromkeys(ranked[:quarter].tolist(), "worst")
    rest: IntArray = np.setdiff1d(np.arange(net.size), list(why))
    left = most - len(why)
    regular = rest[np.unique(np.linspace(0, rest.size - 1, left).round().astype(np.int64))]
    why |= dict.fromkeys(regular.tolist(), "sample")
    return dict(sorted(why.items()))


def _summary(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """What all trades are like; ``without_best`` is the net profit without the best five."""
    net: FloatArray = table["net_pnl"]
    if net.size == 0:
        return None
    won, lost = net[net > 0], net[net <= 0]
    held = (table["close_ns"] - table["open_ns"]) / 1e9
    return {
        "net_pnl": float(net.sum()),
        "without_best": float(np.sort(net)[:-_FEW].sum()),
        "best_left_out": min(_FEW, net.size),
        "mean": float(net.mean()),
        "median": float(np.median(net)),
        "deviation": float(net.std(ddof=1)) if net.size > 1 else None,
        "hit_rate": won.size / net.size,
        "mean_win": float(won.mean()) if won.size else None,
        "mean_loss": float(lost.mean()) if lost.size else None,
        "profit_factor": float(won.sum() / -lost.sum()) if lost.sum() < 0 else None,
        "longest_losing_run": _longest_run(net <= 0),
        "median_seconds_held": float(np.median(held)),
        "long": _side(table, 1),
        "short": _side(table, -1),
    }


def _side(table: Mapping[str, Any], side: int) -> dict[str, Any]:
    here = np.sign(table["side"]) == side
    return {"n": int(here.sum()), "net_pnl": float(table["net_pnl"][here].sum())}


def _longest_run(lost: Any) -> int:
    ends = np.flatnonzero(~np.append(lost, False))
    return int(np.diff(ends, prepend=-1).max() - 1) if ends.size else 0
