"""The walk-forward report of a repository, shown so that it can do nothing but be looked at."""

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.place import REPORT_PAGE, Place
from hfrun.hub.pages.rendering import SAFE_HEADERS
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
    private = place.caller.token is not None
    return FileResponse(
        place.repository.content(entry),
        media_type="text/html; charset=utf-8",
        headers={
            **SAFE_HEADERS,
            "Content-Security-Policy": REPORT_POLICY,
            "Cache-Control": "private, no-store" if private else "no-cache",
            "ETag": f'"{entry.etag}"',
            "Vary": "Cookie, Authorization",
        },
    )
