"""What the figures were computed on and how: the page's list of facts."""

import json
from collections.abc import Mapping
from typing import Any

from lob_backtest.report.elements import facts_list, folded
from lob_backtest.report.words import duration, many, moment, text


def facts(report: Mapping[str, Any]) -> str:
    """Names and values of the data and the rules, and the provenance as it is."""
    data, backtest = report.get("data") or {}, report.get("backtest")
    rows: list[tuple[str, object]] = _data(data) if data else []
    if report.get("label"):
        rows.append(("decisions", _decisions(report["label"])))
        rows.append(("label", _label(report["label"]["label"])))
    if backtest:
        rows += _trading(backtest)
    provenance = report.get("provenance") or {}
    rows += [(key, provenance[key]) for key in ("name", "command", "seed") if key in provenance]
    return facts_list(rows) + _raw(provenance)


def _data(data: Mapping[str, Any]) -> list[tuple[str, object]]:
    span = duration(data["end_ns"] - data["start_ns"])
    named = [("instrument", data["instrument"]), ("source", data["source"])]
    books = [("book", _book(data, data["currency"]))]
    if data.get("books"):
        named = [("instruments", data["instrument"])]
        books = [
            (f"book of {book['instrument']}", f"{_book(book, data['currency'])}; {book['source']}")
            for book in data["books"]
        ]
    time = f"{moment(data['start_ns'])} to {moment(data['end_ns'])} UTC ({span}) in "
    return [*named, *books, ("time", time + many(data["sessions"], "session"))]


def _book(book: Mapping[str, Any], currency: str) -> str:
    levels, tick = many(book["levels"], "level"), f"{book['tick_size']:g} {currency}"
    return f"{book['rows']:,} rows of {levels}, tick {tick}"


def _trading(backtest: Mapping[str, Any]) -> list[tuple[str, object]]:
    execution = backtest.get("execution")
    found: list[tuple[str, object]] = [
        ("costs", _costs(backtest["costs"])),
        ("latency", _latency(backtest["latency_ns"])),
        ("position", f"at most {many(backtest['position_limit'], 'unit')}, held for "
                     f"{many(backtest['hold_decisions'], 'decision')}"),
        ("bars", f"{backtest['bars']:,} of {backtest['bar_seconds']:g} s"),
    ]  # fmt: skip
    return found if execution is None else [("execution", _EXECUTION[execution]), *found]


def _costs(costs: Any) -> str:
    """What a trade pays, as far as the config names it."""
    if costs == "none":
        return "none: mid-price, no fee"
    if not isinstance(costs, Mapping):
        return str(costs)
    named = {name: value for name, value in costs.items() if value is not None}
    preset = named.pop("preset", None)
    words = [f"preset {preset}"] if preset else []
    words += [_COSTS.get(name, f"{name} {{}}").format(f"{v:g}") for name, v in named.items()]
    return f"what the fill loses against the mid-price, and {', '.join(words)}"


def _latency(latency: Any) -> str:
    if isinstance(latency, Mapping):
        return (
            f"drawn, {duration(latency['median_ns'])} median, "
            f"{duration(latency['p99_ns'])} in one of a hundred"
        )
    return duration(latency) if latency else "none"


_COSTS = {
    "fee_bps": "a fee of {} bps a side",
    "maker_fee_bps": "{} bps where the order rested",
    "fee_per_unit": "{} a unit",
    "maker_fee_per_unit": "{} a unit where the order rested",
    "minimum_fee": "at least {} an order",
    "sell_tax_bps": "{} bps tax on sales",
    "sell_fee_per_unit": "{} a unit sold",
    "discount": "the commission times {}",
}
_EXECUTION = {
    "touch": "whole at the best price, whatever stands there",
    "walk": "at the price of every level that the order's size reaches",
    "passive": "resting at the best price of its own side, filled when traded through",
}


def _raw(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return ""
    shown = json.dumps(provenance, indent=2, ensure_ascii=False)
    return folded("Full provenance", f"<pre>{text(shown)}</pre>")


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
    horizon = (
        f"{label['horizon_events']:,} rows"
        if label["horizon_ms"] is None
        else f"{label['horizon_ms'] / 1000:g} s"
    )
    if label["kind"] == "triple_barrier":
        return (
            f"the barrier that the mid-price touches first, {label['barrier_volatilities']:g} "
            f"volatilities away, within {horizon}; flat where it touches none"
        )
    if label["kind"] == "executable":
        return f"up or down where a trade over {horizon} earns more than it costs, else flat"
    move = _MOVES.get(label["kind"], "mid-price")
    cut = (
        f"cut so that train is as near to {label['flat_share']:.0%} flat as ticks allow"
        if label["threshold_ticks"] is None
        else f"cut at {label['threshold_ticks']:g} ticks"
    )
    return f"down, flat or up by the {move} over {horizon}, {cut}"


_MOVES = {
    "smoothed": "mean mid-price after the decision against that before it",
    "smoothed_forward": "mean mid-price after the decision against that at it",
}
