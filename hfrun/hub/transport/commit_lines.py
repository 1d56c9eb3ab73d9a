"""The body of a commit: a header line, then one line of JSON for each change.

::

    {"key": "header", "value": {"summary", "description", "parentCommit"?}}
    {"key": "file", "value": {"path", "content": base64}}
    {"key": "lfsFile", "value": {"path", "algo", "oid", "size"}}
    {"key": "deletedFile" | "deletedFolder", "value": {"path"}}

How a file travels does not decide how it is kept: a ``file`` that the rules of the repository
call large becomes an LFS entry (see upload_mode.py).
"""

import base64
import binascii
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from hfrun.hub.names import checked_path, is_sha256
from hfrun.hub.refusals import BadRequestError, ObjectMissingError, TooLargeError
from hfrun.hub.store.objects import ObjectWriter
from hfrun.hub.store.path_rules import PathRules
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import LONGEST_POINTER, Delete, Entry, Put, is_lfs_pointer, lfs_entry
from hfrun.hub.store.upload_mode import REGULAR_MAX_BYTES, is_large, rules_of

PIECE_BYTES = 1 << 20  # of a line: so much, and what is decoded from it, is in memory at a time
MAX_CHANGES = 100_000

# In JSON this can only be a key with its value: within a string the quotes are escaped.
_CONTENT = re.compile(rb'"content"\s*:\s*"')


@dataclass(frozen=True, kw_only=True)
class CommitRequest:
    """What a client wants committed; the objects of its files are stored."""

    title: str
    message: str
    parent: str | None
    changes: Sequence[Put | Delete]


def read_commit(
    repository: Repository, body: BinaryIO, *, revision: str, regular_max_bytes: int
) -> CommitRequest:
    """Read a whole body and store the files in it; a piece of one line at a time is in memory.

    Args:
        body: that can be sought in.
        revision: whose .gitattributes say which files are large.
        regular_max_bytes: the largest file that may stand in a line.

    Raises:
        BadRequestError: no header, no JSON, or fields that are missing or of another type.
        TooLargeError: a file above the limit, or too many changes.
        ObjectMissingError: a large file whose bytes were not uploaded here.
    """
    reader = _Reader(repository, body, max(regular_max_bytes, REGULAR_MAX_BYTES))
    tree = repository.tree(repository.commit(repository.resolve(revision)))
    rules = rules_of(repository.objects, tree)
    lines = reader.lines()
    first = next(lines, None)
    if first is None or first.key != "header":
        raise BadRequestError("got no header; needed is one as the first line of a commit")
    changes: list[Put | Delete] = []
    for line in lines:
        if len(changes) == MAX_CHANGES:
            raise TooLargeError(f"got more than {MAX_CHANGES} changes; make several commits")
        changes.append(_change(repository, line, rules))
    return CommitRequest(
        title=_text(first.value, "summary"),
        message=_text(first.value, "description"),
        parent=_text(first.value, "parentCommit") or None,
        changes=changes,
    )


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One line; ``stored`` is the object that its long content has become already."""

    key: str
    value: Any
    stored: str | None


class _Reader:
    """Reads lines of any length: a long content goes straight into an object."""

    def __init__(self, repository: Repository, body: BinaryIO, max_bytes: int) -> None:
        self._objects = repository.objects
        self._body = body
        self._max_bytes = max_bytes

    def lines(self) -> Iterator[_Line]:
        """Every line that is not empty."""
        while line := self._body.readline(PIECE_BYTES):
            if not line.strip():
                continue
            stored = None
            if len(line) == PIECE_BYTES and not line.endswith(b"\n"):
                line, stored = self._long(line)
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                raise BadRequestError("got a line of a commit that is not JSON") from None
            yield _Line(key=field_of(item, "key", str), value=item.get("value"), stored=stored)

    def _long(self, line: bytes) -> tuple[bytes, str]:
        """The line without its content, and the content as an object."""
        found = _CONTENT.search(line)
        if found is None:
            raise TooLargeError(f"got a line of more than {PIECE_BYTES} bytes that is no file's")
        with self._objects.receive(max_bytes=self._max_bytes) as writer:
            rest = self._decode(line[found.end() :], writer)
            stored = writer.finish()
        return line[: found.end()] + b'"' + rest, stored

    def _decode(self, text: bytes, writer: ObjectWriter) -> bytes:
        """Decode up to the closing quote, and return the rest of the line."""
        while (end := text.find(b'"')) < 0:
            whole = len(text) - len(text) % 4
            if b"=" in text[:whole]:
                raise BadRequestError("got content that goes on after the end of its base64")
            writer.write(_decoded(text[:whole]))
            more = self._body.read(PIECE_BYTES)
            if not more:
                raise BadRequestError("got a line of a commit that is not JSON")
            text = text[whole:] + more
        writer.write(_decoded(text[:end]))
        self._body.seek(end + 1 - len(text), io.SEEK_CUR)  # the piece may reach into other lines
        return self._body.readline(PIECE_BYTES)


def _decoded(text: bytes | str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError("got content of a file that is not base64") from None


def _change(repository: Repository, line: _Line, rules: PathRules) -> Put | Delete:
    if line.key == "file":
        return _file(repository, line, rules)
    if line.stored is not None:
        raise TooLargeError(f"got a line of more than {PIECE_BYTES} bytes that is no file's")
    if line.key == "lfsFile":
        return _large_file(repository, line.value)
    if line.key == "deletedFile":
        return Delete(path=checked_path(field_of(line.value, "path", str)), folder=False)
    if line.key == "deletedFolder":
        path = field_of(line.value, "path", str).rstrip("/")
        return Delete(path=checked_path(path), folder=True)
    raise BadRequestError(f"got a change of kind {line.key[:40]!r}, which this hub does not know")


def _file(repository: Repository, line: _Line, rules: PathRules) -> Put:
    path = checked_path(field_of(line.value, "path", str))
    content, objects = _decoded(field_of(line.value, "content", str)), repository.objects
    if line.stored is None:
        sha256 = objects.put(content)
    elif content:
        raise BadRequestError(f"got two contents of {path!r}")
    else:
        sha256 = line.stored
    size = objects.size(sha256)
    assert size is not None  # it was stored just now
    if is_large(path, size, rules):
        repository.remember_upload(sha256)  # a later commit may name it, to copy the file
        return Put(path=path, entry=lfs_entry(sha256, size))
    # Git has one id for a pointer and for the large file behind it; so no tree tells them apart.
    if size <= LONGEST_POINTER and is_lfs_pointer(objects.path(sha256).read_bytes()):
        raise BadRequestError(
            f"got {path!r}, which is a pointer of git LFS and no file of its own; push the file"
        )
    oid = objects.git_blob_id(sha256)
    return Put(path=path, entry=Entry(oid=oid, size=size, sha256=sha256, lfs=False))


def _large_file(repository: Repository, value: object) -> Put:
    path, sha256 = checked_path(field_of(value, "path", str)), field_of(value, "oid", str)
    if not is_sha256(sha256) or not repository.has_upload(sha256):
        raise ObjectMissingError(f"the object {sha256[:64]!r} of {path!r} was not uploaded here")
    size = repository.objects.size(sha256)
    assert size is not None  # has_upload has just seen it
    return Put(path=path, entry=lfs_entry(sha256, size))


def field_of(item: object, name: str, kind: type) -> Any:
    """A value of this type; BadRequestError where there is none."""
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        raise BadRequestError(f"got no {name} of type {kind.__name__} where one is needed")
    return value


def _text(header: object, name: str) -> str:
    """A text of the header without half surrogates, which no answer could carry."""
    value = header.get(name) if isinstance(header, dict) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
