"""The files of one commit: entries, the changes a commit makes, and git's ids of them."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hfrun.hub.refusals import BadPathError, EntryNotFoundError, TooLargeError

# Of one commit. Whoever reads a file of it reads the list of all, folders are made of the list,
# and a path of a kilobyte can name five hundred of them.
MAX_FILES = 100_000
MAX_FOLDERS = 50_000
MAX_CHARACTERS = 20_000_000  # of the paths of all files and folders together


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One file: ``oid`` is git's blob id, of the pointer for a large (LFS) file."""

    oid: str
    size: int
    sha256: str
    lfs: bool

    @property
    def etag(self) -> str:
        """What clients compare and cache by: sha256 of a large file, else git's id."""
        return self.sha256 if self.lfs else self.oid


Tree = Mapping[str, Entry]


LONGEST_POINTER = 200  # bytes
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:[0-9a-f]{64}\nsize [0-9]{1,20}\n"
)


@dataclass(frozen=True, kw_only=True)
class Put:
    """Add a file or replace it."""

    path: str
    entry: Entry


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Remove a file, or a folder with everything below it."""

    path: str
    folder: bool


def git_id(kind: str, content: bytes) -> str:
    """Git's object id: SHA-1 of ``kind``, the length and the content.

    >>> git_id("blob", b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    header = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The small file that git stores in place of a large one (git-lfs specification, v1)."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )


def is_lfs_pointer(content: bytes) -> bool:
    """Whether git would take these bytes for a large file that is somewhere else.

    >>> is_lfs_pointer(lfs_pointer("0" * 64, 3)), is_lfs_pointer(b"version 1")
    (True, False)
    """
    return _POINTER.fullmatch(content) is not None


def regular_entry(content: bytes, sha256: str) -> Entry:
    """Entry of a file that git itself would hold."""
    return Entry(oid=git_id("blob", content), size=len(content), sha256=sha256, lfs=False)


def lfs_entry(sha256: str, size: int) -> Entry:
    """Entry of a large file; its git id is that of the pointer."""
    return Entry(oid=git_id("blob", lfs_pointer(sha256, size)), size=size, sha256=sha256, lfs=True)


def changed(tree: Tree, changes: Sequence[Put | Delete]) -> dict[str, Entry]:
    """The tree after the changes, applied in their order; ``tree`` is left alone.

    Raises:
        EntryNotFoundError: a deletion of what is not there.
        BadPathError: a name would be a file and a folder at once.
        TooLargeError: more files or folders than a tree may have.
    """
    added = dict.fromkeys(change.path for change in changes if isinstance(change, Put))
    folders_within_limits({**tree, **added}, times=2)  # what is deleted makes room in the end
    result, below = dict(tree), None
    for change in changes:
        if isinstance(change, Put):
            result[change.path] = change.entry
            if below is not None:
                below.add(change.path)
            continue
        if change.folder and below is None:
            below = _Below(result)
        gone = below.files(change.path) if change.folder and below else [change.path]
        if not gone or any(path not in result for path in gone):
            raise EntryNotFoundError(f"got a deletion of {change.path!r}, which is not there")
        for path in gone:
            del result[path]
            if below is not None:
                below.remove(path)
    both = folders_within_limits(result) & result.keys()
    if both:
        raise BadPathError(f"{min(both)!r} would be a file and a folder at once")
    return result


class _Below:
    """What is directly in each folder, kept while files come and go.

    A path is known by what it holds and by being held; a file and a folder may share one for a
    while, until the end says that they must not.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._held: dict[str, dict[str, None]] = {}
        self._files: set[str] = set()
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        self._files.add(path)
        while "/" in path:
            folder = path.rpartition("/")[0]
            known = folder in self._held
            self._held.setdefault(folder, {})[path] = None
            if known:
                return
            path = folder

    def remove(self, path: str) -> None:
        self._files.discard(path)
        while "/" in path and path not in self._files and path not in self._held:
            folder = path.rpartition("/")[0]
            del self._held[folder][path]
            if self._held[folder]:
                return
            del self._held[folder]
            path = folder

    def files(self, folder: str) -> list[str]:
        """All files below a folder, however deep."""
        found, to_see = [], list(self._held.get(folder, ()))
        while to_see:
            path = to_see.pop()
            if path in self._files:
                found.append(path)
            to_see += self._held.get(path, ())
        return found


def folders_within_limits(paths: Iterable[str], *, times: int = 1) -> set[str]:
    """Like ``folders``, for paths of a tree that is not stored yet.

    Raises:
        TooLargeError: more than ``times`` the files or folders that a tree may have.
    """
    found: set[str] = set()
    files = characters = 0
    for path in paths:
        files, characters = files + 1, characters + len(path)
        while "/" in path:
            path = path.rpartition("/")[0]
            if path in found:
                break
            found.add(path)
            characters += len(path)
        if files > times * MAX_FILES or len(found) > times * MAX_FOLDERS:
            raise TooLargeError(
                f"got more than {MAX_FILES} files or {MAX_FOLDERS} folders at one revision; put "
                "them together in fewer files (tar, parquet), or in several repositories"
            )
        if characters > times * MAX_CHARACTERS:
            raise TooLargeError(
                f"got paths of more than {MAX_CHARACTERS} characters at one revision, folders "
                "included; needed are shorter names or fewer folders"
            )
    return found


def folders(paths: Iterable[str]) -> set[str]:
    """Every folder that holds one of the paths, the root ``""`` left out."""
    found: set[str] = set()
    for path in paths:
        while "/" in path:
            path = path.rpartition("/")[0]
            if path in found:
                break
            found.add(path)
    return found


def folder_ids(tree: Tree) -> dict[str, str]:
    """Git's tree id of every folder, so that equal folders have equal ids; the root is ``""``."""
    children: dict[str, list[tuple[str, str, str]]] = {name: [] for name in folders(tree)}
    children[""] = []
    for path, entry in tree.items():
        parent, _, name = path.rpartition("/")
        children[parent].append((name, "100644", entry.oid))
    ids: dict[str, str] = {}
    # Deepest first; the root, which has no slash either, comes last.
    for folder in sorted(children, key=lambda name: (-name.count("/"), name == "")):
        # Git orders a folder as if its name ended with a slash.
        rows = sorted(children[folder], key=lambda r: (r[0] + "/" * (r[1] == "40000")).encode())
        content = b"".join(f"{m} {n}".encode() + b"\0" + bytes.fromhex(i) for n, m, i in rows)
        ids[folder] = git_id("tree", content)
        if folder:
            parent, _, name = folder.rpartition("/")
            children[parent].append((name, "40000", ids[folder]))
    return ids
