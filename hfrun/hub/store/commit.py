"""One commit: what it says, and the id that git gives to exactly that."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from hfrun.hub.store.tree import git_id

_CLOCK = "%Y-%m-%dT%H:%M:%S.000Z"  # git counts whole seconds; clients want the fraction


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A snapshot of all files; ``id`` is git's own, so that an exported history keeps its ids."""

    id: str
    tree: str  # git's id of the root folder
    parent: str | None
    title: str
    message: str
    author: str
    date: str  # ISO 8601, UTC, whole seconds: 2024-05-01T12:00:00.000Z

    def encoded(self) -> bytes:
        """The bytes that are stored: everything but the id, which is the name of the file."""
        fields = asdict(self)
        del fields["id"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @property
    def text(self) -> str:
        """Git's commit message: the title, and what follows it after an empty line."""
        return f"{self.title}\n\n{self.message}\n" if self.message else f"{self.title}\n"

    @property
    def signature(self) -> str:
        """Author or committer as git writes them: name, address, seconds, time zone."""
        seconds = int(datetime.strptime(self.date, _CLOCK).replace(tzinfo=UTC).timestamp())
        return f"{self.author} <{self.author}@hub> {seconds} +0000"

    def computed_id(self) -> str:
        """SHA-1 of git's commit object with this content."""
        parent = f"parent {self.parent}\n" if self.parent is not None else ""
        who = f"author {self.signature}\ncommitter {self.signature}\n"
        return git_id("commit", f"tree {self.tree}\n{parent}{who}\n{self.text}".encode())


def new_commit(*, tree: str, parent: str | None, title: str, message: str, author: str) -> Commit:
    """A commit with the present time, under the id of its content.

    Git holds no NUL in a message, and takes the first line for the title.
    """
    first, _, rest = title.replace("\0", "").strip().partition("\n")
    body = "\n\n".join(part for part in (rest.strip(), message.replace("\0", "").strip()) if part)
    draft = Commit(
        id="",
        tree=tree,
        parent=parent,
        title=first.strip(),
        message=body,
        author=author,
        date=datetime.now(UTC).strftime(_CLOCK),
    )
    return replace(draft, id=draft.computed_id())


def decoded_commit(commit_id: str, data: bytes) -> Commit:
    """Read what ``Commit.encoded`` gave.

    Raises:
        ValueError: not such bytes (a JSON error or wrong fields).
    """
    try:
        return Commit(id=commit_id, **json.loads(data))
    except TypeError as error:
        raise ValueError(f"not a commit: {error}") from None
