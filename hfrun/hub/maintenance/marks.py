"""What refs and young files of a hub need."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hfrun.hub.maintenance.raw import files, parsed_commit, read, repository_folders
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import KINDS_OF_REFS


@dataclass(kw_only=True)
class Marks:
    """What is in use, as far as it was seen.

    Attributes:
        oldest: time in seconds; what was written or used since is kept with all it needs.
        files: commits, trees and notes by their addresses.
        objects: by their names.
    """

    root: Path
    oldest: float
    files: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def grow(self) -> None:
        """Add what is in use now; UnreadableError if nobody can say what that needs."""
        for folder in repository_folders(self.root):
            try:
                self._grow(folder)
            except UnreadableError:
                if folder.exists():  # otherwise: deleted meanwhile
                    raise

    def _grow(self, folder: Path) -> None:
        for kind in KINDS_OF_REFS:
            for file in files(folder / "refs" / kind):
                if (data := read(Path(file.path))) is not None:
                    self._line(folder, data.decode("utf-8", "replace").strip())
        for file in self._young(folder / "commits"):
            self._line(folder, file.name.removesuffix(".json"))
        for file in self._young(folder / "trees"):
            self._tree(folder, file.name.removesuffix(".json"))
        for file in self._young(folder / "uploads"):
            self.files.add(file.path)
            self.objects.add(file.name)

    def _young(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        for file in files(folder):
            found = status(Path(file.path))
            if found is not None and found.st_mtime > self.oldest:
                yield file

    def _line(self, folder: Path, commit_id: str | None) -> None:
        """A commit and its ancestors; those of a known commit are known."""
        while commit_id is not None:
            path = folder / "commits" / f"{commit_id}.json"
            if str(path) in self.files:
                return
            commit = commit_at(path)
            self._tree(folder, commit.tree)
            self.files.add(str(path))
            commit_id = commit.parent

    def _tree(self, folder: Path, tree_id: str) -> None:
        path = folder / "trees" / f"{tree_id}.json"
        if str(path) in self.files:
            return
        try:
            entries = json.loads(read(path) or b"")
            large = {entry["sha256"] for entry in entries.values() if entry["lfs"]}
            regular = {entry["sha256"] for entry in entries.values() if not entry["lfs"]}
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UnreadableError(path) from None
        # Of what was deleted here for good, others may still have the object.
        needed = regular | {s for s in large if not (folder / "removed" / s).exists()}
        self.files |= {str(path), *(str(folder / "uploads" / sha256) for sha256 in needed)}
        self.objects |= needed


class UnreadableError(Exception):
    """A commit or a tree that is needed and cannot be read."""


def commit_at(path: Path) -> Commit:
    """The commit in a file; UnreadableError where there is none."""
    try:
        return parsed_commit(path.stem, read(path) or b"")
    except ValueError:
        raise UnreadableError(path) from None


def status(path: Path) -> os.stat_result | None:
    """What the file system says of a file, not following links; None where there is none."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
