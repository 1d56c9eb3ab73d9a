"""Reading request bodies within limits, and answering refusals as Hugging Face clients expect."""

import errno
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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

JSON_MAX_BYTES = 16_000_000  # a preupload of 256 samples of 512 bytes needs far less
CHUNK_BYTES = 1 << 20

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOG = logging.getLogger(__name__)


async def read_json(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object; where it is ``optional``, none means an empty one.

    Raises:
        TooLargeError: more than ``JSON_MAX_BYTES``.
        BadRequestError: no JSON, or no object.
    """
    body = await read_body(request)
    if optional and not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("got a body that is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError("got a body that is not a JSON object")
    return value


async def read_body(request: Request) -> bytes:
    """The whole body, refused above ``JSON_MAX_BYTES`` before it fills the memory."""
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > JSON_MAX_BYTES:
            raise TooLargeError(f"got a body of more than {JSON_MAX_BYTES} bytes")
        parts.append(chunk)
    return b"".join(parts)


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
