"""A person's notes: kept in the run's folder and on the page, and never overwritten.

    RUN/note.md          the note
    HISTORY.md           the same between two markers, to be edited there too
    history.jsonl        what both were when the diary was last written

What was edited since on one side is taken to the other; edited on both, both are kept.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from lob_backtest.files import write_text

NOTE_FILE = "note.md"
_BEGIN = re.compile(r"^<!-- hfrun:note (\S+) ([0-9a-f]{8}) -->[ \t]*$", re.MULTILINE)
_END = "<!-- hfrun:note ends -->"
_OURS = re.compile(r"<!--(\s*hfrun:)")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class PageNote:
    """A note as it stands on a page: its text now, and the digest of what was written there."""

    text: str
    written: str


def block(identifier: str, note: str) -> str:
    """The note between its markers."""
    body = f"\n{note}\n" if note else "\n"
    return f"<!-- hfrun:note {quote(identifier)} {digest(note)} -->\n{body}\n{_END}"


def notes_on(page: str) -> tuple[dict[str, PageNote], bool]:
    """The notes of a page by their entries' ids, and whether a marker of it is damaged."""
    found: dict[str, PageNote] = {}
    starts = list(_BEGIN.finditer(page))
    ends = [*(start.start() for start in starts[1:]), len(page)]
    for start, until in zip(starts, ends, strict=False):
        text, end, _ = page[start.end() : until].partition(_END)
        if end:
            found[unquote(start[1])] = PageNote(text=clean(text), written=start[2])
    return found, len(found) != len(starts) or page.count(_END) != len(starts)


def clean(text: str) -> str:
    """A note as both sides keep it: it cannot be taken for a marker, and leaves nothing open."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").strip()
    text = _OURS.sub(r"&lt;!--\1", text)
    fences = _FENCE.findall(text)
    if len(fences) % 2:
        text += f"\n{fences[-1]}"
    if text.rfind("<!--") > text.rfind("-->"):
        text += " -->"
    return text


def digest(note: str) -> str:
    """Of a note, to see whether it was edited."""
    return hashlib.sha256(note.encode()).hexdigest()[:8]


def merged(base: str | None, page: PageNote | None, file: str | None) -> str:
    """The note after edits on the page and in the file, each of which may be the older one.

    Args:
        base: as the diary was last written; None where it does not know the entry.
        page: None where the page has no such entry.
        file: None where there is none.
    """
    if base is None:
        base = page.text if page is not None else ""
    sides = [] if file is None or file == base else [file]
    if page is not None and page.text != base and digest(page.text) != page.written:
        is_newer = page.written == digest(base)
        sides += [page.text] if is_newer else [joined(base, page.text)]
    if not sides:
        return base
    note = sides[0]
    for other in sides[1:]:
        note = joined(note, other)
    return note


def joined(one: str, other: str) -> str:
    """Both texts; only the longer where it holds the other."""
    if other in one:
        return one
    return other if one in other else f"{one}\n\n{other}"


def read_note(folder: Path) -> str | None:
    """The note in a run's folder; None where there is none that can be read as text."""
    try:
        return clean((folder / NOTE_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def keep_note(folder: Path, note: str) -> None:
    """Write the note into the run's folder, unless what is there cannot be read as a note."""
    path = folder / NOTE_FILE
    is_there = path.exists()
    if (is_there and read_note(folder) in (None, note)) or (not is_there and not note):
        return
    try:
        write_text(path, f"{note}\n" if note else "")
    except OSError:  # a folder that may not be written to; the diary has the note
        return
