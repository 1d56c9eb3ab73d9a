"""What came of a run: one sentence, in which every number stands in the log."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfrun.fold_trainer import is_greater_better
from hfrun.history.entries import best_row, is_study_entry
from hfrun.history.numbers import column, counted, gap_of, interval, is_figure, shown
from hfrun.history.text import code, escaped

Words = Mapping[str, str]
_AT_BEST = ("eval_loss", "eval_accuracy", "eval_f1_weighted", "train_accuracy")
_TESTED = ("accuracy", "f1_weighted")


def conclusion(entry: Mapping[str, Any], parent: Mapping[str, Any] | None, words: Words) -> str:
    """What came of it, in one sentence; every number in it stands in the log.

    Args:
        entry: of the run; of a study, which has its own answer, there is none.
        parent: the entry that its best figure is held against.
        words: of the language.
    """
    if is_study_entry(entry) or entry["status"] == "unreadable":
        return ""
    told = [*_best_words(entry, parent, words), *_test_words(entry, words)]
    if entry.get("verdict"):
        verdict = words.get(str(entry["verdict"]), escaped(entry["verdict"]))
        told.append(words["verdict_is"].format(verdict=f"**{verdict}**"))
    failed = [escaped(gate["name"]) for gate in entry["gates"] if gate.get("passed") is False]
    if failed:
        told.append(words["gates_failed"].format(gates=words["and"].join(failed)))
    text = words["semicolon"].join(told) or words["no_figures"]
    return text[0].upper() + text[1:] + words["stop_mark"]


def _best_words(
    entry: Mapping[str, Any], parent: Mapping[str, Any] | None, words: Words
) -> list[str]:
    bests = [course["best"] for course in entry["courses"]
             if course.get("best") and is_figure(course["best"].get("value"))]  # fmt: skip
    if not bests:
        return []
    if len(bests) > 1:
        return [_best_among(bests, words)]
    best = bests[0]
    told = words["best_is"].format(
        epoch=counted(best["epoch"]), metric=_named(best["by"], words), value=shown(best["value"])
    )
    told += _against(best, parent, words)
    row = next(best_row(course) for course in entry["courses"] if course.get("best"))
    figures = [f"{words[name]} {shown(row[name])}" for name in _AT_BEST
               if is_figure(row.get(name)) and name != best["by"]]  # fmt: skip
    gap = row.get("train_eval_gap", gap_of(row))
    if gap is not None:
        name = "train_eval_gap" if "train_eval_gap" in row else "gap_computed"
        figures.append(f"{words[name]} {shown(gap)}")
    at_best = words["at_best"].format(figures=words["and"].join(figures))
    return [told, at_best] if figures else [told]


def _best_among(bests: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Of several folds the best epochs, and the least and the greatest of their scores."""
    low, high = column(sorted(best["value"] for best in bests))[:: len(bests) - 1]
    return words["best_among"].format(
        epochs=words["and"].join(counted(best["epoch"]) for best in bests),
        metric=_named(bests[0]["by"], words),
        count=len(bests),
        low=low,
        high=high,
    )


def _against(best: Mapping[str, Any], parent: Mapping[str, Any] | None, words: Words) -> str:
    """Whether it is better than the parent's by the same metric, with the parent's number."""
    courses = (parent or {}).get("courses") or []
    other = (courses[0].get("best") or {}) if len(courses) == 1 else {}
    if parent is None or other.get("by") != best["by"] or not is_figure(other.get("value")):
        return ""
    better = (best["value"] > other["value"]) == is_greater_better(best["by"])
    word = "equal" if best["value"] == other["value"] else "better" if better else "worse"
    told = words[word].format(
        parent=parent.get("title") or escaped(parent["run"]), old=shown(other["value"])
    )
    return f"{words['and']}{told}"


def _test_words(entry: Mapping[str, Any], words: Words) -> list[str]:
    found = [(name, interval(entry["test"].get(name) or {})) for name in _TESTED]
    return [words[f"test_{name}"] + f" {text}" for name, text in found if text]


def _named(metric: str, words: Words) -> str:
    return words.get(metric) or code(metric)
