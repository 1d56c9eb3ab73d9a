"""Discussions and pull requests: listed, opened, talked about and merged."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.discussions.diff_text import diff_text
from hfrun.hub.discussions.discussion import number_of
from hfrun.hub.discussions.discussion_json import discussion_row, event_row, status_event
from hfrun.hub.discussions.discussions import Discussion, Discussions
from hfrun.hub.refusals import (
    BadRequestError,
    DiscussionNotFoundError,
    ForbiddenError,
    RefusalError,
)
from hfrun.hub.store.repository import Repository
from hfrun.hub.transport.messages import read_json, segment
from hfrun.hub.transport.threads import run_in_threadpool

_PAGE = 50
_MAX_PAGE_DIGITS = 9

Body = dict[str, Any]

# By the two commits, which never change; measured in characters.
_diffs: LRUCache[tuple[Path, str | None, str], str] = LRUCache(8_000_000, getsizeof=len)
_diffs_lock = threading.Lock()


def listing(request: Request) -> Response:
    """GET /api/T/R/discussions?author=&type=&status=&p=: newest first, in pages."""
    repository = Caller.of(request).repository(request)
    start = _page_number(request) * _PAGE
    rows, matching, closed = [], 0, 0
    for discussion in Discussions(repository):
        closed += not discussion.is_open
        if _matches(request, discussion):
            if start <= matching < start + _PAGE:
                rows.append(discussion_row(repository, discussion))
            matching += 1
    return JSONResponse(
        {
            "discussions": rows,
            "count": matching,
            "start": start,
            "numClosedDiscussions": closed,
        }
    )


def details(request: Request) -> Response:
    """GET /api/T/R/discussions/{number}?diff=: everything that was said and done in one."""
    caller = Caller.of(request)
    repository = caller.repository(request)
    discussions = Discussions(repository)
    discussion = discussions.get(_number(request))
    answer = {
        **discussion_row(repository, discussion),
        "locked": False,
        "events": [event_row(event) for event in discussion.events],
    }
    if discussion.is_pull_request:
        paths = discussions.conflicts(discussion.number)
        answer["changes"] = {"base": f"refs/heads/{discussion.target}"}
        if discussion.merge_commit is not None:
            answer["changes"]["mergeCommitId"] = discussion.merge_commit
        # True: there are some, and which cannot be said.
        answer["filesWithConflicts"] = True if paths is None else list(paths)
        if request.query_params.get("diff", "") in ("1", "true") and _may_read(caller, request):
            answer["diff"] = _diff(repository, discussion)
    return JSONResponse(answer)


def _create(caller: Caller, request: Request, body: Body) -> Body:
    """POST /api/T/R/discussions: title, description, pullRequest."""
    is_pull_request = body.get("pullRequest", False)
    if not isinstance(is_pull_request, bool):
        raise BadRequestError("got pullRequest, which is neither true nor false")
    # A pull request puts files beside those of the repository, a discussion only texts.
    repository = caller.contributor(request) if is_pull_request else caller.repository(request)
    opened = Discussions(repository).open(
        title=body.get("title"),
        text=body.get("description"),
        author=caller.require_role().user,
        is_pull_request=is_pull_request,
    )
    return {"num": opened.number, "pullRequest": opened.is_pull_request, "title": opened.title}


def _comment(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/comment: whoever sees the repository and has a write token."""
    discussions, discussion = _found(caller, request)
    author = caller.require_role().user
    event = discussions.comment(discussion.number, text=body.get("comment"), author=author)
    return {"newMessage": event_row(event)}


def _edit(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/comment/{event}/edit: the comment's author alone."""
    discussions, discussion = _found(caller, request)
    comment = discussion.comment(segment(request, "event"))
    author = caller.require_role().user
    if not _is(author, comment.author):
        raise ForbiddenError(f"This comment is of {comment.author}, who alone may edit it")
    event = discussions.edit(discussion.number, comment.id, text=body.get("content"), author=author)
    return {"updatedComment": event_row(event)}


def _hide(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/comment/{event}/hide: its author, or who may write to the repository."""
    discussions, discussion = _found(caller, request)
    comment = discussion.comment(segment(request, "event"))
    author = _author_or_member(caller, request, comment.author, "hide this comment")
    return {
        "updatedComment": event_row(discussions.hide(discussion.number, comment.id, author=author))
    }


def _rename(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/title: its author, or who may write to the repository."""
    discussions, discussion = _found(caller, request)
    author = _author_or_member(caller, request, discussion.author, "rename it")
    event = discussions.rename(discussion.number, title=body.get("title"), author=author)
    return {"newTitle": event_row(event)}


def _change_status(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/status: its author, or who may write to the repository."""
    discussions, discussion = _found(caller, request)
    author = _author_or_member(caller, request, discussion.author, "close or open it")
    changed = discussions.set_status(
        discussion.number, status=body.get("status"), author=author, text=body.get("comment")
    )
    return {"newStatus": event_row(status_event(changed))}


def _merge(caller: Caller, request: Request, body: Body) -> Body:
    """POST .../{number}/merge: who may write to the repository."""
    repository = caller.writable(request)
    author = caller.require_role().user
    merged = Discussions(repository).merge(
        _number(request), author=author, text=body.get("comment")
    )
    return {"newStatus": event_row(status_event(merged)), "mergeCommitId": merged.merge_commit}


def _posted(action: Callable[[Caller, Request, Body], Body]) -> Callable[[Request], Any]:
    """An endpoint that reads a body and does this in a thread."""

    async def endpoint(request: Request) -> Response:
        caller = Caller.of(request)
        body = await read_json(request, optional=True)
        return JSONResponse(await run_in_threadpool(action, caller, request, body))

    return endpoint


# Whom and what a request means


def _found(caller: Caller, request: Request) -> tuple[Discussions, Discussion]:
    discussions = Discussions(caller.repository(request))
    return discussions, discussions.get(_number(request))


def _number(request: Request) -> int:
    written = segment(request, "number")
    number = number_of(written)
    if number is None:
        raise DiscussionNotFoundError(f"Discussion {written[:40]} not found")
    return number


def _author_or_member(caller: Caller, request: Request, author: str, what: str) -> str:
    """The user who asks, if they are the author or may write to the repository."""
    user = caller.require_role().user
    if not _is(user, author) and not caller.is_member(caller.repository(request)):
        raise ForbiddenError(
            f"You don't have the rights to {what}: needed is {author}, who began it, or a member "
            "of the repository's namespace"
        )
    return user


def _is(user: str, other: str) -> bool:
    return user.lower() == other.lower()


def _may_read(caller: Caller, request: Request) -> bool:
    """Whether the caller, who sees the repository, may also read its files."""
    try:
        caller.readable(request)
    except RefusalError:
        return False
    return True


def _matches(request: Request, discussion: Discussion) -> bool:
    query = request.query_params
    author, kind, status = (query.get(name, "") for name in ("author", "type", "status"))
    if author and not _is(author, discussion.author):
        return False
    if kind not in ("", "all", "pull_request" if discussion.is_pull_request else "discussion"):
        return False
    # As on the public hub, drafts count as open, and what was merged as closed.
    return status in ("", "all", discussion.status, "open" if discussion.is_open else "closed")


def _page_number(request: Request) -> int:
    written = request.query_params.get("p", "0")
    if not (written.isascii() and written.isdigit() and len(written) <= _MAX_PAGE_DIGITS):
        raise BadRequestError("got p, the page, which is not a number from 0 up")
    return int(written)


def _diff(repository: Repository, discussion: Discussion) -> str:
    key = (repository.folder, discussion.base, repository.head(discussion.ref))
    with _diffs_lock:
        known = _diffs.get(key)
    if known is None:
        changes = Discussions(repository).diff(discussion.number)
        known = diff_text(repository.objects, changes)
        with _diffs_lock:
            _diffs[key] = known
    return known


_DISCUSSIONS = "/api/{kind:kind}/{namespace}/{name}/discussions"
_ONE = _DISCUSSIONS + "/{number}"
_COMMENT = _ONE + "/comment/{event}"

ROUTES = [
    Route(_DISCUSSIONS, listing),
    Route(_DISCUSSIONS, _posted(_create), methods=["POST"]),
    Route(_ONE, details),
    Route(_ONE + "/comment", _posted(_comment), methods=["POST"]),
    Route(_COMMENT + "/edit", _posted(_edit), methods=["POST"]),
    Route(_COMMENT + "/hide", _posted(_hide), methods=["POST"]),
    Route(_ONE + "/title", _posted(_rename), methods=["POST"]),
    Route(_ONE + "/status", _posted(_change_status), methods=["POST"]),
    Route(_ONE + "/merge", _posted(_merge), methods=["POST"]),
]
