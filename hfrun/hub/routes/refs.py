"""Branches, tags and the refs of pull requests."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.refusals import BadRequestError
from hfrun.hub.store.repository import DEFAULT_BRANCH
from hfrun.hub.transport.messages import read_json, segment
from hfrun.hub.transport.threads import run_in_threadpool


def refs(request: Request) -> Response:
    """GET /api/T/R/refs[?include_prs=1]: nothing is converted here, so ``converts`` is empty."""
    repository = Caller.of(request).repository(request)
    listed: dict[str, list[Any]] = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
    kinds = {"branches": "heads", "tags": "tags"}
    if request.query_params.get("include_prs", "").lower() in ("1", "true"):
        kinds["pullRequests"] = "pr"
    for key, kind in kinds.items():
        named = sorted(repository.refs(kind).items(), key=lambda ref: (_number(ref[0]), ref[0]))
        listed[key] = [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}
            for name, commit in named
        ]
    return JSONResponse(listed)


async def create_branch(request: Request) -> Response:
    """POST /api/T/R/branch/{b}: at ``startingPoint``, any revision, or with ``emptyBranch``."""
    caller = Caller.of(request)
    body = await read_json(request, optional=True)
    start = body.get("startingPoint")
    empty = body.get("emptyBranch", False)
    if not (start is None or isinstance(start, str)) or not isinstance(empty, bool):
        raise BadRequestError("got a startingPoint that is no text, or an emptyBranch that is no")
    if start is not None and empty:
        raise BadRequestError("got both a startingPoint and emptyBranch; needed is one of them")
    await run_in_threadpool(_add_branch, caller, request, start or DEFAULT_BRANCH, empty)
    return JSONResponse({"success": True})


async def create_tag(request: Request) -> Response:
    """POST /api/T/R/tag/{rev}: a tag is a name and no more; its ``message`` is not kept."""
    caller = Caller.of(request)
    body = await read_json(request)
    tag, message = body.get("tag"), body.get("message")
    if not isinstance(tag, str) or not (message is None or isinstance(message, str)):
        raise BadRequestError("got a tag or a message that is not a text")
    await run_in_threadpool(_add_tag, caller, request, tag)
    return JSONResponse({"success": True})


def delete_branch(request: Request) -> Response:
    """DELETE /api/T/R/branch/{b}"""
    Caller.of(request).writable(request).remove_ref("heads", segment(request, "branch"))
    return JSONResponse({"success": True})


def delete_tag(request: Request) -> Response:
    """DELETE /api/T/R/tag/{tag}"""
    Caller.of(request).writable(request).remove_ref("tags", segment(request, "revision"))
    return JSONResponse({"success": True})


def _add_branch(caller: Caller, request: Request, start: str, empty: bool) -> None:
    repository = caller.writable(request)
    name = segment(request, "branch")
    if not empty:
        repository.add_ref("heads", name, repository.resolve(start))
        return
    assert caller.token is not None  # who may write has one
    with repository.exclusive():
        commit = repository.write_commit(
            parent=None, title="initial commit", message="", author=caller.token.user, tree={}
        )
    repository.add_ref("heads", name, commit.id)


def _add_tag(caller: Caller, request: Request, tag: str) -> None:
    repository = caller.writable(request)
    repository.add_ref("tags", tag, repository.resolve(segment(request, "revision")))


def _number(name: str) -> int:
    """Pull requests are told apart by numbers: 9 comes before 10."""
    return int(name) if name.isascii() and name.isdigit() and len(name) < 10 else 0


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/refs", refs),
    Route(_REPO + "/branch/{branch}", create_branch, methods=["POST"]),
    Route(_REPO + "/branch/{branch}", delete_branch, methods=["DELETE"]),
    Route(_REPO + "/tag/{revision}", create_tag, methods=["POST"]),
    Route(_REPO + "/tag/{revision}", delete_tag, methods=["DELETE"]),
]
