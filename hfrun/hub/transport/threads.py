"""Threads for the work of requests, shared out so that no caller takes them all.

What waits for a repository's lock or reads a huge list keeps a thread as long as it takes. With
one pool for all, forty such requests of one caller would stop the hub for everybody. So each
caller has a few threads for what only reads and a few for what changes something; further
requests wait for these, without a thread.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from inspect import iscoroutinefunction
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from anyio.to_thread import current_default_thread_limiter
from starlette import concurrency
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

THREADS = 60
THREADS_OF_ONE = 10  # of one caller: so many that read, and so many that change

_P = ParamSpec("_P")
_T = TypeVar("_T")
_share: ContextVar[asyncio.Semaphore | None] = ContextVar("share", default=None)


class SharedThreads:
    """Gives every request its caller's share of the threads."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._shares: WeakValueDictionary[tuple[str, bool], asyncio.Semaphore]
        self._shares = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        current_default_thread_limiter().total_tokens = THREADS
        key = _caller(scope), scope["method"] in ("GET", "HEAD")
        share = self._shares.setdefault(key, asyncio.Semaphore(THREADS_OF_ONE))
        before = _share.set(share)
        try:
            await self.app(scope, receive, send)
        finally:
            _share.reset(before)


async def run_in_threadpool(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run blocking work of the present request in a thread of its caller's share."""
    share = _share.get()
    if share is None:
        return await concurrency.run_in_threadpool(work, *args, **kwargs)
    async with share:
        return await concurrency.run_in_threadpool(work, *args, **kwargs)


def sharing(route: Route) -> Route:
    """The route, whose endpoint runs in its caller's share if it is no coroutine."""
    endpoint = route.endpoint
    if iscoroutinefunction(endpoint):
        return route

    @wraps(endpoint)
    async def answered(request: Request) -> Response:
        answer: Response = await run_in_threadpool(endpoint, request)
        return answer

    return Route(route.path, answered, methods=route.methods, name=route.name)


def _caller(scope: Scope) -> str:
    """Who is asking, as far as it shows before anybody looks: a token, a session or a machine."""
    headers = dict(scope["headers"])
    secret = headers.get(b"authorization") or headers.get(b"cookie")
    if secret is not None:
        return hashlib.sha256(secret).hexdigest()
    client = scope.get("client")
    return client[0] if client else ""
