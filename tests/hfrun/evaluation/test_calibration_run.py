"""``hfrun calibrate`` reads a finished run of either kind, and leaves whole files or none."""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hfrun.commands import calibrate as command
from hfrun.evaluation.calibration import calibrate
from hfrun.evaluation.calibration_plot import write_reliability_plot
from hfrun.evaluation.calibration_run import calibrate_finished, calibrate_run
from hfrun.evaluation.temperature import fit_temperature
from hfrun.evaluation.text_predictions import (
    TextPredictions,
    read_text_predictions,
    write_text_predictions,
)
from lob_backtest.command_line import run_command
from lob_backtest.predictions import read_predictions
from tests.hfrun.conftest import TinyRun
from tests.hfrun.evaluation.calibration_cases import drawn

FILES = ["calibration.json", "reliability.png", "reliability.svg"]
NAMES = ("awful", "bad", "so so", "good", "great")


def hfrun_calibrate(*words: str) -> int:
    """Exit code of the command, as `hfrun` would call it."""
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    return run_command(parser, ["calibrate", *words])


def write_texts(path: Path, seed: int, n: int, *, classes: int = 5) -> None:
    labels, probabilities = drawn(seed, n, classes=classes, sureness=1.8)
    table = TextPredictions(
        texts=tuple(f"text {i}" for i in range(n)),
        labels=labels,
        probabilities=probabilities,
        label_names=NAMES[:classes],
    )
    write_text_predictions(table, path)


@pytest.fixture
def text_run(tmp_path: Path) -> Path:
    """The folder of a run over texts, as far as calibration reads it."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"name": "tiny", "seed": 3}), encoding="utf-8")
    write_texts(run / "validation_predictions.parquet", 0, 500)
    write_texts(run / "predictions.parquet", 1, 900)
    return run


def test_a_run_over_texts_is_calibrated_by_its_seed(
    text_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = calibrate(*drawn(0, 500, sureness=1.8), *drawn(1, 900, sureness=1.8), seed=3)
    assert hfrun_calibrate(str(text_run), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(expected.as_dict()))
    assert json.loads((text_run / "calibration.json").read_text("utf-8")) == printed


def test_the_table_and_the_place_of_the_diagram_are_printed(
    text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hfrun_calibrate(str(text_run), "-o", str(tmp_path / "elsewhere")) == 0
    out = capsys.readouterr().out
    assert "Temperature 1." in out
    assert "The temperature improves the calibration" in out
    assert (tmp_path / "elsewhere" / "reliability.svg").resolve().as_uri() in out
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == FILES
    assert not (text_run / "calibration.json").exists()


def test_a_walk_forward_has_a_temperature_for_each_fold(finished_run: TinyRun) -> None:
    found = calibrate_run(finished_run.folder)
    validation, test = (
        read_predictions(finished_run.folder / name)
        for name in ("validation_predictions.parquet", "predictions.parquet")
    )
    assert [fold for fold, _ in found.folds] == test.folds
    assert len(found.folds) == 3
    for fold, own in found.folds:
        rows = (validation.fold == fold) & validation.is_labelled
        alone = fit_temperature(validation.label[rows], validation.probability[rows])
        assert own.value == alone.value
    assert found.n_test == int(test.is_labelled.sum())
    assert found.before.figures["accuracy"] == found.after.figures["accuracy"]


def test_a_run_that_is_not_finished_is_refused(
    text_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (text_run / "validation_predictions.parquet").unlink()
    assert hfrun_calibrate(str(text_run)) == 2
    error = capsys.readouterr().err
    assert "no validation_predictions.parquet in it, so the run is not finished" in error
    assert hfrun_calibrate(str(text_run.parent)) == 2
    assert "no run.json in it" in capsys.readouterr().err


def test_a_run_that_ends_without_known_labels_goes_on_without_a_calibration(
    text_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = calibrate_finished(text_run)
    assert found is not None
    assert (text_run / "calibration.json").is_file()
    path = text_run / "validation_predictions.parquet"
    table = read_text_predictions(path)
    write_text_predictions(replace(table, labels=np.full(table.n, -1)), path)
    assert calibrate_finished(text_run) is None
    assert "no calibration: validation has 500 rows and no known label" in capsys.readouterr().err


def test_damaged_predictions_and_other_classes_are_refused(
    text_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_texts(text_run / "validation_predictions.parquet", 0, 50, classes=3)
    assert hfrun_calibrate(str(text_run)) == 2
    assert "validation has the classes awful, bad, so so and test" in capsys.readouterr().err
    (text_run / "predictions.parquet").write_bytes(b"PAR1 and no more")
    assert hfrun_calibrate(str(text_run)) == 2
    assert "not a Parquet file, or a damaged one" in capsys.readouterr().err
    assert not (text_run / "calibration.json").exists()


def test_the_diagram_has_the_same_bytes_every_time(text_run: Path, tmp_path: Path) -> None:
    calibration = calibrate_run(text_run)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths = write_reliability_plot(calibration, tmp_path / name)
        assert [path.name for path in paths] == ["reliability.svg", "reliability.png"]
    for name in ("reliability.svg", "reliability.png"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
    svg = (tmp_path / "one" / "reliability.svg").read_text("utf-8")
    ece = calibration.compared["ece"]
    assert f"as trained: ECE {ece.before:.3f} [{ece.before_low:.3f}" in svg
    assert f"temperature {calibration.temperature:.2f}: ECE {ece.after:.3f}" in svg
    assert "the temperature improves the calibration" in svg


def test_a_model_that_says_the_same_everywhere_can_be_drawn(tmp_path: Path) -> None:
    labels, uniform = np.arange(20) % 2, np.full((20, 2), 0.5)
    calibration = calibrate(labels, uniform, labels, uniform, seed=0)
    assert calibration.temperature == 1.0
    assert calibration.claim == "no difference"
    assert [path.stat().st_size > 5000 for path in write_reliability_plot(calibration, tmp_path)]


def test_repeating_the_command_replaces_its_files_whole(text_run: Path) -> None:
    assert hfrun_calibrate(str(text_run)) == 0
    first = {name: (text_run / name).read_bytes() for name in FILES}
    shutil.copyfile(text_run / "run.json", text_run / "calibration.json")
    assert hfrun_calibrate(str(text_run)) == 0
    assert {name: (text_run / name).read_bytes() for name in FILES} == first
    assert not list(text_run.glob(".*"))
