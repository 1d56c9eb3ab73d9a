"""Rewriting history, the large files of a repository, and copies of both."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.names import RepoId, checked_repo_id, is_sha256
from hfrun.hub.refusals import AlreadyExistsError, BadRequestError, RepoNotFoundError
from hfrun.hub.store.copying import duplicate, lend_large_files
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.rewriting import delete_large_files, squash
from hfrun.hub.store.storage import LargeFile, storage
from hfrun.hub.transport.messages import endpoint, read_json, segment
from hfrun.hub.transport.threads import run_in_threadpool

_MAX_FILES = 1000  # in one request, and on one page
_KINDS = {"model": "models", "dataset": "datasets", "space": "spaces"}
_VISIBILITIES = {None: None, "public": False, "private": True}


async def super_squash(request: Request) -> Response:
    """POST /api/T/R/super-squash/{branch}: one commit in place of a branch's history, for good."""
    caller = Caller.of(request)
    branch = segment(request, "branch")
    message = (await read_json(request, optional=True)).get("message")
    if not (message is None or isinstance(message, str)):
        raise BadRequestError("got a message that is not a text")
    title = (message or "").strip() or f"Super-squash branch '{branch}'"
    await run_in_threadpool(_squash, caller, request, branch, title)
    return JSONResponse({"success": True})


def _squash(caller: Caller, request: Request, branch: str, title: str) -> None:
    repository = caller.writable(request)
    author = caller.require_role().user
    title = title.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be stored
    squash(repository, branch=branch, message=title, author=author)


def lfs_files(request: Request) -> Response:
    """GET /api/T/R/lfs-files: the large files of all branches, tags and pull requests, in pages."""
    repository = Caller.of(request).repository(request)
    removed = repository.removed_content()
    after = request.query_params.get("cursor", "")
    found = sorted(storage(repository).large.values(), key=lambda file: file.sha256)
    rows = [f for f in found if f.sha256 not in removed and f.sha256 > after]
    headers = {}
    if len(rows) > _MAX_FILES:
        rows = rows[:_MAX_FILES]
        following = request.url.include_query_params(cursor=rows[-1].sha256)
        headers["Link"] = f'<{following}>; rel="next"'
    return JSONResponse([_large_file(file) for file in rows], headers=headers)


def _large_file(file: LargeFile) -> dict[str, Any]:
    return {
        "fileOid": file.sha256,
        "oid": file.sha256,
        "filename": file.path,
        "size": file.size,
        "pushedAt": file.pushed_at,
        "ref": file.ref,
    }


async def delete_lfs_files(request: Request) -> Response:
    """POST /api/T/R/lfs-files/batch {"deletions": {"sha", "rewriteHistory"}}: for good."""
    caller = Caller.of(request)
    deletions = (await read_json(request)).get("deletions")
    asked = deletions if isinstance(deletions, dict) else {}
    sha256s, rewrite = asked.get("sha"), asked.get("rewriteHistory", True)
    if not isinstance(sha256s, list) or not all(is_sha256(sha256) for sha256 in sha256s):
        raise BadRequestError("got deletions without a list of SHA-256 named sha")
    if len(sha256s) > _MAX_FILES or not isinstance(rewrite, bool):
        raise BadRequestError(
            f"got {len(sha256s)} files and rewriteHistory {str(rewrite)[:40]!r}; needed are at "
            f"most {_MAX_FILES} files, and true or false"
        )
    deleted = await run_in_threadpool(_delete, caller, request, sha256s, rewrite)
    asked_for = len(set(sha256s))
    counts = {"processed": asked_for, "succeeded": deleted, "failed": asked_for - deleted}
    return JSONResponse({"success": True, **counts})


def _delete(caller: Caller, request: Request, sha256s: list[str], rewrite: bool) -> int:
    return len(delete_large_files(caller.writable(request), sha256s, rewrite=rewrite))


async def lend(request: Request) -> Response:
    """POST /api/T/R/lfs-files/duplicate {"target", "files"}: for a commit in another repository.

    The caller may read this repository and upload to the target.
    """
    caller = Caller.of(request)
    body = await read_json(request)
    target, files = body.get("target"), body.get("files")
    if not isinstance(files, list) or len(files) > _MAX_FILES or not isinstance(target, dict):
        raise BadRequestError(f"got no target, or no list of up to {_MAX_FILES} files")
    sha256s = [str(file.get("sha256")) if isinstance(file, dict) else "" for file in files]
    if not all(map(is_sha256, sha256s)):
        raise BadRequestError("got a file without a SHA-256 named sha256")
    failed = await run_in_threadpool(_lend, caller, request, target, sha256s)
    return JSONResponse(
        {
            "success": [{"sha256": s} for s in dict.fromkeys(sha256s) if s not in failed],
            "failed": [{"sha256": s, "error": why} for s, why in failed.items()],
        }
    )


def _lend(
    caller: Caller, request: Request, target: dict[str, Any], sha256s: list[str]
) -> dict[str, str]:
    source = caller.readable(request)
    caller.require_role()
    kind, name = target.get("type", "model"), target.get("name")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise BadRequestError(f"got target type {str(kind)[:40]!r}; needed is one of {[*_KINDS]}")
    repository = caller.hub.store.follow(_named(caller, _KINDS[kind], name))
    if not caller.may_see(repository):
        raise RepoNotFoundError("Repository not found")
    caller.check_gate(repository)
    return dict(lend_large_files(source, repository, sha256s))


async def duplicate_repository(request: Request) -> Response:
    """POST /api/T/R/duplicate {"repository", "visibility"?}: with history, branches and tags.

    What a hosted Space would need (hardware, secrets, sleep time) is ignored: none runs here.
    """
    caller = Caller.of(request)
    return await run_in_threadpool(_duplicate, caller, request, await read_json(request))


def _duplicate(caller: Caller, request: Request, body: dict[str, Any]) -> Response:
    source = caller.readable(request)
    visibility = body.get("visibility")
    if not (visibility is None or isinstance(visibility, str)) or visibility not in _VISIBILITIES:
        raise BadRequestError(
            f"got visibility {str(visibility)[:40]!r}; this hub has public and private"
        )
    target = _named(caller, source.settings.repo_id.kind, body.get("repository"))
    author = caller.require_write(target.namespace).user
    url = f"{endpoint(request)}/{target.address}"
    try:
        made: Repository = duplicate(
            caller.hub.store, source, target, private=_VISIBILITIES[visibility], author=author
        )
    except AlreadyExistsError as exists:  # clients take the url from the refusal
        raise AlreadyExistsError(str(exists), url=url) from None
    name = str(made.settings.repo_id)
    return JSONResponse({"url": url, "id": name, "name": name, "filesCopyPending": False})


def _named(caller: Caller, kind: str, name: object) -> RepoId:
    """The repository that a body names, with the namespace as its account is written."""
    if not isinstance(name, str) or name.count("/") != 1:
        raise BadRequestError(f"got repository {str(name)[:100]!r}; needed is namespace/name")
    repo_id = checked_repo_id(kind, *name.split("/"))
    shown = caller.hub.accounts.shown_name(repo_id.namespace) or repo_id.namespace
    return RepoId(kind=repo_id.kind, namespace=shown, name=repo_id.name)


_REPO = "/api/{kind:kind}/{namespace}/{name}"

ROUTES = [
    Route(_REPO + "/super-squash/{branch}", super_squash, methods=["POST"]),
    Route(_REPO + "/lfs-files", lfs_files),
    Route(_REPO + "/lfs-files/batch", delete_lfs_files, methods=["POST"]),
    Route(_REPO + "/lfs-files/duplicate", lend, methods=["POST"]),
    Route(_REPO + "/duplicate", duplicate_repository, methods=["POST"]),
]
