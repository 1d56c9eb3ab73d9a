"""Reading request bodies within limits, and answering refusals as Hugging Face clients expect."""

import errno
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hfrun.hub.descriptions.plain_json import require_few_values
from hfrun.hub.refusals import (
    AlreadyExistsError,
    BadRequestError,
    EntryNotFoundError,
    GatedRepoError,
    MovedError,
    RefusalError,
    RepoNotFoundError,
    TooLargeError,
)
from hfrun.hub.store.disk import make_folder

JSON_MAX_BYTES = 16_000_000  # a preupload of 256 samples of 512 bytes needs far less
CHUNK_BYTES = 1 << 20

_IN_MEMORY_BYTES = 1 << 17
_LARGE_BODIES = CapacityLimiter(2)
_T = TypeVar("_T")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOG = logging.getLogger(__name__)


async def read_json(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object; where it is ``optional``, none means an empty one.

    Raises:
        TooLargeError: more than ``JSON_MAX_BYTES``.
        BadRequestError: no JSON, no object, or one of too many values.
    """
    return await read_body(request, partial(_json_object, optional=optional))


async def read_body(
    request: Request, read: Callable[[bytes], _T], *, max_bytes: int = JSON_MAX_BYTES
) -> _T:
    """What ``read`` makes of the whole body.

    Of the bodies that come at once, little is in memory: the rest of each waits on the disk until
    it is whole, and few large ones are read at a time, in threads of their own.

    Raises:
        TooLargeError: more than ``max_bytes``.
    """
    folder = request.app.state.hub.objects.incoming
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=folder) as body:
        async for chunk in request.stream():
            if body.tell() + len(chunk) > max_bytes:
                raise TooLargeError(f"got a body of more than {max_bytes} bytes")
            if body.tell() + len(chunk) > _IN_MEMORY_BYTES:
                make_folder(folder)
            body.write(chunk)
        size = body.tell()
        body.seek(0)
        if size <= _IN_MEMORY_BYTES:
            return read(body.read())
        return await run_sync(lambda: read(body.read()), limiter=_LARGE_BODIES)


def _json_object(body: bytes, *, optional: bool) -> dict[str, Any]:
    if optional and not body:
        return {}
    try:
        require_few_values(body)
    except ValueError as many:
        raise TooLargeError(str(many)) from None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("got a body that is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError("got a body that is not a JSON object")
    return value


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about a megabyte, so that each is worth a trip to a thread."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size >= CHUNK_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def segment(request: Request, name: str) -> str:
    """One part of the address, unquoted: ``run%2F1`` arrives whole and means ``run/1``."""
    return unquote(request.path_params[name])


def endpoint(request: Request) -> str:
    """The hub's address as this client knows it."""
    return str(request.base_url).rstrip("/")


def error(
    status: int, message: str, *, code: str | None = None, **extra: str | None
) -> JSONResponse:
    """An answer that says what went wrong in its headers and in its body."""
    headers = {"X-Error-Message": _header_text(message)}
    if code is not None:
        headers["X-Error-Code"] = code
    body = {"error": message.encode("utf-8", "replace").decode()}
    body.update({key: value for key, value in extra.items() if value is not None})
    return JSONResponse(body, status_code=status, headers=headers)


async def refusal_answer(request: Request, refusal: Exception) -> Response:
    """The answer to any RefusalError.

    An anonymous caller learns by 401 that a token may help, whether the repository is private,
    gated or missing; on plain http clients need the error code to read it so.
    """
    assert isinstance(refusal, RefusalError)
    anonymous = "authorization" not in request.headers
    hidden = isinstance(refusal, (RepoNotFoundError, GatedRepoError))
    status = 401 if hidden and anonymous else refusal.status
    url = refusal.url if isinstance(refusal, AlreadyExistsError) else None
    answer = error(status, str(refusal), code=refusal.code, url=url)
    if isinstance(refusal, EntryNotFoundError) and refusal.commit is not None:
        answer.headers["X-Repo-Commit"] = refusal.commit
    if isinstance(refusal, MovedError):
        answer.headers["Location"] = refusal.location
    return answer


async def http_exception_answer(request: Request, exception: Exception) -> Response:
    """The answer to an address or a method that the hub does not have."""
    assert isinstance(exception, HTTPException)
    answer = error(exception.status_code, exception.detail)
    answer.headers.update(exception.headers or {})
    return answer


async def disconnected_answer(request: Request, exception: Exception) -> Response:
    """The client went away in the middle of its upload: nobody reads this, nothing was stored."""
    return error(400, "The request ended before its body")


async def no_room_answer(request: Request, failure: Exception) -> Response:
    """The answer to a write that found the disk full; any other failure of the disk is ours.

    Whatever the request had written has been removed, or is beside the place it was meant for.
    """
    if not isinstance(failure, OSError) or failure.errno not in _NO_ROOM:
        raise failure
    _LOG.error("%s %s: %s", request.method, request.url.path, failure.strerror)
    return error(
        507,
        f"The hub's disk is full ({failure.strerror}); nothing was changed. Ask who runs the hub "
        "to free some space, and push again",
    )


async def server_error_answer(request: Request, exception: Exception) -> Response:
    """The answer to our own mistake: no details to the client, a traceback to the log."""
    answer = error(500, "Internal error; the hub's log has the details")
    answer.headers["X-Request-Id"] = request.scope.get("state", {}).get("request_id", "")
    return answer


def _header_text(message: str) -> str:
    """A header holds one line of ASCII; what does not fit would break or forge headers."""
    return "".join(c if " " <= c <= "~" else "?" for c in message)[:1000]
