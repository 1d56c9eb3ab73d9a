"""The report's tables: strategies, folds, confusion and costs, each in a box that scrolls alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lob_backtest.contenders import MODEL
from lob_backtest.predictions import CLASS_NAMES
from lob_backtest.report.words import (
    MEASURES,
    NOTHING,
    Measure,
    interval,
    moment,
    number,
    significant,
    strategy_title,
    text,
)

_FOLD_MEASURES = ("accuracy", "majority_accuracy", "mcc", "ece", "brier")
_FOLD_TRADING = ("net_return", "gross_return", "max_drawdown", "sharpe", "trades", "turnover",
                 "costs_paid")  # fmt: skip


def strategies_table(report: Mapping[str, Any], measures: Sequence[Measure]) -> str:
    """One row a strategy that has these measures: the value, and below it the interval."""
    aggregate = report["aggregate"]
    rows = {MODEL: aggregate, **aggregate["baselines"]}
    head = ["", *(_head(measure) for measure in measures)]
    body = []
    for name, figures in rows.items():
        if all(figures[measure.key]["value"] is None for measure in measures):
            continue
        cells = "".join(_with_interval(figures[measure.key], measure) for measure in measures)
        own = ' class="own"' if name == MODEL else ""
        body.append(f"<tr{own}><th scope=row>{text(strategy_title(name))}</th>{cells}</tr>")
    return _table(head, body)


def folds_table(report: Mapping[str, Any]) -> str:
    """One row a fold: how well the model predicts, and its lift over the baseline."""
    baseline = report["baseline"]
    measures = [MEASURES[key] for key in _FOLD_MEASURES]
    head = ["fold", "test block, UTC", "decisions", _head(MEASURES["f1_weighted"])]
    head += [strategy_title(baseline), "lift"] if baseline is not None else []
    head += [_head(measure) for measure in measures]
    body = []
    for fold in report["folds"]:
        f1 = fold["f1_weighted"]
        cells = [_block(fold), f"{fold['n']:,}", number(f1, ".3f")]
        if baseline is not None:
            other = fold["baselines"][baseline]["f1_weighted"]
            cells += [number(other, ".3f"), number(f1 - other, "+.3f")]
        cells += [measure.text(fold[measure.key]) for measure in measures]
        body.append(f"<tr><th scope=row>{fold['fold']}</th>{_cells(cells)}</tr>")
    return _table(head, body)


def folds_trading_table(report: Mapping[str, Any]) -> str:
    """One row a fold: what the model's trades made of it, and the strategy it is held against."""
    other = report["rules"]["backtest_baseline"]
    measures = [MEASURES[key] for key in _FOLD_TRADING]
    head = ["fold", "confidence threshold", *(_head(measure) for measure in measures)]
    head.append(f"{strategy_title(other)}, net")
    body = []
    for fold in report["folds"]:
        cells = [number(fold["confidence_threshold"], "g")]
        cells += [measure.text(fold[measure.key]) for measure in measures]
        cells.append(MEASURES["net_return"].text(fold["baselines"][other]["net_return"]))
        body.append(f"<tr><th scope=row>{fold['fold']}</th>{_cells(cells)}</tr>")
    return _table(head, body)


def _block(fold: Mapping[str, Any]) -> str:
    begin, end = moment(fold["start_ns"]), moment(fold["end_ns"])
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def confusion_table(confusion: Sequence[Sequence[int]]) -> str:
    """True classes down, predicted across; a cell is shaded by its share of the true class."""
    head = ["<th scope=col>true \\ said</th>", *(f"<th scope=col>{n}</th>" for n in CLASS_NAMES)]
    body = []
    for name, row in zip(CLASS_NAMES, confusion, strict=True):
        total = max(sum(row), 1)
        cells = "".join(_shaded(count, count / total) for count in row)
        body.append(f"<tr><th scope=row>{name}<br><small>{sum(row):,}</small></th>{cells}</tr>")
    return _table(head, body, kind="confusion")


def costs_table(report: Mapping[str, Any]) -> str:
    """What each strategy paid a unit of turnover, and at which cost it breaks even."""
    costs = report["cost_sensitivity"]
    head = ["bps of turnover", "cost paid", "break-even", "multiple"]
    body = []
    for name, figures in costs["strategies"].items():
        cells = [
            NOTHING if figures[key] is None else significant(figures[key])
            for key in ("cost_bps", "break_even_bps")
        ]
        multiple = figures["break_even_multiple"]
        cells.append(NOTHING if multiple is None else f"{significant(multiple)} x")
        own = ' class="own"' if name == MODEL else ""
        title = text(strategy_title(name))
        body.append(f"<tr{own}><th scope=row>{title}</th>{_cells(cells)}</tr>")
    return _table(head, body)


def _shaded(count: int, share: float) -> str:
    return f'<td style="--share:{0.75 * share:.3f}"><b>{share:.0%}</b>{count:,}</td>'


def thresholds_table(report: Mapping[str, Any]) -> str:
    """What was fitted or chosen for each fold before its test block, and when that ended."""
    keys = ("train_start_ns", "validation_start_ns", "train_end_ns", "start_ns", "end_ns")
    stamps = [[_moment(fold.get(key)) for key in keys] for fold in report["folds"]]
    days = {stamp[:10] for row in stamps for stamp in row if stamp != NOTHING}
    if len(days) == 1:  # said once, above the column
        stamps = [[stamp[11:] or stamp for stamp in row] for row in stamps]
    first = f"{days.pop()}, fold" if len(days) == 1 else "fold"
    head = [first, "train from", "validation from", "known until", "test from", "test to",
            "without label", "purged", "label threshold, ticks"]  # fmt: skip
    body = []
    for fold, cells in zip(report["folds"], stamps, strict=True):
        cells += [
            number(fold.get(key), form)
            for key, form in (
                ("n_unlabelled", ",d"),
                ("n_purged", ",d"),
                ("label_threshold_ticks", "g"),
            )
        ]
        body.append(f"<tr><th scope=row>{fold['fold']}</th>{_cells(cells)}</tr>")
    return _table(head, body)


def _moment(time_ns: int | None) -> str:
    return NOTHING if time_ns is None else moment(time_ns)


def _head(measure: Measure) -> str:
    return f'<th scope=col title="{text(measure.help)}">{text(measure.title)}</th>'


def _with_interval(figure: Mapping[str, Any], measure: Measure) -> str:
    between = interval(figure, measure.form)
    small = f"<small>{between}</small>" if between else ""
    return f"<td>{measure.text(figure['value'])}{small}</td>"


def _cells(values: Iterable[str]) -> str:
    return "".join(f"<td>{text(value)}</td>" for value in values)


def _table(head: Sequence[str], body: Sequence[str], *, kind: str = "") -> str:
    cells = "".join(
        cell if cell.startswith("<th") else f"<th scope=col>{text(cell)}</th>" for cell in head
    )
    named = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll" tabindex="0"><table{named}><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
