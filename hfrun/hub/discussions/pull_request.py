"""What a pull request changes, whether it can be merged, and whether it was."""

from collections.abc import Sequence
from dataclasses import replace

from hfrun.hub.discussions.discussion import Discussion, Event
from hfrun.hub.refusals import ConflictError, RevisionNotFoundError
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import Repository
from hfrun.hub.store.three_way import FileChange, file_changes, merged
from hfrun.hub.store.tree import Tree

_MAX_LISTED_COMMITS = 100  # in the message of a merge


def changes(repository: Repository, discussion: Discussion) -> list[FileChange]:
    """The files that it changes since its base; none where the base is gone."""
    base = _base(repository, discussion)
    return [] if base is None else file_changes(base, _head(repository, discussion))


def conflicts(repository: Repository, discussion: Discussion) -> Sequence[str] | None:
    """Paths that keep it from being merged; None where nobody can say."""
    if not discussion.is_open or discussion.target is None:
        return ()
    base = _base(repository, discussion)
    try:
        target = _tree(repository, repository.head(discussion.target))
    except RevisionNotFoundError:  # the branch was deleted
        return None
    return None if base is None else merged(base, target, _head(repository, discussion))[1]


def commits(repository: Repository, discussion: Discussion) -> list[Commit]:
    """Its commits, newest first."""
    found = []
    for commit in repository.history(repository.head(discussion.ref)):
        if commit.id == discussion.base:
            break
        found.append(commit)
    return found


def ancestor(repository: Repository, branch: str, parent: str | None) -> str:
    """The head of a branch, or the commit of its history whose id begins so.

    A commit outside of the history may be swept at any time, and its files may be gone already.

    Raises:
        RevisionNotFoundError: no such branch, or no such commit in its history.
    """
    head = repository.head(branch)
    if parent is None:
        return head
    if len(parent) >= 7:
        for commit in repository.history(head):
            if commit.id.startswith(parent):
                return commit.id
    raise RevisionNotFoundError(parent[:40])


def new_merge_commit(repository: Repository, discussion: Discussion, author: str) -> Commit:
    """Write the commit that would merge it; no branch points at it yet.

    Raises:
        ConflictError: both sides changed a file, or there is nothing to merge.
    """
    assert discussion.target is not None
    head = repository.head(discussion.target)
    base, ours = _base(repository, discussion), _tree(repository, head)
    if base is None:
        raise ConflictError(
            f"The commit that pull request {discussion.number} began at is gone; open a new pull "
            "request with its changes"
        )
    tree, both = merged(base, ours, _head(repository, discussion))
    if both:
        named = ", ".join(both[:20]) + (", ..." if len(both) > 20 else "")
        raise ConflictError(
            f"Merge conflict: {len(both)} of the files that pull request {discussion.number} "
            f"changes were changed on {discussion.target} too: {named}. Make them alike on one of "
            "the two, and merge again"
        )
    if tree == ours:
        raise ConflictError(
            f"Nothing to merge: {discussion.target} has all that pull request "
            f"{discussion.number} changes; close it, or commit to it"
        )
    return repository.write_commit(
        parent=head,
        title=f"{discussion.title} (#{discussion.number})",
        message=_message(commits(repository, discussion), author),
        author=author,
        tree=tree,
    )


def settled(repository: Repository, discussion: Discussion) -> Discussion:
    """What came of a merge that was begun: it happened if its commit is on the branch."""
    if discussion.merging is None:
        return discussion
    assert discussion.target is not None
    commit = _in_history(repository, discussion.target, discussion.merging)
    if commit is None:
        return replace(discussion, merging=None)
    # The same after a crash, whoever asks, until it is written.
    event = Event(
        id=commit.id[:24],
        kind="status-change",
        author=commit.author,
        created_at=commit.date,
        status="merged",
    )
    return replace(
        discussion.with_event(event), status="merged", merge_commit=commit.id, merging=None
    )


def with_all_commits(repository: Repository, discussion: Discussion) -> Discussion:
    """With events for commits whose own was not written before a crash, or was squashed."""
    if not discussion.is_pull_request or discussion.status == "merged":
        return discussion
    known = {event.commit for event in discussion.events} | {discussion.base}
    missing = []
    for commit in repository.history(repository.head(discussion.ref)):
        if commit.id in known:
            break
        missing.append(commit_event(commit))
    return replace(discussion, events=(*discussion.events, *reversed(missing)))


def commit_event(commit: Commit) -> Event:
    """The event of a commit; the same however often it is made."""
    return Event(
        id=commit.id,
        kind="commit",
        author=commit.author,
        created_at=commit.date,
        commit=commit.id,
        commit_title=commit.title,
    )


def _message(commits: Sequence[Commit], author: str) -> str:
    """The commits that were merged, and who else wrote them."""
    lines = [f"- {commit.title} ({commit.id})" for commit in reversed(commits)]
    if len(lines) > _MAX_LISTED_COMMITS:
        lines[_MAX_LISTED_COMMITS:] = [f"- and {len(lines) - _MAX_LISTED_COMMITS} more"]
    others = sorted({commit.author for commit in commits} - {author})
    names = "\n".join(f"Co-authored-by: {name} <{name}@hub>" for name in others)
    return "\n".join(lines) + (f"\n\n{names}" if names else "")


def _in_history(repository: Repository, branch: str, commit_id: str) -> Commit | None:
    try:
        history = repository.history(repository.head(branch))
        return next((commit for commit in history if commit.id == commit_id), None)
    except RevisionNotFoundError:  # the branch was deleted
        return None


def _base(repository: Repository, discussion: Discussion) -> Tree | None:
    """The files at the base; None of a plain discussion, and where the base was swept.

    That happens when the branch and the pull request have both been squashed since.
    """
    try:
        return None if discussion.base is None else _tree(repository, discussion.base)
    except (RevisionNotFoundError, FileNotFoundError):
        return None


def _head(repository: Repository, discussion: Discussion) -> Tree:
    return _tree(repository, repository.head(discussion.ref))


def _tree(repository: Repository, commit_id: str) -> Tree:
    return repository.tree(repository.commit(commit_id))
