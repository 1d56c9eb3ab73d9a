"""Branches, tags and the refs of pull requests."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.messages import read_json, segment
from hfrun.hub.refusals import BadRequestError
from hfrun.hub.repository import DEFAULT_BRANCH


def refs(request: Request) -> Response:
    """GET /api/T/R/refs"""
    repository = Caller.of(request).repository(request)
    listed: dict[str, list[Any]] = {"converts": [], "pullRequests": []}
    for key, kind in (("branches", "heads"), ("tags", "tags")):
        listed[key] = [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
            for name, commit in repository.refs(kind).items()
        ]
    return JSONResponse(listed)


async def create_branch(request: Request) -> Response:
    """POST /api/T/R/branch/{b}"""
    caller = Caller.of(request)
    body = await read_json(request, optional=True)
    start = body.get("startingPoint", DEFAULT_BRANCH)
    await run_in_threadpool(_add_ref, caller, request, "heads", segment(request, "branch"), start)
    return JSONResponse({"success": True})


async def create_tag(request: Request) -> Response:
    """POST /api/T/R/tag/{rev}"""
    caller = Caller.of(request)
    tag = (await read_json(request)).get("tag")
    await run_in_threadpool(_add_ref, caller, request, "tags", tag, segment(request, "revision"))
    return JSONResponse({"success": True})


def delete_branch(request: Request) -> Response:
    """DELETE /api/T/R/branch/{b}"""
    Caller.of(request).writable(request).remove_ref("heads", segment(request, "branch"))
    return JSONResponse({"success": True})


def delete_tag(request: Request) -> Response:
    """DELETE /api/T/R/tag/{tag}"""
    Caller.of(request).writable(request).remove_ref("tags", segment(request, "revision"))
    return JSONResponse({"success": True})


def _add_ref(caller: Caller, request: Request, kind: str, name: object, start: object) -> None:
    if not isinstance(name, str) or not isinstance(start, str):
        raise BadRequestError("got a name or starting point that is not a text")
    repository = caller.writable(request)
    repository.add_ref(kind, name, repository.resolve(start))


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/refs", refs),
    Route(_REPO + "/branch/{branch}", create_branch, methods=["POST"]),
    Route(_REPO + "/branch/{branch}", delete_branch, methods=["DELETE"]),
    Route(_REPO + "/tag/{revision}", create_tag, methods=["POST"]),
    Route(_REPO + "/tag/{revision}", delete_tag, methods=["DELETE"]),
]
