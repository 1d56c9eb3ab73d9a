"""Where a study's trials are kept: Optuna's, in a journal file or a PostgreSQL database.

    study/journal.log   study/locks/     workers of one machine
    postgresql://...                     workers of several machines

Workers share nothing else. A trial belongs to whoever holds its lock (``hfrun.study.locks``); its
state, values, result and how often it was begun are Optuna's, so that any tool that reads an
Optuna study reads this one too.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from hfrun.errors import HfrunError
from hfrun.study.locks import PLAN, FileLocks, Locks, PostgresLocks
from hfrun.study.plan import PHASES, Planned
from hfrun.study.space import Parameter, Space

POSTGRES = ("postgresql://", "postgres://")
# What Optuna keeps the violations of constraints under; above 0 is not met.
_CONSTRAINTS = "constraints"
_TABLES = "the tables of all studies"
_POINT = (bool, int, float, str)


class JournalLock:
    """A lock on the journal that a killed worker lets go of, and that cuts off what it half wrote.

    Args:
        path: of the journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[int] = []

    def acquire(self) -> bool:
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._held.append(descriptor)
        _cut_torn_line(self._path)
        return True

    def release(self) -> None:
        os.close(self._held.pop())


@dataclass(frozen=True, kw_only=True, eq=False)
class Store:
    """A study's trials and who works on them."""

    study: optuna.Study
    storage: BaseStorage
    locks: Locks

    def trials(self) -> list[FrozenTrial]:
        """Of the moment, by number."""
        return sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number)

    def trial(self, number: int) -> FrozenTrial:
        return self.trials()[number]

    def without_finalists(self) -> optuna.Study:
        """The short trials that are done, as a study in memory: the long ones do not compare."""
        short = optuna.create_study(direction=self.study.direction)
        short.add_trials(
            trial
            for trial in self.trials()
            if trial.state == TrialState.COMPLETE
            and trial.user_attrs["plan"]["phase"] != PHASES[-1]
        )
        return short

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        return float(self.study.user_attrs["created_at"])

    def begin(self, trial: FrozenTrial, *, worker: str) -> int:
        """Mark a trial as running, by who holds its lock.

        Returns:
            How often it was begun, without the times that ended with ``left``.
        """
        if trial.state == TrialState.WAITING:
            self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        begun = [*trial.user_attrs.get("begun", []), {"worker": worker, "at": time.time()}]
        self.note(trial, "begun", begun)
        return sum("left" not in each for each in begun)

    def left(self, trial: FrozenTrial, *, why: str) -> None:
        """Note that its worker left it for no fault of the trial's, such as Ctrl-C."""
        begun = self.trial(trial.number).user_attrs.get("begun", [])
        if begun:
            self.note(trial, "begun", [*begun[:-1], {**begun[-1], "left": why}])

    def set_values(self, trial: FrozenTrial, values: Mapping[str, Any], space: Space) -> None:
        """Note what is tried, under Optuna's names too."""
        known = self.trial(trial.number).params
        for key, value in values.items():
            if key not in known:
                held, distribution = _param(key, value, space)
                internal = distribution.to_internal_repr(held)
                self.storage.set_trial_param(trial._trial_id, key, internal, distribution)
        self.note(trial, "values", dict(values))

    def note(self, trial: FrozenTrial, name: str, value: Any) -> None:
        self.storage.set_trial_user_attr(trial._trial_id, name, value)

    def report(self, trial: FrozenTrial, step: int, value: float) -> FrozenTrial:
        """Note the score of a fold; gives the trial with it."""
        self.storage.set_trial_intermediate_value(trial._trial_id, step, value)
        return self.trial(trial.number)

    def end(
        self,
        trial: FrozenTrial,
        *,
        state: TrialState,
        score: float | None,
        constraints: Sequence[Mapping[str, Any]],
    ) -> None:
        """The last word on a trial: what it came to is noted before."""
        if constraints:
            violations = [float(each["violation"]) for each in constraints]
            self.storage.set_trial_system_attr(trial._trial_id, _CONSTRAINTS, violations)
        values = [score] if state == TrialState.COMPLETE and score is not None else None
        self.storage.set_trial_state_values(trial._trial_id, state, values)


def open_store(
    address: str | None,
    folder: Path,
    *,
    name: str,
    identity: Mapping[str, Any],
    higher_is_better: bool,
    plan: Sequence[Planned],
) -> Store:
    """The study's store, made with its planned trials at the first time.

    Args:
        address: of a database, or None for a journal in the folder.
        folder: of the study.
        name: of the study in the database; a journal holds but one.
        identity: what its trials depend on; that of the store has to be the same.
        higher_is_better: of the score.
        plan: all trials; those that the store lacks are added.

    Raises:
        HfrunError: the store holds another study, or cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage, locks = _storage(address, folder, name)
    release = locks.wait(PLAN)
    try:
        if address is None:
            name = _name_in(storage, name)
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
        )
        held, digest = study.user_attrs.get("identity"), _digest(identity)
        # without finalists nothing is stretched, and a larger budget may bring the first of them
        if held not in (None, digest, _digest({**identity, "stretch": None})):
            raise HfrunError(
                f"{_place(address) if address else folder}: holds a study of another config or "
                "question; choose another run.output_dir, or remove the folder to start anew "
                "(only study.budget may grow)"
            )
        if held is None:
            study.set_user_attr("created_at", time.time())
            study.set_user_attr("identity", digest)
        store = Store(study=study, storage=storage, locks=locks)
        _add_missing(store, plan)
        if held not in (None, digest):
            study.set_user_attr("identity", digest)
    finally:
        release()
    return store


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def _name_in(storage: BaseStorage, name: str) -> str:
    """The name that the journal's study was made with: a run may be named anew, and moved."""
    held = [study.study_name for study in storage.get_all_studies()]
    return name if name in held or not held else held[0]


def _add_missing(store: Store, plan: Sequence[Planned]) -> None:
    """Enqueue planned trials that are not there: all of them, or what a larger budget added."""
    planned = [trial.user_attrs["plan"] for trial in store.trials()]
    for phase in PHASES:
        there = sum(each["phase"] == phase for each in planned)
        wanted = [each for each in plan if each.phase == phase]
        if there > len(wanted):
            raise HfrunError(
                f"study.budget: {len(wanted)} trials of {phase}, and the study has {there} "
                "already; a budget may only grow"
            )
        if phase == "explore":
            _check_same(planned, wanted[:there])
        for each in wanted[there:]:
            store.study.enqueue_trial({}, user_attrs={"plan": each.as_dict()})


def _check_same(held: Sequence[Mapping[str, Any]], wanted: Sequence[Planned]) -> None:
    """A grid of more points is another grid; so is a design by another version of scipy."""
    tried = [each["values"] for each in held if each["phase"] == "explore"]
    if json.dumps(tried) != json.dumps([each.values for each in wanted]):
        raise HfrunError(
            "study.budget: the design of this many trials does not begin with the trials that the "
            "study has; choose another run.output_dir, or a design that can grow (sobol, halton, "
            "random)"
        )


def _storage(address: str | None, folder: Path, name: str) -> tuple[BaseStorage, Locks]:
    if address is None:
        path = folder / "journal.log"
        backend = JournalFileBackend(str(path), lock_obj=JournalLock(path))
        return JournalStorage(backend), FileLocks(folder / "locks")
    if not address.startswith(POSTGRES):
        raise HfrunError(
            f"study.storage: got {address!r}; needs postgresql://USER@HOST/DATABASE, or nothing "
            "for a journal file"
        )
    rest = address.partition("://")[2]
    with _reached(address):
        locks = PostgresLocks(f"postgresql://{rest}", name)
        from sqlalchemy.pool import NullPool

        # The first in a database makes its tables, of whichever study it is.
        release = PostgresLocks(f"postgresql://{rest}", _TABLES).wait(PLAN)
        try:
            # Minutes lie between two uses: no connection is kept, and none is found dead.
            storage = optuna.storages.RDBStorage(
                f"postgresql+psycopg://{rest}", engine_kwargs={"poolclass": NullPool}
            )
        finally:
            release()
    return storage, locks


def _place(address: str) -> str:
    """Of a database, without user and password."""
    return address.rpartition("@")[2]


@contextmanager
def _reached(address: str) -> Iterator[None]:
    """One message for a database that cannot be had, without the password it was asked with."""
    place = _place(address)
    try:
        yield
    except ImportError as error:
        raise HfrunError(
            f"study.storage: {error}; a database needs pip install 'hfrun[postgres]'"
        ) from error
    except Exception as error:
        raise HfrunError(
            f"study.storage: {place} cannot be reached: {type(error).__name__}; start the "
            "database, or see to the user and its rights"
        ) from error


def _param(key: str, value: Any, space: Space) -> tuple[Any, BaseDistribution]:
    """A value and what it may be, as Optuna takes them: choices that are no points as JSON."""
    if key in space.scientific:
        return _choice(value, space.scientific[key])
    parameter = next(each for each in space.nuisance if each.key == key)
    if parameter.values is not None:
        return _choice(value, parameter.values)
    return value, _range(parameter)


def _range(parameter: Parameter) -> BaseDistribution:
    assert parameter.low is not None
    assert parameter.high is not None
    if parameter.integer:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _choice(value: Any, values: Sequence[Any]) -> tuple[Any, CategoricalDistribution]:
    if all(isinstance(each, _POINT) or each is None for each in values):
        return value, CategoricalDistribution(list(values))
    return json.dumps(value), CategoricalDistribution([json.dumps(each) for each in values])


def _cut_torn_line(path: Path) -> None:
    """Drop an entry of which a killed writer left only the beginning."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rpartition(b"\n")
        file.truncate(len(whole[0]) + len(whole[1]))
