"""What a study says in the terminal: its answer, what to know beside it, and the best trials."""

from collections.abc import Mapping
from typing import Any

from lob_backtest.commands.tables import figure, table
from lob_backtest.report.words import NOTHING

_ROWS = 10


def text_of(analysis: Mapping[str, Any], *, page: str) -> str:
    """Some thirty lines; all trials are on the page.

    Args:
        analysis: what ``analyse`` gave.
        page: address of the report.
    """
    lines = [analysis["question"]] if analysis["question"] else []
    lines += [f"Answer: {analysis['answer']['text']}", ""]
    lines += [f"  - {finding}" for finding in analysis["findings"]]
    rows = analysis["table"]
    lines += ["", _table(analysis)]
    if len(rows) > _ROWS:
        lines.append(f"... and {len(rows) - _ROWS} more trials")
    return "\n".join([*lines, "", f"Report: {page}"])


def _table(analysis: Mapping[str, Any]) -> str:
    keys = list(dict.fromkeys([*analysis["scientific"], *analysis["nuisance"]]))
    heads = ["trial", "phase", "status", analysis["metric"]]
    heads += [key.rpartition(".")[2] for key in keys]
    heads += [*_constraints(analysis), "epochs", "seconds"]
    rows = []
    for row in analysis["table"][:_ROWS]:
        found = {each["name"]: each["value"] for each in row["constraints"]}
        rows.append([
            str(row["trial"]), row["phase"], row["status"], figure(row["score"], ".4f"),
            *(row["shown"].get(key) or NOTHING for key in keys),
            *(figure(found.get(name), ".4g") for name in _constraints(analysis)),
            figure(row["epochs"], ".3g"), figure(row["seconds"], ".0f"),
        ])  # fmt: skip
    return table(heads, rows)


def _constraints(analysis: Mapping[str, Any]) -> list[str]:
    names = (each["name"] for row in analysis["table"] for each in row["constraints"])
    return list(dict.fromkeys(names))
