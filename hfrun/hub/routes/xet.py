"""What clients that would use Xet storage are told: this hub has none.

A client that has the package ``hf_xet`` asks here for a token before it uploads a file that was
answered "lfs". Of whatever it gets it shows the status and the address, nothing else, and of some
answers it asks for ever. So it is sent on to an address that says in words what to do, and is
refused there.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hfrun.hub.accounts.access import Hub
from hfrun.hub.transport.messages import error

_ADVICE = "/this-hub-has-no-xet-storage/"
_MB = 1_000_000


def token(request: Request) -> Response:
    """GET /api/T/R/xet-write-token/{rev} and xet-read-token: 404, for huggingface_hub in words.

    The same for every repository, whether it is there or not, and for every caller.
    """
    if "hf_hub/" not in request.headers.get("user-agent", ""):
        return advice(request)
    words = (
        "set-HF_HUB_DISABLE_XET=1-before-python-starts/"
        f"needed-by-datasets-and-by-files-above-{_limit_mb(request)}-MB"
    )
    return RedirectResponse(_ADVICE + words, status_code=307)


def advice(request: Request) -> Response:
    """GET the words themselves: there is nothing but the refusal."""
    return error(
        404,
        "got a request for Xet storage, which this hub does not have; to push datasets, files "
        f"above {_limit_mb(request)} MB or many large files at once, export HF_HUB_DISABLE_XET=1 "
        "before Python starts, and push again",
    )


def _limit_mb(request: Request) -> str:
    hub: Hub = request.app.state.hub
    return f"{hub.options.regular_max_bytes / _MB:g}"


ROUTES = [
    *(
        Route(f"/api/{{kind:kind}}/{{namespace}}/{{name}}/xet-{use}-token/{{revision}}", token)
        for use in ("read", "write")
    ),
    Route(_ADVICE + "{words:path}", advice),
]
