"""Content-addressed objects: the bytes of every file, once, under their SHA-256."""

import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cachetools import LRUCache

from hfrun.hub.refusals import BadRequestError, TooLargeError
from hfrun.hub.store.disk import exclusive, make_folder, shared, sync_folder

ABANDONED_AFTER_SECONDS = 24 * 3600.0  # longer than any upload address lives
_PIECE_BYTES = 1 << 20
_WRITE_BACK_BYTES = 8 << 20  # so much lies in memory before the disk is asked to begin with it

_blob_ids: LRUCache[str, str] = LRUCache(100_000)
_blob_ids_lock = threading.Lock()


class ObjectWriter:
    """One incoming object: bytes go to a temporary file and into the hash at the same time.

    A context manager: what was not finished when the block ends leaves nothing behind.
    """

    def __init__(self, store: "ObjectStore", *, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._partial = store.incoming / uuid.uuid4().hex
        self._file = self._partial.open("xb", buffering=0)  # pieces are large, or the only one
        self._size = 0
        self._written_back = 0

    def __enter__(self) -> "ObjectWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Add bytes; TooLargeError as soon as there are more than were announced."""
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise TooLargeError(
                f"got more than the {self._max_bytes} bytes that were announced or are allowed"
            )
        self._hash.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
        if self._size - self._written_back >= _WRITE_BACK_BYTES:
            self._write_back()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def finish(self, expected_sha256: str | None = None) -> str:
        """Store the object and return its SHA-256; BadRequestError if another was announced."""
        digest = self._hash.hexdigest()
        if expected_sha256 not in (None, digest):
            raise BadRequestError(f"got an object with sha256 {digest}, not {expected_sha256}")
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        final = self._store.path(digest)
        make_folder(final.parent)
        self._partial.replace(final)
        sync_folder(final.parent)
        return digest

    def _write_back(self) -> None:
        """Let the disk begin while more bytes arrive, so that the fsync at the end waits less.

        Linux starts to write what is dirty in the range and does not wait for it.
        """
        if hasattr(os, "posix_fadvise"):
            length = self._size - self._written_back
            advice = os.POSIX_FADV_DONTNEED
            os.posix_fadvise(self._file.fileno(), self._written_back, length, advice)
        self._written_back = self._size


class ObjectStore:
    """Objects of one hub, shared by all its repositories.

    ::

        objects/ab/cd/abcd...   one file an object, read-only, never changed
        incoming/               uploads that have not ended; on the same file system

    Whoever lets something refer to an object (a commit, a ref) does so ``in_use``; whoever
    removes what nothing refers to does so while ``sweeping``, which waits for all of these.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "objects"
        self.incoming = root / "incoming"
        self._sweep_lock = root / "locks" / "sweep.lock"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the block runs, nothing is swept."""
        with shared(self._sweep_lock):
            yield

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """While the block runs, no ref moves and no object begins to be used again."""
        with exclusive(self._sweep_lock):
            yield

    def path(self, sha256: str) -> Path:
        """Where the object is, if it is stored."""
        return self.folder / sha256[:2] / sha256[2:4] / sha256

    def size(self, sha256: str) -> int | None:
        """Bytes of a stored object; None where there is none."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def reuse(self, sha256: str) -> int | None:
        """Like ``size``, for an object that is about to be referred to again.

        It counts as new from now on, so that no sweep takes it before its commit is there.
        """
        with self.in_use():
            try:
                os.utime(self.path(sha256))
            except FileNotFoundError:
                return None
            return self.size(sha256)

    def receive(self, *, max_bytes: int) -> ObjectWriter:
        """Begin to take an object in; more bytes than ``max_bytes`` are refused."""
        make_folder(self.incoming)
        return ObjectWriter(self, max_bytes=max_bytes)

    def put(self, data: bytes) -> str:
        """Store bytes and return their SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        if self.reuse(digest) != len(data):
            with self.receive(max_bytes=len(data)) as writer:
                writer.write(data)
                writer.finish(digest)
        return digest

    def git_blob_id(self, sha256: str) -> str:
        """Git's id of a stored object's bytes; computed once, by reading them all."""
        with _blob_ids_lock:
            known = _blob_ids.get(sha256)
        if known is not None:
            return known
        path = self.path(sha256)
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
        with _blob_ids_lock:
            _blob_ids[sha256] = digest.hexdigest()
        return digest.hexdigest()

    def sweep_abandoned(self) -> None:
        """Remove what killed servers left in ``incoming``; running uploads are younger."""
        oldest = time.time() - ABANDONED_AFTER_SECONDS
        for path in self.incoming.glob("*"):
            try:
                if path.lstat().st_mtime >= oldest:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except FileNotFoundError:  # another server of this folder was faster
                continue
