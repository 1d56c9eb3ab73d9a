"""The tables of a report on texts: classes, confusion, baselines, wrong texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lob_backtest.report.elements import cell, cells, folded, head, row, table
from lob_backtest.report.words import (
    CLASSIFICATION,
    NOTHING,
    Measure,
    coarse,
    interval,
    number,
    p_text,
    strategy_title,
    text,
)

_BOOK = {measure.key: measure for measure in CLASSIFICATION}
OF_CLASSES = tuple(_BOOK[key] for key in ("accuracy", "f1_weighted", "f1_macro", "mcc"))
OF_PROBABILITIES = (
    _BOOK["ece"],
    Measure(key="mce", title="MCE", form=".3f",
            help="maximum calibration error: the worst bin's distance of confidence from accuracy; "
                 "bins of few texts make it large"),
    _BOOK["brier"],
    Measure(key="nll", title="NLL", form=".3f",
            help="negative log-likelihood of the true class; less is better"),
)  # fmt: skip
MEASURES = (*OF_CLASSES, *OF_PROBABILITIES)
MOST_IN_A_MATRIX = 12  # classes
_MOST_PAIRS, _SHOWN_ERRORS = 25, 20
_LONGEST = 400  # characters of a text


def title_of(key: str) -> str:
    """How a figure is called; one without a title keeps its own name."""
    return next((m.title for m in MEASURES if m.key == key), key.replace("_", " "))


def per_class_table(report: Mapping[str, Any]) -> str:
    """One row a class: how often it is true and said, recall, precision and F1."""
    names = ["class", "texts", "said", "recall", "precision", "F1"]
    body = []
    for each in report["per_class"]:
        found = [cell(f"{each['n']:,}"), cell(f"{each['said']:,}"), _share(each, "recall"),
                 _share(each, "precision"), cell(number(each["f1"], ".3f"))]  # fmt: skip
        body.append(row(each["label"], found))
    return table(names, body)


def confusion_table(report: Mapping[str, Any]) -> str:
    """True classes down, said across, shaded by share; of many classes what is most confused."""
    names, confusion = report["label_names"], report["confusion"]
    if len(names) > MOST_IN_A_MATRIX:
        return _confused_pairs(names, confusion)
    body = []
    for name, counts in zip(names, confusion, strict=True):
        total = max(sum(counts), 1)
        shaded = "".join(_shaded(count, count / total) for count in counts)
        first = f"{text(name)}<br><small>{sum(counts):,}</small>"
        body.append(f"<tr><th scope=row>{first}</th>{shaded}</tr>")
    heads = [f"<th scope=col>{text(name)}</th>" for name in names]
    return table(["true \\ said", *heads], body, kind="confusion")


def _shaded(count: int, share: float) -> str:
    return f'<td style="--share:{45 * share:.1f}%"><b>{share:.0%}</b>{count:,}</td>'


def _confused_pairs(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    pairs = [
        (count, i, j)
        for i, counts in enumerate(confusion)
        for j, count in enumerate(counts)
        if i != j and count
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    body = [
        row(
            names[i],
            cells([names[j], f"{count:,}", number(count / sum(confusion[i]), ".0%")]),
        )
        for count, i, j in pairs[:_MOST_PAIRS]
    ]
    return table(["true", "said", "texts", "share of the true class"], body) if body else ""


def lengths_table(report: Mapping[str, Any]) -> str:
    """Accuracy by the number of words."""
    body = [
        row(each["name"], [cell(f"{each['n']:,}"), _share(each, "accuracy"),
                           cell(number(each["confidence"], ".3f"))])
        for each in report["lengths"]
    ]  # fmt: skip
    return table(["length", "texts", "accuracy", "confidence"], body) if body else ""


def confidence_table(report: Mapping[str, Any]) -> str:
    """How many texts reach each confidence, and how many of them are right."""
    body = [
        row(number(each["threshold"], ".2f"), [
            cell(f"{each['n']:,}"), cell(number(each["share"], ".0%")),
            cell(number(each["accuracy"], ".3f"), _between(each["low"], each["high"], ".3f")),
        ])
        for each in report["confidence"]
    ]  # fmt: skip
    return table(["confidence of at least", "texts", "share", "accuracy"], body)


def differences_table(report: Mapping[str, Any]) -> str:
    """Model minus each baseline, figure by figure, with interval and p."""
    paired = report.get("paired") or {}
    measures = [m for m in MEASURES if m.key != "mce"]
    body = [
        row(strategy_title(name), (_difference(own.get(m.key) or {}, m) for m in measures))
        for name, own in paired.items()
    ]
    return table(["model minus", *(head(measure) for measure in measures)], body) if body else ""


def mcnemar_table(report: Mapping[str, Any]) -> str:
    """Who has which texts right, model and baseline, and whether that is a fair coin."""
    found = report.get("mcnemar") or {}
    keys = ("both", "only_model", "only_baseline", "neither")
    body = [
        row(strategy_title(name), cells([*(f"{own[key]:,}" for key in keys),
                                         p_text(own["p_value"])]))
        for name, own in found.items()
    ]  # fmt: skip
    names = ["right, against", "both", "model alone", "baseline alone", "neither", "p"]
    return table(names, body, kind="tight") if body else ""


def validation_table(report: Mapping[str, Any]) -> str:
    """Figures on validation, where the checkpoint was chosen, and on test."""
    found = report.get("validation")
    if not found:
        return ""
    aggregate = report["aggregate"]
    rows = [
        row(f"validation, {found['n']:,}", (cell(m.text(found.get(m.key))) for m in MEASURES)),
        row(f"test, {report['folds'][0]['n']:,}",
            (cell(m.text((aggregate.get(m.key) or {}).get("value"))) for m in MEASURES)),
    ]  # fmt: skip
    return table(["part, texts", *(head(measure) for measure in MEASURES)], rows)


def errors_table(report: Mapping[str, Any]) -> str:
    """The wrong texts of which the model was surest; most of them on demand."""
    rows = [_error(each) for each in report.get("errors") or []]
    if not rows:
        return ""
    names = ["text", "true", "said", "confidence", "of the true class"]
    first = table(names, rows[:_SHOWN_ERRORS])
    rest = rows[_SHOWN_ERRORS:]
    return first + (folded(f"{len(rest)} more", table(names, rest)) if rest else "")


def _error(each: Mapping[str, Any]) -> str:
    words = each["text"]
    shown = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}\u2026"
    values = [each["label"], each["said"], number(each["confidence"], ".3f"),
              number(each["of_label"], ".3f")]  # fmt: skip
    return f"<tr>{cell(shown, kind='words')}{cells(values)}</tr>"


def _share(each: Mapping[str, Any], key: str) -> str:
    low, high = each.get(f"{key}_low"), each.get(f"{key}_high")
    return cell(number(each[key], ".3f"), _between(low, high, ".2f"))


def _between(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{number(low, form)} to {number(high, form)}"


def _difference(found: Mapping[str, Any], measure: Measure) -> str:
    if found.get("difference") is None:
        return cell(NOTHING)
    form = coarse(f"+{measure.form.lstrip('+')}", found.get("low"), found.get("high"))
    p_value = found.get("p_adjusted", None)
    chance = f"p {p_text(found['p_value'])}" if p_value is None else f"p {p_text(p_value)} adjusted"
    return cell(number(found["difference"], form), interval(found, form), chance)
