"""Uploads in parts: each part is a file of its own until all of them become one object.

::

    incoming/parts-<upload>/00001  00002 ...    whole parts, in any order
    incoming/parts-<upload>/<uuid>.partial      parts that are arriving

An upload belongs to one answer of the batch request, so two uploads of one object at once do not
mix. What is never completed is swept with everything else in ``incoming``.
"""

import io
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hfrun.hub.refusals import BadRequestError, TooLargeError
from hfrun.hub.store.disk import exclusive, make_folder
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import Repository

_MAX_PARTS = 1000  # the addresses of all of them stand in one answer
_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"[0-9a-f]{32}")


def part_sizes(size: int, *, part_bytes: int) -> list[int]:
    """Bytes of each part: all alike but the last, and not more parts than one answer can list.

    >>> part_sizes(10, part_bytes=4)
    [4, 4, 2]
    """
    each = max(part_bytes, -(-size // _MAX_PARTS))
    return [min(each, size - start) for start in range(0, size, each)]


class PartialUpload:
    """One upload in parts.

    Args:
        name: that ``new_upload`` gave it.
    """

    def __init__(self, objects: ObjectStore, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise BadRequestError("got a name that no upload has")
        self._objects = objects
        self._folder = objects.incoming / f"parts-{name}"

    @contextmanager
    def receiving(self, number: int, size: int) -> Iterator["PartWriter"]:
        """Take a part in, in the place of one that was sent before; whole or not at all.

        Raises:
            TooLargeError: more bytes than the part has.
            BadRequestError: fewer.
        """
        make_folder(self._folder)
        partial = self._folder / f"{uuid.uuid4().hex}.partial"
        try:
            with partial.open("xb", buffering=0) as file:
                writer = PartWriter(file, max_bytes=size)
                yield writer
            if writer.size != size:
                raise BadRequestError(f"got a part of {writer.size} bytes; needed are {size}")
            partial.replace(self._part(number))
        except FileNotFoundError:  # its folder went while the part was arriving
            raise BadRequestError("got a part of an upload that is over") from None
        finally:
            partial.unlink(missing_ok=True)

    def complete(self, repository: Repository, sha256: str, *, size: int, parts: int) -> None:
        """Make the parts one object, each removed as soon as it is read: the room is needed once.

        Clients ask again when they have not heard the answer; then nothing is left to do.

        Raises:
            BadRequestError: a part is missing (the others stay), or together they are another
                object (then none of them is of use).
        """
        if not self._folder.is_dir():
            if repository.has_upload(sha256):
                return
            raise BadRequestError(f"got none of {parts} parts; send them and complete again")
        with exclusive(self._folder / "lock"):
            if not repository.has_upload(sha256):
                self._check_all_there(parts)
                try:
                    self._assemble(sha256, size, parts)
                finally:
                    shutil.rmtree(self._folder, ignore_errors=True)
                repository.remember_upload(sha256)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check_all_there(self, parts: int) -> None:
        missing = [n for n in range(1, parts + 1) if not self._part(n).exists()]
        if missing:
            raise BadRequestError(
                f"got {parts - len(missing)} of {parts} parts; send part {missing[0]} and "
                "complete again"
            )

    def _assemble(self, sha256: str, size: int, parts: int) -> None:
        with self._objects.receive(max_bytes=size) as writer:
            for number in range(1, parts + 1):
                with self._part(number).open("rb", buffering=0) as file:
                    while piece := file.read(_PIECE_BYTES):
                        writer.write(piece)
                self._part(number).unlink()
            writer.finish(sha256)

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:05d}"


class PartWriter:
    """The bytes of one part as they come."""

    def __init__(self, file: io.FileIO, *, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add bytes; TooLargeError as soon as there are more than the part has."""
        self.size += len(chunk)
        if self.size > self._max_bytes:
            raise TooLargeError(f"got more than the {self._max_bytes} bytes of this part")
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]


def new_upload() -> str:
    """A name that no other upload has."""
    return uuid.uuid4().hex
