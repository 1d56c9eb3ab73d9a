"""Plain git: a repository of the hub as a bare one that any git reads, with its large files.

::

    OUT/models/alice/m.git/                        all branches, tags and refs/pr, same commit ids
    OUT/models/alice/m.git/lfs/objects/ab/cd/...   large files, where git-lfs keeps them

The history is written by ``git fast-import``, which computes every id anew; an id that differs
from the hub's ends the export.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hfrun.errors import HubError
from hfrun.hub.maintenance.git import fast_import, git
from hfrun.hub.names import KINDS
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import DEFAULT_BRANCH, KINDS_OF_REFS, Repository
from hfrun.hub.store.tree import Entry, Tree, lfs_pointer
from lob_backtest.progress import progress

_DRAFT_REF = "refs/hfrun/export"  # commits go here until the refs are set


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One repository in git: where it is and what it holds."""

    repo: str
    folder: Path
    commits: int
    refs: int
    large_files: int


def export(repository: Repository, out: Path) -> Exported:
    """Write one repository below ``out``; it appears there whole or not at all.

    Servers may go on: what is exported is what the refs pointed at when this began.

    Raises:
        HubError: git is missing or refuses something, or an object is missing.
    """
    repo_id = repository.settings.repo_id
    final = out / repo_id.kind / repo_id.namespace / f"{repo_id.name}.git"
    draft = out / f".{uuid.uuid4().hex}.partial"
    try:
        with repository.objects.in_use():  # a sweep waits until all objects are copied
            refs = _refs(repository)
            commits = _parents_first(repository, refs)
            _import(repository, commits, refs, draft)
            large = _large_files(repository, commits)
            for entry in progress(large, label=f"large files of {repo_id}", unit="file"):
                _keep_large(repository.content(entry), entry, draft)
        final.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Exported(
        repo=repo_id.address,
        folder=final,
        commits=len(commits),
        refs=len(refs),
        large_files=len(large),
    )


def chosen(store: HubStore, names: list[str]) -> list[Repository]:
    """The repositories of these names, e.g. ``alice/m`` or ``datasets/alice/d``; [] means all.

    Raises:
        HubError: one of them is not there.
    """
    if not names:
        return [repository for kind in KINDS for repository in store.repositories(kind)]
    found = []
    for name in names:
        kind, _, rest = name.partition("/")
        kind, rest = (kind, rest) if kind in KINDS else ("models", name)
        namespace, _, repo = rest.partition("/")
        try:
            found.append(store.find(kind, namespace, repo))
        except HubError:
            raise HubError(
                f"got repository {name!r}, which this hub does not have; hfrun hub ls shows them"
            ) from None
    return found


def empty_folder(out: Path) -> Path:
    """Where an export may go; HubError for a folder that is not empty, or where git is missing."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HubError(f"got {out}, which is not empty; choose an empty or a new folder")
    if shutil.which("git") is None:
        raise HubError("got no git on this machine, which writes the export; install it")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _refs(repository: Repository) -> dict[str, str]:
    refs = {
        f"refs/{kind}/{name}": commit_id
        for kind in KINDS_OF_REFS
        for name, commit_id in repository.refs(kind).items()
    }
    for ref in refs:
        blocked = next((other for other in refs if other.startswith(f"{ref}/")), None)
        if blocked is not None:
            raise HubError(
                f"got {ref} and {blocked}, which git cannot hold at once; delete one of them"
            )
    return refs


def _parents_first(repository: Repository, refs: Mapping[str, str]) -> dict[str, Commit]:
    """All commits that the refs reach, each after its parent."""
    commits: dict[str, Commit] = {}
    for head in refs.values():
        line = []
        for commit in repository.history(head):
            if commit.id in commits:
                break
            line.append(commit)
        commits.update((commit.id, commit) for commit in reversed(line))
    return commits


def _import(
    repository: Repository, commits: Mapping[str, Commit], refs: Mapping[str, str], folder: Path
) -> None:
    git("init", "-q", "--bare", "--template=", str(folder))
    git("symbolic-ref", "HEAD", f"refs/heads/{DEFAULT_BRANCH}", at=folder)
    marks = folder / "marks"
    with fast_import(folder, marks) as stream:
        numbers = {commit_id: n for n, commit_id in enumerate(commits, start=1)}
        written: set[str] = set()
        label = f"commits of {repository.settings.repo_id}"
        for commit in progress(commits.values(), label=label, total=len(commits), unit="commit"):
            parent = commits[commit.parent] if commit.parent is not None else None
            before = {} if parent is None else repository.tree(parent)
            tree = repository.tree(commit)
            for entry in tree.values():
                if entry.oid not in written:
                    written.add(entry.oid)
                    _write_blob(stream, repository, entry)
            _write_commit(stream, commit, numbers, before, tree)
        for ref, commit_id in refs.items():
            stream.write(f"reset {ref}\nfrom :{numbers[commit_id]}\n\n".encode())
    made = dict(line.split(" ")[::-1] for line in marks.read_text().splitlines())
    wrong = [commit_id for commit_id, n in numbers.items() if made.get(commit_id) != f":{n}"]
    if wrong:
        raise HubError(
            f"got commits {wrong[:3]}, to which git gives other ids; run hfrun hub check"
        )
    marks.unlink()
    git("update-ref", "-d", _DRAFT_REF, at=folder)
    _check_refs(refs, folder)


def _write_blob(stream: IO[bytes], repository: Repository, entry: Entry) -> None:
    if entry.lfs:
        pointer = lfs_pointer(entry.sha256, entry.size)
        stream.write(b"blob\ndata %d\n%s\n" % (len(pointer), pointer))
        return
    with _opened(repository.content(entry), entry) as content:
        stream.write(b"blob\ndata %d\n" % entry.size)
        shutil.copyfileobj(content, stream)
        stream.write(b"\n")


def _write_commit(
    stream: IO[bytes], commit: Commit, numbers: Mapping[str, int], before: Tree, tree: Tree
) -> None:
    """The commit as what it changed; removals first, so that a folder may take a file's name."""
    text = commit.text.encode()
    # A commit without "from" would stand on the one written before it.
    lines = [] if commit.parent is not None else [f"reset {_DRAFT_REF}"]
    lines += [
        f"commit {_DRAFT_REF}",
        f"mark :{numbers[commit.id]}",
        f"author {commit.signature}",
        f"committer {commit.signature}",
        f"data {len(text)}",
    ]
    stream.write("\n".join(lines).encode() + b"\n" + text)
    if commit.parent is not None:
        stream.write(f"from :{numbers[commit.parent]}\n".encode())
    for path in before.keys() - tree.keys():
        stream.write(b"D %s\n" % _quoted(path))
    for path, entry in tree.items():
        if path not in before or before[path].oid != entry.oid:
            stream.write(b"M 100644 %s %s\n" % (entry.oid.encode(), _quoted(path)))
    stream.write(b"\n")


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it whatever its letters are."""
    escaped = path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%s"' % escaped


def _large_files(repository: Repository, commits: Mapping[str, Commit]) -> list[Entry]:
    """Each once; those whose content was deleted for good stay pointers to nothing."""
    trees = (repository.tree(commit) for commit in commits.values())
    large = {entry for tree in trees for entry in tree.values() if entry.lfs}
    removed = repository.removed_content()
    return sorted((e for e in large if e.sha256 not in removed), key=lambda e: e.sha256)


def _keep_large(content: Path, entry: Entry, folder: Path) -> None:
    """Put a large file where git-lfs looks: shared with the hub on one disk, else a copy."""
    target = folder / "lfs" / "objects" / entry.sha256[:2] / entry.sha256[2:4] / entry.sha256
    target.parent.mkdir(parents=True, exist_ok=True)
    with _opened(content, entry) as source:
        try:
            os.link(content, target)
        except OSError:  # another disk, or one without links
            with target.open("xb") as copy:
                shutil.copyfileobj(source, copy)


@contextmanager
def _opened(content: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """The object of an entry, with the size that it must have."""
    try:
        with content.open("rb") as file:
            if os.fstat(file.fileno()).st_size == entry.size:
                yield file
                return
    except FileNotFoundError:
        pass
    raise HubError(
        f"got no object {entry.sha256} of {entry.size} bytes; hfrun hub check says what is damaged"
    )


def _check_refs(refs: Mapping[str, str], folder: Path) -> None:
    listed = git("for-each-ref", "--format=%(refname) %(objectname)", at=folder)
    made = dict(line.split(" ") for line in listed.splitlines())
    if made != refs:
        wrong = sorted(set(made.items()) ^ set(refs.items()))
        raise HubError(f"got refs {wrong[:3]}, which git did not take as they are")
