"""Requests whose repository was moved or deleted while they were answered."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller
from hfrun.hub.refusals import RefusalError
from hfrun.hub.transport.messages import refusal_answer


async def vanished_answer(request: Request, error: Exception) -> Response:
    """The answer where a repository, a revision or a file of the hub was not found.

    Nothing holds a repository in its place while it is read. So it is looked up again: if it is
    gone, that is the answer, with its new address where it has one. If not, the error stands.
    """
    if "namespace" in request.path_params and "name" in request.path_params:
        try:
            await run_in_threadpool(Caller.of(request).repository, request)
        except RefusalError as gone:
            return await refusal_answer(request, gone)
    if isinstance(error, RefusalError):
        return await refusal_answer(request, error)
    raise error
