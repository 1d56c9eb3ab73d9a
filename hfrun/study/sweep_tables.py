"""A sweep's table: for the terminal, as Markdown for a document, and its trials as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from lob_backtest.commands.tables import table
from lob_backtest.report.words import NOTHING, p_text, sentence

_MEASURES = ("eval_loss", "eval_accuracy", "eval_f1_weighted")


def table_of(outcome: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: a row a cell in the grid's order, the best marked; means over the seeds."""
    validation, test = shown_measures(outcome)
    factors = outcome["factors"]
    heads = [factor["name"] for factor in factors.values()]
    heads += ["seeds", *(f"validation {title(name)}" for name in validation)]
    heads += ["to the best", "p", *(f"test {title(name)}" for name in test)]
    heads += ["epoch", "minutes"]
    rows = []
    for index, cell in enumerate(outcome["cells"]):
        row = [*(cell["shown"][key] for key in factors), _seeds(cell)]
        row += [plus_minus(cell["validation"].get(name)) for name in validation]
        row += [*difference(outcome, index)]
        row += [plus_minus(cell["test"].get(name)) for name in test]
        epoch, seconds = cell["validation"].get("epoch"), cell["seconds"]
        row.append(NOTHING if epoch is None else f"{epoch['mean']:.3g}")
        row.append(NOTHING if seconds is None else f"{seconds['mean'] / 60:.1f}")
        rows.append(row)
    return heads, rows


def shown_measures(outcome: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Which figures of validation and of test a table shows: the score first, then what it is."""
    held = next((cell for cell in outcome["cells"] if cell["done"]), None)
    if held is None:
        return [outcome["metric"]], []
    wanted = dict.fromkeys((outcome["metric"], *_MEASURES))
    validation = [name for name in wanted if held["validation"].get(name)]
    own = dict.fromkeys((outcome["test_metric"], "accuracy", "f1_weighted"))
    return validation, [name for name in own if held["test"].get(name)]


def difference(outcome: Mapping[str, Any], index: int) -> tuple[str, str]:
    """A cell's score minus the best one's with Tukey's interval, and its p-value."""
    if index == outcome["best"]:
        return "best", ""
    for found in outcome["analysis"]["differences"]:
        if found["cell"] == index:
            low, high = (f"{found[side]:+.4f}" for side in ("low", "high"))
            text = f"{found['difference']:+.4f} ({low} to {high})"
            return text.replace("-", "\u2212"), p_text(found["p_value"])
    return NOTHING, NOTHING


def plus_minus(found: Mapping[str, Any] | None) -> str:
    """Mean and standard deviation over the seeds."""
    if found is None:
        return NOTHING
    spread = "" if found["sd"] is None else f" \u00b1 {found['sd']:.4f}"
    return f"{found['mean']:.4f}{spread}"


def title(name: str) -> str:
    """A figure's name in words."""
    return name.removeprefix("eval_").replace("f1_weighted", "weighted F1").replace("_", " ")


def text_of(outcome: Mapping[str, Any], *, page: str) -> str:
    """What the command prints: the table, what was found, and where the page is."""
    heads, rows = table_of(outcome)
    words = [f"- {sentence(found)}" for found in outcome["findings"]]
    return "\n".join([table(heads, rows), "", *words, "", f"Report: {page}"])


def markdown_of(outcome: Mapping[str, Any]) -> str:
    """The table and what was found, for a document; written by ``--markdown``."""
    heads, rows = table_of(outcome)
    best = outcome["best"]
    lines = [_markdown_row(heads), _markdown_row(["---"] * len(heads))]
    for index, row in enumerate(rows):
        lines.append(_markdown_row([f"**{cell}**" if index == best and cell else cell
                                    for cell in row]))  # fmt: skip
    seeds = ", ".join(str(seed) for seed in outcome["seeds"])
    words = [f"- {sentence(found)}" for found in outcome["findings"]]
    head = [outcome["question"], ""] if outcome["question"] else []
    spread = (
        f"Means over the seeds {seeds}, \u00b1 their standard deviation, which knows nothing of "
        "the luck of which samples are in the test part."
    )
    return "\n".join([*head, *lines, "", spread, "", *words]) + "\n"


def csv_of(outcome: Mapping[str, Any]) -> str:
    """A row a trial: values, seed, status, the chosen checkpoint's figures, test with interval."""
    trials: Sequence[Mapping[str, Any]] = outcome["trials"]
    keys = list(outcome["grid"])
    validation = list(dict.fromkeys(name for trial in trials for name in trial["validation"]))
    tests = list(dict.fromkeys(name for trial in trials for name in trial["test"]))
    sides = [f"test_{name}{side}" for name in tests for side in ("", "_low", "_high")]
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["number", *keys, "seed", "status", *validation, *sides, "seconds",
                     "stopped_by", "folder", "error"])  # fmt: skip
    for trial in trials:
        shown = outcome["cells"][trial["number"] // len(outcome["seeds"])]["shown"]
        found = [
            (trial["test"].get(name) or {}).get(side)
            for name in tests
            for side in ("value", "low", "high")
        ]
        writer.writerow(
            [trial["number"], *(shown[key] for key in keys), trial["seed"], trial["status"],
             *(trial["validation"].get(name) for name in validation), *found, trial["seconds"],
             trial["stopped_by"], trial["folder"], trial["error"]]
        )  # fmt: skip
    return target.getvalue()


def _seeds(cell: Mapping[str, Any]) -> str:
    lost = [f"{cell[name]} {name}" for name in ("failed", "diverged") if cell[name]]
    return ", ".join([str(cell["done"]), *lost])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
