"""A sweep: every cell of a grid with every seed, compared by the validation score.

    run.output_dir/
    ├── trials/000 001 ...      the runs (``hfrun.study.trials``)
    └── study/                  sweep.json  trials.csv  sweep.md  result.svg  report.html

The folder may be run again with more values or more seeds: what is there already is taken from
it. The test part is judged in every trial, since each is an ordinary run, but nothing is chosen
by it.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfrun.config import AnyRunConfig, config_from
from hfrun.provenance import program_facts
from hfrun.study.grid import cells_of, check_cells, trial_config
from hfrun.study.outcome import outcome_of
from hfrun.study.score import score_of
from hfrun.study.sweep_files import write_sweep
from hfrun.study.trials import Trial, TrialResult, read_identity, run_trial, trial_identity
from lob_backtest.errors import ConfigError
from lob_backtest.files import sole_use
from lob_backtest.progress import announce
from lob_backtest.strict_yaml import as_dict


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """A finished sweep: its folder, and what ``study/sweep.json`` holds."""

    folder: Path
    outcome: dict[str, Any]

    @property
    def failed(self) -> int:
        """How many trials ended with an error of their own."""
        return int(self.outcome["counts"]["failed"])

    @property
    def page(self) -> Path:
        return self.folder / "study" / "report.html"


def run_sweep(raw: Mapping[str, Any], *, source: str) -> Sweep:
    """Run what of the sweep is not done yet, and write its tables and its page.

    Args:
        raw: the config as read, with a ``study`` section.
        source: named in messages.

    Raises:
        ConfigError: no study, or a grid with values that no run would accept.
    """
    config = config_from(dict(raw), source=source)
    if config.study is None:
        raise ConfigError(
            f"{source}: no study section; a sweep needs study.grid, e.g. "
            "study: {grid: {dropout: [0.3, 0.6]}, seeds: [0, 1, 2]}"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("a sweep is one process: start it without torchrun or accelerate launch")
    seeds = config.study.seeds
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"study.seeds={seeds}: a seed is there twice; it would count twice")
    cells = cells_of(config.study.grid)
    check_cells(raw, cells, source)
    folder = Path(config.run.output_dir)
    (folder / "study").mkdir(parents=True, exist_ok=True)
    with sole_use(folder / "study", what="another sweep"):
        trials = assigned(raw, cells, seeds, folder / "trials")
        return _run(raw, config, cells, trials, folder)


def assigned(
    raw: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], seeds: Sequence[int], root: Path
) -> list[Trial]:
    """The trials, cell by cell, each in the folder that it has or in the next free one."""
    records = sorted(root.glob("[0-9][0-9][0-9]*.json"))
    known = {read_identity(record): record.with_suffix("") for record in records}
    free = 1 + max((int(record.stem) for record in records), default=-1)
    trials: list[Trial] = []
    for values in cells:
        for seed in seeds:
            config = trial_config(raw, values, seed=seed, name="", folder="")
            folder = known.get(trial_identity(config))
            if folder is None:
                folder, free = root / f"{free:03d}", free + 1
            trials.append(Trial(number=len(trials), values=values, seed=seed, folder=folder))
    return trials


def _run(
    raw: Mapping[str, Any],
    config: AnyRunConfig,
    cells: Sequence[Mapping[str, Any]],
    trials: Sequence[Trial],
    folder: Path,
) -> Sweep:
    """One trial after the other; the table on disk grows with each."""
    results: list[TrialResult] = []
    seconds: list[float] = []
    for trial in trials:
        left = sum(not later.record.is_file() for later in trials[trial.number :])
        announce(
            f"trial {trial.number + 1} of {len(trials)}{_time_left(seconds, left)}: {trial.label}"
        )
        started = time.monotonic()
        results.append(run_trial(raw, trial))
        seconds.append(time.monotonic() - started)
        outcome = _outcome(config, cells, results, folder)
        write_sweep(outcome, folder / "study", with_page=trial is trials[-1])
    return Sweep(folder=folder, outcome=outcome)


def _time_left(seconds: Sequence[float], left: int) -> str:
    """By the trials that were run, not only read back."""
    run = [each for each in seconds if each > 1.0]
    return f" (about {sum(run) / len(run) * left / 60:.0f} min left)" if run else ""


def _outcome(
    config: AnyRunConfig,
    cells: Sequence[Mapping[str, Any]],
    results: Sequence[TrialResult],
    folder: Path,
) -> dict[str, Any]:
    """What sweep.json says: the study, its trials so far, its cells and their comparison."""
    study = config.study
    assert study is not None
    score = score_of(config)
    metric, higher = score.metric, score.higher_is_better
    return {
        "kind": "sweep",
        "name": config.run.name,
        "question": study.question,
        "metric": metric,
        "higher_is_better": higher,
        "grid": study.grid,
        "seeds": study.seeds,
        **outcome_of(cells, study.seeds, results, metric=metric, higher_is_better=higher),
        "trials": [
            {**result.as_dict(), "folder": os.path.relpath(result.folder, folder)}
            for result in results
        ],
        "provenance": {**program_facts(), "config": as_dict(config)},
    }
