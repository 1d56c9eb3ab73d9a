"""Large files: which are needed, and their bytes.

Reference: git-lfs, docs/api/batch.md and docs/api/basic-transfers.md.
"""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller, Hub
from hfrun.hub.messages import endpoint, read_json
from hfrun.hub.names import RepoId, is_sha256
from hfrun.hub.receiving import receive_into
from hfrun.hub.refusals import BadRequestError, ObjectMissingError
from hfrun.hub.repository import Repository

_MEDIA_TYPE = "application/vnd.git-lfs+json"


async def batch(request: Request) -> Response:
    """POST /P R.git/info/lfs/objects/batch: an upload address for each object not yet here."""
    caller = Caller.of(request)
    body = await read_json(request)
    if body.get("operation") != "upload":
        raise BadRequestError(
            "got an LFS operation other than upload; files are read through resolve"
        )
    objects = body.get("objects")
    if not isinstance(objects, list):
        raise BadRequestError("got no list of objects")
    return await run_in_threadpool(_batch, caller, request, objects)


def _batch(caller: Caller, request: Request, objects: list[Any]) -> Response:
    repository = caller.contributor(request)
    rows = []
    for item in objects:
        sha256, size = _object(item)
        row: dict[str, Any] = {"oid": sha256, "size": size, "authenticated": True}
        if not repository.has_upload(sha256):
            row["actions"] = _actions(caller.hub, repository, endpoint(request), sha256, size)
        rows.append(row)
    answer = {"transfer": "basic", "objects": rows, "hash_algo": "sha256"}
    return JSONResponse(answer, media_type=_MEDIA_TYPE)


def _actions(
    hub: Hub, repository: Repository, base: str, sha256: str, size: int
) -> dict[str, dict[str, str]]:
    repo_id = repository.settings.repo_id
    objects = f"{base}/{repo_id.address}.git/info/lfs/objects"
    return {
        "upload": {"href": f"{objects}/{sha256}?{hub.signer.query(repo_id, sha256, size)}"},
        "verify": {"href": f"{objects}/verify"},
    }


async def upload(request: Request) -> Response:
    """PUT {upload.href}: the address itself is the permission."""
    hub: Hub = request.app.state.hub
    sha256 = request.path_params["sha256"]
    names = request.path_params
    named = RepoId(
        kind=names.get("kind", "models"), namespace=names["namespace"], name=names["name"]
    )
    # First: without a permission nobody must hear whether the repository is there.
    size = hub.signer.check(named, sha256, dict(request.query_params))
    await run_in_threadpool(hub.store.follow, named)  # before gigabytes are taken in
    with hub.objects.receive(max_bytes=size) as writer:
        await receive_into(writer.write, request)
        await run_in_threadpool(writer.finish, sha256)
    await run_in_threadpool(_remember, hub, named, sha256)
    return Response(status_code=200)


def _remember(hub: Hub, named: RepoId, sha256: str) -> None:
    """Clients cannot send a file a second time, so a name that was left meanwhile is followed."""
    hub.store.follow(named).remember_upload(sha256)


async def verify(request: Request) -> Response:
    """POST {verify.href}: whether the object arrived."""
    caller = Caller.of(request)
    sha256, size = _object(await read_json(request))
    return await run_in_threadpool(_verify, caller, request, sha256, size)


def _verify(caller: Caller, request: Request, sha256: str, size: int) -> Response:
    repository = caller.contributor(request)
    if not repository.has_upload(sha256) or repository.objects.size(sha256) != size:
        raise ObjectMissingError(f"the object {sha256} of {size} bytes was not uploaded here")
    return JSONResponse({}, media_type=_MEDIA_TYPE)


def _object(item: object) -> tuple[str, int]:
    sha256 = item.get("oid") if isinstance(item, dict) else None
    size = item.get("size") if isinstance(item, dict) else None
    if not isinstance(sha256, str) or not is_sha256(sha256):
        raise BadRequestError("got an object whose oid is not a sha256 in hex")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadRequestError("got an object whose size is not a number of bytes")
    return sha256, size


_OBJECTS = "/{namespace}/{name}.git/info/lfs/objects"
_PREFIXES = ("/{kind:kind}" + _OBJECTS, _OBJECTS)

ROUTES = [
    *(Route(prefix + "/batch", batch, methods=["POST"]) for prefix in _PREFIXES),
    *(Route(prefix + "/verify", verify, methods=["POST"]) for prefix in _PREFIXES),
    *(Route(prefix + "/{sha256}", upload, methods=["PUT"]) for prefix in _PREFIXES),
]
