"""The page of a report on texts, made from report.json alone: no script, not even a network."""

import json
from collections.abc import Mapping
from typing import Any

from hfrun.evaluation.text_report import tables
from hfrun.evaluation.text_report.doubts import doubts
from hfrun.evaluation.text_report.limits import limits_of_texts
from hfrun.evaluation.text_report.plots import text_drawing
from lob_backtest.report.elements import (
    card,
    cell,
    columns,
    facts_list,
    figure,
    folded,
    listed,
    row,
    section,
    table,
)
from lob_backtest.report.page import contents, document
from lob_backtest.report.tables import strategies_table
from lob_backtest.report.verdict import Tile, gates, tile_boxes, verdict_box
from lob_backtest.report.words import coarse, interval, many, number, sentence, strategy_title, text


def text_report_page(report: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    sections = [
        section("gates", "Gates", "Limits that were written down before the run. A required gate "
                "that fails, or cannot be judged, fails the verdict.", gates(report)),
        section("doubts", "What a sceptic asks", "", doubts(report)),
        _prediction(report),
        _luck(report),
        section("errors", "Surest and wrong", "The wrong texts of which the model was surest: "
                "where labels are disputed, where it reads past a negation, or where it learnt "
                "what is not so.", card(tables.errors_table(report))),
        _calibration(report),
        _audit(report),
        _figures(report),
        section("data", "Data and provenance", "", card(_facts(report))),
        section("limits", "What this does not show", "", card(listed(limits_of_texts(report)))),
    ]  # fmt: skip
    first = f'<div class="first">{verdict_box(report)}{_audit_box(report)}</div>'
    return document(
        f"{_title(report)}: {report['verdict']}",
        [_header(report), first, tile_boxes(_tiles(report)), contents(sections), *sections],
        footer="Made by hfrun from report.json.",
    )


def _title(report: Mapping[str, Any]) -> str:
    return str((report.get("provenance") or {}).get("name") or "Text classifier")


def _header(report: Mapping[str, Any]) -> str:
    n, names = report["folds"][0]["n"], report["label_names"]
    words = f"{many(n, 'labelled test text')} of {len(names)} classes"
    if len(names) <= tables.MOST_IN_A_MATRIX:
        words += f": {', '.join(names)}"
    title = f"{_title(report)}: does it read better than counted words?"
    return f"<header><h1>{text(title)}</h1><p>{text(words)}</p></header>"


def _tiles(report: Mapping[str, Any]) -> list[Tile]:
    aggregate, name = report["aggregate"], report.get("baseline")
    most = aggregate["majority_accuracy"]["value"]
    other = ""
    if name is not None:
        best = aggregate["baselines"][name]["f1_weighted"]["value"]
        other = f"{strategy_title(name)} {number(best, '.3f')}"
    lead = ((report.get("paired") or {}).get(name) or {}).get("f1_weighted") or {}
    found = [
        _tile("accuracy", aggregate["accuracy"], ".3f", f"most frequent class {most:.3f}"),
        _tile("weighted F1", aggregate["f1_weighted"], ".3f", other),
        _tile("MCC", aggregate["mcc"], "+.3f", "0 is chance"),
        _tile("ECE", aggregate["ece"], ".3f", "0 is perfect"),
    ]
    if lead.get("difference") is not None:
        lift = {**lead, "value": lead["difference"]}
        found.insert(2, _tile("lift of F1", lift, "+.3f", "over the best baseline"))
    return found


def _tile(name: str, found: Mapping[str, Any], form: str, words: str) -> Tile:
    shown = number(found["value"], coarse(form, found.get("low"), found.get("high")))
    return name, shown, "; ".join(each for each in (interval(found, form), words) if each)


def _prediction(report: Mapping[str, Any]) -> str:
    plots = columns(
        figure(text_drawing(report, "reliability"), "On the dashed line, confidence is what it "
               "claims; below it the model is too sure of itself. Large points hold many texts, "
               "lines are 95 % intervals.", title="Reliability"),
        figure(text_drawing(report, "confidence"), "Accuracy of the texts that are at least so "
               "confident, with its 95 % interval; below, how many they are.",
               title="Accuracy by confidence"),
        figure(text_drawing(report, "classes"), "Recall: of the texts of a class, the share that "
               "was found. Precision: of the texts said to be of it, the share that is.",
               title="Recall and precision"),
        kind="plots three",
    )  # fmt: skip
    body = plots + columns(
        figure(tables.confusion_table(report), "Share of each true class, with the number of "
               "texts.", title="Confusion"),
        card(f"<h3>Class by class</h3>{tables.per_class_table(report)}"),
    )  # fmt: skip
    body += card(f"<h3>Accuracy by length</h3>{tables.lengths_table(report)}")
    body += folded("Accuracy by confidence, in figures", card(tables.confidence_table(report)))
    return section("prediction", "Prediction", "", body)


def _luck(report: Mapping[str, Any]) -> str:
    body = columns(
        figure(text_drawing(report, "differences"), "Right of the line the model is better. A "
               "hollow point's interval holds nothing: the difference may as well be none.",
               title="Model minus baseline"),
        card(f"<h3>Who is right</h3>{tables.mcnemar_table(report)}"),
    )  # fmt: skip
    body += card(tables.differences_table(report))
    body += card(tables.validation_table(report))
    words = (
        "The same texts are drawn for model and baseline. p is two-sided, that no difference "
        "looks this large by luck; adjusted, over all baselines together. McNemar's p asks "
        "whether the texts that only one of the two has right fall to either like a fair coin. Of "
        "ECE, Brier score and NLL less is better."
    )
    return section("luck", "Skill or luck", words, body)


def _calibration(report: Mapping[str, Any]) -> str:
    found = report.get("calibration")
    if not found:
        return ""
    body = [
        row(tables.title_of(key), [
            cell(_with_interval(own, "before")),
            cell(_with_interval(own, "after")),
            cell(number(own.get("difference"), "+.4f"), interval(own, "+.4f")),
            cell(own.get("verdict", "")),
        ])
        for key, own in (found.get("compared") or {}).items()
    ]  # fmt: skip
    names = ["on test", "before", "after", "difference", ""]
    words = (
        f"One temperature, {found['temperature']:.3f}, was fitted on validation and judged on "
        f"test. The figures of this page are those before it. {sentence(found.get('reason', ''))}"
    )
    return section("temperature", "Temperature", words, card(table(names, body)) if body else "")


def _with_interval(own: Mapping[str, Any], when: str) -> str:
    between = interval({"low": own.get(f"{when}_low"), "high": own.get(f"{when}_high")}, ".4f")
    return number(own[when], ".4f") + (f" ({between})" if between else "")


def _audit_box(report: Mapping[str, Any]) -> str:
    """Beside the verdict, as loud: what the audit of the data found."""
    audit = report.get("audit")
    if not audit:
        kind, shown = "quiet", "Data: not audited"
        words = "Nothing here says that the test texts are not in train. Audit with: hfrun audit."
    else:
        counts = audit["counts"]
        kind = "quiet" if counts["error"] else "good"
        shown = "Data: errors accepted" if counts["error"] else "Data: no error found"
        told = [f"{many(counts['error'], 'error')} accepted by name in the config"]
        told = told if counts["error"] else []
        told += [many(counts["warning"], "warning"), many(counts["info"], "note")]
        words = f"The audit found {', '.join(told)}."
    return f'<div class="verdict {kind}"><strong>{text(shown)}</strong><p>{text(words)}</p></div>'


def _audit(report: Mapping[str, Any]) -> str:
    audit = report.get("audit")
    if not audit or not audit["findings"]:
        return ""
    body = [
        row(each["name"], [
            cell(each["severity"]),
            cell(number(each["count"], ",d")),
            cell(", ".join(each["parts"])),
            cell(each["message"], kind="words"),
        ])
        for each in audit["findings"]
    ]  # fmt: skip
    names = ["finding", "severity", "count", "parts", "what was found"]
    return section("audit", "Audit of the data", "Looked for before the training began.",
                   card(table(names, body)))  # fmt: skip


def _figures(report: Mapping[str, Any]) -> str:
    how = report["intervals"]
    words = (
        f"Below each figure its {how['level'] * 100:.0f} % interval: {how['method']}, "
        f"{how['n_resamples']:,} resamples."
    )
    body = card(strategies_table(report, tables.OF_CLASSES))
    body += card(strategies_table(report, tables.OF_PROBABILITIES))
    return section("figures", "All figures, with intervals", words, body)


def _facts(report: Mapping[str, Any]) -> str:
    data, provenance = report["data"], report.get("provenance") or {}
    sizes = f"{data['n_test']:,} test texts, {data['n_unlabelled']:,} of them without a label"
    if data.get("n_validation") is not None:
        sizes += f"; {data['n_validation']:,} validation texts"
    rows: list[tuple[str, object]] = [("texts", sizes)]
    if len(report["label_names"]) <= tables.MOST_IN_A_MATRIX:
        rows += [
            (f"classes of {part}", ", ".join(
                f"{name} {share:.1%}"
                for name, share in zip(report["label_names"], shares, strict=True)
            ))
            for part, shares in data["label_shares"].items()
        ]  # fmt: skip
    rows += [(key, provenance[key]) for key in ("name", "command", "seed") if key in provenance]
    raw = json.dumps(provenance, indent=2, ensure_ascii=False)
    shown = folded("Full provenance", f"<pre>{text(raw)}</pre>") if provenance else ""
    return facts_list(rows) + shown
