"""The page of a sweep, made from sweep.json alone: what was found, the table, plots and curves."""

import json
from collections.abc import Mapping
from typing import Any

from hfrun.study.sweep_plots import (
    MOST_ROWS,
    cells_by_score,
    curve_limits,
    curves_plot,
    factor_plot,
    heat_map,
    trials_plot,
)
from hfrun.study.sweep_tables import table_of
from hfrun.study.sweep_tables import title as title_of
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
    section,
    table,
)
from lob_backtest.report.page import contents, document
from lob_backtest.report.plots.drawing import PAGE, Plot, page_svg
from lob_backtest.report.words import many, number, sentence, text

MOST_CURVES = 12  # cells whose curves are drawn


def sweep_page(outcome: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    sections = [
        section("table", "Cells", "Means over the seeds with their standard deviation. The best "
                "was chosen on validation; the test part is shown, and nothing was chosen by it. "
                "The deviation is that of the seeds alone; which samples are in the test part is "
                "in the intervals of the trials below.",
                _table(outcome)),
        section("result", "Result", "", _plots(outcome)),
        _curves(outcome),
        section("trials", "Trials", "Each is an ordinary run in its own folder.", _trials(outcome)),
        section("facts", "What was run", "", card(_facts(outcome))),
    ]  # fmt: skip
    title = f"{outcome['name']}: a sweep over {_factors(outcome)}"
    counts = outcome["counts"]
    words = f"{many(len(outcome['cells']), 'cell')}, {many(len(outcome['seeds']), 'seed')}, "
    words += f"{counts['done']} of {many(outcome['planned'], 'trial')} done"
    question = f"<p>{text(outcome['question'])}</p>" if outcome["question"] else ""
    return document(
        title,
        [
            f"<header><h1>{text(title)}</h1><p>{text(words)}</p>{question}</header>",
            _found(outcome),
            contents(sections),
            *sections,
        ],
        footer="Made by hfrun from sweep.json.",
    )


def _factors(outcome: Mapping[str, Any]) -> str:
    return " and ".join(factor["name"].replace("_", " ") for factor in outcome["factors"].values())


def _found(outcome: Mapping[str, Any]) -> str:
    """The first box: whether the cells differ, and every sentence on them."""
    kind, head = "quiet", "Not tested against the seeds"
    effects = outcome["analysis"]["effects"]
    if effects and effects[0]["p_value"] < 0.05:
        kind, head = "good", "The cells differ by more than the seeds"
    elif effects:
        head = "No difference beyond the seeds"
    if outcome["counts"]["failed"]:
        kind = "bad"
    words = listed(sentence(found) for found in outcome["findings"])
    return (
        f'<div class="first"><div class="verdict {kind}"><strong>{text(head)}</strong>'
        f"{words}</div></div>"
    )


def _table(outcome: Mapping[str, Any]) -> str:
    heads, rows = table_of(outcome)
    body = [
        row(cells[0], map(_lines, cells[1:]), kind="own" if index == outcome["best"] else "")
        for index, cells in enumerate(rows)
    ]
    words = (
        f"To the best: mean {title_of(outcome['metric'])} minus the best cell's, with Tukey's "
        "simultaneous 95 % interval and p, from an analysis of variance with the seeds as blocks."
    )
    reason = outcome["analysis"]["reason"]
    return card(table(heads, body) + note(sentence(reason) if reason else words))


def _lines(value: str) -> str:
    """A cell with the spread or the interval of its figure in small print below."""
    for sign in (" \u00b1 ", " ("):
        main, found, rest = value.partition(sign)
        if found:
            return cell(main, f"\u00b1 {rest}" if sign != " (" else rest.rstrip(")"))
    return cell(value)


def _plots(outcome: Mapping[str, Any]) -> str:
    factors = [
        figure(_drawn(factor_plot(outcome, key, PAGE)), "Points are trials; the line joins the "
               "means over everything else.", title=f"By {found['name'].replace('_', ' ')}")
        for key, found in outcome["factors"].items()
    ]  # fmt: skip
    all_trials = figure(
        _drawn(trials_plot(outcome, PAGE)),
        "A point is a trial, a bar the mean of its cell; the best cell is in colour. Cells by "
        f"{_factors(outcome)}."
        + (f" The best {MOST_ROWS} cells." if len(outcome["cells"]) > MOST_ROWS else ""),
        title="Every trial",
    )
    both = figure(
        _drawn(heat_map(outcome, PAGE)),
        "Mean and standard deviation over the seeds; the best is framed.",
        title="Both together",
    )
    return columns(both, all_trials) + columns(*factors)


def _curves(outcome: Mapping[str, Any]) -> str:
    limits = curve_limits(outcome)
    order = cells_by_score(outcome)
    boxes = [
        figure(_drawn(curves_plot(outcome, index, limits, PAGE)), "",
               title=outcome["cells"][index]["label"])
        for index in order[:MOST_CURVES]
    ]  # fmt: skip
    words = (
        "Cross-entropy and accuracy by epoch, a line a seed: validation full, a fixed part of "
        "train dashed, both in evaluation mode. The dot is the chosen checkpoint. The best cell "
        "comes first, and all have the same axes."
    )
    if len(order) > MOST_CURVES:
        words += f" The best {MOST_CURVES} of {len(order)} cells."
    return section("curves", "Curves", words, columns(*boxes, kind="plots three"))


def _trials(outcome: Mapping[str, Any]) -> str:
    metric, test = outcome["metric"], outcome["test_metric"]
    body = []
    for trial in outcome["trials"]:
        label = outcome["cells"][trial["number"] // len(outcome["seeds"])]["label"]
        on_test = trial["test"].get(test) or {}
        between = ""
        if on_test.get("low") is not None and on_test.get("high") is not None:
            between = f"{number(on_test['low'], '.3f')} to {number(on_test['high'], '.3f')}"
        body.append(
            row(label, [
                cell(trial["seed"]),
                cell(trial["status"], trial["stopped_by"] or ""),
                cell(number(trial["validation"].get(metric), ".4f")),
                cell(number(trial["validation"].get("train_eval_gap"), "+.3f")),
                cell(number(on_test.get("value"), ".4f"), between),
                cell(number(trial["validation"].get("epoch"), ".3g")),
                cell(trial["folder"]),
            ], kind="" if trial["status"] == "done" else "faint")
        )  # fmt: skip
    heads = ["", "seed", "ended", f"validation {title_of(metric)}", "train-validation gap",
             f"test {title_of(test)}", "epoch", "folder"]  # fmt: skip
    errors = [f"{t['folder']}: {t['error']}" for t in outcome["trials"] if t["error"]]
    return card(table(heads, body, kind="tight") + listed(errors, kind="warnings"))


def _facts(outcome: Mapping[str, Any]) -> str:
    provenance = outcome["provenance"]
    rows: list[tuple[str, object]] = [
        ("compared by", f"validation {title_of(outcome['metric'])}, "
         f"{'more' if outcome['higher_is_better'] else 'less'} is better"),
        ("seeds", ", ".join(str(seed) for seed in outcome["seeds"])),
        *((found["name"], ", ".join(found["labels"])) for found in outcome["factors"].values()),
        ("command", provenance["command"]),
        ("made", provenance["created_at"]),
    ]  # fmt: skip
    raw = json.dumps(provenance, indent=2, ensure_ascii=False, default=str)
    return facts_list(rows) + folded("Full provenance", f"<pre>{text(raw)}</pre>")


def _drawn(plot: Plot | None) -> str:
    return "" if plot is None else page_svg(plot)
