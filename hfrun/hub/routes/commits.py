"""Changing files: one commit on a branch or a pull request, or one that opens a pull request."""

import tempfile
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.discussions.discussion import number_of
from hfrun.hub.discussions.discussions import Discussion, Discussions
from hfrun.hub.refusals import ForbiddenError, RevisionNotFoundError, TooLargeError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.disk import make_folder
from hfrun.hub.store.repository import Repository
from hfrun.hub.transport.commit_lines import CommitRequest, read_commit
from hfrun.hub.transport.messages import endpoint, segment
from hfrun.hub.transport.receiving import receive_into
from hfrun.hub.transport.threads import run_in_threadpool

BODY_MAX_BYTES = 4_000_000_000  # spooled to disk, so memory does not depend on it

_PULL_REQUEST = "refs/pr/"


async def commit(request: Request) -> Response:
    """POST /api/T/R/commit/{rev}?create_pr="""
    caller = Caller.of(request)
    await run_in_threadpool(_target, caller, request)  # before gigabytes are taken in
    incoming = caller.hub.objects.incoming
    make_folder(incoming)
    with tempfile.TemporaryFile(dir=incoming) as body:

        def write(chunk: bytes) -> None:
            if body.tell() + len(chunk) > BODY_MAX_BYTES:
                raise TooLargeError(f"got a commit of more than {BODY_MAX_BYTES} bytes")
            body.write(chunk)

        await receive_into(write, request)
        body.seek(0)
        return await run_in_threadpool(_commit, caller, request, body)


def _commit(caller: Caller, request: Request, body: BinaryIO) -> Response:
    repository = _target(caller, request)
    revision, author = segment(request, "revision"), caller.require_role().user
    limit = caller.hub.options.regular_max_bytes
    wanted = read_commit(repository, body, revision=revision, regular_max_bytes=limit)
    opened = None
    if _opens_pull_request(request):
        opened, made = _open(repository, revision, wanted, author)
    else:
        made = _add(repository, revision, wanted, author)
    return JSONResponse(_answer(request, repository, made, opened))


def _target(caller: Caller, request: Request) -> Repository:
    """The repository, if this caller may make the commit that is asked for.

    Anybody who may read it may propose a change. Who may not change its branches may change the
    pull requests that they opened themselves.
    """
    revision = segment(request, "revision")
    number = _number(revision)
    if _opens_pull_request(request):
        repository = caller.contributor(request)
    elif number is None:
        repository = caller.writable(request)
    else:
        repository = caller.contributor(request)
        author = Discussions(repository).get(number).author
        if author.lower() != caller.require_role().user.lower() and not caller.is_member(
            repository
        ):
            raise ForbiddenError(
                f"You don't have the rights to commit to {revision}, which {author} opened; "
                "pass create_pr=1 as a query parameter to create a pull request of your own"
            )
    repository.head(revision)  # an unknown branch is refused before any object is stored
    return repository


def _opens_pull_request(request: Request) -> bool:
    return request.query_params.get("create_pr", "").lower() in ("1", "true")


def _number(revision: str) -> int | None:
    """The number of a pull request's ref; None of anything else."""
    if not revision.startswith(_PULL_REQUEST):
        return None
    number = number_of(revision.removeprefix(_PULL_REQUEST))
    if number is None:
        raise RevisionNotFoundError(revision)
    return number


def _open(
    repository: Repository, revision: str, wanted: CommitRequest, author: str
) -> tuple[Discussion, Commit]:
    return Discussions(repository).open_with_commit(
        target=revision,
        changes=wanted.changes,
        title=wanted.title,
        message=wanted.message,
        author=author,
        parent=wanted.parent,
    )


def _add(repository: Repository, revision: str, wanted: CommitRequest, author: str) -> Commit:
    number = _number(revision)
    if number is not None:
        return Discussions(repository).commit(
            number,
            changes=wanted.changes,
            title=wanted.title,
            message=wanted.message,
            author=author,
            parent=wanted.parent,
        )
    return repository.add_commit(
        branch=revision,
        changes=wanted.changes,
        title=wanted.title,
        message=wanted.message,
        author=author,
        parent=wanted.parent,
    )


def _answer(
    request: Request, repository: Repository, made: Commit, opened: Discussion | None
) -> dict[str, Any]:
    url = f"{endpoint(request)}/{repository.settings.repo_id.address}"
    answer: dict[str, Any] = {
        "success": True,
        "commitOid": made.id,
        "commitUrl": f"{url}/commit/{made.id}",
        "hookOutput": "",
    }
    if opened is not None:
        answer["pullRequestUrl"] = f"{url}/discussions/{opened.number}"
        answer["pullRequestNum"] = opened.number
    return answer


ROUTES = [
    Route("/api/{kind:kind}/{namespace}/{name}/commit/{revision}", commit, methods=["POST"]),
]
