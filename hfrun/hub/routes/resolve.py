"""The content of a file at a revision, whole or in ranges."""

from pathlib import PurePosixPath
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.messages import segment
from hfrun.hub.refusals import EntryNotFoundError

# Shown by a browser; anything else is downloaded, so that no stored page runs as ours.
_TEXT_SUFFIXES = (".md", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".py", ".csv")


def resolve(request: Request) -> Response:
    """GET and HEAD /P R/resolve/{rev}/{path}"""
    repository = Caller.of(request).readable(request)
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    path = unquote(request.path_params["path"])
    entry = repository.tree(commit).get(path)
    if entry is None:
        raise EntryNotFoundError(f"{path} does not exist on {commit.id}", commit=commit.id)
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{entry.etag}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if entry.lfs:
        headers["X-Linked-Etag"] = f'"{entry.sha256}"'
        headers["X-Linked-Size"] = str(entry.size)
    name = PurePosixPath(path)
    is_text = name.suffix in _TEXT_SUFFIXES
    return FileResponse(
        repository.content(entry),
        headers=headers,
        media_type="text/plain; charset=utf-8" if is_text else "application/octet-stream",
        filename=name.name,
        content_disposition_type="inline" if is_text else "attachment",
    )


_FILE = "/{namespace}/{name}/resolve/{revision}/{path:path}"

ROUTES = [Route("/{kind:kind}" + _FILE, resolve), Route(_FILE, resolve)]
