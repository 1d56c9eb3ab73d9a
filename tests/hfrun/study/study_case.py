"""A study of runs that take no time, and workers of it that can be killed."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

from hfrun.study import trials
from hfrun.study.opened import OpenedStudy, open_study
from hfrun.study.worker import work
from tests.hfrun.study.fake_runs import FakeRuns, raw_in

STUDY: dict[str, Any] = {
    "question": "does dropout pay?",
    "grid": {},
    "scientific": {"dropout": [0.3, 0.6]},
    "nuisance": {"weight_decay": {"low": 1e-4, "high": 0.1, "log": True}},
    "score": {"metric": "eval_accuracy"},
    "budget": {"trials": 6, "exploit": 2, "finalists": 1, "stretch": 2.0},
    "seeds": [0, 1],
}


def study_in(folder: Path, **changes: Any) -> dict[str, Any]:
    """A config of a study with its output in a folder."""
    return raw_in(folder, **{**STUDY, **changes})


def opened_in(folder: Path, **changes: Any) -> OpenedStudy:
    return open_study(study_in(folder, **changes), source="study.yaml")


def begun_runs(folder: Path) -> list[str]:
    """What ``killable_worker`` began: a line a run, with the trial's folder and the process."""
    path = folder / "begun.txt"
    return path.read_text().splitlines() if path.is_file() else []


def killable_worker(raw: dict[str, Any], folder: Path, *, seconds: float) -> Any:
    """A worker process whose runs take a while; each notes that it began and that it ended."""

    def body() -> None:
        runs = FakeRuns()

        def slow_run(config: Any) -> Any:
            name = Path(config.run.output_dir).name
            _note(folder / "begun.txt", name)
            time.sleep(seconds)
            Path(config.run.output_dir).mkdir(parents=True, exist_ok=True)
            for left in Path(config.run.output_dir).glob("checkpoint-*"):
                left.rmdir()
            summary = runs(config)
            _note(folder / "ended.txt", name)
            return summary

        trials.run_any = slow_run  # this process is the worker's own
        work(open_study(raw, source="study.yaml"))

    worker = multiprocessing.get_context("fork").Process(target=body)
    worker.start()
    return worker


def _note(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, f"{text} {os.getpid()}\n".encode())
    os.close(descriptor)
