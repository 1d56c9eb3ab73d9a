"""Arrays of the length of a book, in memory or in files without a name.

    array ── mmap ──► file in TMPDIR that no folder lists      freed with the last array on it

The system writes such a file's pages to the disk and drops them from memory when it needs room. A
file without a name cannot be left behind, whatever ends the process, and no two runs share one.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lob_backtest.errors import LobBacktestError

Value = TypeVar("Value", bound=np.generic)
Shape = int | tuple[int, ...]

_BLOCK_ROWS = 2**16
_WORTH_A_FILE = 2**20  # bytes; a file costs a few pages and a descriptor's work
_PERSISTENT = Path("/var/tmp")  # on a disk where /tmp is often memory (File Hierarchy Standard)


def blocks(n: int, rows: int | None = None) -> Iterator[slice]:
    """Cut ``0 .. n`` into stretches of ``rows``, by default so few that no memory is too small."""
    step = _BLOCK_ROWS if rows is None else rows
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Whether an array, or what it is a view of, lies in a file."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(owner, mmap.mmap)


def empty_beside(
    neighbour: npt.NDArray[Any], shape: Shape, dtype: type[Value]
) -> npt.NDArray[Value]:
    """An array of no particular values that lies in a file if its neighbour does."""
    return empty_mapped(shape, dtype) if is_mapped(neighbour) else np.empty(shape, dtype)


def empty_mapped(shape: Shape, dtype: type[Value]) -> npt.NDArray[Value]:
    """An array of no particular values in a file, or in memory if it is of less than a mebibyte.

    Raises:
        LobBacktestError: the disk has no room for it.
    """
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if n_bytes < _WORTH_A_FILE:
        return np.empty(shape, dtype)
    folder = scratch_folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                # A disk that is full while pages are written would kill the process.
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=shape))
    except OSError as error:
        raise LobBacktestError(
            f"{folder}: cannot hold {n_bytes / 2**20:.0f} MiB of a book that is read through a "
            f"file ({error.strerror}); free space there, or name another folder in TMPDIR"
        ) from error


def scratch_folder() -> Path:
    """Where files without a name lie: TMPDIR if it is set, else /var/tmp where there is one."""
    if named := os.environ.get("TMPDIR"):
        return Path(named)
    if os.access(_PERSISTENT, os.W_OK | os.X_OK):
        return _PERSISTENT
    return Path(tempfile.gettempdir())
