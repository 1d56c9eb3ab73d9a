"""Histories made anew: squashed into one commit, or without large files that were deleted.

What refs no longer lead to stays on the disk until a sweep, and can be named by its commit id
until then. The content of deleted files is refused from the first moment, at every revision.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from hfrun.hub.discussions import pull_request
from hfrun.hub.discussions.discussion import Discussion
from hfrun.hub.discussions.discussion_files import DiscussionFiles
from hfrun.hub.refusals import BadRequestError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import KINDS_OF_REFS, Repository
from hfrun.hub.store.storage import storage
from hfrun.hub.store.tree import Tree


def squash(repository: Repository, *, branch: str, message: str, author: str) -> Commit:
    """Put all files of a branch into one commit without a parent, and move the branch to it.

    ::

        main   a -- b -- c         main   c'  (the files of c)
        tag v       ^              tag v  a -- b

    Tags, other branches and pull requests keep the commits that they have.

    Raises:
        BadRequestError: a tag or a pull request, which have no history of their own.
        RevisionNotFoundError: no such branch.
    """
    name = branch.removeprefix("refs/heads/")
    branches = repository.refs("heads")
    if name not in branches and (name in repository.refs("tags") or name.startswith("refs/")):
        raise BadRequestError(f"Invalid reference for a branch: {branch[:200]!r}")
    with repository.exclusive():
        head = repository.head(name)
        _settle_discussions(repository)
        # The ref moves last: a crash before that leaves a commit which nothing leads to.
        commit = repository.write_commit(
            parent=None,
            title=message,
            message="",
            author=author,
            tree=repository.tree(repository.commit(head)),
        )
        repository.set_ref("heads", name, commit.id)
    return commit


def delete_large_files(
    repository: Repository, sha256s: Collection[str], *, rewrite: bool
) -> frozenset[str]:
    """Delete the content of large files for good; returns those that the history has.

    Other repositories that have the same content keep it.

    Args:
        rewrite: also take the files out of every commit of every branch, tag and pull request:
            commits from the first that has one of them on get new ids. Without it the history
            keeps names, sizes and hashes, and reading the files answers that they are deleted.
    """
    with repository.exclusive():
        dropped = frozenset(sha256s) & storage(repository).large.keys()
        # First the marks. A crash after them leaves a history whose files are refused; asking
        # again rewrites it. The refs move one by one, each to commits that are on the disk.
        for sha256 in sorted(dropped):
            repository.remove_content(sha256)
        if rewrite and dropped:
            _settle_discussions(repository)
            rewritten = _rewrite_refs(repository, dropped)
            _rename_commits(repository, rewritten)
    return dropped


def _rewrite_refs(repository: Repository, dropped: Collection[str]) -> Mapping[str, str]:
    """Move all refs to histories without the files; returns old to new commit ids."""
    rewritten: dict[str, str] = {}
    for kind in KINDS_OF_REFS:
        for name, head in repository.refs(kind).items():
            _rewrite_history(repository, head, dropped, rewritten)
            if rewritten[head] != head:
                repository.set_ref(kind, name, rewritten[head])
    return rewritten


def _rewrite_history(
    repository: Repository, head: str, dropped: Collection[str], rewritten: dict[str, str]
) -> None:
    """Add the commits up to ``head`` to ``rewritten``; those without the files keep their ids."""
    new: list[Commit] = []
    for commit in repository.history(head):
        if commit.id in rewritten:
            break
        new.append(commit)
    for commit in reversed(new):
        parent = None if commit.parent is None else rewritten[commit.parent]
        tree = repository.tree(commit)
        kept = _without(tree, dropped)
        if parent == commit.parent and len(kept) == len(tree):
            rewritten[commit.id] = commit.id
            continue
        tree_id = commit.tree if len(kept) == len(tree) else repository.write_tree(kept)
        draft = replace(commit, tree=tree_id, parent=parent)
        made = replace(draft, id=draft.computed_id())
        repository.store_commit(made)
        rewritten[commit.id] = made.id


def _without(tree: Tree, dropped: Collection[str]) -> Tree:
    return {p: e for p, e in tree.items() if not (e.lfs and e.sha256 in dropped)}


def _settle_discussions(repository: Repository) -> None:
    """Write down which merges have happened: afterwards no history tells."""
    files = DiscussionFiles(repository.folder)
    for discussion in _discussions(files):
        settled = pull_request.settled(repository, discussion)
        if settled != discussion:
            files.write(settled)


def _rename_commits(repository: Repository, rewritten: Mapping[str, str]) -> None:
    """Let pull requests speak of the commits that have taken the place of theirs.

    A crash before leaves some that begin at an old commit: they list more commits than their own,
    and can be merged as before.
    """
    files = DiscussionFiles(repository.folder)
    for discussion in _discussions(files):
        events = tuple(
            replace(event, commit=rewritten.get(event.commit, event.commit))
            for event in discussion.events
        )
        named = {
            field: rewritten.get(getattr(discussion, field), getattr(discussion, field))
            for field in ("base", "merge_commit")
        }
        renamed = replace(discussion, events=events, **named)
        if renamed != discussion:
            files.write(renamed)


def _discussions(files: DiscussionFiles) -> list[Discussion]:
    found = (files.read(number) for number in sorted(files.numbers()))
    return [discussion for discussion in found if discussion is not None]
