"""Nothing of the test part's labels, or of its texts, reaches a training or a choice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hfrun.evaluation.text_predictions import read_text_predictions
from tests.hfrun.text_run_case import SIZES, TextHome

EVERYTHING = (
    "model.label_words=[awful, fine]",
    "training.metric_for_best_model=eval_accuracy", "training.loss.class_weights=balanced",
    "training.layer_decay=0.9",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> TextHome:
    made = TextHome.make(tmp_path_factory.mktemp("texts of somebody"))
    assert made.train(*EVERYTHING) == 0
    return made


def lines_of(home: TextHome) -> list[tuple[str, str]]:
    """Label and text of the test part."""
    lines = (home.home / "test.txt").read_text(encoding="utf-8").splitlines()
    return [(line.split(" ||| ")[0], line.split(" ||| ")[1]) for line in lines]


def run_with(home: TextHome, folder: Path, lines: list[tuple[str, str]], *given: str) -> Path:
    """The run folder of the same config over another test part."""
    folder.mkdir()
    test = folder / "test.txt"
    test.write_text("".join(f"{label} ||| {text}\n" for label, text in lines), encoding="utf-8")
    run = folder / "run"
    assert home.train(f"run.output_dir={run}", f"data.test={test}", *EVERYTHING, *given) == 0
    return run


def figures(folder: Path) -> dict[str, Any]:
    return {**json.loads((folder / "figures.json").read_text()), "seconds": 0, "test_texts": 0}


def assert_trained_alike(one: Path, other: Path) -> None:
    """Bit for bit: weights, choice of a checkpoint, validation, and the temperature."""
    for name in ("model/model.safetensors", "validation_predictions.parquet"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert figures(one) == figures(other)
    (before, after) = (json.loads((each / "calibration.json").read_text()) for each in (one, other))
    for name in ("temperature", "validation_before", "validation_after"):
        assert before[name] == after[name], name


def judged(folder: Path) -> Any:
    return json.loads((folder / "report/report.json").read_text())["folds"][0]


def test_other_labels_of_the_test_texts_change_how_a_run_is_judged_and_nothing_else(
    home: TextHome, tmp_path: Path
) -> None:
    lines = lines_of(home)
    labels = np.random.default_rng(0).permutation([label for label, _ in lines])
    shuffled = [(str(label), text) for label, (_, text) in zip(labels, lines, strict=True)]
    run = run_with(home, tmp_path / "shuffled", shuffled)
    assert_trained_alike(home.folder, run)
    want, got = (read_text_predictions(each / "predictions.parquet") for each in (home.folder, run))
    assert got.texts == want.texts
    np.testing.assert_array_equal(got.probabilities, want.probabilities)
    assert judged(home.folder)["accuracy"] > 0.9
    assert judged(run)["accuracy"] < 0.8


def test_test_labels_that_nobody_knows_change_nothing_but_which_texts_are_judged(
    home: TextHome, tmp_path: Path
) -> None:
    lines = lines_of(home)
    blank = [("?", text) if number % 3 else (label, text) for number, (label, text) in
             enumerate(lines)]  # fmt: skip
    count = sum(label == "?" for label, _ in blank)
    accept = f"{{near_duplicates_across_splits: 500, unknown_labels: {count}}}"
    run = run_with(home, tmp_path / "blank", blank, f"data.audit.accept={accept}")
    assert_trained_alike(home.folder, run)
    want, got = (read_text_predictions(each / "predictions.parquet") for each in (home.folder, run))
    assert got.texts == want.texts[::3]
    np.testing.assert_allclose(got.probabilities, want.probabilities[::3], rtol=0, atol=1e-6)
    assert judged(run)["n"] == SIZES["test"] - count


def test_other_test_texts_change_no_weight_and_no_choice(home: TextHome, tmp_path: Path) -> None:
    fewer = [(label, f"{text} and very") for label, text in lines_of(home)[::-1][:30]]
    assert_trained_alike(home.folder, run_with(home, tmp_path / "other", fewer))
