"""What is decided about a server when it starts, for every route to look into."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How one server process behaves.

    Attributes:
        anonymous_read: whether callers without a token may read public things. It belongs to the
            hub's folder, where all its servers look it up (``Accounts.anonymous_read``), so that
            no two disagree: a value here is written there when the server starts, and None leaves
            the folder's own.
        regular_max_bytes: how large a file may travel inside a commit, for clients that would
            send large files to a Xet storage.
        max_upload_bytes: how large one uploaded file may be.
        multipart_above_bytes: files larger than this are uploaded in parts, each of which can be
            sent again alone.
        part_bytes: of one part, or more where there would be more than a thousand.
        patience_seconds: how long a client may take for the head of a request, and stand still in
            its body or in taking an answer.
        known_hosts: names by which the hub answers, beside this machine's own; None answers to
            any. ``serve`` takes none of others where it listens on this machine alone.
        access_log: the file that every request gets a line in; None writes no log.
    """

    anonymous_read: bool | None = None
    regular_max_bytes: int = 100_000_000
    max_upload_bytes: int = 100_000_000_000
    multipart_above_bytes: int = 5_000_000_000  # as on the public hub
    part_bytes: int = 100_000_000
    patience_seconds: float = 30.0
    known_hosts: tuple[str, ...] | None = None
    access_log: Path | None = None


USUAL = ServerOptions()
