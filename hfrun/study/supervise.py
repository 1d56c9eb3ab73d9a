"""Start a study's workers, tell of every trial that ends, and take a killed worker's place.

The workers are processes of their own (``hfrun study worker``) that only pull from the store, so
this one could be missing: a study goes on with whatever workers there are.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from optuna.trial import TrialState

from hfrun.errors import HfrunError
from hfrun.study.opened import OpenedStudy
from hfrun.study.study_data import StudyData, StudyTrial
from lob_backtest.progress import announce

_SECONDS_BETWEEN_LOOKS = 1.0
_PATIENCE_S = 20.0  # that a worker gets to end by itself
_REPLACED = 5  # workers in the place of killed ones, for each that was asked for


def supervise(opened: OpenedStudy, command: Sequence[str], *, workers: int) -> None:
    """Run a study with that many workers until all its trials have ended.

    Args:
        opened: the study; without a trial left nothing is started.
        command: arguments of ``hfrun`` that start a worker of it.
        workers: how many at a time.

    Raises:
        HfrunError: a worker ended with an error, or was killed too often; the study can be run
            again and goes on.
    """
    if opened.is_over():
        return
    crew = _Crew(opened, command, workers)
    told: set[int] = {trial.number for trial in opened.data().trials if trial.has_ended}
    announce(_begun(opened, told, workers))
    started, ended_before = time.monotonic(), len(told)
    try:
        while not opened.is_over():
            crew.look_after()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            data = opened.data()
            for trial in data.trials:
                if trial.has_ended and trial.number not in told:
                    told.add(trial.number)
                    left = _time_left(data, len(told) - ended_before, time.monotonic() - started)
                    announce(_line(opened, data, trial) + left)
        crew.wait()
    finally:
        crew.end()


class _Crew:
    """The worker processes."""

    def __init__(self, opened: OpenedStudy, command: Sequence[str], workers: int) -> None:
        self._command = [sys.executable, "-m", "hfrun.cli", *command]
        self._logs = opened.folder / "study" / "workers"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._environment = environment_of(workers)
        self._left = _REPLACED * workers
        self._running = [self._start(number) for number in range(workers)]

    def look_after(self) -> None:
        """Start another worker for each that was killed; an error of its own ends the study."""
        for number, worker in enumerate(self._running):
            code = worker.poll()
            if code is None or code == 0:
                continue
            if code > 0 or self._left == 0:
                raise HfrunError(self._why(number, code))
            self._left -= 1
            announce(f"worker {number} was ended by {_signal(code)}; another takes its place")
            self._running[number] = self._start(number)

    def wait(self) -> None:
        """Until the workers have seen that nothing is left to do."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and any(each.poll() is None for each in self._running):
            time.sleep(0.1)

    def end(self) -> None:
        """End those that still work; their trials are taken up when the study is run again."""
        for worker in self._running:
            if worker.poll() is None:
                worker.send_signal(signal.SIGINT)
        for worker in self._running:
            try:
                worker.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment, **_device_of(number)},
            )

    def _log(self, number: int) -> Path:
        return self._logs / f"worker-{number}.log"

    def _why(self, number: int, code: int) -> str:
        log = self._log(number)
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        if code < 0:
            return (
                f"worker {number} was ended by {_signal(code)} again and again; is memory short? "
                f"Use fewer workers (study.workers), and run the same command again; see {log}"
            )
        last = lines[-1] if lines else "without a word"
        return (
            f"worker {number} ended with {code}: {last}; the whole of it is in {log}. The study "
            "goes on from here when it is run again"
        )


def environment_of(workers: int) -> Mapping[str, str]:
    """The workers' environment: the cores shared between them, unless that was decided."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = max(1, (cores or 1) // workers)
    return {"OMP_NUM_THREADS": str(threads), **os.environ}


def _device_of(number: int) -> Mapping[str, str]:
    """Of several GPUs one for each worker in turn, unless that was decided."""
    import torch

    if "CUDA_VISIBLE_DEVICES" in os.environ or torch.cuda.device_count() < 2:
        return {}
    return {"CUDA_VISIBLE_DEVICES": str(number % torch.cuda.device_count())}


def _signal(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _begun(opened: OpenedStudy, ended: set[int], workers: int) -> str:
    trials = opened.store.trials()
    waiting = sum(trial.state == TrialState.WAITING for trial in trials)
    question = f"{opened.study.question} " if opened.study.question else ""
    done = f", {len(ended)} have ended before" if ended else ""
    many = "worker" if workers == 1 else "workers"
    return f"{question}{len(trials)} trials{done}, {waiting} wait, {workers} {many}"


def _line(opened: OpenedStudy, data: StudyData, trial: StudyTrial) -> str:
    """A trial that has ended, and how far the study is."""
    sign = 1 if data.higher_is_better else -1
    scores = [sign * (each.score or 0.0) for each in data.explored if each.is_feasible]
    best = f", best {sign * max(scores):.4g}" if scores else ""
    ended = sum(each.has_ended for each in data.trials)
    score = f" {trial.score:.4g}" if trial.score is not None else ""
    within = "" if trial.is_feasible or trial.status != "done" else ", outside its constraints"
    return (
        f"trial {trial.number} ({opened.label(trial.values)}): {trial.status}{score}{within}"
        f"{best}; {ended} of {len(data.trials)}"
    )


def _time_left(data: StudyData, ended: int, seconds: float) -> str:
    left = sum(not trial.has_ended for trial in data.trials)
    if left == 0 or ended == 0:
        return ""
    return f", about {seconds / ended * left / 60:.0f} min left"
