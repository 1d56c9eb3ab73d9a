"""One repository: immutable commits, and refs that move to them one whole step at a time."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from hfrun.hub.disk import exclusive, write_durably
from hfrun.hub.names import RepoId, is_ref_name, is_sha1
from hfrun.hub.objects import ObjectStore
from hfrun.hub.refusals import (
    AlreadyExistsError,
    BadRequestError,
    ForbiddenError,
    RepoNotFoundError,
    RevisionNotFoundError,
    StaleParentError,
)
from hfrun.hub.tree import Delete, Entry, Put, Tree, changed

DEFAULT_BRANCH = "main"
_REF_PREFIXES = (("", "heads"), ("", "tags"), ("refs/heads/", "heads"), ("refs/tags/", "tags"))
_NOUN = {"heads": "branch", "tags": "tag"}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A snapshot of all files; ``id`` is the SHA-1 of everything else in it."""

    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str  # ISO 8601, UTC, milliseconds
    tree: Tree

    def encoded(self) -> bytes:
        """The bytes that are stored and hashed: one canonical JSON object."""
        fields = asdict(self)
        del fields["id"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is decided about a repository outside its history."""

    repo_id: RepoId
    private: bool
    created_at: str
    sdk: str | None  # of a space

    def encoded(self) -> bytes:
        """The bytes of ``repo.json``."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def utc_now() -> str:
    """The time as clients parse it, e.g. ``2024-05-01T12:00:00.123Z``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_commit(*, parent: str | None, title: str, message: str, author: str, tree: Tree) -> Commit:
    """A commit with the present time, under the id of its content."""
    draft = Commit(
        id="", parent=parent, title=title, message=message, author=author, date=utc_now(), tree=tree
    )
    digest = hashlib.sha1(draft.encoded(), usedforsecurity=False).hexdigest()
    return Commit(**{**vars(draft), "id": digest})


class Repository:
    """Commits and refs of one repository in its own folder.

    ::

        repo.json                    Settings
        commits/<40 hex>.json        one Commit each, never changed
        refs/heads/<quoted name>     the commit id of a branch; refs/tags likewise
        uploads/<sha256>             empty: this object was uploaded to this repository
    """

    def __init__(self, *, folder: Path, lock_file: Path, objects: ObjectStore) -> None:
        self.folder = folder
        self.objects = objects
        self._lock_file = lock_file
        self.settings = _read_settings(folder / "repo.json")

    # Reading

    def refs(self, kind: str) -> dict[str, str]:
        """Name to commit id of all ``heads`` or ``tags``, in the order of their names."""
        files = (self.folder / "refs" / kind).glob("[!.]*")  # a dot: a ref that is being written
        named = {unquote(file.name): _read_ref(file) for file in files}
        return {name: commit for name, commit in sorted(named.items()) if commit is not None}

    def head(self, branch: str) -> str:
        """Commit id of a branch."""
        commit = _read_ref(self._ref_file("heads", branch)) if is_ref_name(branch) else None
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
            return _read_commit(self.folder / "commits" / f"{commit_id}.json")
        except FileNotFoundError:
            raise RevisionNotFoundError(commit_id) from None

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
        """Put a commit on top of a branch.

        The branch moves only after the commit is on the disk, so a ref never points at nothing.

        Args:
            parent: the head that the client saw, 7 or more digits of it; None takes any head.

        Raises:
            StaleParentError: the branch has moved on from ``parent``; nothing was changed.
        """
        with self._exclusive():
            head = self.head(branch)
            if parent is not None and not (len(parent) >= 7 and head.startswith(parent)):
                raise StaleParentError(
                    f"The branch was updated since you opened this page: {branch} is at {head}, "
                    f"not {parent[:40]}. Refresh and try again"
                )
            tree = changed(self.commit(head).tree, changes)
            commit = new_commit(parent=head, title=title, message=message, author=author, tree=tree)
            self.write_commit(commit)
            self.set_ref("heads", branch, commit.id)
        return commit

    def add_ref(self, kind: str, name: str, commit_id: str) -> None:
        """Create a branch (``heads``) or a tag (``tags``) at a commit."""
        # A name that looks like a commit id would stand in for that commit.
        if not is_ref_name(name) or name.startswith("refs/") or is_sha1(name):
            raise BadRequestError(f"Invalid reference for a {_NOUN[kind]}: {name[:200]!r}")
        with self._exclusive():
            if self._ref_file(kind, name).exists():
                raise AlreadyExistsError(f"Reference refs/{kind}/{name} already exists")
            self.set_ref(kind, name, commit_id)

    def remove_ref(self, kind: str, name: str) -> None:
        """Delete a branch or a tag; the default branch stays."""
        if kind == "heads" and name == DEFAULT_BRANCH:
            raise ForbiddenError(f"Cannot delete refs/heads/{name}")
        if not is_ref_name(name):
            raise RevisionNotFoundError(name)
        with self._exclusive():
            try:
                self._ref_file(kind, name).unlink()
            except FileNotFoundError:
                raise RevisionNotFoundError(name) from None

    def write_commit(self, commit: Commit) -> None:
        """Store a commit that no ref points at yet."""
        write_durably(self.folder / "commits" / f"{commit.id}.json", commit.encoded())

    def set_ref(self, kind: str, name: str, commit_id: str) -> None:
        """Move or create a ref; the caller holds the lock, or nobody else knows the folder."""
        write_durably(self._ref_file(kind, name), commit_id.encode() + b"\n")

    def remember_upload(self, sha256: str) -> None:
        """Note that this object was uploaded here: only then may a commit here name it.

        Objects are shared by all repositories, and large files' hashes are public knowledge;
        without the note, anybody who knows the hash of a private file could commit it and read it.
        """
        write_durably(self.folder / "uploads" / sha256, b"")

    def has_upload(self, sha256: str) -> bool:
        """Whether the object was uploaded to this repository and is stored."""
        noted = (self.folder / "uploads" / sha256).exists()
        return noted and self.objects.size(sha256) is not None

    def content(self, entry: Entry) -> Path:
        """The file that holds an entry's bytes."""
        return self.objects.path(entry.sha256)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with exclusive(self._lock_file):
            if not (self.folder / "repo.json").exists():  # deleted while we waited
                raise RepoNotFoundError(f"Repository {self.settings.repo_id} not found")
            yield

    def _ref_file(self, kind: str, name: str) -> Path:
        return self.folder / "refs" / kind / quote(name, safe="")


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
    return Settings(**{**fields, "repo_id": RepoId(**fields["repo_id"])})


@lru_cache(maxsize=512)  # safe: the name of the file is the hash of its content
def _read_commit(file: Path) -> Commit:
    fields = json.loads(file.read_bytes())
    tree = {path: Entry(**entry) for path, entry in fields.pop("tree").items()}
    return Commit(id=file.stem, tree=tree, **fields)
