"""The files of one commit: entries, the changes a commit makes, and git's ids of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hfrun.hub.refusals import BadPathError, EntryNotFoundError


@dataclass(frozen=True, kw_only=True)
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


def regular_entry(content: bytes, sha256: str) -> Entry:
    """Entry of a file that git itself would hold."""
    return Entry(oid=git_id("blob", content), size=len(content), sha256=sha256, lfs=False)


def lfs_entry(sha256: str, size: int) -> Entry:
    """Entry of a large file; its git id is that of the pointer."""
    return Entry(oid=git_id("blob", lfs_pointer(sha256, size)), size=size, sha256=sha256, lfs=True)


def changed(tree: Tree, changes: Iterable[Put | Delete]) -> dict[str, Entry]:
    """The tree after the changes, applied in their order; ``tree`` is left alone.

    Raises:
        EntryNotFoundError: a deletion of what is not there.
        BadPathError: a name would be a file and a folder at once.
    """
    result = dict(tree)
    for change in changes:
        if isinstance(change, Put):
            result[change.path] = change.entry
            continue
        inside = change.path + "/"
        gone = [p for p in result if p.startswith(inside)] if change.folder else [change.path]
        if not gone or any(path not in result for path in gone):
            raise EntryNotFoundError(f"got a deletion of {change.path!r}, which is not there")
        for path in gone:
            del result[path]
    both = folders(result) & result.keys()
    if both:
        raise BadPathError(f"{min(both)!r} would be a file and a folder at once")
    return result


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
