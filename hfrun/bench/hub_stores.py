"""The hub's own store beside git libraries: durable commits a second, listings, histories.

    hub            hfrun.hub.store: objects by SHA-256, one file for all entries of a commit
    libgit2        pygit2, loose objects, its writes flushed to the disk
    dulwich_loose  dulwich, loose objects, flushed
    dulwich_packs  dulwich, the objects of a commit in one pack, flushed

All of them make the same commits, in turns, and must come to the same trees and listings; each
commit is on the disk before it is answered. Then all files are listed with their sizes and, of
large files, their hashes, as every client asks for them, once for each commit; and the history is
walked. Nothing of that was read before by the same process under the same address.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from hfrun.errors import HubError
from hfrun.hub.names import RepoId
from hfrun.hub.store.disk import sync_folder
from hfrun.hub.store.hub_store import HubStore, open_root
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Put, lfs_entry, lfs_pointer, regular_entry
from hfrun.hub.store.upload_mode import GITATTRIBUTES

FILES = 200
CHANGED = 8  # by each commit
_FOLDERS = 10
_LARGE_EVERY = 20  # files, of which git holds only a pointer
_SMALL_BYTES = (200, 4000)
_AUTHOR = "alice"
_POINTER_MAX_BYTES = 200

Content = bytes | tuple[str, int]  # of a regular file; SHA-256 and size of a large one
Row = tuple[str, str, int, str | None]  # path, git's id, size, SHA-256 of a large file


class Store(ABC):
    """One way to keep the commits of one repository in a folder."""

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Begin an empty repository, or open the one that is there."""

    @abstractmethod
    def commit(self, title: str, changes: Mapping[str, Content]) -> str:
        """Put a commit on ``main``, durably; returns git's id of its tree."""

    @abstractmethod
    def history(self) -> list[tuple[str, str]]:
        """Id and title of all commits of ``main``, newest first."""

    @abstractmethod
    def listing(self, commit_id: str) -> list[Row]:
        """All files of a commit, by their paths."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds open."""


class HubFolder(Store):
    """Ours."""

    def __init__(self, folder: Path) -> None:
        repo_id = RepoId(kind="models", namespace=_AUTHOR, name="m")
        is_new = not folder.exists()
        store = HubStore(open_root(folder, create=True))
        if is_new:
            store.create(repo_id, private=False, author=_AUTHOR, sdk=None)
        self._repository: Repository = store.open(repo_id)

    def commit(self, title: str, changes: Mapping[str, Content]) -> str:
        """Put a commit on ``main``, durably; returns git's id of its tree."""
        puts = [Put(path=path, entry=self._entry(content)) for path, content in changes.items()]
        made = self._repository.add_commit(
            branch="main", changes=puts, title=title, message="", author=_AUTHOR, parent=None
        )
        return made.tree

    def _entry(self, content: Content) -> Any:
        if isinstance(content, bytes):
            return regular_entry(content, self._repository.objects.put(content))
        return lfs_entry(*content)

    def history(self) -> list[tuple[str, str]]:
        """Id and title of all commits of ``main``, newest first."""
        head = self._repository.head("main")
        return [(commit.id, commit.title) for commit in self._repository.history(head)]

    def listing(self, commit_id: str) -> list[Row]:
        """All files of a commit, by their paths."""
        tree = self._repository.tree(self._repository.commit(commit_id))
        rows = [(p, e.oid, e.size, e.sha256 if e.lfs else None) for p, e in tree.items()]
        return sorted(rows)

    def close(self) -> None:
        """Nothing is held."""


class Libgit2Folder(Store):
    """Bare git through libgit2; every write of its is flushed, as ours are."""

    def __init__(self, folder: Path) -> None:
        import pygit2
        from pygit2.enums import Option

        pygit2.option(Option.ENABLE_FSYNC_GITDIR, True)
        is_new = not folder.exists()
        self._repo = (
            pygit2.init_repository(folder, bare=True, initial_head="main")
            if is_new
            else pygit2.Repository(folder)
        )
        self._index = pygit2.Index()
        self._git = pygit2

    def commit(self, title: str, changes: Mapping[str, Content]) -> str:
        """Put a commit on ``main``, durably; returns git's id of its tree."""
        mode = self._git.enums.FileMode.BLOB
        for path, content in changes.items():
            blob = self._repo.create_blob(_git_content(content))
            self._index.add(self._git.IndexEntry(path, blob, mode))
        tree = self._index.write_tree(self._repo)
        who = self._git.Signature(_AUTHOR, f"{_AUTHOR}@hub", int(time.time()), 0)
        head = self._repo.references.get("refs/heads/main")
        parents = [] if head is None else [head.target]
        self._repo.create_commit("refs/heads/main", who, who, title, tree, parents)
        return str(tree)

    def history(self) -> list[tuple[str, str]]:
        """Id and title of all commits of ``main``, newest first."""
        walked = self._repo.walk(self._repo.head.target)
        return [(str(commit.id), commit.message.strip()) for commit in walked]

    def listing(self, commit_id: str) -> list[Row]:
        """All files of a commit, by their paths."""
        return sorted(self._rows(self._repo[commit_id].tree, ""))

    def _rows(self, tree: Any, prefix: str) -> Iterator[Row]:
        for item in tree:
            if item.type_str == "tree":
                yield from self._rows(item, f"{prefix}{item.name}/")
            else:
                size = item.size
                text = item.data if size <= _POINTER_MAX_BYTES else b""
                yield _row(prefix + item.name, str(item.id), size, text)

    def close(self) -> None:
        """Give back what it holds open."""
        self._repo.free()


class DulwichFolder(Store):
    """Bare git through dulwich, loose objects; it flushes files, and we flush their folders."""

    def __init__(self, folder: Path) -> None:
        from dulwich.repo import Repo

        is_new = not folder.exists()
        if is_new:
            folder.mkdir()
            made: Any = Repo.init_bare(folder)
            made.refs.set_symbolic_ref(b"HEAD", b"refs/heads/main")
            config = made.get_config()
            config.set((b"core",), b"fsyncObjectFiles", b"true")
            config.write_to_path()
            made.close()
        self._folder = folder
        self._repo: Any = Repo(str(folder))
        self._blobs: dict[bytes, Any] = {}

    def _write(self, objects: list[Any]) -> None:
        for item in objects:
            self._repo.object_store.add_object(item)
        folder = self._folder / "objects"
        for name in {item.id[:2].decode() for item in objects}:
            sync_folder(folder / name)
        sync_folder(folder)

    def commit(self, title: str, changes: Mapping[str, Content]) -> str:
        """Put a commit on ``main``, durably; returns git's id of its tree."""
        from dulwich.objects import Blob

        blobs = {p.encode(): Blob.from_string(_git_content(c)) for p, c in changes.items()}
        self._blobs.update((path, blob.id) for path, blob in blobs.items())
        trees, root = self._trees({path.rpartition(b"/")[0] for path in blobs})
        head = b"refs/heads/main"
        before = self._repo.refs.read_loose_ref(head)
        made = self._commit_object(title, root, [before] if before else [])
        self._write([*blobs.values(), *trees, made])
        self._repo.refs.set_if_equals(head, before, made.id)
        sync_folder(self._folder / "refs" / "heads")
        return str(root.decode())

    def _trees(self, folders: set[bytes]) -> tuple[list[Any], bytes]:
        """New tree objects of folders one deep, and of the root; all of it is in memory."""
        from dulwich.objects import Tree

        made: dict[bytes, Any] = {}
        for path, blob in self._blobs.items():
            folder, _, name = path.rpartition(b"/")
            made.setdefault(folder, Tree()).add(name, 0o100644, blob)
        root = made.pop(b"", None) or Tree()
        for folder, tree in made.items():
            root.add(folder, 0o40000, tree.id)
        return [*(made[folder] for folder in folders if folder), root], root.id

    def _commit_object(self, title: str, tree: bytes, parents: list[bytes]) -> Any:
        from dulwich.objects import Commit

        commit: Any = Commit()
        commit.tree, commit.parents = tree, parents
        commit.author = commit.committer = f"{_AUTHOR} <{_AUTHOR}@hub>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = f"{title}\n".encode()
        return commit

    def history(self) -> list[tuple[str, str]]:
        """Id and title of all commits of ``main``, newest first."""
        walked = self._repo.get_walker([self._repo.head()])
        return [(e.commit.id.decode(), e.commit.message.decode().strip()) for e in walked]

    def listing(self, commit_id: str) -> list[Row]:
        """All files of a commit, by their paths."""
        return sorted(self._rows(self._repo[commit_id.encode()].tree, b""))

    def _rows(self, tree: bytes, prefix: bytes) -> Iterator[Row]:
        for item in self._repo[tree].iteritems():
            if item.mode == 0o40000:
                yield from self._rows(item.sha, prefix + item.path + b"/")
            else:
                data = self._repo[item.sha].data
                yield _row((prefix + item.path).decode(), item.sha.decode(), len(data), data)

    def close(self) -> None:
        """Give back what it holds open."""
        self._repo.close()


class DulwichPacks(DulwichFolder):
    """The same with one pack a commit, as dulwich adds many objects."""

    def _write(self, objects: list[Any]) -> None:
        self._repo.object_store.add_objects([(item, None) for item in objects])
        sync_folder(self._folder / "objects" / "pack")


STORES: Mapping[str, type[Store]] = {
    "hub": HubFolder,
    "libgit2": Libgit2Folder,
    "dulwich_loose": DulwichFolder,
    "dulwich_packs": DulwichPacks,
}


def store_figures(folder: Path, *, commits: int) -> dict[str, Any]:
    """Speed of the hub's store and of git libraries, on the disk of an empty folder.

    Args:
        folder: where they are made; whoever gives it removes it.
        commits: of each store.

    Returns:
        For each store commits a second, milliseconds for one listing and for the history, and
        bytes on the disk; and of each figure the ratio of the hub to each library, above 1 where
        the hub is better.

    Raises:
        HubError: a library is missing, or two stores do not hold the same.
    """
    work = list(_work(commits))
    with ExitStack() as open_stores:
        try:
            stores = {
                name: open_stores.enter_context(closing(kind(folder / name)))
                for name, kind in STORES.items()
            }
        except ModuleNotFoundError as missing:
            raise HubError(f"got no package {missing.name}; pip install 'hfrun[test]'") from None
        _write_first(stores)
        writing = _in_turns(stores, work)
    figures = {name: {"commits_per_second": commits / writing[name]} for name in STORES}
    for name, measured in _reading(folder).items():
        figures[name] |= measured
    return {
        "commits": commits,
        "files": FILES,
        "changed_by_each": CHANGED,
        "stores": figures,
        "ratios": {
            name: _ratios(figures["hub"], figures[name]) for name in STORES if name != "hub"
        },
    }


def _work(commits: int) -> Iterator[dict[str, Content]]:
    """The changes of each commit; the same at every run."""
    rng = np.random.default_rng(0)
    for _ in range(commits):
        numbers = rng.choice(FILES, size=CHANGED, replace=False)
        yield {_path(int(n)): _content(int(n), rng) for n in numbers}


def _path(number: int) -> str:
    return f"folder{number % _FOLDERS}/file{number}.{'bin' if _is_large(number) else 'json'}"


def _is_large(number: int) -> bool:
    return number % _LARGE_EVERY == 0


def _content(number: int, rng: np.random.Generator) -> Content:
    if _is_large(number):
        return rng.bytes(32).hex(), int(rng.integers(1 << 20, 1 << 32))
    return rng.bytes(int(rng.integers(*_SMALL_BYTES)) // 2).hex().encode()


def _write_first(stores: Mapping[str, Store]) -> None:
    """All files, in one commit that is not measured; the hub has a ``.gitattributes`` already."""
    rng = np.random.default_rng(1)
    everything = {_path(n): _content(n, rng) for n in range(FILES)}
    for store in stores.values():
        store.commit("all files", {".gitattributes": GITATTRIBUTES.encode(), **everything})


def _in_turns(stores: Mapping[str, Store], work: list[dict[str, Content]]) -> dict[str, float]:
    """Seconds that each store took for all commits; whoever comes first changes."""
    seconds = dict.fromkeys(stores, 0.0)
    names = list(stores)
    for number, changes in enumerate(work):
        trees = set()
        for name in names[number % len(names) :] + names[: number % len(names)]:
            tree, taken = _timed(stores[name].commit, f"commit {number}", changes)
            seconds[name] += taken
            trees.add(tree)
        if len(trees) != 1:
            raise HubError(f"got the trees {sorted(trees)} of one commit; the stores differ")
    return seconds


def _reading(folder: Path) -> dict[str, dict[str, float]]:
    """Milliseconds for one listing and for the history, and bytes, of stores opened anew."""
    found, listings = {}, []
    for name, kind in STORES.items():
        renamed = (folder / name).rename(folder / f"{name}_read")  # what was kept in memory is not
        with closing(kind(renamed)) as store:
            history, walking = _timed(store.history)
            history = [row for row in history if row[1] != "initial commit"]
            rows, listing = _timed(_listings, store, history)
        listings.append((rows, [title for _, title in history]))
        found[name] = {
            "listing_ms": 1000 * listing / len(history),
            "history_ms": 1000 * walking,
            "bytes": float(_disk_bytes(renamed)),
        }
    if any(one != listings[0] for one in listings):
        raise HubError("got listings or histories that differ between the stores")
    return found


def _listings(store: Store, history: list[tuple[str, str]]) -> list[list[Row]]:
    return [store.listing(commit_id) for commit_id, _ in history]


def _timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    made = work(*arguments)
    return made, time.perf_counter() - began


def _disk_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def _ratios(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    faster = ours["commits_per_second"] / theirs["commits_per_second"]
    quicker = {n: theirs[n] / ours[n] for n in ("listing_ms", "history_ms", "bytes")}
    return {"commits_per_second": faster, **quicker}


def _git_content(content: Content) -> bytes:
    return content if isinstance(content, bytes) else lfs_pointer(*content)


def _row(path: str, oid: str, size: int, data: bytes) -> Row:
    """A listed file; of a pointer, what it points at."""
    if size <= _POINTER_MAX_BYTES and data.startswith(b"version https://git-lfs"):
        facts = dict(line.split(" ", 1) for line in data.decode().splitlines())
        return path, oid, int(facts["size"]), facts["oid"].removeprefix("sha256:")
    return path, oid, size, None
