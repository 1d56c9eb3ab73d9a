"""The hub as an ASGI application: routes, refusals, and a request id on every answer."""

import uuid
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfrun.hub.accounts.access import Hub
from hfrun.hub.options import USUAL, ServerOptions
from hfrun.hub.refusals import RefusalError, RepoNotFoundError, RevisionNotFoundError
from hfrun.hub.routes import (
    access_requests,
    account,
    cards,
    commits,
    discussions,
    history,
    lfs,
    listing,
    pages,
    preupload,
    refs,
    repositories,
    resolve,
    revisions,
    xet,
)
from hfrun.hub.transport.access_log import AccessLog, prepared_log
from hfrun.hub.transport.hosts import KnownHosts
from hfrun.hub.transport.messages import (
    disconnected_answer,
    http_exception_answer,
    no_room_answer,
    refusal_answer,
    server_error_answer,
)
from hfrun.hub.transport.threads import SharedThreads, sharing
from hfrun.hub.transport.vanished import vanished_answer


class RequestId:
    """Puts X-Request-Id on every answer, and keeps it out of caches that others read.

    What is answered depends on who asks, by a token or by a cookie, and the addresses in it on
    the name that this hub was called by.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Number the request and pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        await self.app(scope, receive, numbered)


class RawPath:
    """Routes by the path as it was sent, still quoted.

    A revision such as ``run/1`` is one segment of the address, ``run%2F1``. In the unquoted path
    it would be two, and the rest of the address would be read wrongly.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replace the unquoted path by the raw one."""
        if scope["type"] == "http" and scope.get("raw_path"):
            raw_path = scope["raw_path"].decode("latin-1").partition("?")[0]
            scope = {**scope, "path": raw_path}
        await self.app(scope, receive, send)


def _no_such_api(request: Request) -> Response:
    raise HTTPException(404)


_LAST = (
    *listing.ROUTES_WITHOUT_NAMESPACE,
    Route("/api/{path:path}", _no_such_api, methods=None),
)


def create_app(root: Path, options: ServerOptions = USUAL) -> Starlette:
    """The hub that serves a folder.

    Args:
        root: made ready when it is new or empty.
        options: what this server allows; every route finds it as ``hub.options``.

    Raises:
        HubError: the folder holds something that is no hub.
    """
    hub = Hub.at(root, options)
    hub.objects.sweep_abandoned()
    modules = (
        account,
        cards,
        repositories,
        listing,
        revisions,
        refs,
        history,
        discussions,
        access_requests,
        preupload,
        commits,
        xet,
        lfs,
        resolve,
    )
    routes = [route for module in modules for route in module.ROUTES]
    app = Starlette(
        # What follows is for people: no address of the API may be taken for an account's page.
        routes=[sharing(route) for route in (*routes, *_LAST, *pages.ROUTES)],
        middleware=[
            Middleware(RequestId),
            Middleware(AccessLog, file=prepared_log(options.access_log)),
            Middleware(KnownHosts, names=options.known_hosts),
            Middleware(SharedThreads),
            Middleware(RawPath),
        ],
        exception_handlers={
            RefusalError: refusal_answer,
            RepoNotFoundError: vanished_answer,
            RevisionNotFoundError: vanished_answer,
            FileNotFoundError: vanished_answer,
            OSError: no_room_answer,
            HTTPException: http_exception_answer,
            ClientDisconnect: disconnected_answer,
            Exception: server_error_answer,
        },
    )
    app.router.redirect_slashes = False
    app.state.hub = hub
    return app
