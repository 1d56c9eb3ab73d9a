"""The content of a file at a revision, whole or in ranges."""

import re
from datetime import datetime
from email.utils import format_datetime
from pathlib import PurePosixPath
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hfrun.hub.accounts.access import Caller
from hfrun.hub.refusals import EntryNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.tree import Entry
from hfrun.hub.transport.messages import error, segment

# Shown by a browser; anything else is downloaded, so that no stored page runs as ours.
_TEXT_SUFFIXES = (".md", ".txt", ".json", ".jsonl", ".yaml", ".yml", ".py", ".csv")

_ONE = r"\s*([0-9]*)-([0-9]*)\s*"
_ONE_RANGE = re.compile(_ONE)
_RANGES = re.compile(rf"bytes={_ONE}(?:,{_ONE})*", re.IGNORECASE)
_RANGE_MAX_LENGTH = 2000


# Of the pieces that are in memory. Hundreds of clients may take their answers slowly at once.
_PIECES_BYTES = 32 << 20
_LARGEST_PIECE, _SMALLEST_PIECE = 1 << 20, 1 << 16


class StoredFile(FileResponse):
    """Sent in pieces that are each worth a trip to a thread: Starlette's own are of 64 KiB.

    The piece after is read while the loop sends the one before. The more files are being sent,
    the smaller are the pieces of the next.
    """

    sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        StoredFile.sending += 1
        room = _PIECES_BYTES // (2 * StoredFile.sending)
        self.chunk_size = max(_SMALLEST_PIECE, min(_LARGEST_PIECE, room))
        try:
            await super().__call__(scope, receive, send)
        finally:
            StoredFile.sending -= 1


def resolve(request: Request) -> Response:
    """GET and HEAD /P R/resolve/{rev}/{path}"""
    repository = Caller.of(request).readable(request)
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    path = unquote(request.path_params["path"])
    entry = repository.tree(commit).get(path)
    if entry is None:
        raise EntryNotFoundError(f"{path} does not exist on {commit.id}", commit=commit.id)
    headers = _headers(commit, entry)
    if _is_known(request, entry):
        return Response(status_code=304, headers=headers)
    refusal = _range_refusal(request, entry)
    if refusal is not None:
        return refusal
    name = PurePosixPath(path)
    is_text = name.suffix in _TEXT_SUFFIXES
    file = repository.content(entry)
    return StoredFile(
        file,
        headers=headers,
        stat_result=file.stat(),
        media_type="text/plain; charset=utf-8" if is_text else "application/octet-stream",
        filename=name.name,
        content_disposition_type="inline" if is_text else "attachment",
    )


def _headers(commit: Commit, entry: Entry) -> dict[str, str]:
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{entry.etag}"',
        # Of the revision: the object may be older, and is shared with other repositories.
        "Last-Modified": format_datetime(datetime.fromisoformat(commit.date), usegmt=True),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if entry.lfs:
        headers["X-Linked-Etag"] = f'"{entry.sha256}"'
        headers["X-Linked-Size"] = str(entry.size)
    return headers


def _is_known(request: Request, entry: Entry) -> bool:
    """Whether the client holds these bytes already (If-None-Match), so that it needs no others."""
    known = request.headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return f'"{entry.etag}"' in tags or known.strip() == "*"


def _range_refusal(request: Request, entry: Entry) -> Response | None:
    """The answer to a range that is none or of which nothing is there; None where it is fine."""
    asked = request.headers.get("range")
    if asked is None or "if-range" in request.headers:
        return None
    if len(asked) > _RANGE_MAX_LENGTH or not _RANGES.fullmatch(asked):
        return error(400, f"got Range {asked[:100]!r}; needed is one like bytes=0-99")
    for first, last in _ONE_RANGE.findall(asked.partition("=")[2]):
        if not first and not last:
            return error(400, f"got Range {asked[:100]!r}; needed is one like bytes=0-99")
        if first and last and int(first) > int(last):
            return error(400, f"got Range {asked[:100]!r}, which ends before it begins")
        if int(first) >= entry.size if first else min(int(last), entry.size) == 0:
            answer = error(416, f"got Range {asked[:100]!r} of a file of {entry.size} bytes")
            answer.headers["Content-Range"] = f"bytes */{entry.size}"
            return answer
    return None


_FILE = "/{namespace}/{name}/resolve/{revision}/{path:path}"

ROUTES = [Route("/{kind:kind}" + _FILE, resolve), Route(_FILE, resolve)]
