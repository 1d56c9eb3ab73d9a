"""Files that survive a crash: written beside their place, flushed, renamed; and locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lob_backtest.files import atomic_path


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename in it is kept."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each name flushed in its parent."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a whole file or nothing, and return only when it would survive a power cut."""
    make_folder(path.parent)
    with atomic_path(path) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    sync_folder(path.parent)


@contextmanager
def exclusive(lock_file: Path) -> Iterator[None]:
    """Hold a lock alone between the threads and processes of this machine.

    The file is never removed: a lock on a name that is unlinked while others wait for it
    protects nothing. The kernel drops the lock when its holder dies.
    """
    with _locked(lock_file, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(lock_file: Path) -> Iterator[None]:
    """Hold a lock together with others that hold it shared, while nobody holds it alone."""
    with _locked(lock_file, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(lock_file: Path, how: int) -> Iterator[None]:
    make_folder(lock_file.parent)
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
