"""Dropping what no ref reaches any more.

    marks grow   |--- refs, young commits, trees and notes: without a lock ---|
    sweep                                    |-- again, locked --| remove a batch |-- ... --|

Marks only ever grow, so a second look costs no more than what came since the first, and at worst
something stays until the next sweep. What is removed goes in the order opposite to that of its
writing: commits before their parents, then trees, notes of uploads, and objects last. A sweep
that is killed leaves a hub in which everything that is there has all that it needs.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.maintenance.marks import Marks, UnreadableError, commit_at, status
from hfrun.hub.maintenance.raw import (
    QUARANTINE,
    delete,
    files,
    is_abandoned,
    object_files,
    repository_folders,
)
from hfrun.hub.store.disk import exclusive, make_folder, sync_folder
from hfrun.hub.store.hub_store import open_root
from hfrun.hub.store.objects import ObjectStore
from lob_backtest.progress import progress

_BATCH = 1000  # files removed while others wait


@dataclass(kw_only=True)
class Swept:
    """What a sweep removed, or would remove, and what is left."""

    dry_run: bool
    commits: int = 0
    trees: int = 0
    notes: int = 0
    objects: int = 0
    abandoned: int = 0
    bytes_freed: int = 0
    objects_kept: int = 0
    bytes_kept: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return asdict(self)

    def text(self) -> str:
        """One line for people."""
        verb = "would remove" if self.dry_run else "removed"
        return (
            f"{verb} {self.commits} commits, {self.trees} trees, {self.notes} notes of uploads, "
            f"{self.objects} objects and {self.abandoned} broken-off uploads, "
            f"{self.bytes_freed} bytes; kept {self.objects_kept} objects, {self.bytes_kept} bytes"
        )


def collect(root: Path, *, grace_seconds: float, dry_run: bool = False) -> Swept:
    """Remove commits, trees, notes and objects that nothing needs and that are old enough.

    Servers may go on: a commit waits while a batch is removed.

    Args:
        grace_seconds: what was written or used within this time stays. Longer than any push
            takes, from its first upload to its commit, unless no server runs.
        dry_run: only count.

    Raises:
        HubError: the folder is no hub, is damaged, or has a quarantine that nobody has looked at.
    """
    open_root(root, create=False)
    if (root / QUARANTINE).exists() and any((root / QUARANTINE).iterdir()):
        raise HubError(
            f"got a hub with {root / QUARANTINE}, which may name what is to be saved; look at "
            "it, and move it elsewhere or delete it"
        )
    sweep = _Sweep(Marks(root=root, oldest=time.time() - grace_seconds), Swept(dry_run=dry_run))
    try:
        with exclusive(root / "locks" / "gc.lock"):  # another sweep would take what we look at
            sweep.run()
    except UnreadableError as lack:
        raise HubError(
            f"got a damaged hub ({lack} is missing or unreadable), of which nobody can say what it "
            f"still needs; mend it first: hfrun hub check --repair --root {root}"
        ) from None
    return sweep.swept


class _Sweep:
    """Removes what is not marked, in batches; between two of them others may write."""

    def __init__(self, marks: Marks, swept: Swept) -> None:
        self.swept = swept
        self._marks = marks
        self._store = ObjectStore(marks.root)

    def run(self) -> None:
        """Look, and remove in the order that a killed sweep needs."""
        self._marks.grow()
        self.swept.commits = self._remove_files("commits")
        self.swept.trees = self._remove_files("trees")
        self.swept.notes = self._remove_files("uploads")
        self._remove_objects()
        self._remove_abandoned()

    def _remove_files(self, name: str) -> int:
        """Remove commits, trees or notes of uploads of all repositories."""
        old: list[Path] = []
        for folder in progress(repository_folders(self._marks.root), label=name, unit="repository"):
            unmarked = [f.path for f in files(folder / name) if f.path not in self._marks.files]
            found = [Path(path) for path in unmarked if self._is_old(Path(path))]
            old += _children_first(found) if name == "commits" else found
        gone = sum(self._remove(batch, self._is_marked_file) for batch in _batches(old))
        for folder in {path.parent for path in old} if gone and not self.swept.dry_run else ():
            if folder.is_dir():
                sync_folder(folder)  # before anything goes that these files needed
        return gone

    def _remove_objects(self) -> None:
        """Objects last: whatever may have named one is gone for good."""
        listed = progress(object_files(self._marks.root), label="objects", unit="object")
        for batch in _batches(Path(file.path) for file in listed):
            old = [p for p in batch if not self._is_marked_object(p) and self._is_old(p)]
            self.swept.objects += self._remove(old, self._is_marked_object) if old else 0
        for path in (Path(file.path) for file in object_files(self._marks.root)):
            if self._is_marked_object(path) or not (self.swept.dry_run and self._is_old(path)):
                self.swept.objects_kept += 1
                self.swept.bytes_kept += _size(path)

    def _remove_abandoned(self) -> None:
        """Uploads and deletions that were broken off."""
        for path in (self._marks.root / "incoming").glob("*"):
            if is_abandoned(path):
                self.swept.abandoned += 1
                self.swept.bytes_freed += sum(map(_size, [path, *path.rglob("*")]))
                if not self.swept.dry_run:
                    delete(path)

    def _is_old(self, path: Path) -> bool:
        found = status(path)
        return found is not None and found.st_mtime <= self._marks.oldest

    def _is_marked_file(self, path: Path) -> bool:
        return str(path) in self._marks.files

    def _is_marked_object(self, path: Path) -> bool:
        return path.name in self._marks.objects

    def _remove(self, paths: list[Path], is_marked: Callable[[Path], bool]) -> int:
        """How many of the files were removed, after a second look while nobody writes."""
        if self.swept.dry_run:
            return sum(self._count(path) for path in paths)
        with self._store.sweeping():
            self._marks.grow()
            return sum(self._take(path) for path in paths if not is_marked(path))

    def _take(self, path: Path) -> bool:
        """Remove a file, unless it proves to be young once nobody can reach it any more.

        An upload that ends, or a client that asks for a note, may touch a file without waiting
        for the sweep; it is young then, and goes back. Nobody can have missed it meanwhile:
        whoever wants to use an object waits.
        """
        grave = self._store.incoming / uuid.uuid4().hex
        make_folder(grave.parent)
        try:
            path.rename(grave)
        except FileNotFoundError:
            return False
        if not self._is_old(grave):
            grave.rename(path)
            return False
        self._count(grave)
        grave.unlink()
        return True

    def _count(self, path: Path) -> bool:
        found = status(path)
        if found is None:
            return False
        # Bytes that an export shares with the hub stay on the disk.
        self.swept.bytes_freed += found.st_size if found.st_nlink == 1 else 0
        return True


def _children_first(paths: list[Path]) -> list[Path]:
    """Commits so ordered that each comes before its parent."""
    parents = {path: path.with_name(f"{commit_at(path).parent}.json") for path in paths}
    waiting = dict.fromkeys(paths, 0)
    for parent in parents.values():
        if parent in waiting:
            waiting[parent] += 1
    ready = [path for path, children in waiting.items() if not children]
    ordered = []
    while ready:
        path = ready.pop()
        ordered.append(path)
        parent = parents[path]
        if parent in waiting:
            waiting[parent] -= 1
            if not waiting[parent]:
                ready.append(parent)
    return ordered


def _batches(items: Iterable[Path]) -> Iterator[list[Path]]:
    left = iter(items)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _size(path: Path) -> int:
    found = status(path)
    return 0 if found is None else found.st_size
