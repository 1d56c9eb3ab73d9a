"""The walk-forward report of a repository, shown so that it can do nothing but be looked at."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.place import REPORT_PAGE, Place
from hfrun.hub.pages.rendering import SAFE_HEADERS
from hfrun.hub.pages.verdict import badge_svg
from hfrun.hub.refusals import EntryNotFoundError

MAX_BYTES = 30_000_000  # a larger page would stop a browser; it can be downloaded

# Whoever opens the address by itself gets what the frame gives: an origin of its own, no script,
# no form, nothing from elsewhere.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox"
)


@as_page
def report_page(request: Request) -> Response:
    """GET /P R/report/{rev}: the report in a frame that allows it nothing."""
    place = Place.of(request)
    entry = place.tree.get(REPORT_PAGE)
    return place.page(
        request,
        "report.html",
        tab="report",
        view="report",
        report_bytes=None if entry is None else entry.size,
        is_shown=place.may_read and entry is not None and entry.size <= MAX_BYTES,
        report_path=REPORT_PAGE,
        report_file=place.addresses.report(place.revision, "report.html"),
    )


@as_page
def report_file(request: Request) -> Response:
    """GET /P R/report/{rev}/report.html: the report alone."""
    place = Place.of(request)
    place.caller.check_gate(place.repository)
    entry = place.tree.get(REPORT_PAGE)
    if entry is None or entry.size > MAX_BYTES or not place.repository.content(entry).exists():
        raise EntryNotFoundError(
            f"{REPORT_PAGE} is not at this revision, or larger than {MAX_BYTES} bytes",
            commit=place.commit.id,
        )
    return FileResponse(
        place.repository.content(entry),
        media_type="text/html; charset=utf-8",
        headers={**_headers(place, REPORT_POLICY), "ETag": f'"{entry.etag}"'},
    )


@as_page
def badge(request: Request) -> Response:
    """GET /P R/badge.svg?revision=: the outcome of the gates as a small picture."""
    place = Place.of(request)
    return Response(
        badge_svg(place.facts.verdict),
        media_type="image/svg+xml",
        headers=_headers(place, "default-src 'none'; sandbox"),
    )


def _headers(place: Place, policy: str) -> dict[str, str]:
    return {
        **SAFE_HEADERS,
        "Content-Security-Policy": policy,
        "Cache-Control": "private, no-store" if place.caller.token is not None else "no-cache",
        "Vary": "Cookie, Authorization",
    }
