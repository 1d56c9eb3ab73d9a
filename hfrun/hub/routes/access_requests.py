"""Who asks to read the files of a gated repository, and who is let in."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.accounts.gating import STATUSES, AccessRequest, Gate
from hfrun.hub.refusals import AccessRequestNotFoundError, BadRequestError
from hfrun.hub.transport.messages import read_json
from hfrun.hub.transport.threads import run_in_threadpool


def ask(request: Request) -> Response:
    """POST /P R/ask-access: {status} is "accepted", or "pending" until a writer decides."""
    caller = Caller.of(request)
    repository = caller.repository(request)
    user = caller.require_role().user
    member = caller.is_member(repository)
    status = "accepted" if member else Gate(repository).ask(user).status
    return JSONResponse({"status": status})


def requests(request: Request) -> Response:
    """GET /api/T/R/user-access-request/{status}"""
    gate = Gate(Caller.of(request).writable(request))
    gate.require_closed()
    status = request.path_params["status"]
    if status not in STATUSES:
        raise BadRequestError(f"got status {status[:40]!r}; needed is one of {STATUSES}")
    return JSONResponse([_row(asked) for asked in gate.requests(status)])


async def handle(request: Request) -> Response:
    """POST /api/T/R/user-access-request/handle: accept, reject, or put back among the pending."""
    caller = Caller.of(request)
    return await run_in_threadpool(_handle, caller, request, await read_json(request))


def _handle(caller: Caller, request: Request, body: dict[str, Any]) -> Response:
    gate = Gate(caller.writable(request))
    user, request_id = body.get("user"), body.get("requestId")
    decided = gate.decide(
        _text(body, "status"),
        user=None if user is None and request_id is not None else _user(caller, body),
        request_id=None if request_id is None else _text(body, "requestId"),
        reason=body.get("rejectionReason"),
    )
    return JSONResponse(_row(decided))


async def grant(request: Request) -> Response:
    """POST /api/T/R/user-access-request/grant: let a user in who need not have asked."""
    caller = Caller.of(request)
    return await run_in_threadpool(_grant, caller, request, await read_json(request))


def _grant(caller: Caller, request: Request, body: dict[str, Any]) -> Response:
    gate = Gate(caller.writable(request))
    return JSONResponse(_row(gate.grant(_user(caller, body))))


def _user(caller: Caller, body: dict[str, Any]) -> str:
    user = caller.hub.accounts.user_name(_text(body, "user"))
    if user is None:
        raise AccessRequestNotFoundError("no user of this name on this hub")
    return user


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise BadRequestError(f"got no {key}; needed is a text")
    return value


def _row(asked: AccessRequest) -> dict[str, Any]:
    return {
        "requestId": asked.id,
        "user": {"user": asked.user, "fullname": asked.user, "email": None},
        "status": asked.status,
        "timestamp": asked.asked_at,
        "rejectionReason": asked.reason,
        "fields": None,  # gates here have no form of their own
    }


_REQUESTS = "/api/{kind:kind}/{namespace}/{name}/user-access-request"
_ASK = "/{namespace}/{name}/ask-access"

ROUTES = [
    Route(_REQUESTS + "/handle", handle, methods=["POST"]),
    Route(_REQUESTS + "/grant", grant, methods=["POST"]),
    Route(_REQUESTS + "/{status}", requests),
    Route("/{kind:kind}" + _ASK, ask, methods=["POST"]),
    Route(_ASK, ask, methods=["POST"]),
]
