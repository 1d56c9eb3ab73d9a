"""Who the caller is, and whether a card's metadata would be accepted."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.access import Caller
from hfrun.hub.messages import read_json
from hfrun.hub.metadata import card_metadata
from hfrun.hub.refusals import BadRequestError, BadTokenError


def whoami(request: Request) -> Response:
    """GET /api/whoami-v2"""
    caller = Caller.of(request)
    if caller.token is None:
        raise BadTokenError()
    token = caller.token
    organisations = [
        {"type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": "write"}
        for name in caller.hub.accounts.organisations_of(token.user)
    ]
    return JSONResponse(
        {
            "type": "user",
            "id": token.user.lower(),
            "name": token.user,
            "fullname": token.user,
            "email": None,
            "isPro": False,
            "orgs": organisations,
            "auth": {
                "type": "access_token",
                "accessToken": {
                    "displayName": token.id,
                    "role": token.role,
                    "createdAt": token.created_at,
                },
            },
        }
    )


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


ROUTES = [
    Route("/api/whoami-v2", whoami),
    Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
]
