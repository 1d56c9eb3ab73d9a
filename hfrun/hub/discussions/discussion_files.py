"""The files of a repository's discussions: which there are, read, and written within limits."""

from collections.abc import Iterator
from pathlib import Path

from hfrun.hub.discussions.discussion import Discussion, decoded_discussion
from hfrun.hub.refusals import ConflictError
from hfrun.hub.store.disk import sync_folder, write_durably

# A listing reads them all.
MAX_DISCUSSIONS = 10_000
MAX_ALL_BYTES = 200_000_000
# One is read whole, and written anew with every comment.
MAX_EVENTS = 2_000
MAX_BYTES = 4_000_000


class DiscussionFiles:
    """``discussions/<number>.json`` below a repository's folder; numbers are 1 and up.

    Writing needs the repository's lock.
    """

    def __init__(self, repository_folder: Path) -> None:
        self._folder = repository_folder / "discussions"
        self._refs = repository_folder / "refs" / "pr"

    def numbers(self) -> Iterator[int]:
        """The numbers that are taken, in no order."""
        for file in self._folder.glob("*.json"):
            if file.stem.isascii() and file.stem.isdigit():
                yield int(file.stem)

    def next_number(self) -> int:
        """One more than the largest; ConflictError where there are too many."""
        number = max(self.numbers(), default=0) + 1
        if number > MAX_DISCUSSIONS:
            raise ConflictError(f"This repository has {MAX_DISCUSSIONS} discussions, and no more")
        self._require_room_for_all()
        return number

    def read(self, number: int) -> Discussion | None:
        """What is written of it; None where there is none."""
        try:
            return decoded_discussion((self._folder / f"{number}.json").read_bytes())
        except FileNotFoundError:
            return None

    def write(self, discussion: Discussion) -> None:
        """Write all of it."""
        write_durably(self._folder / f"{discussion.number}.json", discussion.encoded())

    def require_room(self, discussion: Discussion) -> None:
        """Refuse what is more than one discussion may hold.

        Not asked for closing, hiding and merging: who fills a discussion must not keep the
        repository's members from acting on it.
        """
        if len(discussion.events) > MAX_EVENTS or len(discussion.encoded()) > MAX_BYTES:
            raise ConflictError(
                f"Discussion {discussion.number} is full: it would have more than {MAX_EVENTS} "
                f"events or {MAX_BYTES} bytes. Open another"
            )
        self._require_room_for_all()

    def _require_room_for_all(self) -> None:
        files = self._folder.glob("*.json")
        if sum(file.stat().st_size for file in files) > MAX_ALL_BYTES:
            raise ConflictError(
                f"The discussions of this repository have more than {MAX_ALL_BYTES} bytes; its "
                "members can hide comments that nobody needs"
            )

    def remove_ref(self, number: int) -> None:
        """Drop what a crash has left of a pull request that was never opened."""
        file = self._refs / str(number)
        if file.exists():
            file.unlink()
            sync_folder(file.parent)
