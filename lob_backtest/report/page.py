"""The report's page, made from report.json alone: it needs nothing else, not even a network.

Parts whose figures the report lacks are left out, so that older and partial reports have a page.
"""

import re
from collections.abc import Mapping
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.report import detail, tables
from lob_backtest.report.caveats import limits_of
from lob_backtest.report.doubts import doubts
from lob_backtest.report.elements import card, columns, figure, folded, listed, note, section
from lob_backtest.report.facts import facts
from lob_backtest.report.luck import luck
from lob_backtest.report.plots import drawing, money
from lob_backtest.report.style import STYLE
from lob_backtest.report.verdict import (
    alarms,
    gates,
    header,
    tiles,
    title_of,
    verdict_and_alarms,
)
from lob_backtest.report.words import (
    CLASSIFICATION,
    TRADING,
    alarm_title,
    significant,
    strategy_title,
    text,
)

_MANY_FOLDS = 20
_ACTIVITY = ("trades", "hit_rate", "turnover", "costs_paid")


def report_page(report: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    sections = [
        section("gates", "Gates", "Limits that were written down before the run. A required gate "
                "that fails, or cannot be judged, fails the verdict.", gates(report)),
        section("doubts", "What a sceptic asks", "", doubts(report)),
        section("alarms", "Leak alarms", "Attempts to show, on the result's own data, that it is "
                "too good to be true.", _alarms(report)),
        _money(report),
        _costs(report),
        _prediction(report),
        _folds(report),
        section("luck", "Skill or luck", "", luck(report)),
        section("slices", "Where it is right and where it earns", "Points are the model's accuracy "
                "with 95 % intervals that count overlapping labels once, upright lines what always "
                "saying the most frequent class would reach, bars the net return of the trades "
                "that followed. Regimes are told by what was known at the decision; where one ends "
                "and the next begins was found afterwards and describes these test decisions.",
                detail.slices(report)),
        section("trades", "Trades", "A trade is a round trip, flat to flat or to the opposite "
                "side. Prices are those paid, costs are what they lost against the mid-price, and "
                "fees.", detail.trades(report)),
        section("instruments", "Instruments", "", card(tables.instruments_table(report))),
        _aggregate(report),
        section("labels", "Labels", "What was to be predicted in the test blocks.",
                detail.labels(report)),
        section("data", "Data and provenance", "", card(facts(report))),
        section("limits", "What this does not show", "", card(listed(limits_of(report)))),
    ]  # fmt: skip
    return document(
        f"{title_of(report)}: {report['verdict']}",
        [header(report), verdict_and_alarms(report), tiles(report), contents(sections), *sections],
        footer="Made by lob-backtest from report.json.",
    )


def document(title: str, parts: list[str], *, footer: str) -> str:
    """A page of its own around its parts."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n<footer>{text(footer)}</footer>\n</main>\n</body>\n</html>\n"
    )


def contents(sections: list[str]) -> str:
    """Links to the parts that the page has."""
    links = []
    for part in sections:
        found = re.match(r'<section id="([a-z]+)"><h2>(.*?)</h2>', part)
        if found:
            links.append(f'<li><a href="#{found[1]}">{found[2]}</a></li>')
    return f'<nav aria-label="Contents"><ul>{"".join(links)}</ul></nav>'


def _money(report: Mapping[str, Any]) -> str:
    legend = "".join(
        f'<li><i{" class=dashed" if dashed else ""} style="border-color:var(--{variable})"></i>'
        f"{text(title)}</li>"
        for title, variable, dashed in money.legend(report)
    )
    drawn = columns(
        figure(drawing(report, "equity"), "Equity after costs. Time runs in trading bars, so that "
               "nights and gaps take no room."),
        figure(drawing(report, "drawdown"), "Fall of equity below its running peak: the model, and "
               "what it is held against."),
    )  # fmt: skip
    words = (
        "The same signal rule, costs and latency for every model; positions end flat in each fold."
    )
    body = f'<ul class="legend">{legend}</ul>{drawn}' if drawn else ""
    return section("equity", "Equity and drawdown", words, body)


def _costs(report: Mapping[str, Any]) -> str:
    costs = report.get("cost_sensitivity")
    if not costs:
        return ""
    own = costs["strategies"][MODEL]
    words = "The same trades at other costs, everything that they pay scaled alike. "
    if own["break_even_bps"] is None:
        words += (
            "The model has no break-even cost: its trades lose before any cost, or it has none."
        )
    else:
        words += (
            f"The model's trades earn up to {significant(own['break_even_bps'])} bps of turnover"
        )
        if own["break_even_multiple"] is not None:
            words += f" ({significant(own['break_even_multiple'])} times the configured cost)"
        words += "."
    validity = (report.get("backtest") or {}).get("presets_validity")
    body = listed([validity] if validity else [], kind="warnings") + columns(
        figure(drawing(report, "costs"), "The broad line is the configured cost; the diamond is "
               "where the model breaks even."),
        card(tables.costs_table(report)),
    ) + folded("Net return at every cost", card(tables.costs_levels_table(report)))  # fmt: skip
    return section("costs", "Cost sensitivity", words, body)


def _prediction(report: Mapping[str, Any]) -> str:
    confusion = report.get("confusion")
    shares = "Share of each true class, with the number of decisions."
    boxes = [
        figure(drawing(report, "reliability"), "On the dashed line, confidence is what it claims; "
               "below it the model is too sure of itself. Large points hold many decisions.",
               title="Reliability"),
        figure(drawing(report, "confidence"), "Accuracy of the decisions that are at least so "
               "confident, with its 95 % interval; below, how many they are.",
               title="Accuracy by confidence"),
        figure(drawing(report, "scores"), f"The model in every fold{_against(report)}.",
               title="Weighted F1 by fold"),
    ]  # fmt: skip
    by_confidence = detail.confidence_table(report)
    body = columns(*boxes, kind="plots three") + columns(
        figure(tables.confusion_table(confusion) if confusion else "", shares, title="Confusion"),
        card(f"<h3>Accuracy by confidence</h3>{by_confidence}" if by_confidence else ""),
    )
    words = "How good the classes and probabilities are, before any trade."
    return section("prediction", "Prediction", words, body)


def _folds(report: Mapping[str, Any]) -> str:
    boxes = [
        figure(drawing(report, "strip"), "Up: the lift reaches what is required, or the fold earns "
               "after costs. Down: worse than the baseline, or a loss. A dot is in between, or no "
               "trade.", title="How each fold ended"),
        figure(drawing(report, "folds"), "What each fold learns from, chooses by (hatched) and is "
               "tested on (full). Dotted: left out, because labels reached into the next block, or "
               "the market was closed.", title="Blocks in time"),
    ]  # fmt: skip
    figures = card(tables.folds_table(report)) + card(tables.folds_trading_table(report))
    n_folds = len(report["folds"])
    body = columns(*boxes)
    body += figures if n_folds <= _MANY_FOLDS else folded(f"Figures of {n_folds} folds", figures)
    body += folded(
        "What was known before each test block: label thresholds come from a fold's train part, "
        "confidence thresholds from its validation part alone",
        card(tables.thresholds_table(report)),
    )
    words = "Each fold is trained on what came before its test block, and judged on it once."
    if _is_combinatorial(report):
        words = "Each fold is trained on what lies around its test blocks, before and after them."
    return section("folds", "Folds", words, body)


def _alarms(report: Mapping[str, Any]) -> str:
    """All of them where one is raised, else on demand."""
    found = report.get("alarms") or []
    if not found or any(alarm["raised"] for alarm in found):
        return alarms(report)
    names = ", ".join(alarm_title(alarm).lower() for alarm in found)
    return folded(f"No alarm was raised. What was tried: {names}", alarms(report))


def _against(report: Mapping[str, Any]) -> str:
    baseline = report.get("baseline")
    if baseline is None:
        return ""
    return f"; small points are {strategy_title(baseline)}, bars what the lift requires"


def _is_combinatorial(report: Mapping[str, Any]) -> bool:
    """Whether a fold trains on what comes after its test: research, and no walk-forward."""
    for fold in report["folds"]:
        parts = [block["part"] for block in fold.get("blocks") or []]
        if "test" in parts and parts[-1] != "test":
            return True
    return False


def _aggregate(report: Mapping[str, Any]) -> str:
    how = report.get("intervals") or {}
    words = (
        "Accuracy, ECE and Brier score are over all decisions, money over all bars; F1, MCC and "
        "majority are means of the folds, by their decisions."
    )
    if how.get("level") is not None:
        words += (
            f" Below each figure its {how['level'] * 100:.0f} % interval, from "
            f"{how['n_resamples']:,} resamples of a {how['method']} over decisions (mean block "
            f"{how['mean_block_decisions']:.0f})"
        )
        if how.get("mean_block_bars") is not None:
            words += f" and clock bars (mean block {how['mean_block_bars']:.0f})"
        words += "."
    body = card(tables.strategies_table(report, CLASSIFICATION))
    if report.get("backtest"):
        activity = [measure for measure in TRADING if measure.key in _ACTIVITY]
        money = [measure for measure in TRADING if measure not in activity]
        body += card(tables.strategies_table(report, money))
        body += card(tables.strategies_table(report, activity)) + note(_trading_words(report))
    return section("figures", "All figures, with intervals", words, body)


def _trading_words(report: Mapping[str, Any]) -> str:
    backtest, annual = report["backtest"], report.get("annualisation")
    words = ""
    if annual:
        words = (
            f"Sharpe ratio: annualised with {annual['periods_per_year']:,.0f} bars a year "
            f"({annual['words']}). "
        )
    if backtest.get("trades_are"):
        words += f"{backtest['trades_are']} "
    currency = (report.get("data") or {}).get("currency", "")
    return f"{words}Returns are on a capital of {backtest['capital']:,.2f} {currency}."
