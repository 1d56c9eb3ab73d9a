"""A sweep of real trainings: each trial is the ordinary run of its config, to the last figure."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfrun.config import config_from
from hfrun.runs import run_any
from hfrun.study.sweep import run_sweep
from hfrun.study.trials import Trial, run_trial
from lob_backtest.predictions import read_predictions

RAW = {
    "run": {"name": "real", "output_dir": "out"},
    "data": {
        "book": {"days": 1, "rows_per_day": 1500, "levels": 2, "signal": 1.0, "seed": 0},
        "decisions": {"every_events": 5},
        "label": {"kind": "mid_move", "horizon_events": 20},
        "window": 10,
    },
    "model": {"type": "mlp"},
    "training": {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 32,
        "learning_rate": 1.0e-3,
        "metric_for_best_model": "eval_accuracy",
        "schedule": {"name": "one_cycle"},
    },
    "callbacks": {"gap_samples": 32},
    "study": {"grid": {"dropout": [0.1, 0.5]}, "seeds": [0, 1]},
}


def raw_in(folder: Path) -> dict:
    raw = json.loads(json.dumps(RAW))
    raw["run"]["output_dir"] = str(folder)
    return raw


@pytest.mark.slow
def test_each_trial_of_a_sweep_is_the_ordinary_run_of_its_config(tmp_path: Path) -> None:
    sweep = run_sweep(raw_in(tmp_path / "sweep"), source="real.yaml")
    assert sweep.outcome["counts"] == {"done": 4, "failed": 0, "diverged": 0}
    last = sweep.outcome["trials"][-1]
    assert (last["values"], last["seed"]) == ({"dropout": 0.5}, 1)
    alone = raw_in(tmp_path / "alone")
    del alone["study"]
    alone["run"]["seed"] = 1
    alone["callbacks"]["dropout_schedule"] = {"points": {0: 0.5}}
    summary = run_any(config_from(alone, source="alone"))
    ours, theirs = (
        read_predictions(folder / "predictions.parquet")
        for folder in (sweep.folder / last["folder"], tmp_path / "alone")
    )
    np.testing.assert_array_equal(ours.probability, theirs.probability)
    assert last["test"]["accuracy"]["value"] == summary.report["aggregate"]["accuracy"]["value"]
    others = [read_predictions(sweep.folder / trial["folder"] / "predictions.parquet")
              for trial in sweep.outcome["trials"][:-1]]  # fmt: skip
    assert all(not np.array_equal(each.probability, ours.probability) for each in others)


@pytest.mark.slow
def test_a_rate_that_is_far_too_high_diverges_and_is_counted(tmp_path: Path) -> None:
    raw = raw_in(tmp_path)
    raw["training"]["max_grad_norm"] = 1.0e30
    raw["stop_rules"] = [{"rule": "non_finite"}]
    values = {"training.learning_rate": 1.0e30}
    trial = Trial(number=0, values=values, seed=0, folder=tmp_path / "trials" / "000")
    result = run_trial(raw, trial)
    assert result.status == "diverged"
