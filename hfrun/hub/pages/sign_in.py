"""Signing in with a token, and out again."""

import re
import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller, Hub
from hfrun.hub.accounts.sessions import COOKIE, LIFETIME_SECONDS
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.forms import Form, read_fields, see_other, visitor
from hfrun.hub.pages.rendering import page
from hfrun.hub.refusals import ForbiddenError
from hfrun.hub.transport.threads import run_in_threadpool

# Ties the form to the browser that asked for it: another site cannot sign a visitor in as
# somebody else, to have them write under that name.
_LOGIN_COOKIE = "hub_login"
_LOGIN_SECONDS = 3600

# A path of this hub: one slash, then no second one and no backslash, which browsers read as one.
_OWN_ADDRESS = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


@as_page
def sign_in_page(request: Request) -> Response:
    """GET /login?next="""
    caller = visitor(request)
    next_address = request.query_params.get("next", "/")
    # A link from elsewhere arrives without the session; from here on the browser sends it.
    if caller.token is not None and "next" in request.query_params:
        return see_other(_own(next_address))
    return _form(request, caller, next_address=next_address)


@as_page
async def sign_in(request: Request) -> Response:
    """POST /login: a known token becomes a session."""
    fields = await read_fields(request)
    return await run_in_threadpool(_sign_in, request, fields)


def _sign_in(request: Request, fields: Mapping[str, str]) -> Response:
    hub: Hub = request.app.state.hub
    nonce = request.cookies.get(_LOGIN_COOKIE, "")
    if not nonce or not hub.sessions.is_form_key(fields.get("form_key", ""), nonce):
        raise ForbiddenError("This form has expired; open the sign-in page again")
    token = hub.accounts.who(fields.get("token", "").strip())
    next_address = fields.get("next", "/")
    if token is None:
        message = (
            "This hub does not know that token. It may be mistyped or revoked, or belong to "
            "another hub."
        )
        nobody = Caller(hub=hub, token=None)
        return _form(request, nobody, next_address=next_address, message=message, status=401)
    answer = see_other(_own(next_address))
    _set_cookie(request, answer, COOKIE, hub.sessions.cookie(token.id), LIFETIME_SECONDS)
    answer.delete_cookie(_LOGIN_COOKIE)
    return answer


@as_page
async def sign_out(request: Request) -> Response:
    """POST /logout"""
    await Form.of(request)
    answer = see_other("/")
    answer.delete_cookie(COOKIE)
    return answer


def _own(address: str) -> str:
    """The address, if it leads to this hub; else the hub's first page."""
    return address if _OWN_ADDRESS.fullmatch(address) else "/"


def _form(
    request: Request,
    caller: Caller,
    *,
    next_address: str,
    message: str | None = None,
    status: int = 200,
) -> Response:
    # Always a new one: a key is made for no value that a visitor chose.
    nonce = secrets.token_urlsafe(24)
    answer = page(
        request,
        "login.html",
        caller=caller,
        status=status,
        login_key=caller.hub.sessions.form_key(nonce),
        next_address=next_address,
        message=message,
    )
    answer.headers["Cache-Control"] = "private, no-store"
    _set_cookie(request, answer, _LOGIN_COOKIE, nonce, _LOGIN_SECONDS)
    return answer


def _set_cookie(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
