"""Whether a card's metadata would be accepted."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.messages import read_json
from hfrun.hub.metadata import card_metadata
from hfrun.hub.refusals import BadRequestError


async def validate_yaml(request: Request) -> Response:
    """POST /api/validate-yaml: clients ask before every commit that has a README."""
    content = (await read_json(request)).get("content")
    if not isinstance(content, str):
        raise BadRequestError("got no content; needed is the text of a README.md")
    try:
        card_metadata(content)
    except ValueError as problem:
        errors = [{"message": str(problem)}]
        return JSONResponse({"errors": errors, "warnings": []}, status_code=400)
    return JSONResponse({"errors": [], "warnings": []})


ROUTES = [Route("/api/validate-yaml", validate_yaml, methods=["POST"])]
