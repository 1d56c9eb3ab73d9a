"""The report's page, made from report.json alone: it needs nothing else, not even a network."""

import re
from collections.abc import Mapping
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.report import plots, tables
from lob_backtest.report.caveats import limits_of
from lob_backtest.report.facts import facts
from lob_backtest.report.style import STYLE
from lob_backtest.report.words import (
    CLASSIFICATION,
    GATE_FORMS,
    GATE_TITLES,
    NOTHING,
    TRADING,
    interval,
    moment,
    number,
    significant,
    strategy_title,
    text,
    told_apart,
)


def report_page(report: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    traded = report["backtest"] is not None
    sections = [
        _header(report),
        _verdict(report),
        _tiles(report),
        _section("Gates", "Limits that were written down before the run. A required gate that "
                 "fails, or cannot be judged, fails the verdict.", _gates(report)),
        _money(report) if traded else "",
        _prediction(report),
        _section("Folds", "Each fold is trained on what came before its test block, and judged on "
                 "it once.", _folds(report, traded)),
        _aggregate(report),
        _costs(report) if traded else "",
        _section("What was known before each test block", "Label thresholds come from a fold's "
                 "train part, confidence thresholds from its validation part alone.",
                 _card(tables.thresholds_table(report))),
        _section("Data and provenance", "", _card(facts(report))),
        _section("What this does not show", "", _card(_list(limits_of(report)))),
    ]  # fmt: skip
    title = f"{report['data']['instrument']}: {report['verdict']}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n<footer>Made by lob-backtest from report.json.</footer>\n</main>\n</body>\n</html>\n"
    )


def _header(report: Mapping[str, Any]) -> str:
    data, folds = report["data"], report["folds"]
    decisions = sum(fold["n"] for fold in folds)
    span = f"{moment(folds[0]['start_ns'])} to {moment(folds[-1]['end_ns'])} UTC"
    plural = "s" if len(folds) != 1 else ""
    return (
        f"<header><h1>{text(data['instrument'])}: is the model worth trading?</h1>"
        f"<p>{len(folds)} test fold{plural} with {decisions:,} labelled decisions, {span}</p>"
        "</header>"
    )


def _verdict(report: Mapping[str, Any]) -> str:
    required = [gate for gate in report["gates"] if gate["required"]]
    failed = [f"\u201c{GATE_TITLES[gate['name']]}\u201d" for gate in required if not gate["passed"]]
    passed = report["verdict"] == "pass"
    if passed:
        words = f"All {len(required)} required gates passed."
    elif not required:
        words = "No required gate was judged, so nothing was shown."
    else:
        words = (f"{len(failed)} of {len(required)} required gates did not pass: "
                 f"{', '.join(failed)}.")  # fmt: skip
    left_out = [gate["name"] for gate in report["gates"] if gate["passed"] is None]
    if left_out:
        words += f" Not judged: {', '.join(left_out)}."
    kind, shown = ("good", "PASS") if passed else ("bad", "FAIL")
    return f'<div class="verdict {kind}"><strong>{shown}</strong><p>{text(words)}</p></div>'


def _tiles(report: Mapping[str, Any]) -> str:
    aggregate, baseline = report["aggregate"], report["baseline"]
    f1 = aggregate["f1_weighted"]
    small = interval(f1, ".3f")
    if baseline is not None:
        other = aggregate["baselines"][baseline]["f1_weighted"]["value"]
        small += f"; {strategy_title(baseline)} {number(other, '.3f')}"
    accuracy = aggregate["accuracy"]
    majority = number(aggregate["majority_accuracy"]["value"], ".3f")
    tiles = [
        ("weighted F1", number(f1["value"], ".3f"), small),
        ("accuracy", number(accuracy["value"], ".3f"), f"majority class {majority}"),
    ]
    if report["backtest"] is not None:
        tiles += _trading_tiles(report)
    items = "".join(
        f'<div class="card tile"><dt>{text(name)}</dt><dd>{text(value)}<small>{text(note)}</small>'
        "</dd></div>"
        for name, value, note in tiles
    )
    return f'<dl class="tiles">{items}</dl>'


def _trading_tiles(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    aggregate = report["aggregate"]
    gross = number(aggregate["gross_return"]["value"], "+.3%")
    costs = report["cost_sensitivity"]["strategies"][MODEL]
    bps, paid = costs["break_even_bps"], costs["cost_bps"]
    trades = aggregate["trades"]["value"]
    return [
        ("net return", number(aggregate["net_return"]["value"], "+.3%"),
         f"{interval(aggregate['net_return'], '+.3%')}; gross {gross}"),
        ("max drawdown", number(aggregate["max_drawdown"]["value"], ".3%"),
         f"after costs, {trades:,.0f} trades"),
        ("Sharpe ratio", number(aggregate["sharpe"]["value"], "+.1f"),
         f"{interval(aggregate['sharpe'], '+.1f')}; annualised from {report['backtest']['bars']:,} "
         f"bars of {report['backtest']['bar_seconds']:g} s"),
        ("break-even cost", NOTHING if bps is None else f"{significant(bps)} bps",
         "never earned before costs" if paid is None and bps is None
         else f"of turnover; paid {NOTHING if paid is None else significant(paid)} bps"),
    ]  # fmt: skip


def _gates(report: Mapping[str, Any]) -> str:
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
    what, form, how = GATE_FORMS[gate["name"]]
    figure = ""
    if gate["value"] is not None:
        value, limit = told_apart(gate["value"], gate["limit"], form)
        figure = f"{what} <b>{value}</b> <span>{how} {limit}</span>"
    elif gate["limit"] is not None:
        figure = f"<span>{what} {how} {number(gate['limit'], form)}</span>"
    name = gate["name"] + ("" if gate["required"] or gate["passed"] is None else ", optional")
    return (
        f'<li class="card gate {kind}"><span class="badge">{mark}</span>'
        f"<h3>{GATE_TITLES[gate['name']]} <code>{name}</code></h3>"
        f'<div class="figure">{figure}</div><p>{_sentence(gate["reason"])}</p></li>'
    )


def _money(report: Mapping[str, Any]) -> str:
    legend = "".join(
        f'<li><i style="border-color:var(--{variable})"></i>{text(title)}</li>'
        for title, variable in plots.legend(report)
    )
    drawn = _plots(
        (plots.equity_plot(report), "Equity after costs. Time runs in trading bars, so that nights "
         "and gaps take no room."),
        (plots.drawdown_plot(report), "Fall of equity below its running peak: the model, and what "
         "it is held against."),
    )  # fmt: skip
    words = (
        "The same signal rule, costs and latency for every model; positions end flat in each fold."
    )
    return _section("Equity and drawdown", words, f'<ul class="legend">{legend}</ul>{drawn}')


def _prediction(report: Mapping[str, Any]) -> str:
    baseline = report["baseline"]
    against = "" if baseline is None else (
        f"; the small points are {strategy_title(baseline)}, the bars what the lift requires"
    )  # fmt: skip
    confusion = (
        f'<figure class="card"><h3>Confusion</h3>{tables.confusion_table(report["confusion"])}'
        "<figcaption>Share of each true class, with the number of decisions.</figcaption></figure>"
    )
    drawn = _plots(
        (plots.folds_plot(report), f"The model in every fold{against}."),
        (plots.reliability_plot(report), "On the dashed line, confidence is what it claims; below "
         "it the model is too sure of itself. Large points hold many decisions."),
        extra=confusion,
        kind="plots three",
    )  # fmt: skip
    return _section("Prediction", "How good the classes and probabilities are, before any trade.",
                    drawn)  # fmt: skip


def _folds(report: Mapping[str, Any], traded: bool) -> str:
    body = _card(tables.folds_table(report))
    return body + _card(tables.folds_trading_table(report)) if traded else body


def _aggregate(report: Mapping[str, Any]) -> str:
    how = report["intervals"]
    words = (
        "Accuracy, ECE and Brier score are over all decisions, money over all bars; F1, MCC and "
        "majority are means of the folds, by their decisions. Below each figure its "
        f"{how['level']:.0%} interval, from {how['n_resamples']:,} resamples of a {how['method']} "
        f"over decisions (mean block {how['mean_block_decisions']:.0f})"
    )
    if how["mean_block_bars"] is not None:
        words += f" and clock bars (mean block {how['mean_block_bars']:.0f})"
    body = _card(tables.strategies_table(report, CLASSIFICATION))
    if report["backtest"] is not None:
        annual = report["annualisation"]
        body += (
            f"{_card(tables.strategies_table(report, TRADING))}"
            f'<p class="note">Sharpe ratio: annualised with {annual["periods_per_year"]:,.0f} bars '
            f"a year ({text(annual['words'])}). {text(_trades_words(report))}</p>"
        )
    return _section("All folds, with intervals", words + ".", body)


def _trades_words(report: Mapping[str, Any]) -> str:
    backtest = report["backtest"]
    return (
        f"{backtest['trades_are']} Returns are on a capital of {backtest['capital']:,.2f} "
        f"{report['data']['currency']}."
    )


def _costs(report: Mapping[str, Any]) -> str:
    costs = report["cost_sensitivity"]
    own = costs["strategies"][MODEL]
    words = "The same trades at other costs: half-spread and fee both scaled. "
    if own["break_even_bps"] is None:
        words += (
            "The model has no break-even cost: its trades lose before any cost, or it has none."
        )
    else:
        words += (
            f"The model's trades earn up to {significant(own['break_even_bps'])} bps of turnover "
        )
        if own["break_even_multiple"] is not None:
            words += f"({significant(own['break_even_multiple'])} times the configured cost)"
    drawn = _plots(
        (plots.cost_plot(report), "The broad line is the configured cost; the diamond is where the "
         "model breaks even."),
        extra=_card(tables.costs_table(report)),
    )  # fmt: skip
    return _section("Cost sensitivity", words.rstrip(". ") + ".", drawn)


def _plots(*drawn: tuple[str, str], extra: str = "", kind: str = "plots") -> str:
    figures = "".join(
        f'<figure class="card">{svg}<figcaption>{text(caption)}</figcaption></figure>'
        for svg, caption in drawn
    )
    return f'<div class="{kind}">{figures}{extra}</div>'


def _section(title: str, words: str, body: str) -> str:
    intro = f"<p>{text(words)}</p>" if words else ""
    return f"<section><h2>{text(title)}</h2>{intro}{body}</section>"


def _card(body: str) -> str:
    return f'<div class="card">{body}</div>'


def _list(items: list[str]) -> str:
    return f'<ul class="limits">{"".join(f"<li>{text(item)}</li>" for item in items)}</ul>'


def _sentence(reason: str) -> str:
    whole = re.sub(r"(?<![\w-])-(?=\d)", "\u2212", reason[:1].upper() + reason[1:])
    return text(whole if whole.endswith(".") else whole + ".")
