"""How each file of a coming commit should travel, and what is there now."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.commit_lines import field_of
from hfrun.hub.messages import read_json, segment
from hfrun.hub.names import checked_path
from hfrun.hub.repository import Repository
from hfrun.hub.tree import Entry
from hfrun.hub.upload_mode import is_large

GITATTRIBUTES_MAX_BYTES = 100_000  # it is matched against every file


async def preupload(request: Request) -> Response:
    """POST /api/T/R/preupload/{rev}: regular or lfs for each file, and what is there now."""
    caller = Caller.of(request)
    files = (await read_json(request)).get("files")
    return await run_in_threadpool(_preupload, caller, request, files)


def _preupload(caller: Caller, request: Request, files: object) -> Response:
    repository = caller.contributor(request)
    commit = repository.commit(repository.resolve(segment(request, "revision")))
    tree = repository.tree(commit)
    rules = _gitattributes(repository, tree.get(".gitattributes"))
    answers = []
    for file in files if isinstance(files, list) else []:
        path, size = checked_path(field_of(file, "path", str)), field_of(file, "size", int)
        present = tree.get(path)
        answers.append(
            {
                "path": path,
                "uploadMode": "lfs" if is_large(path, size, rules) else "regular",
                "shouldIgnore": False,
                "oid": present.etag if present else None,
            }
        )
    return JSONResponse({"files": answers})


def _gitattributes(repository: Repository, entry: Entry | None) -> str:
    if entry is None or entry.size > GITATTRIBUTES_MAX_BYTES:
        return ""
    return repository.content(entry).read_text("utf-8", "replace")


ROUTES = [
    Route("/api/{kind:kind}/{namespace}/{name}/preupload/{revision}", preupload, methods=["POST"]),
]
