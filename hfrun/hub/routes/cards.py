"""Whether a card's metadata would be accepted."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hfrun.hub.descriptions.card_checks import Problem, problems
from hfrun.hub.descriptions.metadata import card_metadata
from hfrun.hub.refusals import BadRequestError
from hfrun.hub.transport.messages import read_json
from hfrun.hub.transport.threads import run_in_threadpool

_KINDS = {None: "models", "model": "models", "dataset": "datasets", "space": "spaces"}


async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: clients ask before every commit that has a README.

    Errors are answered with 400, warnings alone with 200. ``RepoCard.validate`` asks for plain
    text, and shows it as it is.
    """
    return await run_in_threadpool(_validate, request, await read_json(request))


def _validate(request: Request, body: dict[str, Any]) -> Response:
    content, repo_type = body.get("content"), body.get("repoType")
    if not isinstance(content, str):
        raise BadRequestError("got no content; needed is the text of a README.md")
    if not (repo_type is None or isinstance(repo_type, str)) or repo_type not in _KINDS:
        raise BadRequestError("got another repoType than model, dataset or space")
    try:
        found = problems(card_metadata(content), kind=_KINDS[repo_type])
    except ValueError as broken:
        found = [Problem(key="", message=str(broken))]
    errors = [problem for problem in found if problem.is_error]
    warnings = [problem for problem in found if not problem.is_error]
    status = 400 if errors else 200
    if request.headers.get("accept", "").startswith("text/plain"):
        lines = [f"- Error: {_plain(p)}" for p in errors]
        lines += [f"- Warning: {_plain(p)}" for p in warnings]
        return PlainTextResponse("\n".join(lines), status_code=status)
    answer = {
        "errors": [{"type": "error", "message": _plain(p)} for p in errors],
        "warnings": [{"type": "warning", "message": _plain(p)} for p in warnings],
    }
    return JSONResponse(answer, status_code=status)


def _plain(problem: Problem) -> str:
    """The message without half surrogates, which no answer could carry."""
    return problem.message.encode("utf-8", "replace").decode()


ROUTES = [Route("/api/validate-yaml", validate_yaml, methods=["POST"])]
