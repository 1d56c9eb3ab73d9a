"""Repositories as a whole: create, delete, list and describe."""

from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.messages import endpoint, read_json, segment
from hfrun.hub.metadata import card_metadata, tags
from hfrun.hub.names import RepoId, checked_repo_id
from hfrun.hub.refusals import (
    AlreadyExistsError,
    BadRequestError,
    RepoNotFoundError,
    RevisionNotFoundError,
    TokenNeededError,
)
from hfrun.hub.repository import DEFAULT_BRANCH, Commit, Repository
from hfrun.hub.tree import Entry, lfs_pointer

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


def listing(request: Request) -> Response:
    """GET /api/T?author=&search=&filter=&limit=: newest first, in pages."""
    caller = Caller.of(request)
    query = request.query_params
    try:
        limit = min(max(int(query.get("limit", _PAGE)), 1), _MAX_PAGE)
        start = max(int(query.get("cursor", 0)), 0)
    except ValueError:
        raise BadRequestError("got a limit or cursor that is not a whole number") from None
    order = "createdAt" if query.get("sort") == "createdAt" else "lastModified"
    rows = sorted(_matching(caller, request), key=lambda row: row[order], reverse=True)
    page = rows[start : start + limit]
    headers = {}
    if start + limit < len(rows):
        following = request.url.include_query_params(cursor=start + limit)
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse(page, headers=headers)


def info(request: Request) -> Response:
    """GET /api/T/R and /api/T/R/revision/{rev}"""
    repository = Caller.of(request).repository(request)
    named = "revision" in request.path_params
    commit_id = repository.resolve(segment(request, "revision") if named else DEFAULT_BRANCH)
    commit = repository.commit(commit_id)
    blobs = request.query_params.get("blobs", "").lower() in ("true", "1")
    siblings = [_sibling(path, entry, blobs) for path, entry in sorted(commit.tree.items())]
    return JSONResponse({**_description(repository, commit), "siblings": siblings})


def without_namespace(request: Request) -> Response:
    """Ids such as ``gpt2``: this hub has none, and clients need to hear it in their way."""
    Caller.of(request)
    raise RepoNotFoundError("Repository not found: ids here are namespace/name")


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


def _matching(caller: Caller, request: Request) -> Iterator[dict[str, Any]]:
    query = request.query_params
    author, search = query.get("author", "").lower(), query.get("search", "").lower()
    wanted = {tag for value in query.getlist("filter") for tag in value.split(",")}
    for repository in caller.hub.store.repositories(request.path_params["kind"]):
        repo_id = repository.settings.repo_id
        if author and repo_id.namespace.lower() != author:
            continue
        if search not in str(repo_id).lower():
            continue
        if repository.settings.private and not caller.is_member(repository):
            continue
        try:
            row = _description(repository, repository.commit(repository.head(DEFAULT_BRANCH)))
        except RevisionNotFoundError:  # deleted meanwhile
            continue
        if wanted <= set(row["tags"]):
            yield row


def _description(repository: Repository, commit: Commit) -> dict[str, Any]:
    settings = repository.settings
    card = _card(repository, commit)
    described = {
        "id": str(settings.repo_id),
        "author": settings.repo_id.namespace,
        "sha": commit.id,
        "lastModified": commit.date,
        "createdAt": settings.created_at,
        "private": settings.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,  # not counted here; clients expect the key
        "likes": 0,
        "tags": tags(card),
        "cardData": card,
    }
    if settings.repo_id.kind == "models":
        described["modelId"] = str(settings.repo_id)
        described.update({k: card[k] for k in ("pipeline_tag", "library_name") if k in card})
    if settings.sdk is not None:
        described["sdk"] = settings.sdk
    return described


def _card(repository: Repository, commit: Commit) -> dict[str, Any]:
    """The card's metadata; a broken card describes nothing, and spoils no listing."""
    entry = commit.tree.get("README.md")
    if entry is None or entry.size > _CARD_MAX_BYTES:
        return {}
    try:
        return card_metadata(repository.content(entry).read_text("utf-8", "replace"))
    except ValueError:
        return {}


def _sibling(path: str, entry: Entry, blobs: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"rfilename": path}
    if blobs:
        row.update(size=entry.size, blobId=entry.oid)
        if entry.lfs:
            pointer_size = len(lfs_pointer(entry.sha256, entry.size))
            row["lfs"] = {"sha256": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return row


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route("/api/repos/create", create, methods=["POST"]),
    Route("/api/repos/delete", delete, methods=["DELETE"]),
    Route("/api/{kind:kind}", listing),
    Route(_REPO, info),
    Route(_REPO + "/revision/{revision}", info),
    Route(_REPO + "/auth-check", auth_check),
    Route(_REPO + "/auth-check/write", auth_check),
]

# Last of all routes: a repository may be called "revision" or "tree".
ROUTES_WITHOUT_NAMESPACE = [
    Route("/api/{kind:kind}/{name}", without_namespace),
    Route("/api/{kind:kind}/{name}/revision/{revision}", without_namespace),
    Route("/api/{kind:kind}/{name}/tree/{revision}", without_namespace),
    Route("/{name}/resolve/{revision}/{path:path}", without_namespace),
]
