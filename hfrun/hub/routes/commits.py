"""Changing files: one commit on a branch."""

import tempfile
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.commit import Commit
from hfrun.hub.commit_lines import read_commit
from hfrun.hub.disk import make_folder
from hfrun.hub.messages import chunks, endpoint, segment
from hfrun.hub.refusals import BadRequestError, TooLargeError

BODY_MAX_BYTES = 4_000_000_000  # spooled to disk, so memory does not depend on it


async def commit(request: Request) -> Response:
    """POST /api/T/R/commit/{rev}"""
    caller = Caller.of(request)
    if request.query_params.get("create_pr", "").lower() in ("1", "true"):
        raise BadRequestError("This hub takes no pull requests; commit to a branch")
    await run_in_threadpool(caller.writable, request)  # before gigabytes are taken in
    incoming = caller.hub.objects.incoming
    make_folder(incoming)
    with tempfile.TemporaryFile(dir=incoming) as body:
        async for chunk in chunks(request):
            await run_in_threadpool(body.write, chunk)
            if body.tell() > BODY_MAX_BYTES:
                raise TooLargeError(f"got a commit of more than {BODY_MAX_BYTES} bytes")
        body.seek(0)
        made = await run_in_threadpool(_commit, caller, request, body)
    url = f"{endpoint(request)}/{caller.repository(request).settings.repo_id.address}"
    return JSONResponse(
        {
            "success": True,
            "commitOid": made.id,
            "commitUrl": f"{url}/commit/{made.id}",
            "hookOutput": "",
        }
    )


def _commit(caller: Caller, request: Request, body: BinaryIO) -> Commit:
    repository = caller.writable(request)
    author = caller.require_write(repository.settings.repo_id.namespace).user
    branch = segment(request, "revision")
    repository.head(branch)  # an unknown branch is refused before any object is stored
    wanted = read_commit(repository, body)
    return repository.add_commit(
        branch=branch,
        changes=wanted.changes,
        title=wanted.title,
        message=wanted.message,
        author=author,
        parent=wanted.parent,
    )


ROUTES = [
    Route("/api/{kind:kind}/{namespace}/{name}/commit/{revision}", commit, methods=["POST"]),
]
