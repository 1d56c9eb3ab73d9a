"""The diary of recorded runs has the tables of its source, to the digit."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hfrun.history import read_history, write_history
from tests.hfrun.history.runs_case import entry_of_page, tables_of

_COLUMNS = {
    "train loss": "train_loss", "eval loss": "eval_loss", "train accuracy": "train_accuracy",
    "eval accuracy": "eval_accuracy", "eval weighted F1": "eval_f1_weighted",
    "gradient norm before clipping": "grad_norm",
}  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


@pytest.fixture(scope="module")
def source(lob_data_dir: Path) -> Path:
    return lob_data_dir / "recorded_runs" / "runs.jsonl"


@pytest.fixture(scope="module")
def recorded(source: Path) -> list[dict[str, Any]]:
    """The runs with every number as it is spelled in the file."""
    lines = source.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_float=str, parse_int=str) for line in lines]


@pytest.fixture(scope="module")
def page(source: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("diary")
    return write_history(folder, runs=[], recorded=[source]).read_text(encoding="utf-8")


def test_every_epoch_of_every_run_stands_there_as_it_was_recorded(
    page: str, recorded: list[dict[str, Any]]
) -> None:
    assert {run["run"]: _epochs(page, run["run"]) for run in recorded} == {
        run["run"]: run["epochs"] for run in recorded
    }


def test_every_run_is_compared_by_figures_of_its_own(
    page: str, recorded: list[dict[str, Any]]
) -> None:
    head, *rows = tables_of(page)[0]
    assert [re.sub(r"\[(.*)\]\(.*\)", r"\1", row[0]) for row in rows] == [
        run["run"] for run in recorded
    ]
    for run, row in zip(recorded, rows, strict=True):
        held = dict(zip(head, row, strict=True))
        same = [each for each in run["epochs"] if each["epoch"] == held["best epoch"]]
        best: dict[str, str] = same[0] if same else {}
        told = {name: held[name] for name in _COLUMNS if held.get(name, "–") != "–"}
        assert told == {name: best[key] for name, key in _COLUMNS.items()
                        if key in best and name in head}  # fmt: skip
        assert held["test accuracy"] == run.get("test_accuracy", "–")


def test_the_test_accuracy_of_try6_is_the_one_of_its_log(page: str) -> None:
    row = next(row for row in tables_of(page)[0] if "llama-try6" in row[0])
    held = dict(zip(tables_of(page)[0][0], row, strict=True))
    assert held["train accuracy"] == "0.568"  # which its author took for the test accuracy
    assert held["test accuracy"] == "0.408"
    assert "test accuracy 0.408" in entry_of_page(page, "llama-try6")


def test_no_figure_of_an_entry_is_made_up(page: str, recorded: list[dict[str, Any]]) -> None:
    for run, previous in zip(recorded, [None, *recorded], strict=False):
        told = entry_of_page(page, run["run"])
        figures = told[: told.find("### Findings")] if "### Findings" in told else told
        figures += "".join(re.findall(r"### Conclusion\n\n(.*)", told))
        known = {*_numbers(run), *_gaps(run), *_numbers(previous)}
        assert set(_NUMBER.findall(_without_names(figures))) <= known


def test_a_computed_gap_is_said_to_be_computed(page: str) -> None:
    epochs = next(t for t in tables_of(entry_of_page(page, "deeplob-exp1")) if t[0][0] == "epoch")
    at = epochs[0].index("gap (computed)")
    assert [row[at] for row in epochs[1:]] == ["-0.0124", "0.1086", "0.2937", "0.3601", "0.3897"]


def test_a_run_without_epochs_says_so(page: str) -> None:
    told = entry_of_page(page, "deeplob-exp6")
    assert "No epoch was recorded." in told
    assert "There is nothing to conclude from." in told
    assert "| `grad_clip` | 1.0 | 0.8 |" in told


def test_recorded_runs_stay_in_the_diary_and_are_not_doubled(source: Path, tmp_path: Path) -> None:
    write_history(tmp_path, runs=[], recorded=[source])
    first = (tmp_path / "HISTORY.md").read_text(encoding="utf-8")
    write_history(tmp_path)
    write_history(tmp_path, recorded=[source])
    assert (tmp_path / "HISTORY.md").read_text(encoding="utf-8") == first
    assert len(read_history(tmp_path)) == 18


def _epochs(page: str, name: str) -> list[dict[str, str]]:
    tables = [t for t in tables_of(entry_of_page(page, name)) if t[0][0] == "epoch"]
    if not tables:
        return []
    [[head, *rows]] = tables
    names = {"epoch": "epoch", **_COLUMNS}
    return [
        {names[column]: cell for column, cell in zip(head, row, strict=True)
         if column in names and cell != "–"}
        for row in rows
    ]  # fmt: skip


def _numbers(held: Any) -> Iterator[str]:
    if isinstance(held, dict):
        for value in held.values():
            yield from _numbers(value)
    elif isinstance(held, list):
        for value in held:
            yield from _numbers(value)
    elif isinstance(held, str) and _NUMBER.fullmatch(held):
        yield held
        yield repr(float(held))  # 1e-7 is printed as 1e-07


def _gaps(run: dict[str, Any]) -> Iterator[str]:
    for epoch in run["epochs"]:
        gap = Decimal(epoch["train_accuracy"]) - Decimal(epoch["eval_accuracy"])
        yield repr(float(gap))


def _without_names(text: str) -> str:
    """Without links, names of runs, and what a config says in words."""
    lines = [line for line in text.splitlines()
             if not line.startswith(("### Changed", "| `dataset`", "| `model`"))]  # fmt: skip
    return re.sub(r"(llama|deeplob)-[\w.-]+", "", "\n".join(lines))
