"""What a preview is, and the beginning of a file that all of them are made from."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MAX_BYTES = 200_000  # of a text that are read
MAX_CHARACTERS = 200_000
MAX_LINES = 2_000
MAX_LINE_CHARACTERS = 2_000
MAX_ROWS = 50
MAX_COLUMNS = 50
MAX_CELL_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is shown of one file; all of it is text that a template has yet to escape.

    Attributes:
        kind: of what is filled: ``text``, ``header`` with ``rows``, nothing for an image (the
            page links its address), or nothing at all.
        rows: as many cells each as ``header`` has.
        truncated: whether the file holds more than is shown.
        note: one sentence for the reader; empty where there is nothing to say.
    """

    kind: Literal["text", "table", "image", "none"]
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    header: tuple[str, ...] = ()
    truncated: bool = False
    note: str = ""


class NoPreviewError(Exception):
    """The file cannot be shown; the message is the note that stands in its place."""


def no_preview(note: str) -> Preview:
    """Nothing but a note."""
    return Preview(kind="none", note=note)


def cell(value: str) -> str:
    """The text of one cell, on one line and cut; half a surrogate, which JSON can carry, is not."""
    plain = value[: MAX_CELL_CHARACTERS + 1].encode("utf-8", "replace").decode()
    line = " ".join(plain[:MAX_CELL_CHARACTERS].split())
    return line if len(plain) <= MAX_CELL_CHARACTERS else line + "…"


@dataclass(frozen=True, kw_only=True)
class Head:
    """A stored file of which only the beginning is read."""

    file: Path
    size: int

    def read(self, count: int, *, start: int = 0) -> bytes:
        """At most so many bytes from a place on."""
        with self.file.open("rb") as stream:
            stream.seek(start)
            return stream.read(count)

    def text(self) -> tuple[str, bool]:
        """The beginning as text, with one kind of line end, and whether it is all of the file.

        Raises:
            NoPreviewError: these bytes are no text in UTF-8.
        """
        content = self.read(MAX_BYTES)
        whole = len(content) >= self.size
        try:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(content, final=whole)
        except UnicodeDecodeError:
            raise NoPreviewError("not shown: no text in UTF-8") from None
        if "\0" in text:
            raise NoPreviewError("not shown: no text")
        return text.replace("\r\n", "\n").replace("\r", "\n"), whole
