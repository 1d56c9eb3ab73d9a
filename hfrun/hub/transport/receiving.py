"""Taking a request's body in: the next piece arrives while the one before is written."""

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from hfrun.hub.transport.messages import chunks


async def receive_into(write: Callable[[bytes], object], request: Request) -> None:
    """Hand the body to ``write`` in a thread, piece by piece and in order.

    ``write`` never runs when this has returned or raised, so the caller may close its file. Two
    pieces are in memory at a time.

    Raises:
        ClientDisconnect: the client went away before the end.
    """
    writing: asyncio.Future[object] | None = None
    try:
        async for chunk in chunks(request):
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(run_in_threadpool(write, chunk))
        if writing is not None:
            await writing
    finally:
        if writing is not None:
            await asyncio.gather(writing, return_exceptions=True)
