"""Whole files or none: every result is written beside its place and then renamed into it."""

import fcntl
import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lob_backtest.errors import LobBacktestError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` when the block succeeds.

    On an exception or an interrupt the temporary file is removed and what was at ``path`` stays.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def empty_npy(
    path: Path, *, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> np.memmap[Any, np.dtype[Any]]:
    """A mapped ``.npy`` file of zeros whose room on the disk is taken at once.

    A disk that is full while mapped pages are written would kill the process.

    Raises:
        LobBacktestError: there is no room for it.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raise LobBacktestError(
            f"{path.parent}: cannot hold a file of {n_bytes / 2**20:.0f} MiB ({error.strerror}); "
            "free space there, or choose another folder"
        ) from error
    return array


def read_json(path: Path | str, *, error: type[Exception]) -> Any:
    """The JSON value in a file that is there; what is none is an ``error`` that names the file.

    So is a key that is given twice, of which Python would silently take the last one, and NaN or
    infinity, which JSON does not have.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_unique, parse_float=_finite,
                          parse_constant=_finite)  # fmt: skip
    except (ValueError, RecursionError) as cause:  # also bytes that are no UTF-8
        raise error(f"{path}: not valid JSON: {cause}") from cause


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number; null is an unknown figure")
    return number


def write_json(path: Path | str, value: Any) -> None:
    """Write strict JSON (NaN and infinity are refused) atomically, with a final newline."""
    text = json.dumps(value, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def plain_json(value: Any) -> Any:
    """Plain JSON types: no tuples, no numpy, and None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def sole_use(path: Path | str, *, what: str) -> Iterator[None]:
    """Hold a lock on a folder or file, or say that another process holds it.

    The kernel drops the lock when its holder ends, however it ends. File systems without locks
    are not guarded.

    Raises:
        LobBacktestError: another process uses it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LobBacktestError(
                f"{path}: {what} is at work here already; wait for it to end, or choose another "
                "folder"
            ) from None
        except OSError:  # some network folders have no locks
            pass
        yield
    finally:
        os.close(descriptor)


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hex: the fingerprint that provenance records."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
