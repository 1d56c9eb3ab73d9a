"""Repositories as a whole: create, move, change their settings and delete, and who may."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.accounts.gating import MODES
from hfrun.hub.names import RepoId, checked_repo_id
from hfrun.hub.refusals import AlreadyExistsError, BadRequestError, RepoNotFoundError
from hfrun.hub.store.repository import Repository
from hfrun.hub.transport.messages import endpoint, read_json
from hfrun.hub.transport.threads import run_in_threadpool

_KINDS = {None: "models", "model": "models", "dataset": "datasets", "space": "spaces"}
_SDKS = ("gradio", "streamlit", "docker", "static")
_SETTINGS = ("gated", "private", "visibility")


async def create(request: Request) -> Response:
    """POST /api/repos/create"""
    caller = Caller.of(request)
    body = await read_json(request)
    repo_id = _named_repo(caller, body)
    sdk = body.get("sdk") if repo_id.kind == "spaces" else None
    if repo_id.kind == "spaces" and sdk not in _SDKS:
        raise BadRequestError(f"got sdk {str(sdk)[:40]!r}; needed for a space is one of {_SDKS}")
    private = bool(_private(body))
    author = caller.require_write(repo_id.namespace).user
    try:
        await run_in_threadpool(
            caller.hub.store.create, repo_id, private=private, author=author, sdk=sdk
        )
    except AlreadyExistsError as exists:  # clients take the url from the refusal
        raise AlreadyExistsError(str(exists), url=_url(request, repo_id)) from None
    return _address(request, repo_id)


async def move(request: Request) -> Response:
    """POST /api/repos/move: {fromRepo, toRepo, type}, within the namespaces of the caller."""
    caller = Caller.of(request)
    body = await read_json(request)
    caller.require_role()
    source, target = (_moved_repo(caller, body, key) for key in ("fromRepo", "toRepo"))
    repository = await run_in_threadpool(_visible, caller, source)
    caller.require_write(source.namespace)
    caller.require_write(target.namespace)
    source = repository.settings.repo_id
    await run_in_threadpool(caller.hub.store.move, source, target)
    return _address(request, target)


async def delete(request: Request) -> Response:
    """DELETE /api/repos/delete"""
    caller = Caller.of(request)
    repo_id = _named_repo(caller, await read_json(request))
    await run_in_threadpool(_visible, caller, repo_id)
    caller.require_write(repo_id.namespace)
    await run_in_threadpool(caller.hub.store.delete, repo_id)
    return JSONResponse({"name": str(repo_id)})


async def settings(request: Request) -> Response:
    """PUT /api/T/R/settings: gated, and visibility or private; what is not named stays."""
    caller = Caller.of(request)
    return await run_in_threadpool(_settings, caller, request, await read_json(request))


def _settings(caller: Caller, request: Request, body: dict[str, Any]) -> Response:
    repository = caller.writable(request)
    unknown = sorted(set(body) - set(_SETTINGS))
    if unknown or not body:
        named = ", ".join(unknown)[:200] or "none"
        raise BadRequestError(f"got settings {named}; this hub has {', '.join(_SETTINGS)}")
    changes: dict[str, Any] = {}
    private = _private(body)
    if private is not None:
        changes["private"] = private
    if "gated" in body:
        gated = body["gated"]
        if gated is not False and gated not in MODES:
            raise BadRequestError(
                f"got gated {str(gated)[:40]!r}; needed is false or one of {MODES}"
            )
        changes["gated"] = gated or ""
    repository.change_settings(**changes)
    now = repository.settings
    visibility = "private" if now.private else "public"
    return JSONResponse(
        {"private": now.private, "visibility": visibility, "gated": now.gated or False}
    )


def auth_check(request: Request) -> Response:
    """GET /api/T/R/auth-check[/write]: whether the caller may read the files, or change them."""
    caller = Caller.of(request)
    if request.url.path.endswith("/write"):
        caller.writable(request)
    else:
        caller.readable(request)
    return JSONResponse({"ok": True})


def _private(body: dict[str, Any]) -> bool | None:
    """Whether a body asks for a private repository; older clients say it as a boolean."""
    private, visibility = body.get("private"), body.get("visibility")
    if not (private is None or isinstance(private, bool)):
        raise BadRequestError(f"got private {str(private)[:40]!r}; needed is true or false")
    if visibility is None:
        return private
    if visibility not in ("public", "private"):
        raise BadRequestError(
            f"got visibility {str(visibility)[:40]!r}; this hub has public and private"
        )
    return bool(visibility == "private")


def _visible(caller: Caller, repo_id: RepoId) -> Repository:
    """The repository that a body names. A name that it has left is not followed: who deletes or
    moves by a name means what has that name now."""
    repository = caller.hub.store.open(repo_id)
    if not caller.may_see(repository):
        raise RepoNotFoundError("Repository not found")
    return repository


def _named_repo(caller: Caller, body: dict[str, Any]) -> RepoId:
    """The repository that a body names; without an organisation it is the caller's own."""
    namespace = body.get("organization") or caller.require_token().user
    return _repo_id(caller, body, namespace, body.get("name"))


def _moved_repo(caller: Caller, body: dict[str, Any], key: str) -> RepoId:
    named = body.get(key)
    if not isinstance(named, str) or named.count("/") != 1:
        raise BadRequestError(f"got {key} {str(named)[:100]!r}; needed is namespace/name")
    return _repo_id(caller, body, *named.split("/"))


def _repo_id(caller: Caller, body: dict[str, Any], namespace: object, name: object) -> RepoId:
    """Checked, with the namespace as its account is written."""
    kind = body.get("type")
    if not (kind is None or isinstance(kind, str)) or kind not in _KINDS:
        raise BadRequestError(
            f"got repository type {str(kind)[:40]!r}; needed is model, dataset or space"
        )
    repo_id = checked_repo_id(_KINDS[kind], namespace, name)
    shown = caller.hub.accounts.shown_name(repo_id.namespace) or repo_id.namespace
    return RepoId(kind=repo_id.kind, namespace=shown, name=repo_id.name)


def _address(request: Request, repo_id: RepoId) -> Response:
    url = _url(request, repo_id)
    return JSONResponse({"url": url, "name": str(repo_id), "id": str(repo_id)})


def _url(request: Request, repo_id: RepoId) -> str:
    return f"{endpoint(request)}/{repo_id.address}"


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route("/api/repos/create", create, methods=["POST"]),
    Route("/api/repos/move", move, methods=["POST"]),
    Route("/api/repos/delete", delete, methods=["DELETE"]),
    Route(_REPO + "/settings", settings, methods=["PUT"]),
    Route(_REPO + "/auth-check", auth_check),
    Route(_REPO + "/auth-check/write", auth_check),
]
