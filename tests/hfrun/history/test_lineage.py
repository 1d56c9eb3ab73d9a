"""The parent of a run, and what was changed from it."""

from typing import Any

from hfrun.history.lineage import changes, in_order


def entry(name: str, date: str | None = None, **held: Any) -> dict[str, Any]:
    config = {"run.name": name, "data.book": "a.parquet", "training.learning_rate": 1e-4}
    return {
        "id": name, "run": name, "kind": "train", "is_recorded": False, "date": date,
        "folder": name, "stated_parent": held.pop("parent", None), "config": config | held,
    }  # fmt: skip


def parents(entries: list[dict[str, Any]]) -> dict[str, str | None]:
    return {
        each["run"]: each["parent"] and each["parent"]["run"] for each in in_order(entries, "diary")
    }


def test_the_parent_is_the_run_before_over_the_same_data() -> None:
    entries = [
        entry("third", "2026-01-03T00:00:00+00:00"),
        entry("first", "2026-01-01T00:00:00+00:00"),
        entry("other", "2026-01-02T00:00:00+00:00", **{"data.book": "b.parquet"}),
        entry("undated"),
    ]
    assert parents(entries) == {
        "first": None, "other": None, "third": "first", "undated": "third"
    }  # fmt: skip


def test_dates_of_two_time_zones_are_compared_as_instants() -> None:
    entries = [entry("b", "2026-01-01T01:30:00+00:00"), entry("a", "2026-01-01T09:00:00+08:00")]
    assert [each["run"] for each in in_order(entries)] == ["a", "b"]


def test_a_stated_parent_is_found_by_folder_or_name_and_else_there_is_none() -> None:
    entries = [
        entry("a", "2026-01-01T00:00:00+00:00", **{"run.output_dir": "runs/a"}),
        entry("b", "2026-01-02T00:00:00+00:00"),
        entry("by_folder", "2026-01-03T00:00:00+00:00", parent="runs/a"),
        entry("by_other_path", "2026-01-04T00:00:00+00:00", parent="/elsewhere/runs/b/"),
        entry("by_place", "2026-01-04T12:00:00+00:00", parent="diary/../diary/b/"),
        entry("by_name", "2026-01-05T00:00:00+00:00", parent="by_folder"),
        entry("gone", "2026-01-06T00:00:00+00:00", parent="runs/nowhere"),
        entry("itself", "2026-01-07T00:00:00+00:00", parent="itself"),
    ]
    assert parents(entries) == {
        "a": None, "b": "a", "by_folder": "a", "by_other_path": None, "by_place": "b",
        "by_name": "by_folder", "gone": None, "itself": None,
    }  # fmt: skip


def test_a_run_is_not_changed_by_its_name_its_folder_or_its_question() -> None:
    named = {"run.name": "b", "run.output_dir": "b", "run.question": "?", "run.parent": "a",
             "run.diary": False}  # fmt: skip
    assert changes({"run.name": "a", "lr": 1.0}, {**named, "lr": 1}) == []


def test_changes_tell_what_was_added_what_is_gone_and_what_is_another() -> None:
    old = {"lr": 1e-4, "clip": None, "rules": [{"rule": "non_finite"}], "flag": True}
    new: dict[str, Any] = {"lr": 1e-5, "clip": None, "rules": [], "flag": 1, "floor": 0.1}
    assert changes(old, {**new, "seed": 1}) == [
        {"key": "lr", "old": 1e-4, "new": 1e-5},
        {"key": "rules", "old": [{"rule": "non_finite"}], "new": []},
        {"key": "flag", "old": True, "new": 1},
        {"key": "floor", "new": 0.1},
        {"key": "seed", "new": 1},
    ]
    assert changes({"lr": 1, "old": 2}, {"lr": 1}) == [{"key": "old", "old": 2}]
