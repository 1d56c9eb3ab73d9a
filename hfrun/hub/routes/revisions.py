"""What is at a revision: folders, files and history."""

from html import escape
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.commit import Commit
from hfrun.hub.messages import read_body, segment
from hfrun.hub.refusals import BadRequestError, EntryNotFoundError
from hfrun.hub.repository import Repository
from hfrun.hub.tree import Entry, folder_ids, lfs_pointer

_COMMITS_PAGE = 100
_MAX_PATHS = 10_000


def tree(request: Request) -> Response:
    """GET /api/T/R/tree/{rev}[/path]?recursive="""
    repository = Caller.of(request).repository(request)
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    folder = unquote(request.path_params.get("path", "")).strip("/")
    items = _items(repository, commit)
    if folder and items.get(folder, {}).get("type") != "directory":
        raise EntryNotFoundError(f"{folder} does not exist on {commit.id}", commit=commit.id)
    recursive = request.query_params.get("recursive", "").lower() in ("true", "1")
    prefix = f"{folder}/" if folder else ""
    below = [items[path] for path in sorted(items) if path.startswith(prefix)]
    if not recursive:
        below = [item for item in below if "/" not in item["path"][len(prefix) :]]
    return JSONResponse(below)


async def paths_info(request: Request) -> Response:
    """POST /api/T/R/paths-info/{rev}: the same items for a list of paths."""
    caller = Caller.of(request)
    body = await read_body(request)
    try:
        form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_PATHS)
    except ValueError:
        raise BadRequestError(f"got a body that is no form of up to {_MAX_PATHS} paths") from None
    return await run_in_threadpool(_paths_info, caller, request, form.get("paths", []))


def _paths_info(caller: Caller, request: Request, paths: list[str]) -> Response:
    repository = caller.repository(request)
    items = _items(repository, repository.commit(repository.resolve(segment(request, "revision"))))
    return JSONResponse([items[path] for path in dict.fromkeys(paths) if path in items])


def commits(request: Request) -> Response:
    """GET /api/T/R/commits/{rev}: newest first, in pages."""
    repository = Caller.of(request).repository(request)
    start = request.query_params.get("cursor") or segment(request, "revision")
    found = list(islice(repository.history(repository.resolve(start)), _COMMITS_PAGE + 1))
    headers = {}
    if len(found) > _COMMITS_PAGE:
        following = request.url.include_query_params(cursor=found.pop().id)
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse([_commit_row(commit) for commit in found], headers=headers)


def _commit_row(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author}],
        "formatted": {"title": escape(commit.title), "message": escape(commit.message)},
    }


def _items(repository: Repository, commit: Commit) -> dict[str, dict[str, Any]]:
    """Every file and folder of a commit, by its path."""
    files = repository.tree(commit)
    items = {path: _file(path, entry) for path, entry in files.items()}
    for path, oid in folder_ids(files).items():
        items[path] = {"type": "directory", "path": path, "oid": oid, "size": 0}
    del items[""]
    return items


def _file(path: str, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
    if entry.lfs:
        pointer_size = len(lfs_pointer(entry.sha256, entry.size))
        row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return row


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/tree/{revision}", tree),
    Route(_REPO + "/tree/{revision}/{path:path}", tree),
    Route(_REPO + "/paths-info/{revision}", paths_info, methods=["POST"]),
    Route(_REPO + "/commits/{revision}", commits),
]
