"""Where and when the model is right and where it earns: slices, trades, and labels."""

import math
from collections.abc import Mapping
from typing import Any

from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.report.elements import (
    card,
    cell,
    columns,
    facts_list,
    figure,
    folded,
    listed,
    note,
    row,
    table,
)
from lob_backtest.report.plots import drawing
from lob_backtest.report.words import (
    NOTHING,
    SLICE_TITLES,
    duration,
    many,
    moment,
    number,
    significant,
)

_ENDS = 5


def slices(report: Mapping[str, Any]) -> str:
    """A plot a kind of slices, and the figures behind it."""
    found = report.get("slices") or {}
    words = found.get("words") or {}
    plots, tables, alone = [], [], []
    for kind, title in SLICE_TITLES.items():
        if len(found.get(kind) or []) > 1:
            caption = words.get(kind, "")
            plots.append(figure(drawing(report, f"slices_{kind}"), caption, title=title))
        elif found.get(kind):
            alone.append(f"{title}: all decisions are in one slice, {found[kind][0]['name']}.")
        if found.get(kind):
            tables.append(f"<h3>{title}</h3>{_slices_table(found[kind])}")
    body = columns(*plots) + note(" ".join(alone))
    return body + folded("Figures of every slice", card("".join(tables)))


def _slices_table(rows: list[Mapping[str, Any]]) -> str:
    names = ["slice", "decisions", "accuracy", "majority", "F1 weighted", "MCC",
             *(f"{name} labels" for name in CLASS_NAMES), "net return", "trades"]  # fmt: skip
    body = []
    for each in rows:
        accuracy = cell(
            number(each.get("accuracy"), ".3f"),
            _between(each.get("accuracy_low"), each.get("accuracy_high"), ".2f"),
        )
        figures = [
            number(each.get("majority_accuracy"), ".3f"),
            number(each.get("f1_weighted"), ".3f"),
            number(each.get("mcc"), "+.3f"),
            *(number(each.get(f"{name}_share"), ".0%") for name in CLASS_NAMES),
            number(each.get("net_return"), "+.2%"),
            number(each.get("trades"), ",d"),
        ]
        found = [cell(f"{each['n']:,}"), accuracy, *(cell(value) for value in figures)]
        body.append(row(each["name"], found))
    return table(names, body)


def confidence_table(report: Mapping[str, Any]) -> str:
    """How many decisions reach each confidence, and how many of them are right."""
    rows = report.get("confidence") or []
    body = []
    for each in rows:
        share = number(each["share"], ".0%" if each["share"] >= 0.1 else ".1%")
        between = _between(each.get("low"), each.get("high"), ".2f")
        found = [cell(f"{each['n']:,}"), cell(share), cell(number(each["accuracy"], ".3f"))]
        found.append(cell(between))
        few = "faint" if each["n"] < 30 else ""  # too few to be read
        body.append(row(f"{each['threshold']:.2f}", found, kind=few))
    return (
        table(["from", "decisions", "share", "accuracy", "95 % interval"], body, kind="tight")
        if body
        else ""
    )


def _between(low: float | None, high: float | None, form: str) -> str:
    if low is None or high is None:
        return ""
    return f"{number(low, form)} to {number(high, form)}"


def trades(report: Mapping[str, Any]) -> str:
    """What the trades are like, the best and the worst of them, and a sample of the others."""
    found = report.get("trades") or {}
    rows, n = found.get("rows") or [], found.get("n")
    if not rows or n is None:
        return ""
    several = len({each.get("instrument") for each in rows}) > 1
    ranked = sorted(rows, key=lambda each: -each["net_pnl"])
    ends = ranked if len(rows) <= 2 * _ENDS else [*ranked[:_ENDS], *ranked[-_ENDS:]]
    title = "best and worst" if len(ends) < len(rows) else "all of them"
    tick = (report.get("data") or {}).get("tick_size")
    body = card(f"<h3>What they are like</h3>{facts_list(_summary(report), two=True)}")
    body += card(f"<h3>{title.capitalize()}</h3>{_trades_table(ends, several, tick)}")
    if len(ends) < len(rows):
        words = f"{len(rows)} of {n:,} trades: best, worst, and every so many-th between"
        if n == len(rows):
            words = "All trades in time order"
        body += folded(words, card(_trades_table(rows, several, tick)))
    return body


def _summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = report["trades"].get("summary") or {}
    if not found:
        return [("trades", f"{report['trades']['n']:,}")]
    money = (report.get("data") or {}).get("currency", "")

    def amount(key: str) -> str:
        value = found.get(key)
        return NOTHING if value is None else f"{_signed(value)} {money}"

    def side(key: str) -> str:
        return f"{many(found[key]['n'], 'trade')}, {_signed(found[key]['net_pnl'])} {money}"

    factor = found.get("profit_factor")
    deviation = found.get("deviation")
    spread = "" if deviation is None else f", deviation {significant(deviation)}"
    return [
        ("trades", f"{report['trades']['n']:,}, {found['hit_rate']:.0%} of them won"),
        ("net profit", amount("net_pnl")),
        (f"without the best {found['best_left_out']}", amount("without_best")),
        ("each, on average", f"{amount('mean')} (median {_signed(found['median'])}{spread})"),
        ("won, lost on average", f"{amount('mean_win')}, {amount('mean_loss')}"),
        ("profit factor", NOTHING if factor is None else f"{significant(factor)}: won over lost"),
        ("longest losing run", many(found["longest_losing_run"], "trade")),
        ("held", f"{duration(round(found['median_seconds_held'] * 1e9))} (median)"),
        ("long", side("long")),
        ("short", side("short")),
    ]


def _trades_table(rows: list[Mapping[str, Any]], several: bool, tick: float | None) -> str:
    names = [*(["instrument"] if several else []), "opened, UTC", "net", "gross", "costs", "side",
             "size", "from", "to", "held", "fold"]  # fmt: skip
    body = []
    for each in rows:
        kind = "gain" if each["net_pnl"] > 0 else "loss"
        found = [
            cell(_signed(each["net_pnl"]), kind=kind),
            cell(_signed(each["gross_pnl"])),
            cell(significant(each["costs"])),
            cell("long" if each["side"] > 0 else "short"),
            cell(f"{abs(each['size']):g}"),
            *(cell(_price(each[key], tick)) for key in ("open_price", "close_price")),
            cell(duration(each["close_ns"] - each["open_ns"])),
            cell(each["fold"]),
        ]
        opened = moment(each["open_ns"])
        name, first = (each["instrument"], [cell(opened)]) if several else (opened, [])
        body.append(row(name, [*first, *found]))
    return table(names, body)


def _price(value: float, tick: float | None) -> str:
    """To half a tick: an order that walks the book is filled between two prices."""
    if not tick:
        return f"{value:,.10g}"
    return f"{value:,.{max(1 - math.floor(math.log10(tick)), 0)}f}"


def _signed(value: float) -> str:
    shown = significant(value)
    return f"+{shown}" if value > 0 else shown


def labels(report: Mapping[str, Any]) -> str:
    """What the labels are like, and what about them a reader should know."""
    found = report.get("label_statistics") or {}
    if not found:
        return ""
    shares = found.get("shares") or {}
    rows = [("classes", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))]
    if found.get("n") is not None:
        rows.append(("labels", f"{found['n']:,} known, {found.get('unknown') or 0:,} unknown"))
    if found.get("effective_labels") is not None:
        overlap = found.get("mean_overlap")
        words = f"{found['effective_labels']:,.0f}"
        words += "" if overlap is None else f": each overlaps with {overlap:.3g} on average"
        rows.append(("independent labels", words))
    if found.get("round_trip_ticks") is not None:
        rows.append(("cheapest round trip", f"{found['round_trip_ticks']:.3g} ticks (median)"))
    if found.get("below_round_trip_share") is not None:
        rows.append(("moves below it", f"{found['below_round_trip_share']:.0%} of the up and down "
                                       "labels"))  # fmt: skip
    warnings = listed(found.get("warnings") or [], kind="warnings")
    return card(warnings + facts_list(rows))
