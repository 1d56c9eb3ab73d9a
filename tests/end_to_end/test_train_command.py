"""`accelerate launch hfrun/train.py`: the run folder that it leaves, and what its figures say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lob_backtest.predictions import read_predictions

ROOT = Path(__file__).resolve().parents[2]
OVERRIDES = [
    "data.book.rows_per_day=2500",
    "training.num_train_epochs=2",
    "training.per_device_train_batch_size=32",
]


def launch(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The command as the README has it, on a smaller book."""
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "hfrun/train.py"),
        *("configs/smoke.yaml", f"run.output_dir={folder}", *OVERRIDES, *overrides),
    ]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
    )


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "run"
    done = launch(folder)
    assert done.returncode == 0, done.stderr
    assert "Verdict:" in done.stdout
    return folder


def log_events(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_run_folder_is_complete(run_folder: Path) -> None:
    expected = {
        "config.yaml", "run.json", "metrics.jsonl", "grad_norm.jsonl", "predictions.parquet",
        "validation_predictions.parquet", "model", "report", "baselines", "figures.json",
        "audit.json", "audit.txt", "calibration.json", "reliability.png", "reliability.svg",
        "diagnosis.json", "tensorboard",
    }  # fmt: skip
    names = {path.name for path in run_folder.iterdir() if not path.name.startswith("checkpoint-")}
    assert names == expected
    assert list(run_folder.glob("checkpoint-*"))
    assert run_folder.name in (run_folder.parent / "HISTORY.md").read_text(encoding="utf-8")
    assert {path.name for path in (run_folder / "report").iterdir()} >= {
        "report.json", "report.html",
    }  # fmt: skip


def test_run_json_says_where_the_result_came_from(run_folder: Path) -> None:
    run = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    assert run["seed"] == 0
    assert run["data"][0]["synthetic"]["rows_per_day"] == 2500
    assert {"torch", "transformers", "numpy", "vectorbt"} <= set(run["versions"])
    assert run["command"].startswith("train.py configs/smoke.yaml")
    assert run["verdict"] in ("pass", "fail")
    effective = yaml.safe_load((run_folder / "config.yaml").read_text(encoding="utf-8"))
    assert effective["training"]["num_train_epochs"] == 2


def test_logged_gradient_norm_percentiles_equal_those_of_the_recorded_steps(
    run_folder: Path,
) -> None:
    lines = (run_folder / "grad_norm.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    norms = np.array([step["norm"] for step in steps])
    events = log_events(run_folder)
    first = 0
    checked = 0
    for event in events:
        if "loss" not in event:
            continue
        window = norms[first : int(event["step"])]
        first = int(event["step"])
        assert event["grad_norm_p50"] == pytest.approx(np.percentile(window, 50), rel=1e-12)
        assert event["grad_norm_p95"] == pytest.approx(np.percentile(window, 95), rel=1e-12)
        checked += 1
    assert checked >= 3
    run = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    assert run["training"]["grad_norm_p50"] == pytest.approx(np.percentile(norms, 50), rel=1e-12)
    assert run["training"]["grad_norm_p95"] == pytest.approx(np.percentile(norms, 95), rel=1e-12)


def test_nothing_of_training_is_later_than_the_first_decision_that_is_predicted(
    run_folder: Path,
) -> None:
    test = read_predictions(run_folder / "predictions.parquet")
    validation = read_predictions(run_folder / "validation_predictions.parquet")
    assert int(validation.label_end_ns.max()) < int(test.decided_ns.min())
    assert int(validation.train_end_ns.max()) < int(validation.decided_ns.min())


def test_a_finished_run_is_not_trained_again(run_folder: Path) -> None:
    before = (run_folder / "metrics.jsonl").stat().st_mtime_ns
    done = launch(run_folder)
    assert done.returncode == 0, done.stderr
    assert (run_folder / "metrics.jsonl").stat().st_mtime_ns == before


def test_another_config_does_not_overwrite_a_run(run_folder: Path) -> None:
    before = (run_folder / "run.json").read_bytes()
    done = launch(run_folder, "training.learning_rate=0.5")
    assert done.returncode != 0
    assert "holds the run 'smoke' of another config" in done.stderr
    assert (run_folder / "run.json").read_bytes() == before
