"""Who the caller is."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Caller
from hfrun.hub.refusals import BadTokenError


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
                    "displayName": token.label or token.id,
                    "role": token.role,
                    "createdAt": token.created_at,
                },
            },
        }
    )


ROUTES = [
    Route("/api/whoami-v2", whoami),
]
