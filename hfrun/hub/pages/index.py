"""The hub's first page: all repositories, or those of a kind or of an account."""

from dataclasses import dataclass
from math import ceil
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.accounts.access import Caller
from hfrun.hub.names import KINDS
from hfrun.hub.pages.catalogue import ORDERS, SORTS, Query, Row, catalogue, figures_of
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.rendering import page
from hfrun.hub.pages.words import SHOWN_MEASURES
from hfrun.hub.refusals import RefusalError
from hfrun.hub.transport.messages import endpoint, segment

ROWS_A_PAGE = 30
_MAX_TEXT = 200
_MAX_TAGS = 15


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Which page of how many, and the addresses of its neighbours."""

    number: int
    last: int
    previous: str | None
    following: str | None


@as_page
def index(request: Request) -> Response:
    """GET / and /{kind}: ?q=&kind=&tag=&sort=&order=&page="""
    return _index(request, kind=request.path_params.get("kind", ""), namespace="")


@as_page
def account(request: Request) -> Response:
    """GET /{namespace}: the repositories of a user or an organisation."""
    caller = Caller.of(request)
    name = segment(request, "namespace")
    shown = caller.hub.accounts.shown_name(name)
    return _index(request, kind="", namespace=shown or name, is_known=shown is not None)


def paged(request: Request, n_rows: int, rows_a_page: int) -> Pages:
    """The page that is asked for, or the nearest there is."""
    last = max(ceil(n_rows / rows_a_page), 1)
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    number = min(max(number, 1), last)
    return Pages(
        number=number,
        last=last,
        previous=with_query(request, page=str(number - 1)) if number > 1 else None,
        following=with_query(request, page=str(number + 1)) if number < last else None,
    )


def with_query(request: Request, **changes: str) -> str:
    """This page's address with other values in its query; an empty one is left out."""
    kept = {**dict(request.query_params), **changes}
    query = urlencode({key: value for key, value in kept.items() if value})
    return f"{request.url.path}?{query}" if query else request.url.path


def _index(request: Request, *, kind: str, namespace: str, is_known: bool = True) -> Response:
    caller = Caller.of(request)
    query = _query(request, kind=kind, namespace=namespace)
    rows = catalogue(caller, query)
    if namespace and not rows and not is_known:
        raise NoAccountError(f"There is no account {namespace[:100]!r} on this hub")
    figures = figures_of(rows)
    pages = paged(request, len(rows), ROWS_A_PAGE)
    start = (pages.number - 1) * ROWS_A_PAGE
    return page(
        request,
        "index.html",
        caller=caller,
        query=query,
        fixed_kind=kind,
        kinds=KINDS,
        rows=rows[start : start + ROWS_A_PAGE],
        n_rows=len(rows),
        pages=pages,
        figures=figures,
        shown=_shown(query, figures),
        tag_links=_tag_links(request, rows, query),
        without_tag=with_query(request, tag="", page=""),
        is_narrowed=bool(query.text or query.tag),
        endpoint=endpoint(request),
    )


class NoAccountError(RefusalError):
    """Neither an account nor a repository is called so."""

    status = 404


def _query(request: Request, *, kind: str, namespace: str) -> Query:
    """What the address asks for; an unknown kind, sort or order asks for nothing."""
    asked: Any = request.query_params
    sort = asked.get("sort", "")
    order = asked.get("order", "")
    asked_kind = asked.get("kind", "")
    return Query(
        text=asked.get("q", "")[:_MAX_TEXT],
        kind=kind or (asked_kind if asked_kind in KINDS else ""),
        namespace=namespace,
        tag=asked.get("tag", "")[:_MAX_TEXT],
        sort=sort if sort and len(sort) < 60 else SORTS[0],
        order=order if order in ORDERS else ORDERS[0],
    )


def _shown(query: Query, figures: list[str]) -> list[str]:
    """Keys of the figures that each row shows: the usual ones, and the one it is sorted by."""
    shown = list(SHOWN_MEASURES)
    if query.sort in figures and query.sort not in shown:
        shown = [query.sort, *shown[:-1]]
    return shown


def _tag_links(request: Request, rows: list[Row], query: Query) -> list[tuple[str, int, str]]:
    """The most frequent tags with their counts and addresses."""
    counts: dict[str, int] = {}
    for row in rows:
        for tag in row.facts.tags:
            counts[tag] = counts.get(tag, 0) + 1
    counts.pop(query.tag, None)
    frequent = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_MAX_TAGS]
    return [(tag, counts[tag], with_query(request, tag=tag, page="")) for tag in frequent]
