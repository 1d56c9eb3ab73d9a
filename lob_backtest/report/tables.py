"""The report's tables of figures: strategies, folds, confusion, costs, and what was known when."""

from collections.abc import Mapping, Sequence
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.report.elements import cell, cells, head, row, table
from lob_backtest.report.words import (
    MEASURES,
    NOTHING,
    Measure,
    coarse,
    interval,
    moment,
    number,
    significant,
    strategy_title,
)

_FOLD_MEASURES = ("accuracy", "majority_accuracy", "mcc", "ece", "brier")
_FOLD_TRADING = ("net_return", "gross_return", "max_drawdown", "sharpe", "trades", "hit_rate",
                 "turnover", "costs_paid")  # fmt: skip


def strategies_table(report: Mapping[str, Any], measures: Sequence[Measure]) -> str:
    """One row a strategy that has these measures: the value, and below it the interval."""
    aggregate = report["aggregate"]
    strategies = {MODEL: aggregate, **aggregate.get("baselines", {})}
    shown = [m for m in measures if any(m.key in figures for figures in strategies.values())]
    body = []
    for name, figures in strategies.items():
        found = [figures.get(measure.key) or {} for measure in shown]
        if any(figure.get("value") is not None for figure in found):
            own = "own" if name == MODEL else ""
            values = (_with_interval(f, m) for f, m in zip(found, shown, strict=True))
            body.append(row(strategy_title(name), values, kind=own))
    return table(["", *(head(measure) for measure in shown)], body) if body else ""


def folds_table(report: Mapping[str, Any]) -> str:
    """One row a fold: how well the model predicts, and its lift over the baseline."""
    baseline = report.get("baseline")
    chance = {w["fold"]: w["p_adjusted"] for w in report.get("windows") or []}
    measures = [MEASURES[key] for key in _FOLD_MEASURES]
    names = ["fold", "decisions", head(MEASURES["f1_weighted"])]
    names += [strategy_title(baseline), "lift"] if baseline is not None else []
    names += ["lift, p adjusted"] if chance else []
    names += [*(head(measure) for measure in measures), "test block, UTC"]
    body = []
    for fold in report["folds"]:
        f1 = fold["f1_weighted"]
        values = [f"{fold['n']:,}", number(f1, ".3f")]
        if baseline is not None:
            other = fold["baselines"][baseline]["f1_weighted"]
            values += [number(other, ".3f"), number(f1 - other, "+.3f")]
        if chance:
            values.append(number(chance.get(fold["fold"]), ".3f"))
        values += [measure.text(fold.get(measure.key)) for measure in measures]
        body.append(row(fold["fold"], cells([*values, _block(fold)])))
    return table(names, body)


def folds_trading_table(report: Mapping[str, Any]) -> str:
    """One row a fold: what the model's trades made of it, and the strategy it is held against."""
    if not report.get("backtest"):
        return ""
    other = (report.get("rules") or {}).get("backtest_baseline")
    measures = [MEASURES[key] for key in _FOLD_TRADING]
    names = ["fold", "confidence threshold", *(head(measure) for measure in measures)]
    names += [f"{strategy_title(other)}, net"] if other else []
    body = []
    for fold in report["folds"]:
        values = [number(fold.get("confidence_threshold"), "g")]
        values += [measure.text(fold.get(measure.key)) for measure in measures]
        if other:
            held = fold["baselines"].get(other) or {}
            values.append(MEASURES["net_return"].text(held.get("net_return")))
        body.append(row(fold["fold"], cells(values)))
    return table(names, body)


def _block(fold: Mapping[str, Any]) -> str:
    begin, end = moment(fold["start_ns"]), moment(fold["end_ns"])
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def confusion_table(confusion: Sequence[Sequence[int]]) -> str:
    """True classes down, predicted across; a cell is shaded by its share of the true class."""
    names = ["true \\ said", *CLASS_NAMES]
    body = []
    for name, counts in zip(CLASS_NAMES, confusion, strict=True):
        total = max(sum(counts), 1)
        shaded = "".join(_shaded(count, count / total) for count in counts)
        body.append(f"<tr><th scope=row>{name}<br><small>{sum(counts):,}</small></th>{shaded}</tr>")
    return table(names, body, kind="confusion")


def _shaded(count: int, share: float) -> str:
    return f'<td style="--share:{45 * share:.1f}%"><b>{share:.0%}</b>{count:,}</td>'


def costs_table(report: Mapping[str, Any]) -> str:
    """What each strategy paid a unit of turnover, and at which cost it breaks even."""
    costs = report["cost_sensitivity"]
    names = ["bps of turnover", "cost paid", "break-even", "multiple"]
    body = []
    for name, figures in costs["strategies"].items():
        values = [
            NOTHING if figures[key] is None else significant(figures[key])
            for key in ("cost_bps", "break_even_bps")
        ]
        multiple = figures["break_even_multiple"]
        values.append(NOTHING if multiple is None else f"{significant(multiple)} x")
        own = "own" if name == MODEL else ""
        body.append(row(strategy_title(name), cells(values), kind=own))
    return table(names, body)


def costs_levels_table(report: Mapping[str, Any]) -> str:
    """Net return of every strategy at every multiple of the cost: the plot's figures."""
    costs = report["cost_sensitivity"]
    names = ["net return at", *(f"{multiple:g} x" for multiple in costs["multiples"])]
    body = [
        row(
            strategy_title(name),
            cells(number(value, "+.2%") for value in figures["net_return"]),
            kind="own" if name == MODEL else "",
        )
        for name, figures in costs["strategies"].items()
    ]
    return table(names, body)


def thresholds_table(report: Mapping[str, Any]) -> str:
    """What was fitted or chosen for each fold before its test block, and when that ended."""
    keys = ("train_start_ns", "validation_start_ns", "train_end_ns", "start_ns", "end_ns")
    stamps = [[_moment(fold.get(key)) for key in keys] for fold in report["folds"]]
    days = {stamp[:10] for stamps_of in stamps for stamp in stamps_of if stamp != NOTHING}
    if len(days) == 1:  # said once, above the column
        stamps = [[stamp[11:] or stamp for stamp in stamps_of] for stamps_of in stamps]
    first = f"{days.pop()}, fold" if len(days) == 1 else "fold"
    names = [first, "train from", "validation from", "known until", "test from", "test to",
             "without label", "purged", "label threshold, ticks"]  # fmt: skip
    forms = (("n_unlabelled", ",d"), ("n_purged", ",d"), ("label_threshold_ticks", "g"))
    body = []
    for fold, stamps_of in zip(report["folds"], stamps, strict=True):
        values = [*stamps_of, *(number(fold.get(key), form) for key, form in forms)]
        body.append(row(fold["fold"], cells(values)))
    return table(names, body)


def instruments_table(report: Mapping[str, Any]) -> str:
    """One row an instrument, where there are several."""
    found = report.get("instruments") or {}
    if len(found) < 2:
        return ""
    keys = [key for key in MEASURES if any(key in figures for figures in found.values())]
    names = ["instrument", "decisions", *(head(MEASURES[key]) for key in keys)]
    body = []
    for name, figures in found.items():
        values = [number(figures.get("n"), ",d")]
        values += [MEASURES[key].text(_value(figures.get(key))) for key in keys]
        body.append(row(name, cells(values)))
    return table(names, body)


def _value(figure: Any) -> float | None:
    """A figure, bare or with its interval."""
    return figure.get("value") if isinstance(figure, Mapping) else figure


def _moment(time_ns: int | None) -> str:
    return NOTHING if time_ns is None else moment(time_ns)


def _with_interval(figure: Mapping[str, Any], measure: Measure) -> str:
    value = figure.get("value")
    form = coarse(measure.form, figure.get("low"), figure.get("high"))
    between = interval(figure, measure.form) if value is not None else ""
    return cell(number(value, form), between)
