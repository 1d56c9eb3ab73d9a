"""Who works on a trial: locks that the kernel, or the database, drops when their holder ends.

A trial that is marked as running and whose lock is free was its worker's last: another takes it
up. Nothing has to guess from a clock whether a worker still lives.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

# A lock that is held; calling it lets go.
Release = Callable[[], None]
PLAN = -1  # the lock under which trials are added


class Locks(Protocol):
    """One lock a trial, by its number; ``PLAN`` is that of the list of trials itself."""

    def take(self, number: int) -> Release | None:
        """Hold the lock until the release is called or the process ends; None: it is held."""

    def wait(self, number: int) -> Release:
        """Hold the lock as soon as it is free."""


class FileLocks:
    """Locks on files of one machine.

    Args:
        folder: for the lock files; made when it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, number: int) -> Release | None:
        descriptor = self._open(number)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return lambda: os.close(descriptor)

    def wait(self, number: int) -> Release:
        descriptor = self._open(number)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return lambda: os.close(descriptor)

    def _open(self, number: int) -> int:
        name = "plan" if number == PLAN else f"{number:03d}"
        return os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


class PostgresLocks:
    """Advisory locks of a PostgreSQL database, held by a connection of their own.

    Args:
        address: ``postgresql://user@host/database``.
        name: of the study, since a database may hold several.
    """

    def __init__(self, address: str, name: str) -> None:
        import psycopg

        self._connect = lambda: psycopg.connect(address, autocommit=True)
        self._name = name

    def take(self, number: int) -> Release | None:
        connection = self._connect()
        row = connection.execute(
            "SELECT pg_try_advisory_lock(hashtext(%s), %s)", (self._name, number)
        ).fetchone()
        if row is None or not row[0]:
            connection.close()
            return None
        return connection.close

    def wait(self, number: int) -> Release:
        connection = self._connect()
        connection.execute("SELECT pg_advisory_lock(hashtext(%s), %s)", (self._name, number))
        return connection.close
