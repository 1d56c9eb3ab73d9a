"""The forms that pages send: read within bounds, and only from a page of this hub's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse

from hfrun.hub.accounts.access import Caller, Hub
from hfrun.hub.accounts.sessions import COOKIE
from hfrun.hub.refusals import BadRequestError, ForbiddenError, TokenNeededError
from hfrun.hub.transport.messages import read_body
from hfrun.hub.transport.threads import run_in_threadpool

_MAX_FIELDS = 20
_MAX_BYTES = 1_000_000  # a comment of 65,536 letters takes up to twelve bytes for each


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of a signed-in user's own: who sent it, and its fields."""

    caller: Caller
    fields: Mapping[str, str]

    @classmethod
    async def of(cls, request: Request) -> "Form":
        """Read a form, if it was made for this browser's session.

        What the sender may do is for the route to ask, as it does of any caller.

        Raises:
            TokenNeededError: nobody is signed in, or no longer.
            ForbiddenError: the form comes from elsewhere, or from another session.
            BadRequestError: the body is no form.
        """
        fields = await read_fields(request)
        return await run_in_threadpool(cls._checked, request, fields)

    @classmethod
    def _checked(cls, request: Request, fields: Mapping[str, str]) -> "Form":
        caller = visitor(request)
        if caller.token is None:
            raise TokenNeededError("You are not signed in, or no longer; sign in and try again")
        cookie = request.cookies.get(COOKIE, "")
        if not caller.hub.sessions.is_form_key(fields.get("form_key", ""), cookie):
            raise ForbiddenError(
                "This form was made for another session; go back, reload the page and try again"
            )
        return cls(caller=caller, fields=fields)


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a form that was sent from a page of this hub; of a repeated one the first.

    Raises:
        ForbiddenError: the browser says that another site sent it.
        BadRequestError: the body is no form.
    """
    refuse_other_sites(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadRequestError(f"got a body of type {kind[:100]!r}, not a form's")
    return await read_body(request, _fields, max_bytes=_MAX_BYTES)


def _fields(body: bytes) -> dict[str, str]:
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise BadRequestError(f"got a body that is no form of up to {_MAX_FIELDS} fields") from None
    return {name: values[0] for name, values in found.items()}


def refuse_other_sites(request: Request) -> None:
    """Refuse what the browser itself says comes from another site; older ones say nothing.

    Our pages send no referrer, for which browsers write ``Origin: null`` with their forms: it
    says nothing either. The key of the form decides then.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "null")
    own = request.headers.get("host", "")
    if site not in ("same-origin", "none") or (origin != "null" and _host(origin) != own):
        raise ForbiddenError("This form was sent by a page of another site")


def visitor(request: Request) -> Caller:
    """Who is signed in, for pages that are shown to everybody; nobody for a session that ended."""
    hub: Hub = request.app.state.hub
    token_id = hub.sessions.token_id(request.cookies.get(COOKIE, ""))
    return Caller(hub=hub, token=None if token_id is None else hub.accounts.with_id(token_id))


def see_other(address: str) -> RedirectResponse:
    """After a form: show this address by GET, so that a reload sends nothing again."""
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
