"""Finding repositories and describing them.

What ``list_models``, ``list_datasets`` and ``list_spaces`` may ask for, and what becomes of it:

- author, search, filter, pipeline_tag, library, gated, num_parameters, models, datasets, linked:
  narrow the list down; several filters and several texts must all fit.
- sort by last_modified (the default) or created_at, newest first unless ``direction=1``. Likes,
  downloads and trends are not counted here: sorting by them gives the newest repositories first.
- limit, full, cardData, config, expand: how many, and what is said of each.
- inference, inference_provider: no model is served here, so the list is empty.
- apps: refused, since nothing here knows which programs could run a model.
- Anything else is ignored.
"""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.descriptions.description import (
    PROPERTIES,
    RUNTIME,
    full_description,
    properties,
    sibling,
    summary,
)
from hfrun.hub.descriptions.finding import (
    SORTS,
    Found,
    Wanted,
    described,
    found,
    page,
    parameters_between,
)
from hfrun.hub.descriptions.model_files import sharded_headers
from hfrun.hub.names import KINDS
from hfrun.hub.refusals import (
    BadRequestError,
    EntryNotFoundError,
    RepoNotFoundError,
    TokenNeededError,
)
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository
from hfrun.hub.store.storage import storage
from hfrun.hub.transport.messages import segment

_MAX_PAGE = 1000
_MAX_FULL_PAGE = 100  # with all files of each

# What follows the colon in a tag's id says what kind of tag it is.
_TAG_GROUPS = ("license", "dataset", "language", "size_categories", "task_categories", "task_ids")


def listing(request: Request) -> Response:
    """GET /api/T: in pages; see the module for what can be asked."""
    caller, query = Caller.of(request), request.query_params
    kind = request.path_params["kind"]
    asked = _expanded(request, kind)
    full = _is_true(query.get("full"))
    most = _MAX_FULL_PAGE if full or "siblings" in (asked or ()) else _MAX_PAGE
    limit = _whole_number(query.get("limit"), "limit", default=most)
    sort = query.get("sort") or "lastModified"
    if sort not in SORTS:
        raise BadRequestError(f"got sort {sort[:40]!r}; needed is one of {', '.join(SORTS)}")
    if query.get("apps"):
        raise BadRequestError("This hub does not know which apps run a model; leave apps out")
    wanted, served = _wanted(request), query.get("inference") or query.get("inference_provider")
    rows, following = page(
        [] if served else found(_visible(caller, kind), wanted),
        sort=sort,
        ascending=query.get("direction") == "1",
        limit=min(max(limit, 1), most),
        cursor=query.get("cursor"),
    )
    headers = {}
    if following is not None:
        headers["Link"] = f'<{request.url.include_query_params(cursor=following)}>; rel="next"'
    return JSONResponse(described(rows, lambda r: _row(r, request, asked)), headers=headers)


def info(request: Request) -> Response:
    """GET /api/T/R and /api/T/R/revision/{rev}: what it is, and its files.

    ``blobs`` adds sizes and ids of the files; ``expand`` gives what is asked and nothing else;
    ``securityStatus`` is ignored, since nothing here scans files.
    """
    repository = Caller.of(request).repository(request)
    named = "revision" in request.path_params
    commit_id = repository.resolve(segment(request, "revision") if named else DEFAULT_BRANCH)
    commit = repository.commit(commit_id)
    asked = _expanded(request, repository.settings.repo_id.kind)
    if asked is not None:
        return JSONResponse(properties(repository, commit, asked))
    blobs = _is_true(request.query_params.get("blobs"))
    files = sorted(repository.tree(commit).items())
    siblings = [sibling(path, entry, blobs=blobs) for path, entry in files]
    return JSONResponse({**full_description(repository, commit), "siblings": siblings})


def runtime(request: Request) -> Response:
    """GET /api/spaces/R/runtime: apps are kept here, not run."""
    repository = Caller.of(request).repository(request)
    if repository.settings.repo_id.kind != "spaces":
        raise EntryNotFoundError("Only Spaces have a runtime")
    return JSONResponse(RUNTIME)


def safetensors_metadata(request: Request) -> Response:
    """GET /api/models/R/safetensors-metadata/{index}: the headers of all shards on main."""
    repository = Caller.of(request).readable(request)
    commit = repository.commit(repository.head(DEFAULT_BRANCH))
    return JSONResponse(sharded_headers(repository, commit, segment(request, "path")))


def tags_by_type(request: Request) -> Response:
    """GET /api/T-tags-by-type: every tag that a visible repository has, by its kind."""
    caller = Caller.of(request)
    kind = "models" if "models-tags" in request.url.path else "datasets"
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for row in found(_visible(caller, kind), Wanted()):
        said = properties(row.repository, row.commit, ("tags", "pipeline_tag", "library_name"))
        for tag in said["tags"]:
            group, _, label = tag.partition(":")
            if group not in _TAG_GROUPS or not label:
                group, label = "other", tag
            for name in ("pipeline_tag", "library_name"):
                group = name.removesuffix("_name") if said.get(name) == tag else group
            groups.setdefault(group, {})[tag] = {"type": group, "id": tag, "label": label}
    return JSONResponse({group: list(tags.values()) for group, tags in sorted(groups.items())})


def own_repositories(request: Request) -> Response:
    """GET /api[/organizations/{namespace}]/settings/repositories: and what they keep, in bytes."""
    caller = Caller.of(request)
    if caller.token is None:
        raise TokenNeededError("Listing your repositories needs a token")
    namespace = request.path_params.get("namespace", caller.token.user).lower()
    wanted = Wanted(author=namespace)
    own = (
        row
        for kind in KINDS
        for row in found(_visible(caller, kind), wanted)
        if caller.is_member(row.repository)
    )
    rows = described(own, _stored)
    total = sum(row["storage"] for row in rows) or 1
    return JSONResponse([r | {"storagePercent": 100 * r["storage"] / total} for r in rows])


def _stored(row: Found) -> dict[str, Any]:
    settings = row.repository.settings
    return {
        "id": str(settings.repo_id),
        "type": settings.repo_id.kind.removesuffix("s"),
        "updatedAt": row.commit.date,
        "visibility": "private" if settings.private else "public",
        "storage": storage(row.repository).used_bytes,
    }


def without_namespace(request: Request) -> Response:
    """Ids such as ``gpt2``: this hub has none, and clients need to hear it in their way."""
    Caller.of(request)
    raise RepoNotFoundError("Repository not found: ids here are namespace/name")


def _visible(caller: Caller, kind: str) -> Iterator[Repository]:
    return (r for r in caller.hub.store.repositories(kind) if caller.may_see(r))


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    values: Callable[[str], list[str]] = query.getlist
    tags = {tag for value in values("filter") for tag in value.split(",")}
    tags |= {tag for name in ("library", "tags") for v in values(name) for tag in v.split(",")}
    parameters = query.get("num_parameters")
    gated = query.get("gated")
    return Wanted(
        author=query.get("author", ""),
        search=values("search"),
        tags=frozenset(tag for tag in tags if tag),
        pipeline_tag=query.get("pipeline_tag", ""),
        gated=None if gated is None else _is_true(gated),
        parameters=parameters_between(parameters) if parameters else None,
        models=frozenset(values("models")),
        datasets=frozenset(values("datasets")),
        linked=_is_true(query.get("linked")),
    )


def _row(row: Found, request: Request, asked: list[str] | None) -> dict[str, Any]:
    if asked is not None:
        return properties(row.repository, row.commit, asked)
    query = request.query_params
    full = _is_true(query.get("full"))
    more = ["cardData"] if full or _is_true(query.get("cardData")) else []
    more += ["siblings"] if full else []
    more += ["config"] if _is_true(query.get("config")) else []
    return summary(row.repository, row.commit) | properties(row.repository, row.commit, more)


def _expanded(request: Request, kind: str) -> list[str] | None:
    """The properties that are asked for by name; None where there is no such list.

    Raises:
        BadRequestError: one that repositories of this kind do not have.
    """
    query = request.query_params
    given = [*query.getlist("expand"), *query.getlist("expand[]")]
    asked = [name for value in given for name in value.split(",") if name]
    unknown = [name for name in asked if name not in PROPERTIES[kind]]
    if unknown:
        names = ", ".join(sorted(PROPERTIES[kind]))
        raise BadRequestError(f"got expand {unknown[0][:40]!r}; needed is one of [{names}]")
    return asked if given else None


def _whole_number(text: str | None, name: str, *, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18):
        raise BadRequestError(f"got {name} {text[:40]!r}, which is not a whole number")
    return int(text)


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1")


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route("/api/{kind:kind}", listing),
    Route("/api/models-tags-by-type", tags_by_type),
    Route("/api/datasets-tags-by-type", tags_by_type),
    Route("/api/settings/repositories", own_repositories),
    Route("/api/organizations/{namespace}/settings/repositories", own_repositories),
    Route(_REPO, info),
    Route(_REPO + "/revision/{revision}", info),
    Route(_REPO + "/runtime", runtime),
    Route("/api/models/{namespace}/{name}/safetensors-metadata/{path:path}", safetensors_metadata),
]

# Last of all routes: a repository may be called "revision" or "tree".
ROUTES_WITHOUT_NAMESPACE = [
    Route("/api/{kind:kind}/{name}", without_namespace),
    Route("/api/{kind:kind}/{name}/revision/{revision}", without_namespace),
    Route("/api/{kind:kind}/{name}/tree/{revision}", without_namespace),
    Route("/{name}/resolve/{revision}/{path:path}", without_namespace),
]
