"""A small hub on the disk, without a server: one model with a branch, a tag and a pull request."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from hfrun.hub.accounts.tokens import create_token
from hfrun.hub.names import RepoId
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.tree import Delete, Put, lfs_entry, regular_entry

MODEL = RepoId(kind="models", namespace="Alice", name="M")
WEIGHTS = b"\x00weights" * 1000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """::

    first <- one (tag v1) <- two (main, dev) <- proposal (refs/pr/1)
    """

    store: HubStore
    model: Repository
    first: str
    one: str
    two: str
    proposal: str

    @property
    def root(self) -> Path:
        return self.store.root

    def commit_file(self, commit_id: str) -> Path:
        return self.model.folder / "commits" / f"{commit_id}.json"

    def tree_file(self, commit_id: str) -> Path:
        tree_id = self.model.commit(commit_id).tree
        return self.model.folder / "trees" / f"{tree_id}.json"

    def object_of(self, commit_id: str, path: str) -> Path:
        return self.model.content(self.model.tree(self.model.commit(commit_id))[path])


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return build(tmp_path / "hub")


def build(root: Path) -> Sample:
    create_token(root, "Alice")
    store = HubStore(root)
    model = store.create(MODEL, private=True, author="Alice", sdk=None)
    first = model.head("main")
    one = commit(model, "one", small(model, "a.txt", b"a"), small(model, "f/b.txt", b"b"))
    model.add_ref("tags", "v1", one.id)
    two = commit(model, "two\n\nwith weights", small(model, "a.txt", b"A"), large(model, WEIGHTS))
    model.add_ref("heads", "dev", two.id)
    with model.exclusive():
        model.set_ref("pr", "1", two.id)
    proposal = commit(
        model, "proposal", Delete(path="f", folder=True), small(model, "f", b"p"), to="refs/pr/1"
    )
    return Sample(
        store=store, model=model, first=first, one=one.id, two=two.id, proposal=proposal.id
    )


def commit(model: Repository, title: str, *changes: Put | Delete, to: str = "main") -> Commit:
    return model.add_commit(
        branch=to, changes=changes, title=title, message="", author="Alice", parent=None
    )


def small(model: Repository, path: str, content: bytes) -> Put:
    return Put(path=path, entry=regular_entry(content, model.objects.put(content)))


def large(model: Repository, content: bytes, path: str = "model.bin") -> Put:
    sha256 = model.objects.put(content)
    model.remember_upload(sha256)
    return Put(path=path, entry=lfs_entry(sha256, len(content)))
