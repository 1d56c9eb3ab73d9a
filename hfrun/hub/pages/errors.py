"""Refusals as pages for who looks with a browser; other callers get the JSON that clients know."""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.pages.forms import visitor
from hfrun.hub.pages.rendering import page
from hfrun.hub.refusals import (
    BadTokenError,
    GatedRepoError,
    MovedError,
    RefusalError,
    RepoNotFoundError,
    TokenNeededError,
)
from hfrun.hub.transport.threads import run_in_threadpool

View = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]

_TITLES = {
    400: "This request cannot be understood",
    401: "Sign in first",
    403: "Not allowed",
    404: "Nothing here",
    409: "Not possible as things are",
    412: "It has changed meanwhile",
    413: "Too large",
}


def as_page(view: View) -> Callable[[Request], Awaitable[Response]]:
    """A view whose refusals are pages where a browser asks; a plain ``def`` runs in a thread."""

    @wraps(view)
    async def answered(request: Request) -> Response:
        try:
            if inspect.iscoroutinefunction(view):
                return await view(request)  # type: ignore[no-any-return]
            return await run_in_threadpool(view, request)  # type: ignore[arg-type]
        except RefusalError as refusal:
            if isinstance(refusal, MovedError) or not wants_page(request):
                raise
            return await run_in_threadpool(refusal_page, request, refusal)

    return answered


def wants_page(request: Request) -> bool:
    """Whether this is a browser: clients of the protocol do not ask for HTML."""
    return "text/html" in request.headers.get("accept", "")


def refusal_page(request: Request, refusal: RefusalError) -> Response:
    """The page that says what was refused, and what would help."""
    caller = visitor(request)
    message = str(refusal)
    if isinstance(refusal, RepoNotFoundError):
        message = "There is no such repository, or it is private."
    elif isinstance(refusal, BadTokenError):
        message = "This hub does not know the token that came with the request."
    return page(
        request,
        "error.html",
        caller=caller,
        status=refusal.status,
        title=_TITLES.get(refusal.status, "Refused"),
        message=message[:1000],
        may_sign_in=caller.token is None
        and isinstance(refusal, RepoNotFoundError | TokenNeededError | GatedRepoError),
        back=request.url.path.removesuffix("/ask") if request.method == "POST" else None,
    )


def no_such_page(request: Request) -> Response:
    """Any address that no route knows."""
    if not wants_page(request):
        raise HTTPException(404)
    return page(
        request,
        "error.html",
        caller=visitor(request),
        status=404,
        title=_TITLES[404],
        message="This hub has no page at this address.",
        may_sign_in=False,
        back=None,
    )
