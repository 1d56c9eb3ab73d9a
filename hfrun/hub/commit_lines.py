"""The body of a commit: a header line, then one line of JSON for each change.

::

    {"key": "header", "value": {"summary", "description", "parentCommit"?}}
    {"key": "file", "value": {"path", "content": base64}}
    {"key": "lfsFile", "value": {"path", "algo", "oid", "size"}}
    {"key": "deletedFile" | "deletedFolder", "value": {"path"}}
"""

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from hfrun.hub.names import checked_path, is_sha256
from hfrun.hub.refusals import BadRequestError, ObjectMissingError, TooLargeError
from hfrun.hub.repository import Repository
from hfrun.hub.tree import Delete, Put, lfs_entry, regular_entry

LINE_MAX_BYTES = 48_000_000  # one small file in base64; larger files go the LFS way


@dataclass(frozen=True, kw_only=True)
class CommitRequest:
    """What a client wants committed; the objects of its files are stored."""

    title: str
    message: str
    parent: str | None
    changes: Sequence[Put | Delete]


def read_commit(repository: Repository, body: BinaryIO) -> CommitRequest:
    """Read a whole body, storing its small files; one line at a time is in memory.

    Raises:
        BadRequestError: no header, no JSON, or fields that are missing or of another type.
        ObjectMissingError: a large file whose bytes were not uploaded here.
    """
    lines = _lines(body)
    key, header = next(lines, ("", None))
    if key != "header":
        raise BadRequestError("got no header; needed is one as the first line of a commit")
    return CommitRequest(
        title=_text(header, "summary"),
        message=_text(header, "description"),
        parent=_text(header, "parentCommit") or None,
        changes=[_change(repository, key, value) for key, value in lines],
    )


def _lines(body: BinaryIO) -> Iterator[tuple[str, Any]]:
    """Key and value of each line; one line at a time is in memory."""
    while line := body.readline(LINE_MAX_BYTES + 1):
        if len(line) > LINE_MAX_BYTES:
            raise TooLargeError(f"got a line of more than {LINE_MAX_BYTES} bytes; upload it as LFS")
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            raise BadRequestError("got a line of a commit that is not JSON") from None
        yield field_of(item, "key", str), item.get("value")


def _change(repository: Repository, key: str, value: object) -> Put | Delete:
    if key == "file":
        return _small_file(repository, value)
    if key == "lfsFile":
        return _large_file(repository, value)
    if key == "deletedFile":
        return Delete(path=checked_path(field_of(value, "path", str)), folder=False)
    if key == "deletedFolder":
        return Delete(path=checked_path(field_of(value, "path", str).rstrip("/")), folder=True)
    raise BadRequestError(f"got a change of kind {key[:40]!r}, which this hub does not know")


def _small_file(repository: Repository, value: object) -> Put:
    path = checked_path(field_of(value, "path", str))
    try:
        content = base64.b64decode(field_of(value, "content", str), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError(f"got content of {path!r} that is not base64") from None
    return Put(path=path, entry=regular_entry(content, repository.objects.put(content)))


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
