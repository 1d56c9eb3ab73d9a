"""Copies inside one hub: large files for another repository, and repositories as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hfrun.hub.names import RepoId
from hfrun.hub.refusals import RevisionNotFoundError
from hfrun.hub.store.disk import write_durably
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository
from hfrun.hub.store.storage import storage

_COPIED_REFS = ("heads", "tags")  # pull requests belong to the discussions of the original


def lend_large_files(
    source: Repository, target: Repository, sha256s: Iterable[str]
) -> Mapping[str, str]:
    """Let commits of another repository name large files of this one, as if uploaded there.

    Only files in the history of the source: what was uploaded and never committed is of nobody
    but its uploader. The caller may read the source.

    Returns:
        why not, for each file that cannot be had.
    """
    large, removed = storage(source).large, source.removed_content()
    failed = {}
    for sha256 in sha256s:
        if sha256 not in large or sha256 in removed:
            failed[sha256] = "no such large file in the source repository"
        elif source.objects.reuse(sha256) is None:
            failed[sha256] = "the content of this file is lost"
        else:
            target.remember_upload(sha256)
    return failed


def duplicate(
    store: HubStore, source: Repository, repo_id: RepoId, *, private: bool | None, author: str
) -> Repository:
    """Make a repository with the whole history, branches and tags of another.

    It appears whole or not at all. Who may ask for access to the files stays as it was; who has
    been let in does not.

    Args:
        private: None for the same as the source.

    Raises:
        AlreadyExistsError: there is one of that name.
    """
    settings = source.settings

    def fill(draft: Repository) -> None:
        for kind in _COPIED_REFS:
            for name, head in source.refs(kind).items():
                _copy_history(source, draft, head)
                draft.set_ref(kind, name, head)
        if DEFAULT_BRANCH not in draft.refs("heads"):  # the source was deleted while we copied
            raise RevisionNotFoundError(DEFAULT_BRANCH)
        gated = replace(draft.settings, gated=settings.gated)
        write_durably(draft.folder / "repo.json", gated.encoded())

    return store.create(
        repo_id,
        private=settings.private if private is None else private,
        author=author,
        sdk=settings.sdk,
        fill=fill,
    )


def _copy_history(source: Repository, draft: Repository, head: str) -> None:
    """Copy commits, trees and the right to the large files, as far as they are not there."""
    removed = source.removed_content()
    for commit in source.history(head):
        try:
            draft.commit(commit.id)
            return  # and so its ancestors are: they were copied after it
        except RevisionNotFoundError:
            pass
        tree = source.tree(commit)
        draft.write_tree(tree)
        draft.store_commit(commit)
        for sha256 in {entry.sha256 for entry in tree.values() if entry.lfs}:
            if sha256 in removed:
                draft.remove_content(sha256)
            elif not draft.has_upload(sha256):
                draft.remember_upload(sha256)
