"""Finding repositories and describing them."""

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.description import description, sibling
from hfrun.hub.messages import segment
from hfrun.hub.refusals import BadRequestError, RepoNotFoundError, RevisionNotFoundError
from hfrun.hub.repository import DEFAULT_BRANCH

_PAGE = 100
_MAX_PAGE = 1000


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
    rows = sorted(
        _matching(caller, request), key=lambda row: (row[order], row["createdAt"]), reverse=True
    )
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
    siblings = [
        sibling(path, entry, blobs=blobs) for path, entry in sorted(repository.tree(commit).items())
    ]
    return JSONResponse({**description(repository, commit), "siblings": siblings})


def without_namespace(request: Request) -> Response:
    """Ids such as ``gpt2``: this hub has none, and clients need to hear it in their way."""
    Caller.of(request)
    raise RepoNotFoundError("Repository not found: ids here are namespace/name")


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
            row = description(repository, repository.commit(repository.head(DEFAULT_BRANCH)))
        except RevisionNotFoundError:  # deleted meanwhile
            continue
        if wanted <= set(row["tags"]):
            yield row


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route("/api/{kind:kind}", listing),
    Route(_REPO, info),
    Route(_REPO + "/revision/{revision}", info),
]

# Last of all routes: a repository may be called "revision" or "tree".
ROUTES_WITHOUT_NAMESPACE = [
    Route("/api/{kind:kind}/{name}", without_namespace),
    Route("/api/{kind:kind}/{name}/revision/{revision}", without_namespace),
    Route("/api/{kind:kind}/{name}/tree/{revision}", without_namespace),
    Route("/{name}/resolve/{revision}/{path:path}", without_namespace),
]
