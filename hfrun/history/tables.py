"""The tables of an entry, in Markdown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.history.entries import best_row, figures_at_best
from hfrun.history.numbers import NOTHING, column, counted, gap_of, interval, shown, span
from hfrun.history.text import code, escaped

Words = Mapping[str, str]

# The columns of the diaries; one that no row has a figure for is left out.
_MEASURES = ("train_loss", "eval_loss", "train_accuracy", "eval_accuracy", "eval_f1_weighted",
             "train_eval_gap", "gap_computed", "learning_rate", "grad_norm",
             "grad_norm_clipped_share")  # fmt: skip
_COMPARED = ("train_loss", "eval_loss", "train_accuracy", "eval_accuracy", "eval_f1_weighted",
             "train_eval_gap")  # fmt: skip
_TESTED = ("accuracy", "f1_weighted")
_MOST_CHANGES, _LONGEST_VALUE = 30, 160
_MOST_COMPARED, _SHORT_VALUE = 3, 24  # in the comparison of all runs


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A table whose first ``left`` columns stand to the left and the others to the right.

    Its cells are Markdown already.
    """
    marks = ["---" if place < left else "---:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, marks, *rows))


def epochs_table(entry: Mapping[str, Any], words: Words) -> str:
    """Every epoch of every course as it was logged; empty where none was."""
    courses = [course for course in entry["courses"] if course["epochs"]]
    rows = [(course, _with_gap(epoch)) for course in courses for epoch in course["epochs"]]
    if not rows:
        return ""
    names = [name for name in _MEASURES if any(row.get(name) is not None for _, row in rows)]
    has_folds = any(course["label"] for course in courses)
    head = [words["fold"]] * has_folds + [words["epoch"], *(words[name] for name in names), ""]
    columns = [column([row.get(name) for _, row in rows]) for name in names]
    lines = [
        [_fold(course)] * has_folds
        + [counted(row["epoch"]), *(cells[place] for cells in columns)]
        + [_remark(course, row, words)]
        for place, (course, row) in enumerate(rows)
    ]
    return aligned(head, lines, left=0)


def _with_gap(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """With the gap, said to be computed, where both accuracies were logged without it."""
    if epoch.get("train_eval_gap") is not None:
        return dict(epoch)
    return {**epoch, "gap_computed": gap_of(epoch)}


def _fold(course: Mapping[str, Any]) -> str:
    return escaped(str(course["label"]).removeprefix("fold "))


def _remark(course: Mapping[str, Any], row: Mapping[str, Any], words: Words) -> str:
    told = []
    if (course.get("best") or {}).get("epoch") == row["epoch"]:
        told.append(words["best"])
    if (course.get("stopped_by") or {}).get("epoch") == row["epoch"]:
        told.append(words["stopped"])
    return words["and"].join(told)


def changes_table(changes: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Key, old and new value; the rest of a long one is only counted."""
    rows = [
        [
            code(change["key"]),
            *(_setting(change, side, words) for side in ("old", "new")),
        ]
        for change in changes[:_MOST_CHANGES]
    ]
    text = aligned([words["key"], words["old"], words["new"]], rows, left=3)
    left = len(changes) - len(rows)
    return f"{text}\n\n*{words['and_more'].format(count=left)}*" if left else text


def _setting(change: Mapping[str, Any], side: str, words: Words) -> str:
    if side not in change:
        return f"*{words['unset']}*"
    value = change[side]
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | Mapping) else (
        shown_setting(value))  # fmt: skip
    if len(text) > _LONGEST_VALUE:
        text = f"{text[:_LONGEST_VALUE]}…"
    return escaped(text) or '""'


def shown_setting(value: Any) -> str:
    """A setting as YAML would have it, to its last digit.

    >>> shown_setting(None), shown_setting(True), shown_setting(1e-05), shown_setting(4.0)
    ('null', 'true', '1e-05', '4.0')
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else str(value)


def gates_table(gates: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Each gate with what was found, what is allowed, and why."""
    marks = {True: words["passed"], False: f"**{words['failed']}**", None: words["not_judged"]}
    rows = []
    for gate in gates:
        optional = "" if gate.get("required") else f" *({words['optional']})*"
        rows.append([
            escaped(gate["name"]) + optional,
            marks[gate.get("passed")],
            _limit(gate.get("value")),
            _limit(gate.get("limit")),
            escaped(gate.get("reason") or ""),
        ])  # fmt: skip
    return aligned(
        [words[name] for name in ("gate", "result", "value", "limit", "reason")], rows, left=5
    )


def _limit(value: Any) -> str:
    if isinstance(value, list):
        return escaped(", ".join(shown(each) for each in value))
    return escaped(shown(value))


def findings_table(findings: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Each finding with its rule and its numbers."""
    rows = [
        [
            words.get(str(each["severity"]), escaped(each["severity"])),
            code(each["rule"]),
            escaped(each["message"]),
        ]
        for each in findings
    ]
    return aligned([words[name] for name in ("severity", "rule", "finding")], rows, left=3)


def comparison_table(entries: Sequence[Mapping[str, Any]], words: Words) -> str:
    """A row a run: its best epoch, the figures there, and what the test part gave."""
    rows = [(entry, _compared(entry)) for entry in entries]
    names = [*_COMPARED, *(f"test_{name}" for name in _TESTED)]
    names = [name for name in names if any(row.get(name) for _, row in rows)]
    head = [words[name] for name in ("run", "date", "change", "best_epoch", *names)]
    lines = [
        [_link(entry), (entry.get("date") or "")[:10] or NOTHING, _changed(entry)]
        + [_best_epochs(entry, words)]
        + [row.get(name) or NOTHING for name in names]
        + [_outcome(entry, words)]
        for entry, row in rows
    ]
    return aligned([*head, words["verdict"]], lines, left=3)


def anchor(entry: Mapping[str, Any]) -> str:
    """The place of an entry on the page."""
    return f"entry-{entry['number']}"


def _link(entry: Mapping[str, Any]) -> str:
    return f"[{entry['title']}](#{anchor(entry)})"


def _changed(entry: Mapping[str, Any]) -> str:
    """The first changes against the parent, by the last words of their keys."""
    told = []
    for change in entry["changes"][:_MOST_COMPARED]:
        value = change.get("new", NOTHING)
        if isinstance(value, list | Mapping) or len(shown_setting(value)) > _SHORT_VALUE:
            value = "…"
        told.append(f"{escaped(change['key'].rpartition('.')[2])} {escaped(shown_setting(value))}")
    left = len(entry["changes"]) - len(told)
    return "; ".join([*told, f"+{left}"] if left > 0 else told) or NOTHING


def _compared(entry: Mapping[str, Any]) -> dict[str, str]:
    found = {name: span(figures_at_best(entry, name)) for name in _COMPARED}
    for name in _TESTED:
        found[f"test_{name}"] = interval((entry["test"].get(name)) or {})
    return found


def _best_epochs(entry: Mapping[str, Any], words: Words) -> str:
    if entry.get("trials"):
        return words["of_trials"].format(count=sum(entry["trials"].values()))
    found = [best_row(course)["epoch"] for course in entry["courses"] if best_row(course)]
    if not found:
        return NOTHING
    low, high = counted(min(found)), counted(max(found))
    return low if low == high else f"{low} … {high}"


def _outcome(entry: Mapping[str, Any], words: Words) -> str:
    if entry.get("verdict"):
        return words.get(str(entry["verdict"]), escaped(entry["verdict"]))
    if entry["status"] in ("unfinished", "unreadable"):
        return words[f"{entry['status']}_short"]
    return NOTHING
