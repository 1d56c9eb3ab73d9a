"""The folder of one hub: its repositories, found in any case of their names.

::

    hub.json                                 the format of this folder
    accounts.json  secret                    see tokens.py; readable by the owner alone
    objects/  incoming/                      see objects.py
    repositories/models/<ns>/<name>/         see repository.py; names in lower case
    moved/                                   names that repositories have left, see moves.py
    locks/models/<ns>/<name>.lock            one lock a repository, kept when it is deleted

Several server processes may serve one folder; it can be copied with rsync while none runs.
"""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hfrun.errors import HubError
from hfrun.hub.names import RepoId, checked_repo_id
from hfrun.hub.refusals import AlreadyExistsError, BadRequestError, RepoNotFoundError
from hfrun.hub.store.disk import exclusive, make_folder, sync_folder, write_durably
from hfrun.hub.store.moves import Moves
from hfrun.hub.store.objects import ObjectStore
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository, Settings, utc_now
from hfrun.hub.store.tree import regular_entry
from hfrun.hub.store.upload_mode import GITATTRIBUTES

_FORMAT = 2


def open_root(root: Path, *, create: bool) -> Path:
    """Return the root folder of a hub, made ready where ``create`` allows it.

    Raises:
        HubError: the folder is missing, holds something else, or is of another format.
    """
    marker = root / "hub.json"
    if not marker.exists():
        if not create:
            raise HubError(f"got {root}, which holds no hub; start one with hfrun hub serve --root")
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise HubError(
                f"got {root}, which is not empty and holds no hub; choose an empty or a new folder"
            )
        write_durably(marker, json.dumps({"format": _FORMAT}).encode() + b"\n")
    try:
        found = json.loads(marker.read_bytes())["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(f"got {marker}, which is not a hub's marker ({error}); restore it") from None
    if found != _FORMAT:
        raise HubError(
            f"got a hub of format {found}; needed is {_FORMAT}: use the hfrun it was made with"
        )
    return root


class HubStore:
    """Creates, finds, lists, moves and deletes the repositories below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = ObjectStore(root)
        self._moves = Moves(root)

    def open(self, repo_id: RepoId) -> Repository:
        """The repository of that id, or RepoNotFoundError."""
        return Repository(
            folder=self._folder(repo_id), lock_file=self._lock(repo_id), objects=self.objects
        )

    def find(self, kind: str, namespace: str, name: str) -> Repository:
        """Like ``open``, for names that came from an address; bad ones do not exist."""
        try:
            repo_id = checked_repo_id(kind, namespace, name)
        except BadRequestError:
            raise RepoNotFoundError("Repository not found") from None
        return self.open(repo_id)

    def successors(self, kind: str, namespace: str, name: str) -> Iterator[Repository]:
        """The repositories that have left this name, wherever they are now, the latest first."""
        try:
            left = checked_repo_id(kind, namespace, name)
        except BadRequestError:
            return
        for key in self._moves.keys(left):
            places = self._moves.places(key)
            # The first again: a move may have ended after we looked there.
            for place in [*places, *places[:1]]:
                try:
                    repository = self.open(place)
                except RepoNotFoundError:
                    continue
                if repository.settings.key == key:
                    yield repository
                    break

    def follow(self, named: RepoId) -> Repository:
        """The repository of that id, else the latest that has left it; or RepoNotFoundError."""
        names = named.kind, named.namespace, named.name
        try:
            return self.find(*names)
        except RepoNotFoundError:
            for repository in self.successors(*names):
                return repository
            raise

    def create(
        self,
        repo_id: RepoId,
        *,
        private: bool,
        author: str,
        sdk: str | None,
        fill: Callable[[Repository], None] | None = None,
    ) -> Repository:
        """Make a repository with its first commit; it appears whole or not at all.

        Where another repository has left this name, the name leads to that one no longer (see
        moves.py).

        Args:
            fill: writes another history than the usual first commit into the repository while
                nobody else knows it; it must not ask to be ``exclusive``.

        Raises:
            AlreadyExistsError: one of that name, in any case, is there.
        """
        folder = self._folder(repo_id)
        with self.objects.in_use(), exclusive(self._lock(repo_id)):
            if folder.exists():
                raise AlreadyExistsError(
                    f"You already created this {repo_id.kind[:-1]} repo: {repo_id}"
                )
            draft = self.objects.incoming / uuid.uuid4().hex
            settings = Settings(repo_id=repo_id, private=private, created_at=utc_now(), sdk=sdk)
            write_durably(draft / "repo.json", settings.encoded())
            made = Repository(folder=draft, lock_file=self._lock(repo_id), objects=self.objects)
            if fill is None:
                self._first_commit(made, author)
            else:
                fill(made)
            make_folder(folder.parent)
            draft.rename(folder)
            sync_folder(folder.parent)
            if not private:  # last: a folder is found before it is looked at
                self._moves.lead(repo_id, [])
        return self.open(repo_id)

    def move(self, source: RepoId, target: RepoId) -> Repository:
        """Give a repository another id; its old name leads to the new one from then on.

        The renaming of its folder is the move: before it nothing has happened, after it all has.
        What is written before is not believed until then (see moves.py and ``Settings``), and what
        is written after only tidies up. So a crash between any two steps leaves the repository
        whole under exactly one of the names, and the move can be asked for again.

        Raises:
            RepoNotFoundError: there is no ``source``.
            AlreadyExistsError: there is a ``target``; nothing was changed.
        """
        if source.place == target.place:  # other letters in upper case: only shown differently
            repository = self.open(source)
            repository.change_settings(repo_id=target)
            return repository
        old, new = self._folder(source), self._folder(target)
        # In use: a sweep that has seen neither of the two folders would take the objects away.
        with self.objects.in_use(), self._both_locked(source, target):
            settings = self.open(source).settings
            if new.exists():
                raise AlreadyExistsError(
                    f"A {target.kind[:-1]} repository called {target} already exists"
                )
            key = settings.key or uuid.uuid4().hex
            going = replace(settings, key=key, moving_to=target)
            write_durably(old / "repo.json", going.encoded())
            self._moves.expect(key, [target, source])
            before = self._moves.keys(source) if settings.private else []
            self._moves.lead(source, [key, *(other for other in before if other != key)])
            make_folder(new.parent)
            old.rename(new)
            sync_folder(new.parent)
            sync_folder(old.parent)
            settled = replace(going, repo_id=target, moving_to=None)
            write_durably(new / "repo.json", settled.encoded())
            self._moves.expect(key, [target])
            if not settings.private:
                self._moves.lead(target, [])
        return self.open(target)

    def delete(self, repo_id: RepoId) -> None:
        """Remove a repository and the names it has left; its objects stay: others may share them.

        Without the repository these names lead nowhere, so a crash before they are removed leaves
        nothing but some small files.
        """
        folder = self._folder(repo_id)
        grave = self.objects.incoming / uuid.uuid4().hex
        make_folder(grave.parent)
        with exclusive(self._lock(repo_id)):
            settings = self.open(repo_id).settings
            folder.rename(grave)
            sync_folder(folder.parent)
            if not settings.private:
                self._moves.lead(repo_id, [])
        if settings.key:
            self._forget_moves(settings.key)
        shutil.rmtree(grave)

    def _forget_moves(self, key: str) -> None:
        self._moves.forget(key)
        for name in self._moves.names(key):
            with exclusive(self._lock(name)):  # another repository may be leaving it
                self._moves.lead(name, [other for other in self._moves.keys(name) if other != key])

    def repositories(self, kind: str) -> Iterator[Repository]:
        """All repositories of a kind, in the order of their lower-case ids."""
        for folder in sorted((self.root / "repositories" / kind).glob("*/*")):
            lock_file = self._lock_folder(kind, folder.parent.name) / f"{folder.name}.lock"
            try:
                yield Repository(folder=folder, lock_file=lock_file, objects=self.objects)
            except RepoNotFoundError:  # deleted meanwhile
                continue

    def _first_commit(self, repository: Repository, author: str) -> None:
        files = {".gitattributes": GITATTRIBUTES}
        sdk = repository.settings.sdk
        if sdk is not None:
            title = repository.settings.repo_id.name
            files["README.md"] = f"---\ntitle: {json.dumps(title)}\nsdk: {sdk}\n---\n"
        encoded = {path: text.encode() for path, text in files.items()}
        tree = {p: regular_entry(data, self.objects.put(data)) for p, data in encoded.items()}
        commit = repository.write_commit(
            parent=None, title="initial commit", message="", author=author, tree=tree
        )
        repository.set_ref("heads", DEFAULT_BRANCH, commit.id)

    @contextmanager
    def _both_locked(self, one: RepoId, other: RepoId) -> Iterator[None]:
        """Hold the locks of two names, in the same order always: no two moves wait in a ring."""
        first, second = sorted((self._lock(one), self._lock(other)))
        with exclusive(first), exclusive(second):
            yield

    def _folder(self, repo_id: RepoId) -> Path:
        return self.root.joinpath("repositories", *repo_id.place)

    def _lock(self, repo_id: RepoId) -> Path:
        folder = self._lock_folder(repo_id.kind, repo_id.namespace.lower())
        return folder / f"{repo_id.name.lower()}.lock"

    def _lock_folder(self, kind: str, namespace: str) -> Path:
        return self.root / "locks" / kind / namespace
