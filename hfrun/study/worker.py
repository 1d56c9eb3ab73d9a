"""A worker: pulls the next trial of a study, runs it, notes what came of it, and again.

    lock the trial ─► mark it as running ─► decide its values ─► run_trial ─► result ─► state

Killed anywhere in between, the lock is free and the state is not the last one: the next worker
that looks takes the trial up, in its folder, from its newest checkpoint.
"""

import os
import signal
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import WilcoxonPruner
from optuna.trial import FrozenTrial, TrialState

from hfrun.study.grid import trial_config, value_at
from hfrun.study.locks import PLAN, Release
from hfrun.study.opened import OpenedStudy
from hfrun.study.plan import Planned, may_begin, stretched, values_for
from hfrun.study.trial_figures import Figures
from hfrun.study.trials import Pruned, Trial, TrialResult, run_trial
from lob_backtest.progress import announce

_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_BEGUN = 4  # a trial that ends its worker again and again would end every worker
# Why there is nothing to try.
_NOTHING = {
    "explore": "the design has no values for it",
    "exploit": "every point of the space has been tried",
    "finalist": "fewer trials are feasible than there were to be finalists",
}
_STATES = {
    "done": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """A trial whose lock this worker holds."""

    trial: FrozenTrial
    planned: Planned
    release: Release


def worker_name() -> str:
    """Machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work(opened: OpenedStudy) -> int:
    """Run trials until all have ended, or the study's hours are over; gives how many it ran."""
    ran = 0
    while True:
        claim = _claim(opened)
        if claim is None:
            if opened.is_over():
                return ran
            time.sleep(_SECONDS_BETWEEN_LOOKS)  # others are at work on what the rest waits for
            continue
        try:
            _run(opened, claim)
        except BaseException as error:  # Ctrl-C, a full disk: the trial did not end its worker
            _note_left(opened, claim, type(error).__name__)
            raise
        finally:
            claim.release()
        ran += 1


def _claim(opened: OpenedStudy) -> Claim | None:
    """Lock a trial that was left by its worker, or else the next that may begin."""
    trials = opened.store.trials()
    data = opened.trials_of(trials)
    left = [each for each in trials if each.state == TrialState.RUNNING]
    waiting = [each for each in trials if each.state == TrialState.WAITING]
    if opened.is_out_of_time():
        waiting = []
    for trial in [*left, *sorted(waiting, key=opened.order)]:
        planned = Planned(**trial.user_attrs["plan"])
        if trial.state == TrialState.WAITING and not may_begin(planned, data):
            continue
        release = opened.store.locks.take(trial.number)
        if release is None:
            continue
        now = opened.store.trial(trial.number)
        if not now.state.is_finished():
            return Claim(trial=now, planned=planned, release=release)
        release()
    return None


def _note_left(opened: OpenedStudy, claim: Claim, why: str) -> None:
    """As well as it can be: of a full disk nothing is noted, and the end counts as a silent one."""
    with suppress(Exception), _deaf_to_ctrl_c():
        opened.store.left(claim.trial, why=why)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """One is enough, and a worker gets two: from the terminal, and from who started it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(opened: OpenedStudy, claim: Claim) -> None:
    store, trial, planned = opened.store, claim.trial, claim.planned
    is_begun = "begun" in trial.user_attrs
    begun = store.begin(trial, worker=worker_name())
    values = trial.user_attrs.get("values") or _decided(opened, claim)
    if values is None:
        _end_without_run(opened, claim, _NOTHING[planned.phase])
        return
    if begun > _MOST_BEGUN:
        _end_without_run(opened, claim, f"its worker ended {begun - 1} times without a word")
        return
    values = opened.space.as_listed(values)
    told = f"trial {trial.number} ({planned.phase}{', taken up again' if is_begun else ''})"
    announce(f"{told}: {opened.label(values)}")
    _end(opened, claim, _trained(opened, claim, values))


def _decided(opened: OpenedStudy, claim: Claim) -> Mapping[str, Any] | None:
    """Decide what a trial tries and note it, one worker at a time: the next sees it running."""
    release = opened.store.locks.wait(PLAN)
    try:
        values = values_for(
            claim.planned,
            opened.space,
            opened.trials_of(opened.store.trials()),
            seeds=len(opened.study.seeds),
            higher_is_better=opened.score.higher_is_better,
            seed=opened.study.design_seed,
        )
        if values is not None:
            opened.store.set_values(claim.trial, values, opened.space)
    finally:
        release()
    return values


def _trained(opened: OpenedStudy, claim: Claim, values: Mapping[str, Any]) -> TrialResult:
    """The trial's run, or what it left when it has ended before."""
    trial, planned = claim.trial, claim.planned
    raw: Mapping[str, Any] = opened.raw
    if planned.phase == "finalist":
        config = trial_config(raw, values, seed=planned.seed, name="", folder="")
        config = stretched(config, opened.study.budget.stretch)
        raw = {**config, "run": raw.get("run") or {}}
        values = {key: value_at(config, key) for key in values}
    pruner = _pruner(opened)

    def after_fold(number: int, figures: Figures) -> None:
        score = opened.score.value(figures)
        if score is None:
            return
        now = opened.store.report(trial, number, score)
        if (
            pruner is not None
            and planned.phase != "finalist"
            and pruner.prune(opened.store.without_finalists(), now)
        ):
            scores = [now.intermediate_values[step] for step in sorted(now.intermediate_values)]
            raise Pruned(
                f"after {len(scores)} folds of mean {sum(scores) / len(scores):.4g} worse than the "
                "best trial's"
            )

    ordered = Trial(
        number=trial.number,
        values=values,
        seed=planned.seed,
        folder=opened.trial_folder(trial.number),
        kind="walk-forward" if opened.study.folds else "train",
    )
    return run_trial(raw, ordered, after_fold=after_fold)


def _pruner(opened: OpenedStudy) -> WilcoxonPruner | None:
    pruning = opened.study.pruning
    if pruning is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # nothing a user could do about
        return WilcoxonPruner(p_threshold=pruning.p, n_startup_steps=pruning.least_folds)


def _end(opened: OpenedStudy, claim: Claim, result: TrialResult) -> None:
    """Note the result, then the state: a worker that is killed in between does both again."""
    constraints = opened.score.judged(result)
    score = opened.score.value(result.validation)
    held = {**result.as_dict(), "folder": os.path.relpath(result.folder, opened.folder)}
    opened.store.note(claim.trial, "result", held)
    opened.store.note(claim.trial, "judged", [dict(each) for each in constraints])
    state = _STATES[result.status]
    if state == TrialState.COMPLETE and score is None:
        state = TrialState.FAIL
    opened.store.end(claim.trial, state=state, score=score, constraints=constraints)
    shown = "" if score is None else f", {opened.score.metric} {score:.4g}"
    unmet = [each["name"] for each in constraints if not each["met"]]
    announce(
        f"trial {claim.trial.number} {result.status}{shown}"
        + (f", not within {', '.join(unmet)}" if unmet else "")
    )


def _end_without_run(opened: OpenedStudy, claim: Claim, reason: str) -> None:
    announce(f"trial {claim.trial.number} failed: {reason}")
    opened.store.note(claim.trial, "error", reason)
    opened.store.end(claim.trial, state=TrialState.FAIL, score=None, constraints=())
