"""What a reader sees first: verdict, leak alarms, the main figures, and every gate."""

from collections.abc import Mapping, Sequence
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.report.elements import listed
from lob_backtest.report.words import (
    GATE_FORMS,
    GATE_TITLES,
    NOTHING,
    alarm_title,
    coarse,
    interval,
    many,
    moment,
    number,
    sentence,
    significant,
    strategy_title,
    text,
    told_apart,
)

Tile = tuple[str, str, str]


def header(report: Mapping[str, Any]) -> str:
    """The question, and how much was tested."""
    folds = report["folds"]
    title = f"{title_of(report)}: is the model worth trading?"
    decisions = sum(fold["n"] for fold in folds)
    words = f"{many(len(folds), 'test fold')} with {many(decisions, 'labelled decision')}"
    if folds:
        words += f", {moment(folds[0]['start_ns'])} to {moment(folds[-1]['end_ns'])} UTC"
    return f"<header><h1>{text(title)}</h1><p>{text(words)}</p></header>"


def title_of(report: Mapping[str, Any]) -> str:
    """What was judged on."""
    many_instruments = report.get("instruments") or {}
    if len(many_instruments) > 1:
        return f"{len(many_instruments)} instruments"
    return str((report.get("data") or {}).get("instrument", "Walk-forward"))


def verdict_and_alarms(report: Mapping[str, Any]) -> str:
    """The verdict, and beside it what the leak alarms say: as loud, where one is raised."""
    return f'<div class="first">{verdict_box(report)}{_alarms(report)}</div>'


def verdict_box(report: Mapping[str, Any]) -> str:
    """The verdict, with the gates that stand against it."""
    required = [gate for gate in report["gates"] if gate["required"]]
    failed = [f"\u201c{_gate_title(gate)}\u201d" for gate in required if not gate["passed"]]
    passed = report["verdict"] == "pass"
    if passed:
        words = f"All {len(required)} required gates passed."
    elif not required:
        words = "No required gate was judged, so nothing was shown."
    elif not failed:
        words = f"The {len(required)} required gates passed, but a leak alarm was raised."
    else:
        words = (f"{len(failed)} of {len(required)} required gates did not pass: "
                 f"{', '.join(failed)}.")  # fmt: skip
    left_out = [gate["name"] for gate in report["gates"] if gate["passed"] is None]
    if left_out:
        words += f" Not judged: {', '.join(left_out)}."
    kind, shown = ("good", "PASS") if passed else ("bad", "FAIL")
    return f'<div class="verdict {kind}"><strong>{shown}</strong><p>{text(words)}</p></div>'


def _alarms(report: Mapping[str, Any]) -> str:
    alarms = report.get("alarms")
    if not alarms:
        return (
            '<div class="verdict quiet"><strong>Leak alarms: not run</strong><p>Nothing here says '
            "that the model did not see the future. Run the alarms with <code>lob-backtest score "
            "--check</code>.</p></div>"
        )
    raised = [alarm for alarm in alarms if alarm["raised"]]
    unknown = [alarm for alarm in alarms if alarm["raised"] is None]
    if raised:
        points = listed(f"{alarm_title(a)}: {sentence(a['reason'])}" for a in raised)
        return (
            f'<div class="verdict bad"><strong>\u26a0 LEAK ALARM</strong><p>{len(raised)} of '
            f"{len(alarms)} raised: the figures of this page cannot be trusted.</p>{points}</div>"
        )
    words = f"{len(alarms) - len(unknown)} of {len(alarms)} were tried, none was raised."
    if unknown:
        words += f" Not tried: {', '.join(alarm_title(a).lower() for a in unknown)}."
    kind = "good" if len(unknown) < len(alarms) else "quiet"
    return (
        f'<div class="verdict {kind}"><strong>Leak alarms: silent</strong>'
        f"<p>{text(words)}</p></div>"
    )


def tiles(report: Mapping[str, Any]) -> str:
    """The main figures, each with its interval."""
    return tile_boxes(_tiles(report))


def tile_boxes(found: Sequence[Tile]) -> str:
    """Figures in boxes beside each other: a name, the value, and small print."""
    items = "".join(
        f'<div class="card tile"><dt>{text(name)}</dt><dd>{text(value)}<small>{text(small)}</small>'
        "</dd></div>"
        for name, value, small in found
    )
    return f'<dl class="tiles">{items}</dl>'


def _tiles(report: Mapping[str, Any]) -> list[Tile]:
    aggregate, baseline = report["aggregate"], report.get("baseline")
    f1_notes = [interval(aggregate.get("f1_weighted") or {}, ".3f")]
    if baseline is not None:
        other = aggregate["baselines"][baseline]["f1_weighted"]["value"]
        f1_notes.append(f"{strategy_title(baseline)} {number(other, '.3f')}")
    majority = (aggregate.get("majority_accuracy") or {}).get("value")
    accuracy_notes = [interval(aggregate.get("accuracy") or {}, ".3f"),
                      "" if majority is None else f"majority class {majority:.3f}"]  # fmt: skip
    found = [
        _tile(aggregate, "f1_weighted", "weighted F1", ".3f", f1_notes),
        _tile(aggregate, "accuracy", "accuracy", ".3f", accuracy_notes),
    ]
    if report.get("backtest"):
        found += _trading_tiles(report)
    return [tile for tile in found if tile is not None]


def _trading_tiles(report: Mapping[str, Any]) -> list[Tile | None]:
    aggregate, backtest = report["aggregate"], report["backtest"]
    net, sharpe = aggregate.get("net_return") or {}, aggregate.get("sharpe") or {}
    gross = (aggregate.get("gross_return") or {}).get("value")
    trades = (aggregate.get("trades") or {}).get("value")
    form = coarse("+.3%", net.get("low"), net.get("high"))
    bars = f"annualised from {backtest['bars']:,} bars of {backtest['bar_seconds']:g} s"
    return [
        _tile(aggregate, "net_return", "net return", "+.3%",
              [interval(net, "+.3%"), f"before costs {number(gross, form)}"]),
        _tile(aggregate, "max_drawdown", "max drawdown", ".2%",
              [interval(aggregate.get("max_drawdown") or {}, ".2%"),
               f"after costs, {number(trades, ',.0f')} trades"]),
        _tile(aggregate, "sharpe", "Sharpe ratio", "+.1f", [interval(sharpe, "+.1f"), bars]),
        _break_even_tile(report),
    ]  # fmt: skip


def _break_even_tile(report: Mapping[str, Any]) -> Tile | None:
    if not report.get("cost_sensitivity"):
        return None
    own = report["cost_sensitivity"]["strategies"][MODEL]
    bps, paid = own["break_even_bps"], own["cost_bps"]
    if bps is None:
        words = "never traded" if paid is None else f"loses before costs; paid {significant(paid)}"
        return ("break-even cost", NOTHING, words)
    words = "of turnover" + ("" if paid is None else f"; paid {significant(paid)} bps")
    return ("break-even cost", f"{significant(bps)} bps", words)


def _tile(
    aggregate: Mapping[str, Any], key: str, name: str, form: str, notes: Sequence[str]
) -> Tile | None:
    found = aggregate.get(key)
    if not found:
        return None
    form = coarse(form, found.get("low"), found.get("high"))
    return (name, number(found["value"], form), "; ".join(words for words in notes if words))


def alarms(report: Mapping[str, Any]) -> str:
    """Every leak alarm: outcome, value, limit and reason."""
    marks = {
        True: ("bad", "\u26a0 raised"),
        False: ("good", "\u2713 silent"),
        None: ("quiet", "not tried"),
    }
    items = ""
    for alarm in report.get("alarms") or []:
        kind, mark = marks[alarm["raised"]]
        figure = ""
        if alarm.get("value") is not None and alarm.get("limit") is not None:
            form = ".3f" if abs(alarm["limit"]) < 100 else ",.0f"
            value, limit = told_apart(alarm["value"], alarm["limit"], form)
            figure = f"<b>{value}</b> <span>limit {limit}</span>"
        items += _item(kind, mark, alarm_title(alarm), alarm["name"], figure,
                       alarm["reason"])  # fmt: skip
    return f'<ul class="gates">{items}</ul>' if items else ""


def gates(report: Mapping[str, Any]) -> str:
    """Every gate: outcome, value, limit and reason."""
    return f'<ul class="gates">{"".join(_gate(gate) for gate in report["gates"])}</ul>'


def _gate(gate: Mapping[str, Any]) -> str:
    kind, mark = {
        True: ("good", "\u2713 passed"),
        False: ("bad", "\u2717 failed"),
        None: ("quiet", "not judged"),
    }[gate["passed"]]
    if gate["passed"] is False and not gate["required"]:
        kind = "quiet"
    if gate["passed"] is False and gate["value"] is None:
        mark = "\u2717 not shown"
    what, form, how = GATE_FORMS.get(gate["name"], ("value", ".3f", "limit"))
    figure = ""
    if gate["value"] is not None and gate["limit"] is not None:
        value, limit = told_apart(gate["value"], gate["limit"], form)
        needed = f"{how} {limit}"
        if gate["name"] == "calibration" and gate["passed"] and gate["value"] >= gate["limit"]:
            needed = f"not below {limit}; better Brier score"  # the other of its two ways
        figure = f"{what} <b>{value}</b> <span>{needed}</span>"
    elif gate["limit"] is not None:
        figure = f"<span>{what} {how} {number(gate['limit'], form)}</span>"
    name = gate["name"] + ("" if gate["required"] or gate["passed"] is None else ", optional")
    return _item(kind, mark, _gate_title(gate), name, figure, gate["reason"])


def _item(kind: str, mark: str, title: str, name: str, figure: str, reason: str) -> str:
    return (
        f'<li class="card gate {kind}"><span class="badge">{mark}</span>'
        f"<h3>{text(title)} <code>{text(name)}</code></h3>"
        f'<div class="figure">{figure}</div><p>{text(sentence(reason))}</p></li>'
    )


def _gate_title(gate: Mapping[str, Any]) -> str:
    name = str(gate["name"])
    return GATE_TITLES.get(name, name.replace("_", " ").capitalize())
