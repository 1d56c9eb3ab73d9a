"""The files of a repository: folder by folder, and one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hfrun.hub.pages.errors import as_page
from hfrun.hub.pages.index import paged
from hfrun.hub.pages.place import Place
from hfrun.hub.pages.preview import preview
from hfrun.hub.refusals import EntryNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.path_history import history_of_paths
from hfrun.hub.store.tree import Entry, Tree

ITEMS_A_PAGE = 500

# The whole history is walked for the last changes; these are a second or two at the most.
_MAX_COMMITS = 2_000
_MAX_COMPARED = 500_000  # files, counted in every commit


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of a folder: a file with its entry, or a folder with its files' bytes."""

    name: str
    path: str
    entry: Entry | None
    n_bytes: int
    changed: Commit | None


@as_page
def tree_page(request: Request) -> Response:
    """GET /P R/tree/{rev}[/path]"""
    place = Place.of(request)
    folder = unquote(request.path_params.get("path", "")).strip("/")
    if folder in place.tree:
        return RedirectResponse(place.addresses.blob(place.revision, folder), status_code=307)
    items = folder_items(place.tree, folder, _last_changes(place))
    if folder and not items:
        raise EntryNotFoundError(f"There is no folder {folder[:300]!r} at {place.revision[:100]!r}")
    pages = paged(request, len(items), ITEMS_A_PAGE)
    start = (pages.number - 1) * ITEMS_A_PAGE
    return place.page(
        request,
        "tree.html",
        tab="files",
        view="tree",
        folder=folder,
        crumbs=crumbs(folder),
        items=items[start : start + ITEMS_A_PAGE],
        n_items=len(items),
        pages=pages,
    )


@as_page
def blob_page(request: Request) -> Response:
    """GET /P R/blob/{rev}/{path}"""
    place = Place.of(request)
    path = unquote(request.path_params["path"])
    entry = place.tree.get(path)
    if entry is None:
        if any(name.startswith(f"{path}/") for name in place.tree):
            return RedirectResponse(place.addresses.tree(place.revision, path), status_code=307)
        raise EntryNotFoundError(f"There is no file {path[:300]!r} at {place.revision[:100]!r}")
    return place.page(
        request,
        "blob.html",
        tab="files",
        view="blob",
        path=path,
        file_path=path,
        crumbs=crumbs(path),
        entry=entry,
        changed=_last_changes(place).get(path),
        preview=preview(place.repository, path, entry) if place.may_read else None,
    )


def crumbs(path: str) -> list[tuple[str, str]]:
    """Name and whole path of every folder on the way to a path, and of itself.

    >>> crumbs("a/b")
    [('a', 'a'), ('b', 'a/b')]
    """
    names = path.split("/") if path else []
    return [(name, "/".join(names[: i + 1])) for i, name in enumerate(names)]


def folder_items(tree: Tree, folder: str, changed: Mapping[str, Commit]) -> list[Item]:
    """What is directly in a folder: folders first, each in the order of the names."""
    prefix = f"{folder}/" if folder else ""
    files: list[Item] = []
    folders: dict[str, int] = {}
    for path, entry in tree.items():
        if not path.startswith(prefix):
            continue
        name, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            folders[name] = folders.get(name, 0) + entry.size
        else:
            when = changed.get(path)
            files.append(Item(name=name, path=path, entry=entry, n_bytes=entry.size, changed=when))
    found = []
    for name, n_bytes in sorted(folders.items()):
        path = prefix + name
        when = changed.get(path)
        found.append(Item(name=name, path=path, entry=None, n_bytes=n_bytes, changed=when))
    return found + sorted(files, key=lambda item: item.name)


def _last_changes(place: Place) -> Mapping[str, Commit]:
    """The commit that last changed each file and folder; none where that takes long to find."""
    most = min(_MAX_COMMITS, _MAX_COMPARED // max(len(place.tree), 1))
    history = islice(place.repository.history(place.commit.id), most + 1)
    if sum(1 for _ in history) > most:
        return {}
    return history_of_paths(place.repository, place.commit)
