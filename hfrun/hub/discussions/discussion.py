"""One discussion or pull request as it is written down, and what texts it takes."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from hfrun.hub.refusals import BadRequestError, DiscussionNotFoundError, TooLargeError
from hfrun.hub.store.repository import utc_now

TITLE_MIN_CHARACTERS = 3  # both as on the public hub
TITLE_MAX_CHARACTERS = 200
TEXT_MAX_CHARACTERS = 65_536
OPEN_STATUSES = ("open", "draft")
HIDDEN_TEXT = "This comment has been hidden"

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
# A title is one line; in a text, lines and tabs stay and what steers a terminal goes.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What a comment said before it was edited."""

    text: str
    author: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened in a discussion.

    Attributes:
        id: hexadecimal digits.
        kind: "comment", "status-change", "title-change" or "commit"; it says which of the
            following are used.
        text: of a comment, Markdown as it was written; untrusted, like all texts here.
        edits: of a comment, its earlier texts, oldest first.
        edited_at, edited_by: of a comment, its present text.
        hidden_by: of a comment that was hidden, whose text is gone.
        status: after a change of it.
        old_title, new_title: of a change of title.
        commit, commit_title: of a commit, its id and its title.
    """

    id: str
    kind: str
    author: str
    created_at: str
    text: str = ""
    edits: tuple[Edit, ...] = ()
    edited_at: str = ""
    edited_by: str = ""
    hidden_by: str = ""
    status: str = ""
    old_title: str = ""
    new_title: str = ""
    commit: str = ""
    commit_title: str = ""

    def encoded(self) -> dict[str, Any]:
        """The fields that are not as they are by default."""
        values = asdict(self)
        return {f.name: values[f.name] for f in fields(self) if values[f.name] != f.default}


@dataclass(frozen=True, kw_only=True)
class Discussion:
    """A discussion or pull request.

    Attributes:
        status: "open" or "closed"; of a pull request also "draft" or "merged".
        target: of a pull request, the branch that it is meant for.
        base: of a pull request, the commit of that branch that it began at.
        merge_commit: of a merged pull request, its commit on the branch.
        merging: a commit that was about to be put on the branch; see ``Discussions.merge``.
    """

    number: int
    title: str
    author: str
    status: str
    is_pull_request: bool
    created_at: str
    events: tuple[Event, ...]
    target: str | None = None
    base: str | None = None
    merge_commit: str | None = None
    merging: str | None = None

    @property
    def ref(self) -> str:
        """Where the commits of a pull request are."""
        return f"refs/pr/{self.number}"

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor merged; a draft is open."""
        return self.status in OPEN_STATUSES

    def comment(self, event_id: str) -> Event:
        """The comment with that id, or DiscussionNotFoundError."""
        for event in self.events:
            if event.id == event_id and event.kind == "comment":
                return event
        raise DiscussionNotFoundError(f"Comment {event_id[:40]} not found")

    def with_event(self, event: Event) -> "Discussion":
        """The same with one event more."""
        return replace(self, events=(*self.events, event))

    def with_edited(self, event: Event) -> "Discussion":
        """The same with the event in place of the one with its id."""
        return replace(self, events=tuple(event if e.id == event.id else e for e in self.events))

    def encoded(self) -> bytes:
        """The bytes of ``discussions/<number>.json``."""
        values = {name: getattr(self, name) for name in _FIELDS if name != "events"}
        values["events"] = [event.encoded() for event in self.events]
        return json.dumps(values, indent=1).encode() + b"\n"


_FIELDS = tuple(f.name for f in fields(Discussion))


def decoded_discussion(data: bytes) -> Discussion:
    """Read what ``Discussion.encoded`` gave.

    Raises:
        ValueError: not such bytes (a JSON error or wrong fields).
    """
    try:
        values = json.loads(data)
        events = tuple(_decoded_event(event) for event in values.pop("events"))
        return Discussion(**values, events=events)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a discussion: {error}") from None


def _decoded_event(values: Mapping[str, Any]) -> Event:
    edits = tuple(Edit(**edit) for edit in values.get("edits", ()))
    return Event(**{**values, "edits": edits})


def new_event(kind: str, author: str, **values: Any) -> Event:
    """An event that happens now."""
    return Event(id=secrets.token_hex(12), kind=kind, author=author, created_at=utc_now(), **values)


def edited(comment: Event, *, text: str, author: str) -> Event:
    """A comment with a new text that keeps the old one."""
    before = Edit(
        text=comment.text,
        author=comment.edited_by or comment.author,
        date=comment.edited_at or comment.created_at,
    )
    return replace(
        comment,
        text=text,
        edits=(*comment.edits, before),
        edited_at=utc_now(),
        edited_by=author,
    )


def hidden(comment: Event, *, author: str) -> Event:
    """A comment whose texts are gone for good."""
    return replace(
        comment, text="", edits=(), edited_at=utc_now(), edited_by=author, hidden_by=author
    )


def number_of(digits: str) -> int | None:
    """The number that an address names; None where it can be none."""
    return int(digits) if _NUMBER.fullmatch(digits) else None


def checked_title(title: object) -> str:
    """A title on one line, or BadRequestError."""
    if not isinstance(title, str):
        raise BadRequestError("got no title that is a text")
    line = _one_line(title)
    if not TITLE_MIN_CHARACTERS <= len(line) <= TITLE_MAX_CHARACTERS:
        raise BadRequestError(
            f"got a title of {len(line)} characters; needed are {TITLE_MIN_CHARACTERS} to "
            f"{TITLE_MAX_CHARACTERS}"
        )
    return line


def title_of_commit(title: str) -> str:
    """The title of a pull request that begins with a commit of this title."""
    line = _one_line(title)
    return line[:TITLE_MAX_CHARACTERS].rstrip() or "Untitled pull request"


def checked_text(text: object) -> str:
    """A comment that says something, or BadRequestError."""
    written = optional_text(text)
    if not written:
        raise BadRequestError("got no comment; needed is one that says something")
    return written


def optional_text(text: object) -> str:
    """A comment, or "" where there is none."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise BadRequestError("got a comment that is not a text")
    written = _CONTROL.sub("", text.encode("utf-8", "replace").decode()).strip()
    if len(written) > TEXT_MAX_CHARACTERS:
        raise TooLargeError(
            f"got a comment of {len(written)} characters; needed are at most {TEXT_MAX_CHARACTERS}"
        )
    return written


def _one_line(text: str) -> str:
    written = text.encode("utf-8", "replace").decode()
    return _CONTROL.sub("", " ".join(written.split()))
