"""What the figures were computed on and how: the page's list of facts."""

import json
from collections.abc import Mapping
from typing import Any

from lob_backtest.report.words import duration, moment, text


def facts(report: Mapping[str, Any]) -> str:
    """Names and values of the data and the rules, and the provenance as it is."""
    data, backtest = report["data"], report["backtest"]
    span = duration(data["end_ns"] - data["start_ns"])
    rows = {
        "instrument": data["instrument"],
        "source": data["source"],
        "book": f"{data['rows']:,} rows of {data['levels']} levels in {data['sessions']} session"
                f"{'s' if data['sessions'] != 1 else ''}, tick {data['tick_size']:g} "
                f"{data['currency']}",
        "time": f"{moment(data['start_ns'])} to {moment(data['end_ns'])} UTC ({span})",
    }  # fmt: skip
    if report["label"] is not None:
        rows["decisions"] = _decisions(report["label"])
        rows["label"] = _label(report["label"]["label"])
    if backtest is not None:
        costs = backtest["costs"]
        paid = "none: mid-price, no fee" if costs == "none" else (
            f"half-spread by trading at the touch, and {costs['fee_bps']:g} bps a side"
        )  # fmt: skip
        rows["costs"] = paid
        rows["latency"] = duration(backtest["latency_ns"]) if backtest["latency_ns"] else "none"
        rows["position"] = (
            f"at most {_many(backtest['position_limit'], 'unit')}, "
            f"held for {_many(backtest['hold_decisions'], 'decision')}"
        )
        rows["bars"] = f"{backtest['bars']:,} of {backtest['bar_seconds']:g} s"
    provenance = report["provenance"] or {}
    for key in ("name", "command", "seed"):
        if key in provenance:
            rows[key] = provenance[key]
    listed = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in rows.items())
    return f'<dl class="facts">{listed}</dl>{_raw(provenance)}'


def _raw(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return ""
    shown = json.dumps(provenance, indent=2, ensure_ascii=False)
    return f"<details><summary>Full provenance</summary><pre>{text(shown)}</pre></details>"


def _decisions(data: Mapping[str, Any]) -> str:
    when = data["decisions"]
    if when["every_ms"] is not None:
        every = f"every {when['every_ms']:g} ms"
    elif when["every_events"] is not None:
        every = f"every {when['every_events']:,} rows"
    else:
        every = "at each change of the mid-price"
    return f"{every}, seeing the last {data['window']:,} rows"


def _label(label: Mapping[str, Any]) -> str:
    move = "smoothed mid-price" if label["kind"] == "smoothed" else "mid-price"
    horizon = (
        f"{label['horizon_events']:,} rows"
        if label["horizon_ms"] is None
        else f"{label['horizon_ms'] / 1000:g} s"
    )
    cut = (
        f"cut so that train is as near to {label['flat_share']:.0%} flat as ticks allow"
        if label["threshold_ticks"] is None
        else f"cut at {label['threshold_ticks']:g} ticks"
    )
    return f"down, flat or up by the {move} over {horizon}, {cut}"


def _many(count: float, what: str) -> str:
    return f"{count:g} {what}{'s' if count != 1 else ''}"
