"""The history of a repository, and what each commit changed."""

from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from hfrun.hub.pages.differences import differences
from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.index import with_query
from hfrun.hub.pages.place import Place
from hfrun.hub.refusals import RevisionNotFoundError
from hfrun.hub.store.three_way import file_changes

COMMITS_A_PAGE = 50
MAX_CHANGES = 500


@as_page
def commits(request: Request) -> Response:
    """GET /P R/commits/{rev}?from=: newest first; ``from`` is the first commit of a later page."""
    place = Place.of(request)
    start = request.query_params.get("from") or place.commit.id
    if len(start) != 40:
        raise RevisionNotFoundError(start[:100])
    start = place.repository.resolve(start)
    found = list(islice(place.repository.history(start), COMMITS_A_PAGE + 1))
    older = found.pop().id if len(found) > COMMITS_A_PAGE else None
    return place.page(
        request,
        "commits.html",
        tab="history",
        view="commits",
        commits=found,
        older=None if older is None else with_query(request, **{"from": older}),
        newest=place.addresses.commits(place.revision) if start != place.commit.id else None,
        tags_at=_names_by_commit(place, "tags"),
        branches_at=_names_by_commit(place, "heads"),
    )


@as_page
def commit(request: Request) -> Response:
    """GET /P R/commit/{id}"""
    place = Place.of(request)
    parent = place.commit.parent
    repository = place.repository
    before = {} if parent is None else repository.tree(repository.commit(parent))
    changes = file_changes(before, place.tree)
    shown = changes[:MAX_CHANGES]
    return place.page(
        request,
        "commit.html",
        tab="history",
        view="commits",
        changes=shown,
        n_changes=len(changes),
        differences=differences(repository, shown) if place.may_read else {},
        tags_at=_names_by_commit(place, "tags"),
    )


def _names_by_commit(place: Place, kind: str) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, commit_id in place.repository.refs(kind).items():
        named.setdefault(commit_id, []).append(name)
    return named
