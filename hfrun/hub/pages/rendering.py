"""From a template to an answer: everything foreign escaped, and headers that allow little."""

import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from hfrun.hub.accounts.access import Caller
from hfrun.hub.accounts.sessions import COOKIE
from hfrun.hub.pages import words

# No script at all, nothing from elsewhere, and no other site may frame a page.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

STYLE_SHEET = (resources.files("hfrun.hub.pages") / "static" / "hub.css").read_bytes()
# A changed sheet has another address, so that browsers may keep each for good.
STYLE_ADDRESS = f"/static/hub.css?v={hashlib.sha256(STYLE_SHEET).hexdigest()[:12]}"

_templates = Environment(
    loader=PackageLoader("hfrun.hub.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    size=words.size,
    date=words.date,
    visible=words.visible,
    segment=words.address_segment,
    revision_name=words.revision_name,
)
_templates.globals.update(
    figure=words.figure,
    measure=words.measure,
    gate_titles=words.GATE_TITLES,
    style_address=STYLE_ADDRESS,
)


def page(
    request: Request, template: str, *, caller: Caller, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of the hub.

    Args:
        template: name of a file in ``templates/``.
        caller: whose name the page shows, and whose forms it holds.
        values: what the template shows; all text in it is escaped there.
    """
    cookie = request.cookies.get(COOKIE, "")
    signed_in = caller.token is not None and "authorization" not in request.headers
    html = _templates.get_template(template).render(
        user=caller.token.user if caller.token is not None else None,
        form_key=caller.hub.sessions.form_key(cookie) if signed_in else None,
        here=request.url.path,
        **values,
    )
    known = bool(cookie) or "authorization" in request.headers
    return HTMLResponse(
        # A title may hold half of a surrogate pair, which no encoding can write.
        html.encode("utf-8", "replace"),
        status_code=status,
        headers={
            **SAFE_HEADERS,
            "Content-Security-Policy": PAGE_POLICY,
            "Cache-Control": "private, no-store" if known else "no-cache",
            "Vary": "Cookie, Authorization, Accept",
        },
    )
