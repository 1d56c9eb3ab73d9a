"""HISTORY.md: the comparison of all runs, and one entry for each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hfrun.history.conclusion import conclusion
from hfrun.history.entries import is_study_entry
from hfrun.history.notes import block
from hfrun.history.numbers import counted, is_figure, shown
from hfrun.history.tables import (
    anchor,
    changes_table,
    comparison_table,
    epochs_table,
    findings_table,
    gates_table,
    shown_setting,
)
from hfrun.history.text import code, escaped
from hfrun.history.words import WORDS, Language

Words = Mapping[str, str]
MARK = "<!-- hfrun:history "
_ROUNDING = 1e-6  # of epochs, which the Trainer counts in fractions


def page_of(entries: Sequence[Mapping[str, Any]], language: Language) -> str:
    """The whole page.

    Args:
        entries: in the order of time, each with its parent, its changes and its note.
        language: of headings and sentences; reasons and findings are English.
    """
    words = WORDS[language]
    names = Counter(entry["run"] for entry in entries)
    numbered = [
        {**entry, "number": number, "title": _title(entry, is_alone=names[entry["run"]] == 1)}
        for number, entry in enumerate(entries, start=1)
    ]
    by_id = {entry["id"]: entry for entry in numbered}
    parts = [
        f"{MARK}{language} -->",
        f"# {words['title']}",
        words["made"],
        f"## {words['comparison']}",
        words["comparison_made"],
        comparison_table(numbered, words),
        *(_entry(entry, by_id, words) for entry in numbered),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(entry: Mapping[str, Any], *, is_alone: bool) -> str:
    """The run's name; with its folder where others have that name too."""
    folder = entry.get("folder")
    name = escaped(entry["run"])
    return name if is_alone or folder in (None, entry["run"]) else f"{name} ({escaped(folder)})"


def language_of(page: str) -> Language | None:
    """In which a page was written; None for one that is no diary."""
    start = page.find(MARK)
    told = page[start + len(MARK) :].split(maxsplit=1)[0] if start >= 0 else ""
    return next((language for language in WORDS if language == told), None)


def _entry(entry: Mapping[str, Any], by_id: Mapping[str, Any], words: Words) -> str:
    parts = [
        f'<a id="{anchor(entry)}"></a>',
        f"## {entry['number']}. {entry['title']}",
        _facts(entry, words),
        _changes(entry, by_id, words),
        _study(entry, words),
        _epochs(entry, words),
        _titled(words["stop"], _bullets(_ends(entry, words))),
        _titled(words["gates"], gates_table(entry["gates"], words) if entry["gates"] else ""),
        _titled(
            words["findings"], findings_table(entry["findings"], words) if entry["findings"] else ""
        ),
        _titled(words["conclusion"], conclusion(entry, _parent(entry, by_id), words)),
        _titled(words["next"], _bullets(_advice(entry["findings"]))),
        _titled(words["note"], block(entry["id"], entry["note"])),
    ]
    return "\n\n".join(part for part in parts if part)


def _advice(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to try next, each once, the gravest finding's first."""
    told: dict[str, str] = {}
    for finding in findings:
        if finding.get("next_experiment"):
            told.setdefault(escaped(finding["next_experiment"]), code(finding["rule"]))
    return [f"{rule}: {text}" for text, rule in told.items()]


def _titled(title: str, body: str) -> str:
    return f"### {title}\n\n{body}" if body else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _facts(entry: Mapping[str, Any], words: Words) -> str:
    """Date, question, kind, folder and command: what is known of them."""
    kind = words.get(entry["kind"], escaped(entry["kind"]))
    states = [words[entry["status"]]] if entry["status"] in ("unfinished", "unreadable") else []
    states += [words["gone"]] if entry.get("gone") else []
    if states:
        kind += f"{words['semicolon']}{words['semicolon'].join(f'**{each}**' for each in states)}"
    if entry.get("problem"):
        kind += f"{words['open']}{escaped(entry['problem'])}{words['close']}"
    commit = entry.get("commit")
    facts = [
        ("question", escaped(entry.get("question") or "")),
        ("date", escaped((entry.get("date") or "").replace("T", " "))),
        ("kind", kind),
        ("folder", _place(entry, words)),
        ("command", code(entry["command"]) if entry.get("command") else ""),
        ("commit", f"`{str(commit)[:12]}`" if commit else ""),
    ]
    return _bullets(
        [f"**{words[name].capitalize()}**{words['colon']}{text}" for name, text in facts if text]
    )


def _place(entry: Mapping[str, Any], words: Words) -> str:
    folder = entry.get("folder")
    if folder is None:
        return ""
    text = code(folder)
    inside = "study" if is_study_entry(entry) else "report"
    if entry.get("has_page") and not entry.get("gone"):
        target = quote(f"{folder}/{inside}/report.html")
        text += f"{words['open']}[{words['page']}]({target}){words['close']}"
    return text


def _changes(entry: Mapping[str, Any], by_id: Mapping[str, Any], words: Words) -> str:
    if is_study_entry(entry) or not entry["config"]:
        return ""
    parent = _parent(entry, by_id)
    if parent is None:
        stated = entry.get("stated_parent")
        return words["no_such_parent"].format(parent=code(stated)) if stated else words["first"]
    link = f"[{parent['number']}. {parent['title']}](#{anchor(parent)})"
    title = f"### {words['changed']}{words['colon'] if words['colon'] != ': ' else ' '}{link}"
    body = changes_table(entry["changes"], words) if entry["changes"] else words["nothing_changed"]
    return f"{title}\n\n{body}"


def _parent(entry: Mapping[str, Any], by_id: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return by_id.get((entry.get("parent") or {}).get("id", ""))


def _study(entry: Mapping[str, Any], words: Words) -> str:
    """The answer of a study, its trials by how they ended, and what was judged for adoption."""
    if not is_study_entry(entry):
        return ""
    counts = [f"{count} {words.get(status, escaped(status))}" for status, count in
              (entry.get("trials") or {}).items()]  # fmt: skip
    lines = [words["and"].join(counts)] if counts else []
    if entry.get("best_trial") and not entry.get("answer"):
        lines.append(_best_trial(entry["best_trial"], words))
    judged = [
        f"**{words.get(str(each['verdict']), escaped(each['verdict']))}**{words['colon']}"
        f"{escaped(each.get('reason') or '')}"
        for each in entry.get("candidates") or []
    ]
    answer = [entry["answer"], *entry["told"]] if entry.get("answer") else []
    parts = [
        _titled(words["trials"], _bullets(lines)),
        _titled(words["answer"], _bullets([escaped(text) for text in answer])),
        _titled(words["judged"], _bullets(judged)),
    ]
    return "\n\n".join(part for part in parts if part)


def _best_trial(best: Mapping[str, Any], words: Words) -> str:
    values = [
        f"{code(key)} {escaped(shown_setting(value))}" for key, value in best["values"].items()
    ]
    return words["best_trial"].format(
        metric=code(best["by"]),
        value=shown(best["value"]),
        trial=escaped(best["trial"]),
        values=words["and"].join(values),
        seed=best["seed"],
    )


def _epochs(entry: Mapping[str, Any], words: Words) -> str:
    if is_study_entry(entry) or entry["status"] == "unreadable":
        return ""
    return _titled(words["epochs"], epochs_table(entry, words) or words["no_epochs"])


def _ends(entry: Mapping[str, Any], words: Words) -> list[str]:
    """What ended each course; courses that ended alike in one line."""
    told: dict[str, list[str]] = {}
    for course in entry["courses"]:
        text = _end(entry, course, words)
        if text:
            told.setdefault(text, []).append(str(course["label"]).removeprefix("fold "))
    lines = []
    for text, labels in told.items():
        folds = words["and"].join(label for label in labels if label)
        lines.append(f"{words['fold']} {folds}{words['colon']}{text}" if folds else text)
    return lines


def _end(entry: Mapping[str, Any], course: Mapping[str, Any], words: Words) -> str:
    stopped, planned = course.get("stopped_by"), entry.get("planned_epochs")
    if stopped:
        return words["stopped_by"].format(
            rule=code(stopped.get("rule")),
            epoch=counted(stopped.get("epoch")),
            reason=escaped(stopped.get("reason") or ""),
        )
    if entry["is_recorded"] and course["epochs"]:
        text = words["record_ends"].format(epoch=counted(course["epochs"][-1]["epoch"]))
        return text + (words["of_planned"].format(planned=counted(planned)) if planned else "")
    trained = course.get("epochs_trained")
    if trained is None or not is_figure(planned):
        return ""
    word = "ran_all" if trained >= planned - _ROUNDING else "ended_at"
    return words[word].format(count=counted(trained), planned=counted(planned))
