"""What is at a revision: folders, files and history."""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote

from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.descriptions.plain_json import plain_object
from hfrun.hub.names import is_sha1
from hfrun.hub.refusals import BadRequestError, EntryNotFoundError, RevisionNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.path_history import history_of_paths
from hfrun.hub.store.tree import Entry, Tree, folder_ids, lfs_pointer
from hfrun.hub.transport.messages import read_body, segment
from hfrun.hub.transport.threads import run_in_threadpool

_COMMITS_PAGE = 100
_COMMITS_MAX_PAGE = 1000
_TREE_PAGE = 10_000
_EXPANDED_PAGE = 1000
_MAX_PATHS = 10_000

# Sorted paths of files and folders, and git's ids of the folders, by the id of the root. Counted
# in paths: pages of a huge tree come one soon after the other.
_CACHED_PATHS = 200_000
_Index = tuple[list[str], Mapping[str, str]]
_indexes: LRUCache[str, _Index] = LRUCache(_CACHED_PATHS, getsizeof=lambda i: len(i[0]) + 1)
_indexes_lock = threading.Lock()


def tree(request: Request) -> Response:
    """GET /api/T/R/tree/{rev}[/path]?recursive=&expand=: in the order of the paths, in pages."""
    repository = Caller.of(request).repository(request)
    query = request.query_params
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    folder = unquote(request.path_params.get("path", "")).strip("/")
    files = repository.tree(commit)
    paths, folders = _index(commit, files)
    if folder and folder not in folders:
        raise EntryNotFoundError(f"{folder} does not exist on {commit.id}", commit=commit.id)
    prefix = f"{folder}/" if folder else ""
    # The paths below a folder stand together, and "f0" is the first text after all of "f/...".
    start = bisect_right(paths, max(prefix, query.get("cursor", "")))
    end = bisect_left(paths, f"{folder}0") if folder else len(paths)
    below = (paths[i] for i in range(start, end))
    if not _is_true(query.get("recursive")):
        below = (path for path in below if "/" not in path[len(prefix) :])
    expanded = _is_true(query.get("expand"))
    limit = _limit(request, _EXPANDED_PAGE if expanded else _TREE_PAGE)
    page = list(islice(below, limit + 1))
    headers = {}
    if len(page) > limit:
        page.pop()
        headers["Link"] = _next(request, page[-1])
    last = history_of_paths(repository, commit) if expanded else None
    return JSONResponse([_item(p, files, folders, last) for p in page], headers=headers)


async def paths_info(request: Request) -> Response:
    """POST /api/T/R/paths-info/{rev}: the same items for a list of paths; unknown ones left out."""
    caller = Caller.of(request)
    form = request.headers.get("content-type", "").partition(";")[0].strip()
    asked = _asked_json if form == "application/json" else _asked_form
    paths, expanded = await read_body(request, asked)
    if len(paths) > _MAX_PATHS:
        raise BadRequestError(f"got {len(paths)} paths; at most {_MAX_PATHS} go into one request")
    return await run_in_threadpool(_paths_info, caller, request, paths, expanded)


def _paths_info(caller: Caller, request: Request, paths: list[str], expanded: bool) -> Response:
    repository = caller.repository(request)
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    files = repository.tree(commit)
    _, folders = _index(commit, files)
    last = history_of_paths(repository, commit) if expanded else None
    asked = dict.fromkeys(path.strip("/") for path in paths)
    rows = [_item(p, files, folders, last) for p in asked if p in files or (p and p in folders)]
    if not expanded and caller.token is not None and caller.token.role == "write":
        _name_for_copies(rows)
    return JSONResponse(rows)


def _name_for_copies(rows: list[dict[str, Any]]) -> None:
    """Give large files the hash that clients ask for before they copy one to another repository.

    Clients send it back and nothing else, unless they read through a Xet storage: those take it
    for a file that is there. So only callers who may write get it, who have to switch that off
    anyway (HF_HUB_DISABLE_XET), and never in the listing that downloads of whole repositories use.
    """
    for row in rows:
        if "lfs" in row:
            row["xetHash"] = row["lfs"]["oid"]


def _asked_form(body: bytes) -> tuple[list[str], bool]:
    try:
        form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_PATHS + 10)
    except ValueError:
        raise BadRequestError(f"got a body that is no form of up to {_MAX_PATHS} paths") from None
    return form.get("paths", []), _is_true(form.get("expand", [""])[-1])


def _asked_json(body: bytes) -> tuple[list[str], bool]:
    try:
        asked = plain_object(body)
    except ValueError:
        raise BadRequestError("got a body that is not a JSON object") from None
    paths = asked.get("paths")
    listed: list[Any] = paths if isinstance(paths, list) else [paths]
    if not all(isinstance(path, str) for path in listed):
        raise BadRequestError("got paths that are not a list of texts")
    return listed, asked.get("expand") is True


def commits(request: Request) -> Response:
    """GET /api/T/R/commits/{rev}: newest first, in pages; ``expand[]=formatted`` adds HTML."""
    repository = Caller.of(request).repository(request)
    query = request.query_params
    start = repository.resolve(segment(request, "revision"))
    cursor = query.get("cursor")
    if cursor is not None:
        if not is_sha1(cursor):
            raise RevisionNotFoundError(cursor)
        start = cursor
    limit = _limit(request, _COMMITS_PAGE, most=_COMMITS_MAX_PAGE)
    found = list(islice(repository.history(start), limit + 1))
    headers = {}
    if len(found) > limit:
        headers["Link"] = _next(request, found.pop().id)
    formatted = "formatted" in [*query.getlist("expand[]"), *query.getlist("expand")]
    return JSONResponse([_commit_row(c, formatted=formatted) for c in found], headers=headers)


def _commit_row(commit: Commit, *, formatted: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": commit.id,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author}],
    }
    if formatted:
        row["formatted"] = {"title": escape(commit.title), "message": escape(commit.message)}
    return row


def _index(commit: Commit, files: Tree) -> _Index:
    """Paths of all files and folders of a commit in order, and the folders' ids."""
    with _indexes_lock:
        known = _indexes.get(commit.tree)
    if known is not None:
        return known
    ids = folder_ids(files)
    found = sorted((ids.keys() | files.keys()) - {""}), ids
    if len(found[0]) < _CACHED_PATHS:
        with _indexes_lock:
            _indexes[commit.tree] = found
    return found


def _item(
    path: str, files: Tree, folders: Mapping[str, str], last: Mapping[str, Commit] | None
) -> dict[str, Any]:
    entry = files.get(path)
    if entry is None:
        row = {"type": "directory", "path": path, "oid": folders[path], "size": 0}
    else:
        row = _file(path, entry)
    if last is not None:
        changed = last[path]
        row["lastCommit"] = {"id": changed.id, "title": changed.title, "date": changed.date}
    return row


def _file(path: str, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
    if entry.lfs:
        pointer_size = len(lfs_pointer(entry.sha256, entry.size))
        row["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer_size}
    return row


def _limit(request: Request, default: int, *, most: int | None = None) -> int:
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise BadRequestError(f"got limit {text[:40]!r}; needed is a number of rows")
    return min(int(text), most or default)


def _next(request: Request, cursor: str) -> str:
    return f'<{request.url.include_query_params(cursor=cursor)}>; rel="next"'


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1")


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/tree/{revision}", tree),
    Route(_REPO + "/tree/{revision}/{path:path}", tree),
    Route(_REPO + "/paths-info/{revision}", paths_info, methods=["POST"]),
    Route(_REPO + "/commits/{revision}", commits),
]
