"""How each file of a coming commit should travel, what is there now, and what is left out."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.environment import takes_plain_lfs
from hfrun.hub.names import checked_path
from hfrun.hub.refusals import BadRequestError, TooLargeError
from hfrun.hub.store.path_rules import RULES_MAX_BYTES, PathRules
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Entry
from hfrun.hub.store.upload_mode import is_large, rules_of, travels_in_commit
from hfrun.hub.transport.commit_lines import field_of
from hfrun.hub.transport.messages import read_json, segment
from hfrun.hub.transport.threads import run_in_threadpool

MAX_FILES = 1000  # huggingface_hub asks about 256 at a time


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One file that a client is about to commit."""

    path: str
    size: int


async def preupload(request: Request) -> Response:
    """POST /api/T/R/preupload/{rev}?create_pr=: regular or lfs for each file."""
    caller = Caller.of(request)
    return await run_in_threadpool(_preupload, caller, request, await read_json(request))


def _preupload(caller: Caller, request: Request, body: dict[str, Any]) -> Response:
    repository = caller.contributor(request)
    files, gitignore = _files(body.get("files")), _gitignore(body.get("gitIgnore"))
    for file in files:
        if file.size > caller.hub.options.max_upload_bytes:
            raise TooLargeError(
                f"got {file.path!r} of {file.size} bytes; this hub takes files of at most "
                f"{caller.hub.options.max_upload_bytes} (hfrun hub serve --max-upload-gb)"
            )
    tree = repository.tree(repository.commit(repository.resolve(segment(request, "revision"))))
    rules = rules_of(repository.objects, tree, gitignore=gitignore)
    plain = takes_plain_lfs(request.headers.get("user-agent", ""))
    apart = _apart(files, rules, 0 if plain else caller.hub.options.regular_max_bytes)
    return JSONResponse(
        {
            "files": [
                {
                    "path": file.path,
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": rules.is_ignored(file.path),
                    "oid": _oid(repository, tree.get(file.path), file.size, lfs=lfs),
                }
                for file, lfs in zip(files, apart, strict=True)
            ]
        }
    )


def _apart(files: list[Asked], rules: PathRules, regular_max_bytes: int) -> list[bool]:
    """Whether each file is uploaded apart from its commit."""
    large = [is_large(file.path, file.size, rules) for file in files]
    sizes = [file.size for file, is_one in zip(files, large, strict=True) if is_one]
    inside = iter(travels_in_commit(sizes, regular_max_bytes=regular_max_bytes))
    return [is_one and not next(inside) for is_one in large]


def _oid(repository: Repository, present: Entry | None, size: int, *, lfs: bool) -> str | None:
    """The id of what is there that the client compares with its own file, to skip it.

    A client takes SHA-256 of a file that it would upload apart, and git's id of any other. Where
    the size differs, the file is another one, and no id needs to be computed to know that. What is
    lost from the disk has no id, so that a push brings it back.
    """
    if present is None or repository.objects.size(present.sha256) is None:
        return None
    if lfs:
        return present.sha256
    if present.lfs and present.size == size:
        return repository.objects.git_blob_id(present.sha256)
    return present.oid


def _files(files: object) -> list[Asked]:
    if not isinstance(files, list):
        raise BadRequestError("got no list of files")
    if len(files) > MAX_FILES:
        raise TooLargeError(f"got {len(files)} files; ask about at most {MAX_FILES} at a time")
    asked = []
    for file in files:
        path, size = checked_path(field_of(file, "path", str)), field_of(file, "size", int)
        if size < 0 or isinstance(size, bool):
            raise BadRequestError(f"got {path!r} of {size} bytes; needed is a number from 0")
        asked.append(Asked(path=path, size=size))
    return asked


def _gitignore(text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > RULES_MAX_BYTES:
        raise BadRequestError(
            f"got a gitIgnore that is no text of at most {RULES_MAX_BYTES} characters"
        )
    return text


ROUTES = [
    Route("/api/{kind:kind}/{namespace}/{name}/preupload/{revision}", preupload, methods=["POST"]),
]
