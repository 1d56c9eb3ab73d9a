"""The style sheet, kept by browsers under an address that names its content."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.pages.rendering import SAFE_HEADERS, STYLE_SHEET

_TAG = f'"{hashlib.sha256(STYLE_SHEET).hexdigest()[:20]}"'


def style_sheet(request: Request) -> Response:
    """GET /static/hub.css"""
    headers = {
        **SAFE_HEADERS,
        # Pages name the version they were made for (?v=): another is another address.
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": _TAG,
    }
    if request.headers.get("if-none-match") == _TAG:
        return Response(status_code=304, headers=headers)
    return Response(STYLE_SHEET, media_type="text/css; charset=utf-8", headers=headers)
