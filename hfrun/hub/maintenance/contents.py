"""What trees say about objects, and what the objects are."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from hfrun.hub.maintenance.findings import (
    DAMAGE,
    Finding,
    Identity,
    PutRight,
    Rewrite,
    SetAside,
    identity,
    without_note,
)
from hfrun.hub.maintenance.raw import files, object_files, parsed_tree, read, repository_folders
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.tree import Entry, lfs_entry
from lob_backtest.progress import progress

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read of an object; ``blob`` is git's id of its content, where that was asked for."""

    seen: Identity
    sha256: str
    blob: str | None

    @property
    def entries(self) -> list[Entry]:
        """The entries that may name it: as a large file, and as a regular one."""
        size = self.seen[1]
        large = lfs_entry(self.sha256, size)
        if self.blob is None:
            return [large]
        return [large, Entry(oid=self.blob, size=size, sha256=self.sha256, lfs=False)]


class Contents:
    """Collects what the trees of all repositories claim, then looks at the objects.

    Args:
        root: of the hub.
        facts: of an earlier check: an object whose file is the same is not read again.
    """

    def __init__(self, root: Path, facts: dict[str, Facts] | None = None) -> None:
        self.root = root
        self.facts: dict[str, Facts] = {} if facts is None else facts
        self.claims: dict[Entry, str] = {}  # with the place where each was first met
        self.bytes = self.objects = 0
        self._store = ObjectStore(root)
        self._sizes: dict[str, int | None] = {}
        self._regular: set[str] = set()  # objects of which git's own id is needed

    def claim(self, entry: Entry, place: str) -> bool:
        """Note that a tree names this entry; whether its object is stored."""
        self.claims.setdefault(entry, place)
        if entry.sha256 not in self._sizes:
            self._sizes[entry.sha256] = self._store.size(entry.sha256)
        return self._has(entry)

    def is_stored(self, sha256: str) -> bool:
        """Whether there is an object of that name, looked up now."""
        return self._store.size(sha256) is not None

    def findings(self, *, quick: bool) -> list[Finding]:
        """Everything that is wrong with objects, and with entries that speak of them."""
        self._regular = {e.sha256 for e in self.claims if e != lfs_entry(e.sha256, e.size)}
        suspects = {e.sha256 for e in self.claims if self._sizes[e.sha256] not in (e.size, None)}
        found = []
        label = "sizes of objects" if quick else "contents of objects"
        for file in progress(object_files(self.root), label=label, unit="object"):
            path = Path(file.path)
            seen = identity(path)
            if seen is None:  # swept meanwhile
                continue
            self.objects, self.bytes = self.objects + 1, self.bytes + seen[1]
            if not quick or file.name in suspects or path != self._store.path(file.name):
                found += self._of_object(path, seen)
        wrong = {entry for entry in self.claims if not self._agrees(entry)}
        right = {entry.oid: entry for entry in self.claims.keys() - wrong}
        cures = {entry: self._cure(entry, right) for entry in wrong}
        return [*found, *self._missing(cures), *self._of_trees(cures)]

    def _missing(self, cures: dict[Entry, Entry | None]) -> list[Finding]:
        """Objects that are not there; an entry with a cure has only a wrong name for its own."""
        lost = {entry for entry, cure in cures.items() if cure is None and not self._has(entry)}
        missing = {entry.sha256: entry for entry in lost}
        return [
            Finding(
                severity=DAMAGE,
                place=self.claims[entry],
                wrong=f"its content is not stored: object {sha256}, {entry.size} bytes",
                advice="delete the file and push it again, or copy "
                f"objects/{sha256[:2]}/{sha256[2:4]}/{sha256} from another copy of this hub",
            )
            for sha256, entry in missing.items()
        ]

    def _of_object(self, path: Path, seen: Identity) -> list[Finding]:
        known = self.facts.get(path.name)
        as_blob = path.name in self._regular
        if known is None or known.seen != seen or (as_blob and known.blob is None):
            try:
                known = _facts(path, as_blob=as_blob)
            except FileNotFoundError:
                return []
        right = self._store.path(known.sha256)
        if path == right:
            self.facts[path.name] = known
            return []
        self.facts.pop(path.name, None)
        is_needed = self._sizes.get(known.sha256, 0) is None
        remedy = (
            PutRight(path=path, seen=known.seen, to=right)
            if is_needed
            else SetAside(path=path, seen=known.seen)
        )
        used = next((p for e, p in self.claims.items() if e.sha256 == path.name), None)
        wrong = f"its content has the SHA-256 {known.sha256}"
        return [
            Finding(
                severity=DAMAGE,
                place=self._place(path),
                wrong=wrong if used is None else f"{wrong}; it is the content of {used}",
                remedy=remedy,
            ),
            *self._notes(path.name),
        ]

    def _notes(self, sha256: str) -> list[Finding]:
        """Notes of uploads by which clients would take a damaged object for stored."""
        notes = [folder / "uploads" / sha256 for folder in repository_folders(self.root)]
        return [
            Finding(
                severity=DAMAGE,
                place=self._place(note),
                wrong="it lets clients skip the upload of an object that is damaged",
                remedy=without_note(note),
            )
            for note in notes
            if note.exists()
        ]

    def _of_trees(self, cures: dict[Entry, Entry | None]) -> list[Finding]:
        """Trees with entries that do not fit the objects they name, or have a cure."""
        cures = {e: cure for e, cure in cures.items() if cure is not None or self._has(e)}
        if not cures:
            return []
        trees = (file for f in repository_folders(self.root) for file in files(f / "trees"))
        return [found for file in trees if (found := self._of_tree(Path(file.path), cures))]

    def _has(self, entry: Entry) -> bool:
        return self._sizes[entry.sha256] is not None

    def _agrees(self, entry: Entry) -> bool:
        if not self._has(entry):
            return False
        facts = self.facts.get(entry.sha256)
        if facts is not None:
            return entry in facts.entries
        return not entry.lfs or entry == lfs_entry(entry.sha256, entry.size)

    def _cure(self, entry: Entry, right: dict[str, Entry]) -> Entry | None:
        """The entry that was meant: git's id, which the tree's own id vouches for, says which."""
        facts = self.facts.get(entry.sha256)
        candidates: Iterable[Entry] = () if facts is None else facts.entries
        for candidate in candidates:
            if candidate.oid == entry.oid:
                return candidate
        return right.get(entry.oid)

    def _of_tree(self, file: Path, cures: dict[Entry, Entry | None]) -> Finding | None:
        seen, data = identity(file), read(file)
        try:
            tree = parsed_tree(data or b"{}")
        except ValueError:  # a finding of its own
            return None
        faulty = [path for path, entry in tree.items() if entry in cures]
        if not faulty:
            return None
        mended = {path: cures.get(entry, entry) for path, entry in tree.items()}
        remedy = None
        if all(entry is not None for entry in mended.values()):
            rows = {path: asdict(entry) for path, entry in mended.items() if entry is not None}
            written = json.dumps(rows, separators=(",", ":")).encode()
            effect = "written anew with what git's id says"
            remedy = Rewrite(path=file, seen=seen, data=written, effect=effect, restores=True)
        return Finding(
            severity=DAMAGE,
            place=self._place(file),
            wrong=f"its entries of {', '.join(faulty[:3])} ({len(faulty)} in all) do not fit "
            "their objects",
            remedy=remedy,
            advice="copy the file from another copy of this hub, or push these files again",
        )

    def _place(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _facts(path: Path, *, as_blob: bool) -> Facts:
    """Hash one object, in one pass; a megabyte of it is in memory."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        content = hashlib.sha256()
        blob = hashlib.sha1(f"blob {status.st_size}\0".encode(), usedforsecurity=False)
        while chunk := file.read(_CHUNK_BYTES):
            content.update(chunk)
            if as_blob:
                blob.update(chunk)
    return Facts(
        seen=(status.st_ino, status.st_size),
        sha256=content.hexdigest(),
        blob=blob.hexdigest() if as_blob else None,
    )
