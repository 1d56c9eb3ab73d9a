"""The diary on disk: runs come, end, break and go, and what a person wrote stays."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hfrun.errors import HfrunError
from hfrun.history import entries_of, read_history, write_history
from hfrun.history.diary import add_note, keep_diary
from hfrun.record import read_record
from tests.hfrun.history.runs_case import EPOCHS, entry_of_page, write_fold, write_run


def page_in(folder: Path) -> str:
    return (folder / "HISTORY.md").read_text(encoding="utf-8")


def states(folder: Path) -> dict[str, str]:
    """Of each run how it stands, ``gone`` where its folder is."""
    return {each["run"]: "gone" if each.get("gone") else each["status"]
            for each in read_history(folder)}  # fmt: skip


def edit_note(folder: Path, name: str, text: str) -> None:
    """As a person would on the page."""
    page = page_in(folder)
    told = entry_of_page(page, name)
    head, begin, rest = told.partition("<!-- hfrun:note ")
    marker, _, _ = rest.partition("\n")
    edited = f"{head}{begin}{marker}\n{text}\n<!-- hfrun:note ends -->\n\n"
    (folder / "HISTORY.md").write_text(page.replace(told, edited), encoding="utf-8")


def test_an_entry_holds_what_the_log_holds(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", run__question="does it train?")
    [entry] = entries_of([read_record(run)])
    told = ("run", "kind", "status", "date", "question", "verdict", "parent", "changes", "note")
    assert {name: entry[name] for name in told} == {
        "run": "tiny",
        "kind": "train",
        "status": "finished",
        "date": "2026-01-01T10:00:00+00:00",
        "question": "does it train?",
        "verdict": "fail",
        "parent": None,
        "changes": [],
        "note": "",
    }
    [course] = entry["courses"]
    assert course["epochs"] == [{**epoch, "learning_rate": 1e-5} for epoch in EPOCHS]
    assert course["best"] == {"epoch": 2.0, "by": "eval_accuracy", "value": 0.53125}
    assert entry["conclusion"] == (
        "Best epoch 2 by eval accuracy 0.53125; there eval loss 0.95, train accuracy 0.625, gap "
        "0.09375; test accuracy 0.5025 [0.4875, 0.5175]; verdict fail; failed gates: grad_norm."
    )
    assert entry["advice"] == [each["next_experiment"] for each in entry["findings"]]
    assert entry["test"] == {"accuracy": {"value": 0.5025, "low": 0.4875, "high": 0.5175}}


def test_runs_are_told_in_the_order_of_time_with_what_was_changed(tmp_path: Path) -> None:
    write_run(tmp_path / "a", day=3, training__learning_rate=1e-5)
    write_run(tmp_path / "group" / "b", day=1)
    write_run(tmp_path / "c", day=2, verdict=None)
    write_history(tmp_path)
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    held = [json.loads(line) for line in lines]
    assert [(each["run"], each["folder"], each["status"]) for each in held] == [
        ("b", "group/b", "finished"), ("c", "c", "unfinished"), ("a", "a", "finished"),
    ]  # fmt: skip
    assert [each["changes"] for each in held] == [
        [], [], [{"key": "training.learning_rate", "old": 1e-4, "new": 1e-5}],
    ]  # fmt: skip
    assert read_history(tmp_path) == held


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", day=2)
    write_history(tmp_path)
    add_note(tmp_path / "a", "as it should be")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    write_history(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_a_note_edited_on_the_page_goes_to_the_run_and_one_in_the_run_to_the_page(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name)
    write_history(tmp_path)
    edit_note(tmp_path, "a", "學習率太高 | *see* b")
    (tmp_path / "b" / "note.md").write_text("from the file\n", encoding="utf-8")
    write_history(tmp_path)
    assert (tmp_path / "a" / "note.md").read_text(encoding="utf-8") == "學習率太高 | *see* b\n"
    assert {each["run"]: each["note"] for each in read_history(tmp_path)} == {
        "a": "學習率太高 | *see* b", "b": "from the file",
    }  # fmt: skip
    assert "\nfrom the file\n" in entry_of_page(page_in(tmp_path), "b")


def test_the_note_of_a_run_that_is_gone_can_still_be_edited(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", day=2)
    write_history(tmp_path)
    told = entry_of_page(page_in(tmp_path), "a")
    shutil.rmtree(tmp_path / "a")
    write_history(tmp_path)
    edit_note(tmp_path, "a", "why it was removed")
    write_history(tmp_path)
    write_history(tmp_path)
    assert states(tmp_path) == {"a": "gone", "b": "finished"}
    now = entry_of_page(page_in(tmp_path), "a")
    assert "\nwhy it was removed\n" in now
    assert "its folder is gone" in now
    figures = told[told.index("### Epochs") : told.index("### Note")]
    assert figures in now


@pytest.mark.parametrize("lost", ["HISTORY.md", "history.jsonl", "note.md"])
def test_a_note_outlives_the_loss_of_any_one_file(tmp_path: Path, lost: str) -> None:
    run = write_run(tmp_path / "a")
    write_history(tmp_path)
    add_note(run, "first")
    add_note(run, "second")
    path = next(tmp_path.rglob(lost))
    path.unlink()
    write_history(tmp_path)
    assert (run / "note.md").read_text(encoding="utf-8") == "first\n\nsecond\n"
    assert [each["note"] for each in read_history(tmp_path)] == ["first\n\nsecond"]
    assert "\nfirst\n\nsecond\n" in page_in(tmp_path)


def test_a_note_on_the_page_outlives_its_run_and_the_data(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    write_history(tmp_path)
    add_note(run, "all that is left")
    (tmp_path / "history.jsonl").unlink()
    shutil.rmtree(run)
    write_history(tmp_path)
    assert [(each["run"], each["note"]) for each in read_history(tmp_path)] == [
        ("a", "all that is left")
    ]


def test_a_run_that_was_moved_keeps_its_note_and_has_one_entry(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_history(tmp_path)
    edit_note(tmp_path, "a", "kept")
    (tmp_path / "a").rename(tmp_path / "renamed")
    write_history(tmp_path)
    assert [(each["folder"], each["note"]) for each in read_history(tmp_path)] == [
        ("renamed", "kept")
    ]
    assert (tmp_path / "renamed" / "note.md").read_text(encoding="utf-8") == "kept\n"


def test_a_copied_run_is_a_second_entry(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_history(tmp_path)
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    write_history(tmp_path)
    assert sorted(each["folder"] for each in read_history(tmp_path)) == ["a", "copy"]


def test_another_run_in_the_same_folder_does_not_take_the_place_of_the_first(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "a", name="first")
    write_history(tmp_path)
    edit_note(tmp_path, "first", "of the first")
    write_history(tmp_path)
    shutil.rmtree(tmp_path / "a")
    write_run(tmp_path / "a", name="second", day=2)
    write_history(tmp_path)
    assert [(each["run"], each["note"]) for each in read_history(tmp_path)] == [
        ("first", "of the first"), ("second", ""),
    ]  # fmt: skip
    assert not (tmp_path / "a" / "note.md").exists()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("run.json", "{", "not valid JSON"),
        ("run.json", "[1]", "AttributeError"),
        ("config.yaml", "run: [", "config.yaml"),
        ("report/report.json", '{"gates": 3', "not valid JSON"),
        ("figures.json", '["x"]', "AttributeError"),
    ],
)
def test_a_broken_run_says_so_and_spoils_no_other(
    tmp_path: Path, file: str, text: str, told: str
) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", day=2)
    (tmp_path / "b" / file).write_text(text)
    write_history(tmp_path)
    assert states(tmp_path) == {"a": "finished", "b": "unreadable"}
    assert told in entry_of_page(page_in(tmp_path), "b")


def test_a_run_that_breaks_keeps_its_figures_and_its_note(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_history(tmp_path)
    edit_note(tmp_path, "a", "good")
    whole = (tmp_path / "a" / "run.json").read_text()
    (tmp_path / "a" / "run.json").write_text(whole[:40])
    write_history(tmp_path)
    [entry] = read_history(tmp_path)
    assert (entry["status"], entry["note"]) == ("unreadable", "good")
    assert entry["courses"][0]["best"]["value"] == 0.53125
    (tmp_path / "a" / "run.json").write_text(whole)
    write_history(tmp_path)
    assert [(each["status"], each["note"]) for each in read_history(tmp_path)] == [
        ("finished", "good")
    ]


def test_a_broken_run_that_is_mended_has_one_entry(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    whole = (tmp_path / "a" / "run.json").read_text()
    (tmp_path / "a" / "run.json").write_text("{")
    write_history(tmp_path)
    edit_note(tmp_path, "a", "what happened?")
    (tmp_path / "a" / "run.json").write_text(whole)
    write_history(tmp_path)
    assert [(each["status"], each["note"]) for each in read_history(tmp_path)] == [
        ("finished", "what happened?")
    ]


def test_a_run_cut_off_in_the_middle_of_a_line_tells_its_epochs_so_far(tmp_path: Path) -> None:
    write_run(tmp_path / "a", verdict=None)
    with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
        file.write('{"eval_loss": 0.9, "epo')
    write_history(tmp_path)
    [entry] = read_history(tmp_path)
    assert entry["status"] == "unfinished"
    assert [epoch["epoch"] for epoch in entry["courses"][0]["epochs"]] == [1.0, 2.0]


def test_what_is_no_run_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text("{}")  # of another program
    write_run(tmp_path / ".hidden" / "b")
    write_run(tmp_path / "a" / "hub" / "c")  # what lies in a run is its own
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_history(tmp_path)
    assert states(tmp_path) == {"a": "finished"}


def test_a_page_of_a_person_is_never_overwritten(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    (tmp_path / "HISTORY.md").write_text("# Release history\n")
    with pytest.raises(HfrunError, match=r"HISTORY.md: was not written by hfrun history"):
        write_history(tmp_path)
    assert keep_diary(run) is None
    assert page_in(tmp_path) == "# Release history\n"


def test_a_page_that_lost_a_marker_is_kept_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a")
    write_history(tmp_path)
    edit_note(tmp_path, "a", "do not lose me")
    page = page_in(tmp_path).replace("<!-- hfrun:note ends -->", "")
    (tmp_path / "HISTORY.md").write_text(page, encoding="utf-8")
    write_history(tmp_path)
    [kept] = tmp_path.glob("HISTORY.damaged-*.md")
    assert kept.read_text(encoding="utf-8") == page
    assert kept.name in capsys.readouterr().err


def test_damaged_lines_of_the_data_are_kept_beside_and_the_others_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name)
    write_history(tmp_path)
    for name in ("a", "b"):
        shutil.rmtree(tmp_path / name)
    first, second = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [first, second[:50], "[]", '{"id": 3}', '{"id": "x", "courses": 5}']
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    write_history(tmp_path)
    assert states(tmp_path) == {"a": "gone"}
    [kept] = tmp_path.glob("history.damaged-*.jsonl")
    assert kept.read_text() == "\n".join(lines)
    assert kept.name in capsys.readouterr().err


def test_runs_that_end_together_are_all_in_it(tmp_path: Path) -> None:
    def end(number: int) -> None:
        keep_diary(write_run(tmp_path / f"r{number}", day=number + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, range(8)))
    assert states(tmp_path) == {f"r{number}": "finished" for number in range(8)}
    assert page_in(tmp_path).count("\n## ") == 9
    assert not list(tmp_path.glob("*.damaged-*"))
    assert not list(tmp_path.glob(".*.partial"))


def test_notes_added_together_are_all_kept(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    write_history(tmp_path)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: add_note(run, f"note {number}"), range(6)))
    [entry] = read_history(tmp_path)
    assert sorted(entry["note"].split("\n\n")) == [f"note {number}" for number in range(6)]


def test_a_diary_elsewhere_follows_its_runs(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", verdict=None)
    write_history(tmp_path / "diary", runs=[tmp_path / "runs"])
    shutil.rmtree(tmp_path / "runs" / "a")
    write_run(tmp_path / "runs" / "a")
    write_history(tmp_path / "diary")
    assert [(each["folder"], each["status"]) for each in read_history(tmp_path / "diary")] == [
        ("../runs/a", "finished")
    ]


def test_a_walk_forward_tells_every_fold(tmp_path: Path) -> None:
    run = write_run(tmp_path / "walk")
    (run / "figures.json").unlink()
    stopped = {"rule": "above", "metric": "grad_norm", "value": 5.5, "limit": 5.0, "epoch": 2,
               "reason": "grad_norm 5.5 is above 5"}  # fmt: skip
    write_fold(run / "folds" / "000", EPOCHS, None)
    write_fold(run / "folds" / "001", EPOCHS[:1], None)
    write_fold(run / "folds" / "002", EPOCHS, stopped)
    write_history(tmp_path)
    told = entry_of_page(page_in(tmp_path), "walk")
    assert "\n- fold 0, 1: it ended after" not in told
    for line in (
        "| 1 | 1 | 1.0125 | 0.9875 | 0.5 | 0.4375 | 0.0625 | 1e-05 | 2.5 | 0.25 | best |",
        "| 2 | 2 | 0.8 | 0.95 | 0.625 | 0.53125 | 0.09375 | 1e-05 | 3.25 | 0.5 | best, stopped |",
        "- fold 0: it ended after 2 of 3 epochs",
        "- fold 1: it ended after 1 of 3 epochs",
        "- fold 2: `above` in epoch 2: grad_norm 5.5 is above 5",
        "Best epochs 2, 1, 2 by eval accuracy, 0.4375 to 0.53125 over 3 folds; test accuracy "
        r"0.5025 \[0.4875, 0.5175\]; verdict **fail**; failed gates: grad_norm.",
    ):
        assert f"\n{line}\n" in told


def study_in(folder: Path, **told: Any) -> Path:
    for number, status in enumerate(["done", "done", "diverged"]):
        score = {"eval_accuracy": 0.5 + 0.01 * number}
        result = {
            "status": status,
            "validation": score,
            "folder": f"{number:03d}",
            "values": {"dropout": 0.1 * number},
            "seed": 7,
        }
        write_run(folder / "trials" / f"{number:03d}", name=f"trial {number}", day=5 + number)
        path = folder / "trials" / f"{number:03d}.json"
        path.write_text(json.dumps({"result": result}))
    (folder / "trials" / "003.json").write_text('{"result": null}')
    (folder / "study").mkdir()
    held = {"kind": "sweep", "name": "dropout", "question": "does dropout pay?",
            "metric": "eval_accuracy", "higher_is_better": True} | told  # fmt: skip
    (folder / "study" / "sweep.json").write_text(json.dumps(held))
    return folder


def test_trials_of_a_study_are_counted_and_listed_only_on_demand(tmp_path: Path) -> None:
    study_in(tmp_path / "sweep")
    write_run(tmp_path / "sweep" / "adopted", day=9)
    write_history(tmp_path)
    assert states(tmp_path) == {"dropout": "unfinished", "adopted": "finished"}
    told = entry_of_page(page_in(tmp_path), "dropout")
    for line in (
        "- **Question**: does dropout pay?",
        "- 1 begun, 1 diverged, 2 done",
        "- Best trial by validation `eval_accuracy` 0.51: 001 (`dropout` 0.1; seed 7)",
    ):
        assert f"\n{line}\n" in told
    write_history(tmp_path, trials=True)
    assert len(read_history(tmp_path)) == 5
    add_note(tmp_path / "sweep" / "trials" / "001", "look at this one")
    write_history(tmp_path)
    assert states(tmp_path) == {
        "dropout": "unfinished", "adopted": "finished", "trial 1": "finished"
    }  # fmt: skip


def test_a_study_tells_its_answer_and_what_was_refused(tmp_path: Path) -> None:
    folder = study_in(tmp_path / "sweep", kind="study") / "study"
    analysis = {"answer": {"text": "not decided: 0.51 | 0.5"}, "findings": ["widen the bound"]}
    (folder / "analysis.json").write_text(json.dumps(analysis))
    line = {"candidate": 1, "verdict": "refuse", "reason": "the gain 0.01 is within the spread"}
    (folder / "candidates.jsonl").write_text(json.dumps(line) + "\n")
    write_history(tmp_path)
    told = entry_of_page(page_in(tmp_path), "dropout")
    assert "\n- not decided: 0.51 \\| 0.5\n- widen the bound\n" in told
    assert "\n- **refused**: the gain 0.01 is within the spread\n" in told


def test_the_diary_of_an_adopted_run_lies_beside_its_study(tmp_path: Path) -> None:
    run = write_run(study_in(tmp_path / "runs" / "sweep") / "adopted", day=9)
    assert keep_diary(run) == tmp_path / "runs" / "HISTORY.md"
    assert [each["run"] for each in read_history(tmp_path / "runs")] == ["adopted", "dropout"]


@pytest.mark.parametrize("gates", ["[3]", '[{"passed": false}]', '{"name": "x"}'])
def test_a_report_in_another_form_breaks_one_entry_alone(tmp_path: Path, gates: str) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", day=2)
    (tmp_path / "b" / "report" / "report.json").write_text(f'{{"gates": {gates}}}')
    write_history(tmp_path)
    assert states(tmp_path) == {"a": "finished", "b": "unreadable"}


def test_a_name_that_is_no_text_is_told_as_well_as_can_be(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    path = tmp_path / "a" / "run.json"
    path.write_text(path.read_text().replace('"hfrun train a"', '"hfrun train \\udcff \\u0000"'))
    write_history(tmp_path)
    assert [each["command"] for each in read_history(tmp_path)] == ["hfrun train ? \0"]


def test_runs_over_the_same_file_by_another_path_are_compared(tmp_path: Path) -> None:
    for day, name in enumerate(("a", "b"), start=1):
        write_run(tmp_path / name, day=day, data__train=f"/{name}/train.txt")
        path = tmp_path / name / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"data": [{"sha256": "f00"}]}))
    write_history(tmp_path)
    assert read_history(tmp_path)[1]["changes"] == [
        {"key": "data.train", "old": "/a/train.txt", "new": "/b/train.txt"}
    ]


def test_a_diary_inside_a_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a")
    with pytest.raises(HfrunError, match=f"is a run; .* give {tmp_path}$"):
        write_history(run)
    assert not (run / "HISTORY.md").exists()
