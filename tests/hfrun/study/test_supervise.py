"""``hfrun study``: real workers as processes of their own, a real training, and the page."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hfrun.cli import main
from hfrun.study.opened import open_study
from hfrun.study.supervise import environment_of, supervise
from lob_backtest.strict_yaml import load_yaml

TINY: dict[str, Any] = {
    "run": {"name": "tiny"},
    "data": {
        "book": {"days": 1, "rows_per_day": 2000, "levels": 2, "signal": 1.0, "seed": 0},
        "decisions": {"every_events": 10},
        "label": {"kind": "mid_move", "horizon_events": 20},
        "window": 10,
        "normalize": {"prices": "slow_mean", "slow_mean_rows": 100, "sizes": "log"},
    },
    "model": {"type": "linear"},
    "training": {"num_train_epochs": 1, "per_device_train_batch_size": 64, "logging_steps": 5},
    "callbacks": {"gap_samples": 32},
    "study": {
        "question": "does the rate matter?",
        "scientific": {"training.learning_rate": [1e-3, 1e-2]},
        "score": {"constraints": [{"metric": "parameters", "at_most": 1000},
                                  {"metric": "latency_ms", "at_most": 1000}]},
        "budget": {"trials": 2},
    },
}  # fmt: skip


def config_in(folder: Path, **study: Any) -> Path:
    raw = json.loads(json.dumps(TINY))
    raw["run"]["output_dir"] = str(folder / "out")
    raw["study"] |= study
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_a_study_is_run_shown_and_read_back_by_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_in(tmp_path)
    assert main(["study", "run", str(config)]) == 0
    told = capsys.readouterr()
    assert "does the rate matter?" in told.out
    lines = [line for line in told.err.splitlines() if line.startswith("trial ")]
    assert [line.partition("): ")[2].split()[0] for line in lines] == ["done", "done"]
    assert lines[1].endswith("; 2 of 2")
    study = tmp_path / "out" / "study"
    held = json.loads((study / "study.json").read_text())
    assert [trial["status"] for trial in held["trials"]] == ["done", "done"]
    names = [each["name"] for each in held["trials"][0]["constraints"]]
    assert names == ["parameters", "latency_ms"]
    assert all(each["value"] > 0 for each in held["trials"][0]["constraints"])
    assert (tmp_path / "out" / "trials" / "001" / "report" / "report.html").is_file()
    assert "learning rate" in (study / "report.html").read_text().lower()
    logs = list((study / "workers").iterdir())
    before = [log.stat().st_mtime_ns for log in logs]
    assert main(["study", "run", str(config)]) == 0  # nothing is left to do, nobody is started
    assert [log.stat().st_mtime_ns for log in logs] == before
    capsys.readouterr()
    assert main(["study", "show", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["done"] == 2


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_trial_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decay = {"training.weight_decay": {"low": 1e-4, "high": 0.1, "log": True}}
    config = config_in(tmp_path, workers=2, nuisance=decay, budget={"trials": 6})
    raw = load_yaml(config)
    opened = open_study(raw, source="study.yaml")
    killed: list[int] = []

    def kill() -> None:
        """The worker of the first trial that is begun."""
        while not killed:
            time.sleep(0.05)
            for trial in opened.store.trials():
                begun = trial.user_attrs.get("begun")
                if begun and not trial.state.is_finished():
                    pid = int(begun[-1]["worker"].rpartition(":")[2])
                    os.kill(pid, signal.SIGKILL)
                    killed.append(trial.number)
                    return

    assassin = threading.Thread(target=kill)
    assassin.start()
    supervise(opened, ["study", "worker", str(config)], workers=2)
    assassin.join()
    assert "was ended by SIGKILL; another takes its place" in capsys.readouterr().err
    trials = opened.store.trials()
    assert [trial.status for trial in opened.data().trials] == ["done"] * 6
    begun = [len(trial.user_attrs["begun"]) for trial in trials]
    assert sorted(begun) == [1, 1, 1, 1, 1, 2]
    assert begun[killed[0]] == 2


def test_an_error_of_a_worker_ends_the_study_with_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_in(tmp_path)
    opened = open_study(load_yaml(config), source="study.yaml")
    with pytest.raises(Exception, match=r"worker 0 ended with 2: .*no such config file"):
        supervise(opened, ["study", "worker", str(tmp_path / "gone.yaml")], workers=1)
    assert [trial.status for trial in opened.data().trials] == ["waiting", "waiting"]


def test_workers_share_the_cores_unless_that_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment_of(3)["OMP_NUM_THREADS"] == "2"
    assert environment_of(20)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert environment_of(3)["OMP_NUM_THREADS"] == "5"


@pytest.mark.slow
def test_a_trial_over_folds_is_pruned_when_its_folds_are_worse_than_the_bests(
    tmp_path: Path,
) -> None:
    raw = json.loads(json.dumps(TINY))
    raw["run"]["output_dir"] = str(tmp_path / "out")
    raw["walk_forward"] = {"mode": "rolling", "unit": "decisions", "train": 60, "validation": 20,
                           "test": 20}  # fmt: skip
    raw["training"]["per_device_train_batch_size"] = 16
    raw["study"] = {
        "question": "does the rate matter?",
        "design_seed": 1,  # by which the better rate is the first
        "scientific": {"training.learning_rate": [1e-2, 1e-7]},
        "score": {"metric": "eval_loss"},
        "budget": {"trials": 2},
        "folds": True,
        "pruning": {"p": 0.3, "least_folds": 2},
    }
    from hfrun.study.worker import work

    opened = open_study(raw, source="study.yaml")
    work(opened)
    first, second = opened.data().trials
    assert first.status == "done"
    assert len(first.folds) > 3
    assert first.score == pytest.approx(sum(first.folds) / len(first.folds))
    assert second.status == "pruned"
    assert 2 <= len(second.folds) < len(first.folds)
    assert sum(second.folds) > sum(first.folds[: len(second.folds)])
