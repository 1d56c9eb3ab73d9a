"""Changing files: how each one should travel, and the commit itself."""

import base64
import binascii
import json
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.disk import make_folder
from hfrun.hub.messages import chunks, endpoint, read_json, segment
from hfrun.hub.names import checked_path, is_sha256
from hfrun.hub.refusals import BadRequestError, ObjectMissingError, TooLargeError
from hfrun.hub.repository import Commit, Repository
from hfrun.hub.tree import Delete, Entry, Put, lfs_entry, regular_entry
from hfrun.hub.upload_mode import is_large

LINE_MAX_BYTES = 48_000_000  # one small file in base64; larger files go the LFS way
GITATTRIBUTES_MAX_BYTES = 100_000  # it is matched against every file
BODY_MAX_BYTES = 4_000_000_000  # spooled to disk, so memory does not depend on it


async def preupload(request: Request) -> Response:
    """POST /api/T/R/preupload/{rev}: regular or lfs for each file, and what is there now."""
    caller = Caller.of(request)
    _refuse_pull_request(request)
    files = (await read_json(request)).get("files")
    return await run_in_threadpool(_preupload, caller, request, files)


def _preupload(caller: Caller, request: Request, files: object) -> Response:
    repository = caller.writable(request)
    tree = repository.commit(repository.resolve(segment(request, "revision"))).tree
    rules = _gitattributes(repository, tree.get(".gitattributes"))
    answers = []
    for file in files if isinstance(files, list) else []:
        path, size = checked_path(_field(file, "path", str)), _field(file, "size", int)
        present = tree.get(path)
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs" if is_large(path, size, rules) else "regular",
                "shouldIgnore": False,
                "oid": present.etag if present else None,
            }
        )
    return JSONResponse({"files": answers})


def _gitattributes(repository: Repository, entry: Entry | None) -> str:
    if entry is None or entry.size > GITATTRIBUTES_MAX_BYTES:
        return ""
    return repository.content(entry).read_text("utf-8", "replace")


async def commit(request: Request) -> Response:
    """POST /api/T/R/commit/{rev}: one header line, then one line of JSON for each change."""
    caller = Caller.of(request)
    _refuse_pull_request(request)
    await run_in_threadpool(caller.writable, request)  # before gigabytes are taken in
    incoming = caller.hub.objects.incoming
    make_folder(incoming)
    with tempfile.TemporaryFile(dir=incoming) as body:
        async for chunk in chunks(request):
            await run_in_threadpool(body.write, chunk)
            if body.tell() > BODY_MAX_BYTES:
                raise TooLargeError(f"got a commit of more than {BODY_MAX_BYTES} bytes")
        body.seek(0)
        made = await run_in_threadpool(_commit, caller, request, body)
    url = f"{endpoint(request)}/{caller.repository(request).settings.repo_id.address}"
    return JSONResponse(
        {
            "success": True,
            "commitOid": made.id,
            "commitUrl": f"{url}/commit/{made.id}",
            "hookOutput": "",
        }
    )


def _commit(caller: Caller, request: Request, body: BinaryIO) -> Commit:
    repository = caller.writable(request)
    author = caller.require_write(repository.settings.repo_id.namespace).user
    branch = segment(request, "revision").removeprefix("refs/heads/")
    repository.head(branch)  # an unknown branch is refused before any object is stored
    lines = _lines(body)
    key, header = next(lines, ("", None))
    if key != "header":
        raise BadRequestError("got no header; needed is one as the first line of a commit")
    changes = [_change(repository, key, value) for key, value in lines]
    return repository.add_commit(
        branch=branch,
        changes=changes,
        title=_text(header, "summary"),
        message=_text(header, "description"),
        author=author,
        parent=_text(header, "parentCommit") or None,
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
        yield _field(item, "key", str), item.get("value")


def _change(repository: Repository, key: str, value: object) -> Put | Delete:
    if key == "file":
        return _small_file(repository, value)
    if key == "lfsFile":
        return _large_file(repository, value)
    if key == "deletedFile":
        return Delete(path=checked_path(_field(value, "path", str)), folder=False)
    if key == "deletedFolder":
        return Delete(path=checked_path(_field(value, "path", str).rstrip("/")), folder=True)
    raise BadRequestError(f"got a change of kind {key[:40]!r}, which this hub does not know")


def _small_file(repository: Repository, value: object) -> Put:
    path = checked_path(_field(value, "path", str))
    try:
        content = base64.b64decode(_field(value, "content", str), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError(f"got content of {path!r} that is not base64") from None
    return Put(path=path, entry=regular_entry(content, repository.objects.put(content)))


def _large_file(repository: Repository, value: object) -> Put:
    path, sha256 = checked_path(_field(value, "path", str)), _field(value, "oid", str)
    if not is_sha256(sha256) or not repository.has_upload(sha256):
        raise ObjectMissingError(f"the object {sha256[:64]!r} of {path!r} was not uploaded here")
    size = repository.objects.size(sha256)
    assert size is not None  # has_upload has just seen it
    return Put(path=path, entry=lfs_entry(sha256, size))


def _field(item: object, name: str, kind: type) -> Any:
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        raise BadRequestError(f"got no {name} of type {kind.__name__} where one is needed")
    return value


def _text(header: object, name: str) -> str:
    """A text of the header without half surrogates, which no answer could carry."""
    value = header.get(name) if isinstance(header, dict) else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _refuse_pull_request(request: Request) -> None:
    if request.query_params.get("create_pr", "").lower() in ("1", "true"):
        raise BadRequestError("This hub takes no pull requests; commit to a branch")


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/preupload/{revision}", preupload, methods=["POST"]),
    Route(_REPO + "/commit/{revision}", commit, methods=["POST"]),
]
