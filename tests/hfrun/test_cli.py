"""The `hfrun` command: results on standard output, everything else beside it, and its options."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification

from hfrun import fold_trainer
from hfrun.cli import main as hfrun
from lob_backtest.book import read_book
from tests.hfrun.conftest import TinyRun
from tests.terminal import stderr_on_a_terminal

EXIT_CODES = {"walk-forward": 3, "train": 0}  # exit code where the gates fail


@pytest.mark.parametrize("command", EXIT_CODES)
def test_json_on_standard_output_is_the_summary_alone(
    command: str, unstarted_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unstarted_run.again("--json", command=command) == EXIT_CODES[command]
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    report = json.loads((unstarted_run.folder / "report/report.json").read_text("utf-8"))
    assert found["gates"] == report["gates"]
    assert found["aggregate"] == report["aggregate"]
    assert (found["verdict"], found["published"]) == ("fail", None)
    assert f"fold 1 of {len(report['folds'])}: training in" in captured.err
    assert "epoch 1.00: " in captured.err
    assert "\r" not in captured.err


def test_on_a_terminal_there_is_a_bar_and_json_is_still_alone(
    unstarted_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    with stderr_on_a_terminal() as shown:
        assert unstarted_run.again("--json", command="train") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fail"
    assert "fold 1 of 1: training in" in shown.text
    assert "100%|" in shown.text
    assert "epoch 1.00: gradient" in shown.text
    assert "eval loss" in shown.text
    assert "{'" not in shown.text  # no dicts


def test_without_json_the_summary_says_what_to_try_next(
    own_run: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert own_run.again() == 3
    printed = capsys.readouterr().out
    assert printed.startswith("Found, over 3 test folds and ")
    assert "Verdict: FAIL" in printed
    assert "What to try next:\n  - no lift over the best simple baseline" in printed
    assert printed.splitlines()[-1] == f"Report: {(own_run.folder / 'report/report.html').as_uri()}"


def test_an_expanding_walk_forward_trains_on_all_that_came_before(
    unstarted_run: TinyRun,
) -> None:
    assert unstarted_run.again("walk_forward.mode=expanding") == 3
    run = json.loads((unstarted_run.folder / "run.json").read_text("utf-8"))
    folds = run["training"]["folds"]
    sizes = [fold["train_decisions"] for fold in folds]
    purged = 100 - sizes[0]
    # each test block of 60 decisions joins the train part of the folds after it
    assert sizes == [100 - purged, 160 - purged, 220 - purged]


def test_sample_weights_by_move_are_the_clipped_moves_of_the_train_part(
    unstarted_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    make: Callable[..., Any] = fold_trainer.decision_dataset

    def recorded(**named: Any) -> Any:
        if named.get("sample_weight") is not None:
            given.append(named)
        return make(**named)

    monkeypatch.setattr(fold_trainer, "decision_dataset", recorded)
    overrides = ["training.loss.sample_weights=move",
                 "training.loss.clip_sample_weights=[0.5, 2.0]"]  # fmt: skip
    assert unstarted_run.again(*overrides, command="train") == 0
    book = read_book(unstarted_run.book)
    mid = (book.ask_ticks[:, 0] + book.bid_ticks[:, 0]) / 2
    rows = given[-1]["rows"]
    move = np.abs(mid[rows + 10] - mid[rows])  # the label's horizon is 10 rows
    clipped = np.clip(move / move.mean(), 0.5, 2.0)
    np.testing.assert_allclose(given[-1]["sample_weight"], clipped / clipped.mean(), rtol=1e-12)
    assert len(np.unique(clipped)) > 2


def test_sample_weights_change_what_is_learnt(unstarted_run: TinyRun) -> None:
    weights = []
    for name, kind in (("a", "none"), ("b", "move")):
        folder = unstarted_run.home / name
        overrides = [f"run.output_dir={folder}", f"training.loss.sample_weights={kind}"]
        assert unstarted_run.again(*overrides, command="train") == 0
        weights.append(load_file(folder / "model/model.safetensors"))
    assert not np.array_equal(weights[0]["head.weight"], weights[1]["head.weight"])


def test_published_weights_are_imported_by_the_command(
    lob_data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lob_data_dir / "reference" / "deeplob_pytorch_published.safetensors"
    if not file.is_file():
        pytest.skip(f"no {file.name} in LOB_DATA_DIR/reference")
    folder = tmp_path / "model"
    assert hfrun(["import", "deeplob-published", str(file), "-o", str(folder)]) == 0
    assert f"from_pretrained({str(folder)!r})" in capsys.readouterr().out
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.num_parameters() == 143_907
    assert model.config.id2label == {0: "up", 1: "stationary", 2: "down"}


def test_weights_that_are_not_the_published_ones_are_refused_in_one_message(
    finished_run: TinyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = finished_run.folder / "model/model.safetensors"
    code = hfrun(["import", "deeplob-published", str(file), "-o", str(tmp_path / "model")])
    error = capsys.readouterr().err
    assert (code, error.count("error: ")) == (2, 1)
    assert "these are not the published DeepLOB weights" in error
    assert not (tmp_path / "model").exists()
