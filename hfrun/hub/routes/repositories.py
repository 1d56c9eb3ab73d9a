"""Repositories as a whole: create and delete, and who may."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.messages import endpoint, read_json
from hfrun.hub.names import RepoId, checked_repo_id
from hfrun.hub.refusals import (
    AlreadyExistsError,
    BadRequestError,
    RepoNotFoundError,
    TokenNeededError,
)

_KINDS = {None: "models", "model": "models", "dataset": "datasets", "space": "spaces"}
_SDKS = ("gradio", "streamlit", "docker", "static")
_PAGE = 100
_MAX_PAGE = 1000
_CARD_MAX_BYTES = 1_000_000  # a longer README is served but not read for its metadata


async def create(request: Request) -> Response:
    """POST /api/repos/create"""
    caller = Caller.of(request)
    body = await read_json(request)
    repo_id = _named_repo(caller, body)
    private = body.get("visibility", "private" if body.get("private") else "public")
    sdk = body.get("sdk") if repo_id.kind == "spaces" else None
    if private not in ("public", "private"):
        raise BadRequestError(f"got visibility {str(private)[:40]!r}; needed is public or private")
    if repo_id.kind == "spaces" and sdk not in _SDKS:
        raise BadRequestError(f"got sdk {str(sdk)[:40]!r}; needed for a space is one of {_SDKS}")
    author = caller.require_write(repo_id.namespace).user
    url = f"{endpoint(request)}/{repo_id.address}"
    try:
        await run_in_threadpool(
            caller.hub.store.create, repo_id, private=private == "private", author=author, sdk=sdk
        )
    except AlreadyExistsError as exists:
        raise AlreadyExistsError(
            str(exists), url=url
        ) from None  # clients take the url from the refusal
    return JSONResponse({"url": url, "name": str(repo_id), "id": str(repo_id)})


async def delete(request: Request) -> Response:
    """DELETE /api/repos/delete"""
    caller = Caller.of(request)
    repo_id = _named_repo(caller, await read_json(request))
    repository = await run_in_threadpool(caller.hub.store.open, repo_id)
    if repository.settings.private and not caller.is_member(repository):
        raise RepoNotFoundError("Repository not found")
    caller.require_write(repo_id.namespace)
    await run_in_threadpool(caller.hub.store.delete, repo_id)
    return JSONResponse({"name": str(repo_id)})


def auth_check(request: Request) -> Response:
    """GET /api/T/R/auth-check[/write]"""
    caller = Caller.of(request)
    if request.url.path.endswith("/write"):
        caller.writable(request)
    else:
        caller.repository(request)
    return JSONResponse({"ok": True})


def _named_repo(caller: Caller, body: dict[str, Any]) -> RepoId:
    """The repository that a body names; without an organisation it is the caller's own."""
    if caller.token is None:
        raise TokenNeededError("Writing needs a token; make one with hfrun hub token create")
    kind = body.get("type")
    if not (kind is None or isinstance(kind, str)) or kind not in _KINDS:
        raise BadRequestError(
            f"got repository type {str(kind)[:40]!r}; needed is model, dataset or space"
        )
    namespace = body.get("organization") or caller.token.user
    repo_id = checked_repo_id(_KINDS[kind], namespace, body.get("name"))
    shown = caller.hub.accounts.shown_name(repo_id.namespace) or repo_id.namespace
    return RepoId(kind=repo_id.kind, namespace=shown, name=repo_id.name)


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route("/api/repos/create", create, methods=["POST"]),
    Route("/api/repos/delete", delete, methods=["DELETE"]),
    Route(_REPO + "/auth-check", auth_check),
    Route(_REPO + "/auth-check/write", auth_check),
]
