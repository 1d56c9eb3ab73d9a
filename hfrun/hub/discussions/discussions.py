"""The discussions and pull requests of one repository: opened, talked about, merged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hfrun.hub.discussions import pull_request
from hfrun.hub.discussions.discussion import (
    Discussion,
    Event,
    checked_text,
    checked_title,
    edited,
    hidden,
    new_event,
    optional_text,
    title_of_commit,
)
from hfrun.hub.discussions.discussion_files import DiscussionFiles
from hfrun.hub.refusals import (
    BadRequestError,
    ConflictError,
    DiscussionNotFoundError,
    ForbiddenError,
)
from hfrun.hub.store.commit import Commit
from hfrun.hub.store.repository import DEFAULT_BRANCH, Repository, utc_now
from hfrun.hub.store.three_way import FileChange
from hfrun.hub.store.tree import Delete, Put, changed

__all__ = ["Discussion", "Discussions", "Event", "FileChange"]


class Discussions:
    """Discussions and pull requests of a repository; they share their numbers.

    Nothing here asks who may do what: that is for the caller. Titles and texts are checked here,
    whatever they are.

    Each has one file, ``discussions/<number>.json``; a pull request also has the ref
    ``refs/pr/<number>``, which is written first. A crash between the two leaves a ref without a
    pull request: it takes no number, and whoever opens the next one gets the number and moves or
    removes the ref. The other way round there would be a pull request without files.

    Later commits move the ref first, too, since the ref holds what was pushed. Their events are
    made up for in reading where a crash came before they were written.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._files = DiscussionFiles(repository.folder)

    # Reading

    def __iter__(self) -> Iterator[Discussion]:
        """All of them, newest first, each read when it is its turn: together they are too large.

        Commits without an event are left out.
        """
        for number in sorted(self._files.numbers(), reverse=True):
            discussion = self._files.read(number)
            if discussion is not None:
                yield pull_request.settled(self._repository, discussion)

    def get(self, number: int) -> Discussion:
        """One of them, or DiscussionNotFoundError."""
        discussion = self._files.read(number)
        if discussion is None:
            raise DiscussionNotFoundError(f"Discussion {number} not found")
        discussion = pull_request.settled(self._repository, discussion)
        return pull_request.with_all_commits(self._repository, discussion)

    def diff(self, number: int) -> Sequence[FileChange]:
        """The files that a pull request changes since its base; none of a plain discussion."""
        return pull_request.changes(self._repository, self.get(number))

    def conflicts(self, number: int) -> Sequence[str] | None:
        """Paths that keep an open pull request from being merged; None where nobody can say."""
        return pull_request.conflicts(self._repository, self.get(number))

    # Opening

    def open(
        self,
        *,
        title: object,
        text: object,
        author: str,
        is_pull_request: bool = False,
        target: str = DEFAULT_BRANCH,
    ) -> Discussion:
        """Open a discussion, or a pull request without changes yet, which is a draft."""
        branch = _branch(target)
        discussion = _new(checked_title(title), text, author)
        with self._repository.exclusive():
            discussion = replace(discussion, number=self._files.next_number())
            if is_pull_request:
                base = self._repository.head(branch)
                discussion = replace(
                    discussion, is_pull_request=True, status="draft", target=branch, base=base
                )
                self._repository.set_ref("pr", str(discussion.number), base)
            else:
                self._files.remove_ref(discussion.number)
            self._files.write(discussion)
        return discussion

    def open_with_commit(
        self,
        *,
        target: str,
        changes: Sequence[Put | Delete],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> tuple[Discussion, Commit]:
        """Open a pull request with its first commit.

        Args:
            target: a branch.
            parent: the commit of the branch that it shall begin at, 7 or more digits of it; None
                takes the newest.

        Raises:
            RevisionNotFoundError: no such branch, or no such commit in its history.
        """
        branch = _branch(target)
        draft = _new(title_of_commit(title), message, author)
        with self._repository.exclusive():
            base = pull_request.ancestor(self._repository, branch, parent)
            before = self._repository.tree(self._repository.commit(base))
            commit = self._repository.write_commit(
                parent=base,
                title=title,
                message=message,
                author=author,
                tree=changed(before, changes),
            )
            opened = replace(
                draft.with_event(pull_request.commit_event(commit)),
                number=self._files.next_number(),
                is_pull_request=True,
                target=branch,
                base=base,
            )
            self._repository.set_ref("pr", str(opened.number), commit.id)
            self._files.write(opened)
        return opened, commit

    # Changing

    def commit(
        self,
        number: int,
        *,
        changes: Sequence[Put | Delete],
        title: str,
        message: str,
        author: str,
        parent: str | None,
    ) -> Commit:
        """Put a commit on top of a pull request.

        Raises:
            ConflictError: it was merged or closed.
            StaleParentError: it has moved on from ``parent``.
        """
        with self._changing(number) as discussion:
            _require_open_pull_request(discussion)
            self._files.require_room(discussion)
            commit = self._repository.commit_on(
                branch=discussion.ref,
                changes=changes,
                title=title,
                message=message,
                author=author,
                parent=parent,
            )
            self._files.write(discussion.with_event(pull_request.commit_event(commit)))
        return commit

    def comment(self, number: int, *, text: object, author: str) -> Event:
        """Say something."""
        event = new_event("comment", author, text=checked_text(text))
        with self._changing(number) as discussion:
            self._write_within_limits(discussion.with_event(event))
        return event

    def edit(self, number: int, event_id: str, *, text: object, author: str) -> Event:
        """Replace the text of a comment; a hidden one stays as it is."""
        written = checked_text(text)
        with self._changing(number) as discussion:
            event = discussion.comment(event_id)
            if event.hidden_by:
                raise ForbiddenError("This comment was hidden and can no longer be edited")
            event = edited(event, text=written, author=author)
            self._write_within_limits(discussion.with_edited(event))
        return event

    def hide(self, number: int, event_id: str, *, author: str) -> Event:
        """Take the text of a comment away for good."""
        with self._changing(number) as discussion:
            event = discussion.comment(event_id)
            if not event.hidden_by:
                event = hidden(event, author=author)
                self._files.write(discussion.with_edited(event))
        return event

    def rename(self, number: int, *, title: object, author: str) -> Event:
        """Give it another title."""
        new = checked_title(title)
        with self._changing(number) as discussion:
            event = new_event("title-change", author, old_title=discussion.title, new_title=new)
            self._write_within_limits(replace(discussion.with_event(event), title=new))
        return event

    def set_status(
        self, number: int, *, status: object, author: str, text: object = None
    ) -> Discussion:
        """Close it, open it again, or open a draft; what is so already stays so.

        Args:
            status: "open" or "closed".
            text: a comment to go with it, or None.

        Raises:
            ConflictError: it was merged.
        """
        if not isinstance(status, str) or status not in ("open", "closed"):
            raise BadRequestError(f"got status {str(status)[:40]!r}; needed is open or closed")
        comment = optional_text(text)
        with self._changing(number) as discussion:
            if discussion.status == "merged":
                raise ConflictError(f"Pull request {number} was merged, and stays so")
            if comment:
                discussion = discussion.with_event(new_event("comment", author, text=comment))
            if discussion.status != status:
                event = new_event("status-change", author, status=status)
                discussion = replace(discussion.with_event(event), status=status)
            if status == "open" or comment:
                self._files.require_room(discussion)
            self._files.write(discussion)
        return discussion

    def merge(self, number: int, *, author: str, text: object = None) -> Discussion:
        """Put the changes of a pull request on its branch, as one commit.

        Two files change, the branch's ref and the discussion's. So that a crash between them
        neither loses the merge nor lets it happen twice, the discussion first names the commit
        that is to be the merge. Whether it was one is then decided by the branch alone: if that
        commit is in its history, the pull request is merged; if not, it never was.

        Raises:
            ConflictError: a draft, closed or merged already, files that both sides changed, or
                nothing to merge; nothing was changed.
        """
        comment = optional_text(text)
        with self._changing(number) as discussion:
            _require_open_pull_request(discussion)
            target = discussion.target
            if discussion.status == "draft" or target is None:
                raise ConflictError(
                    f"Pull request {number} is a draft; open it by setting its status to open"
                )
            commit = pull_request.new_merge_commit(self._repository, discussion, author)
            discussion = replace(discussion, merging=commit.id)
            self._files.write(discussion)
            self._repository.set_ref("heads", target, commit.id)
            if comment:
                discussion = discussion.with_event(new_event("comment", author, text=comment))
            discussion = pull_request.settled(self._repository, discussion)
            self._files.write(discussion)
        return discussion

    def _write_within_limits(self, discussion: Discussion) -> None:
        self._files.require_room(discussion)
        self._files.write(discussion)

    @contextmanager
    def _changing(self, number: int) -> Iterator[Discussion]:
        with self._repository.exclusive():
            yield self.get(number)


def _new(title: str, text: object, author: str) -> Discussion:
    """An open discussion that has no number yet."""
    written = optional_text(text)
    return Discussion(
        number=0,
        title=title,
        author=author,
        status="open",
        is_pull_request=False,
        created_at=utc_now(),
        events=(new_event("comment", author, text=written),) if written else (),
    )


def _branch(target: str) -> str:
    """The name of a branch without its prefix."""
    name = target.removeprefix("refs/heads/")
    if name.startswith("refs/"):
        raise BadRequestError(f"got a pull request for {name[:200]}; needed is a branch")
    return name


def _require_open_pull_request(discussion: Discussion) -> None:
    if not discussion.is_pull_request:
        raise BadRequestError(f"Discussion {discussion.number} is not a pull request")
    if not discussion.is_open:
        raise ConflictError(
            f"Pull request {discussion.number} is {discussion.status} and takes no changes"
        )
