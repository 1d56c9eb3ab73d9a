"""Pull requests and discussions: read, talked about, closed and merged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller
from hfrun.hub.discussions.discussion import Discussion, Event, number_of
from hfrun.hub.discussions.discussions import Discussions
from hfrun.hub.pages.addresses import Addresses
from hfrun.hub.pages.card_html import card_html
from hfrun.hub.pages.differences import differences
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.forms import Form, see_other
from hfrun.hub.pages.index import paged
from hfrun.hub.pages.place import Place
from hfrun.hub.refusals import BadRequestError, DiscussionNotFoundError, ForbiddenError
from hfrun.hub.store.repository import DEFAULT_BRANCH
from hfrun.hub.transport.messages import segment
from hfrun.hub.transport.threads import run_in_threadpool

DISCUSSIONS_A_PAGE = 50
EVENTS_A_PAGE = 25
MAX_CHANGES = 200
_STATUS_OF = {"close": "closed", "reopen": "open"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One event, and the HTML of what was said."""

    event: Event
    html: str


@as_page
def discussions_page(request: Request) -> Response:
    """GET /P R/discussions?status=: newest first."""
    place = Place.of(request)
    everything = [_without_events(d) for d in Discussions(place.repository)]
    status = request.query_params.get("status")
    status = status if status in ("open", "over") else "all"
    listed = [d for d in everything if status == "all" or d.is_open == (status == "open")]
    pages = paged(request, len(listed), DISCUSSIONS_A_PAGE)
    start = (pages.number - 1) * DISCUSSIONS_A_PAGE
    return place.page(
        request,
        "discussions.html",
        tab="discussions",
        view="tree",
        discussions=listed[start : start + DISCUSSIONS_A_PAGE],
        chosen=status,
        n_open=sum(d.is_open for d in everything),
        n_all=len(everything),
        pages=pages,
    )


@as_page
def discussion_page(request: Request) -> Response:
    """GET /P R/discussions/{number}: what was said and done, and the files that it changes."""
    place = Place.of(request)
    discussions = Discussions(place.repository)
    discussion = discussions.get(_number(request))
    changes = discussions.diff(discussion.number)
    pages = paged(request, len(discussion.events), EVENTS_A_PAGE)
    start = (pages.number - 1) * EVENTS_A_PAGE
    address = place.repository.settings.repo_id.address
    return place.page(
        request,
        "discussion.html",
        tab="discussions",
        view="tree",
        discussion=discussion,
        events=[_shown(e, address) for e in discussion.events[start : start + EVENTS_A_PAGE]],
        pages=pages,
        changes=changes[:MAX_CHANGES],
        n_changes=len(changes),
        differences=(
            differences(place.repository, changes[:MAX_CHANGES]) if place.may_read else {}
        ),
        conflicts=discussions.conflicts(discussion.number) if discussion.is_open else (),
        may_comment=_writes(place.caller),
        may_close=_writes(place.caller) and _may_close(place.caller, place, discussion),
        may_merge=place.is_owner,
    )


@as_page
async def discussion_form(request: Request) -> Response:
    """POST /P R/discussions/{number}: action is comment, close, reopen or merge."""
    form = await Form.of(request)
    return await run_in_threadpool(_act, form.caller, request, form.fields)


def _act(caller: Caller, request: Request, fields: Mapping[str, str]) -> Response:
    author = caller.require_role().user
    place = Place.of(request, caller=caller)
    discussions = Discussions(place.repository)
    discussion = discussions.get(_number(request))
    action, text = fields.get("action", ""), fields.get("comment", "")
    if action == "comment":
        discussions.comment(discussion.number, text=text, author=author)
    elif action in _STATUS_OF:
        if not _may_close(caller, place, discussion):
            raise ForbiddenError(f"Only {discussion.author} and this repository's owners may")
        status = _STATUS_OF[action]
        discussions.set_status(discussion.number, status=status, author=author, text=text)
    elif action == "merge":
        caller.writable(request)
        discussions.merge(discussion.number, author=author, text=text)
    else:
        raise BadRequestError(f"got the action {action[:40]!r}, which is none of this form's")
    addresses: Addresses = place.addresses
    return see_other(f"{addresses.discussion(discussion.number)}?page=999999999#last")


def _without_events(discussion: Discussion) -> Discussion:
    """What a line of the list shows: all their texts together may be too much for the memory."""
    return replace(discussion, events=())


def _writes(caller: Caller) -> bool:
    return caller.token is not None and caller.token.role == "write"


def _may_close(caller: Caller, place: Place, discussion: Discussion) -> bool:
    began = caller.token is not None and caller.token.user.lower() == discussion.author.lower()
    return began or caller.is_member(place.repository)


def _shown(event: Event, address: str) -> Shown:
    if event.kind != "comment" or event.hidden_by:
        return Shown(event=event, html="")
    html = card_html(
        # What begins with --- would be taken for metadata and left out.
        f"\n{event.text}",
        repo_address=address,
        revision=DEFAULT_BRANCH,
        shows_image=lambda path: False,
    )
    return Shown(event=event, html=html)


def _number(request: Request) -> int:
    written = segment(request, "number")
    number = number_of(written)
    if number is None:
        raise DiscussionNotFoundError(f"Discussion {written[:40]} not found")
    return number
