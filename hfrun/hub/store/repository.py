"""One repository: immutable commits, and refs that move to them one whole step at a time."""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cachetools import LRUCache

from hfrun.hub.names import RepoId, is_ref_name, is_sha1
from hfrun.hub.refusals import (
    AlreadyExistsError,
    BadRequestError,
    EntryNotFoundError,
    ForbiddenError,
    RepoNotFoundError,
    RevisionNotFoundError,
    StaleParentError,
)
from hfrun.hub.store.commit import Commit, decoded_commit, new_commit
from hfrun.hub.store.disk import exclusive, sync_folder, write_durably
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.tree import (
    MAX_FILES,
    Delete,
    Entry,
    Put,
    Tree,
    changed,
    folder_ids,
    folders_within_limits,
)

DEFAULT_BRANCH = "main"
KINDS_OF_REFS = ("heads", "tags", "pr")
_REF_PREFIXES = (
    ("", "heads"),
    ("", "tags"),
    ("refs/heads/", "heads"),
    ("refs/tags/", "tags"),
    ("refs/pr/", "pr"),
)
_NOUN = {"heads": "branch", "tags": "tag", "pr": "pull request"}

# Trees by the address of their file, whose name is the hash of its content. Counted in files, not
# in trees: one with a hundred thousand files takes as much memory as a thousand with a hundred.
_CACHED_ENTRIES = MAX_FILES + 1  # the largest that a commit makes is kept too
_trees: LRUCache[Path, Tree] = LRUCache(_CACHED_ENTRIES, getsizeof=lambda tree: len(tree) + 1)
_trees_lock = threading.Lock()
# One large tree is read at a time: many who ask for it at once would each take its memory.
_LARGE_BYTES = 1_000_000
_large_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is decided about a repository outside its history.

    Attributes:
        sdk: of a space.
        gated: who may read the files: "" everybody who sees the repository, "auto" whoever asks,
            "manual" whom a writer lets in.
        key: by which names that it has left lead to it; none before its first move.
        moving_to: the id that it is about to have; it has it as soon as its folder is in place.
    """

    repo_id: RepoId
    private: bool
    created_at: str
    sdk: str | None
    gated: str = ""
    key: str = ""
    moving_to: RepoId | None = None

    def encoded(self) -> bytes:
        """The bytes of ``repo.json``."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def utc_now() -> str:
    """The time as clients parse it, e.g. ``2024-05-01T12:00:00.123Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Repository:
    """Commits and refs of one repository in its own folder.

    ::

        repo.json                    Settings
        commits/<40 hex>.json        one Commit each, never changed
        trees/<40 hex>.json          all files of a commit, under git's id of the root folder
        refs/heads/<quoted name>     the commit id of a branch; refs/tags and refs/pr likewise
        uploads/<sha256>             empty: this object was uploaded to this repository
        removed/<sha256>             empty: this large file was permanently deleted here
    """

    def __init__(self, *, folder: Path, lock_file: Path, objects: ObjectStore) -> None:
        self.folder = folder
        self.objects = objects
        self._lock_file = lock_file
        self.settings = _read_settings(folder / "repo.json")

    # Reading

    def refs(self, kind: str) -> dict[str, str]:
        """Name to commit id of all ``heads``, ``tags`` or ``pr``, in the order of their names."""
        files = (self.folder / "refs" / kind).glob("[!.]*")  # a dot: a ref that is being written
        named = {unquote(file.name): _read_ref(file) for file in files}
        return {name: commit for name, commit in sorted(named.items()) if commit is not None}

    def head(self, branch: str) -> str:
        """Commit id of a branch, or of ``refs/pr/N``."""
        kind, name = _branch(branch)
        commit = _read_ref(self._ref_file(kind, name)) if is_ref_name(name) else None
        if commit is None:
            raise RevisionNotFoundError(branch)
        return commit

    def resolve(self, revision: str) -> str:
        """Full commit id of a branch, a tag, a full ref or a commit id of 7 or more digits."""
        for prefix, kind in _REF_PREFIXES:
            name = revision.removeprefix(prefix)
            if revision.startswith(prefix) and is_ref_name(name):
                commit = _read_ref(self._ref_file(kind, name))
                if commit is not None:
                    return commit
        if 7 <= len(revision) <= 40 and is_sha1(revision.ljust(40, "0")):
            found = [file.stem for file in (self.folder / "commits").glob(f"{revision}*.json")]
            if len(found) == 1:
                return found[0]
        raise RevisionNotFoundError(revision)

    def commit(self, commit_id: str) -> Commit:
        """Read a commit by its full id."""
        try:
            return decoded_commit(commit_id, self._commit_file(commit_id).read_bytes())
        except FileNotFoundError:
            raise RevisionNotFoundError(commit_id) from None

    def tree(self, commit: Commit) -> Tree:
        """All files of a commit, by their paths; not to be changed."""
        return self.tree_of(commit.tree)

    def tree_of(self, tree_id: str) -> Tree:
        """All files of a root folder with this id; FileNotFoundError where there is none."""
        file = self._tree_file(tree_id)
        known = _known_tree(file)
        if known is not None:
            return known
        if file.stat().st_size < _LARGE_BYTES:
            return self._read_tree(tree_id)
        with _large_lock:
            return _known_tree(file) or self._read_tree(tree_id)

    def _read_tree(self, tree_id: str) -> Tree:
        tree = {path: Entry(**fields) for path, fields in self.stored_tree(tree_id).items()}
        if len(tree) < _CACHED_ENTRIES:
            with _trees_lock:
                _trees[self._tree_file(tree_id)] = tree
        return tree

    def stored_tree(self, tree_id: str) -> Mapping[str, Mapping[str, Any]]:
        """Like ``tree_of``, with each file's fields as they are stored.

        For walks through many commits: it takes less than half the time, and leaves the cache of
        trees to those that are asked for again.
        """
        fields: dict[str, dict[str, Any]] = json.loads(self._tree_file(tree_id).read_bytes())
        return fields

    def history(self, commit_id: str) -> Iterator[Commit]:
        """The commit and its ancestors, newest first."""
        next_id: str | None = commit_id
        while next_id is not None:
            commit = self.commit(next_id)
            yield commit
            next_id = commit.parent

    # Writing

    def add_commit(
        self,
        *,
        branch: str,
        changes: Sequence[Put | Delete],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> Commit:
        """Put a commit on top of a branch, or of ``refs/pr/N``.

        The branch moves only after the commit is on the disk, so a ref never points at nothing.

        Args:
            parent: the head that the client saw, 7 or more digits of it; None takes any head.

        Raises:
            StaleParentError: the branch has moved on from ``parent``; nothing was changed.
        """
        with self.exclusive():
            return self.commit_on(
                branch=branch,
                changes=changes,
                title=title,
                message=message,
                author=author,
                parent=parent,
            )

    def commit_on(
        self,
        *,
        branch: str,
        changes: Sequence[Put | Delete],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> Commit:
        """Like ``add_commit``, for a caller who is ``exclusive`` and changes more than the ref."""
        head = self.head(branch)
        if parent is not None and not (len(parent) >= 7 and head.startswith(parent)):
            raise StaleParentError(
                f"The branch was updated since you opened this page: {branch} is at {head}, "
                f"not {parent[:40]}. Refresh and try again"
            )
        tree = changed(self.tree(self.commit(head)), changes)
        commit = self.write_commit(
            parent=head, title=title, message=message, author=author, tree=tree
        )
        self.set_ref(*_branch(branch), commit.id)
        return commit

    def add_ref(self, kind: str, name: str, commit_id: str) -> None:
        """Create a branch (``heads``) or a tag (``tags``) at a commit."""
        # A name that looks like a commit id would stand in for that commit.
        if not is_ref_name(name) or name.startswith("refs/") or is_sha1(name):
            raise BadRequestError(f"Invalid reference for a {_NOUN[kind]}: {name[:200]!r}")
        with self.exclusive():
            if self._ref_file(kind, name).exists():
                raise AlreadyExistsError(f"Reference refs/{kind}/{name} already exists")
            for other in self.refs(kind):
                if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
                    raise BadRequestError(  # git keeps refs as files: no name is a folder too
                        f"Invalid reference for a {_NOUN[kind]}: {name!r}, since {other!r} exists"
                    )
            self.commit(commit_id)  # it may have been swept since it was resolved
            self.set_ref(kind, name, commit_id)

    def remove_ref(self, kind: str, name: str) -> None:
        """Delete a branch or a tag; the default branch stays."""
        if kind == "heads" and name == DEFAULT_BRANCH:
            raise ForbiddenError(f"Cannot delete refs/heads/{name}")
        if not is_ref_name(name):
            raise RevisionNotFoundError(name)
        with self.exclusive():
            try:
                self._ref_file(kind, name).unlink()
            except FileNotFoundError:
                raise RevisionNotFoundError(name) from None

    def change_settings(self, **changes: Any) -> None:
        """Replace fields of the settings, keeping what others have changed meanwhile."""
        with self.exclusive():
            self.settings = replace(_read_settings(self.folder / "repo.json"), **changes)
            write_durably(self.folder / "repo.json", self.settings.encoded())

    def write_commit(
        self, *, parent: str | None, title: str, message: str, author: str, tree: Tree
    ) -> Commit:
        """Store a commit that no ref points at yet; the caller moves one while it is ``exclusive``.

        Args:
            tree: all files, whose objects are stored.

        Raises:
            TooLargeError: more files or folders than a tree may have.
        """
        folders_within_limits(tree)
        tree_id = self.write_tree(tree)
        commit = new_commit(
            parent=parent, title=title, message=message, author=author, tree=tree_id
        )
        self.store_commit(commit)
        return commit

    def write_tree(self, tree: Tree) -> str:
        """Store the files of a commit to come; returns git's id of their root folder."""
        tree_id = folder_ids(tree)[""]
        file = self._tree_file(tree_id)
        try:
            os.utime(file)  # it counts as new again, so that no sweep takes it
        except FileNotFoundError:
            fields = {path: asdict(entry) for path, entry in tree.items()}
            write_durably(file, json.dumps(fields, separators=(",", ":")).encode())
        return tree_id

    def store_commit(self, commit: Commit) -> None:
        """Store a commit whose tree is stored, under the id it has."""
        write_durably(self._commit_file(commit.id), commit.encoded())

    def set_ref(self, kind: str, name: str, commit_id: str) -> None:
        """Move or create a ref; the caller is ``exclusive``, or nobody else knows the folder."""
        write_durably(self._ref_file(kind, name), commit_id.encode() + b"\n")

    def remember_upload(self, sha256: str) -> None:
        """Note that this object was uploaded here: only then may a commit here name it.

        Objects are shared by all repositories, and large files' hashes are public knowledge;
        without the note, anybody who knows the hash of a private file could commit it and read it.

        Raises:
            RepoNotFoundError: the repository was deleted or moved meanwhile.
        """
        folder = self.folder / "uploads"
        try:
            # Not the repository's folder with it: an upload must not make one where it has gone.
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                sync_folder(self.folder)
            (folder / sha256).touch()  # empty, so it is never there in part
            sync_folder(folder)
        except FileNotFoundError:
            raise RepoNotFoundError("Repository not found") from None
        mark = self.folder / "removed" / sha256
        if mark.exists():
            mark.unlink(missing_ok=True)
            sync_folder(mark.parent)

    def has_upload(self, sha256: str) -> bool:
        """Whether the object was uploaded to this repository and is stored.

        The note counts as new from now on: who asks is about to commit the object.
        """
        if (self.folder / "removed" / sha256).exists():
            return False
        try:
            os.utime(self.folder / "uploads" / sha256)
        except FileNotFoundError:
            return False
        return self.objects.reuse(sha256) is not None

    def remove_content(self, sha256: str) -> None:
        """Give the content of a large file out no more, at any revision, until it is uploaded anew.

        The object itself may belong to other repositories too.
        """
        write_durably(self.folder / "removed" / sha256, b"")
        (self.folder / "uploads" / sha256).unlink(missing_ok=True)

    def removed_content(self) -> frozenset[str]:
        """SHA-256 of the large files whose content was removed for good."""
        return frozenset(file.name for file in (self.folder / "removed").glob("[!.]*"))

    def content(self, entry: Entry) -> Path:
        """The file that holds an entry's bytes.

        Raises:
            EntryNotFoundError: the content was removed for good.
        """
        if entry.lfs and (self.folder / "removed" / entry.sha256).exists():
            raise EntryNotFoundError("The content of this file was permanently deleted")
        return self.objects.path(entry.sha256)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Change the repository alone: other threads and processes wait; nothing is swept.

        Raises:
            RepoNotFoundError: it was deleted or moved while we waited.
        """
        with self.objects.in_use(), exclusive(self._lock_file):
            # Another repository may have taken the name: what was allowed here may not be there.
            if _read_settings(self.folder / "repo.json").created_at != self.settings.created_at:
                raise RepoNotFoundError("Repository not found")
            yield

    def _commit_file(self, commit_id: str) -> Path:
        return self.folder / "commits" / f"{commit_id}.json"

    def _tree_file(self, tree_id: str) -> Path:
        return self.folder / "trees" / f"{tree_id}.json"

    def _ref_file(self, kind: str, name: str) -> Path:
        return self.folder / "refs" / kind / quote(name, safe="")


def _known_tree(file: Path) -> Tree | None:
    with _trees_lock:
        return _trees.get(file)


def _branch(revision: str) -> tuple[str, str]:
    """Kind and name of a ref that takes commits: a branch with or without its prefix, or a PR."""
    if revision.startswith("refs/pr/"):
        return "pr", revision.removeprefix("refs/pr/")
    return "heads", revision.removeprefix("refs/heads/")


def _read_ref(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return None


def _read_settings(file: Path) -> Settings:
    try:
        fields = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RepoNotFoundError("Repository not found") from None
    fields["repo_id"] = RepoId(**fields["repo_id"])
    if fields.get("moving_to") is not None:
        fields["moving_to"] = RepoId(**fields["moving_to"])
    settings = Settings(**fields)
    # A move is done by renaming the folder. If it was cut off then, the file has the old id still.
    target = settings.moving_to
    if target is not None and target.place[1:] == (file.parent.parent.name, file.parent.name):
        return replace(settings, repo_id=target)
    return settings
