"""Large files: which are needed, where to send them, and their bytes, whole or in parts.

References: git-lfs, docs/api/batch.md and docs/api/basic-transfers.md; huggingface_hub, lfs.py,
for uploads in parts.
"""

import shutil
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller, Hub
from hfrun.hub.names import RepoId, is_sha256
from hfrun.hub.refusals import (
    BadRequestError,
    ConflictError,
    ObjectMissingError,
    TooLargeError,
)
from hfrun.hub.store.repository import Repository
from hfrun.hub.transport.messages import endpoint, read_json
from hfrun.hub.transport.parts import PartialUpload, new_upload, part_sizes
from hfrun.hub.transport.receiving import receive_into
from hfrun.hub.transport.threads import run_in_threadpool

MAX_OBJECTS = 1000  # huggingface_hub asks about 256 at a time
_MEDIA_TYPE = "application/vnd.git-lfs+json"
_SLOWEST_BYTES_A_SECOND = 1_000_000  # addresses of parts live long enough for such a line


async def batch(request: Request) -> Response:
    """POST /P R.git/info/lfs/objects/batch: an upload address for each object not yet here."""
    caller = Caller.of(request)
    body = await read_json(request)
    if body.get("operation") != "upload":
        raise BadRequestError(
            "got an LFS operation other than upload; files are read through resolve"
        )
    if body.get("hash_algo", "sha256") != "sha256":
        raise ConflictError("got a hash algorithm other than sha256, which this hub does not use")
    objects = body.get("objects")
    if not isinstance(objects, list) or len(objects) > MAX_OBJECTS:
        raise BadRequestError(f"got no list of at most {MAX_OBJECTS} objects")
    transfers = body.get("transfers")
    in_parts = isinstance(transfers, list) and "multipart" in transfers
    return await run_in_threadpool(_batch, caller, request, objects, in_parts)


def _batch(caller: Caller, request: Request, objects: list[Any], in_parts: bool) -> Response:
    repository, options = caller.contributor(request), caller.hub.options
    rows: list[dict[str, Any]] = []
    multipart = False
    for sha256, size in [_object(item) for item in objects]:
        row: dict[str, Any] = {"oid": sha256, "size": size}
        rows.append(row)
        if repository.has_upload(sha256):
            continue
        refusal = _refusal(caller.hub, size)
        if refusal is not None:
            row["error"] = refusal
            continue
        addresses = _Addresses(caller.hub, repository.settings.repo_id, endpoint(request), sha256)
        parts = in_parts and size > options.multipart_above_bytes
        multipart = multipart or parts
        upload = addresses.in_parts(size) if parts else addresses.whole(size)
        row.update(authenticated=True, actions={"upload": upload, "verify": addresses.verify()})
    if multipart:
        caller.hub.objects.sweep_abandoned()
    transfer = "multipart" if multipart else "basic"
    answer = {"transfer": transfer, "objects": rows, "hash_algo": "sha256"}
    return JSONResponse(answer, media_type=_MEDIA_TYPE)


def _refusal(hub: Hub, size: int) -> dict[str, Any] | None:
    """Why an object of this size cannot be taken, before any of it is sent; None if it can."""
    limit = hub.options.max_upload_bytes
    if size > limit:
        message = f"got an object of {size} bytes; this hub takes at most {limit}"
        return {"code": TooLargeError.status, "message": message}
    free = shutil.disk_usage(hub.store.root).free
    if size > free:
        message = f"got an object of {size} bytes; the hub's disk has room for {free}"
        return {"code": 507, "message": message}
    return None


class _Addresses:
    """Where one object of one repository is sent."""

    def __init__(self, hub: Hub, repo_id: RepoId, base: str, sha256: str) -> None:
        self._hub = hub
        self._repo_id = repo_id
        self._sha256 = sha256
        self._objects = f"{base}/{repo_id.address}.git/info/lfs/objects"

    def verify(self) -> dict[str, Any]:
        return {"href": f"{self._objects}/verify"}

    def whole(self, size: int) -> dict[str, Any]:
        query = self._hub.signer.query(self._repo_id, self._sha256, size)
        return {"href": f"{self._objects}/{self._sha256}?{query}"}

    def in_parts(self, size: int) -> dict[str, Any]:
        """One address for each part, and one that makes them a whole."""
        upload, seconds = new_upload(), size // _SLOWEST_BYTES_A_SECOND
        sizes = part_sizes(size, part_bytes=self._hub.options.part_bytes)

        def query(of: int, **more: int) -> str:
            signer = self._hub.signer
            return signer.query(
                self._repo_id, self._sha256, of, seconds=seconds, upload=upload, **more
            )

        address = f"{self._objects}/{self._sha256}"
        header = {
            f"{number:05d}": f"{address}/part?{query(each, part=number)}"
            for number, each in enumerate(sizes, start=1)
        }
        return {
            "href": f"{address}/complete?{query(size, parts=len(sizes))}",
            "header": {"chunk_size": str(sizes[0]), **header},
        }


async def upload(request: Request) -> Response:
    """PUT {upload.href}: the address itself is the permission."""
    hub: Hub = request.app.state.hub
    repository, permit = await run_in_threadpool(_permitted, request)
    sha256, size = request.path_params["sha256"], int(permit["size"])
    _check_length(request, size)
    with hub.objects.receive(max_bytes=size) as writer:
        await receive_into(writer.write, request)
        await run_in_threadpool(writer.finish, sha256)
    await run_in_threadpool(repository.remember_upload, sha256)
    return Response(status_code=200)


async def upload_part(request: Request) -> Response:
    """PUT an address of a part: in any order, and again where it went wrong."""
    hub: Hub = request.app.state.hub
    _, permit = await run_in_threadpool(_permitted, request, "upload", "part")
    number, size = int(permit["part"]), int(permit["size"])
    _check_length(request, size)
    with PartialUpload(hub.objects, permit["upload"]).receiving(number, size) as writer:
        await receive_into(writer.write, request)
    # Clients want a tag of every part and send them back. The whole is checked by its SHA-256.
    return Response(status_code=200, headers={"ETag": f'"{permit["upload"]}-{number}"'})


def complete(request: Request) -> Response:
    """POST {upload.href} of an upload in parts: all of them have been sent."""
    hub: Hub = request.app.state.hub
    repository, permit = _permitted(request, "upload", "parts")
    PartialUpload(hub.objects, permit["upload"]).complete(
        repository,
        request.path_params["sha256"],
        size=int(permit["size"]),
        parts=int(permit["parts"]),
    )
    return JSONResponse({}, media_type=_MEDIA_TYPE)


def _check_length(request: Request, size: int) -> None:
    """Refuse a body that says of itself that it is another one, before any of it is written.

    Raises:
        TooLargeError, BadRequestError: it is longer or shorter than the address permits.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) != size:
        kind = TooLargeError if int(said) > size else BadRequestError
        raise kind(f"got a body of {int(said)} bytes; this address takes exactly {size}")


def _permitted(request: Request, *names: str) -> tuple[Repository, dict[str, str]]:
    """The repository of an upload address, and what the address permits.

    An address stays good when the repository moves meanwhile.
    """
    hub: Hub = request.app.state.hub
    at = request.path_params
    named = RepoId(kind=at.get("kind", "models"), namespace=at["namespace"], name=at["name"])
    permit = hub.signer.check(named, at["sha256"], dict(request.query_params), *names)
    return hub.store.follow(named), permit


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


def _routes() -> Iterator[Route]:
    for prefix in ("/{kind:kind}" + _OBJECTS, _OBJECTS):
        yield Route(prefix + "/batch", batch, methods=["POST"])
        yield Route(prefix + "/verify", verify, methods=["POST"])
        yield Route(prefix + "/{sha256}", upload, methods=["PUT"])
        yield Route(prefix + "/{sha256}/part", upload_part, methods=["PUT"])
        yield Route(prefix + "/{sha256}/complete", complete, methods=["POST"])


ROUTES = list(_routes())
